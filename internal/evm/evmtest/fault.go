// SPDX-License-Identifier: Apache-2.0

package evmtest

import (
	"encoding/json"
	"net/http"
)

// Behaviour is what an endpoint does with a request instead of answering it.
type Behaviour func(*exchange)

// Hang never answers; it ends when the client gives up.
func Hang() Behaviour {
	return func(x *exchange) {
		select {
		case <-x.ctx.Done():
		case <-x.p.closed:
		}
	}
}

// Fail answers with a JSON-RPC error.
func Fail(code int, text string) Behaviour {
	return func(x *exchange) { x.answer(nil, &fail{Code: code, Message: text}) }
}

// Revert answers like a contract that refuses; data is the error's encoding in hex.
func Revert(data string) Behaviour {
	return func(x *exchange) { x.answer(nil, &fail{Code: 3, Message: "execution reverted", Data: data}) }
}

// HTTP answers with a status code, as gateways and rate limiters do.
func HTTP(status int) Behaviour {
	return func(x *exchange) { http.Error(x.w, http.StatusText(status), status) }
}

// Garbage answers something that is not JSON.
func Garbage() Behaviour {
	return func(x *exchange) { _, _ = x.w.Write([]byte("<html>It works!</html>")) }
}

// Truncate answers half.
func Truncate() Behaviour {
	return func(x *exchange) {
		b := x.encode(x.forward())
		x.w.Header().Set("Content-Type", "application/json")
		_, _ = x.w.Write(b[:len(b)/2])
	}
}

// Break closes the connection.
func Break() Behaviour {
	return func(x *exchange) { x.hangUp() }
}

// Lose does what it is told and closes the connection instead of saying so.
func Lose() Behaviour {
	return func(x *exchange) {
		x.forward()
		x.hangUp()
	}
}

// FailAfter does what it is told and says that it did not.
func FailAfter(code int, text string) Behaviour {
	return func(x *exchange) {
		x.forward()
		x.answer(nil, &fail{Code: code, Message: text})
	}
}

// Say answers with a result of its own, without asking the chain: it swallows a transaction, or lies.
func Say(result any) Behaviour { return Lie(func(json.RawMessage) any { return result }) }

// Lie answers with something made of the truth, which is null if the chain itself failed.
func Lie(about func(truth json.RawMessage) any) Behaviour {
	return func(x *exchange) {
		var truth json.RawMessage
		if x.Method != "eth_sendRawTransaction" {
			truth, _ = x.forward()
		}
		b, err := json.Marshal(about(truth))
		if err != nil {
			x.answer(nil, &fail{Code: -32603, Message: err.Error()})
			return
		}
		x.answer(b, nil)
	}
}

// With is a lie about one field of an object, such as a receipt's status; null stays null.
func With(field string, value any) Behaviour {
	return Lie(func(truth json.RawMessage) any {
		var o map[string]any
		if json.Unmarshal(truth, &o) != nil || o == nil {
			return truth
		}
		o[field] = value
		return o
	})
}

func (x *exchange) hangUp() {
	h, ok := x.w.(http.Hijacker)
	if !ok {
		return
	}
	if c, _, err := h.Hijack(); err == nil {
		_ = c.Close()
	}
}
