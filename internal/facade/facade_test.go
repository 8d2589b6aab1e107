// SPDX-License-Identifier: Apache-2.0

package facade

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/apocryph/apocryph/api/v1alpha1"
	manifestv1 "github.com/apocryph/apocryph/internal/gen/manifestv1"
	"github.com/apocryph/apocryph/internal/manifest"
)

// app is a verified one whose http service web listens on a port and has so many ready pods.
func app(t *testing.T, name, host string, port uint32, ready int32) *v1alpha1.App {
	t.Helper()
	m, err := manifest.Encode(&manifestv1.Manifest{
		Name: "shop",
		Services: []*manifestv1.Service{{
			Name: "web", Digest: "sha256:" + strings.Repeat("0", 64), Ports: []*manifestv1.Port{{Number: port, Protocol: "tcp"}},
			Resources: &manifestv1.Resources{MilliCpu: 100, MemoryBytes: 64 << 20, EphemeralBytes: 64 << 20},
		}},
		Http: &manifestv1.Http{Service: "web", Port: port},
	})
	if err != nil {
		t.Fatal(err)
	}
	return &v1alpha1.App{
		ObjectMeta: metav1.ObjectMeta{Name: name, Generation: 1, CreationTimestamp: metav1.Unix(1000, 0)},
		Spec:       v1alpha1.AppSpec{Host: host, Manifest: m},
		Status: v1alpha1.AppStatus{
			Conditions: []metav1.Condition{{Type: v1alpha1.ConditionVerified, Status: metav1.ConditionTrue, ObservedGeneration: 1}},
			Services:   []v1alpha1.ServiceStatus{{Name: "web", Ready: ready}},
		},
	}
}

// entry is a facade whose connections all go to one server, with the addresses that it asked for.
func entry(t *testing.T, backend http.Handler) (*Table, *httptest.Server, *[]string) {
	t.Helper()
	b := httptest.NewServer(backend)
	t.Cleanup(b.Close)
	var dialled []string
	table := NewTable()
	table.dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		dialled = append(dialled, address)
		return (&net.Dialer{}).DialContext(ctx, network, b.Listener.Addr().String())
	}
	f := httptest.NewServer(Handler(table, "https", &tally{}, slog.New(slog.DiscardHandler)))
	t.Cleanup(f.Close)
	return table, f, &dialled
}

// answer is a response whose body was read.
type answer struct {
	StatusCode int
	Header     http.Header
}

func get(t *testing.T, f *httptest.Server, host string, headers ...string) (answer, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, f.URL+"/path?q=1", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = host
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{res.StatusCode, res.Header}, strings.TrimSpace(string(body))
}

func echo(w http.ResponseWriter, r *http.Request) {
	for _, k := range []string{"X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "Connection", "Keep-Alive"} {
		_, _ = fmt.Fprintf(w, "%s=%s\n", k, r.Header.Get(k))
	}
	_, _ = fmt.Fprintf(w, "%s %s", r.Host, r.RequestURI)
}

func TestRequestsArriveAsTheyWere(t *testing.T) {
	table, f, dialled := entry(t, http.HandlerFunc(echo))
	table.Put(app(t, "one", "shop.example.org", 8080, 1))
	table.Synced()
	res, body := get(t, f, "Shop.Example.Org:30080", "X-Forwarded-For", "6.6.6.6", "X-Forwarded-Host", "evil", "Keep-Alive", "x")
	want := "X-Forwarded-For=127.0.0.1\nX-Forwarded-Host=Shop.Example.Org:30080\nX-Forwarded-Proto=https\nConnection=\nKeep-Alive=\n" +
		"Shop.Example.Org:30080 /path?q=1"
	if diff := cmp.Diff(want, body); diff != "" || res.StatusCode != http.StatusOK {
		t.Errorf("answer %d (-want +got):\n%s", res.StatusCode, diff)
	}
	if diff := cmp.Diff([]string{"web.app-one.svc:8080"}, *dialled); diff != "" {
		t.Errorf("dialled (-want +got):\n%s", diff)
	}
}

