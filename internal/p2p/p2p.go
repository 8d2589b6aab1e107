// SPDX-License-Identifier: Apache-2.0

// Package p2p carries HTTP over libp2p, so that both ends know each other by their keys: Noise (or TLS in QUIC) proves the peer ids, and
// no certificate, DNS name or token is involved.
//
// A Host serves one handler twice. Go clients speak cleartext HTTP/2 over a stream of Protocol: full streaming, and a cancel
// reaches the handler at once. Browsers speak HTTP/1.1 over a stream of libp2p's own /http/1.1; there a cancel is only noticed at the
// next write, so every stream sends heartbeats. A handler finds its caller with Peer; a request without one never reaches it.
//
// A Host holds as many callers as it has room for, and always has room for one more: of those who show no use of being connected, the one
// who has shown it for longest gives way; so does, of those who have not proven yet who they are, the one who is silent for longest.
// What it takes on is bounded as a whole and per peer, and no address is refused for what it has: behind a cluster's NAT all callers have
// one. It gives way to itself first.
//
// No relay, no DHT, no mDNS and no address discovery: peers are reached at the multiaddrs that somebody names.
package p2p

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/connmgr"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	rcmgr "github.com/libp2p/go-libp2p/p2p/host/resource-manager"
	"github.com/libp2p/go-libp2p/p2p/net/gostream"
	"github.com/libp2p/go-libp2p/p2p/security/noise"
	libp2pquic "github.com/libp2p/go-libp2p/p2p/transport/quic"
	"github.com/libp2p/go-libp2p/x/rate"
	"github.com/multiformats/go-multiaddr"
)

const (
	// Protocol is the stream protocol of cleartext HTTP/2 between Go peers.
	Protocol protocol.ID = "/apocryph/h2c/1.0.0"
	// protocolHTTP is libp2p's HTTP/1.1, which browsers speak.
	protocolHTTP protocol.ID = "/http/1.1"

	headerTime = 10 * time.Second
	idleTime   = 2 * time.Minute
	drainTime  = 10 * time.Second
	pingTime   = 30 * time.Second

	maxHeaderBytes = 64 << 10
	// connectionsPerSecond bounds the handshakes of a host as a whole, beyond a burst of twice as many as it may hold.
	connectionsPerSecond = 256
	// maxRequests bounds what one HTTP/2 stream carries at once.
	maxRequests = 128
	// What one peer may have. A Go client has one connection with one stream, a browser one stream a request.
	peerConnections = 8
	peerStreams     = 32
	peerMemory      = 16 << 20
	// streamMemory is what a stream may buffer from its start on.
	streamMemory = 256 << 10

	defaultMemory      = 128 << 20
	defaultConnections = 512
)

// Config says who a host is and how much it takes on.
type Config struct {
	Key Key
	// Listen are multiaddrs without a peer id, such as /ip4/0.0.0.0/tcp/4001; none for a client.
	Listen []string
	// MaxMemory bounds what streams and connections may buffer, in bytes; 0 means 128 MiB.
	MaxMemory int64
	// MaxConnections bounds connections; 0 means 512. A quarter of it is for those that are still proving who they are, of whom the one
	// who is silent for longest gives way to the next; past the other three quarters, who shows no use of being connected gives way.
	MaxConnections int
}

// Host is one peer. It is safe for concurrent use; Close ends it.
type Host struct {
	host host.Host
	// h2 and h1 take streams of the two protocols; nil for a client. They are there before the first address is listened on, so that
	// nobody who gets through is told that nothing is spoken here.
	h2, h1 net.Listener
	door   *door
	crowd  *crowd
}

