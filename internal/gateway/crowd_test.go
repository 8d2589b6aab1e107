// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/sec"
	"github.com/libp2p/go-libp2p/core/transport"
	"github.com/libp2p/go-libp2p/p2p/muxer/yamux"
	"github.com/libp2p/go-libp2p/p2p/net/upgrader"
	"github.com/libp2p/go-libp2p/p2p/security/noise"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
	"github.com/multiformats/go-multiaddr"

	"github.com/apocryph/apocryph/internal/channel"
	"github.com/apocryph/apocryph/internal/delegation"
	orderv1 "github.com/apocryph/apocryph/internal/gen/orderv1"
	providerv1 "github.com/apocryph/apocryph/internal/gen/providerv1"
	"github.com/apocryph/apocryph/internal/gen/providerv1/providerv1connect"
	"github.com/apocryph/apocryph/internal/p2p"
)

const (
	// strangers are held at once, a third of them of each kind; mute are further ones that never prove who they are.
	strangers = 1000
	mute      = 100
	// crowdAt is where the strangers go, in the environment of the process that they are in.
	crowdAt = "APOCRYPH_TEST_CROWD"

	// Of a gateway with default bounds.
	mostConnections = 512
	mostStreams     = 256
	mostGoroutines  = 12 * mostConnections
)

// A thousand strangers who connect and then do nothing, or send a request that never ends, or send rubbish, change nothing for somebody
// who deploys. They are in a process of their own, so that what is counted here is the gateway's.
func TestACrowdOfStrangers(t *testing.T) {
	if testing.Short() {
		t.Skip("a thousand connections take some seconds")
	}
	if at := os.Getenv(crowdAt); at != "" {
		crowd(t, at)
		return
	}
	w := newWorld(t)
	before := runtime.NumGoroutine()
	host, stop := startGateway(t, w)
	early := connectTo(t, w, host)
	early.evidence()

	end := gather(t, host.Addrs()[0])
	connections, streams := host.Held()
	t.Logf("%d strangers made: %d connections and %d streams are kept, %d goroutines run", strangers+mute, connections, streams, runtime.NumGoroutine())
	if connections > mostConnections || streams > mostStreams || runtime.NumGoroutine() > mostGoroutines {
		t.Errorf("kept %d connections, %d streams, %d goroutines", connections, streams, runtime.NumGoroutine())
	}
	if connections < mostConnections/2 || streams < mostStreams/4 {
		t.Errorf("control: kept only %d connections and %d streams: the strangers do not fill it", connections, streams)
	}
	for range 3 {
		late := connectTo(t, w, host)
		late.deploys()
		late.leave()
	}
	early.deploys()
	early.leave()
	end()
	eventually(t, "every connection is gone", func() bool { n, s := host.Held(); return n == 0 && s == 0 })
	eventually(t, "no request has a place", func() bool {
		w.g.limiter.mu.Lock()
		defer w.g.limiter.mu.Unlock()
		return len(w.g.limiter.places) == 0
	})
	stop()
	eventually(t, "no goroutine is left", func() bool { return runtime.NumGoroutine() <= before+2 })
}

// startGateway serves w's gateway on loopback until stop.
func startGateway(t *testing.T, w *world) (host *p2p.Host, stop func()) {
	t.Helper()
	key, err := p2p.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	if host, err = p2p.NewHost(p2p.Config{Key: key, Listen: []string{"/ip4/127.0.0.1/tcp/0"}}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := host.Serve(ctx, w.g.Handler()); err != nil {
			t.Error(err)
		}
	})
	stop = sync.OnceFunc(func() { cancel(); serving.Wait(); _ = host.Close() })
	t.Cleanup(stop)
	return host, stop
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	end := time.Now().Add(time.Minute)
	for !is() {
		if time.Now().After(end) {
			t.Fatalf("not so after a minute: %s (%d goroutines)", what, runtime.NumGoroutine())
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// honest is a publisher's client.
type honest struct {
	t      *testing.T
	w      *world
	host   *p2p.Host
	conn   *p2p.Client
	client providerv1connect.ProviderServiceClient
	by     person
	header http.Header
}

func connectTo(t *testing.T, w *world, to *p2p.Host) *honest {
	t.Helper()
	by := newPerson(t)
	host, err := p2p.NewHost(p2p.Config{Key: by.peer})
	if err != nil {
		t.Fatal(err)
	}
	conn, err := host.Dial(t.Context(), to.Addrs()[0])
	if err != nil {
		t.Fatal(err)
	}
	h := &honest{t: t, w: w, host: host, conn: conn, by: by, header: w.header(w.grant(by, nil))}
	h.header.Set(delegation.HeaderSalt, delegation.EncodeSalt(w.salt()))
	h.client = providerv1connect.NewProviderServiceClient(&http.Client{Transport: withHeader{conn.Transport, h.header}}, conn.URL())
	return h
}

type withHeader struct {
	next http.RoundTripper
	add  http.Header
}

func (h withHeader) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	for k, v := range h.add {
		r.Header[k] = v
	}
	return h.next.RoundTrip(r)
}

func (h *honest) must(doing string, err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatalf("%s: %v", doing, err)
	}
}

