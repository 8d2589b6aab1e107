// SPDX-License-Identifier: Apache-2.0

package evmtest

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"

	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/rpc"
)

// Proxy is an endpoint of a chain. It is safe for concurrent use.
type Proxy struct {
	// URL is where it serves JSON-RPC over HTTP.
	URL string

	closed chan struct{}

	mu     sync.Mutex
	chain  *Chain
	lag    uint64
	final  *uint64
	faults []*Fault
	calls  []Request
}

// Request is a request that an endpoint got.
type Request struct {
	Method string
	Params []json.RawMessage
}

// Fault is a way to misbehave for some requests.
type Fault struct {
	// Method is which requests; empty means all.
	Method string
	// If, when set, picks among them.
	If func(Request) bool
	// Times is how often; 0 means until Heal.
	Times int
	// Do is what happens instead.
	Do Behaviour
}

// Endpoint serves the chain at a new endpoint until the test ends.
func (c *Chain) Endpoint(t testing.TB) *Proxy {
	t.Helper()
	p := &Proxy{chain: c, closed: make(chan struct{})}
	server := httptest.NewServer(http.HandlerFunc(p.serve))
	p.URL = server.URL
	t.Cleanup(func() {
		close(p.closed)
		server.Close()
	})
	return p
}

// Inject adds a fault. The first one that fits a request has it.
func (p *Proxy) Inject(f Fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults = append(p.faults, &f)
}

// Heal ends all faults and lag. Route and Final stay.
func (p *Proxy) Heal() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults, p.lag = nil, 0
}

// Lag makes the endpoint know nothing of the newest n blocks: neither they nor state, receipts, nonces and logs of them are there.
// Transactions still get through.
func (p *Proxy) Lag(n uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lag = n
}

// Route moves the endpoint to another chain, as one that follows a fork of its own.
func (p *Proxy) Route(c *Chain) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.chain = c
}

// Final makes the block final that is n below the newest; without it, the chain's own every 32 blocks.
func (p *Proxy) Final(n uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.final = &n
}

// Requests are those of a method so far, or all of them.
func (p *Proxy) Requests(method string) []Request {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(p.calls), func(r Request) bool { return method != "" && r.Method != method })
}

// Sent are the transactions that the endpoint was given, faulty or not.
func (p *Proxy) Sent() []*types.Transaction {
	var out []*types.Transaction
	for _, r := range p.Requests("eth_sendRawTransaction") {
		var raw hexutil.Bytes
		tx := new(types.Transaction)
		if len(r.Params) == 1 && json.Unmarshal(r.Params[0], &raw) == nil && tx.UnmarshalBinary(raw) == nil {
			out = append(out, tx)
		}
	}
	return out
}

// message is a JSON-RPC request or response.
type message struct {
	Version string            `json:"jsonrpc"`
	ID      json.RawMessage   `json:"id"`
	Method  string            `json:"method,omitempty"`
	Params  []json.RawMessage `json:"params,omitempty"`
	Result  json.RawMessage   `json:"result,omitempty"`
	Error   *fail             `json:"error,omitempty"`
}

type fail struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
	Data    any    `json:"data,omitempty"`
}

func (p *Proxy) serve(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	var m message
	if err != nil || json.Unmarshal(body, &m) != nil {
		http.Error(w, "one request at a time, please", http.StatusBadRequest)
		return
	}
	x := &exchange{p: p, w: w, ctx: r.Context(), asked: m, Request: Request{m.Method, m.Params}}
	p.mu.Lock()
	p.calls = append(p.calls, x.Request)
	do := p.fault(x.Request)
	p.mu.Unlock()
	if do == nil {
		do = func(x *exchange) { x.answer(x.forward()) }
	}
	do(x)
}

// fault takes the first one that fits. The caller holds the lock.
func (p *Proxy) fault(r Request) Behaviour {
	for i, f := range p.faults {
		if (f.Method != "" && f.Method != r.Method) || (f.If != nil && !f.If(r)) {
			continue
		}
		if f.Times--; f.Times == 0 {
			p.faults = slices.Delete(p.faults, i, i+1)
		}
		return f.Do
	}
	return nil
}

// exchange is a request on its way.
type exchange struct {
	Request
	p     *Proxy
	w     http.ResponseWriter
	ctx   context.Context //nolint:containedctx // the request's own
	asked message
}

// forward asks the chain, as far as the endpoint knows it.
func (x *exchange) forward() (json.RawMessage, *fail) {
	x.p.mu.Lock()
	chain, lag, final := x.p.chain, x.p.lag, x.p.final
	x.p.mu.Unlock()
	v := view{chain: chain, ctx: x.ctx, lag: lag, final: final}
	result, err := v.call(x.Method, x.Params)
	if err != nil {
		return nil, failure(err)
	}
	if x.Method == "eth_sendRawTransaction" {
		chain.sent()
	}
	return result, nil
}

func failure(err error) *fail {
	out := &fail{Code: -32000, Message: err.Error()}
	var coded rpc.Error
	if errors.As(err, &coded) {
		out.Code = coded.ErrorCode()
	}
	var data rpc.DataError
	if errors.As(err, &data) {
		out.Data = data.ErrorData()
	}
	return out
}

// answer writes the response.
func (x *exchange) answer(result json.RawMessage, err *fail) {
	x.w.Header().Set("Content-Type", "application/json")
	_, _ = x.w.Write(x.encode(result, err))
}

func (x *exchange) encode(result json.RawMessage, err *fail) []byte {
	if err == nil && result == nil {
		result = json.RawMessage("null")
	}
	b, encodeErr := json.Marshal(message{Version: "2.0", ID: x.asked.ID, Result: result, Error: err})
	if encodeErr != nil {
		return []byte(encodeErr.Error())
	}
	return b
}
