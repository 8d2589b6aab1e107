// SPDX-License-Identifier: Apache-2.0

package oci_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/apocryph/apocryph/internal/oci"
)

// contents are index, manifest and config of a layout that holds one image under a name.
func contents(f *testing.F) (index, manifest, config []byte) {
	f.Helper()
	img, err := random.Image(100, 1)
	if err != nil {
		f.Fatal(err)
	}
	c, err := img.ConfigFile()
	if err != nil {
		f.Fatal(err)
	}
	c.OS, c.Architecture = "linux", "amd64"
	if img, err = mutate.ConfigFile(img, c); err != nil {
		f.Fatal(err)
	}
	dir := f.TempDir()
	path, err := layout.Write(dir, empty.Index)
	if err != nil {
		f.Fatal(err)
	}
	if err := path.AppendImage(img, layout.WithAnnotations(map[string]string{"org.opencontainers.image.ref.name": "app:1"})); err != nil {
		f.Fatal(err)
	}
	if index, err = os.ReadFile(filepath.Join(dir, "index.json")); err != nil {
		f.Fatal(err)
	}
	if manifest, err = img.RawManifest(); err != nil {
		f.Fatal(err)
	}
	if config, err = img.RawConfigFile(); err != nil {
		f.Fatal(err)
	}
	return index, manifest, config
}

// judge checks that what was found is the image of the digest that it is said to be.
func judge(t *testing.T, got *oci.Image, err error) {
	t.Helper()
	if err != nil {
		if strings.Contains(err.Error(), "\n") || len(err.Error()) > 4000 {
			t.Errorf("not one short line: %.300q", err)
		}
		return
	}
	raw, err := got.RawManifest()
	if err != nil || got.Digest != fmt.Sprintf("sha256:%x", sha256.Sum256(raw)) {
		t.Errorf("found as %s: %s, %v", got.Digest, raw, err)
	}
	c, err := got.ConfigFile()
	if err != nil || c.OS != "linux" || c.Architecture != "amd64" || got.Size < 0 {
		t.Errorf("found: %+v of %d bytes, %v", c, got.Size, err)
	}
}

// A layout on disk came from elsewhere: index, manifest and config may be anything, under names that fit or don't.
func FuzzLayout(f *testing.F) {
	index, manifest, config := contents(f)
	f.Add(index, manifest, config)
	f.Add([]byte(`{"schemaVersion":2,"manifests":[{"mediaType":"application/vnd.oci.image.index.v1+json","digest":"x","annotations":{"org.opencontainers.image.ref.name":"app:1"}}]}`), []byte{}, []byte{})
	f.Add([]byte(`{}`), []byte(`null`), []byte(`[]`))
	f.Fuzz(func(t *testing.T, index, manifest, config []byte) {
		dir := t.TempDir()
		blobs := filepath.Join(dir, "blobs", "sha256")
		if err := os.MkdirAll(blobs, 0o700); err != nil {
			t.Fatal(err)
		}
		files := map[string][]byte{filepath.Join(dir, "index.json"): index, filepath.Join(dir, "oci-layout"): []byte(`{"imageLayoutVersion":"1.0.0"}`)}
		for _, b := range [][]byte{manifest, config} {
			files[filepath.Join(blobs, fmt.Sprintf("%x", sha256.Sum256(b)))] = b
		}
		for _, d := range namedIn(index, manifest) {
			if h, err := v1.NewHash(d); err == nil && h.Algorithm == "sha256" {
				files[filepath.Join(blobs, h.Hex)] = config // under a name that may be another's
			}
		}
		for name, b := range files {
			if err := os.WriteFile(name, b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		got, err := oci.Resolve(t.Context(), "app:1", oci.Sources{Layouts: []string{dir}, Offline: true})
		if err == nil {
			if raw, rawErr := got.RawManifest(); rawErr == nil && got.Digest != fmt.Sprintf("sha256:%x", sha256.Sum256(raw)) {
				t.Errorf("found as %s: %s", got.Digest, raw)
			}
			return
		}
		if len(err.Error()) > 4000 {
			t.Errorf("an error of %d bytes", len(err.Error()))
		}
	})
}

func namedIn(index, manifest []byte) []string {
	var all []string
	for _, b := range [][]byte{index, manifest} {
		var d struct {
			Config    struct{ Digest string }
			Manifests []struct{ Digest string }
		}
		_ = json.Unmarshal(b, &d)
		all = append(all, d.Config.Digest)
		for _, m := range d.Manifests {
			all = append(all, m.Digest)
		}
	}
	return all
}

type answers func(*http.Request) *http.Response

func (a answers) RoundTrip(r *http.Request) (*http.Response, error) { return a(r), nil }

// A registry may answer anything.
func FuzzRegistry(f *testing.F) {
	index, manifest, config := contents(f)
	f.Add("application/vnd.oci.image.manifest.v1+json", manifest, config)
	f.Add("application/vnd.oci.image.index.v1+json", index, manifest)
	f.Add("application/vnd.docker.distribution.manifest.v1+json", []byte(`{}`), []byte{})
	f.Add("", []byte(`{"errors":[{"code":"DENIED","message":"no\nno"}]}`), []byte{})
	f.Fuzz(func(t *testing.T, mediaType string, first, then []byte) {
		asked := 0
		from := oci.Sources{Transport: answers(func(r *http.Request) *http.Response {
			body := then
			h := http.Header{}
			switch asked++; {
			case strings.HasSuffix(r.URL.Path, "/v2/"):
				body, asked = nil, asked-1
			case asked == 1:
				body = first
				h["Content-Type"] = []string{mediaType}
			}
			return &http.Response{StatusCode: http.StatusOK, Header: h, Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)), Request: r}
		})}
		got, err := oci.Resolve(t.Context(), "registry.example/app:1", from)
		judge(t, got, err)
	})
}

// What a gateway says when it refuses is shown to people.
func FuzzPushRefused(f *testing.F) {
	f.Add(403, []byte(`{"errors":[{"code":"DENIED","message":"no","detail":{"reason":"REASON_BAD_REQUEST","hint":"do"}}]}`))
	f.Add(429, []byte(`{"errors":[{"detail":[]},{"detail":"x"}]}`))
	f.Add(404, []byte{})
	img, err := mutate.AppendLayers(empty.Image, static.NewLayer([]byte("a layer that takes no packing"), types.OCIUncompressedLayer))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		if status < 400 || status > 499 || status == http.StatusRequestTimeout || status == http.StatusTooManyRequests {
			return // these are tried again
		}
		to := oci.Target{App: "app", Service: "web", Transport: answers(func(r *http.Request) *http.Response {
			answer := status
			if r.URL.Path == "/v2/" {
				answer = http.StatusOK // whoever is refused here is asked twice, by https and by http, with a wait between
			}
			return &http.Response{StatusCode: answer, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(body)), Request: r}
		})}
		if err := oci.Push(t.Context(), to, img, nil); err == nil {
			t.Error("a refusal passes for a push")
		}
	})
}
