// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	"github.com/apocryph/apocryph/api/v1alpha1"
	"github.com/apocryph/apocryph/internal/delegation"
	orderv1 "github.com/apocryph/apocryph/internal/gen/orderv1"
	providerv1 "github.com/apocryph/apocryph/internal/gen/providerv1"
	"github.com/apocryph/apocryph/internal/gen/providerv1/providerv1connect"
)

func TestEveryRequestIsOfAKind(t *testing.T) {
	for path, want := range map[string]kind{
		providerv1connect.ProviderServiceEvidenceProcedure: kindEvidence,
		providerv1connect.ProviderServiceQuoteProcedure:    kindCall,
		providerv1connect.ProviderServiceApplyProcedure:    kindCall,
		providerv1connect.ProviderServiceWatchProcedure:    kindStream,
		providerv1connect.ProviderServiceLogsProcedure:     kindStream,
		providerv1connect.ProviderServiceEventsProcedure:   kindStream,
		"/v2/":      kindPush,
		"/v2/a/b/c": kindPush,
		"/":         kindCall,
	} {
		if got := kindOf(path); got != want {
			t.Errorf("%s is of kind %s, want %s", path, got, want)
		}
	}
}

// One beyond each bound is refused, and the last within it is not.
func TestPlaces(t *testing.T) {
	for k, b := range bounds() {
		t.Run(string(k), func(t *testing.T) {
			fill := func(l *limiter, n int, make func(i int) *place) {
				t.Helper()
				for i := range n {
					if p := make(i); !l.enter(p) || p.publisher != "" && !l.belongs(p, p.publisher) {
						t.Fatalf("place %d of %d is refused", i+1, n)
					}
				}
			}
			peer := func(i int) string { return string(rune('a' + i)) }
			l := newLimiter(defaultCalls, defaultCallsPerPeer)
			fill(l, b.perPeer, func(int) *place { return &place{kind: k, peer: "one"} })
			if l.enter(&place{kind: k, peer: "one"}) {
				t.Errorf("a peer has %d places", b.perPeer+1)
			}
			if !l.enter(&place{kind: k, peer: "another"}) {
				t.Error("another peer has none")
			}
			l = newLimiter(defaultCalls, defaultCallsPerPeer)
			fill(l, b.all, func(i int) *place { return &place{kind: k, peer: peer(i)} })
			if l.enter(&place{kind: k, peer: "another"}) {
				t.Errorf("there are %d places", b.all+1)
			}
			if b.perPublisher == 0 {
				return
			}
			l = newLimiter(defaultCalls, defaultCallsPerPeer)
			fill(l, b.perPublisher, func(i int) *place { return &place{kind: k, peer: peer(i), publisher: "one"} })
			p := &place{kind: k, peer: "another"}
			if !l.enter(p) || l.belongs(p, "one") {
				t.Errorf("a publisher has %d places", b.perPublisher+1)
			}
			if l.belongs(p, "another") != true {
				t.Error("another publisher has none")
			}
		})
	}
}

func TestPlacesInAll(t *testing.T) {
	l := newLimiter(3, 2)
	a, b := &place{kind: kindCall, peer: "a"}, &place{kind: kindPush, peer: "a"}
	c := &place{kind: kindCall, peer: "b"}
	if !l.enter(a) || !l.enter(b) || l.enter(&place{kind: kindStream, peer: "a"}) {
		t.Error("a peer may have two, of whatever kind")
	}
	if !l.enter(c) || l.enter(&place{kind: kindCall, peer: "c"}) {
		t.Error("all may have three")
	}
	for _, p := range []*place{a, b, c} {
		l.leave(p)
	}
	if len(l.places) != 0 {
		t.Errorf("%d still have a place", len(l.places))
	}
}

