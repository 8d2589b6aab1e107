// SPDX-License-Identifier: Apache-2.0

package p2p

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/p2p/net/gostream"
	"github.com/multiformats/go-multiaddr"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// Behind a cluster's NAT all publishers come from one address, and each command of the client is a connection of its own.
func TestManyCallersMayComeFromOneAddress(t *testing.T) {
	const many = 200
	m, err := limits(Config{MaxMemory: 128 << 20, MaxConnections: 512})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = m.Close() }()
	from := multiaddr.StringCast("/ip4/10.1.2.3/tcp/4001")
	for i := range many {
		conn, err := m.OpenConnection(network.DirInbound, true, from)
		if err != nil {
			t.Fatalf("connection %d of %d: %v", i+1, many, err)
		}
		conn.Done()
	}
}

// A peer's streams may buffer so much, and those of all peers so much: the last byte within it is given, and one more is not.
func TestMemoryOfStreams(t *testing.T) {
	m, err := limits(Config{MaxMemory: defaultMemory, MaxConnections: defaultConnections})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = m.Close() }()
	reserve := func(id peer.ID, bytes int) error {
		stream, err := m.OpenStream(id, network.DirInbound)
		if err != nil {
			t.Fatal(err)
		}
		if err := stream.SetProtocol(Protocol); err != nil {
			t.Fatal(err)
		}
		return stream.ReserveMemory(bytes, network.ReservationPriorityAlways)
	}
	const part = peerMemory / 4
	for i := range int(defaultMemory / peerMemory) {
		id := newKey(t).id
		for range 4 {
			if err := reserve(id, part); err != nil {
				t.Fatalf("peer %d: %v", i+1, err)
			}
		}
		if i == 0 && reserve(id, 1) == nil {
			t.Error("a peer has more than its share")
		}
	}
	if reserve(newKey(t).id, 1) == nil {
		t.Error("there is more than there may be")
	}
}

// open opens a stream to a host that serves a handler.
func open(t *testing.T, server *Host, p protocol.ID) net.Conn {
	t.Helper()
	client := newHost(t)
	dial(t, client, server.Addrs()[0])
	id, err := peer.Decode(server.ID())
	if err != nil {
		t.Fatal(err)
	}
	conn, err := gostream.Dial(within(t), client.host, id, p)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// Of the requests that one stream carries at once, the one beyond the bound is refused, and those within it run.
func TestRequestsOnOneStream(t *testing.T) {
	server := newHost(t, "/ip4/127.0.0.1/tcp/0")
	running, end := make(chan struct{}, 2*maxRequests), make(chan struct{})
	serve(t, server, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		running <- struct{}{}
		<-end
	}))
	// Before the server is waited for.
	defer close(end)
	conn := open(t, server, Protocol)
	if _, err := io.WriteString(conn, http2.ClientPreface); err != nil {
		t.Fatal(err)
	}
	frames := http2.NewFramer(conn, conn)
	if err := frames.WriteSettings(); err != nil {
		t.Fatal(err)
	}
	var header bytes.Buffer
	encoder := hpack.NewEncoder(&header)
	for _, f := range []hpack.HeaderField{{Name: ":method", Value: "GET"}, {Name: ":scheme", Value: "http"}, {Name: ":path", Value: "/"}, {Name: ":authority", Value: "x"}} {
		if err := encoder.WriteField(f); err != nil {
			t.Fatal(err)
		}
	}
	for i := range uint32(maxRequests + 1) {
		h := http2.HeadersFrameParam{StreamID: 2*i + 1, BlockFragment: header.Bytes(), EndHeaders: true, EndStream: true}
		if err := frames.WriteHeaders(h); err != nil {
			t.Fatal(err)
		}
	}
	for {
		f, err := frames.ReadFrame()
		if err != nil {
			t.Fatalf("no request was refused: %v", err)
		}
		if r, ok := f.(*http2.RSTStreamFrame); ok {
			if r.StreamID != 2*maxRequests+1 {
				t.Errorf("request %d of %d was refused: %s", r.StreamID/2+1, maxRequests+1, r.ErrCode)
			}
			break
		}
	}
	for range maxRequests {
		<-running
	}
	if len(running) != 0 {
		t.Error("the one that was refused runs")
	}
}

