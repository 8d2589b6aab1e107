// SPDX-License-Identifier: Apache-2.0

package p2p

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/p2p/net/gostream"

	"github.com/apocryph/apocryph/internal/fault"
)

// patience bounds every wait; nothing waits for it unless a test fails.
const patience = 20 * time.Second

func newKey(t *testing.T) Key {
	t.Helper()
	k, err := NewKey()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func newHost(t *testing.T, listen ...string) *Host {
	t.Helper()
	h, err := NewHost(Config{Key: newKey(t), Listen: listen})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Close() })
	return h
}

func serve(t *testing.T, h *Host, handler http.Handler) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	var wait sync.WaitGroup
	wait.Go(func() {
		if err := h.Serve(ctx, handler); err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	t.Cleanup(func() { stop(); wait.Wait() })
}

func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

func dial(t *testing.T, from *Host, addr string) *Client {
	t.Helper()
	c, err := from.Dial(within(t), addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func TestServe(t *testing.T) {
	for name, listen := range map[string]string{
		"over tcp":  "/ip4/127.0.0.1/tcp/0",
		"over quic": "/ip4/127.0.0.1/udp/0/quic-v1",
	} {
		t.Run(name, func(t *testing.T) {
			server, client := newHost(t, listen), newHost(t)
			cancelled := make(chan struct{})
			mux := http.NewServeMux()
			mux.HandleFunc("/echo", func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				_, _ = fmt.Fprintf(w, "%s said %s", Text(Peer(r.Context())), body)
			})
			mux.HandleFunc("/stream", func(w http.ResponseWriter, r *http.Request) {
				_, _ = fmt.Fprintln(w, "first")
				_ = http.NewResponseController(w).Flush()
				<-r.Context().Done()
				close(cancelled)
			})
			serve(t, server, mux)
			c := dial(t, client, server.Addrs()[0])

			t.Run("a call knows its caller", func(t *testing.T) {
				resp, err := c.Post(c.URL()+"/echo", "text/plain", strings.NewReader("hello"))
				if err != nil {
					t.Fatal(err)
				}
				got, _ := io.ReadAll(resp.Body)
				_ = resp.Body.Close()
				if want := client.ID() + " said hello"; string(got) != want || resp.ProtoMajor != 2 {
					t.Errorf("got %q by HTTP/%d, want %q by HTTP/2", got, resp.ProtoMajor, want)
				}
			})
			t.Run("a stream arrives in parts and its cancel reaches the handler", func(t *testing.T) {
				ctx, cancel := context.WithCancel(within(t))
				req, _ := http.NewRequestWithContext(ctx, http.MethodGet, c.URL()+"/stream", nil)
				resp, err := c.Do(req)
				if err != nil {
					t.Fatal(err)
				}
				if line, err := bufio.NewReader(resp.Body).ReadString('\n'); line != "first\n" {
					t.Fatalf("got %q, %v before the end of the stream", line, err)
				}
				cancel()
				select {
				case <-cancelled:
				case <-within(t).Done():
					t.Error("the handler did not see the cancel")
				}
				_ = resp.Body.Close()
			})
		})
	}
}

func TestServeBrowserProtocol(t *testing.T) {
	server, client := newHost(t, "/ip4/127.0.0.1/tcp/0"), newHost(t)
	serve(t, server, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, Text(Peer(r.Context())))
	}))
	dial(t, client, server.Addrs()[0])
	id, err := peer.Decode(server.ID())
	if err != nil {
		t.Fatal(err)
	}
	conn, err := gostream.Dial(within(t), client.host, id, protocolHTTP)
	if err != nil {
		t.Fatal(err)
	}
	req, _ := http.NewRequest(http.MethodGet, "http://any/", nil)
	if err := req.Write(conn); err != nil {
		t.Fatal(err)
	}
	// As browsers do: this side is done with writing.
	_ = conn.(interface{ CloseWrite() error }).CloseWrite()
	resp, err := http.ReadResponse(bufio.NewReader(conn), req)
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err != nil || string(got) != client.ID() || !resp.Close {
		t.Errorf("got %q, %v, close %t; want %q and close", got, err, resp.Close, client.ID())
	}
}

