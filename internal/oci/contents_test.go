// SPDX-License-Identifier: Apache-2.0

package oci_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/apocryph/apocryph/internal/oci"
)

// layerOf is a layer of lines: "path=content", "path->target" for a symbolic link, "path=>target" for a hard one, "path/" for a directory.
func layerOf(t testing.TB, lines ...string) v1.Layer {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, line := range lines {
		h := &tar.Header{Name: line, Mode: 0o644, Typeflag: tar.TypeReg}
		content := ""
		if name, target, ok := strings.Cut(line, "->"); ok {
			h.Name, h.Linkname, h.Typeflag = name, target, tar.TypeSymlink
		} else if name, target, ok := strings.Cut(line, "=>"); ok {
			h.Name, h.Linkname, h.Typeflag = name, target, tar.TypeLink
		} else if name, text, ok := strings.Cut(line, "="); ok {
			h.Name, content = name, text
		} else if strings.HasSuffix(line, "/") {
			h.Typeflag = tar.TypeDir
		}
		h.Size = int64(len(content))
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(content)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return static.NewLayer(b.Bytes(), types.OCIUncompressedLayer)
}

func imageOf(t testing.TB, layers ...v1.Layer) *oci.Image {
	t.Helper()
	img, err := mutate.AppendLayers(empty.Image, layers...)
	if err != nil {
		t.Fatal(err)
	}
	return &oci.Image{Image: img}
}

// Files are those that a container of the image would see.
func TestFiles(t *testing.T) {
	cases := map[string]struct {
		layers [][]string
		want   string
	}{
		"of the only layer":                        {[][]string{{"./", "./etc/", "./etc/passwd=a", "./etc/group=g"}}, "group=g passwd=a"},
		"the topmost counts":                       {[][]string{{"etc/passwd=a", "etc/group=g"}, {"etc/passwd=b"}, {"usr/bin/x=y"}}, "group=g passwd=b"},
		"the last of one layer counts":             {[][]string{{"etc/passwd=a", "/etc/passwd=b"}}, "passwd=b"},
		"an empty one is there":                    {[][]string{{"etc/passwd=a"}, {"etc/passwd="}}, "passwd="},
		"taken away above":                         {[][]string{{"etc/passwd=a", "etc/group=g"}, {"etc/.wh.passwd="}}, "group=g"},
		"taken away and made anew":                 {[][]string{{"etc/passwd=a"}, {"etc/passwd=b", "etc/.wh.passwd="}}, "passwd=b"},
		"taken away with its directory":            {[][]string{{"etc/passwd=a"}, {".wh.etc="}}, ""},
		"in a directory that is made anew":         {[][]string{{"etc/passwd=a", "etc/group=g"}, {"etc/.wh..wh..opq=", "etc/group=h"}}, "group=h"},
		"another that is taken away":               {[][]string{{"etc/passwd=a"}, {"etc/.wh.passwd-=", "etc/.wh.pass=", ".wh.et=", "var/.wh..wh..opq="}}, "passwd=a"},
		"a link":                                   {[][]string{{"etc/passwd->../usr/share/passwd", "usr/share/passwd=a"}}, "passwd=a"},
		"a link to what another layer has":         {[][]string{{"nix/store/1/passwd=a"}, {"etc/passwd->/nix/store/1/passwd"}}, "passwd=a"},
		"a directory that is a link":               {[][]string{{"private/etc/passwd=a"}, {"etc->private/etc"}}, "passwd=a"},
		"a hard link":                              {[][]string{{"a=a", "etc/passwd=>a"}}, "passwd=a"},
		"a link that leads out stays within":       {[][]string{{"etc/passwd->../../../../passwd", "passwd=a"}}, "passwd=a"},
		"a link to itself":                         {[][]string{{"etc/passwd->passwd", "etc/group=g"}}, "group=g"},
		"links in a circle":                        {[][]string{{"etc->x", "x->etc"}}, ""},
		"a directory in its place":                 {[][]string{{"etc/passwd=a"}, {"etc/passwd/"}}, ""},
		"a file in the place of its directory":     {[][]string{{"etc/passwd=a"}, {"etc=x"}}, ""},
		"none":                                     {[][]string{{"usr/bin/x=y"}}, ""},
		"no layers":                                {nil, ""},
		"one that is above, of a name that begins": {[][]string{{"etc/passwd=a"}, {"etc/passwd.d/x=y", "etc/passwd-=b"}}, "passwd=a"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			var layers []v1.Layer
			for _, lines := range c.layers {
				layers = append(layers, layerOf(t, lines...))
			}
			files, err := imageOf(t, layers...).Files(t.Context(), "/etc/passwd", "/etc/group")
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, p := range slices.Sorted(maps.Keys(files)) {
				got = append(got, fmt.Sprintf("%s=%s", strings.TrimPrefix(p, "/etc/"), files[p]))
			}
			if strings.Join(got, " ") != c.want {
				t.Errorf("got %q, want %q", strings.Join(got, " "), c.want)
			}
		})
	}
}