// Of those whose body is still to come, the one that has rested longest gives way; those that are worked on do not.
func TestWhoGivesWay(t *testing.T) {
	l := newLimiter(3, 3)
	var cut string
	reading := func(name string) *place {
		return &place{kind: kindCall, peer: name, reading: true, cut: func() { cut += name }}
	}
	first, second, third := reading("1"), reading("2"), reading("3")
	for _, p := range []*place{first, second, third} {
		l.enter(p)
	}
	l.read(first, true, false)
	l.read(second, true, true)
	for _, want := range []string{"3", "31"} {
		if !l.enter(&place{kind: kindCall, peer: "new"}) || cut != want {
			t.Errorf("gave way: %q, want %q", cut, want)
		}
	}
	if l.enter(&place{kind: kindCall, peer: "new"}) || len(l.places) != 3 {
		t.Errorf("one more got in; %d have a place", len(l.places))
	}
	if l.read(first, true, false) || !l.read(second, false, false) {
		t.Error("it is not told who gave way")
	}
}

func TestARequestThatRestsGivesWay(t *testing.T) {
	for name, http2 := range map[string]bool{"HTTP/1": false, "HTTP/2": true} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.g.limiter = newLimiter(1, 1)
			type key struct{}
			w.g.parts.Peer = func(ctx context.Context) string { peer, _ := ctx.Value(key{}).(string); return peer }
			handler, reached := w.g.Handler(), make(chan struct{}, 1)
			server := httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				r = r.WithContext(context.WithValue(r.Context(), key{}, r.Header.Get("Peer")))
				r.Body = &told{ReadCloser: r.Body, reached: reached}
				handler.ServeHTTP(rw, r)
			}))
			server.EnableHTTP2 = http2
			server.StartTLS()
			defer server.Close()
			ask := func(peer string, body io.Reader) error {
				c := providerv1connect.NewProviderServiceClient(as(server.Client(), peer, body), server.URL)
				_, err := c.Evidence(t.Context(), &providerv1.EvidenceRequest{Nonce: make([]byte, nonceSize)})
				return err
			}
			rests, end := io.Pipe()
			rested := make(chan error, 1)
			go func() { rested <- ask("slow", rests) }()
			<-reached
			if err := ask("honest", nil); err != nil {
				t.Errorf("the honest one: %v", err)
			}
			_ = end.Close() // its client waits for it
			err := <-rested
			if reason, code := detail(err); reason != providerv1.Reason_REASON_TOO_MANY_REQUESTS || code != connect.CodeResourceExhausted {
				t.Errorf("the one that rested: %v", err)
			}
		})
	}
}

// told says when a body is first read.
type told struct {
	io.ReadCloser
	reached chan struct{}
}

func (b *told) Read(p []byte) (int, error) {
	select {
	case b.reached <- struct{}{}:
	default:
	}
	return b.ReadCloser.Read(p)
}

// as sends as a peer, with another body if there is one.
func as(c *http.Client, peer string, body io.Reader) *http.Client {
	return &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
		r = r.Clone(r.Context())
		r.Header.Set("Peer", peer)
		if body != nil {
			_ = r.Body.Close()
			r.Body, r.ContentLength, r.GetBody = io.NopCloser(body), -1, nil
		}
		return c.Transport.RoundTrip(r)
	})}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// Whose delegation is not in force does not get their body read, whatever they call.
