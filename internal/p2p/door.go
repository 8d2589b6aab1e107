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
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/transport"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
	"github.com/libp2p/go-libp2p/p2p/transport/tcpreuse"
	manet "github.com/multiformats/go-multiaddr/net"
)

// doorTime is how long the door waits for one who was sent away to be gone, and for those who have just come to be listened to. It takes a
// machine that is far too busy to wait for so long.
const doorTime = time.Second

// door keeps those who are still proving who they are few enough that there is always room for one more, as crowd does with guests: whoever
// has said nothing yet gives way before those who have, those before who has proven who they are and is only not a guest yet, and of each
// who was heard longest ago. Nobody does before they were listened to. An address that has its share of the places gives way to itself,
// so that one address can't keep the others out. It goes by order and never by time. It is for TCP: with QUIC nobody is let in before
// the handshake's end.
type door struct {
	most, share int

	mu      sync.Mutex
	turn    uint64
	callers map[string]*caller
	// changed is closed when somebody is listened to, or left.
	changed chan struct{}
}

// The stages of callers: whom nobody listened to yet, and then those that give way first, second and third.
const (
	unheard = iota
	silent
	speaking
	proven
)

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

	// last is the turn at which it came or sent something.
	last  uint64
	stage int
	// held says that a scope of the resource manager stands for it, whose end is the connection's.
	held bool
}

func newDoor(most int) *door {
	return &door{most: most, share: max(1, most*3/4), callers: map[string]*caller{}, changed: make(chan struct{})}
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

// SetPeer implements network.ConnManagementScope.
func (w watched) SetPeer(id peer.ID) error {
	err := w.ConnManagementScope.SetPeer(id)
	if err == nil {
		w.caller.door.reached(w.caller, proven)
	}
	return err
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
	for {
		gone, changed := d.place(c)
		if changed == nil {
			return c
		}
		if gone != nil {
			_ = gone.Close()
			changed = gone.left
		}
		select {
		case <-changed:
		case <-time.After(doorTime):
			d.hurry(gone)
		}
	}
}

// hurry ends waiting for one who does not go, or for those who are not listened to.
func (d *door) hurry(gone *caller) {
	if gone != nil {
		d.leave(gone)
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, c := range d.callers {
		c.stage = max(c.stage, silent)
	}
}

// place puts a connection among those at the door, unless somebody has to go first. Nobody may be who could: then it has to wait for a change.
func (d *door) place(c *caller) (first *caller, changed <-chan struct{}) {
	d.mu.Lock()
	defer d.mu.Unlock()
	own := 0
	for _, o := range d.callers {
		if o.from == c.from {
			own++
		}
	}
	if own >= d.share {
		return d.least(func(o *caller) bool { return o.from == c.from }), d.changed
	}
	if len(d.callers) >= d.most {
		return d.least(func(*caller) bool { return true }), d.changed
	}
	d.turn++
	c.last = d.turn
	d.callers[c.key] = c
	return nil, nil
}

// least is who gives way next.
func (d *door) least(counts func(*caller) bool) *caller {
	var least *caller
	for _, o := range d.callers {
		if !counts(o) || o.stage == unheard {
			continue
		}
		if least == nil || o.stage < least.stage || o.stage == least.stage && o.last < least.last {
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
		d.change()
	}
}

// change wakes who waits for one. The caller holds the mutex.
func (d *door) change() {
	close(d.changed)
	d.changed = make(chan struct{})
}

// reached notes how far a caller has come.
func (d *door) reached(c *caller, stage int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if c.stage == unheard {
		d.change()
	}
	if stage >= speaking {
		d.turn++
		c.last = d.turn
	}
	c.stage = max(c.stage, stage)
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
	if c.inside.Load() {
		return c.Conn.Read(p)
	}
	c.door.reached(c, silent)
	n, err := c.Conn.Read(p)
	if n > 0 {
		c.door.reached(c, speaking)
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