// Layers that can't be read are an error, but not if nothing of them matters.
func TestFilesOfBrokenLayers(t *testing.T) {
	junk := static.NewLayer([]byte(strings.Repeat("not a tar archive", 100)), types.OCIUncompressedLayer)
	if _, err := imageOf(t, junk).Files(t.Context(), "/etc/passwd"); !errors.Is(err, oci.ErrContents) {
		t.Errorf("junk: got %v, want ErrContents", err)
	}
	files, err := imageOf(t, junk, layerOf(t, "etc/passwd=a")).Files(t.Context(), "/etc/passwd")
	if err != nil || string(files["/etc/passwd"]) != "a" {
		t.Errorf("junk below: got %v, %v", files, err)
	}
	large := layerOf(t, "etc/passwd="+strings.Repeat("x", oci.MaxFile+1))
	if _, err := imageOf(t, large).Files(t.Context(), "/etc/passwd"); !errors.Is(err, oci.ErrContents) {
		t.Errorf("a large file: got %v, want ErrContents", err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := imageOf(t, layerOf(t, "etc/passwd=a")).Files(gone, "/etc/passwd"); !errors.Is(err, context.Canceled) {
		t.Errorf("nobody waits: got %v, want Canceled", err)
	}
}

// Whatever layers hold, what is found is bounded, of what was asked, and the same each time.
func FuzzImageFiles(f *testing.F) {
	raw := func(lines ...string) []byte {
		r, err := layerOf(f, lines...).Uncompressed()
		if err != nil {
			f.Fatal(err)
		}
		var b bytes.Buffer
		if _, err := b.ReadFrom(r); err != nil {
			f.Fatal(err)
		}
		return b.Bytes()
	}
	f.Add(raw("etc/passwd=a", "etc/group->passwd"), raw("etc/.wh.passwd=", "x=>etc/group"))
	f.Add(raw("etc->x", "x/passwd=y"), raw("x->etc"))
	f.Add([]byte{}, raw(".wh.="))
	f.Fuzz(func(t *testing.T, below, above []byte) {
		img := imageOf(t, static.NewLayer(below, types.OCIUncompressedLayer), static.NewLayer(above, types.OCIUncompressedLayer))
		files, err := img.Files(t.Context(), "/etc/passwd", "/etc/group")
		if err != nil && !errors.Is(err, oci.ErrContents) {
			t.Fatalf("got %v, want ErrContents", err)
		}
		for p, content := range files {
			if p != "/etc/passwd" && p != "/etc/group" || len(content) > oci.MaxFile {
				t.Errorf("found %s with %d bytes", p, len(content))
			}
		}
		again, err := img.Files(t.Context(), "/etc/passwd", "/etc/group")
		if err == nil && !maps.EqualFunc(files, again, bytes.Equal) {
			t.Errorf("got %v, then %v", files, again)
		}
	})
}
