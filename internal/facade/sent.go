// SPDX-License-Identifier: Apache-2.0

package facade

import (
	"bufio"
	"net"
	"net/http"
)

// sent is told how many bytes left for an app's users.
type sent interface {
	Add(app string, bytes int64)
}

// counting counts the bytes of answers' bodies, and of connections that are taken over.
type counting struct {
	http.ResponseWriter
	app string
	to  sent
}

// Write implements io.Writer.
func (c counting) Write(b []byte) (int, error) {
	n, err := c.ResponseWriter.Write(b)
	c.to.Add(c.app, int64(n))
	return n, err
}

// Unwrap lets http.ResponseController find what c does not do itself.
func (c counting) Unwrap() http.ResponseWriter { return c.ResponseWriter }

// Hijack implements http.Hijacker.
func (c counting) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(c.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	return countingConn{conn, c}, rw, nil
}

// countingConn counts what is written to a connection.
type countingConn struct {
	net.Conn
	of counting
}

// Write implements io.Writer.
func (c countingConn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.of.to.Add(c.of.app, int64(n))
	return n, err
}
