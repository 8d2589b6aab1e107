// SPDX-License-Identifier: Apache-2.0

package p2p

import (
	"context"
	"net"
	"net/http"
	"sync"

	"github.com/libp2p/go-libp2p/core/network"
)

// crowd keeps a host's guests few enough that there is always room for one more: past its bounds, whoever has shown the least use of
// being connected gives way. It goes by order and never by time, so a machine that is slow chooses as a fast one does.
type crowd struct {
	maxConnections, maxStreams int

	mu      sync.Mutex
	turn    uint64
	guests  map[network.Conn]*guest
	streams int
	// leaving are connections that are being closed.
	leaving sync.WaitGroup
}

// guest is one inbound connection.
type guest struct {
	// last is the turn at which it came, asked or was answered.
	last uint64
	// answered says that one of its requests was served.
	answered bool
	running  int
	streams  int
}

// The ranks of guests: strangers who only hold a connection, idle ones who once had an answer, and those being served.
const (
	stranger = iota
	known
	served
)

func (g *guest) rank() int {
	switch {
	case !g.answered:
		return stranger
	case g.running == 0:
		return known
	}
	return served
}

func newCrowd(maxConnections, maxStreams int) *crowd {
	return &crowd{maxConnections: maxConnections, maxStreams: maxStreams, guests: map[network.Conn]*guest{}}
}

// notifiee tells the crowd who comes and goes.
func (c *crowd) notifiee() *network.NotifyBundle {
	return &network.NotifyBundle{
		ConnectedF: func(_ network.Network, conn network.Conn) {
			if conn.Stat().Direction == network.DirInbound {
				c.came(conn)
			}
		},
		DisconnectedF: func(_ network.Network, conn network.Conn) { c.went(conn) },
	}
}

func (c *crowd) came(conn network.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.turn++
	c.guests[conn] = &guest{last: c.turn}
	if len(c.guests) > c.maxConnections {
		c.giveWay(conn, func(*guest) bool { return true })
	}
}

func (c *crowd) went(conn network.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.forget(conn)
}

func (c *crowd) forget(conn network.Conn) {
	if g := c.guests[conn]; g != nil {
		c.streams -= g.streams
		delete(c.guests, conn)
	}
}

// change lets f change a guest that is still there.
func (c *crowd) change(conn network.Conn, f func(*guest)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if g := c.guests[conn]; g != nil {
		c.turn++
		g.last = c.turn
		f(g)
	}
}

// opened counts a stream, for which another guest's may have to give way.
func (c *crowd) opened(conn network.Conn) {
	c.change(conn, func(g *guest) {
		g.streams++
		c.streams++
		if c.streams > c.maxStreams {
			c.giveWay(conn, func(g *guest) bool { return g.streams > 0 })
		}
	})
}

func (c *crowd) closed(conn network.Conn) {
	c.change(conn, func(g *guest) {
		g.streams--
		c.streams--
	})
}

// giveWay closes the connection of the least rank that asked longest ago. Nobody is sent away while served: then the newcomer goes.
func (c *crowd) giveWay(newcomer network.Conn, counts func(*guest) bool) {
	gone, least := newcomer, (*guest)(nil)
	for conn, g := range c.guests {
		if conn == newcomer || !counts(g) || g.rank() == served {
			continue
		}
		if least == nil || g.rank() < least.rank() || g.rank() == least.rank() && g.last < least.last {
			gone, least = conn, g
		}
	}
	c.forget(gone)
	// Closing calls back, and may wait for the other side.
	c.leaving.Go(func() { _ = gone.CloseWithError(network.ConnGarbageCollected) })
}

func (c *crowd) held() (connections, streams int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.guests), c.streams
}

// wait returns when all who were sent away have gone. The host is closed by then, so nobody comes any more.
func (c *crowd) wait() { c.leaving.Wait() }

// connOf is the connection of a stream that a server accepted; nil outside of libp2p.
func connOf(c net.Conn) network.Conn {
	if s, ok := c.(interface{ Conn() network.Conn }); ok {
		return s.Conn()
	}
	return nil
}

// state is a server's ConnState hook.
func (c *crowd) state(conn net.Conn, s http.ConnState) {
	guest := connOf(conn)
	if guest == nil {
		return
	}
	switch s {
	case http.StateNew:
		c.opened(guest)
	case http.StateClosed, http.StateHijacked:
		c.closed(guest)
	case http.StateActive, http.StateIdle:
	}
}

type guestKey struct{}

func withConn(ctx context.Context, conn network.Conn) context.Context {
	return context.WithValue(ctx, guestKey{}, conn)
}

// welcome counts the requests that run, and remembers who was served.
func (c *crowd) welcome(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, ok := r.Context().Value(guestKey{}).(network.Conn)
		if !ok {
			next.ServeHTTP(w, r)
			return
		}
		c.change(conn, func(g *guest) { g.running++ })
		defer c.change(conn, func(g *guest) { g.running-- })
		next.ServeHTTP(&witness{ResponseWriter: w, served: func() { c.change(conn, func(g *guest) { g.answered = true }) }}, r)
	})
}

// witness notices that a request is being answered with what it asked for.
type witness struct {
	http.ResponseWriter
	served func()
	wrote  bool
}

// WriteHeader implements http.ResponseWriter.
func (w *witness) WriteHeader(code int) {
	if !w.wrote && code >= http.StatusOK {
		w.wrote = true
		if code < http.StatusBadRequest {
			w.served()
		}
	}
	w.ResponseWriter.WriteHeader(code)
}

// Write implements io.Writer.
func (w *witness) Write(p []byte) (int, error) {
	if !w.wrote {
		w.wrote = true
		w.served()
	}
	return w.ResponseWriter.Write(p)
}

// Flush implements http.Flusher, for those who ask for it and not for Unwrap.
func (w *witness) Flush() { _ = http.NewResponseController(w.ResponseWriter).Flush() }

// Unwrap serves http.ResponseController.
func (w *witness) Unwrap() http.ResponseWriter { return w.ResponseWriter }
