// SPDX-License-Identifier: Apache-2.0

package evm_test

import (
	"encoding/json"
	"math/big"
	"testing"

	"github.com/ethereum/go-ethereum/common/hexutil"

	"github.com/apocryph/apocryph/internal/evm"
	"github.com/apocryph/apocryph/internal/evm/evmtest"
	"github.com/apocryph/apocryph/internal/gen/token"
	"github.com/apocryph/apocryph/internal/tariff"
)

// Endpoints that look through few blocks at once are asked for few, and nothing is missed or told twice.
func TestEventsArePaged(t *testing.T) {
	s := newScene(t, 1)
	w := s.wallet(t, evm.Sending{}, s.nodes...)
	s.then = func(int) { s.chain.Mine(7) }
	for range 5 {
		if _, err := s.deposit(t, w, 1); err != nil {
			t.Fatal(err)
		}
	}
	wide := func(r evmtest.Request) bool {
		var f struct{ FromBlock, ToBlock hexutil.Uint64 }
		return json.Unmarshal(r.Params[0], &f) == nil && f.ToBlock-f.FromBlock >= 6
	}
	s.node.Inject(evmtest.Fault{Method: "eth_getLogs", If: wide, Do: evmtest.Fail(-32005, "query returned more than 10000 results")})
	events, err := w.Events(t.Context(), s.id, 0)
	if err != nil || len(events) != 6 {
		t.Fatalf("%d events, %v", len(events), err)
	}
	for i := 1; i < len(events); i++ {
		if events[i].Block <= events[i-1].Block {
			t.Errorf("block %d after %d", events[i].Block, events[i-1].Block)
		}
	}
	s.node.Heal()
	s.node.Inject(evmtest.Fault{Method: "eth_getLogs", Do: evmtest.Fail(-32005, "query returned more than 10000 results")})
	if _, err := w.Events(t.Context(), s.id, 0); err == nil {
		t.Error("no error though not a single block can be had")
	}
}

// Some tokens change an allowance only from or to zero.
func TestAllowanceThroughZero(t *testing.T) {
	s := newScene(t, 1)
	approve := func(n int64) []byte {
		return token.NewTestToken().PackApprove(s.cfg.Channels, big.NewInt(n))
	}
	s.chain.Do(t, s.keys[0], &s.token, approve(3), nil)
	zeroed := false
	s.node.Inject(evmtest.Fault{Method: "eth_estimateGas", Do: evmtest.Revert("0x"), If: func(r evmtest.Request) bool {
		var call struct{ Input hexutil.Bytes }
		if json.Unmarshal(r.Params[0], &call) != nil || len(call.Input) != 68 || string(call.Input[:4]) != string(approve(0)[:4]) {
			return false
		}
		zero := new(big.Int).SetBytes(call.Input[36:]).Sign() == 0
		zeroed = zeroed || zero
		return !zero && !zeroed
	}})
	s.mineAlways()
	w := s.wallet(t, evm.Sending{}, s.nodes...)
	if _, err := w.Deposit(t.Context(), s.terms, tariff.Units(5)); err != nil || !zeroed || s.deposited(t) != "100005" {
		t.Errorf("deposited %s, through zero %t, %v", s.deposited(t), zeroed, err)
	}
}