// NewHost starts a peer. The caller closes it.
func NewHost(c Config) (*Host, error) {
	if c.Key.priv == nil {
		return nil, fmt.Errorf("starting a peer: no key: %w", ErrKey)
	}
	c.MaxMemory, c.MaxConnections = cmp.Or(c.MaxMemory, defaultMemory), cmp.Or(c.MaxConnections, defaultConnections)
	resources, err := limits(c)
	if err != nil {
		return nil, fmt.Errorf("starting a peer: %w", err)
	}
	door := newDoor(atTheDoor(c))
	options := []libp2p.Option{
		libp2p.Identity(c.Key.priv),
		libp2p.Transport(door.transport),
		libp2p.Transport(libp2pquic.NewTransport),
		libp2p.Security(noise.ID, noise.New),
		libp2p.ConnectionManager(connmgr.NullConnMgr{}), // crowd does it
		libp2p.ResourceManager(resources),
		libp2p.DisableRelay(),
		libp2p.Ping(false),
		libp2p.DisableMetrics(),
		libp2p.DisableIdentifyAddressDiscovery(),
		libp2p.UserAgent("apocryph"),
	}
	h, err := libp2p.New(append(options, libp2p.NoListenAddrs)...)
	if err != nil {
		return nil, fmt.Errorf("starting a peer: %w", err)
	}
	p := &Host{host: h, door: door, crowd: newCrowd(settled(c), int(c.MaxMemory/streamMemory/2))}
	if len(c.Listen) == 0 {
		return p, nil
	}
	if err := p.listen(c.Listen); err != nil {
		return nil, errors.Join(fmt.Errorf("starting a peer: %w", err), h.Close())
	}
	return p, nil
}

func (h *Host) listen(on []string) error {
	var err error
	if h.h2, err = gostream.Listen(h.host, Protocol); err != nil {
		return fmt.Errorf("listening for %s: %w", Protocol, err)
	}
	// A client that has sent its request closes its side for writing: without IgnoreEOF net/http would take that for a cancel.
	if h.h1, err = gostream.Listen(h.host, protocolHTTP, gostream.IgnoreEOF()); err != nil {
		return fmt.Errorf("listening for %s: %w", protocolHTTP, err)
	}
	h.host.Network().Notify(h.crowd.notifiee())
	h.host.Network().Notify(&network.NotifyBundle{ConnectedF: func(_ network.Network, conn network.Conn) { h.door.through(conn) }})
	addrs := make([]multiaddr.Multiaddr, 0, len(on))
	for _, text := range on {
		a, err := multiaddr.NewMultiaddr(text)
		if err != nil {
			return fmt.Errorf("%q: %w", text, ErrAddr)
		}
		addrs = append(addrs, a)
	}
	return h.host.Network().Listen(addrs...)
}

// settled is how many connections may stay, of those that have proven who they are.
func settled(c Config) int { return c.MaxConnections - proving(c) }

// proving is how many may be at it.
func proving(c Config) int { return c.MaxConnections / 4 }

// atTheDoor is how many of them may be at it over TCP, where anybody can be without a word; the rest is for QUIC, and for those who are
// on their way out.
func atTheDoor(c Config) int { return max(1, proving(c)*3/4) }

// limits bounds a host as a whole and per peer.
func limits(c Config) (network.ResourceManager, error) {
	scaling := rcmgr.DefaultLimits
	libp2p.SetDefaultServiceLimits(&scaling)
	all := rcmgr.PartialLimitConfig{
		System: rcmgr.ResourceLimits{
			Conns:        rcmgr.LimitVal(c.MaxConnections),
			ConnsInbound: rcmgr.LimitVal(c.MaxConnections),
			Memory:       rcmgr.LimitVal64(c.MaxMemory),
		},
		// Those who are slow to prove who they are must not take the places of those who have.
		Transient: rcmgr.ResourceLimits{
			Conns: rcmgr.LimitVal(proving(c)), ConnsInbound: rcmgr.LimitVal(proving(c)), FD: rcmgr.LimitVal(proving(c)),
		},
		// Ours are all of one protocol, which may take what there is.
		ProtocolDefault: rcmgr.ResourceLimits{Memory: rcmgr.LimitVal64(c.MaxMemory)},
		PeerDefault: rcmgr.ResourceLimits{
			ConnsInbound: peerConnections, Conns: 2 * peerConnections, StreamsInbound: peerStreams, Streams: 2 * peerStreams, Memory: peerMemory,
		},
	}.Build(scaling.Scale(c.MaxMemory, c.MaxConnections))
	return rcmgr.NewResourceManager(rcmgr.NewFixedLimiter(all),
		rcmgr.WithLimitPerSubnet(
			[]rcmgr.ConnLimitPerSubnet{{PrefixLength: 32, ConnCount: c.MaxConnections}},
			[]rcmgr.ConnLimitPerSubnet{{PrefixLength: 56, ConnCount: c.MaxConnections}},
		),
		// The default lets an address connect once in five seconds after the first sixteen.
		rcmgr.WithConnRateLimiters(&rate.Limiter{GlobalLimit: rate.Limit{RPS: connectionsPerSecond, Burst: 2 * c.MaxConnections}}))
}

