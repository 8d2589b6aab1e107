// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

func listen(t *testing.T, s *http.Server) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() { _ = s.Serve(l) })
	t.Cleanup(func() { _ = s.Close(); serving.Wait() })
	return l.Addr().String()
}

// The last header that fits is served, and one beyond it is refused.
func TestHeaderOfARequest(t *testing.T) {
	// Net/http counts in buffers, and gives one on top.
	const slop = 8192
	at := listen(t, server(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "served") })))
	for size, want := range map[int]int{
		maxHeaderBytes:        http.StatusOK,
		maxHeaderBytes + slop: http.StatusRequestHeaderFieldsTooLarge,
	} {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", at)
		if err != nil {
			t.Fatal(err)
		}
		before, after := "GET / HTTP/1.1\r\nHost: x\r\nX: ", "\r\n\r\n"
		_, err = io.WriteString(conn, before+strings.Repeat("x", size-len(before)-len(after))+after)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode != want {
			t.Errorf("a header of %d bytes: %s, want %d", size, resp.Status, want)
		}
		_, _ = resp.Body.Close(), conn.Close()
	}
}

// Who begins a header and does not end it, and who does nothing after an answer, is sent away.
func TestWhoRestsIsSentAway(t *testing.T) {
	for name, c := range map[string]struct {
		bound func(*http.Server) *time.Duration
		want  time.Duration
		sends string
	}{
		"a header that does not end": {func(s *http.Server) *time.Duration { return &s.ReadHeaderTimeout }, headerTime, "GET / HTTP/1.1\r\nHost:"},
		"nothing after an answer":    {func(s *http.Server) *time.Duration { return &s.IdleTimeout }, idleTime, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			s := server(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
			if *c.bound(s) != c.want {
				t.Fatalf("bounded to %s, want %s", *c.bound(s), c.want)
			}
			*c.bound(s) = rest
			conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", listen(t, s))
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = conn.Close() }()
			// Whoever is not sent away is waited for until then, and fails the test.
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
			defer stop()
			if _, err := io.WriteString(conn, c.sends); err != nil {
				t.Fatal(err)
			}
			if _, err := io.Copy(io.Discard, conn); err != nil {
				t.Errorf("not sent away: %v", err)
			}
		})
	}
}
