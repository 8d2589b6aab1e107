// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"
)

// A request that never ends must not keep its place.
func TestABodyThatRestsEnds(t *testing.T) {
	for name, http2 := range map[string]bool{"HTTP/1": false, "HTTP/2": true} {
		t.Run(name, func(t *testing.T) {
			read := make(chan error, 1)
			server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body := &patientBody{r.Body, http.NewResponseController(w), 20 * time.Millisecond}
				_, err := io.Copy(io.Discard, body)
				read <- err
				if err != nil {
					return
				}
				select {
				case <-r.Context().Done(): // an answer may take longer than a body may rest
					t.Error("the request was given up while it was answered")
				case <-time.After(100 * time.Millisecond):
				}
			}))
			server.EnableHTTP2 = http2
			server.StartTLS()
			defer server.Close()
			send := func(body io.Reader) error {
				res, err := server.Client().Post(server.URL, "application/proto", body)
				if err == nil {
					err = res.Body.Close()
				}
				return err
			}
			if err := errors.Join(send(strings.NewReader("all of it")), <-read); err != nil {
				t.Errorf("control: %v", err)
			}
			rests, w := io.Pipe()
			defer func() { _ = w.Close() }()
			go func() {
				_, _ = w.Write([]byte("the first part"))
			}()
			sent := make(chan struct{})
			go func() { defer close(sent); _ = send(rests) }()
			if err := <-read; !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("reading it ended with %v", err)
			}
			_ = w.Close()
			<-sent
		})
	}
}