func TestWhatStrangersSendIsNotRead(t *testing.T) {
	w := newWorld(t)
	w.g.parts.Peer = func(context.Context) string { return w.publisher.peer.Peer() }
	for _, path := range []string{
		providerv1connect.ProviderServiceApplyProcedure, providerv1connect.ProviderServiceLogsProcedure, "/v2/x/y/blobs/uploads/", "/nothing",
	} {
		for name, header := range map[string]http.Header{"control": w.header(w.grant(w.publisher, nil)), "stranger": {}} {
			body := &told{ReadCloser: io.NopCloser(strings.NewReader("{}")), reached: make(chan struct{}, 1)}
			r := httptest.NewRequest(http.MethodPost, path, body)
			r.Header = header.Clone()
			r.Header.Set("Content-Type", "application/proto")
			rec := httptest.NewRecorder()
			w.g.Handler().ServeHTTP(rec, r)
			if name == "stranger" && (len(body.reached) > 0 || rec.Code != http.StatusUnauthorized && rec.Code != http.StatusForbidden) {
				t.Errorf("%s: %d, read %t", path, rec.Code, len(body.reached) > 0)
			}
			if name == "control" && path == providerv1connect.ProviderServiceApplyProcedure && len(body.reached) == 0 {
				t.Error("control: the body of one who is known is not read")
			}
		}
	}
	if len(w.g.limiter.places) != 0 {
		t.Errorf("%d still have a place", len(w.g.limiter.places))
	}
}

// A publisher's apps, and all apps, are counted before a channel is opened and before an app is made; updates always go through.
func TestRoomForApps(t *testing.T) {
	for name, limit := range map[string]func(*Config){
		"of a publisher": func(c *Config) { c.MaxAppsPerPublisher = 2 },
		"in all":         func(c *Config) { c.MaxApps = 2 },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			limit(&w.g.cfg)
			salted := func(n byte) func(*draft) { return func(d *draft) { d.salt = [32]byte{n} } }
			w.accept(salted(1))
			last := w.accept(salted(2))
			_, err := server{w.g}.Apply(w.as(w.publisher), w.order(salted(3)))
			if reasonOf(err) != providerv1.Reason_REASON_TOO_MANY_REQUESTS {
				t.Errorf("the third: %v", err)
			}
			third := w.order(salted(3))
			st, err := w.g.verifyStatement(w.as(w.publisher).Value(callerKey{}).(*caller), third.Statement, orderv1.Action_ACTION_APPLY)
			if err != nil {
				t.Fatal(err)
			}
			ask := &providerv1.QuoteRequest{App: st.App[:], AppSalt: third.AppSalt, Manifest: third.Manifest}
			if _, err := (server{w.g}).Quote(w.as(w.publisher), ask); reasonOf(err) != providerv1.Reason_REASON_TOO_MANY_REQUESTS {
				t.Errorf("a quote for the third: %v", err)
			}
			if _, err := (server{w.g}).Apply(w.as(w.publisher), w.order(func(d *draft) { salted(2)(d); d.sequence = 2000 })); err != nil {
				t.Errorf("an update of the second: %v", err)
			}
			last = w.get(mustID(t, last.Name))
			last.Status.Phase = v1alpha1.PhaseEnded
			if err := w.cluster.Status().Update(t.Context(), last); err != nil {
				t.Fatal(err)
			}
			if _, err := (server{w.g}).Apply(w.as(w.publisher), third); err != nil {
				t.Errorf("the third, after one ended: %v", err)
			}
		})
	}
}

func mustID(t *testing.T, s string) delegation.AppID {
	t.Helper()
	id, err := delegation.ParseAppID(s)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// The largest message is read, and one that is a byte longer is not.
func TestTheLargestMessage(t *testing.T) {
	w := newWorld(t)
	for size, want := range map[int]connect.Code{maxMessage: connect.CodeInvalidArgument, maxMessage + 1: connect.CodeResourceExhausted} {
		// A tag, a length of three bytes, and a nonce that is too long.
		nonce := make([]byte, size-4)
		message, err := proto.Marshal(&providerv1.EvidenceRequest{Nonce: nonce})
		if err != nil || len(message) != size {
			t.Fatalf("%d bytes, %v", len(message), err)
		}
		server := httptest.NewServer(w.g.Handler())
		_, err = providerv1connect.NewProviderServiceClient(server.Client(), server.URL).Evidence(t.Context(), &providerv1.EvidenceRequest{Nonce: nonce})
		server.Close()
		if connect.CodeOf(err) != want {
			t.Errorf("a message of %d bytes: %v, want %s", size, err, want)
		}
	}
}
