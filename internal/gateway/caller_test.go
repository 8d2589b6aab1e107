// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"google.golang.org/protobuf/proto"

	"github.com/apocryph/apocryph/internal/channel"
	"github.com/apocryph/apocryph/internal/delegation"
	"github.com/apocryph/apocryph/internal/fault"
	orderv1 "github.com/apocryph/apocryph/internal/gen/orderv1"
	providerv1 "github.com/apocryph/apocryph/internal/gen/providerv1"
	"github.com/apocryph/apocryph/internal/gen/providerv1/providerv1connect"
	"github.com/apocryph/apocryph/internal/imagestore"
	"github.com/apocryph/apocryph/internal/oci"
	"github.com/apocryph/apocryph/internal/p2p"
	"github.com/apocryph/apocryph/internal/quote"
)

// listen serves the world's gateway over libp2p on loopback and returns its address.
func (w *world) listen() string {
	w.t.Helper()
	key, err := p2p.NewKey()
	if err != nil {
		w.t.Fatal(err)
	}
	w.g.cfg.Provider.Peer = key.Peer()
	host, err := p2p.NewHost(p2p.Config{Key: key, Listen: []string{"/ip4/127.0.0.1/tcp/0"}})
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var served sync.WaitGroup
	served.Go(func() { _ = host.Serve(ctx, w.g.Handler()) })
	w.t.Cleanup(func() { stop(); served.Wait(); _ = host.Close() })
	return host.Addrs()[0]
}

// dial connects as p's peer, with headers on every request.
func (w *world) dial(p person, addr string, h http.Header) *http.Client {
	w.t.Helper()
	host, err := p2p.NewHost(p2p.Config{Key: p.peer})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = host.Close() })
	c, err := host.Dial(w.t.Context(), addr)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(c.Close)
	return &http.Client{Transport: adding{c.Transport, h}}
}

type adding struct {
	next http.RoundTripper
	h    http.Header
}

func (a adding) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	for k, v := range a.h {
		r.Header[k] = v
	}
	return a.next.RoundTrip(r)
}

func (w *world) header(d *orderv1.SignedDelegation) http.Header {
	w.t.Helper()
	s, err := delegation.EncodeHeader(d)
	if err != nil {
		w.t.Fatal(err)
	}
	return http.Header{delegation.Header: {s}}
}

