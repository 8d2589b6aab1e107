// SPDX-License-Identifier: Apache-2.0

package notify

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// secret is in every URL of these tests, and must be in nothing that is said.
const secret = "s3cr3t-path"

// receiver is a webhook on loopback, and a courier that may call it.
type receiver struct {
	*httptest.Server
	*courier
}

func (r receiver) hook() string { return r.URL + "/" + secret + "?token=" + secret }

func newReceiver(t *testing.T, h http.HandlerFunc) receiver {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	roots := filepath.Join(t.TempDir(), "ca.crt")
	if err := os.WriteFile(roots, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	port := s.Listener.Addr().(*net.TCPAddr).AddrPort().Port()
	c := newCourier(Config{Allow: prefixes(t, "127.0.0.0/8"), Ports: []uint16{port}, Roots: roots})
	c.now = func() time.Time { return time.Unix(1_700_000_000, 0) }
	return receiver{s, c}
}

func example() message {
	return message{
		id: "msg_1", Type: typeFundsLow, Timestamp: "2026-11-30T12:00:00Z",
		Data: data{App: "abc", Name: "shop", Reason: "Low", Message: "the funds run low: apocryph channel deposit"},
	}
}

func TestWhatIsSent(t *testing.T) {
	var got *http.Request
	var body string
	r := newReceiver(t, func(_ http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		got, body = r, string(b)
	})
	if a := r.call(t.Context(), r.hook(), example()); !a.taken {
		t.Fatalf("%+v", a)
	}
	const want = `{"type":"app.funds.low","timestamp":"2026-11-30T12:00:00Z","data":{"app":"abc","name":"shop","reason":"Low","message":"the funds run low: apocryph channel deposit"}}`
	if body != want {
		t.Errorf("body\n%s\nwant\n%s", body, want)
	}
	page, err := os.ReadFile("../../docs/protocol/notify.md")
	if err != nil {
		t.Fatal(err)
	}
	var documented message
	_, rest, _ := strings.Cut(string(page), "```json\n")
	rest, _, _ = strings.Cut(rest, "```")
	d := json.NewDecoder(strings.NewReader(rest))
	d.DisallowUnknownFields()
	if err := d.Decode(&documented); err != nil || documented.Type != typeFundsLow || documented.Data.App == "" {
		t.Errorf("what the page shows is no message: %v", err)
	}
	for _, kind := range []string{typeWebhookSet, typeFundsFunded, typeFundsLow, typeFundsExhausted, typeFundsCapped, typeCrashing, typeRecovered, typeEnded} {
		if !strings.Contains(string(page), "| `"+kind+"` |") {
			t.Errorf("the page does not have %s", kind)
		}
	}
	head := map[string]string{"Method": got.Method, "URI": got.RequestURI}
	for _, h := range []string{"Content-Type", "User-Agent", "Webhook-Id", "Webhook-Timestamp", "Authorization", "Referer", "Cookie"} {
		head[h] = got.Header.Get(h)
	}
	if diff := cmp.Diff(map[string]string{
		"Method": "POST", "URI": "/" + secret + "?token=" + secret, "Content-Type": "application/json", "User-Agent": "apocryph-notifier",
		"Webhook-Id": "msg_1", "Webhook-Timestamp": "1700000000", "Authorization": "", "Referer": "", "Cookie": "",
	}, head); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestWhatAnAnswerMeans(t *testing.T) {
	followed := false
	var status int
	var after string
	r := newReceiver(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/elsewhere") {
			followed = true
		}
		w.Header().Set("Location", "/elsewhere")
		if after != "" {
			w.Header().Set("Retry-After", after)
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, "<b>words of the webhook's</b>")
	})
	for name, c := range map[string]struct {
		status int
		after  string
		want   answer
	}{
		"taken":                          {200, "", answer{taken: true, words: "answered 200", result: "taken"}},
		"taken without a word":           {204, "", answer{taken: true, words: "answered 204", result: "taken"}},
		"a redirect is not followed":     {301, "", answer{final: true, words: "answered 301, which is not followed: name where that leads", result: "refused"}},
		"nor one that keeps the method":  {308, "", answer{final: true, words: "answered 308, which is not followed: name where that leads", result: "refused"}},
		"it knows nothing of it":         {404, "", answer{final: true, words: "answered 404", result: "refused"}},
		"it is gone":                     {410, "", answer{final: true, words: "answered 410", result: "refused"}},
		"it was too slow itself":         {408, "", answer{words: "answered 408", result: "failed"}},
		"too much":                       {429, "30", answer{words: "answered 429", result: "failed", retryAfter: 30 * time.Second}},
		"broken":                         {500, "", answer{words: "answered 500", result: "failed"}},
		"broken until a time":            {503, "Tue, 14 Nov 2023 22:14:20 GMT", answer{words: "answered 503", result: "failed", retryAfter: time.Minute}},
		"until a time that is past":      {503, "Tue, 14 Nov 2000 22:14:20 GMT", answer{words: "answered 503", result: "failed"}},
		"until nobody knows when":        {503, "-5", answer{words: "answered 503", result: "failed"}},
		"until more than what is there":  {503, "99999999999999999999", answer{words: "answered 503", result: "failed"}},
		"a status that nobody has heard": {599, "", answer{words: "answered 599", result: "failed"}},
	} {
		t.Run(name, func(t *testing.T) {
			status, after = c.status, c.after
			if got := r.call(t.Context(), r.hook(), example()); got != c.want {
				t.Errorf("%+v, want %+v", got, c.want)
			}
		})
	}
	if followed {
		t.Error("a redirect was followed")
	}
}

