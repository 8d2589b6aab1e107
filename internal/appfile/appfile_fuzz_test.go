// SPDX-License-Identifier: Apache-2.0

package appfile_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/apocryph/apocryph/internal/appfile"
	"github.com/apocryph/apocryph/internal/manifest"
)

// A file that includes, extends, mounts and is merged over by others, which are anything, is read in bounds and without a panic.
func FuzzFiles(f *testing.F) {
	f.Add("include: [a.yaml, {path: [b.yaml, a.yaml], env_file: a.env}]", "services: {a: {image: a}}", "services: {b: {extends: {file: a.yaml, service: a}}}", "A=$A$A")
	f.Add("services: {a: {extends: {file: a.yaml, service: b}, volumes: ['./a.env:/x', './:/y:ro']}}", "services:\n  b: &x {extends: {file: b.yaml, service: a}, ports: [80]}", "services: {a: {image: x, env_file: [a.env]}}", "A='\n")
	f.Add("services: {a: {image: $A, configs: [c]}}\nconfigs: {c: {file: b.yaml}}", "include: [compose.yaml]", "name: !reset x", "A=b")
	f.Fuzz(func(t *testing.T, content, a, b, env string) {
		src := tree(content, map[string]string{"a.yaml": a, "b.yaml": b, "a.env": env, "compose.yaml": content})
		if len(env)%2 == 1 {
			src.Overrides = []string{"b.yaml"}
		}
		file, err := appfile.Load(t.Context(), src)
		if err == nil {
			err = sameTwice(t, file)
		}
		var ps appfile.Problems
		if err != nil && !errors.As(err, &ps) {
			t.Fatalf("not a list of problems: %v", err)
		}
		for _, p := range ps {
			if p.Message == "" || p.Remedy == "" || strings.Contains(p.String(), "\n") || len(p.String()) > 4000 {
				t.Errorf("not one line with a remedy: %q, %q", p.String(), p.Remedy)
			}
		}
	})
}

// A file makes the same manifest each time, the manifest is one that providers take, and every problem and note is one line with a place.
func FuzzManifest(f *testing.F) {
	examples, err := filepath.Glob("../../examples/*/compose.yaml")
	if err != nil || len(examples) == 0 {
		f.Fatalf("no examples: %v", err)
	}
	for _, name := range examples {
		content, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(content, []byte("A=1\n"))
	}
	f.Add([]byte("services: {web: {image: a, ports: ['80:80'], env_file: web.env, environment: {A: '${B:-c}'}}}"), []byte("A=1\nB='2\n3'\nexport C=${A}\n#\n=x"))
	f.Add([]byte("services:\n  web:\n    image: \"a\\nb\"\n    ? [x]\n    : y\n"), []byte{0})
	f.Add([]byte("services: {web: {image: a, command: [\"\\u0000\"], volumes: ['d:/a/../b', './x:/y:ro'], user: \"-1:99999999999\"}}\nvolumes: {d: {}}"), []byte("\xff"))
	f.Fuzz(func(t *testing.T, content, env []byte) {
		src := source(string(content))
		src.ReadFile = func(string) ([]byte, error) { return env, nil }
		file, err := appfile.Load(t.Context(), src)
		if err == nil {
			for _, n := range file.Notes {
				if strings.Contains(n.String(), "\n") {
					t.Errorf("not one line: %q", n)
				}
			}
			err = sameTwice(t, file)
		}
		if err == nil {
			return
		}
		var ps appfile.Problems
		if !errors.As(err, &ps) || len(ps) == 0 {
			t.Fatalf("not a list of problems: %v", err)
		}
		for _, p := range ps {
			if p.Message == "" || p.Remedy == "" || strings.Contains(p.String(), "\n") || len(p.String()) > 4000 {
				t.Errorf("not one line with a remedy: %q, %q", p.String(), p.Remedy)
			}
		}
	})
}

func sameTwice(t *testing.T, file *appfile.File) error {
	t.Helper()
	m, err := file.Manifest(t.Context(), pins())
	if err != nil {
		return err
	}
	encoded, err := manifest.Encode(m)
	if err != nil {
		t.Fatalf("a manifest that no provider takes: %v", err)
	}
	again, err := file.Manifest(t.Context(), pins())
	if err != nil || !proto.Equal(m, again) {
		t.Errorf("a second time: %v, %v", again, err)
	}
	if read, err := manifest.Decode(encoded); err != nil || !proto.Equal(read, m) {
		t.Errorf("read again: %v, %v", read, err)
	}
	return nil
}