func (h *honest) evidence() {
	h.t.Helper()
	_, err := h.client.Evidence(h.t.Context(), &providerv1.EvidenceRequest{Nonce: make([]byte, nonceSize)})
	h.must("evidence", err)
}

// deploys makes every call of a deploy, from evidence to stop.
func (h *honest) deploys() {
	h.t.Helper()
	ctx, w := h.t.Context(), h.w
	h.evidence()
	order := w.order(func(d *draft) { d.by = h.by })
	id := w.app(h.by)
	_, err := h.client.Quote(ctx, &providerv1.QuoteRequest{App: id[:], AppSalt: order.AppSalt, Manifest: order.Manifest})
	h.must("quote", err)
	for _, path := range []string{"/v2/", "/v2/" + id.String() + "/web/blobs/uploads/"} {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, h.conn.URL()+path, strings.NewReader("a layer"))
		h.must("push", err)
		req.Header = h.header.Clone()
		resp, err := h.conn.Do(req)
		h.must("push", err)
		if _, err = io.Copy(io.Discard, resp.Body); err == nil && resp.StatusCode != http.StatusOK {
			err = errors.New(resp.Status)
		}
		h.must("push", errors.Join(err, resp.Body.Close()))
	}
	_, err = h.client.Apply(ctx, order)
	h.must("apply", err)
	_, err = h.client.Status(ctx, &providerv1.StatusRequest{App: id[:]})
	h.must("status", err)
	list, err := h.client.List(ctx, &providerv1.ListRequest{})
	h.must("list", err)
	if len(list.Apps) != 1 {
		h.t.Fatalf("list: %d apps", len(list.Apps))
	}
	following, cancel := context.WithCancel(ctx)
	defer cancel()
	watch, err := h.client.Watch(following, &providerv1.WatchRequest{App: id[:]})
	h.must("watch", err)
	if !watch.Receive() {
		h.t.Fatalf("watch: %v", watch.Err())
	}
	cancel()
	_ = watch.Close()
	logs, err := h.client.Logs(ctx, &providerv1.LogsRequest{App: id[:]})
	h.must("logs", err)
	for logs.Receive() {
	}
	h.must("logs", errors.Join(logs.Err(), logs.Close()))
	terms, err := channel.FromProto(order.Terms)
	h.must("terms", err)
	ends := delegation.Statement{App: id, Action: orderv1.Action_ACTION_STOP, Sequence: 2000, Channel: terms.ID(w.g.cfg.Domain), IssuedAt: w.now}
	signed, err := delegation.SignStatement(ends, h.by.peer, w.grant(h.by, nil))
	h.must("stop", err)
	_, err = h.client.Stop(ctx, &providerv1.StopRequest{Statement: signed})
	h.must("stop", err)
}

func (h *honest) leave() {
	h.conn.Close()
	h.must("leaving", h.host.Close())
}

// gather starts the process of the strangers and returns when they are all there; end makes them leave.
func gather(t *testing.T, at string) (end func()) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestACrowdOfStrangers$", "-test.count=1")
	cmd.Env = append(os.Environ(), crowdAt+"="+at)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	end = sync.OnceFunc(func() { _ = in.Close(); _, _ = io.Copy(io.Discard, out); _ = cmd.Wait() })
	t.Cleanup(end)
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		var made int
		if n, _ := fmt.Sscanf(lines.Text(), "made %d", &made); n == 1 {
			if made != strangers+mute {
				t.Fatalf("of %d connections only %d could be made", strangers+mute, made)
			}
			return end
		}
		t.Log(lines.Text())
	}
	t.Fatal("the strangers' process ended")
	return end
}

