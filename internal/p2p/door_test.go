// SPDX-License-Identifier: Apache-2.0

package p2p

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

// quiet is a TCP connection that nobody is behind.
type quiet struct {
	manet.Conn
	name   string
	remote net.TCPAddr
	says   io.Reader
	sent   *[]string
}

func (s *quiet) RemoteAddr() net.Addr { return &s.remote }
func (s *quiet) RemoteMultiaddr() multiaddr.Multiaddr {
	a, _ := manet.FromNetAddr(&s.remote)
	return a
}
func (s *quiet) LocalMultiaddr() multiaddr.Multiaddr {
	return multiaddr.StringCast("/ip4/10.0.0.1/tcp/4001")
}
func (s *quiet) Read(p []byte) (int, error) { return s.says.Read(p) }
func (s *quiet) Close() error               { *s.sent = append(*s.sent, s.name); return nil }

func TestWhoGivesWayAtTheDoor(t *testing.T) {
	type step struct{ who, does string }
	come := func(who ...string) (steps []step) {
		for _, w := range who {
			steps = append(steps, step{w, "comes"})
		}
		return steps
	}
	for name, c := range map[string]struct {
		steps []step
		want  []string
	}{
		"nobody, while there is room":                                                          {come("1.a", "2.b", "3.c", "4.d"), nil},
		"whoever is silent for longest":                                                        {come("1.a", "2.b", "3.c", "4.d", "5.e", "5.f"), []string{"1.a", "2.b"}},
		"one who was silent, before who spoke":                                                 {append(come("1.a", "2.b", "3.c", "4.d"), step{"1.a", "speaks"}, step{"5.e", "comes"}), []string{"2.b"}},
		"nobody before they were listened to":                                                  {append([]step{{"1.a", "comes unheard"}}, come("2.b", "3.c", "4.d", "5.e")...), []string{"2.b"}},
		"who spoke, before who has proven who they are":                                        {append(come("1.a", "2.b", "3.c", "4.d"), step{"1.a", "proves who it is"}, step{"3.c", "speaks"}, step{"2.b", "speaks"}, step{"4.d", "speaks"}, step{"5.e", "comes"}), []string{"3.c"}},
		"of those who spoke, who did longest ago":                                              {append(come("1.a", "2.b", "3.c", "4.d"), step{"4.d", "speaks"}, step{"3.c", "speaks"}, step{"2.b", "speaks"}, step{"1.a", "speaks"}, step{"5.e", "comes"}), []string{"4.d"}},
		"an address with three quarters of all places, for itself, even if others came before": {come("1.a", "2.b", "2.c", "2.d", "2.e"), []string{"2.b"}},
		"a network of IPv6 counts as one address":                                              {come("6.b", "6.c", "6.d", "6.e"), []string{"6.b"}},
		"nobody, when one got through":                                                         {append(come("1.a", "2.b", "3.c", "4.d"), step{"1.a", "gets through"}, step{"5.e", "comes"}), nil},
		"nobody, when one went":                                                                {append(come("1.a", "2.b", "3.c", "4.d"), step{"1.a", "goes"}, step{"5.e", "comes"}), []string{"1.a"}},
	} {
		t.Run(name, func(t *testing.T) {
			d, sent, callers := newDoor(4), []string(nil), map[string]*caller{}
			for port, s := range c.steps {
				switch s.does {
				case "comes", "comes unheard":
					ip := net.ParseIP("192.0.2." + s.who[:1])
					if s.who[0] == '6' {
						ip = net.ParseIP("2001:db8::" + strconv.Itoa(port))
					}
					conn := &quiet{name: s.who, remote: net.TCPAddr{IP: ip, Port: 1000 + port}, says: bytes.NewReader([]byte("hello")), sent: &sent}
					callers[s.who] = d.enter(conn)
					if s.does == "comes" {
						d.reached(callers[s.who], silent)
					}
				case "speaks":
					if _, err := callers[s.who].Read(make([]byte, 1)); err != nil {
						t.Fatal(err)
					}
				case "proves who it is":
					d.reached(callers[s.who], proven)
				case "gets through":
					d.through(callers[s.who])
				case "goes":
					_ = callers[s.who].Close()
				}
			}
			if !slices.Equal(sent, c.want) {
				t.Errorf("sent away: %q, want %q", sent, c.want)
			}
			if d.waiting() > 4 {
				t.Errorf("%d are at the door", d.waiting())
			}
		})
	}
}

// Who connects and says nothing keeps nobody out, however many do it.
func TestSilentConnectionsKeepNobodyOut(t *testing.T) {
	const many = 1000
	server := newHost(t, "/ip4/127.0.0.1/tcp/0")
	serve(t, server, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "served") }))
	_, at, err := manet.DialArgs(server.host.Network().ListenAddresses()[0])
	if err != nil {
		t.Fatal(err)
	}
	for i := range many {
		conn, err := (&net.Dialer{}).DialContext(within(t), "tcp", at)
		if err != nil {
			t.Fatalf("connection %d of %d: %v", i+1, many, err)
		}
		t.Cleanup(func() { _ = conn.Close() })
	}
	// They all come from one address: it has its share, and no more.
	eventually(t, "the door is full of them", func() bool { return server.door.waiting() == server.door.share })
	for range 3 {
		c := dial(t, newHost(t), server.Addrs()[0])
		resp, err := c.Get(c.URL())
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(resp.Body)
		if _ = resp.Body.Close(); err != nil || string(got) != "served" {
			t.Errorf("got %q, %v", got, err)
		}
	}
	if n, _ := server.Held(); n != 3 {
		t.Errorf("%d are guests, want 3", n)
	}
	eventually(t, "who got through has no place at the door any more", func() bool { return server.door.waiting() < server.door.share })
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	ctx, tick := within(t), time.NewTicker(5*time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("not so in %s: %s", patience, what)
		}
	}
}
