// SPDX-License-Identifier: Apache-2.0

package notify

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"syscall"
	"time"
)

const (
	// callTime is how long a call may take in all: names, connection, TLS, request and answer.
	callTime = 10 * time.Second
	// maxAnswer is how much of an answer is read, so that its sender sees that it was; all of it is thrown away.
	maxAnswer      = 4 << 10
	maxAnswerHead  = 16 << 10
	statusRedirect = 300
	statusRefused  = 400
	statusFailed   = 500
)

// message is what a webhook is sent. Its form is promised: docs/protocol/notify.md.
type message struct {
	id        string
	Type      string `json:"type"`
	Timestamp string `json:"timestamp"`
	Data      data   `json:"data"`
}

type data struct {
	// App is the app's id, Name its publisher's word for it.
	App     string `json:"app"`
	Name    string `json:"name"`
	Service string `json:"service,omitempty"`
	Reason  string `json:"reason"`
	Message string `json:"message"`
}

// answer is how a call went.
type answer struct {
	// taken says that it was answered well, final that it makes no sense to call again.
	taken, final bool
	// retryAfter is what the webhook asks for, 0 if nothing.
	retryAfter time.Duration
	// words end a sentence that begins with the webhook; result is for metrics.
	words, result string
}

// courier calls webhooks.
type courier struct {
	guard guard
	roots string
	now   func() time.Time
}

func newCourier(cfg Config) *courier {
	return &courier{guard: guard{cfg.Allow, cfg.Deny, cfg.Ports}, roots: cfg.Roots, now: time.Now}
}

// call sends a message once. No error of the HTTP client's leaves it: they quote the URL.
func (c *courier) call(ctx context.Context, url string, m message) answer {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	body, err := json.Marshal(m)
	if err != nil {
		return answer{final: true, words: "can't be told this", result: "failed"} // not reached: strings alone
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return answer{final: true, words: "has no usable URL", result: "refused"}
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "apocryph-notifier")
	req.Header.Set("Webhook-Id", m.id)
	req.Header.Set("Webhook-Timestamp", strconv.FormatInt(c.now().Unix(), 10))
	roots, err := c.trusted()
	if err != nil {
		return answer{words: "can't be checked: the provider's list of authorities can't be read", result: "failed"}
	}
	// One connection for one call: nothing is shared between apps, and the address is looked at each time.
	transport := &http.Transport{
		Proxy:                  nil, // neither from the environment
		DialContext:            c.guard.dialer().DialContext,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots},
		DisableKeepAlives:      true,
		DisableCompression:     true,
		MaxResponseHeaderBytes: maxAnswerHead,
	}
	defer transport.CloseIdleConnections()
	client := &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	resp, err := client.Do(req)
	if err != nil {
		return broken(err)
	}
	defer func() { _ = resp.Body.Close() }()
	_, _ = io.CopyN(io.Discard, resp.Body, maxAnswer)
	return c.answered(resp)
}

// trusted are the authorities that vouch for webhooks, nil for the system's.
func (c *courier) trusted() (*x509.CertPool, error) {
	if c.roots == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(c.roots)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading further authorities: %w", err)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		return nil, fmt.Errorf("reading the system's authorities: %w", err)
	}
	pool.AppendCertsFromPEM(pem)
	return pool, nil
}

// answered is what a status means. The webhook's own words are not passed on: they could be anything.
func (c *courier) answered(resp *http.Response) answer {
	a := answer{words: fmt.Sprintf("answered %d", resp.StatusCode), result: "failed", retryAfter: c.retryAfter(resp.Header.Get("Retry-After"))}
	switch code := resp.StatusCode; {
	case code >= http.StatusOK && code < statusRedirect:
		a.taken, a.result = true, "taken"
	case code >= statusRedirect && code < statusRefused:
		a.final, a.result = true, "refused"
		a.words += ", which is not followed: name where that leads"
	case code >= statusRefused && code < statusFailed && code != http.StatusRequestTimeout && code != http.StatusTooManyRequests:
		a.final, a.result = true, "refused"
	}
	return a
}

// retryAfter reads the header of that name: seconds, or a time. What is neither, or past, asks for nothing.
func (c *courier) retryAfter(text string) time.Duration {
	if n, err := strconv.ParseUint(text, 10, 31); err == nil {
		return time.Duration(n) * time.Second
	}
	if at, err := http.ParseTime(text); err == nil {
		return max(0, at.Sub(c.now()))
	}
	return 0
}

// broken is why there was no answer, in words that name neither the URL nor the provider's network.
func broken(err error) answer {
	a := answer{words: "can't be reached", result: "failed"}
	var name *net.DNSError
	var certificate *tls.CertificateVerificationError
	switch {
	case errors.Is(err, errForbidden):
		a.words, a.result, a.final = "is not called: its address is not public, or its port is not one that the provider calls", "forbidden", true
	case errors.As(err, &name):
		a.words = "can't be found: no address is known for its name"
	case errors.As(err, &certificate):
		a.words = "can't prove who it is: its certificate is not valid"
	case errors.Is(err, context.DeadlineExceeded):
		a.words = fmt.Sprintf("did not answer within %s", callTime)
	case errors.Is(err, syscall.ECONNREFUSED):
		a.words = "does not accept connections"
	}
	return a
}