// crowd is the strangers' process: it connects them all, says how many, and holds them until its input ends.
func crowd(t *testing.T, at string) {
	t.Helper()
	var made atomic.Int64
	var first atomic.Value
	var wait sync.WaitGroup
	// The mute come when the others are all there: who does not get in because of them is shown with the peer itself.
	for _, some := range [][2]int{{0, strangers}, {strangers, strangers + mute}} {
		work := make(chan int)
		for range 32 {
			wait.Go(func() {
				for i := range work {
					if err := strange(t.Context(), i, at); err != nil {
						first.CompareAndSwap(nil, err.Error())
					} else {
						made.Add(1)
					}
				}
			})
		}
		for i := some[0]; i < some[1]; i++ {
			work <- i
		}
		close(work)
		wait.Wait()
	}
	fmt.Printf("first failure: %v\nmade %d\n", first.Load(), made.Load())
	_, _ = io.Copy(io.Discard, os.Stdin)
}

// strange makes one connection and what its kind does on it. The process holds it until it ends.
func strange(ctx context.Context, i int, at string) error {
	where, err := multiaddr.NewMultiaddr(at)
	if err != nil {
		return err
	}
	to, err := peer.AddrInfoFromP2pAddr(where)
	if err != nil {
		return err
	}
	if i >= strangers {
		var d net.Dialer
		_, port, _ := strings.Cut(to.Addrs[0].String(), "/tcp/")
		_, err := d.DialContext(ctx, "tcp", "127.0.0.1:"+port)
		return err
	}
	conn, err := dialAs(ctx, to)
	if err != nil {
		return err
	}
	if i%3 == 0 {
		return nil // idle
	}
	s, err := conn.OpenStream(ctx)
	if err != nil {
		return nil //nolint:nilerr // it was connected, and had to give way since
	}
	for _, line := range []string{"/multistream/1.0.0\n", string(p2p.Protocol) + "\n"} {
		_, _ = s.Write(append(binary.AppendUvarint(nil, uint64(len(line))), line...))
	}
	if i%3 == 1 {
		rubbish := make([]byte, 4096)
		_, _ = rand.Read(rubbish)
		_, _ = s.Write(rubbish)
		return nil
	}
	_, _ = s.Write(slowRequest())
	return nil
}

// slowRequest is the beginning of a call over HTTP/2 whose body never ends.
func slowRequest() []byte {
	header := []byte{0x83, 0x86} // POST, http
	for _, h := range [][2]string{
		{":path", providerv1connect.ProviderServiceEvidenceProcedure}, {":authority", "x"}, {"content-type", "application/proto"}, {"connect-protocol-version", "1"},
	} {
		header = append(header, 0) // a literal that is not indexed
		for _, text := range h {
			header = append(append(header, byte(len(text))), text...)
		}
	}
	frame := func(kind, flags byte, stream uint32, payload []byte) []byte {
		n := len(payload)
		f := []byte{byte(n >> 16), byte(n >> 8), byte(n), kind, flags}
		return append(binary.BigEndian.AppendUint32(f, stream), payload...)
	}
	const data, headers, settings, endHeaders = 0, 1, 4, 4
	request := append([]byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), frame(settings, 0, 0, nil)...)
	request = append(request, frame(headers, endHeaders, 1, header)...)
	return append(request, frame(data, 0, 1, []byte{0x0a})...)
}

// dialAs connects to a peer as a new one, with nothing around it that a host has.
func dialAs(ctx context.Context, to *peer.AddrInfo) (transport.CapableConn, error) {
	_, priv, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	key, err := crypto.UnmarshalEd25519PrivateKey(priv)
	if err != nil {
		return nil, err
	}
	muxers := []upgrader.StreamMuxer{{ID: yamux.ID, Muxer: yamux.DefaultTransport}}
	security, err := noise.New(noise.ID, key, muxers)
	if err != nil {
		return nil, err
	}
	u, err := upgrader.New([]sec.SecureTransport{security}, muxers, nil, &network.NullResourceManager{}, nil)
	if err != nil {
		return nil, err
	}
	by, err := tcp.NewTCPTransport(u, &network.NullResourceManager{}, nil)
	if err != nil {
		return nil, err
	}
	return by.Dial(ctx, to.Addrs[0], to.ID)
}
