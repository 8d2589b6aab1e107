// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

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
			if r.Body != nil && r.Body != http.NoBody {
				r.Body = &patientBody{r.Body, http.NewResponseController(w), patience}
			}
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

// patience is for how long a request's body may rest. A body is read before its sender is known, and holds a place meanwhile.
const patience = 30 * time.Second

// patientBody fails when nothing comes for too long.
type patientBody struct {
	io.ReadCloser
	conn *http.ResponseController
	idle time.Duration
}

func (b *patientBody) Read(p []byte) (int, error) {
	if err := b.conn.SetReadDeadline(time.Now().Add(b.idle)); err != nil {
		return 0, fmt.Errorf("bounding a request: %w", err)
	}
	n, err := b.ReadCloser.Read(p)
	if errors.Is(err, io.EOF) {
		// The server reads on to notice that the client has gone: that may take as long as the answer.
		_ = b.conn.SetReadDeadline(time.Time{})
	}
	return n, err
}