// A header within the bound is served, and one beyond it is refused, by each of the protocols.
func TestHeaderOfARequest(t *testing.T) {
	// Net/http counts in buffers and gives one on top, and in HTTP/2 counts what a field takes in memory.
	const slop = 8192
	server := newHost(t, "/ip4/127.0.0.1/tcp/0")
	serve(t, server, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "served") }))
	for name, ask := range map[string]func(header string) (*http.Response, error){
		"HTTP/2": func(header string) (*http.Response, error) {
			c := dial(t, newHost(t), server.Addrs()[0])
			req, err := http.NewRequestWithContext(within(t), http.MethodGet, c.URL(), nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("X", header)
			return c.Do(req)
		},
		"HTTP/1.1": func(header string) (*http.Response, error) {
			conn := open(t, server, protocolHTTP)
			// What is not read any more can't be sent, which is no failure.
			_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\nX: "+header+"\r\n\r\n")
			return http.ReadResponse(bufio.NewReader(conn), nil)
		},
	} {
		for size, want := range map[int]bool{maxHeaderBytes - 1024: true, maxHeaderBytes + slop: false} {
			resp, err := ask(strings.Repeat("x", size))
			got := err == nil && resp.StatusCode == http.StatusOK
			if err == nil {
				_ = resp.Body.Close()
			}
			if got != want {
				t.Errorf("%s: a header of %d bytes: served %t, want %t (%v)", name, size, got, want, err)
			}
		}
	}
}

// Who begins a header and does not end it, and who does nothing after an answer, has no stream any more.
func TestAStreamThatRestsEnds(t *testing.T) {
	const get = "GET / HTTP/1.1\r\nHost: x\r\n\r\n"
	for name, c := range map[string]struct {
		protocol protocol.ID
		bound    func(*http.Server) *time.Duration
		want     time.Duration
		sends    string
	}{
		"HTTP/1.1, a header that does not end": {protocolHTTP, func(s *http.Server) *time.Duration { return &s.ReadHeaderTimeout }, headerTime, get[:20]},
		"HTTP/2, a preface that does not end":  {Protocol, func(s *http.Server) *time.Duration { return &s.ReadHeaderTimeout }, headerTime, http2.ClientPreface[:10]},
		"HTTP/2, no request": {
			Protocol, func(s *http.Server) *time.Duration { return &s.IdleTimeout }, idleTime, http2.ClientPreface + "\x00\x00\x00\x04\x00\x00\x00\x00\x00",
		},
	} {
		t.Run(name, func(t *testing.T) {
			host := newHost(t, "/ip4/127.0.0.1/tcp/0")
			var plain, cleartext http.Protocols
			plain.SetHTTP1(true)
			cleartext.SetUnencryptedHTTP2(true)
			listener, protocols := host.h1, &plain
			if c.protocol == Protocol {
				listener, protocols = host.h2, &cleartext
			}
			s := host.server(http.NotFoundHandler(), protocols)
			if *c.bound(s) != c.want {
				t.Fatalf("bounded to %s, want %s", *c.bound(s), c.want)
			}
			*c.bound(s) = 20 * time.Millisecond
			ended := make(chan struct{}, 1)
			s.ConnState = func(conn net.Conn, state http.ConnState) {
				host.crowd.state(conn, state)
				if state == http.StateClosed {
					ended <- struct{}{}
				}
			}
			var serving sync.WaitGroup
			serving.Go(func() { _ = s.Serve(listener) })
			defer func() { _ = s.Close(); serving.Wait() }()

			conn := open(t, host, c.protocol)
			if _, err := io.WriteString(conn, c.sends); err != nil {
				t.Fatal(err)
			}
			select {
			case <-ended:
			case <-within(t).Done():
				t.Fatal("it was not ended")
			}
			if _, streams := host.Held(); streams != 0 {
				t.Errorf("%d streams have a place", streams)
			}
		})
	}
}
