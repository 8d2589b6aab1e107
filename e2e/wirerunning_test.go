// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	connectrpc "connectrpc.com/connect"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/apocryph/apocryph/api/v1alpha1"
	"github.com/apocryph/apocryph/e2e/bed"
	"github.com/apocryph/apocryph/internal/channel"
	"github.com/apocryph/apocryph/internal/delegation"
	providerv1 "github.com/apocryph/apocryph/internal/gen/providerv1"
	"github.com/apocryph/apocryph/internal/oci"
)

// testStranger: who knows an app's id, and even its salt, learns nothing about it and changes nothing.
func (w *wireWorld) testStranger(t *testing.T) {
	id := w.running.app
	stop := func(t *testing.T, by *wireClient, app delegation.AppID) *providerv1.StopRequest {
		return &providerv1.StopRequest{Statement: by.stop(t, app, w.running.terms.ID(by.Domain()), 5000)}
	}
	calls := map[string]func(context.Context, *testing.T, *wireClient, delegation.AppID) error{
		"status": func(ctx context.Context, _ *testing.T, c *wireClient, app delegation.AppID) error {
			_, err := c.RPC.Status(ctx, &providerv1.StatusRequest{App: app[:]})
			return err
		},
		"bill": func(ctx context.Context, _ *testing.T, c *wireClient, app delegation.AppID) error {
			_, err := c.RPC.Bill(ctx, &providerv1.BillRequest{App: app[:]})
			return err
		},
		"logs": func(ctx context.Context, _ *testing.T, c *wireClient, app delegation.AppID) error {
			return first(c.RPC.Logs(ctx, &providerv1.LogsRequest{App: app[:]}))
		},
		"events": func(ctx context.Context, _ *testing.T, c *wireClient, app delegation.AppID) error {
			return first(c.RPC.Events(ctx, &providerv1.EventsRequest{App: app[:]}))
		},
		"watch": func(ctx context.Context, _ *testing.T, c *wireClient, app delegation.AppID) error {
			return first(c.RPC.Watch(ctx, &providerv1.WatchRequest{App: app[:]}))
		},
		"quote": func(ctx context.Context, _ *testing.T, c *wireClient, app delegation.AppID) error {
			_, err := c.RPC.Quote(ctx, &providerv1.QuoteRequest{App: app[:], AppSalt: w.salt[:], Manifest: w.running.request.Manifest})
			return err
		},
		"push": func(ctx context.Context, t *testing.T, c *wireClient, app delegation.AppID) error {
			to := oci.Target{Transport: c.Conn.Transport, App: app.String(), Service: "probe", Header: bed.Header(t, c.Grant(t, nil), &w.salt)}
			return oci.Push(ctx, to, w.image.Image, nil)
		},
		"stop": func(ctx context.Context, t *testing.T, c *wireClient, app delegation.AppID) error {
			_, err := c.RPC.Stop(ctx, stop(t, c, app))
			return err
		},
	}
	for name, call := range calls {
		t.Run(name, func(t *testing.T) {
			said := map[string]bool{}
			for _, app := range []delegation.AppID{id, {1}} {
				for _, salt := range []*[32]byte{nil, &w.salt} {
					ctx := w.stranger.As(t, w.stranger.Grant(t, nil), salt)
					w.refused(t, providerv1.Reason_REASON_APP_FOREIGN, w.running, func() error {
						err := call(ctx, t, w.stranger, app)
						said[strings.ReplaceAll(fmt.Sprint(err), app.String(), "APP")] = true
						return err
					})
				}
			}
			if len(said) != 1 {
				t.Errorf("it is told apart from one that is not there: %v", slices.Collect(maps.Keys(said)))
			}
			if name == "stop" {
				return // its control is the end of the test
			}
			if err := call(w.owner.As(t, w.owner.Grant(t, nil), &w.salt), t, w.owner, id); err != nil {
				t.Errorf("control: its owner is refused: %v", err)
			}
		})
	}
	t.Run("list", func(t *testing.T) {
		for c, want := range map[*wireClient]int{w.owner: 1, w.stranger: 0} {
			list, err := c.RPC.List(c.As(t, c.Grant(t, nil), nil), &providerv1.ListRequest{})
			if err != nil || len(list.Apps) != want {
				t.Errorf("%d apps, %v, want %d", len(list.GetApps()), err, want)
			}
		}
	})
	t.Run("push by a crooked path", func(t *testing.T) {
		own := w.stranger.App(w.salt)
		for _, path := range []string{"/%s/probe/../../%s/probe", "/%s/probe/%%2e%%2e/%%2e%%2e/%s/probe", "/%s/..%%2f%s/probe", "//%s/../%s/probe"} {
			url := w.stranger.Conn.URL() + "/v2" + fmt.Sprintf(path, own, id) + "/blobs/uploads/"
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Header = bed.Header(t, w.stranger.Grant(t, nil), &w.salt)
			res, err := w.stranger.Conn.Transport.RoundTrip(r)
			if err != nil {
				t.Fatal(err)
			}
			_ = res.Body.Close()
			if res.StatusCode < 300 {
				t.Errorf("%s: %s", path, res.Status)
			}
		}
	})
}

// first is the error of a stream's first message.
func first[T any](s *connectrpc.ServerStreamForClient[T], err error) error {
	if err != nil {
		return err
	}
	if !s.Receive() && s.Err() == nil {
		err = io.ErrUnexpectedEOF
	}
	return errors.Join(err, s.Err(), s.Close())
}