// Held is how many connections others have to this host, and how many streams with requests on them.
func (h *Host) Held() (connections, streams int) { return h.crowd.held() }

// Close ends all connections and waits for what the host started.
func (h *Host) Close() error {
	defer h.crowd.wait()
	return h.host.Close()
}

// ID is the peer id as text.
func (h *Host) ID() string { return h.host.ID().String() }

// Peer is the peer id in binary form, as delegations carry it.
func (h *Host) Peer() string { return string(h.host.ID()) }

// Addrs are the multiaddrs at which others reach the host, with its peer id.
func (h *Host) Addrs() []string {
	var all []string
	for _, a := range h.host.Addrs() {
		all = append(all, a.String()+"/p2p/"+h.ID())
	}
	return all
}

// Serve serves a handler on both protocols until ctx ends, then drains for a bounded time. A host serves once.
func (h *Host) Serve(ctx context.Context, handler http.Handler) error {
	if h.h2 == nil {
		return errors.New("serving: this peer listens nowhere")
	}
	var cleartext, plain http.Protocols
	cleartext.SetUnencryptedHTTP2(true)
	plain.SetHTTP1(true)
	servers := []*http.Server{
		h.server(requirePeer(handler), &cleartext),
		h.server(requirePeer(closeAfter(handler)), &plain),
	}
	served := make(chan error, len(servers))
	var running sync.WaitGroup
	for i, l := range []net.Listener{h.h2, h.h1} {
		running.Go(func() { served <- servers[i].Serve(l) })
	}
	var first error
	select {
	case first = <-served:
	case <-ctx.Done():
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
	defer cancel()
	for _, s := range servers {
		// A stream that a client keeps open must not keep the process.
		if s.Shutdown(drain) != nil {
			_ = s.Close()
		}
	}
	running.Wait()
	return first
}

func (h *Host) server(handler http.Handler, p *http.Protocols) *http.Server {
	return &http.Server{
		Handler:           h.crowd.welcome(handler),
		Protocols:         p,
		HTTP2:             &http.HTTP2Config{MaxConcurrentStreams: maxRequests, SendPingTimeout: pingTime, PingTimeout: pingTime},
		ReadHeaderTimeout: headerTime,
		IdleTimeout:       idleTime,
		MaxHeaderBytes:    maxHeaderBytes,
		ConnContext:       func(ctx context.Context, c net.Conn) context.Context { return withConn(withPeer(ctx, c), connOf(c)) },
		ConnState:         h.crowd.state,
	}
}

type peerKey struct{}

func withPeer(ctx context.Context, c net.Conn) context.Context {
	a := c.RemoteAddr()
	if a.Network() != gostream.Network {
		return ctx
	}
	id, err := peer.Decode(a.String())
	if err != nil {
		return ctx
	}
	return context.WithValue(ctx, peerKey{}, id)
}

// Peer returns the proven peer id, in binary form, of who sent the request with this context; "" outside a Host's handlers.
func Peer(ctx context.Context) string {
	id, _ := ctx.Value(peerKey{}).(peer.ID)
	return string(id)
}

func requirePeer(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if Peer(r.Context()) == "" {
			http.Error(w, "no peer id", http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// closeAfter ends the stream with the response: libp2p's HTTP has one request per stream.
func closeAfter(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Connection", "close")
		next.ServeHTTP(w, r)
	})
}

func parseAddr(s string) (peer.AddrInfo, error) {
	a, err := multiaddr.NewMultiaddr(s)
	if err != nil {
		return peer.AddrInfo{}, fmt.Errorf("%.200q: %w: %.200s", s, ErrAddr, strings.Map(printed, err.Error()))
	}
	info, err := peer.AddrInfoFromP2pAddr(a)
	if err != nil || len(info.Addrs) == 0 {
		return peer.AddrInfo{}, fmt.Errorf("%.200q: %w", s, ErrAddr)
	}
	return *info, nil
}

// printed is what of others' text is shown as it is: it may have been in a line of somebody's.
func printed(r rune) rune {
	if !unicode.IsPrint(r) {
		return unicode.ReplacementChar
	}
	return r
}
