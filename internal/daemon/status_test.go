// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestStatusIsLivenessAndMetrics(t *testing.T) {
	mux := statusMux(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "counted 1") }))
	for path, want := range map[string]string{"/healthz": "ok\n", "/metrics": "counted 1"} {
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
		if got := w.Body.String(); w.Code != http.StatusOK || got != want {
			t.Errorf("%s: %d %q, want 200 %q", path, w.Code, got, want)
		}
	}
}
