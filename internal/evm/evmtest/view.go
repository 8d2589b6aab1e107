// SPDX-License-Identifier: Apache-2.0

package evmtest

import (
	"context"
	"encoding/json"
	"errors"
	"slices"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
)

// view is a chain as far as an endpoint knows it: without the newest lag blocks, and with its own idea of what is final.
type view struct {
	chain *Chain
	ctx   context.Context //nolint:containedctx // lives as long as a request
	lag   uint64
	final *uint64
}

// errAhead is what nodes say about a block that they don't have.
var errAhead = errors.New("header not found")

// blockParam is where a method has the block that it is about, -1 if it is about none.
func blockParam(method string) int {
	switch method {
	case "eth_getBlockByNumber":
		return 0
	case "eth_call", "eth_estimateGas", "eth_getBalance", "eth_getCode", "eth_getTransactionCount":
		return 1
	case "eth_getStorageAt":
		return 2
	}
	return -1
}

// mined is where results have the number of their block, if they have one.
type mined struct {
	Number      *hexutil.Uint64 `json:"number"`
	BlockNumber *hexutil.Uint64 `json:"blockNumber"`
}

func (v view) head() uint64 {
	n := v.chain.Head().Number.Uint64()
	return n - min(v.lag, n)
}

func (v view) call(method string, params []json.RawMessage) (json.RawMessage, error) {
	params = slices.Clone(params)
	head := v.head()
	if at := blockParam(method); at >= 0 {
		for len(params) <= at {
			params = append(params, json.RawMessage(`"latest"`))
		}
		to, err := v.block(params[at], head)
		switch {
		case errors.Is(err, errAhead) && method == "eth_getBlockByNumber":
			return json.RawMessage("null"), nil
		case err != nil:
			return nil, err
		}
		params[at] = to
	}
	switch method {
	case "eth_blockNumber":
		return json.Marshal(hexutil.Uint64(head))
	case "eth_getLogs":
		if err := v.clamp(params, head); err != nil {
			return nil, err
		}
	}
	var result json.RawMessage
	args := make([]any, len(params))
	for i, p := range params {
		args[i] = p
	}
	if err := v.chain.rpc.CallContext(v.ctx, &result, method, args...); err != nil {
		return nil, err
	}
	switch method {
	case "eth_getTransactionReceipt", "eth_getTransactionByHash", "eth_getBlockByHash":
		var m mined
		if json.Unmarshal(result, &m) == nil && (above(m.Number, head) || above(m.BlockNumber, head)) {
			return json.RawMessage("null"), nil
		}
	}
	return result, nil
}

func above(n *hexutil.Uint64, head uint64) bool { return n != nil && uint64(*n) > head }

// block translates a block parameter, or returns errAhead.
func (v view) block(p json.RawMessage, head uint64) (json.RawMessage, error) {
	var tag string
	if json.Unmarshal(p, &tag) == nil {
		switch tag {
		case "latest", "pending", "safe":
			if v.lag == 0 {
				return p, nil
			}
			return json.Marshal(hexutil.Uint64(head))
		case "finalized":
			return v.finalized(head)
		case "earliest":
			return p, nil
		}
		n, err := hexutil.DecodeUint64(tag)
		if err != nil {
			return nil, err
		}
		if n > head {
			return nil, errAhead
		}
		return p, nil
	}
	var by struct {
		BlockHash *common.Hash `json:"blockHash"`
	}
	if err := json.Unmarshal(p, &by); err != nil || by.BlockHash == nil {
		return p, nil //nolint:nilerr // the node will say what is wrong with it
	}
	if h := v.chain.backend.BlockChain().GetHeaderByHash(*by.BlockHash); h != nil && h.Number.Uint64() > head {
		return nil, errAhead
	}
	return p, nil
}

func (v view) finalized(head uint64) (json.RawMessage, error) {
	n := uint64(0)
	if v.final != nil {
		top := v.chain.Head().Number.Uint64()
		n = top - min(*v.final, top)
	} else if h := v.chain.backend.BlockChain().CurrentFinalBlock(); h != nil {
		n = h.Number.Uint64()
	}
	return json.Marshal(hexutil.Uint64(min(n, head)))
}

// clamp keeps a log filter below the head.
func (v view) clamp(params []json.RawMessage, head uint64) error {
	if len(params) == 0 {
		return nil
	}
	var filter map[string]json.RawMessage
	if err := json.Unmarshal(params[0], &filter); err != nil {
		return err
	}
	to, err := json.Marshal(hexutil.Uint64(head))
	if err != nil {
		return err
	}
	var given hexutil.Uint64
	if raw, ok := filter["toBlock"]; !ok || json.Unmarshal(raw, &given) != nil || uint64(given) > head {
		filter["toBlock"] = to
	}
	if raw, ok := filter["fromBlock"]; ok && json.Unmarshal(raw, &given) == nil && uint64(given) > head {
		filter["fromBlock"] = to
	}
	params[0], err = json.Marshal(filter)
	return err
}
