// SPDX-License-Identifier: Apache-2.0

package weather

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/crypto"
)

// bend makes a lie of the truth, or leaves it.
func (e Endpoint) bend(method string, truth json.RawMessage) json.RawMessage {
	switch {
	case e.Mode == Skew && (method == "eth_getBlockByNumber" || method == "eth_getBlockByHash"):
		return e.skew(truth)
	case method == "eth_call":
		return e.channel(truth)
	}
	return truth
}

func (e Endpoint) skew(block json.RawMessage) json.RawMessage {
	var fields map[string]json.RawMessage
	var at hexutil.Uint64
	if json.Unmarshal(block, &fields) != nil || fields == nil || json.Unmarshal(fields["timestamp"], &at) != nil {
		return block
	}
	later, err := json.Marshal(hexutil.Uint64(int64(at) + e.N))
	if err != nil {
		return block
	}
	fields["timestamp"] = later
	lie, err := json.Marshal(fields)
	if err != nil {
		return block
	}
	return lie
}

// The state of a channel is four words: deposited, claimed, spent until, notice end.
const (
	word       = 32
	spentUntil = 2
	noticeEnd  = 3
	words      = 4
)

// channel lies about the state of a channel; other calls have results of other lengths.
func (e Endpoint) channel(truth json.RawMessage) json.RawMessage {
	var state hexutil.Bytes
	if json.Unmarshal(truth, &state) != nil || len(state) != words*word {
		return truth
	}
	set := func(at int, value common.Hash) { copy(state[at*word:], value[:]) }
	switch e.Mode {
	case Ended:
		set(noticeEnd, common.BigToHash(common.Big1))
	case Closed:
		set(noticeEnd, common.HexToHash("0xffffffffff"))
	case None:
		set(spentUntil, common.Hash{})
	default:
		return truth
	}
	lie, err := json.Marshal(state)
	if err != nil {
		return truth
	}
	return lie
}

// swallowed is what a node answers that took a transaction.
func swallowed(params []json.RawMessage) json.RawMessage {
	var raw hexutil.Bytes
	if len(params) != 1 || json.Unmarshal(params[0], &raw) != nil {
		return json.RawMessage("null")
	}
	hash, err := json.Marshal(crypto.Keccak256Hash(raw))
	if err != nil {
		return json.RawMessage("null")
	}
	return hash
}

// lagging is a chain without its newest blocks. Transactions still get through.
type lagging struct {
	chain func(method string, params []json.RawMessage) (result, failure json.RawMessage, err error)
	by    uint64
}

// blockParam is where methods have the block that they are about.
var blockParam = map[string]int{
	"eth_getBlockByNumber": 0, "eth_call": 1, "eth_estimateGas": 1, "eth_getBalance": 1, "eth_getCode": 1, "eth_getTransactionCount": 1,
}

// mined is where results have the number of their block, if they have one.
type mined struct {
	Number      *hexutil.Uint64 `json:"number"`
	BlockNumber *hexutil.Uint64 `json:"blockNumber"`
}

func (l lagging) head() (uint64, error) {
	result, failure, err := l.chain("eth_blockNumber", nil)
	if err != nil || failure != nil {
		return 0, errors.Join(err, fmt.Errorf("asking how far the chain is: %s", failure))
	}
	var n hexutil.Uint64
	err = json.Unmarshal(result, &n)
	return uint64(n) - min(l.by, uint64(n)), err
}

func (l lagging) call(method string, params []json.RawMessage) (result, failure json.RawMessage, err error) {
	head, err := l.head()
	if err != nil {
		return nil, nil, err
	}
	if method == "eth_blockNumber" {
		result, err = json.Marshal(hexutil.Uint64(head))
		return result, nil, err
	}
	params = slices.Clone(params)
	if at, ok := blockParam[method]; ok {
		for len(params) <= at {
			params = append(params, json.RawMessage(`"latest"`))
		}
		switch string(params[at]) {
		case `"latest"`, `"pending"`, `"safe"`, `"finalized"`:
			params[at] = json.RawMessage(`"` + hexutil.EncodeUint64(head) + `"`)
		}
		var n hexutil.Uint64
		if json.Unmarshal(params[at], &n) == nil && uint64(n) > head {
			if method == "eth_getBlockByNumber" {
				return nil, nil, nil
			}
			return nil, json.RawMessage(`{"code":-32000,"message":"header not found"}`), nil
		}
	}
	result, failure, err = l.chain(method, params)
	switch method {
	case "eth_getTransactionReceipt", "eth_getTransactionByHash", "eth_getBlockByHash":
		var m mined
		if json.Unmarshal(result, &m) == nil && (above(m.Number, head) || above(m.BlockNumber, head)) {
			return nil, nil, err
		}
	}
	return result, failure, err
}

func above(n *hexutil.Uint64, head uint64) bool { return n != nil && uint64(*n) > head }
