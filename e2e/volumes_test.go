// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"archive/tar"
	"encoding/json"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/apocryph/apocryph/e2e/bed"
)

// stocked is an image that has something where its app keeps data, as those of databases have, and of whom.
const stocked = "apocryph.test/stocked:1"

func stockedLayout(t *testing.T) string {
	t.Helper()
	more := bed.Layer(t,
		bed.Entry{Header: tar.Header{Name: "data/", Mode: 0o3750, Uid: 70, Gid: 71, Typeflag: tar.TypeDir}},
		bed.Entry{Header: tar.Header{Name: "data/deep/", Mode: 0o700, Uid: 72, Gid: 73, Typeflag: tar.TypeDir}},
		bed.Entry{Header: tar.Header{Name: "data/deep/hello", Mode: 0o4641, Uid: 74, Gid: 75, Typeflag: tar.TypeReg}, Content: []byte("hello from the image")},
		bed.Entry{Header: tar.Header{Name: "data/link", Uid: 76, Gid: 77, Typeflag: tar.TypeSymlink, Linkname: "deep/hello"}},
		bed.Entry{Header: tar.Header{Name: "data/etc", Typeflag: tar.TypeSymlink, Linkname: "/etc"}},
	)
	return bed.Layout(t, map[string]v1.Image{stocked: bed.Image(t, more)})
}

// volumesFile is the app, KEEP its volume that leaves it.
const volumesFile = `
services:
  web:
    image: ` + stocked + `
    cpus: 0.1
    mem_limit: 64m
    ports: ["8080"]
    volumes:
      - data:/data
      - KEEP:/empty
      - {type: volume, source: uncopied, target: /data/deep, volume: {nocopy: true}}
volumes:
  data: {x-apocryph: {size: 16MiB}}
  KEEP: {x-apocryph: {size: 16MiB}}
  uncopied: {x-apocryph: {size: 16MiB}}
`

type volumesApp struct {
	d   *bed.Devnet
	app bed.Deployed
}

func (a volumesApp) ask(t *testing.T, path string) string {
	t.Helper()
	_, body, err := a.d.Get(t.Context(), a.app.URL+path)
	if err != nil {
		t.Fatal(err)
	}
	var said struct{ Said, Error string }
	if err := json.Unmarshal([]byte(body), &said); err != nil {
		t.Fatalf("%s: %v in %s", path, err, body)
	}
	return said.Said + said.Error
}

// Volumes begin with what the image has, and are the publisher's from then on.
func TestVolumes(t *testing.T) {
	d := bed.Connect(t)
	p := d.NewPerson(t, true, stockedLayout(t))
	var app bed.Deployed
	p.MustJSON(&app, "deploy", p.Write("compose.yaml", strings.ReplaceAll(volumesFile, "KEEP", "first")), "--name", "volumes", "--for", "1h", "--yes")
	defer p.Run("stop", "volumes", "--yes")
	a := volumesApp{d, app}

	t.Run("begin with what the image has there", func(t *testing.T) {
		for _, step := range []struct{ path, want string }{
			{"/whose?path=/data", "70:71 3750"},
			{"/whose?path=/data/link", "76:77 777"},
			{"/list?path=/data", "deep etc link"},
			// Mounted over what the image has there, without it.
			{"/whose?path=/data/deep", "0:65532 2775"},
			{"/list?path=/data/deep", ""},
			{"/whose?path=/empty", "0:65532 2775"},
			{"/list?path=/empty", ""},
			{"/write?path=/empty/new&content=x", "ok"},
			{"/list?path=/empty", "new"},
		} {
			if got := a.ask(t, step.path); got != step.want {
				t.Errorf("%s is %q, want %q", step.path, got, step.want)
			}
		}
	})

	t.Run("are kept when they leave the file, until they are removed", func(t *testing.T) {
		p.Must("deploy", p.Write("compose.yaml", strings.ReplaceAll(volumesFile, "KEEP", "second")), "--name", "volumes", "--yes")
		var volumes []struct {
			Name string `json:"name"`
			Kept bool   `json:"kept"`
		}
		kept := func() (names []string) {
			p.MustJSON(&volumes, "volume", "ls", "volumes")
			for _, v := range volumes {
				if v.Kept {
					names = append(names, v.Name)
				}
			}
			return names
		}
		if got := kept(); len(got) != 1 || got[0] != "first" || len(volumes) != 4 {
			t.Fatalf("kept are %v of %v, want the first of four", got, volumes)
		}
		if r := p.Run("volume", "rm", "volumes", "data", "--yes"); r.Code == 0 || !strings.Contains(r.Stderr, "in use") {
			t.Errorf("a volume in use goes: %v", r)
		}
		p.Must("volume", "rm", "volumes", "first", "--yes")
		if got := kept(); len(got) != 0 || len(volumes) != 3 {
			t.Errorf("afterwards %v of %v are kept", got, volumes)
		}
		if got := a.ask(t, "/whose?path=/data/deep"); got != "0:65532 2775" {
			t.Errorf("the app answers %q", got)
		}
	})
}
