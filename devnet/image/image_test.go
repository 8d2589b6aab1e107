// SPDX-License-Identifier: Apache-2.0

package image

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func program(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(path, []byte(content), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func digest(t *testing.T, s Spec) string {
	t.Helper()
	img, err := Build(s)
	if err != nil {
		t.Fatal(err)
	}
	d, err := img.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return d.String()
}

func TestSameProgramSameImage(t *testing.T) {
	for name, compress := range map[string]bool{"uncompressed": false, "compressed": true} {
		t.Run(name, func(t *testing.T) { sameProgramSameImage(t, compress) })
	}
}

func sameProgramSameImage(t *testing.T, compress bool) {
	first := Spec{Ref: "test:1", Program: program(t, "one"), Path: "/usr/bin/app", Volumes: []string{"/data"}, User: "65532", Compress: compress}
	second := first
	second.Program = program(t, "one")
	later := time.Now().Add(time.Hour)
	if err := os.Chtimes(second.Program, later, later); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(digest(t, first), digest(t, second)); diff != "" {
		t.Errorf("the same program in another file makes another image: %s", diff)
	}
	second.Program = program(t, "two")
	if digest(t, first) == digest(t, second) {
		t.Error("two programs make the same image")
	}
}

func TestStoreReplaces(t *testing.T) {
	dir := t.TempDir()
	for _, content := range []string{"one", "one", "two"} {
		img, err := Build(Spec{Ref: "test:1", Program: program(t, content), Path: "/app"})
		if err != nil {
			t.Fatal(err)
		}
		want, err := Store(dir, "test:1", img)
		if err != nil {
			t.Fatal(err)
		}
		got, err := Digests(dir)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(map[string]string{"test:1": want.String()}, got); diff != "" {
			t.Errorf("after storing %q: %s", content, diff)
		}
	}
	blobs, err := os.ReadDir(filepath.Join(dir, "blobs", "sha256"))
	if err != nil {
		t.Fatal(err)
	}
	if len(blobs) != 4 { // manifest, configuration, two layers
		t.Errorf("%d blobs left, want 4", len(blobs))
	}
}

func TestRepository(t *testing.T) {
	for ref, want := range map[string]string{
		"app:1": "app", "app": "app", "localhost:5000/app": "localhost:5000/app", "localhost:5000/app:1": "localhost:5000/app",
	} {
		if got := repository(ref); got != want {
			t.Errorf("%s: %s, want %s", ref, got, want)
		}
	}
}

func TestRefusesRelativePaths(t *testing.T) {
	for _, path := range []string{"app", "/usr/../app", "/app/"} {
		if _, err := Build(Spec{Ref: "test:1", Program: program(t, "one"), Path: path}); err == nil {
			t.Errorf("%q: no error", path)
		}
	}
}