func TestWhoAnswers(t *testing.T) {
	ended := app(t, "ended", "shop.example.org", 80, 1)
	ended.Status.EndReason = v1alpha1.EndStoppedByPublisher
	later := app(t, "later", "shop.example.org", 81, 1)
	later.CreationTimestamp = metav1.Unix(2000, 0)
	asleep := app(t, "asleep", "shop.example.org", 80, 0)
	asleep.Status.Phase = v1alpha1.PhaseSuspended
	unverified := app(t, "unverified", "shop.example.org", 80, 1)
	unverified.Generation = 2
	for name, c := range map[string]struct {
		apps   []*v1alpha1.App
		synced bool
		code   int
		body   string
	}{
		"nobody":                             {synced: true, code: 404, body: "no app answers at this host"},
		"nobody knows yet":                   {code: 503, body: "the facade is starting"},
		"an app without a ready pod":         {apps: []*v1alpha1.App{app(t, "new", "shop.example.org", 80, 0)}, synced: true, code: 503, body: "the app is starting"},
		"a suspended app":                    {apps: []*v1alpha1.App{asleep}, synced: true, code: 503, body: "the app is suspended"},
		"an app that nobody verified":        {apps: []*v1alpha1.App{unverified}, synced: true, code: 503, body: "the app is starting"},
		"an app that ended":                  {apps: []*v1alpha1.App{ended}, synced: true, code: 404, body: "no app answers at this host"},
		"the older of two":                   {apps: []*v1alpha1.App{later, app(t, "first", "shop.example.org", 80, 1)}, synced: true, code: 200, body: "web.app-first.svc:80"},
		"the younger once the older is over": {apps: []*v1alpha1.App{ended, later}, synced: true, code: 200, body: "web.app-later.svc:81"},
	} {
		t.Run(name, func(t *testing.T) {
			var dialled *[]string
			table, f, dialled := entry(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				_, _ = io.WriteString(w, (*dialled)[0])
			}))
			for _, a := range c.apps {
				table.Put(a)
			}
			if c.synced {
				table.Synced()
			}
			res, body := get(t, f, "shop.example.org")
			if res.StatusCode != c.code || body != c.body {
				t.Errorf("answered %d %q, want %d %q", res.StatusCode, body, c.code, c.body)
			}
			if c.code == http.StatusServiceUnavailable && res.Header.Get("Retry-After") == "" {
				t.Error("no Retry-After")
			}
		})
	}
}

func TestAnUnverifiedManifestDoesNotMoveTheRoute(t *testing.T) {
	table, f, dialled := entry(t, http.HandlerFunc(echo))
	table.Put(app(t, "one", "a", 80, 1))
	table.Synced()
	next := app(t, "one", "a", 6666, 1)
	next.Generation = 2
	table.Put(next)
	if res, _ := get(t, f, "a"); res.StatusCode != http.StatusOK {
		t.Errorf("answered %d", res.StatusCode)
	}
	if diff := cmp.Diff([]string{"web.app-one.svc:80"}, *dialled); diff != "" {
		t.Errorf("dialled (-want +got):\n%s", diff)
	}
}

func TestADeletedAppIsUnknown(t *testing.T) {
	table, f, _ := entry(t, http.HandlerFunc(echo))
	table.Put(app(t, "one", "a", 80, 1))
	table.Synced()
	table.Delete("one")
	table.Delete("never")
	if res, _ := get(t, f, "a"); res.StatusCode != http.StatusNotFound {
		t.Errorf("answered %d", res.StatusCode)
	}
}

func TestAPodThatDoesNotListen(t *testing.T) {
	table, f, _ := entry(t, http.HandlerFunc(echo))
	table.dial = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, "127.0.0.1:1")
	}
	table.Put(app(t, "one", "a", 80, 1))
	table.Synced()
	if res, body := get(t, f, "a"); res.StatusCode != http.StatusServiceUnavailable || body != "the app does not accept connections" {
		t.Errorf("answered %d %q", res.StatusCode, body)
	}
}

func TestWebSocketsGoThrough(t *testing.T) {
	table, f, _ := entry(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer func() { _ = conn.Close() }()
		_, _ = fmt.Fprintf(rw, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: %s\r\n\r\n", r.Header.Get("Upgrade"))
		_ = rw.Flush()
		line, _ := rw.ReadString('\n')
		_, _ = rw.WriteString("echo " + line)
		_ = rw.Flush()
	}))
	table.Put(app(t, "one", "a", 80, 1))
	table.Synced()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", f.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	r := bufio.NewReader(conn)
	res, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("answered %s", res.Status)
	}
	_, _ = io.WriteString(conn, "hello\n")
	if line, err := r.ReadString('\n'); err != nil || line != "echo hello\n" {
		t.Errorf("got %q, %v", line, err)
	}
}

func TestAFacadeIsReadyOnceItKnowsTheApps(t *testing.T) {
	table := NewTable()
	for _, want := range []int{http.StatusServiceUnavailable, http.StatusOK} {
		w := httptest.NewRecorder()
		table.Health().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/healthz", http.NoBody))
		if w.Code != want {
			t.Errorf("got %d, want %d", w.Code, want)
		}
		table.Synced()
	}
}
