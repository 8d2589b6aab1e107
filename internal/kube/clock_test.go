// SPDX-License-Identifier: Apache-2.0

package kube_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"k8s.io/client-go/rest"

	"github.com/apocryph/apocryph/internal/kube"
)

func TestServerTime(t *testing.T) {
	date := "Sat, 01 Jan 2050 00:00:07 GMT"
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/version" {
			t.Errorf("asked for %s", r.URL)
		}
		w.Header().Set("Date", date)
	}))
	t.Cleanup(s.Close)
	ask, err := kube.ServerTime(&rest.Config{Host: s.URL})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := ask(t.Context()); err != nil || !got.Equal(time.Date(2050, 1, 1, 0, 0, 7, 0, time.UTC)) {
		t.Errorf("got %s, %v", got, err)
	}
	date = "yesterday"
	if _, err := ask(t.Context()); err == nil {
		t.Error("a server without a clock has a time")
	}
}
