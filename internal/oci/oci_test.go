// SPDX-License-Identifier: Apache-2.0

package oci_test

import (
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/apocryph/apocryph/internal/fault"
	providerv1 "github.com/apocryph/apocryph/internal/gen/providerv1"
	"github.com/apocryph/apocryph/internal/oci"
)

func image(t *testing.T, arch string) v1.Image {
	t.Helper()
	img, err := random.Image(1000, 2)
	if err != nil {
		t.Fatal(err)
	}
	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	config.OS, config.Architecture = "linux", arch
	if img, err = mutate.ConfigFile(img, config); err != nil {
		t.Fatal(err)
	}
	return img
}

func digestOf(t *testing.T, img v1.Image) string {
	t.Helper()
	d, err := img.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return d.String()
}

func index(images map[string]v1.Image) v1.ImageIndex {
	var all v1.ImageIndex = empty.Index
	for arch, img := range images {
		all = mutate.AppendManifests(all, mutate.IndexAddendum{
			Add: img, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: arch}},
		})
	}
	return all
}

func TestResolveFromLayout(t *testing.T) {
	amd, arm := image(t, "amd64"), image(t, "arm64")
	dir := t.TempDir()
	path, err := layout.Write(dir, empty.Index)
	if err != nil {
		t.Fatal(err)
	}
	named := func(ref string) layout.Option {
		return layout.WithAnnotations(map[string]string{"org.opencontainers.image.ref.name": ref})
	}
	for _, err := range []error{
		path.AppendImage(amd, named("pocketbase:0.40.4")),
		path.AppendImage(arm, named("ghcr.io/other/arm:1")),
		path.AppendIndex(index(map[string]v1.Image{"amd64": amd, "arm64": arm}), named("many")),
		path.AppendIndex(index(map[string]v1.Image{"arm64": arm}), named("armonly")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for what, c := range map[string]struct {
		ref  string
		want error
	}{
		"its short name":                     {"pocketbase:0.40.4", nil},
		"its full name":                      {"docker.io/library/pocketbase:0.40.4", nil},
		"its digest":                         {"whatever@" + digestOf(t, amd), nil},
		"an index with our platform":         {"many:latest", nil},
		"an index without our platform":      {"armonly", oci.ErrPlatform},
		"an image for another platform":      {"ghcr.io/other/arm:1", oci.ErrPlatform},
		"another tag":                        {"pocketbase:0.40.5", oci.ErrNotFound},
		"another registry of the same name":  {"ghcr.io/pocketbase:0.40.4", oci.ErrNotFound},
		"no reference":                       {"Not A Reference", oci.ErrReference},
		"a digest that the layout hasn't":    {"pocketbase@sha256:" + strings.Repeat("0", 64), oci.ErrNotFound},
		"a tag and a digest of another name": {"x:1@" + digestOf(t, amd), nil},
	} {
		t.Run(what, func(t *testing.T) {
			got, err := oci.Resolve(t.Context(), c.ref, oci.Sources{Layouts: []string{dir}, Offline: true})
			if !errors.Is(err, c.want) {
				t.Fatalf("got %v, want %v", err, c.want)
			}
			if err == nil && (got.Digest != digestOf(t, amd) || got.Source != dir || got.Size == 0) {
				t.Errorf("got %s from %s, want %s", got.Digest, got.Source, digestOf(t, amd))
			}
		})
	}
	if _, err := oci.Resolve(t.Context(), "x", oci.Sources{Layouts: []string{t.TempDir()}}); !errors.Is(err, oci.ErrLayout) {
		t.Errorf("got %v for an empty directory, want ErrLayout", err)
	}
}

func TestResolveFromRegistry(t *testing.T) {
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(server.Close)
	host := strings.TrimPrefix(server.URL, "http://")
	amd, arm := image(t, "amd64"), image(t, "arm64")
	put := func(ref string) name.Reference {
		r, err := name.ParseReference(host + "/" + ref)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	for _, err := range []error{
		remote.WriteIndex(put("many:1"), index(map[string]v1.Image{"amd64": amd, "arm64": arm})),
		remote.Write(put("single:1"), amd),
		remote.Write(put("arm:1"), arm),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for ref, want := range map[string]error{"many:1": nil, "single:1": nil, "arm:1": oci.ErrPlatform, "none:1": oci.ErrNotFound} {
		t.Run(ref, func(t *testing.T) {
			got, err := oci.Resolve(t.Context(), host+"/"+ref, oci.Sources{})
			if !errors.Is(err, want) {
				t.Fatalf("got %v, want %v", err, want)
			}
			if err == nil && (got.Digest != digestOf(t, amd) || got.Source != host) {
				t.Errorf("got %s from %s, want %s", got.Digest, got.Source, digestOf(t, amd))
			}
		})
	}
}

func TestPush(t *testing.T) {
	var mu sync.Mutex
	var writes int
	seen := map[string]bool{}
	store := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		if r.Method == http.MethodPatch || r.Method == http.MethodPut {
			writes++
		}
		seen[r.Header.Get("Apocryph-App-Salt")] = true
		mu.Unlock()
		store.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	img := image(t, "amd64")
	to := oci.Target{Transport: redirect(server), App: "app", Service: "web", Header: http.Header{"Apocryph-App-Salt": {"aa"}}}
	var last, all int64
	progress := func(done, total int64) {
		if done < last || done > total {
			t.Errorf("progress went from %d to %d of %d", last, done, total)
		}
		last, all = done, total
	}
	if err := oci.Push(t.Context(), to, img, progress); err != nil {
		t.Fatal(err)
	}
	if last != all || all == 0 || writes == 0 || len(seen) != 1 || !seen["aa"] {
		t.Errorf("%d of %d bytes, %d writes, salts %v", last, all, writes, seen)
	}
	first := writes
	if err := oci.Push(t.Context(), to, img, nil); err != nil || writes != first {
		t.Errorf("pushing again: %v, %d further writes", err, writes-first)
	}
}

func TestPushRefused(t *testing.T) {
	for name, head := range map[string]int{"at the first write": http.StatusNotFound, "at the first look": http.StatusForbidden} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/v2/" {
					return
				}
				w.WriteHeader(map[bool]int{true: head, false: http.StatusForbidden}[r.Method == http.MethodHead])
				_, _ = fmt.Fprint(w, `{"errors":[{"code":"DENIED","message":"no","detail":{"reason":"REASON_IMAGE_INVALID","hint":"rebuild it"}}]}`)
			}))
			t.Cleanup(server.Close)
			to := oci.Target{Transport: redirect(server), App: "app", Service: "web"}
			err := oci.Push(t.Context(), to, image(t, "amd64"), func(int64, int64) {})
			if fault.ReasonOf(err) != providerv1.Reason_REASON_IMAGE_INVALID || fault.HintOf(err) != "rebuild it" {
				t.Errorf("got reason %s, hint %q of %v", fault.ReasonOf(err), fault.HintOf(err), err)
			}
		})
	}
}

// redirect sends every request to one server, as a p2p client does.
func redirect(s *httptest.Server) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		r = r.Clone(r.Context())
		r.URL.Host = strings.TrimPrefix(s.URL, "http://")
		return http.DefaultTransport.RoundTrip(r)
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
