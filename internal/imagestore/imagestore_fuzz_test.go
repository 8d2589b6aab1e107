// SPDX-License-Identifier: Apache-2.0

package imagestore_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/json"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/klauspost/compress/zstd"

	"github.com/apocryph/apocryph/internal/imagestore"
)

// fuzzLimits are small, so that what is refused for its size is met too.
func fuzzLimits() imagestore.Limits {
	return imagestore.Limits{BlobBytes: 1 << 20, AppBytes: 1 << 40, TotalBytes: 1 << 40, UnpackedBytes: 1 << 20, Layers: 4, Files: 1 << 40, VerifyTime: time.Minute}
}

// unpacked is what a layer unpacks to, by a reader of its own that bounds nothing but its size.
func unpacked(mediaType string, packed []byte) ([]byte, error) {
	var r io.Reader = bytes.NewReader(packed)
	switch {
	case strings.HasSuffix(mediaType, "gzip"):
		z, err := gzip.NewReader(r)
		if err != nil {
			return nil, err
		}
		r = z
	case strings.HasSuffix(mediaType, "zstd"):
		z, err := zstd.NewReader(r)
		if err != nil {
			return nil, err
		}
		defer z.Close()
		r = z
	}
	return io.ReadAll(io.LimitReader(r, 2<<20))
}

// An image that is taken is what its manifest and config say: every digest, size and diffID, checked here anew by other means.
func FuzzImage(f *testing.F) {
	for _, compression := range []types.MediaType{types.OCILayer, types.OCIUncompressedLayer} {
		layer, err := random.Layer(200, compression)
		if err != nil {
			f.Fatal(err)
		}
		img, err := mutate.AppendLayers(mutate.MediaType(mutate.ConfigMediaType(empty.Image, types.OCIConfigJSON), types.OCIManifestSchema1), layer)
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
		manifest, err := img.RawManifest()
		if err != nil {
			f.Fatal(err)
		}
		config, err := img.RawConfigFile()
		if err != nil {
			f.Fatal(err)
		}
		r, err := layer.Compressed()
		if err != nil {
			f.Fatal(err)
		}
		blob, err := io.ReadAll(r)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(manifest, config, blob)
	}
	f.Add([]byte(`{}`), []byte(`{}`), []byte{})
	f.Add([]byte(`{"schemaVersion":2,"config":null,"layers":[{"size":-1}]}`), []byte(`{"rootfs":{"diff_ids":["x"]}}`), []byte{0x1f, 0x8b})
	// One store for all of them: to open one takes longer than to push an image.
	store, err := imagestore.Open(f.TempDir(), fuzzLimits())
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = store.Close() })
	push := store.Push(slog.New(slog.DiscardHandler))
	f.Fuzz(func(t *testing.T, manifest, config, layer []byte) {
		defer func() {
			if _, err := store.Remove(appID(1)); err != nil || store.Bytes() != 0 {
				t.Errorf("%d bytes are left, %v", store.Bytes(), err)
			}
		}()
		for _, blob := range [][]byte{config, layer} {
			r := httptest.NewRequest(http.MethodPost, "/v2/"+appID(1)+"/web/blobs/uploads/?digest="+sum(blob), bytes.NewReader(blob))
			push.ServeHTTP(httptest.NewRecorder(), r)
		}
		if err := store.PutManifest(context.Background(), appID(1), sum(manifest), ociManifest, manifest); err != nil {
			if strings.Contains(err.Error(), "\n") || len(err.Error()) > 2000 {
				t.Errorf("not one short line: %q", err)
			}
			return
		}
		var m struct {
			Config struct{ Digest string }
			Layers []struct {
				MediaType, Digest string
				Size              int
			}
		}
		var c struct {
			RootFS struct {
				DiffIDs []string `json:"diff_ids"`
			}
		}
		if json.Unmarshal(manifest, &m) != nil || json.Unmarshal(config, &c) != nil || m.Config.Digest != sum(config) || len(m.Layers) != len(c.RootFS.DiffIDs) {
			// Else its config is the layer's bytes, which may be one too.
			if m.Config.Digest != sum(layer) {
				t.Fatalf("taken: %s with config %s", manifest, config)
			}
			return
		}
		for i, l := range m.Layers {
			blob := layer
			if l.Digest == sum(config) {
				blob = config
			}
			plain, err := unpacked(l.MediaType, blob)
			if got := sha256.Sum256(plain); err != nil || l.Digest != sum(blob) || l.Size != len(blob) || sum(plain) != c.RootFS.DiffIDs[i] {
				t.Errorf("layer %d is taken: %+v unpacks to %x, %v", i, l, got, err)
			}
		}
	})
}

// Whatever is asked of the push face, it answers in kind and writes only below the app's own directory.
func FuzzRequest(f *testing.F) {
	app := appID(1)
	for _, s := range [][3]string{
		{"POST", "/v2/" + app + "/web/blobs/uploads/", "x"},
		{"POST", "/v2/" + app + "/web/blobs/uploads/?mount=sha256:" + strings.Repeat("0", 64) + "&from=" + appID(2) + "/web", ""},
		{"PATCH", "/v2/" + app + "/web/blobs/uploads/" + strings.Repeat("a", 32), "x"},
		{"PUT", "/v2/" + app + "/web/manifests/latest", "{}"},
		{"PUT", "/v2/" + app + "/web/manifests/" + sum([]byte("{}")), "{}"},
		{"GET", "/v2/" + app + "/web/blobs/../../../../etc/passwd", ""},
		{"GET", "/v2/" + app + "/web/blobs/sha256:" + strings.Repeat("0", 64), ""},
		{"DELETE", "/v2/%2e%2e/web/blobs/uploads/x", ""},
		{"HEAD", "/v2/_catalog", ""}, {"GET", "/v2/", ""},
	} {
		f.Add(s[0], s[1], "0-", []byte(s[2]))
	}
	dir := f.TempDir()
	store, err := imagestore.Open(filepath.Join(dir, "store"), fuzzLimits())
	if err != nil {
		f.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "outside"), []byte("outside"), 0o600); err != nil {
		f.Fatal(err)
	}
	push := store.Push(slog.New(slog.DiscardHandler))
	f.Fuzz(func(t *testing.T, method, target, contentRange string, body []byte) {
		r, err := http.NewRequest(method, "http://store", bytes.NewReader(body))
		if err != nil {
			return
		}
		if r.URL, err = r.URL.Parse(target); err != nil {
			return
		}
		r.Header["Content-Range"] = []string{contentRange}
		r.Header.Set("Content-Type", ociManifest)
		w := httptest.NewRecorder()
		push.ServeHTTP(w, r)
		if w.Code >= http.StatusInternalServerError {
			t.Errorf("%s %s: %d %s", method, target, w.Code, w.Body)
		}
		if bytes.Contains(w.Body.Bytes(), []byte("outside")) {
			t.Errorf("%s %s reads outside", method, target)
		}
		if w.Code >= http.StatusBadRequest && w.Body.Len() > 4096 {
			t.Errorf("%s %s: an error of %d bytes", method, target, w.Body.Len())
		}
		err = filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
			rest, _ := filepath.Rel(dir, name)
			parts := strings.Split(rest, string(filepath.Separator))
			if err == nil && !d.IsDir() && rest != "outside" && (len(parts) < 4 || len(parts[1]) != len(app)) {
				t.Errorf("%s %s makes %s", method, target, rest)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
		apps, err := store.Apps()
		if err != nil {
			t.Error(err)
		}
		for _, a := range apps {
			if _, err := store.Remove(a); err != nil {
				t.Error(err)
			}
		}
	})
}
