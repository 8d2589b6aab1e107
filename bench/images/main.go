// SPDX-License-Identifier: Apache-2.0

// Command images measures how an image gets to a provider and back out to kubelet: this project's imagestore, which keeps one folder an
// app, checks the whole graph and syncs to disk, beside go-containerregistry's registry, which does not, in one run. The floor is writing
// and hashing the same bytes. Push over libp2p adds Noise and multiplexing to the same store.
package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/apocryph/apocryph/internal/delegation"
	"github.com/apocryph/apocryph/internal/imagestore"
	"github.com/apocryph/apocryph/internal/oci"
	"github.com/apocryph/apocryph/internal/p2p"
)

const (
	layers     = 4
	layerBytes = 32 << 20
	rounds     = 3
)

// appNames are app ids, one a round, so that nothing is there already.
func appName(round int) string { return delegation.AppID{byte(round)}.String() }

func main() {
	if err := run(context.Background(), os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "bench/images:", err)
		os.Exit(1)
	}
}

// newImage makes an image of random bytes, which no compression makes smaller.
func newImage() (v1.Image, error) {
	img, err := random.Image(layerBytes, layers)
	if err != nil {
		return nil, err
	}
	config, err := img.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", "amd64"
	return mutate.ConfigFile(img, config)
}

type row struct {
	name       string
	push, pull time.Duration
}

func run(ctx context.Context, out io.Writer) error {
	dir, err := os.MkdirTemp("", "bench-images")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	img, err := newImage()
	if err != nil {
		return err
	}
	floor, err := writeAndHash(dir)
	if err != nil {
		return err
	}
	rows := []row{}
	for _, m := range []struct {
		name string
		run  func(ctx context.Context, dir string, img v1.Image, round int) (time.Duration, time.Duration, error)
	}{
		{"go-containerregistry registry, HTTP", overPeer},
		{"imagestore, HTTP", overHTTP},
		{"imagestore, libp2p (Noise, h2c)", overLibp2p},
	} {
		best := row{name: m.name, push: time.Hour, pull: time.Hour}
		for round := range rounds {
			store := filepath.Join(dir, fmt.Sprintf("%d-%s", round, strings.ReplaceAll(m.name, " ", "")))
			push, pull, err := m.run(ctx, store, img, round)
			if err != nil {
				return fmt.Errorf("%s: %w", m.name, err)
			}
			best.push, best.pull = min(best.push, push), min(best.pull, pull)
			if err := os.RemoveAll(store); err != nil {
				return err
			}
		}
		rows = append(rows, best)
	}
	return table(out, floor, rows)
}

func table(out io.Writer, floor time.Duration, rows []row) error {
	const total = layers * layerBytes
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintf(w, "%d layers of %d MiB, best of %d\tpush MB/s\t× peer\tpull MB/s\t× peer\n", layers, layerBytes>>20, rounds)
	rate := func(d time.Duration) float64 { return total / d.Seconds() / 1e6 }
	_, _ = fmt.Fprintf(w, "floor: write, hash and sync\t%.0f\t\t\t\n", rate(floor))
	for _, r := range rows {
		_, _ = fmt.Fprintf(w, "%s\t%.0f\t%.2f\t%.0f\t%.2f\n", r.name, rate(r.push), rate(r.push)/rate(rows[0].push), rate(r.pull), rate(r.pull)/rate(rows[0].pull))
	}
	return w.Flush()
}

// writeAndHash is what storing the bytes costs by itself.
func writeAndHash(dir string) (time.Duration, error) {
	buf := make([]byte, layerBytes)
	begin := time.Now()
	for i := range layers {
		f, err := os.Create(filepath.Join(dir, fmt.Sprint("floor", i)))
		if err != nil {
			return 0, err
		}
		h := sha256.New()
		if _, err := io.MultiWriter(f, h).Write(buf); err != nil {
			return 0, err
		}
		if err := f.Sync(); err != nil {
			return 0, err
		}
		if err := f.Close(); err != nil {
			return 0, err
		}
	}
	return time.Since(begin), nil
}

