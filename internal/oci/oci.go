// SPDX-License-Identifier: Apache-2.0

// Package oci finds a publisher's images and pushes them to a provider.
//
// An image is found by its reference in OCI image layouts on disk first, then in a registry, and is from then on one linux/amd64 image
// manifest, known by its digest: tags and indexes end here. What is pushed is that image byte for byte, so that its digest at the
// provider is the one that the publisher signed.
package oci

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/apocryph/apocryph/internal/fault"
)

// Errors of Resolve.
var (
	// ErrReference says that a text is no image reference.
	ErrReference = errors.New("not an image reference")
	// ErrNotFound says that no layout and no registry has the image.
	ErrNotFound = errors.New("image not found")
	// ErrPlatform says that the image exists, but not for linux/amd64.
	ErrPlatform = errors.New("image has no linux/amd64 variant")
	// ErrLayout says that a directory is no readable OCI image layout.
	ErrLayout = errors.New("not an OCI image layout")
)

const (
	annotationRef        = "org.opencontainers.image.ref.name"
	annotationContainerd = "io.containerd.image.name"

	maxIndexDepth = 3
)

func platform() v1.Platform { return v1.Platform{OS: "linux", Architecture: "amd64"} }

// Sources say where images are looked for.
type Sources struct {
	// Layouts are directories of OCI image layouts, the first match wins.
	Layouts []string
	// Offline leaves registries out.
	Offline bool
	// Transport and Keychain reach registries; nil means the default transport and the docker configuration's credentials.
	Transport http.RoundTripper
	Keychain  authn.Keychain
}

// Image is one that was found. Its layers are read when they are pushed.
type Image struct {
	v1.Image
	// Ref is what was asked for, Source where it was found: a layout's directory or a registry's name.
	Ref    string
	Source string
	// Digest is the manifest's, "sha256:" and 64 hex digits.
	Digest string
	// Size is that of manifest, config and layers together, in bytes.
	Size int64
}

// Resolve finds an image. It returns ErrReference, ErrNotFound, ErrPlatform or ErrLayout, or what the registry answered.
func Resolve(ctx context.Context, ref string, from Sources) (*Image, error) {
	want, err := name.ParseReference(ref)
	if err != nil {
		return nil, fmt.Errorf("image %q: %w: %w", ref, ErrReference, err)
	}
	for _, dir := range from.Layouts {
		img, err := fromLayout(dir, want)
		if errors.Is(err, ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("image %s in %s: %w", ref, dir, err)
		}
		return found(img, ref, dir)
	}
	if from.Offline {
		err := fmt.Errorf("image %s: %w in %d layouts", ref, ErrNotFound, len(from.Layouts))
		return nil, fault.Hint(err, "name a directory that has it with --images")
	}
	img, err := fromRegistry(ctx, want, from)
	if err != nil {
		return nil, fmt.Errorf("image %s: %w", ref, err)
	}
	return found(img, ref, want.Context().RegistryStr())
}

func found(img v1.Image, ref, source string) (*Image, error) {
	config, err := img.ConfigFile()
	if err != nil {
		return nil, fmt.Errorf("image %s: reading its config: %w", ref, err)
	}
	if p := platform(); config.OS != p.OS || config.Architecture != p.Architecture {
		return nil, fmt.Errorf("image %s is for %.40q on %.40q: %w", ref, config.OS, config.Architecture, ErrPlatform)
	}
	digest, err := img.Digest()
	if err != nil {
		return nil, fmt.Errorf("image %s: %w", ref, err)
	}
	size, err := sizeOf(img)
	if err != nil {
		return nil, fmt.Errorf("image %s: %w", ref, err)
	}
	return &Image{Image: img, Ref: ref, Source: source, Digest: digest.String(), Size: size}, nil
}

func sizeOf(img v1.Image) (int64, error) {
	m, err := img.Manifest()
	if err != nil {
		return 0, err
	}
	sum, err := img.Size()
	if err != nil {
		return 0, err
	}
	sum += m.Config.Size
	for _, l := range m.Layers {
		sum += l.Size
	}
	return sum, nil
}

func fromRegistry(ctx context.Context, want name.Reference, from Sources) (v1.Image, error) {
	keys := from.Keychain
	if keys == nil {
		keys = authn.DefaultKeychain
	}
	options := []remote.Option{remote.WithContext(ctx), remote.WithAuthFromKeychain(keys), remote.WithPlatform(platform())}
	if from.Transport != nil {
		options = append(options, remote.WithTransport(from.Transport))
	}
	d, err := remote.Get(want, options...)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotFound, err)
	}
	if !d.MediaType.IsIndex() && !d.MediaType.IsImage() {
		return nil, fmt.Errorf("media type %.80q: %w", d.MediaType, ErrNotFound)
	}
	img, err := d.Image()
	if err != nil && d.MediaType.IsIndex() {
		return nil, fmt.Errorf("%w: %w", ErrPlatform, err)
	}
	return img, err
}

func fromLayout(dir string, want name.Reference) (v1.Image, error) {
	index, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrLayout, err)
	}
	m, err := index.IndexManifest()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrLayout, err)
	}
	for _, d := range m.Manifests {
		if matches(d, want) {
			return fromDescriptor(index, d, maxIndexDepth)
		}
	}
	return nil, ErrNotFound
}

// matches compares normalised references: pocketbase:1 is index.docker.io/library/pocketbase:1.
func matches(d v1.Descriptor, want name.Reference) bool {
	if digest, ok := want.(name.Digest); ok {
		return d.Digest.String() == digest.DigestStr()
	}
	for _, key := range []string{annotationRef, annotationContainerd} {
		if has, err := name.ParseReference(d.Annotations[key]); err == nil && has.Name() == want.Name() {
			return true
		}
	}
	return false
}

func fromDescriptor(in v1.ImageIndex, d v1.Descriptor, depth int) (v1.Image, error) {
	if d.MediaType.IsImage() {
		img, err := in.Image(d.Digest)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrLayout, err)
		}
		return img, nil
	}
	if !d.MediaType.IsIndex() || depth == 0 {
		return nil, fmt.Errorf("media type %.80q: %w", d.MediaType, ErrLayout)
	}
	index, err := in.ImageIndex(d.Digest)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrLayout, err)
	}
	m, err := index.IndexManifest()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrLayout, err)
	}
	for _, child := range m.Manifests {
		if p := child.Platform; p == nil || p.Satisfies(platform()) {
			if child.MediaType == types.OCIManifestSchema1 || child.MediaType == types.DockerManifestSchema2 || child.MediaType.IsIndex() {
				return fromDescriptor(index, child, depth-1)
			}
		}
	}
	return nil, ErrPlatform
}
