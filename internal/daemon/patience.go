// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// Patience is for how long a request's body, or who reads its answer, may rest.
const Patience = 30 * time.Second

// Patient bounds for how long a request's body may rest, and for how long a write of its answer may wait for the client to read. A
// request holds a place meanwhile, often before its sender is known. How long an answer takes to be made is not bounded.
func Patient(rest time.Duration, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn := http.NewResponseController(w)
		if r.Body != nil && r.Body != http.NoBody {
			r.Body = &patientBody{r.Body, conn, rest}
		}
		// What is still to be sent when the handler is done is sent after it.
		defer func() { _ = conn.SetWriteDeadline(time.Now().Add(rest)) }()
		next.ServeHTTP(&patientWriter{w, conn, rest}, r)
	})
}

// patientBody fails when nothing comes for too long.
type patientBody struct {
	io.ReadCloser
	conn *http.ResponseController
	rest time.Duration
}

func (b *patientBody) Read(p []byte) (int, error) {
	if err := b.conn.SetReadDeadline(time.Now().Add(b.rest)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return 0, fmt.Errorf("bounding a request: %w", err)
	}
	n, err := b.ReadCloser.Read(p)
	if errors.Is(err, io.EOF) {
		// The server reads on to notice that the client has gone: that may take as long as the answer.
		_ = b.conn.SetReadDeadline(time.Time{})
	}
	return n, err
}

// patientWriter fails when nobody reads for too long.
type patientWriter struct {
	http.ResponseWriter
	conn *http.ResponseController
	rest time.Duration
}

// Write implements io.Writer.
func (w *patientWriter) Write(p []byte) (int, error) {
	_ = w.conn.SetWriteDeadline(time.Now().Add(w.rest))
	// An answer may rest as long as it likes between two writes.
	defer func() { _ = w.conn.SetWriteDeadline(time.Time{}) }()
	return w.ResponseWriter.Write(p)
}

// FlushError serves http.ResponseController.
func (w *patientWriter) FlushError() error {
	_ = w.conn.SetWriteDeadline(time.Now().Add(w.rest))
	defer func() { _ = w.conn.SetWriteDeadline(time.Time{}) }()
	return w.conn.Flush()
}

// Flush implements http.Flusher, for those who ask for it.
func (w *patientWriter) Flush() { _ = w.FlushError() }

// Unwrap serves http.ResponseController.
func (w *patientWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