func overPeer(ctx context.Context, dir string, img v1.Image, round int) (time.Duration, time.Duration, error) {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return 0, 0, err
	}
	peer := httptest.NewServer(registry.New(registry.WithBlobHandler(registry.NewDiskBlobHandler(dir)), registry.Logger(log.New(io.Discard, "", 0))))
	defer peer.Close()
	return pushPull(ctx, peer.URL, peer.URL, img, round, http.DefaultTransport)
}

func overHTTP(ctx context.Context, dir string, img v1.Image, round int) (time.Duration, time.Duration, error) {
	store, err := imagestore.Open(dir, imagestore.Limits{})
	if err != nil {
		return 0, 0, err
	}
	defer func() { _ = store.Close() }()
	quiet := slog.New(slog.DiscardHandler)
	push, pull := httptest.NewServer(store.Push(quiet)), httptest.NewServer(store.Pull(quiet))
	defer push.Close()
	defer pull.Close()
	return pushPull(ctx, push.URL, pull.URL, img, round, http.DefaultTransport)
}

func overLibp2p(ctx context.Context, dir string, img v1.Image, round int) (time.Duration, time.Duration, error) {
	store, err := imagestore.Open(dir, imagestore.Limits{})
	if err != nil {
		return 0, 0, err
	}
	defer func() { _ = store.Close() }()
	quiet := slog.New(slog.DiscardHandler)
	pull := httptest.NewServer(store.Pull(quiet))
	defer pull.Close()

	var hosts [2]*p2p.Host
	for i, listen := range [][]string{{"/ip4/127.0.0.1/tcp/0"}, nil} {
		key, err := p2p.NewKey()
		if err != nil {
			return 0, 0, err
		}
		if hosts[i], err = p2p.NewHost(p2p.Config{Key: key, Listen: listen}); err != nil {
			return 0, 0, err
		}
		defer func() { _ = hosts[i].Close() }()
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = hosts[0].Serve(ctx, store.Push(quiet))
	}()
	defer func() { cancel(); <-ended }()
	client, err := hosts[1].Dial(ctx, hosts[0].Addrs()[0])
	if err != nil {
		return 0, 0, err
	}
	defer client.Close()
	return pushPull(ctx, "http://provider", pull.URL, img, round, client.Transport)
}

func pushPull(ctx context.Context, pushURL, pullURL string, img v1.Image, round int, transport http.RoundTripper) (time.Duration, time.Duration, error) {
	app := appName(round)
	toPush := rebase{pushURL, transport}
	begin := time.Now()
	if err := oci.Push(ctx, oci.Target{Transport: toPush, App: app, Service: "web"}, img, nil); err != nil {
		return 0, 0, err
	}
	pushed := time.Since(begin)

	digest, err := img.Digest()
	if err != nil {
		return 0, 0, err
	}
	ref, err := name.NewDigest(strings.TrimPrefix(pullURL, "http://")+"/"+app+"/web@"+digest.String(), name.Insecure)
	if err != nil {
		return 0, 0, err
	}
	begin = time.Now()
	pulled, err := remote.Image(ref, remote.WithContext(ctx))
	if err != nil {
		return 0, 0, err
	}
	all, err := pulled.Layers()
	if err != nil {
		return 0, 0, err
	}
	for _, l := range all {
		r, err := l.Compressed()
		if err != nil {
			return 0, 0, err
		}
		if _, err := io.Copy(io.Discard, r); err != nil {
			return 0, 0, err
		}
		if err := r.Close(); err != nil {
			return 0, 0, err
		}
	}
	return pushed, time.Since(begin), nil
}

// rebase sends every request to one server, as a provider's transport does.
type rebase struct {
	base string
	next http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (r rebase) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.Clone(req.Context())
	req.URL.Host = strings.TrimPrefix(r.base, "http://")
	return r.next.RoundTrip(req)
}
