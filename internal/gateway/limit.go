// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"net/http"
	"strings"
	"sync"

	"connectrpc.com/connect"

	providerv1 "github.com/apocryph/apocryph/internal/gen/providerv1"
)

// limiter counts the calls that run.
type limiter struct {
	all, perPeer int

	mu      sync.Mutex
	running int
	peers   map[string]int
}

func newLimiter(all, perPeer int) *limiter {
	return &limiter{all: all, perPeer: perPeer, peers: map[string]int{}}
}

// enter reports whether one more call may run; leave ends it.
func (l *limiter) enter(peer string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.running >= l.all || l.peers[peer] >= l.perPeer {
		return false
	}
	l.running++
	l.peers[peer]++
	return true
}

func (l *limiter) leave(peer string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.running--
	if l.peers[peer]--; l.peers[peer] == 0 {
		delete(l.peers, peer)
	}
}

// limited refuses a request over the limits, in the form that its client reads.
func (g *Gateway) limited(next http.Handler) http.Handler {
	connectErrors := connect.NewErrorWriter()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		peer := g.parts.Peer(r.Context())
		if g.limiter.enter(peer) {
			defer g.limiter.leave(peer)
			next.ServeHTTP(w, r)
			return
		}
		err := refuse(providerv1.Reason_REASON_TOO_MANY_REQUESTS, "too many calls at once")
		if strings.HasPrefix(r.URL.Path, "/v2/") {
			g.writeOCIError(w, r, err)
			return
		}
		_ = connectErrors.Write(w, r, g.toConnect(r.Context(), r.URL.Path, err))
	})
}
