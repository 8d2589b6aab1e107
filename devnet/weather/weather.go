// SPDX-License-Identifier: Apache-2.0

// Package weather serves a chain's JSON-RPC at further endpoints, each of which can be made bad: silent, failing, behind, lying, with
// another clock. What each does is read from a file at every request, so whoever may write the file makes the weather, and nobody who
// can only reach the endpoints. Without the file, or when it says nothing of an endpoint, the chain's own answers come through.
package weather

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"time"
)

// Mode is a way to be bad.
type Mode string

// The modes. Each but Lag and Skew concerns every request.
const (
	// Hang takes a request and never answers.
	Hang Mode = "hang"
	// Fail answers with a JSON-RPC error, Busy with HTTP 503, Garbage with something else.
	Fail    Mode = "fail"
	Busy    Mode = "busy"
	Garbage Mode = "garbage"
	// Break closes the connection.
	Break Mode = "break"
	// Lose does what it is told and closes the connection instead of saying so.
	Lose Mode = "lose"
	// Lag knows nothing of the newest N blocks.
	Lag Mode = "lag"
	// Skew adds N seconds to the time of every block.
	Skew Mode = "skew"
	// Ended says of every channel that its notice is over, Closed that it is closed, None that there is none.
	Ended  Mode = "ended"
	Closed Mode = "closed"
	None   Mode = "none"
	// Swallow takes transactions and keeps them.
	Swallow Mode = "swallow"
)

// Endpoint is the weather at one of them.
type Endpoint struct {
	Mode Mode  `json:"mode"`
	N    int64 `json:"n,omitempty"`
}

// Report is the weather everywhere: by the endpoint's name, which is the path that it is at.
type Report map[string]Endpoint

// Proxy is the endpoints.
type Proxy struct {
	// Chain is the honest endpoint behind, an HTTP URL; File has the Report.
	Chain, File string
	Log         *slog.Logger
}

// message is a JSON-RPC request or response.
type message struct {
	Version string            `json:"jsonrpc"`
	ID      json.RawMessage   `json:"id"`
	Method  string            `json:"method,omitempty"`
	Params  []json.RawMessage `json:"params,omitempty"`
	Result  json.RawMessage   `json:"result,omitempty"`
	Error   json.RawMessage   `json:"error,omitempty"`
}

// maxBody bounds what is read of a request or an answer, in bytes.
const maxBody = 16 << 20

// ServeHTTP implements http.Handler.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody))
	var m message
	if err != nil || json.Unmarshal(body, &m) != nil {
		http.Error(w, "one request at a time, please", http.StatusBadRequest)
		return
	}
	here, err := p.report(strings.TrimPrefix(r.URL.Path, "/"))
	if err != nil {
		p.Log.Error("weather report not read", "err", err)
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	switch here.Mode {
	case Hang:
		<-r.Context().Done()
		return
	case Fail:
		m.answer(w, nil, json.RawMessage(`{"code":-32603,"message":"internal error"}`))
		return
	case Busy:
		http.Error(w, "too many requests", http.StatusServiceUnavailable)
		return
	case Garbage:
		_, _ = io.WriteString(w, "<html>It works!</html>")
		return
	case Break:
		hangUp(w)
		return
	case Lose, Lag, Skew, Ended, Closed, None, Swallow: // the chain is asked first
	}
	result, failure, err := p.ask(r, here, m)
	switch {
	case err != nil:
		http.Error(w, err.Error(), http.StatusBadGateway)
	case here.Mode == Lose:
		hangUp(w)
	default:
		m.answer(w, result, failure)
	}
}

// report is the weather at an endpoint.
func (p *Proxy) report(name string) (Endpoint, error) {
	content, err := os.ReadFile(p.File)
	if errors.Is(err, os.ErrNotExist) {
		return Endpoint{}, nil
	}
	if err != nil {
		return Endpoint{}, err
	}
	var all Report
	if err := json.Unmarshal(content, &all); err != nil {
		return Endpoint{}, fmt.Errorf("reading %s: %w", p.File, err)
	}
	return all[name], nil
}

// ask gets an answer as the weather has it.
func (p *Proxy) ask(r *http.Request, here Endpoint, m message) (result, failure json.RawMessage, err error) {
	chain := func(method string, params []json.RawMessage) (json.RawMessage, json.RawMessage, error) {
		return p.call(r, method, params)
	}
	switch {
	case here.Mode == Lag:
		return lagging{chain: chain, by: uint64(max(here.N, 0))}.call(m.Method, m.Params)
	case here.Mode == Swallow && m.Method == "eth_sendRawTransaction":
		return swallowed(m.Params), nil, nil
	}
	result, failure, err = chain(m.Method, m.Params)
	if err == nil && failure == nil {
		result = here.bend(m.Method, result)
	}
	return result, failure, err
}

// callTime bounds a call to the chain itself.
const callTime = 30 * time.Second

// call asks the chain itself.
func (p *Proxy) call(r *http.Request, method string, params []json.RawMessage) (result, failure json.RawMessage, err error) {
	if params == nil {
		params = []json.RawMessage{}
	}
	body, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
	if err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithTimeout(r.Context(), callTime)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.Chain, bytes.NewReader(body))
	if err != nil {
		return nil, nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = res.Body.Close() }()
	var m message
	if err := json.NewDecoder(io.LimitReader(res.Body, maxBody)).Decode(&m); err != nil {
		return nil, nil, fmt.Errorf("reading the chain's answer: %w", err)
	}
	return m.Result, m.Error, nil
}

// answer writes the response to m.
func (m message) answer(w http.ResponseWriter, result, failure json.RawMessage) {
	if result == nil && failure == nil {
		result = json.RawMessage("null")
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(message{Version: "2.0", ID: m.ID, Result: result, Error: failure})
}

func hangUp(w http.ResponseWriter) {
	h, ok := w.(http.Hijacker)
	if !ok {
		return
	}
	if c, _, err := h.Hijack(); err == nil {
		_ = c.Close()
	}
}
