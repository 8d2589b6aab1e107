// SPDX-License-Identifier: Apache-2.0

package builder

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/apocryph/apocryph/devnet/image"
)

// Names of the images.
const (
	Pause      = "apocryph.network/pause:1"
	CoreDNS    = "apocryph.network/coredns:1"
	PocketBase = "docker.io/pocketbase/pocketbase:0.39.1"
)

// SystemImages lists what runs in the devnet before its provider does.
func (b *Builder) SystemImages() []image.Spec {
	return []image.Spec{
		{Ref: Pause, Program: b.program("pause"), Path: "/pause", User: "65535"},
		{Ref: CoreDNS, Program: b.program("coredns"), Path: "/coredns", User: "65532"},
	}
}

// ProviderImage is the image of the provider's services. Its tag changes with its programs, so that a new one replaces what runs.
func (b *Builder) ProviderImage() (image.Spec, error) {
	program, carrier := b.program("apocryphd"), b.program("carrier")
	sum := sha256.New()
	for _, name := range []string{program, carrier} {
		if err := add(sum, name); err != nil {
			return image.Spec{}, err
		}
	}
	ref := fmt.Sprintf("apocryph.network/apocryphd:%x", sum.Sum(nil)[:6])
	return image.Spec{
		Ref: ref, Program: program, Path: "/usr/local/bin/apocryphd", Beside: map[string]string{"/usr/local/bin/carrier": carrier}, User: "65532",
	}, nil
}

func add(sum io.Writer, name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	_, err = io.Copy(sum, f)
	return err
}

// AppImages lists the images of apps, packed as their own projects do.
func (b *Builder) AppImages() []image.Spec {
	return []image.Spec{{
		Ref: PocketBase, Program: b.program("pocketbase"), Path: "/usr/local/bin/pocketbase",
		Args:  []string{"serve", "--http=0.0.0.0:8090", "--dir=/pb_data"},
		Ports: []string{"8090/tcp"}, Volumes: []string{"/pb_data"}, Compress: true,
		Labels: map[string]string{"org.opencontainers.image.source": "https://github.com/pocketbase/pocketbase"},
	}}
}

func (b *Builder) program(name string) string { return filepath.Join(b.Checkout.Bin(), name) }

// Pack makes images and stores them in the layout in dir.
func (b *Builder) Pack(ctx context.Context, dir string, specs ...image.Spec) error {
	for _, s := range specs {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		err := b.Progress.Do("pack", s.Ref, func() error {
			img, err := image.Build(s)
			if err != nil {
				return err
			}
			_, err = image.Store(dir, s.Ref, img)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}
