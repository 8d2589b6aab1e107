// SPDX-License-Identifier: Apache-2.0

package imagestore_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/google/go-containerregistry/pkg/v1/validate"
	"github.com/klauspost/compress/zstd"

	"github.com/apocryph/apocryph/internal/delegation"
	"github.com/apocryph/apocryph/internal/imagestore"
)

const (
	ociManifest = "application/vnd.oci.image.manifest.v1+json"
	ociConfig   = "application/vnd.oci.image.config.v1+json"
	ociLayer    = "application/vnd.oci.image.layer.v1.tar"
)

func appID(n byte) string { return delegation.AppID{31: n}.String() }

type faces struct {
	store      *imagestore.Store
	push, pull *httptest.Server
}

func serve(t *testing.T, dir string, l imagestore.Limits) faces {
	t.Helper()
	store, err := imagestore.Open(dir, l)
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	f := faces{store, httptest.NewServer(store.Push(log)), httptest.NewServer(store.Pull(log))}
	t.Cleanup(func() { f.push.Close(); f.pull.Close(); _ = store.Close() })
	return f
}

func start(t *testing.T) faces { return serve(t, t.TempDir(), imagestore.Limits{}) }

// request sends one and returns status, OCI error code and headers.
func request(t *testing.T, method, url string, body io.Reader, headers ...string) (int, string, http.Header) {
	t.Helper()
	req, err := http.NewRequest(method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var answer struct {
		Errors []struct{ Code, Message string }
	}
	raw, _ := io.ReadAll(resp.Body)
	if resp.StatusCode >= 400 && method != http.MethodHead {
		if err := json.Unmarshal(raw, &answer); err != nil || len(answer.Errors) != 1 {
			t.Fatalf("%s %s: %d without an OCI error: %s", method, url, resp.StatusCode, raw)
		}
		return resp.StatusCode, answer.Errors[0].Code, resp.Header
	}
	return resp.StatusCode, "", resp.Header
}

func repo(s *httptest.Server, app string) string { return s.URL + "/v2/" + app + "/web" }

func sum(b []byte) string {
	h := sha256.Sum256(b)
	return "sha256:" + hex.EncodeToString(h[:])
}

func putBlob(t *testing.T, f faces, app string, b []byte) string {
	t.Helper()
	code, text, _ := request(t, http.MethodPost, repo(f.push, app)+"/blobs/uploads/?digest="+sum(b), bytes.NewReader(b))
	if code != http.StatusCreated {
		t.Fatalf("pushing a blob: %d %s", code, text)
	}
	return sum(b)
}

func putManifest(t *testing.T, f faces, app string, m any) (int, string, string) {
	t.Helper()
	raw, ok := m.([]byte)
	if !ok {
		var err error
		if raw, err = json.Marshal(m); err != nil {
			t.Fatal(err)
		}
	}
	code, text, _ := request(t, http.MethodPut, repo(f.push, app)+"/manifests/"+sum(raw), bytes.NewReader(raw), "Content-Type", ociManifest)
	return code, text, sum(raw)
}

func tarball(t *testing.T, content string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	_ = w.WriteHeader(&tar.Header{Name: "file", Size: int64(len(content)), Mode: 0o644})
	_, _ = io.WriteString(w, content)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func configFor(diffIDs ...string) []byte {
	b, _ := json.Marshal(map[string]any{
		"os": "linux", "architecture": "amd64", "config": map[string]any{},
		"rootfs": map[string]any{"type": "layers", "diff_ids": diffIDs},
	})
	return b
}

type desc struct {
	MediaType string   `json:"mediaType"`
	Digest    string   `json:"digest"`
	Size      int      `json:"size"`
	URLs      []string `json:"urls,omitempty"`
}

func manifestOf(config []byte, layers ...desc) map[string]any {
	return map[string]any{
		"schemaVersion": 2, "mediaType": ociManifest,
		"config": desc{MediaType: ociConfig, Digest: sum(config), Size: len(config)}, "layers": layers,
	}
}

func layerOf(b []byte) desc { return desc{MediaType: ociLayer, Digest: sum(b), Size: len(b)} }

func linux(t *testing.T, img v1.Image) v1.Image {
	t.Helper()
	c, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	c.OS, c.Architecture = "linux", "amd64"
	if img, err = mutate.ConfigFile(img, c); err != nil {
		t.Fatal(err)
	}
	return img
}

func with(t *testing.T, base types.MediaType, config types.MediaType, layers ...v1.Layer) v1.Image {
	t.Helper()
	img, err := mutate.AppendLayers(mutate.ConfigMediaType(mutate.MediaType(empty.Image, base), config), layers...)
	if err != nil {
		t.Fatal(err)
	}
	return linux(t, img)
}

// packed is a layer whose compressed form is given; go-containerregistry's static layers have no diffID of their own.
type packed struct {
	v1.Layer
	diffID v1.Hash
}

func (p packed) DiffID() (v1.Hash, error) { return p.diffID, nil }

func zstdLayer(t *testing.T) v1.Layer {
	t.Helper()
	raw := tarball(t, "zstd")
	w, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	diff, err := v1.NewHash(sum(raw))
	if err != nil {
		t.Fatal(err)
	}
	return packed{static.NewLayer(w.EncodeAll(raw, nil), types.OCILayerZStd), diff}
}

func TestPushAndPull(t *testing.T) {
	docker, err := random.Image(5000, 3)
	if err != nil {
		t.Fatal(err)
	}
	for what, img := range map[string]v1.Image{
		"docker schema 2, gzip": linux(t, docker),
		"oci, plain":            with(t, types.OCIManifestSchema1, types.OCIConfigJSON, static.NewLayer(tarball(t, "plain"), types.OCIUncompressedLayer)),
		"oci, zstd":             with(t, types.OCIManifestSchema1, types.OCIConfigJSON, zstdLayer(t)),
		"oci, no layers":        with(t, types.OCIManifestSchema1, types.OCIConfigJSON),
	} {
		t.Run(what, func(t *testing.T) {
			dir := t.TempDir()
			f := serve(t, dir, imagestore.Limits{})
			digest, err := img.Digest()
			if err != nil {
				t.Fatal(err)
			}
			ref := func(s *httptest.Server) name.Reference {
				r, err := name.NewDigest(strings.TrimPrefix(s.URL, "http://") + "/" + appID(1) + "/web@" + digest.String())
				if err != nil {
					t.Fatal(err)
				}
				return r
			}
			for range 2 { // the second time everything is there
				if err := remote.Write(ref(f.push), img); err != nil {
					t.Fatal(err)
				}
			}
			got, err := remote.Image(ref(f.pull))
			if err != nil {
				t.Fatal(err)
			}
			if what == "docker schema 2, gzip" { // validate unpacks gzip only
				if err := validate.Image(got); err != nil {
					t.Error(err)
				}
			}
			if have, err := got.Digest(); err != nil || have != digest {
				t.Errorf("pulled %s, %v; want %s", have, err, digest)
			}
			layers, err := got.Layers()
			if err != nil {
				t.Fatal(err)
			}
			for _, l := range layers {
				r, err := l.Compressed()
				if err != nil {
					t.Fatal(err)
				}
				if _, err := io.Copy(io.Discard, r); err != nil {
					t.Error(err)
				}
				_ = r.Close()
			}
			if left, _ := filepath.Glob(filepath.Join(dir, "*", "uploads", "*")); len(left) != 0 {
				t.Errorf("uploads left: %v", left)
			}
		})
	}
}

func TestManifestRefused(t *testing.T) {
	layer, other := tarball(t, "mine"), tarball(t, "theirs")
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	_, _ = z.Write(layer)
	_ = z.Close()
	good := configFor(sum(layer))
	edit := func(m map[string]any, key string, v any) map[string]any { m[key] = v; return m }
	gz := func(b []byte) desc {
		d := layerOf(b)
		d.MediaType += "+gzip"
		return d
	}
	for what, c := range map[string]struct {
		blobs    [][]byte
		manifest any
		status   int
		code     string
	}{
		"names a layer that only another app has": {
			[][]byte{configFor(sum(other))}, manifestOf(configFor(sum(other)), layerOf(other)), 404, "MANIFEST_BLOB_UNKNOWN",
		},
		"names a config that only another app has": {
			[][]byte{other}, manifestOf(configFor(sum(layer), sum(layer)), layerOf(layer), layerOf(layer)), 404, "MANIFEST_BLOB_UNKNOWN",
		},
		"config repeats another's diffIDs over bogus layers": {
			[][]byte{configFor(sum(other)), layer}, manifestOf(configFor(sum(other)), layerOf(layer)), 400, "MANIFEST_INVALID",
		},
		"fewer diffIDs than layers":                {[][]byte{good, layer}, manifestOf(good, layerOf(layer), layerOf(layer)), 400, "MANIFEST_INVALID"},
		"a size that is not the layer's":           {[][]byte{good, layer}, manifestOf(good, desc{ociLayer, sum(layer), 3, nil}), 400, "MANIFEST_INVALID"},
		"gzip said, plain content":                 {[][]byte{good, layer}, manifestOf(good, gz(layer)), 400, "MANIFEST_INVALID"},
		"gzip with something behind it":            {[][]byte{good, append(zipped.Bytes(), "junk"...)}, manifestOf(good, gz(append(zipped.Bytes(), "junk"...))), 400, "MANIFEST_INVALID"},
		"truncated gzip":                           {[][]byte{good, zipped.Bytes()[:20]}, manifestOf(good, gz(zipped.Bytes()[:20])), 400, "MANIFEST_INVALID"},
		"a layer kept elsewhere":                   {[][]byte{good, layer}, manifestOf(good, desc{ociLayer, sum(layer), len(layer), []string{"http://x"}}), 400, "MANIFEST_INVALID"},
		"a foreign layer's media type":             {[][]byte{good, layer}, manifestOf(good, desc{"application/vnd.oci.image.layer.nondistributable.v1.tar", sum(layer), len(layer), nil}), 400, "MANIFEST_INVALID"},
		"an index":                                 {nil, map[string]any{"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": []any{}}, 400, "MANIFEST_INVALID"},
		"a manifest that is an index too":          {[][]byte{good, layer}, edit(manifestOf(good, layerOf(layer)), "manifests", []any{}), 400, "MANIFEST_INVALID"},
		"another media type inside":                {[][]byte{good, layer}, edit(manifestOf(good, layerOf(layer)), "mediaType", "application/vnd.docker.distribution.manifest.v2+json"), 400, "MANIFEST_INVALID"},
		"a digest that climbs out of the store":    {[][]byte{good}, manifestOf(good, desc{ociLayer, "sha256:../../../etc/passwd", 1, nil}), 400, "DIGEST_INVALID"},
		"another hash function":                    {[][]byte{good}, manifestOf(good, desc{ociLayer, "sha512:" + strings.Repeat("0", 128), 1, nil}), 400, "DIGEST_INVALID"},
		"another machine's architecture":           {[][]byte{[]byte(`{"os":"linux","architecture":"s390x","rootfs":{"type":"layers"}}`)}, manifestOf([]byte(`{"os":"linux","architecture":"s390x","rootfs":{"type":"layers"}}`)), 400, "MANIFEST_INVALID"},
		"a config that is no config":               {[][]byte{layer}, manifestOf(layer, layerOf(layer)), 400, "MANIFEST_INVALID"},
		"no JSON":                                  {nil, []byte("hello"), 400, "MANIFEST_INVALID"},
		"a config with an artifact's media type":   {[][]byte{good, layer}, edit(manifestOf(good, layerOf(layer)), "config", desc{"application/x", sum(good), len(good), nil}), 400, "MANIFEST_INVALID"},
		"a layer that is missing from every store": {[][]byte{good}, manifestOf(good, layerOf([]byte("nobody has me"))), 404, "MANIFEST_BLOB_UNKNOWN"},
	} {
		t.Run(what, func(t *testing.T) {
			f := start(t)
			// The victim has everything.
			for _, b := range [][]byte{layer, other, configFor(sum(other)), configFor(sum(layer), sum(layer))} {
				putBlob(t, f, appID(2), b)
			}
			for _, b := range c.blobs {
				putBlob(t, f, appID(1), b)
			}
			status, code, digest := putManifest(t, f, appID(1), c.manifest)
			if status != c.status || code != c.code {
				t.Errorf("got %d %s, want %d %s", status, code, c.status, c.code)
			}
			if status, _, _ := request(t, http.MethodHead, repo(f.pull, appID(1))+"/manifests/"+digest, nil); status != http.StatusNotFound && status != http.StatusBadRequest {
				t.Errorf("it is served: %d", status)
			}
		})
	}
}

func TestAnotherAppsImageIsNotServed(t *testing.T) {
	f := start(t)
	layer := tarball(t, "private")
	config := configFor(sum(layer))
	putBlob(t, f, appID(2), layer)
	putBlob(t, f, appID(2), config)
	status, code, digest := putManifest(t, f, appID(2), manifestOf(config, layerOf(layer)))
	if status != http.StatusCreated {
		t.Fatal(status, code)
	}
	for _, face := range []*httptest.Server{f.push, f.pull} {
		if status, _, _ := request(t, http.MethodGet, repo(face, appID(2))+"/manifests/"+digest, nil); status != http.StatusOK {
			t.Errorf("its own: %d", status)
		}
		if status, _, _ := request(t, http.MethodGet, repo(face, appID(1))+"/manifests/"+digest, nil); status != http.StatusNotFound {
			t.Errorf("manifest for another app: %d", status)
		}
		if status, _, _ := request(t, http.MethodGet, repo(face, appID(1))+"/blobs/"+sum(layer), nil); status != http.StatusNotFound {
			t.Errorf("blob for another app: %d", status)
		}
	}
	// A mount is an upload like any other: nothing comes from another repository.
	status, _, _ = request(t, http.MethodPost, repo(f.push, appID(1))+"/blobs/uploads/?mount="+sum(layer)+"&from="+appID(2)+"/web", nil)
	if status != http.StatusAccepted {
		t.Errorf("mount: %d, want 202", status)
	}
}

func TestRestart(t *testing.T) {
	dir := t.TempDir()
	layer := tarball(t, "kept")
	config := configFor(sum(layer))
	first := serve(t, dir, imagestore.Limits{})
	putBlob(t, first, appID(1), layer)
	putBlob(t, first, appID(1), config)
	status, code, digest := putManifest(t, first, appID(1), manifestOf(config, layerOf(layer)))
	if status != http.StatusCreated {
		t.Fatal(status, code)
	}
	if err := os.MkdirAll(filepath.Join(dir, ".removed-x", "blobs"), 0o700); err != nil {
		t.Fatal(err)
	}
	second := serve(t, dir, imagestore.Limits{})
	if status, _, h := request(t, http.MethodGet, repo(second.pull, appID(1))+"/manifests/"+digest, nil); status != http.StatusOK || h.Get("Content-Type") != ociManifest {
		t.Errorf("after a restart: %d %s", status, h.Get("Content-Type"))
	}
	if first.store.Bytes() != second.store.Bytes() || second.store.Bytes() == 0 {
		t.Errorf("%d bytes before, %d after", first.store.Bytes(), second.store.Bytes())
	}
	if _, err := os.Stat(filepath.Join(dir, ".removed-x")); !errors.Is(err, fs.ErrNotExist) {
		t.Error("the rest of a removal is still there")
	}
}

func TestUploads(t *testing.T) {
	f := start(t)
	base := repo(f.push, appID(1))
	content := []byte("hello, blob")
	begin := func() string {
		t.Helper()
		status, code, h := request(t, http.MethodPost, base+"/blobs/uploads/", nil)
		if status != http.StatusAccepted {
			t.Fatal(status, code)
		}
		return f.push.URL + h.Get("Location")
	}
	type step struct {
		method, query, rng string
		body               []byte
		want               int
		code               string
	}
	whole := "?digest=" + sum(content)
	for what, steps := range map[string][]step{
		"in one PUT":                     {{"PUT", whole, "", content, 201, ""}},
		"in two parts and a closing PUT": {{"PATCH", "", "0-4", content[:5], 202, ""}, {"GET", "", "", nil, 204, ""}, {"PATCH", "", "5-10", content[5:], 202, ""}, {"PUT", whole, "", nil, 201, ""}},
		"the last part in the PUT":       {{"PATCH", "", "", content[:5], 202, ""}, {"PUT", whole, "5-10", content[5:], 201, ""}},
		"a part out of order":            {{"PATCH", "", "5-10", content[5:], 416, "BLOB_UPLOAD_INVALID"}, {"PUT", whole, "", content, 201, ""}},
		"another digest":                 {{"PUT", "?digest=" + sum([]byte("x")), "", content, 400, "DIGEST_INVALID"}, {"GET", "", "", nil, 404, "BLOB_UPLOAD_UNKNOWN"}},
		"a truncated blob":               {{"PATCH", "", "", content[:5], 202, ""}, {"PUT", whole, "", nil, 400, "DIGEST_INVALID"}},
		"no digest":                      {{"PUT", "", "", content, 400, "DIGEST_INVALID"}},
		"cancelled":                      {{"DELETE", "", "", nil, 204, ""}, {"PUT", whole, "", content, 404, "BLOB_UPLOAD_UNKNOWN"}},
	} {
		t.Run(what, func(t *testing.T) {
			at := begin()
			for i, s := range steps {
				headers := []string{"Content-Type", "application/octet-stream"}
				if s.rng != "" {
					headers = append(headers, "Content-Range", s.rng)
				}
				status, code, _ := request(t, s.method, at+s.query, bytes.NewReader(s.body), headers...)
				if status != s.want || code != s.code {
					t.Fatalf("step %d: got %d %s, want %d %s", i+1, status, code, s.want, s.code)
				}
			}
			if last := steps[len(steps)-1]; last.want == 201 {
				if status, _, h := request(t, http.MethodHead, base+"/blobs/"+sum(content), nil); status != 200 || h.Get("Content-Length") != fmt.Sprint(len(content)) {
					t.Errorf("afterwards: %d, %s bytes", status, h.Get("Content-Length"))
				}
			}
		})
	}
}

func TestPathsRefused(t *testing.T) {
	f := start(t)
	digest := "sha256:" + strings.Repeat("0", 64)
	for what, c := range map[string]struct {
		face   *httptest.Server
		method string
		path   string
		want   int
		code   string
	}{
		"no app id":                     {f.pull, "GET", "/v2/library/nginx/manifests/" + digest, 400, "NAME_INVALID"},
		"an app id in capitals":         {f.pull, "GET", "/v2/" + strings.ToUpper(appID(1)) + "/web/blobs/" + digest, 400, "NAME_INVALID"},
		"a service with a slash":        {f.pull, "GET", "/v2/" + appID(1) + "/a%2fb/blobs/" + digest, 400, "NAME_INVALID"},
		"a service that climbs":         {f.push, "POST", "/v2/" + appID(1) + "/%2e%2e/blobs/uploads/", 400, "NAME_INVALID"},
		"a tag":                         {f.pull, "GET", "/v2/" + appID(1) + "/web/manifests/latest", 400, "UNSUPPORTED"},
		"a manifest by tag pushed":      {f.push, "PUT", "/v2/" + appID(1) + "/web/manifests/latest", 400, "UNSUPPORTED"},
		"a digest that climbs":          {f.pull, "GET", "/v2/" + appID(1) + "/web/blobs/sha256:..%2f..%2fx", 400, "DIGEST_INVALID"},
		"an upload id that climbs":      {f.push, "GET", "/v2/" + appID(1) + "/web/blobs/uploads/..%2fx", 404, "BLOB_UPLOAD_UNKNOWN"},
		"a list of tags":                {f.pull, "GET", "/v2/" + appID(1) + "/web/tags/list", 404, "UNSUPPORTED"},
		"the catalog":                   {f.pull, "GET", "/v2/_catalog", 404, "UNSUPPORTED"},
		"an unknown blob":               {f.pull, "GET", "/v2/" + appID(1) + "/web/blobs/" + digest, 404, "BLOB_UNKNOWN"},
		"an unknown manifest":           {f.pull, "GET", "/v2/" + appID(1) + "/web/manifests/" + digest, 404, "MANIFEST_UNKNOWN"},
		"an upload where kubelet pulls": {f.pull, "POST", "/v2/" + appID(1) + "/web/blobs/uploads/", 404, "UNSUPPORTED"},
	} {
		t.Run(what, func(t *testing.T) {
			if status, code, _ := request(t, c.method, c.face.URL+c.path, nil); status != c.want || code != c.code {
				t.Errorf("got %d %s, want %d %s", status, code, c.want, c.code)
			}
		})
	}
}

func TestLimits(t *testing.T) {
	f := serve(t, t.TempDir(), imagestore.Limits{BlobBytes: 4000, AppBytes: 6000, TotalBytes: 9000, UnpackedBytes: 3000, Layers: 2, Uploads: 2})
	blob := func(app string, fill byte, n int) (int, string) {
		b := bytes.Repeat([]byte{fill}, n)
		status, code, _ := request(t, http.MethodPost, repo(f.push, app)+"/blobs/uploads/?digest="+sum(b), bytes.NewReader(b))
		return status, code
	}
	type result struct {
		status int
		code   string
	}
	var got []result
	for _, c := range []struct {
		app  string
		fill byte
		n    int
	}{{appID(1), 1, 4001}, {appID(1), 1, 4000}, {appID(1), 2, 2001}, {appID(1), 2, 2000}, {appID(1), 1, 0}, {appID(2), 1, 3001}, {appID(2), 1, 3000}} {
		status, code := blob(c.app, c.fill, c.n)
		got = append(got, result{status, code})
	}
	want := []result{{413, "SIZE_INVALID"}, {201, ""}, {403, "DENIED"}, {201, ""}, {201, ""}, {403, "DENIED"}, {201, ""}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(result{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if f.store.Bytes() != 9000 {
		t.Errorf("%d bytes booked, want 9000: what was refused must not count", f.store.Bytes())
	}

	small := serve(t, t.TempDir(), imagestore.Limits{UnpackedBytes: 3000, Layers: 2, Uploads: 2})
	bomb, tiny := tarball(t, strings.Repeat("x", 3000)), tarball(t, "x")
	for what, layers := range map[string][][]byte{"unpacks to too much": {bomb}, "too many layers": {tiny, tiny, tiny}} {
		var diffs []string
		var descs []desc
		for _, l := range layers {
			putBlob(t, small, appID(1), l)
			diffs, descs = append(diffs, sum(l)), append(descs, layerOf(l))
		}
		putBlob(t, small, appID(1), configFor(diffs...))
		if status, code, _ := putManifest(t, small, appID(1), manifestOf(configFor(diffs...), descs...)); status != 413 || code != "SIZE_INVALID" {
			t.Errorf("%s: %d %s", what, status, code)
		}
	}
	for i, want := range []int{202, 202, 403} {
		if status, _, _ := request(t, http.MethodPost, repo(small.push, appID(1))+"/blobs/uploads/", nil); status != want {
			t.Errorf("upload %d: %d, want %d", i+1, status, want)
		}
	}
}
