// SPDX-License-Identifier: Apache-2.0

package p2p

import (
	"errors"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/transport"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
	"github.com/libp2p/go-libp2p/p2p/transport/tcpreuse"
	manet "github.com/multiformats/go-multiaddr/net"
)

// leaveTime is how long the door waits for one who was sent away to be gone. It is only ever waited for if something is wrong.
const leaveTime = time.Second

// door keeps those who are still proving who they are few enough that there is always room for one more, as crowd does with guests: whoever
// has said nothing yet gives way before those who have, and of each who was heard longest ago. An address that has its share of the places
// gives way to itself, so that one address can't keep the others out. It goes by order and never by time. It is for TCP: with QUIC
// nobody is let in before the handshake's end.
type door struct {
	most, share int

	mu      sync.Mutex
	turn    uint64
	callers map[string]*caller
}

// caller is a TCP connection from its first moment on. The door's mutex guards what comes after left.
type caller struct {
	manet.Conn
	door *door
	key  string
	from netip.Prefix
	// inside says that the door need not be told of what it sends any more.
	inside atomic.Bool
	// left is closed when the connection has no place at the door any more.
	left chan struct{}

	// last is the turn at which it came or sent something; spoke says that it sent something.
	last  uint64
	spoke bool
	// held says that a scope of the resource manager stands for it, whose end is the connection's.
	held bool
}

func newDoor(most int) *door {
	return &door{most: most, share: (most + 1) / 2, callers: map[string]*caller{}}
}

// transport is libp2p's TCP, with the door before it.
func (d *door) transport(u transport.Upgrader, m network.ResourceManager, shared *tcpreuse.ConnMgr) (*tcp.TcpTransport, error) {
	return tcp.NewTCPTransport(guarded{u, d}, m, shared)
}

// guarded is an upgrader whose listeners have the door before them.
type guarded struct {
	transport.Upgrader
	door *door
}

// GateMaListener implements transport.Upgrader.
func (g guarded) GateMaListener(l manet.Listener) transport.GatedMaListener {
	return gate{g.Upgrader.GateMaListener(entrance{l, g.door}), g.door}
}

// entrance makes room before the resource manager is asked for it.
type entrance struct {
	manet.Listener
	door *door
}

// Accept implements manet.Listener.
func (e entrance) Accept() (manet.Conn, error) {
	conn, err := e.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return e.door.enter(conn), nil
}

// gate notes which scope stands for which connection.
type gate struct {
	transport.GatedMaListener
	door *door
}

// Accept implements transport.GatedMaListener.
func (g gate) Accept() (manet.Conn, network.ConnManagementScope, error) {
	conn, scope, err := g.GatedMaListener.Accept()
	if c, ok := conn.(*caller); ok && err == nil {
		g.door.mu.Lock()
		c.held = true
		g.door.mu.Unlock()
		scope = watched{scope, c}
	}
	return conn, scope, err
}

// watched is a scope whose end the door hears of.
type watched struct {
	network.ConnManagementScope
	caller *caller
}

// Done implements network.ConnManagementScope.
func (w watched) Done() {
	w.ConnManagementScope.Done()
	w.caller.door.leave(w.caller)
}

// addresses is a connection's two addresses: no two have both.
func addresses(c network.ConnMultiaddrs) string {
	return c.LocalMultiaddr().String() + " " + c.RemoteMultiaddr().String()
}

// addressOf is what one sender is taken to have: an address, of IPv6 a network.
func addressOf(a net.Addr) netip.Prefix {
	port, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return netip.Prefix{}
	}
	addr, bits := port.Addr().Unmap().WithZone(""), 32
	if addr.Is6() {
		bits = 56
	}
	p, _ := addr.Prefix(bits)
	return p
}

// enter gives a connection a place, for which another may have to go.
func (d *door) enter(conn manet.Conn) *caller {
	c := &caller{Conn: conn, door: d, key: addresses(conn), from: addressOf(conn.RemoteAddr()), left: make(chan struct{})}
	for gone := d.place(c); gone != nil; gone = d.place(c) {
		_ = gone.Close()
		select {
		case <-gone.left:
		case <-time.After(leaveTime):
			d.leave(gone)
		}
	}
	return c
}

// place puts a connection among those at the door, unless somebody has to go first.
func (d *door) place(c *caller) (first *caller) {
	d.mu.Lock()
	defer d.mu.Unlock()
	own := 0
	for _, o := range d.callers {
		if o.from == c.from {
			own++
		}
	}
	if own >= d.share {
		return d.least(func(o *caller) bool { return o.from == c.from })
	}
	if len(d.callers) >= d.most {
		return d.least(func(*caller) bool { return true })
	}
	d.turn++
	c.last = d.turn
	d.callers[c.key] = c
	return nil
}

// least is who gives way next.
func (d *door) least(counts func(*caller) bool) *caller {
	var least *caller
	for _, o := range d.callers {
		if !counts(o) {
			continue
		}
		if least == nil || !o.spoke && least.spoke || o.spoke == least.spoke && o.last < least.last {
			least = o
		}
	}
	return least
}

// leave ends a connection's time at the door: it is a guest now, or gone.
func (d *door) leave(c *caller) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.callers[c.key] == c {
		delete(d.callers, c.key)
		c.inside.Store(true)
		close(c.left)
	}
}

// through is called for a connection that has proven who it is.
func (d *door) through(conn network.ConnMultiaddrs) {
	d.mu.Lock()
	c := d.callers[addresses(conn)]
	d.mu.Unlock()
	if c != nil {
		d.leave(c)
	}
}

func (d *door) waiting() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.callers)
}

// Read implements net.Conn.
func (c *caller) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 && !c.inside.Load() {
		c.door.mu.Lock()
		defer c.door.mu.Unlock()
		c.door.turn++
		c.last, c.spoke = c.door.turn, true
	}
	return n, err
}

// Close implements net.Conn.
func (c *caller) Close() error {
	err := c.Conn.Close()
	c.door.mu.Lock()
	held := c.held
	c.door.mu.Unlock()
	if !held {
		c.door.leave(c) // refused before it had a scope
	}
	return err
}

// tcpConn is what the transport asks of a connection besides.
type tcpConn interface {
	SetLinger(sec int) error
	SetKeepAlive(on bool) error
	SetKeepAlivePeriod(every time.Duration) error
}

// ask lets the transport set what the connection below can.
func (c *caller) ask(f func(tcpConn) error) error {
	t, ok := c.Conn.(tcpConn)
	if !ok {
		return errors.ErrUnsupported
	}
	return f(t)
}

// SetLinger passes on what the transport sets.
func (c *caller) SetLinger(sec int) error {
	return c.ask(func(t tcpConn) error { return t.SetLinger(sec) })
}

// SetKeepAlive passes on what the transport sets.
func (c *caller) SetKeepAlive(on bool) error {
	return c.ask(func(t tcpConn) error { return t.SetKeepAlive(on) })
}

// SetKeepAlivePeriod passes on what the transport sets.
func (c *caller) SetKeepAlivePeriod(every time.Duration) error {
	return c.ask(func(t tcpConn) error { return t.SetKeepAlivePeriod(every) })
}
