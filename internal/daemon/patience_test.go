// SPDX-License-Identifier: Apache-2.0

package daemon

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

const rest = 20 * time.Millisecond

func patientServer(t *testing.T, http2 bool, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	server := httptest.NewUnstartedServer(Patient(rest, h))
	if server.EnableHTTP2 = http2; http2 {
		server.StartTLS()
	} else {
		server.Start() // closing TLS waits for who does not read
	}
	t.Cleanup(server.Close)
	return server
}

// A request that never ends must not keep its place.
func TestABodyThatRestsEnds(t *testing.T) {
	for name, http2 := range map[string]bool{"HTTP/1": false, "HTTP/2": true} {
		t.Run(name, func(t *testing.T) {
			read := make(chan error, 1)
			server := patientServer(t, http2, func(_ http.ResponseWriter, r *http.Request) {
				_, err := io.Copy(io.Discard, r.Body)
				read <- err
				if err != nil {
					return
				}
				select {
				case <-r.Context().Done(): // an answer may take longer than a body may rest
					t.Error("the request was given up while it was answered")
				case <-time.After(5 * rest):
				}
			})
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
			go func() { _, _ = w.Write([]byte("the first part")) }()
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

// A client that asks and never reads must not keep its place either.
func TestAnAnswerThatNobodyReadsEnds(t *testing.T) {
	for name, http2 := range map[string]bool{"HTTP/1": false, "HTTP/2": true} {
		t.Run(name, func(t *testing.T) {
			wrote := make(chan error, 1)
			server := patientServer(t, http2, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/rests" {
					_, _ = io.WriteString(w, "first")
					_ = http.NewResponseController(w).Flush()
					<-time.After(5 * rest) // between two writes an answer may rest
					_, err := io.WriteString(w, " second")
					wrote <- err
					return
				}
				part := make([]byte, 1<<20)
				for {
					if _, err := w.Write(part); err != nil {
						wrote <- err
						return
					}
				}
			})
			res, err := server.Client().Get(server.URL + "/rests")
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(res.Body)
			if err := errors.Join(err, <-wrote, res.Body.Close()); err != nil || string(got) != "first second" {
				t.Errorf("control: %q, %v", got, err)
			}
			if res, err = server.Client().Get(server.URL + "/all"); err != nil {
				t.Fatal(err)
			}
			if err := <-wrote; err == nil {
				t.Error("writing did not end")
			}
			_ = res.Body.Close()
		})
	}
}
