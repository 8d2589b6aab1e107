// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"connectrpc.com/connect"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/apocryph/apocryph/api/v1alpha1"
	"github.com/apocryph/apocryph/internal/daemon"
	"github.com/apocryph/apocryph/internal/fault"
	providerv1 "github.com/apocryph/apocryph/internal/gen/providerv1"
	"github.com/apocryph/apocryph/internal/gen/providerv1/providerv1connect"
)

// What the gateway takes on; docs/protocol/limits.md has the table.
const (
	defaultCalls        = 512
	defaultCallsPerPeer = 32
	// defaultApps bounds the apps that have not ended, defaultAppsPerPublisher those of one publisher.
	defaultApps             = 4096
	defaultAppsPerPublisher = 64
)

// kind is what a request is to the limiter.
type kind string

const (
	kindEvidence kind = "evidence" // from anybody: it comes before everything
	kindCall     kind = "call"
	kindStream   kind = "stream" // Watch, Logs and Events, which stay
	kindPush     kind = "push"
	kindVolume   kind = "volume" // GetVolume and PutVolume, whose bytes go through the API server
)

// bound is how many requests of a kind may run at once.
type bound struct{ all, perPeer, perPublisher int }

// bounds are the places of each kind, so that those who watch, or push slowly, leave room for those who order.
func bounds() map[kind]bound {
	return map[kind]bound{
		kindEvidence: {all: 64, perPeer: 4},
		kindCall:     {all: 256, perPeer: 16, perPublisher: 32},
		kindStream:   {all: 256, perPeer: 16, perPublisher: 32},
		kindPush:     {all: 128, perPeer: 32, perPublisher: 32},
		kindVolume:   {all: 16, perPeer: 4, perPublisher: 4},
	}
}

func kindOf(path string) kind {
	switch {
	case path == providerv1connect.ProviderServiceEvidenceProcedure:
		return kindEvidence
	case path == providerv1connect.ProviderServiceWatchProcedure, path == providerv1connect.ProviderServiceLogsProcedure,
		path == providerv1connect.ProviderServiceEventsProcedure:
		return kindStream
	case path == providerv1connect.ProviderServiceGetVolumeProcedure, path == providerv1connect.ProviderServicePutVolumeProcedure:
		return kindVolume
	case strings.HasPrefix(path, "/v2/"):
		return kindPush
	}
	return kindCall
}

// limiter gives requests places. When all are taken, a request whose body is still to come gives way to the next: of those, the one that
// has sent nothing for longest, counted in what others sent meanwhile and not in time.
type limiter struct {
	all, perPeer int
	bounds       map[kind]bound

	mu     sync.Mutex
	turn   uint64
	places map[*place]bool
}

// place is what a request has of the limiter, guarded by its mutex.
type place struct {
	kind      kind
	peer      string
	publisher string
	// reading says that the request's body is still to come; last is the turn at which some of it came.
	reading bool
	last    uint64
	// gone says that the place was given to another request.
	gone bool
	// cut ends the body. It does not wait.
	cut func()
}

func newLimiter(all, perPeer int) *limiter {
	return &limiter{all: all, perPeer: perPeer, bounds: bounds(), places: map[*place]bool{}}
}

// enter reports whether one more request may run; leave ends it.
func (l *limiter) enter(p *place) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.bounds[p.kind]
	var kinds, peers, peerKinds int
	for o := range l.places {
		if o.kind == p.kind {
			kinds++
		}
		if o.peer == p.peer {
			peers++
			if o.kind == p.kind {
				peerKinds++
			}
		}
	}
	if peers >= l.perPeer || peerKinds >= b.perPeer {
		return false
	}
	if kinds >= b.all && !l.cutOne(func(o *place) bool { return o.kind == p.kind }) {
		return false
	}
	if len(l.places) >= l.all && !l.cutOne(func(*place) bool { return true }) {
		return false
	}
	l.turn++
	p.last = l.turn
	l.places[p] = true
	return true
}

// cutOne ends the body that has rested longest, and takes its place.
func (l *limiter) cutOne(counts func(*place) bool) bool {
	var rests *place
	for o := range l.places {
		if o.reading && counts(o) && (rests == nil || o.last < rests.last) {
			rests = o
		}
	}
	if rests == nil {
		return false
	}
	delete(l.places, rests)
	rests.gone = true
	rests.cut()
	return true
}

// belongs says for which publisher a request is, and reports whether they may have one more of its kind.
func (l *limiter) belongs(p *place, publisher string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	most := l.bounds[p.kind].perPublisher
	for o := range l.places {
		if o != p && o.kind == p.kind && o.publisher == publisher {
			most--
		}
	}
	p.publisher = publisher
	return most > 0
}

