// SPDX-License-Identifier: Apache-2.0

package stacks

import (
	"archive/tar"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/apocryph/apocryph/e2e/bed"
)

const (
	// person is whom images that are no distribution's run as; server is what Debian's servers step down to.
	person = 1000
	server = 999
)

// recipe is how an image is made.
type recipe struct {
	// debian are lists of packages.sh; without any the image is empty but for what follows.
	debian []string
	// user is made, with the number uid.
	user string
	uid  int
	// program is one of apps, placed at path; files are placed where they say.
	program, path string
	files         []bed.Entry
	config        v1.Config
}

// recipes are the images by their names in the app files.
func (k kitchen) recipes(t *testing.T) map[string]recipe {
	t.Helper()
	postgres := recipe{
		debian: []string{"base", "postgres"}, user: "postgres", uid: server,
		files: []bed.Entry{
			k.script(t, "usr/local/bin/docker-entrypoint.sh", "postgres-entrypoint.sh"),
			dir("docker-entrypoint-initdb.d", 0o755, 0),
			dir("var/lib/postgresql", 0o755, server), dir("var/lib/postgresql/data", 0o700, server), dir("run/postgresql", 0o775, server),
		},
		config: v1.Config{
			Entrypoint: []string{"docker-entrypoint.sh"}, Cmd: []string{"postgres"}, StopSignal: "SIGINT",
			Env:          []string{"PATH=/usr/local/bin:" + k.postgresPrograms(t) + ":/usr/sbin:/usr/bin", "PGDATA=/var/lib/postgresql/data", "LANG=C.UTF-8"},
			ExposedPorts: map[string]struct{}{"5432/tcp": {}}, Volumes: map[string]struct{}{"/var/lib/postgresql/data": {}},
		},
	}
	nginx := recipe{
		debian: []string{"base", "nginx"}, user: "www-data", uid: 33,
		files: []bed.Entry{
			link("var/log/nginx/access.log", "/dev/stdout"), link("var/log/nginx/error.log", "/dev/stderr"),
			// As that image's own server does, the site begins empty of Debian's page.
			{Header: tar.Header{Name: "usr/share/nginx/html/.wh.index.html", Mode: 0o644}},
		},
		config: v1.Config{Cmd: []string{"nginx", "-g", "daemon off;"}, StopSignal: "SIGQUIT", ExposedPorts: map[string]struct{}{"80/tcp": {}}},
	}
	frontend := nginx
	frontend.files = append(slices.Clone(nginx.files), k.script(t, "frontend.sh", "frontend-entrypoint.sh"),
		file("etc/nginx/frontend.conf", k.read(t, "images/frontend.conf")), file("usr/share/nginx/html/name.txt", []byte("frontend")),
		bed.Entry{Header: tar.Header{Typeflag: tar.TypeLink, Name: "usr/share/nginx/html/same.txt", Linkname: "usr/share/nginx/html/name.txt", Mode: 0o644}})
	frontend.config = v1.Config{Entrypoint: []string{"/frontend.sh"}, Cmd: nginx.config.Cmd, StopSignal: "SIGQUIT"}

	return map[string]recipe{
		"postgres:17-alpine": postgres,
		"nginx:1.29-alpine":  nginx,
		"redis:8-alpine": {
			debian: []string{"base", "redis"}, user: "redis", uid: server,
			files: []bed.Entry{k.script(t, "usr/local/bin/docker-entrypoint.sh", "redis-entrypoint.sh"), dir("data", 0o755, server)},
			config: v1.Config{
				Entrypoint: []string{"docker-entrypoint.sh"}, Cmd: []string{"redis-server"}, WorkingDir: "/data",
				ExposedPorts: map[string]struct{}{"6379/tcp": {}}, Volumes: map[string]struct{}{"/data": {}},
			},
		},
		"acme/flask-app:2.3": {
			debian: []string{"base", "python"}, user: "app", uid: person,
			files:  []bed.Entry{dir("app", 0o755, 0), file("app/manage.py", k.read(t, "apps/notes/manage.py"))},
			config: v1.Config{User: "app", WorkingDir: "/app"},
		},
		"acme/frontend:12": frontend,
		"acme/backend:12":  {program: "backend", path: "backend", user: "app", uid: person, config: v1.Config{User: "app", Entrypoint: []string{"/backend"}}},
		"acme/store:2.0.0": {
			program: "store", path: "store", user: "app", uid: person, files: []bed.Entry{dir("srv", 0o755, 0)},
			config: v1.Config{User: "app", Entrypoint: []string{"/store"}, Cmd: []string{"help"}},
		},
		"acme/counts:3": {
			program: "counts", path: "counts", user: "app", uid: person,
			// A volume there begins with the file, and is the user's alone.
			files:  []bed.Entry{dir("srv", 0o755, 0), dir("srv/results", 0o700, person), owned(file("srv/results/common.txt", []byte("a and the\n")), person)},
			config: v1.Config{User: "app", Entrypoint: []string{"/counts"}, Cmd: []string{"web"}},
		},
	}
}