// testBytes: what is no request, or too large to be one, ends its stream and nothing else.
func (w *wireWorld) testBytes(t *testing.T) {
	noise := bytes.Repeat([]byte{0x16, 0xff, 0x00, 0xa5}, 16<<10)
	streams := map[string][]byte{
		"noise":                          noise,
		"noise after a preface":          append([]byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), noise...),
		"a request of HTTP/1":            []byte("POST /apocryph.provider.v1.ProviderService/List HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n"),
		"a frame larger than any may be": append([]byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"), 0xff, 0xff, 0xff, 0x00, 0x00, 0, 0, 0, 1),
	}
	alive := func(t *testing.T) {
		t.Helper()
		if _, err := w.owner.RPC.Status(w.owner.As(t, w.owner.Grant(t, nil), nil), &providerv1.StatusRequest{App: w.running.app[:]}); err != nil {
			t.Errorf("control: the next call: %v", err)
		}
	}
	for name, data := range streams {
		t.Run(name, func(t *testing.T) {
			s := w.owner.Raw(t)
			_, _ = s.Write(data) // the other side may hang up on it
			if err := s.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
				t.Fatal(err)
			}
			if _, err := io.Copy(io.Discard, s); errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error("the stream is still open")
			}
			alive(t)
		})
	}
	calls := map[string]func(context.Context, connectrpc.CallInfo) error{
		"a message above 1 MiB": func(ctx context.Context, _ connectrpc.CallInfo) error {
			_, err := w.owner.RPC.Status(ctx, &providerv1.StatusRequest{App: make([]byte, 2<<20)})
			return err
		},
		"headers above all bounds": func(ctx context.Context, info connectrpc.CallInfo) error {
			info.RequestHeader().Set(delegation.Header, strings.Repeat("A", 2<<20))
			_, err := w.owner.RPC.List(ctx, &providerv1.ListRequest{})
			return err
		},
		"a header that is no delegation": func(ctx context.Context, info connectrpc.CallInfo) error {
			info.RequestHeader().Set(delegation.Header, "AAAA")
			_, err := w.owner.RPC.List(ctx, &providerv1.ListRequest{})
			return err
		},
		"an app id that is none": func(ctx context.Context, _ connectrpc.CallInfo) error {
			_, err := w.owner.RPC.Status(ctx, &providerv1.StatusRequest{App: []byte{1}})
			return err
		},
	}
	for name, call := range calls {
		t.Run(name, func(t *testing.T) {
			ctx, info := connectrpc.NewClientContext(t.Context())
			maps.Copy(info.RequestHeader(), bed.Header(t, w.owner.Grant(t, nil), nil))
			if code := connectrpc.CodeOf(call(ctx, info)); code == 0 || code == connectrpc.CodeInternal {
				t.Errorf("answered with %s", code)
			}
			alive(t)
		})
	}
}

// testEnded: an app that has ended comes back neither by its own orders nor, once the provider has forgotten it, on its closed channel.
func (w *wireWorld) testEnded(t *testing.T) {
	c, id := w.owner, w.running.app
	ctx := c.As(t, c.Grant(t, nil), &w.salt)
	on := w.running.terms.ID(c.Domain())
	stop := func(channel channel.ID, sequence uint64) error {
		_, err := c.RPC.Stop(ctx, &providerv1.StopRequest{Statement: c.stop(t, id, channel, sequence)})
		return err
	}
	w.refused(t, providerv1.Reason_REASON_STATEMENT_STALE, w.running, func() error { return stop(on, 2000) })
	w.refused(t, providerv1.Reason_REASON_CHANNEL_TERMS, w.running, func() error { return stop([32]byte{1}, 9000) })
	w.refused(t, providerv1.Reason_REASON_STATEMENT_INVALID, w.running, func() error {
		_, err := c.RPC.Stop(ctx, &providerv1.StopRequest{Statement: w.running.request.Statement})
		return err
	})
	if err := stop(on, 9000); err != nil {
		t.Fatalf("control: a stop as it should be: %v", err)
	}
	bed.Eventually(t, "the app ends", func() error {
		if app := w.Apps(t)[id.String()]; app.Status.Phase != v1alpha1.PhaseEnded {
			return fmt.Errorf("it is %s", app.Status.Phase)
		}
		return nil
	})
	again := func(p prepared) func() error {
		return func() error {
			_, err := c.RPC.Apply(ctx, p.request)
			return err
		}
	}
	w.refused(t, providerv1.Reason_REASON_APP_ENDED, w.running, again(w.running))
	w.refused(t, providerv1.Reason_REASON_APP_ENDED, w.running, again(w.update(t, 10_000, "3", nil)))
	if err := w.Kube.Delete(t.Context(), &v1alpha1.App{ObjectMeta: metav1.ObjectMeta{Namespace: bed.SystemNamespace, Name: id.String()}}); err != nil {
		t.Fatal(err)
	}
	bed.Eventually(t, "the App and its Usage are gone", func() error {
		if got := w.traces(t, c, w.running); got.App != "" || got.Usage || got.Namespace {
			return fmt.Errorf("%+v", got)
		}
		return nil
	})
	w.refused(t, providerv1.Reason_REASON_CHANNEL_CLOSED, w.running, again(w.running))
	w.refused(t, providerv1.Reason_REASON_CHANNEL_CLOSED, w.running, again(w.update(t, 10_000, "3", nil)))
	w.refused(t, providerv1.Reason_REASON_APP_NOT_FOUND, w.running, func() error {
		_, err := c.RPC.Status(ctx, &providerv1.StatusRequest{App: id[:]})
		return err
	})
}
