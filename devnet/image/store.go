// SPDX-License-Identifier: Apache-2.0

package image

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
)

// Where an image layout's index keeps an image's name: for OCI tools, and for containerd, which wants it whole.
const (
	refAnnotation  = "org.opencontainers.image.ref.name"
	nameAnnotation = "io.containerd.image.name"
)

// Store puts an image into the layout in dir, in the place of one that had its name. It returns the digest of its manifest.
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
	named := func(d v1.Descriptor) bool { return d.Annotations[refAnnotation] == ref }
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

// Archive writes the layout in dir as a tar file, the form in which runtimes import images.
func Archive(dir string, out io.Writer) error {
	w := tar.NewWriter(out)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		return addFile(w, path, name)
	})
	if err != nil {
		return fmt.Errorf("archiving images: %w", err)
	}
	return w.Close()
}

func addFile(w *tar.Writer, path, name string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: info.Size(), ModTime: epoch}); err != nil {
		return err
	}
	_, err = io.Copy(w, f)
	return err
}
