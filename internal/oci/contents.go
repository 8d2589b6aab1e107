// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

const (
	// MaxFile bounds a file that is read out of an image, in bytes.
	MaxFile = 1 << 20
	// maxUnpacked bounds what is unpacked to find files: what a provider takes of an image, too.
	maxUnpacked = 16 << 30
	maxLinks    = 8

	whiteout = ".wh."
	opaque   = ".wh..wh..opq"
)

// ErrContents says that an image's layers can't be read as the files that they are to hold.
var ErrContents = errors.New("the image's layers can't be read")

// Files reads files of an image as a container would see them: of the topmost layer that has them, unless one above it takes them away,
// and through links. Those that are not there, or are no files, have no entry. Layers below the last one that matters are not read.
func (i *Image) Files(ctx context.Context, paths ...string) (map[string][]byte, error) {
	layers, err := i.Layers()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrContents, err)
	}
	var open []*search
	for _, p := range paths {
		open = append(open, &search{asked: p, want: rooted(p)})
	}
	found := map[string][]byte{}
	left := &budget{ctx: ctx, bytes: maxUnpacked}
	for range 1 + maxLinks {
		if err := descend(left, layers, open); err != nil {
			return nil, err
		}
		var again []*search
		for _, s := range open {
			switch {
			case s.hit == nil || s.hit.content == nil && s.hit.link == "":
			case s.hit.link != "":
				again = append(again, &search{asked: s.asked, want: s.hit.link})
			default:
				found[s.asked] = s.hit.content
			}
		}
		if open = again; len(open) == 0 {
			break
		}
	}
	return found, nil
}

// search is for one file, through the layers from the topmost down.
type search struct {
	asked, want string
	hit         *entry
	// gone says that no layer further down matters.
	gone bool
}

func (s *search) over() bool { return s.hit != nil || s.gone }

// entry is what there is at a path: a file, a link to another path, or, with neither, something else.
type entry struct {
	content []byte
	link    string
}

func descend(left *budget, layers []v1.Layer, open []*search) error {
	for n := len(layers) - 1; n >= 0; n-- {
		var live []*search
		for _, s := range open {
			if !s.over() {
				live = append(live, s)
			}
		}
		if len(live) == 0 {
			return nil
		}
		if err := left.scan(layers[n], live); err != nil {
			return fmt.Errorf("%w: layer %d: %w", ErrContents, n+1, err)
		}
	}
	return nil
}

// budget bounds the bytes of all layers.
type budget struct {
	ctx   context.Context //nolint:containedctx // it ends the reading of a layer, which knows no context
	bytes int64
	from  io.Reader
}

// Read implements io.Reader.
func (b *budget) Read(p []byte) (int, error) {
	if err := b.ctx.Err(); err != nil {
		return 0, err
	}
	if b.bytes <= 0 {
		return 0, fmt.Errorf("they unpack to more than %d bytes", int64(maxUnpacked))
	}
	n, err := b.from.Read(p[:min(int64(len(p)), b.bytes)])
	b.bytes -= int64(n)
	return n, err
}

func (b *budget) scan(layer v1.Layer, live []*search) error {
	content, err := layer.Uncompressed()
	if err != nil {
		return err
	}
	defer func() { _ = content.Close() }()
	b.from = content
	// What a layer takes away is of those below, whatever the order in it.
	gone := map[*search]bool{}
	files := tar.NewReader(b)
	for {
		h, err := files.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		for _, s := range live {
			if err := s.see(h, files, gone); err != nil {
				return err
			}
		}
	}
	for s := range gone {
		s.gone = true
	}
	// To the end, so that who hands the layer out can compare its digest.
	_, err = io.Copy(io.Discard, b)
	return err
}

// see looks at one entry of a layer. Of several at one path the last counts, as it does when a layer is unpacked.
func (s *search) see(h *tar.Header, content io.Reader, gone map[*search]bool) error {
	name := rooted(h.Name)
	dir, base := path.Split(name)
	if hidden, ok := strings.CutPrefix(base, whiteout); ok {
		if base == opaque && below(s.want, path.Clean(dir)) || base != opaque && (s.want == dir+hidden || below(s.want, dir+hidden)) {
			gone[s] = true
		}
		return nil
	}
	switch {
	case h.Typeflag == tar.TypeSymlink && (s.want == name || below(s.want, name)):
		target := h.Linkname
		if !path.IsAbs(target) {
			target = dir + target
		}
		s.hit = &entry{link: rooted(target + strings.TrimPrefix(s.want, name))}
	case s.want == name && h.Typeflag == tar.TypeLink:
		s.hit = &entry{link: rooted(h.Linkname)}
	case s.want == name && h.Typeflag == tar.TypeReg:
		if h.Size > MaxFile {
			return fmt.Errorf("%s has %d bytes, at most %d are read", name, h.Size, MaxFile)
		}
		b, err := io.ReadAll(content)
		if err != nil {
			return err
		}
		s.hit = &entry{content: append([]byte{}, b...)}
	case s.want == name, below(s.want, name) && h.Typeflag != tar.TypeDir:
		s.hit = &entry{}
	}
	return nil
}

// rooted is a path from the root, which no .. leads out of.
func rooted(p string) string { return path.Clean("/" + p) }

func below(p, dir string) bool { return dir == "/" || strings.HasPrefix(p, dir+"/") }
