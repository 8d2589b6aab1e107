// SPDX-License-Identifier: Apache-2.0

package image

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
)

// Where an image layout's index keeps an image's name: for OCI tools, and for containerd, which wants it whole.
const (
	refAnnotation  = "org.opencontainers.image.ref.name"
	nameAnnotation = "io.containerd.image.name"
)

// Store puts an image into the layout in dir, in the place of those of the same repository. It returns the digest of its manifest.
func Store(dir, ref string, img v1.Image) (v1.Hash, error) {
	digest, err := img.Digest()
	if err != nil {
		return v1.Hash{}, err
	}
	if old, err := Digests(dir); err == nil && old[ref] == digest.String() {
		return digest, nil
	}
	l, err := layout.FromPath(dir)
	if err != nil {
		if l, err = layout.Write(dir, empty.Index); err != nil {
			return v1.Hash{}, fmt.Errorf("making the image layout: %w", err)
		}
	}
	named := func(d v1.Descriptor) bool { return repository(d.Annotations[refAnnotation]) == repository(ref) }
	err = l.ReplaceImage(img, named,
		layout.WithAnnotations(map[string]string{refAnnotation: ref, nameAnnotation: ref}),
		layout.WithPlatform(v1.Platform{OS: "linux", Architecture: "amd64"}))
	if err != nil {
		return v1.Hash{}, fmt.Errorf("storing %s: %w", ref, err)
	}
	unused, err := l.GarbageCollect()
	if err != nil {
		return v1.Hash{}, fmt.Errorf("cleaning the image layout: %w", err)
	}
	for _, blob := range unused {
		err = errors.Join(err, l.RemoveBlob(blob))
	}
	return digest, err
}

// repository is an image's name without its tag.
func repository(ref string) string {
	if at := strings.LastIndexByte(ref, ':'); at > strings.LastIndexByte(ref, '/') {
		return ref[:at]
	}
	return ref
}

// Digests returns the digests of the images in the layout in dir, by their names.
func Digests(dir string) (map[string]string, error) {
	l, err := layout.FromPath(dir)
	if err != nil {
		return nil, err
	}
	index, err := l.ImageIndex()
	if err != nil {
		return nil, err
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	for _, m := range manifest.Manifests {
		out[m.Annotations[refAnnotation]] = m.Digest.String()
	}
	return out, nil
}

// Archive writes one image of the layout in dir as a tar file, the form in which runtimes import images.
func Archive(dir, ref string, out io.Writer) error {
	l, err := layout.FromPath(dir)
	if err != nil {
		return err
	}
	index, err := l.ImageIndex()
	if err != nil {
		return err
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		return err
	}
	only := manifest.DeepCopy()
	only.Manifests = nil
	w := tar.NewWriter(out)
	for _, m := range manifest.Manifests {
		if m.Annotations[refAnnotation] != ref {
			continue
		}
		only.Manifests = append(only.Manifests, m)
		if err := addBlobs(w, dir, index, m.Digest); err != nil {
			return fmt.Errorf("archiving %s: %w", ref, err)
		}
	}
	content, err := json.Marshal(only)
	if err != nil {
		return err
	}
	return errors.Join(
		add(w, "index.json", bytes.NewReader(content), int64(len(content))),
		addFile(w, dir, "oci-layout"),
		w.Close())
}

// addBlobs adds a manifest and what it names.
func addBlobs(w *tar.Writer, dir string, index v1.ImageIndex, digest v1.Hash) error {
	img, err := index.Image(digest)
	if err != nil {
		return err
	}
	m, err := img.Manifest()
	if err != nil {
		return err
	}
	blobs := []v1.Hash{digest, m.Config.Digest}
	for _, layer := range m.Layers {
		blobs = append(blobs, layer.Digest)
	}
	for _, b := range blobs {
		if err := addFile(w, dir, path.Join("blobs", b.Algorithm, b.Hex)); err != nil {
			return err
		}
	}
	return nil
}

func addFile(w *tar.Writer, dir, name string) error {
	f, err := os.Open(filepath.Join(dir, name))
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	return add(w, name, f, info.Size())
}

func add(w *tar.Writer, name string, content io.Reader, size int64) error {
	if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: size, ModTime: epoch}); err != nil {
		return err
	}
	_, err := io.Copy(w, content)
	return err
}