func TestDialRefuses(t *testing.T) {
	server, client := newHost(t, "/ip4/127.0.0.1/tcp/0"), newHost(t)
	at, _, _ := strings.Cut(server.Addrs()[0], "/p2p/")
	for name, c := range map[string]struct {
		addr string
		want error
	}{
		"another peer id than the one that answers": {at + "/p2p/" + newKey(t).ID(), ErrWrongPeer},
		"no peer id":                     {at, ErrAddr},
		"only a peer id":                 {"/p2p/" + server.ID(), ErrAddr},
		"no multiaddr":                   {"localhost:4001", ErrAddr},
		"a port where nothing listens":   {"/ip4/127.0.0.1/tcp/1/p2p/" + newKey(t).ID(), ErrUnreachable},
		"a transport that we don't have": {"/ip4/127.0.0.1/tcp/1/ws/p2p/" + newKey(t).ID(), ErrUnreachable},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := client.Dial(within(t), c.addr); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
}

func TestDialTellsOtherVersionsFromOtherPeers(t *testing.T) {
	for name, c := range map[string]struct {
		speaks protocol.ID
		want   error
	}{
		"a version that is not ours":                   {"/apocryph/h2c/2.0.0", ErrProtocol},
		"control: our version":                         {Protocol, nil},
		"nothing of this product":                      {"/ipfs/bitswap/1.2.0", nil},
		"another protocol of this product, and no h2c": {"/apocryph/other/1.0.0", nil},
	} {
		t.Run(name, func(t *testing.T) {
			server, client := newHost(t, "/ip4/127.0.0.1/tcp/0"), newHost(t)
			server.host.RemoveStreamHandler(Protocol)
			server.host.SetStreamHandler(c.speaks, func(s network.Stream) { _ = s.Reset() })
			_, err := client.Dial(within(t), server.Addrs()[0])
			if !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
			if c.want != nil && (fault.HintOf(err) == "" || !strings.Contains(err.Error(), "2.0.0")) {
				t.Errorf("it does not say which versions there are, or what to do: %v, %q", err, fault.HintOf(err))
			}
		})
	}
}

func TestHandlerWithoutPeer(t *testing.T) {
	h := requirePeer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("reached") }))
	w := &recorder{header: http.Header{}}
	req, _ := http.NewRequest(http.MethodGet, "/", nil)
	h.ServeHTTP(w, req)
	if w.code != http.StatusUnauthorized {
		t.Errorf("got %d, want 401", w.code)
	}
}

type recorder struct {
	header http.Header
	code   int
	bytes.Buffer
}

func (r *recorder) Header() http.Header  { return r.header }
func (r *recorder) WriteHeader(code int) { r.code = code }

func TestLoadOrCreateKey(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys", "peer")
	keys := make([]Key, 8)
	var wait sync.WaitGroup
	for i := range keys {
		wait.Go(func() {
			k, err := LoadOrCreateKey(path)
			if err != nil {
				t.Error(err)
				return
			}
			keys[i] = k
		})
	}
	wait.Wait()
	for _, k := range keys {
		if k.Peer() != keys[0].Peer() {
			t.Error("two callers got different keys")
		}
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v; want 0600", info.Mode(), err)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".peer-*")); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
	if err := os.WriteFile(path, []byte("junk"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadOrCreateKey(path); !errors.Is(err, ErrKey) {
		t.Errorf("got %v for junk, want ErrKey", err)
	}
}

func TestCheckPeer(t *testing.T) {
	key, other := newKey(t), newKey(t)
	sig, err := key.Sign([]byte("message"))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		peer, message string
		want          bool
	}{
		"the signer":      {key.Peer(), "message", true},
		"another peer":    {other.Peer(), "message", false},
		"another message": {key.Peer(), "massage", false},
		"no peer id":      {"junk", "message", false},
	} {
		t.Run(name, func(t *testing.T) {
			if got, _ := CheckPeer(c.peer, []byte(c.message), sig); got != c.want {
				t.Errorf("got %t, want %t", got, c.want)
			}
		})
	}
}

func TestKeyPrintsRedacted(t *testing.T) {
	k := newKey(t)
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		if got := fmt.Sprintf(format, k); got != "[redacted]" {
			t.Errorf("%s prints %s", format, got)
		}
	}
}

// A server that ends and comes again is found again by a client that goes on, and so is a client's connection that was lost.
func TestAClientDialsAgain(t *testing.T) {
	key := newKey(t)
	start := func(at string) (*Host, func()) {
		h, err := NewHost(Config{Key: key, Listen: []string{at}})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var serving sync.WaitGroup
		serving.Go(func() {
			if err := h.Serve(ctx, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "served") })); err != nil {
				t.Error(err)
			}
		})
		stop := sync.OnceFunc(func() { cancel(); serving.Wait(); _ = h.Close() })
		t.Cleanup(stop)
		return h, stop
	}
	first, stop := start("/ip4/127.0.0.1/tcp/0")
	at, _, _ := strings.Cut(first.Addrs()[0], "/p2p/")
	client := newHost(t)
	c := dial(t, client, first.Addrs()[0])
	ask := func() error {
		req, err := http.NewRequestWithContext(within(t), http.MethodGet, c.URL(), nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := c.Do(req)
		if err != nil {
			return err
		}
		got, err := io.ReadAll(resp.Body)
		if _ = resp.Body.Close(); err == nil && string(got) != "served" {
			t.Errorf("got %q", got)
		}
		return err
	}
	if err := ask(); err != nil {
		t.Fatal(err)
	}
	stop()
	if err := ask(); err == nil {
		t.Error("control: it answers after its end")
	}
	_, stop = start(at)
	defer stop()
	// A peer that could not be reached is left alone for some seconds.
	eventually(t, "it is served again", func() bool { return ask() == nil })
	for _, conn := range client.host.Network().Conns() {
		_ = conn.Close()
	}
	eventually(t, "it is served after its connection was lost", func() bool { return ask() == nil })
}