func TestWhatIsNotAnswered(t *testing.T) {
	patience, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	release := make(chan struct{})
	defer close(release)
	slow := newReceiver(t, func(http.ResponseWriter, *http.Request) { <-release })
	fine := newReceiver(t, func(http.ResponseWriter, *http.Request) {})
	strange := newReceiver(t, func(http.ResponseWriter, *http.Request) {})
	strange.roots = ""
	shut := newReceiver(t, func(http.ResponseWriter, *http.Request) {})
	shut.Close()
	forbidden := newReceiver(t, func(http.ResponseWriter, *http.Request) { t.Error("it was called") })
	forbidden.guard.allow = nil
	headless := newReceiver(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X", strings.Repeat("x", 2*maxAnswerHead))
	})
	plain, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = plain.Close() }()
	go func() {
		for {
			c, err := plain.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(c, "220 a server of mail\r\n")
			_ = c.Close()
		}
	}()
	mail := fine
	mail.courier = newCourier(Config{Allow: prefixes(t, "127.0.0.0/8"), Ports: []uint16{plain.Addr().(*net.TCPAddr).AddrPort().Port()}})

	for name, c := range map[string]struct {
		r    receiver
		url  string
		ctx  context.Context
		want answer
	}{
		"it rests":                       {slow, slow.hook(), patience, answer{words: "did not answer within 10s", result: "failed"}},
		"nobody vouches for it":          {strange, strange.hook(), t.Context(), answer{words: "can't prove who it is: its certificate is not valid", result: "failed"}},
		"nobody listens":                 {shut, shut.hook(), t.Context(), answer{words: "does not accept connections", result: "failed"}},
		"it is not public":               {forbidden, forbidden.hook(), t.Context(), answer{words: "is not called: its address is not public, or its port is not one that the provider calls", result: "forbidden", final: true}},
		"it is not public, by its name":  {forbidden, strings.Replace(forbidden.hook(), "127.0.0.1", "localhost", 1), t.Context(), answer{words: "is not called: its address is not public, or its port is not one that the provider calls", result: "forbidden", final: true}},
		"its answer begins without end":  {headless, headless.hook(), t.Context(), answer{words: "can't be reached", result: "failed"}},
		"it speaks something else":       {mail, fmt.Sprintf("https://%s/%s", plain.Addr(), secret), t.Context(), answer{words: "can't be reached", result: "failed"}},
		"its URL is none, whoever wrote": {fine, "https://%zz/" + secret, t.Context(), answer{words: "has no usable URL", result: "refused", final: true}},
	} {
		t.Run(name, func(t *testing.T) {
			got := c.r.call(c.ctx, c.url, example())
			if got != c.want {
				t.Errorf("%+v, want %+v", got, c.want)
			}
			if strings.Contains(got.words, secret) {
				t.Errorf("%q gives the secret away", got.words)
			}
		})
	}
}

// What resolvers and TLS say names servers and URLs; none of it is passed on.
func TestErrorsAreSaidInOurWords(t *testing.T) {
	lookup := &url.Error{Op: "Post", URL: "https://hooks.example/" + secret, Err: &net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", Name: "hooks.example", Server: "10.96.0.10:53"}}}
	if got := broken(lookup); got != (answer{words: "can't be found: no address is known for its name", result: "failed"}) {
		t.Errorf("%+v", got)
	}
	odd := &url.Error{Op: "Post", URL: "https://hooks.example/" + secret, Err: tls.AlertError(40)}
	if got := broken(odd); got != (answer{words: "can't be reached", result: "failed"}) {
		t.Errorf("%+v", got)
	}
}

// An answer without end takes neither memory nor time.
func TestAnAnswerWithoutEnd(t *testing.T) {
	r := newReceiver(t, func(w http.ResponseWriter, _ *http.Request) {
		for {
			if _, err := w.Write(make([]byte, 1<<16)); err != nil {
				return
			}
		}
	})
	if a := r.call(t.Context(), r.hook(), example()); !a.taken {
		t.Errorf("%+v", a)
	}
}

// A proxy that the environment names is not asked: it would be what is dialled.
func TestProxiesAreNotAsked(t *testing.T) {
	t.Setenv("HTTPS_PROXY", "http://127.0.0.1:1")
	t.Setenv("ALL_PROXY", "http://127.0.0.1:1")
	r := newReceiver(t, func(http.ResponseWriter, *http.Request) {})
	if a := r.call(t.Context(), r.hook(), example()); !a.taken {
		t.Errorf("%+v", a)
	}
}

func FuzzRetryAfter(f *testing.F) {
	c := &courier{now: func() time.Time { return time.Unix(1_700_000_000, 0) }}
	for _, s := range []string{"", "30", "-1", "Tue, 14 Nov 2023 22:14:20 GMT", "4294967296"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if d := c.retryAfter(s); d < 0 {
			t.Errorf("%q: %s", s, d)
		}
	})
}
