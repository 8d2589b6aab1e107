// SPDX-License-Identifier: Apache-2.0

package facade

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/apocryph/apocryph/api/v1alpha1"
	manifestv1 "github.com/apocryph/apocryph/internal/gen/manifestv1"
	"github.com/apocryph/apocryph/internal/manifest"
)

// Whatever a request says, it reaches the app of its host or nobody, in one hop, with one host.
func FuzzRequest(f *testing.F) {
	for _, s := range []string{
		"GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n",
		"GET http://other.example/ HTTP/1.1\r\nHost: shop.example\r\n\r\n",
		"POST /a?b HTTP/1.1\r\nHost: SHOP.example.:80\r\nContent-Length: 2\r\nConnection: X-Forwarded-For\r\nX-Forwarded-For: 1.1.1.1\r\n\r\nhi",
		"GET / HTTP/1.1\r\nHost: other.example\r\n\r\n", "GET / HTTP/1.0\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: shop.example\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
		"CONNECT shop.example:443 HTTP/1.1\r\nHost: shop.example\r\n\r\n",
		"OPTIONS * HTTP/1.1\r\nHost: [shop.example]:1\r\n\r\n",
	} {
		f.Add([]byte(s))
	}
	table := NewTable()
	table.dial = func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("no pods here") }
	m, err := manifest.Encode(&manifestv1.Manifest{
		Name: "shop", Http: &manifestv1.Http{Service: "web", Port: 80},
		Services: []*manifestv1.Service{{
			Name: "web", Digest: "sha256:" + strings.Repeat("0", 64), Ports: []*manifestv1.Port{{Number: 80, Protocol: "tcp"}},
			Resources: &manifestv1.Resources{MilliCpu: 100, MemoryBytes: 64 << 20, EphemeralBytes: 64 << 20},
		}},
	})
	if err != nil {
		f.Fatal(err)
	}
	table.Put(&v1alpha1.App{
		ObjectMeta: metav1.ObjectMeta{Name: "app", Generation: 1}, Spec: v1alpha1.AppSpec{Host: "shop.example", Manifest: m},
		Status: v1alpha1.AppStatus{
			Conditions: []metav1.Condition{{Type: v1alpha1.ConditionVerified, Status: metav1.ConditionTrue, ObservedGeneration: 1}},
			Services:   []v1alpha1.ServiceStatus{{Name: "web", Ready: 1}},
		},
	})
	table.Synced()
	handler := Handler(table, "https", &tally{}, slog.New(slog.DiscardHandler))
	f.Fuzz(func(t *testing.T, raw []byte) {
		r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(raw)))
		if err != nil {
			return
		}
		r.RemoteAddr = "192.0.2.1:1"
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		host := strings.ToLower(r.Host)
		if h, _, err := net.SplitHostPort(host); err == nil {
			host = h
		}
		ours := strings.TrimSuffix(host, ".") == "shop.example"
		if reached := w.Code != http.StatusNotFound; reached != ours {
			t.Errorf("host %q: %d", r.Host, w.Code)
		}
		if body, err := io.ReadAll(w.Body); err != nil || bytes.Count(body, []byte("\n")) > 1 || len(body) > 200 {
			t.Errorf("an answer of more than a line: %q, %v", body, err)
		}
	})
}
