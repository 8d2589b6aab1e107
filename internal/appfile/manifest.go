// SPDX-License-Identifier: Apache-2.0

package appfile

import (
	"context"
	"fmt"
	"maps"
	"slices"

	manifestv1 "github.com/apocryph/apocryph/internal/gen/manifestv1"
	"github.com/apocryph/apocryph/internal/manifest"
)

// Image is what a name stands for at the moment.
type Image struct {
	// Digest is that of the linux/amd64 image's manifest: sha256: and 64 hex digits.
	Digest string
	// Ports are those that the image says it exposes.
	Ports []*manifestv1.Port
}

// Pins is what a manifest needs besides the file.
type Pins struct {
	// Resolve finds an image by the name that the file gives it.
	Resolve func(ctx context.Context, image string) (Image, error)
	// Salt returns 16 bytes for one environment variable, hard to guess and the same for the same arguments, so that the same file stays
	// the same workload.
	Salt func(service, name, value string) []byte
}

// Images returns the image of each service by the service's name.
func (f *File) Images() map[string]string {
	images := map[string]string{}
	for name, s := range f.project.Services {
		images[name] = s.Image
	}
	return images
}

// Manifest pins every image and makes the canonical manifest.
func (f *File) Manifest(ctx context.Context, pins Pins) (*manifestv1.Manifest, error) {
	m := &manifestv1.Manifest{Name: f.Name}
	for _, name := range slices.Sorted(maps.Keys(f.usedVolumes())) {
		m.Volumes = append(m.Volumes, &manifestv1.Volume{Name: name, SizeBytes: f.usedVolumes()[name]})
	}
	for _, name := range f.serviceNames() {
		c := serviceCheck{f: f, name: name}
		s := c.build()
		image, err := pins.Resolve(ctx, s.Image)
		if err != nil {
			at := f.doc.where([]string{"services", name, "image"})
			return nil, fmt.Errorf("%s:%d:%d: image %s of service %s: %w", f.doc.file, at.line, at.column, s.Image, name, err)
		}
		s.Digest = image.Digest
		s.Ports = sortPorts(append(s.Ports, image.Ports...))
		for _, e := range s.Env {
			e.Salt = pins.Salt(name, e.Name, e.Value)
		}
		m.Services = append(m.Services, s)
	}
	m.Http, _ = f.httpOf()
	if m.Http != nil {
		openHTTP(m)
	}
	if _, err := manifest.Encode(m); err != nil {
		return nil, fmt.Errorf("%s: %w", f.doc.file, err)
	}
	return m, nil
}

// openHTTP adds the http port to its service, where x-apocryph names one that the file does not.
func openHTTP(m *manifestv1.Manifest) {
	for _, s := range m.Services {
		if s.Name == m.Http.Service {
			s.Ports = sortPorts(append(s.Ports, &manifestv1.Port{Number: m.Http.Port, Protocol: "tcp"}))
		}
	}
}

// usedVolumes returns the size of each volume that some service mounts, by its label.
func (f *File) usedVolumes() map[string]uint64 {
	sizes := map[string]uint64{}
	for _, s := range f.project.Services {
		for _, v := range s.Volumes {
			sizes[Label(v.Source)] = DefaultVolumeBytes
			if n, ok := f.sizes[v.Source]; ok {
				sizes[Label(v.Source)] = n
			}
		}
	}
	return sizes
}