func TestLifeOverTheWire(t *testing.T) {
	w := newWorld(t)
	store, err := imagestore.Open(t.TempDir(), imagestore.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	w.images = store.Push(slog.New(slog.DiscardHandler))
	addr := w.listen()
	header := w.header(w.grant(w.publisher, nil))
	http1 := w.dial(w.publisher, addr, header)
	api := providerv1connect.NewProviderServiceClient(http1, "http://provider")
	ctx, id := t.Context(), w.app(w.publisher)
	salt := w.salt()

	img, err := random.Image(2000, 2)
	if err != nil {
		t.Fatal(err)
	}
	config, _ := img.ConfigFile()
	config.OS, config.Architecture = "linux", "amd64"
	if img, err = mutate.ConfigFile(img, config); err != nil {
		t.Fatal(err)
	}
	digest, _ := img.Digest()
	m := sample()
	m.Services[0].Digest = digest.String()

	evidence, err := api.Evidence(ctx, &providerv1.EvidenceRequest{Nonce: make([]byte, 32)})
	if err != nil || len(evidence.Evidence) == 0 {
		t.Fatal(err)
	}
	q, err := api.Quote(ctx, &providerv1.QuoteRequest{App: id[:], AppSalt: salt[:], Manifest: m})
	if err != nil {
		t.Fatal(err)
	}
	offer, err := quote.Verify(q.Quote, w.g.cfg.Signer)
	if err != nil {
		t.Fatal(err)
	}
	terms := quote.Terms(q.Quote, offer, [32]byte{1})
	on, err := channel.FromProto(terms)
	if err != nil {
		t.Fatal(err)
	}
	w.chain[on.ID(w.g.cfg.Domain)] = channel.State{Deposited: w.g.cfg.Tariff.CPUHour, SpentUntil: 1}
	st := delegation.Statement{
		App: id, Action: orderv1.Action_ACTION_APPLY, Sequence: 1, ManifestHash: [32]byte(offer.ManifestHash), Channel: on.ID(w.g.cfg.Domain), IssuedAt: w.now,
	}
	signed, err := delegation.SignStatement(st, w.publisher.peer, w.grant(w.publisher, nil))
	if err != nil {
		t.Fatal(err)
	}
	order := &providerv1.ApplyRequest{Manifest: m, AppSalt: salt[:], Statement: signed, Terms: terms, Quote: q.Quote}

	_, err = api.Apply(ctx, order)
	if reason, _ := detail(err); reason != providerv1.Reason_REASON_IMAGE_MISSING {
		t.Fatalf("before the push: %v", err)
	}
	to := oci.Target{Transport: http1.Transport, App: id.String(), Service: "web", Header: http.Header{delegation.HeaderSalt: {delegation.EncodeSalt(salt)}}}
	if err := oci.Push(ctx, to, img, nil); err != nil {
		t.Fatal(err)
	}
	applied, err := api.Apply(ctx, order)
	if err != nil {
		t.Fatal(err)
	}
	if offer.Host != w.get(id).Spec.Host || offer.Host == "" {
		t.Errorf("offered host %s, got %s", offer.Host, w.get(id).Spec.Host)
	}
	status, err := api.Status(ctx, &providerv1.StatusRequest{App: id[:]})
	if err != nil || !proto.Equal(status.Status, applied.Status) {
		t.Errorf("status %v, %v; want %v", status, err, applied.Status)
	}
	list, err := api.List(ctx, &providerv1.ListRequest{})
	if err != nil || len(list.Apps) != 1 {
		t.Errorf("list %v, %v", list, err)
	}
	watch, err := api.Watch(ctx, &providerv1.WatchRequest{App: id[:]})
	if err != nil {
		t.Fatal(err)
	}
	if !watch.Receive() || !proto.Equal(watch.Msg().Status, applied.Status) {
		t.Errorf("watch began with %v, %v", watch.Msg(), watch.Err())
	}
	_ = watch.Close()
	bill, err := api.Bill(ctx, &providerv1.BillRequest{App: id[:]})
	if err != nil || bill.Owed != "0" || bill.Tariff == nil {
		t.Errorf("bill %v, %v", bill, err)
	}

	t.Run("somebody else sees nothing of it", func(t *testing.T) { othersSeeNothing(t, w, addr, id) })
	t.Run("and can't push into it", func(t *testing.T) {
		foreign := oci.Target{Transport: w.dial(w.stranger, addr, w.header(w.grant(w.stranger, nil))).Transport, App: id.String(), Service: "web", Header: to.Header}
		err := oci.Push(ctx, foreign, img, nil)
		if reason := fault.ReasonOf(err); err == nil || (reason != providerv1.Reason_REASON_APP_FOREIGN && !strings.Contains(err.Error(), "403")) {
			t.Errorf("got %s: %v", reason, err)
		}
	})
}

// othersSeeNothing compares what a stranger gets about somebody's app with what they get about no app at all.
func othersSeeNothing(t *testing.T, w *world, addr string, id delegation.AppID) {
	theirs := providerv1connect.NewProviderServiceClient(w.dial(w.stranger, addr, w.header(w.grant(w.stranger, nil))), "http://provider")
	none := delegation.AppID{1, 2, 3}
	for what, call := range map[string]func(app delegation.AppID) error{
		"status": func(app delegation.AppID) error {
			_, err := theirs.Status(t.Context(), &providerv1.StatusRequest{App: app[:]})
			return err
		},
		"bill": func(app delegation.AppID) error {
			_, err := theirs.Bill(t.Context(), &providerv1.BillRequest{App: app[:]})
			return err
		},
		"logs": func(app delegation.AppID) error {
			s, err := theirs.Logs(t.Context(), &providerv1.LogsRequest{App: app[:]})
			if err == nil {
				s.Receive()
				err = s.Err()
			}
			return err
		},
		"events": func(app delegation.AppID) error {
			s, err := theirs.Events(t.Context(), &providerv1.EventsRequest{App: app[:]})
			if err == nil {
				s.Receive()
				err = s.Err()
			}
			return err
		},
		"watch": func(app delegation.AppID) error {
			s, err := theirs.Watch(t.Context(), &providerv1.WatchRequest{App: app[:]})
			if err == nil {
				s.Receive()
				err = s.Err()
			}
			return err
		},
		"quote": func(app delegation.AppID) error {
			_, err := theirs.Quote(t.Context(), &providerv1.QuoteRequest{App: app[:], AppSalt: make([]byte, 32), Manifest: sample()})
			return err
		},
	} {
		got, missing := call(id), call(none)
		reason, code := detail(got)
		if reason != providerv1.Reason_REASON_APP_FOREIGN || code != connect.CodePermissionDenied {
			t.Errorf("%s: %v", what, got)
		}
		if want := strings.ReplaceAll(fmt.Sprint(missing), none.String(), id.String()); want != fmt.Sprint(got) {
			t.Errorf("%s: a foreign app answers %q, a missing one %q", what, got, want)
		}
	}
	if list, err := theirs.List(t.Context(), &providerv1.ListRequest{}); err != nil || len(list.Apps) != 0 {
		t.Errorf("list: %v, %v", list, err)
	}
}

func TestAuthenticate(t *testing.T) {
	var w *world
	for what, c := range map[string]struct {
		header func() http.Header
		peer   func() string
		want   providerv1.Reason
	}{
		"a good delegation": {func() http.Header { return w.header(w.grant(w.publisher, nil)) }, nil, providerv1.Reason_REASON_UNSPECIFIED},
		"no delegation":     {func() http.Header { return http.Header{} }, nil, providerv1.Reason_REASON_DELEGATION_MISSING},
		"a connection without a peer": {
			func() http.Header { return w.header(w.grant(w.publisher, nil)) }, func() string { return "" }, providerv1.Reason_REASON_DELEGATION_MISSING,
		},
		"unreadable": {func() http.Header { return http.Header{delegation.Header: {"AAAA"}} }, nil, providerv1.Reason_REASON_DELEGATION_INVALID},
		"a stolen delegation": {
			func() http.Header { return w.header(w.grant(w.publisher, nil)) }, func() string { return w.stranger.peer.Peer() },
			providerv1.Reason_REASON_DELEGATION_FOREIGN,
		},
		"for another provider": {func() http.Header {
			return w.header(w.grant(w.publisher, func(d *delegation.Delegation) { d.Provider.Peer = "other" }))
		}, nil, providerv1.Reason_REASON_DELEGATION_FOREIGN},
		"expired": {func() http.Header {
			return w.header(w.grant(w.publisher, func(d *delegation.Delegation) { d.ExpiresAt = w.now }))
		}, nil, providerv1.Reason_REASON_DELEGATION_EXPIRED},
		"not yet in force": {func() http.Header {
			return w.header(w.grant(w.publisher, func(d *delegation.Delegation) { d.IssuedAt = w.now.Add(6 * time.Minute) }))
		}, nil, providerv1.Reason_REASON_DELEGATION_EXPIRED},
		"signed by another wallet": {func() http.Header {
			d := w.grant(w.publisher, nil)
			d.Delegation.Publisher = w.stranger.address().Bytes()
			return w.header(d)
		}, nil, providerv1.Reason_REASON_DELEGATION_INVALID},
		"signed for another contract": {func() http.Header {
			d := w.grant(w.publisher, nil)
			w.g.cfg.Domain.Contract[0]++
			return w.header(d)
		}, nil, providerv1.Reason_REASON_DELEGATION_INVALID},
		"a salt that is none": {func() http.Header {
			h := w.header(w.grant(w.publisher, nil))
			h.Set(delegation.HeaderSalt, "zz")
			return h
		}, nil, providerv1.Reason_REASON_BAD_REQUEST},
	} {
		t.Run(what, func(t *testing.T) {
			w = newWorld(t)
			peer := w.publisher.peer.Peer()
			if c.peer != nil {
				peer = c.peer()
			}
			w.g.parts.Peer = func(context.Context) string { return peer }
			_, err := w.g.authenticate(t.Context(), c.header())
			if err == nil && c.want == providerv1.Reason_REASON_UNSPECIFIED {
				return
			}
			if got := reasonOf(err); err == nil || got != c.want {
				t.Errorf("got %s (%v), want %s", got, err, c.want)
			}
		})
	}
}

// Who shows by the salt that the id is theirs may know that there is nothing.
func TestOwnAppThatIsGone(t *testing.T) {
	w := newWorld(t)
	ctx := w.as(w.publisher)
	id := w.app(w.publisher)
	_, err := (server{w.g}).Status(ctx, &providerv1.StatusRequest{App: id[:]})
	if got := reasonOf(err); got != providerv1.Reason_REASON_APP_FOREIGN {
		t.Errorf("without the salt: %s", got)
	}
	salt := w.salt()
	ctx.Value(callerKey{}).(*caller).salt = &salt
	_, err = (server{w.g}).Status(ctx, &providerv1.StatusRequest{App: id[:]})
	if got := reasonOf(err); got != providerv1.Reason_REASON_APP_NOT_FOUND {
		t.Errorf("with the salt: %s", got)
	}
}

func TestOperationsAreKeptApart(t *testing.T) {
	w := newWorld(t)
	app := w.accept(nil)
	id := w.app(w.publisher)
	if app.Name != id.String() {
		t.Fatal(app.Name)
	}
	s := server{w.g}
	calls := map[orderv1.Operation][]func(context.Context) error{
		orderv1.Operation_OPERATION_READ: {
			func(ctx context.Context) error {
				_, err := s.Status(ctx, &providerv1.StatusRequest{App: id[:]})
				return err
			},
			func(ctx context.Context) error {
				_, err := s.Bill(ctx, &providerv1.BillRequest{App: id[:]})
				return err
			},
			func(ctx context.Context) error { _, err := s.List(ctx, &providerv1.ListRequest{}); return err },
			func(ctx context.Context) error { return s.Watch(ctx, &providerv1.WatchRequest{App: id[:]}, nil) },
			func(ctx context.Context) error { return s.Events(ctx, &providerv1.EventsRequest{App: id[:]}, nil) },
		},
		orderv1.Operation_OPERATION_LOGS: {func(ctx context.Context) error { return s.Logs(ctx, &providerv1.LogsRequest{App: id[:]}, nil) }},
		orderv1.Operation_OPERATION_APPLY: {
			func(ctx context.Context) error {
				_, err := s.Quote(ctx, &providerv1.QuoteRequest{App: id[:]})
				return err
			},
			func(ctx context.Context) error { _, err := s.Apply(ctx, w.order(nil)); return err },
		},
		orderv1.Operation_OPERATION_STOP: {func(ctx context.Context) error { _, err := s.Stop(ctx, &providerv1.StopRequest{}); return err }},
	}
	for op, list := range calls {
		ctx := w.as(w.publisher)
		var others []orderv1.Operation
		for o := range calls {
			if o != op {
				others = append(others, o)
			}
		}
		ctx.Value(callerKey{}).(*caller).delegation.Operations = others
		for i, call := range list {
			if err := call(ctx); !errors.Is(err, delegation.ErrOperation) {
				t.Errorf("%s, call %d, with all other operations: %v", op, i, err)
			}
		}
	}
}

func TestPushRefusesBeforeTheStore(t *testing.T) {
	w := newWorld(t)
	w.images = http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("reached the image store") })
	id := w.app(w.publisher)
	salt := w.salt()
	other := delegation.AppID{9}
	for what, c := range map[string]struct {
		path string
		salt string
		edit func(*delegation.Delegation)
		want int
	}{
		"no app id":                    {"/v2/library/nginx/blobs/uploads/", delegation.EncodeSalt(salt), nil, 400},
		"no salt":                      {"/v2/" + id.String() + "/web/blobs/uploads/", "", nil, 400},
		"another app's id":             {"/v2/" + other.String() + "/web/blobs/uploads/", delegation.EncodeSalt(salt), nil, 403},
		"an app that is not delegated": {"/v2/" + id.String() + "/web/blobs/uploads/", delegation.EncodeSalt(salt), func(d *delegation.Delegation) { d.AllApps, d.Apps = false, []delegation.AppID{other} }, 403},
		"only reading is delegated": {"/v2/", "", func(d *delegation.Delegation) {
			d.Operations = []orderv1.Operation{orderv1.Operation_OPERATION_READ}
		}, 403},
		"a path that climbs": {"/v2/" + id.String() + "/web/blobs/uploads/%2e%2e/%2e%2e/x", delegation.EncodeSalt(salt), nil, 400},
	} {
		t.Run(what, func(t *testing.T) {
			w.g.parts.Peer = func(context.Context) string { return w.publisher.peer.Peer() }
			r := httptest.NewRequest(http.MethodPost, c.path, nil)
			r.Header = w.header(w.grant(w.publisher, c.edit))
			if c.salt != "" {
				r.Header.Set(delegation.HeaderSalt, c.salt)
			}
			rec := httptest.NewRecorder()
			w.g.images().ServeHTTP(rec, r)
			if rec.Code != c.want || !strings.Contains(rec.Body.String(), `"reason":"REASON_`) {
				t.Errorf("got %d %s, want %d", rec.Code, rec.Body, c.want)
			}
		})
	}
}

func TestProxySendsNoCredentials(t *testing.T) {
	w := newWorld(t)
	w.g.parts.Peer = func(context.Context) string { return w.publisher.peer.Peer() }
	id, salt := w.app(w.publisher), w.salt()
	var seen http.Header
	w.images = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { seen = r.Header; rw.WriteHeader(202) })
	r := httptest.NewRequest(http.MethodPost, "/v2/"+id.String()+"/web/blobs/uploads/", nil)
	r.Header = w.header(w.grant(w.publisher, nil))
	r.Header.Set(delegation.HeaderSalt, delegation.EncodeSalt(salt))
	r.Header.Set("Authorization", "Bearer stolen")
	rec := httptest.NewRecorder()
	w.g.images().ServeHTTP(rec, r)
	if rec.Code != 202 {
		t.Fatal(rec.Code, rec.Body)
	}
	for _, h := range []string{"Authorization", delegation.Header, delegation.HeaderSalt} {
		if seen.Get(h) != "" {
			t.Errorf("%s reached the image store", h)
		}
	}
}
