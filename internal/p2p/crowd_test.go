// SPDX-License-Identifier: Apache-2.0

package p2p

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/multiformats/go-multiaddr"
)

// party is a crowd of guests that are not really connected.
type party struct {
	*crowd
	left chan string
}

type fakeConn struct {
	network.Conn
	name string
	to   party
}

func (c *fakeConn) CloseWithError(network.ConnErrorCode) error {
	c.to.left <- c.name
	return nil
}

func (p party) come(name string) *fakeConn {
	c := &fakeConn{name: name, to: p}
	p.came(c)
	return c
}

// gone are those who were sent away so far.
func (p party) gone() []string {
	p.wait()
	var names []string
	for {
		select {
		case name := <-p.left:
			names = append(names, name)
		default:
			slices.Sort(names)
			return names
		}
	}
}

func (p party) answer(c *fakeConn) {
	p.change(c, func(g *guest) { g.answered = true })
}

func (p party) serve(c *fakeConn) {
	p.answer(c)
	p.change(c, func(g *guest) { g.running++ })
}

func TestWhoIsSentAway(t *testing.T) {
	for name, c := range map[string]struct {
		happens func(party, map[string]*fakeConn)
		want    []string
	}{
		"nobody, while there is room":                  {func(party, map[string]*fakeConn) {}, nil},
		"of strangers, the one who came first":         {func(p party, _ map[string]*fakeConn) { p.come("d") }, []string{"a"}},
		"a stranger rather than one who had an answer": {func(p party, g map[string]*fakeConn) { p.answer(g["a"]); p.come("d") }, []string{"b"}},
		"a stranger even if it asks all the time": {func(p party, g map[string]*fakeConn) {
			p.answer(g["a"])
			p.answer(g["c"])
			p.opened(g["b"])
			p.come("d")
		}, []string{"b"}},
		"of those who had an answer, who asked longest ago": {func(p party, g map[string]*fakeConn) {
			p.answer(g["c"])
			p.answer(g["b"])
			p.answer(g["a"])
			p.come("d")
		}, []string{"c"}},
		"one who is idle rather than one who is being served": {func(p party, g map[string]*fakeConn) {
			p.serve(g["a"])
			p.answer(g["b"])
			p.answer(g["c"])
			p.come("d")
		}, []string{"b"}},
		"the newcomer if all are being served": {func(p party, g map[string]*fakeConn) { p.serve(g["a"]); p.serve(g["b"]); p.serve(g["c"]); p.come("d") }, []string{"d"}},
		"nobody, when one left before":         {func(p party, g map[string]*fakeConn) { p.went(g["b"]); p.come("d") }, nil},
		"one with a stream, when streams are too many": {func(p party, g map[string]*fakeConn) {
			p.opened(g["b"])
			p.opened(g["c"])
			p.opened(g["c"])
		}, []string{"b"}},
		"whoever opens too many alone": {func(p party, g map[string]*fakeConn) {
			p.opened(g["c"])
			p.opened(g["c"])
			p.opened(g["c"])
		}, []string{"c"}},
		"nobody, when streams were closed": {func(p party, g map[string]*fakeConn) {
			p.opened(g["b"])
			p.closed(g["b"])
			p.opened(g["c"])
			p.opened(g["c"])
		}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			p := party{newCrowd(3, 2), make(chan string, 10)}
			guests := map[string]*fakeConn{}
			for _, name := range []string{"a", "b", "c"} {
				guests[name] = p.come(name)
			}
			c.happens(p, guests)
			if got := p.gone(); !slices.Equal(got, c.want) {
				t.Errorf("sent away: %q, want %q", got, c.want)
			}
			if n, streams := p.held(); n > 3 || streams > 2 {
				t.Errorf("%d connections and %d streams stay", n, streams)
			}
		})
	}
}

func TestWhoWasAnswered(t *testing.T) {
	for name, c := range map[string]struct {
		answer func(http.ResponseWriter)
		want   int
	}{
		"refused":            {func(w http.ResponseWriter) { w.WriteHeader(http.StatusForbidden); _, _ = w.Write([]byte("no")) }, stranger},
		"answered":           {func(w http.ResponseWriter) { _, _ = w.Write([]byte("yes")) }, known},
		"answered with 204":  {func(w http.ResponseWriter) { w.WriteHeader(http.StatusNoContent) }, known},
		"nothing, and a 200": {func(http.ResponseWriter) {}, stranger},
	} {
		p := party{newCrowd(3, 2), make(chan string, 10)}
		conn := p.come("a")
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r = r.WithContext(withConn(r.Context(), conn))
		p.welcome(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { c.answer(w) })).ServeHTTP(httptest.NewRecorder(), r)
		if got := p.guests[conn].rank(); got != c.want || p.guests[conn].running != 0 {
			t.Errorf("%s: rank %d, want %d; %d running", name, got, c.want, p.guests[conn].running)
		}
	}
}

// One beyond each bound of the host's resources is refused, and the last within it is not.
func TestBounds(t *testing.T) {
	c := Config{MaxMemory: defaultMemory, MaxConnections: defaultConnections}
	m, err := limits(c)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = m.Close() }()
	from := multiaddr.StringCast("/ip4/10.1.2.3/tcp/4001")
	id := newKey(t).id
	var conns []network.ConnManagementScope
	connect := func() error {
		conn, err := m.OpenConnection(network.DirInbound, true, from)
		if err == nil {
			conns = append(conns, conn)
		}
		return err
	}
	for i := range proving(c) {
		if err := connect(); err != nil {
			t.Fatalf("connection %d of %d that are proving who they are: %v", i+1, proving(c), err)
		}
	}
	if connect() == nil {
		t.Errorf("%d are proving who they are", proving(c)+1)
	}
	for i, conn := range conns[:peerConnections+1] {
		if err := conn.SetPeer(id); (err == nil) != (i < peerConnections) {
			t.Errorf("connection %d of a peer: %v", i+1, err)
		}
	}
	for i := range peerStreams + 1 {
		if _, err := m.OpenStream(id, network.DirInbound); (err == nil) != (i < peerStreams) {
			t.Errorf("stream %d of a peer: %v", i+1, err)
		}
	}
	if settled(c)+proving(c) != c.MaxConnections {
		t.Errorf("%d settled and %d proving are not %d", settled(c), proving(c), c.MaxConnections)
	}
}