// kitchen is where images are made: the folder of this package, and one below build for what is kept.
type kitchen struct {
	source string
	kept   packages
}

// layout makes the images and returns their layout's folder.
func layout(t *testing.T, root string) string {
	t.Helper()
	k := kitchen{source: filepath.Join(root, "e2e", "stacks"), kept: packages(filepath.Join(root, "build", "stacks"))}
	if out, err := exec.CommandContext(t.Context(), filepath.Join(k.source, "packages.sh")).CombinedOutput(); err != nil {
		t.Fatalf("downloading packages: %v\n%s", err, out)
	}
	programs := k.build(t)
	layers := map[string]v1.Layer{}
	images := map[string]v1.Image{}
	for ref, r := range k.recipes(t) {
		var parts []v1.Layer
		for _, name := range r.debian {
			if layers[name] == nil {
				layers[name] = k.layer(t, name)
			}
			parts = append(parts, layers[name])
		}
		images[ref] = r.image(t, programs, parts)
	}
	return bed.Layout(t, images)
}

func (k kitchen) layer(t *testing.T, name string) v1.Layer {
	t.Helper()
	path, err := k.kept.layer(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	layer, err := tarball.LayerFromFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return layer
}

// build compiles apps and returns the folder of the programs.
func (k kitchen) build(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o", dir, "./...")
	cmd.Env, cmd.Dir = append(os.Environ(), "CGO_ENABLED=0"), filepath.Join(k.source, "apps")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building the apps' programs: %v\n%s", err, out)
	}
	return dir
}

func (r recipe) image(t *testing.T, programs string, layers []v1.Layer) v1.Image {
	t.Helper()
	last := append([]bed.Entry{
		dir("etc", 0o755, 0),
		file("etc/passwd", fmt.Appendf(nil, "root:x:0:0:root:/root:/bin/sh\n%s:x:%d:%d::/nonexistent:/usr/sbin/nologin\nnobody:x:65534:65534::/nonexistent:/usr/sbin/nologin\n", r.user, r.uid, r.uid)),
		file("etc/group", fmt.Appendf(nil, "root:x:0:\nadm:x:4:\n%s:x:%d:\nnogroup:x:65534:\n", r.user, r.uid)),
		dir("tmp", 0o1777, 0),
	}, r.files...)
	if r.program != "" {
		program, err := os.ReadFile(filepath.Join(programs, r.program))
		if err != nil {
			t.Fatal(err)
		}
		e := file(r.path, program)
		e.Mode = 0o755
		last = append(last, e)
	}
	img, err := mutate.AppendLayers(empty.Image, append(layers, bed.Layer(t, last...))...)
	if err != nil {
		t.Fatal(err)
	}
	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	config = config.DeepCopy()
	config.OS, config.Architecture, config.Config = "linux", "amd64", r.config
	if img, err = mutate.ConfigFile(img, config); err != nil {
		t.Fatal(err)
	}
	return img
}

// postgresPrograms is where Debian has those of its version.
func (k kitchen) postgresPrograms(t *testing.T) string {
	t.Helper()
	list, err := os.ReadFile(filepath.Join(string(k.kept), "postgres.list"))
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`(?m)^postgresql-(\d+)_`).FindSubmatch(list)
	if m == nil {
		t.Fatalf("no server among the packages\n%s", list)
	}
	return fmt.Sprintf("/usr/lib/postgresql/%s/bin", m[1])
}

func dir(name string, mode int64, uid int) bed.Entry {
	return bed.Entry{Header: tar.Header{Typeflag: tar.TypeDir, Name: name + "/", Mode: mode, Uid: uid, Gid: uid}}
}

func file(name string, content []byte) bed.Entry {
	return bed.Entry{Header: tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644}, Content: content}
}

func link(name, to string) bed.Entry {
	return bed.Entry{Header: tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: to, Mode: 0o777}}
}

func owned(e bed.Entry, uid int) bed.Entry {
	e.Uid, e.Gid = uid, uid
	return e
}

// script is one of images, to be run.
func (k kitchen) script(t *testing.T, name, from string) bed.Entry {
	t.Helper()
	e := file(name, k.read(t, "images/"+from))
	e.Mode = 0o755
	return e
}

func (k kitchen) read(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(k.source, name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}
