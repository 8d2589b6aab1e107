// SPDX-License-Identifier: Apache-2.0

package appfile

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	manifestv1 "github.com/apocryph/apocryph/internal/gen/manifestv1"
	"github.com/apocryph/apocryph/internal/manifest"
)

// Image is what a name stands for at the moment.
type Image struct {
	// Digest is that of the linux/amd64 image's manifest: sha256: and 64 hex digits.
	Digest string
	// Ports are those that the image says it exposes.
	Ports []*manifestv1.Port
	// Entrypoint and Cmd are the image's own.
	Entrypoint, Cmd []string
	// Health is the image's own check, nil without one. Times and retries of 0 mean that it does not say.
	Health *manifestv1.Health
	// StopSignal is the image's own; empty means SIGTERM.
	StopSignal string
	// Unseen says that nobody has looked at the image: what depends on it is left out.
	Unseen bool
	// ReadAccounts reads whom the image knows. It is asked only if a service gives a user or a group by name.
	ReadAccounts func(context.Context) (Accounts, error)

	accounts *Accounts
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
	m := &manifestv1.Manifest{Name: f.Name, Networks: f.networks(), EgressBytesPerSecond: f.egress}
	for _, name := range slices.Sorted(maps.Keys(f.volumes)) {
		m.Volumes = append(m.Volumes, &manifestv1.Volume{Name: name, SizeBytes: f.volumes[name]})
	}
	for _, o := range f.files {
		m.Files = append(m.Files, &manifestv1.File{Name: o.name, Content: o.content, Salt: pins.Salt("", o.name, string(o.content))})
	}
	slices.SortFunc(m.Files, func(a, b *manifestv1.File) int { return strings.Compare(a.Name, b.Name) })
	if f.webhook != "" {
		m.Notify = &manifestv1.Notify{Webhook: f.webhook, Salt: pins.Salt("", extension+".notify", f.webhook)}
	}
	m.Http, _ = f.httpOf()
	var problems Problems
	for _, name := range f.serviceNames() {
		c := serviceCheck{f: f, name: name, http: m.Http != nil && m.Http.Service == f.label(name)}
		ref := f.project.Services[name].Image
		image, err := pins.Resolve(ctx, ref)
		if err == nil {
			err = f.readAccounts(ctx, name, &image)
		}
		if err != nil {
			at := f.doc.where([]string{"services", name, "image"})
			return nil, fmt.Errorf("%s:%d:%d: image %s of service %s: %w", cmpOr(at.file, f.doc.file), at.line, at.column, ref, name, err)
		}
		s := c.build(&image)
		problems = append(problems, c.problems...)
		s.Digest = image.Digest
		s.Ports = sortPorts(append(s.Ports, image.Ports...))
		for _, e := range s.Env {
			e.Salt = pins.Salt(name, e.Name, e.Value)
		}
		m.Services = append(m.Services, s)
	}
	if len(problems) > 0 {
		return nil, sortProblems(problems)
	}
	f.copy(m)
	slices.SortFunc(m.Services, func(a, b *manifestv1.Service) int { return strings.Compare(a.Name, b.Name) })
	if m.Http != nil {
		openHTTP(m)
	}
	if _, err := manifest.Encode(m); err != nil {
		return nil, f.unencodable(err)
	}
	return m, nil
}

// unencodable is what is wrong with the app as a whole, which no one place of the file shows.
func (f *File) unencodable(err error) Problems {
	remedy := "see docs/guide/compose.md for what an app can hold"
	for _, o := range f.files {
		if len(o.content) > 0 {
			remedy = fmt.Sprintf("an app's environment and files have %d bytes in all: put what is large into an image or a volume", manifest.MaxSize)
		}
	}
	return Problems{{File: f.doc.file, Message: "this makes no app: " + firstLine(err), Remedy: remedy}}
}

// openHTTP adds the http port to its service, where x-apocryph names one that the file does not.
func openHTTP(m *manifestv1.Manifest) {
	for _, s := range m.Services {
		if s.Name == m.Http.Service {
			s.Ports = sortPorts(append(s.Ports, &manifestv1.Port{Number: m.Http.Port, Protocol: "tcp"}))
		}
	}
}

// Files says of each file that the manifest holds where its content comes from, by the file's name.
func (f *File) Files() map[string]string {
	from := map[string]string{}
	for _, o := range f.files {
		from[o.name] = o.source
	}
	return from
}
