// SPDX-License-Identifier: Apache-2.0

// Package image makes OCI images of single programs without any container tool. The same program makes the same image, byte by byte,
// wherever and whenever it is built.
package image

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// epoch is the time of everything in an image.
var epoch = time.Unix(0, 0).UTC()

// Spec says what is in an image.
type Spec struct {
	// Ref is the image's name with its tag.
	Ref string
	// Program is the file to put at Path.
	Program string
	// Path is the program's place in the image, and its entrypoint.
	Path string
	// Beside are further programs, by their places in the image.
	Beside map[string]string
	// Args follow the entrypoint by default.
	Args []string
	// User is who runs it, by number; 0 if empty.
	User string
	// Ports are published, such as 8090/tcp.
	Ports []string
	// Volumes are folders that are made, belong to User, and are declared as volumes.
	Volumes []string
	// Labels are the configuration's labels.
	Labels map[string]string
	// Compress is for images that travel. It costs a second, and makes the bytes depend on the version of Go.
	Compress bool
}

// certificates are where distributions keep the roots of the web.
var certificates = []string{"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem", "/etc/ssl/cert.pem"}

// Build makes an image.
func Build(s Spec) (v1.Image, error) {
	system, err := systemLayer(s)
	if err != nil {
		return nil, err
	}
	program, err := programLayer(s)
	if err != nil {
		return nil, err
	}
	img := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	history := v1.History{Created: v1.Time{Time: epoch}, CreatedBy: "apocryph devnet"}
	img, err = mutate.Append(img, mutate.Addendum{Layer: system, History: history}, mutate.Addendum{Layer: program, History: history})
	if err != nil {
		return nil, fmt.Errorf("building %s: %w", s.Ref, err)
	}
	img, err = mutate.ConfigFile(img, config(s, img))
	if err != nil {
		return nil, fmt.Errorf("configuring %s: %w", s.Ref, err)
	}
	return img, nil
}

func config(s Spec, img v1.Image) *v1.ConfigFile {
	old, err := img.ConfigFile()
	if err != nil {
		old = &v1.ConfigFile{} // an image in memory always has one
	}
	c := old.DeepCopy()
	c.Created, c.OS, c.Architecture = v1.Time{Time: epoch}, "linux", "amd64"
	c.Config = v1.Config{
		User: s.User, Entrypoint: []string{s.Path}, Cmd: s.Args, Labels: s.Labels,
		Env: []string{"PATH=/usr/local/bin:/usr/bin:/bin"}, WorkingDir: "/",
	}
	for _, p := range s.Ports {
		if c.Config.ExposedPorts == nil {
			c.Config.ExposedPorts = map[string]struct{}{}
		}
		c.Config.ExposedPorts[p] = struct{}{}
	}
	for _, v := range s.Volumes {
		if c.Config.Volumes == nil {
			c.Config.Volumes = map[string]struct{}{}
		}
		c.Config.Volumes[v] = struct{}{}
	}
	return c
}

// systemLayer holds what programs expect of a system: users, names, web roots, a place for temporary files.
func systemLayer(s Spec) (v1.Layer, error) {
	var w writer
	w.dir("/etc", 0o755, 0)
	w.file("/etc/passwd", 0o644, "root:x:0:0:root:/root:/bin/false\nnonroot:x:65532:65532:nonroot:/home/nonroot:/bin/false\nnobody:x:65534:65534:nobody:/:/bin/false\n")
	w.file("/etc/group", 0o644, "root:x:0:\nnonroot:x:65532:\nnogroup:x:65534:\n")
	w.file("/etc/nsswitch.conf", 0o644, "hosts: files dns\n")
	w.dir("/etc/ssl", 0o755, 0)
	w.dir("/etc/ssl/certs", 0o755, 0)
	for _, path := range certificates {
		roots, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		w.file("/etc/ssl/certs/ca-certificates.crt", 0o644, string(roots))
		break
	}
	w.dir("/home", 0o755, 0)
	w.dir("/home/nonroot", 0o700, 65532)
	w.dir("/root", 0o700, 0)
	w.dir("/tmp", 0o1777, 0)
	for _, v := range s.Volumes {
		if err := w.parents(v); err != nil {
			return nil, err
		}
		w.dir(v, 0o755, owner(s.User))
	}
	return w.layer(s.Compress)
}

func owner(user string) int {
	var uid int
	if _, err := fmt.Sscanf(user, "%d", &uid); err != nil {
		return 0
	}
	return uid
}

func programLayer(s Spec) (v1.Layer, error) {
	programs := maps.Clone(s.Beside)
	if programs == nil {
		programs = map[string]string{}
	}
	programs[s.Path] = s.Program
	var w writer
	for _, at := range slices.Sorted(maps.Keys(programs)) {
		program, err := os.ReadFile(programs[at])
		if err != nil {
			return nil, err
		}
		if err := w.parents(at); err != nil {
			return nil, err
		}
		w.file(at, 0o755, string(program))
	}
	return w.layer(s.Compress)
}

// writer collects a layer. It keeps the first error for the end.
type writer struct {
	buf bytes.Buffer
	tar *tar.Writer
	err error
}

func (w *writer) add(h *tar.Header, content string) {
	if w.tar == nil {
		w.tar = tar.NewWriter(&w.buf)
	}
	h.Name, h.ModTime, h.Format = strings.TrimPrefix(h.Name, "/"), epoch, tar.FormatUSTAR
	if err := w.tar.WriteHeader(h); err != nil {
		w.err = errors.Join(w.err, err)
		return
	}
	if _, err := io.WriteString(w.tar, content); err != nil {
		w.err = errors.Join(w.err, err)
	}
}

func (w *writer) dir(name string, mode int64, uid int) {
	w.add(&tar.Header{Typeflag: tar.TypeDir, Name: name + "/", Mode: mode, Uid: uid, Gid: uid}, "")
}

func (w *writer) file(name string, mode int64, content string) {
	w.add(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: mode, Size: int64(len(content))}, content)
}

// parents adds the folders above an absolute path.
func (w *writer) parents(name string) error {
	if !path.IsAbs(name) || path.Clean(name) != name {
		return fmt.Errorf("%q is not an absolute path", name)
	}
	var above []string
	for dir := path.Dir(name); dir != "/"; dir = path.Dir(dir) {
		above = append([]string{dir}, above...)
	}
	for _, dir := range above {
		w.dir(dir, 0o755, 0)
	}
	return nil
}

// layer returns what was written as one layer.
func (w *writer) layer(compress bool) (v1.Layer, error) {
	if w.tar != nil {
		w.err = errors.Join(w.err, w.tar.Close())
	}
	if w.err != nil {
		return nil, fmt.Errorf("writing a layer: %w", w.err)
	}
	if !compress {
		return static.NewLayer(w.buf.Bytes(), types.OCIUncompressedLayer), nil
	}
	open := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(w.buf.Bytes())), nil }
	return tarball.LayerFromOpener(open, tarball.WithMediaType(types.OCILayer), tarball.WithCompressedCaching)
}
