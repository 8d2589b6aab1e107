// SPDX-License-Identifier: Apache-2.0

package facade

import (
	"bufio"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// tally is what was sent, by app.
type tally struct {
	mu    sync.Mutex
	bytes map[string]int64
}

// Add implements sent.
func (s *tally) Add(app string, n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.bytes == nil {
		s.bytes = map[string]int64{}
	}
	s.bytes[app] += n
}

func (s *tally) of(app string) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bytes[app]
}

// All that an app answers counts for it, as it goes over the wire and while it does; what the facade says by itself counts for nobody.
func TestWhatIsSentIsCounted(t *testing.T) {
	var s tally
	more := make(chan struct{})
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/plain":
			_, _ = io.WriteString(w, strings.Repeat("x", 100_000))
		case "/gzip":
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			_, _ = io.WriteString(z, strings.Repeat("x", 100_000))
			_ = z.Close()
		case "/stream":
			_, _ = io.WriteString(w, "first")
			w.(http.Flusher).Flush()
			<-more
			_, _ = io.WriteString(w, "second")
		case "/broken":
			panic(http.ErrAbortHandler)
		case "/socket":
			conn, rw, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			defer func() { _ = conn.Close() }()
			_, _ = fmt.Fprint(rw, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
			_ = rw.Flush()
			word := make([]byte, 4)
			_, _ = io.ReadFull(rw, word)
			_, _ = conn.Write(append(word, word...))
		}
	}))
	defer backend.Close()
	table := NewTable()
	table.dial = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, backend.Listener.Addr().String())
	}
	f := httptest.NewServer(Handler(table, "http", &s, slog.New(slog.DiscardHandler)))
	defer f.Close()
	table.Put(app(t, "one", "one", 80, 1))
	table.Put(app(t, "asleep", "asleep", 80, 0))
	table.Synced()
	ask := func(host, path string) *http.Response {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, f.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = host
		r.Header.Set("Accept-Encoding", "gzip")
		res, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = res.Body.Close() })
		return res
	}
	all := int64(0)
	took := func(path string) int64 {
		t.Helper()
		body, err := io.ReadAll(ask("one", path).Body) //nolint:bodyclose // when the test ends
		if err != nil {
			t.Fatal(err)
		}
		all += int64(len(body))
		if got := s.of("one"); got != all {
			t.Errorf("%s: %d bytes are counted, %d came", path, got, all)
		}
		return int64(len(body))
	}
	if n := took("/plain"); n != 100_000 {
		t.Errorf("%d bytes came", n)
	}
	if n := took("/gzip"); n > 1000 {
		t.Errorf("%d bytes came of what is packed", n)
	}
	for _, host := range []string{"nobody", "asleep"} {
		_, _ = io.ReadAll(ask(host, "/plain").Body) //nolint:bodyclose // when the test ends
	}
	_, _ = io.ReadAll(ask("one", "/broken").Body) //nolint:bodyclose // when the test ends
	if s.of("one") != all || s.of("asleep") != 0 || len(s.bytes) != 1 {
		t.Errorf("the facade's own words are counted: %v", s.bytes)
	}

	stream := ask("one", "/stream") //nolint:bodyclose // when the test ends
	_, _ = io.ReadFull(stream.Body, make([]byte, 5))
	if got := s.of("one"); got != all+5 {
		t.Errorf("%d of a stream's first 5 bytes are counted", got-all)
	}
	close(more)
	_, _ = io.ReadAll(stream.Body)
	if got := s.of("one"); got != all+11 {
		t.Errorf("%d of a stream's 11 bytes are counted", got-all)
	}

	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", f.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	_, _ = io.WriteString(conn, "GET /socket HTTP/1.1\r\nHost: one\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
	in := bufio.NewReader(conn)
	res, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("answer %v", res)
	}
	_, _ = io.WriteString(conn, "word")
	if _, err := io.ReadFull(in, make([]byte, 8)); err != nil {
		t.Fatal(err)
	}
	if got := s.of("one"); got != all+11+8 {
		t.Errorf("%d of a socket's 8 bytes are counted", got-all-11)
	}
}