// read notes that some of the body came, or all of it, and reports whether the request still has its place.
func (l *limiter) read(p *place, some, done bool) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if some {
		l.turn++
		p.last = l.turn
	}
	p.reading = p.reading && !done
	return !p.gone
}

func (l *limiter) leave(p *place) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.places, p)
	p.reading = false
}

// limited refuses a request over the limits, and one whose sender is not known before its body is read.
func (g *Gateway) limited(next http.Handler) http.Handler {
	patient := daemon.Patient(daemon.Patience, next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p := &place{kind: kindOf(r.URL.Path), peer: g.parts.Peer(r.Context())}
		if r.Body != nil && r.Body != http.NoBody {
			p.reading = true
			conn := http.NewResponseController(w)
			p.cut = func() { _ = conn.SetReadDeadline(time.Unix(1, 0)) }
			r.Body = &placedBody{r.Body, g.limiter, p}
		}
		if !g.limiter.enter(p) {
			g.writeError(w, r, refuse(providerv1.Reason_REASON_TOO_MANY_REQUESTS, "too many calls at once"))
			return
		}
		defer g.limiter.leave(p)
		if p.kind != kindEvidence {
			c, err := g.authenticate(r.Context(), r.Header)
			if err == nil && !g.limiter.belongs(p, c.publisher()) {
				err = refuse(providerv1.Reason_REASON_TOO_MANY_REQUESTS, "too many calls at once for publisher %s", c.delegation.Publisher)
			}
			if err != nil {
				g.writeError(w, r, err)
				return
			}
			r = r.WithContext(context.WithValue(r.Context(), callerKey{}, c))
		}
		patient.ServeHTTP(w, r)
	})
}

// writeError answers in the form that the request's client reads.
func (g *Gateway) writeError(w http.ResponseWriter, r *http.Request, err error) {
	if strings.HasPrefix(r.URL.Path, "/v2/") {
		g.writeOCIError(w, r, err)
		return
	}
	_ = connect.NewErrorWriter().Write(w, r, g.toConnect(r.Context(), methodOf(r.URL.Path), err))
}

// methodOf is a path as metrics count it: one that is no call's is anybody's invention, of which there is no end.
func methodOf(path string) string {
	methods := providerv1.File_apocryph_provider_v1_provider_proto.Services().ByName("ProviderService").Methods()
	for i := range methods.Len() {
		if path == "/"+providerv1connect.ProviderServiceName+"/"+string(methods.Get(i).Name()) {
			return path
		}
	}
	return "other"
}

// placedBody tells the limiter how a body comes.
type placedBody struct {
	io.ReadCloser
	limiter *limiter
	place   *place
}

func (b *placedBody) Read(p []byte) (int, error) {
	if !b.limiter.read(b.place, false, false) {
		return 0, gaveWay()
	}
	n, err := b.ReadCloser.Read(p)
	if !b.limiter.read(b.place, n > 0, err != nil) {
		return n, gaveWay()
	}
	return n, err
}

// gaveWay is for both ways that errors leave by.
func gaveWay() error {
	const reason = providerv1.Reason_REASON_TOO_MANY_REQUESTS
	err := connect.NewError(codeOf(reason), errors.New("the request rested while others waited for its place"))
	if d, detailErr := connect.NewErrorDetail(&providerv1.ErrorInfo{Reason: reason}); detailErr == nil {
		err.AddDetail(d)
	}
	return fault.As(err, reason)
}

// checkRoom: neither the provider nor the publisher has as many apps as it may. It is looked at before a channel is opened, and again
// under the mutex before an app is made.
func (g *Gateway) checkRoom(ctx context.Context, c *caller, present *v1alpha1.App) error {
	if present != nil {
		return nil
	}
	var list v1alpha1.AppList
	if err := g.parts.Cluster.List(ctx, &list, client.InNamespace(g.cfg.Namespace)); err != nil {
		return err
	}
	var all, own int
	for i := range list.Items {
		app := &list.Items[i]
		if app.Status.Phase == v1alpha1.PhaseEnded {
			continue
		}
		all++
		if app.Spec.Publisher == c.publisher() {
			own++
		}
	}
	switch {
	case own >= g.cfg.MaxAppsPerPublisher:
		err := refuse(providerv1.Reason_REASON_TOO_MANY_REQUESTS, "publisher %s has %d apps here, at most %d", c.delegation.Publisher, own, g.cfg.MaxAppsPerPublisher)
		return fault.Hint(err, "stop one that you don't need: apocryph ls")
	case all >= g.cfg.MaxApps:
		err := refuse(providerv1.Reason_REASON_TOO_MANY_REQUESTS, "the provider has as many apps as it takes")
		return fault.Hint(err, "choose another provider")
	}
	return nil
}
