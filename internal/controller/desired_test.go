// SPDX-License-Identifier: Apache-2.0

package controller_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"
	"google.golang.org/protobuf/encoding/protojson"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"github.com/apocryph/apocryph/api/v1alpha1"
	"github.com/apocryph/apocryph/internal/controller"
	manifestv1 "github.com/apocryph/apocryph/internal/gen/manifestv1"
	"github.com/apocryph/apocryph/internal/manifest"
)

var update = flag.Bool("update", false, "rewrite the wanted part of testdata")

// TestDesired reads from each testdata file the manifest and, where it matters, config.yaml, and compares what is made with want.yaml.
func TestDesired(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no testdata: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			m, cfg := &manifestv1.Manifest{}, config()
			want := &txtar.File{Name: "want.yaml"}
			for i := range archive.Files {
				switch f := &archive.Files[i]; f.Name {
				case "manifest.yaml":
					m = parse(t, f.Data)
				case "config.yaml":
					if err := yaml.UnmarshalStrict(f.Data, &cfg); err != nil {
						t.Fatal(err)
					}
				case "want.yaml":
					want = f
				}
			}
			got := render(t, m, cfg)
			if *update {
				rest := archive.Files[:0]
				for _, f := range archive.Files {
					if f.Name != want.Name {
						rest = append(rest, f)
					}
				}
				rest = append(rest, txtar.File{Name: want.Name, Data: got})
				archive.Files = rest
				if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(string(want.Data), string(got)); diff != "" {
				t.Errorf("objects (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDesiredRefusesAConfigThatCannotWork(t *testing.T) {
	for name, change := range map[string]func(*controller.Config){
		"no system namespace":       func(c *controller.Config) { c.Namespace = "" },
		"no image prefix":           func(c *controller.Config) { c.ImagePrefix = "" },
		"a scheme of its own":       func(c *controller.Config) { c.PublicScheme = "gopher" },
		"an address is not a range": func(c *controller.Config) { c.DenyEgress = []string{"10.0.0.1"} },
		"a range with host bits":    func(c *controller.Config) { c.DenyEgress = []string{"203.0.113.7/24"} },
	} {
		t.Run(name, func(t *testing.T) {
			cfg := config()
			change(&cfg)
			if _, err := controller.Desired(&v1alpha1.App{}, &manifestv1.Manifest{}, cfg); err == nil {
				t.Error("no error")
			}
		})
	}
}

func config() controller.Config {
	return controller.Config{
		Namespace: "apocryph-system", Image: "apocryphd:1", ImagePrefix: "localhost:5100", PublicScheme: "http", PublicPort: 30080,
		UserNamespaces: true, AccessMode: corev1.PersistentVolumeAccessMode(""),
	}
}

func parse(t *testing.T, text []byte) *manifestv1.Manifest {
	t.Helper()
	j, err := yaml.YAMLToJSON(text)
	if err != nil {
		t.Fatal(err)
	}
	m := &manifestv1.Manifest{}
	if err := protojson.Unmarshal(j, m); err != nil {
		t.Fatal(err)
	}
	if err := manifest.Validate(m); err != nil {
		t.Fatal(err)
	}
	return m
}

func render(t *testing.T, m *manifestv1.Manifest, cfg controller.Config) []byte {
	t.Helper()
	app := &v1alpha1.App{Spec: v1alpha1.AppSpec{ManifestHash: strings.Repeat("ab", 32)}}
	app.Name = "the-app-id"
	objects, err := controller.Desired(app, m, cfg)
	if err != nil {
		t.Fatal(err)
	}
	var all [][]byte
	for _, obj := range objects {
		b, err := yaml.Marshal(obj)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, bytes.ReplaceAll(b, []byte("status: {}\n"), nil))
	}
	return bytes.Join(all, []byte("---\n"))
}

// A webhook shapes nothing that runs: an order that changes nothing else restarts nothing, and no object has it.
func TestAWebhookIsInNoObject(t *testing.T) {
	archive, err := txtar.ParseFile("testdata/one-service.txtar")
	if err != nil {
		t.Fatal(err)
	}
	m := parse(t, archive.Files[0].Data)
	before := render(t, m, config())
	m.Notify = &manifestv1.Notify{Webhook: "https://hooks.example.com/T0K3N", Salt: make([]byte, 16)}
	if err := manifest.Validate(m); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(before), string(render(t, m, config()))); diff != "" {
		t.Errorf("with a webhook (-without +with):\n%s", diff)
	}
}
