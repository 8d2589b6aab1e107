// SPDX-License-Identifier: Apache-2.0

package evm_test

import (
	"errors"
	"math/big"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"

	"github.com/apocryph/apocryph/internal/evm"
	"github.com/apocryph/apocryph/internal/evm/evmtest"
	"github.com/apocryph/apocryph/internal/tariff"
)

const sendRaw, receipt, count = "eth_sendRawTransaction", "eth_getTransactionReceipt", "eth_getTransactionCount"

// Whatever endpoints do with a transaction or its receipt, an amount is paid once, and the wallet knows it.
func TestPaidOnce(t *testing.T) {
	all := func(s *scene, f evmtest.Fault) {
		for _, n := range s.nodes {
			n.Inject(f)
		}
	}
	for name, test := range map[string]struct {
		wrong func(*testing.T, *scene)
		// then happens at each wait, besides a block.
		then func(*testing.T, *scene, int)
	}{
		"nothing is wrong": {wrong: func(*testing.T, *scene) {}},
		"the answer to sending is lost": {wrong: func(_ *testing.T, s *scene) {
			all(s, evmtest.Fault{Method: sendRaw, Times: 1, Do: evmtest.Lose()})
		}},
		"an endpoint says no and sends it all the same": {wrong: func(_ *testing.T, s *scene) {
			s.nodes[0].Inject(evmtest.Fault{Method: sendRaw, Times: 1, Do: evmtest.FailAfter(-32000, "insufficient funds for gas * price + value")})
		}},
		"a gateway gives it to one node and then to the next": {wrong: func(_ *testing.T, s *scene) {
			all(s, evmtest.Fault{Method: sendRaw, Times: 1, Do: evmtest.FailAfter(-32000, "nonce too low: next nonce 4, tx nonce 3")})
		}},
		"an endpoint has trouble and sends it all the same": {wrong: func(_ *testing.T, s *scene) {
			all(s, evmtest.Fault{Method: sendRaw, Times: 1, Do: evmtest.FailAfter(-32603, "internal error")})
		}},
		"the endpoints swallow it": {wrong: func(_ *testing.T, s *scene) {
			all(s, evmtest.Fault{Method: sendRaw, Times: 1, Do: evmtest.Say(common.Hash{1})})
		}},
		"the pools drop it": {wrong: func(*testing.T, *scene) {}, then: func(_ *testing.T, s *scene, wait int) {
			if wait < 3 {
				s.chain.Drop()
			}
		}},
		"receipts come late": {wrong: func(_ *testing.T, s *scene) {
			all(s, evmtest.Fault{Method: receipt, Times: 5, Do: evmtest.Say(nil)})
		}},
		"an endpoint hangs up on receipts": {wrong: func(_ *testing.T, s *scene) {
			s.nodes[1].Inject(evmtest.Fault{Method: receipt, Times: 5, Do: evmtest.Break()})
		}},
		"an endpoint says that it failed": {wrong: func(_ *testing.T, s *scene) {
			s.nodes[0].Inject(evmtest.Fault{Method: receipt, Times: 5, Do: evmtest.With("status", "0x0")})
		}},
		"an endpoint says that the nonce is used": {wrong: func(_ *testing.T, s *scene) {
			all(s, evmtest.Fault{Method: receipt, Times: 5, Do: evmtest.Say(nil)})
			s.then = func(int) { s.nodes[0].Inject(evmtest.Fault{Method: count, Times: 1, Do: evmtest.Say("0xff")}) }
		}},
		"an endpoint is behind": {wrong: func(*testing.T, *scene) {}, then: func(_ *testing.T, s *scene, wait int) {
			s.nodes[0].Lag(uint64(max(0, 6-wait)))
		}},
		"its block is taken back": {wrong: func(*testing.T, *scene) {}, then: func(t *testing.T, s *scene, wait int) {
			if wait == 2 {
				s.chain.Reorg(t, 1, 2, true)
			}
		}},
		"its block is taken back twice and it comes again by itself": {wrong: func(*testing.T, *scene) {}, then: func(t *testing.T, s *scene, wait int) {
			if wait == 2 || wait == 3 {
				s.chain.Reorg(t, 2, 2, false)
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t, 2, func(c *evm.Config) { c.Confirmations = 2 })
			w := s.wallet(t, evm.Sending{}, s.nodes...)
			before := s.nonce(t)
			s.waits = 0
			test.wrong(t, s)
			also := s.then
			s.then = func(n int) {
				if also != nil {
					also(n)
				}
				if test.then != nil {
					test.then(t, s, n)
				}
				s.chain.Mine(1)
			}
			r, err := s.deposit(t, w, 5)
			if err != nil {
				t.Fatal(err)
			}
			in, err := s.chain.Client().TransactionReceipt(t.Context(), r.Tx)
			if err != nil || in.Status != types.ReceiptStatusSuccessful || in.BlockNumber.Uint64() != r.Block {
				t.Errorf("the chain says %+v, %v", in, err)
			}
			if got := s.deposited(t); got != "100005" {
				t.Errorf("deposited %s", got)
			}
			if got := s.nonce(t); got != before+1 {
				t.Errorf("%d transactions", got-before)
			}
		})
	}
}

// nonce is how many transactions the publisher has on chain.
func (s *scene) nonce(t testing.TB) uint64 {
	t.Helper()
	n, err := s.chain.Client().NonceAt(t.Context(), s.publisher.Address(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// Without agreement nothing is sent, and reads go on.
func TestNothingIsSentInDoubt(t *testing.T) {
	for name, test := range map[string]struct {
		wrong func(*scene)
		want  error
	}{
		"one of two is away":            {func(s *scene) { s.nodes[0].Inject(evmtest.Fault{Do: evmtest.Break()}) }, evm.ErrNoQuorum},
		"they disagree about the nonce": {func(s *scene) { s.nodes[0].Inject(evmtest.Fault{Method: count, Do: evmtest.Say("0x99")}) }, evm.ErrDisagree},
		"they disagree about what it would do": {func(s *scene) {
			s.nodes[0].Inject(evmtest.Fault{Method: "eth_estimateGas", Do: evmtest.Revert("0x")})
			s.nodes[1].Inject(evmtest.Fault{Method: "eth_estimateGas", Do: evmtest.HTTP(500)})
		}, evm.ErrNoQuorum},
		"all are away but one that is behind": {func(s *scene) {
			s.nodes[0].Lag(20)
			s.nodes[1].Inject(evmtest.Fault{Do: evmtest.Break()})
		}, evm.ErrUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t, 2)
			s.chain.Mine(30)
			w := s.wallet(t, evm.Sending{}, s.nodes...)
			test.wrong(s)
			s.mineAlways()
			before := len(s.nodes[0].Sent()) + len(s.nodes[1].Sent())
			if _, err := s.deposit(t, w, 5); !errors.Is(err, test.want) {
				t.Errorf("got %v, want %v", err, test.want)
			}
			if n := len(s.nodes[0].Sent()) + len(s.nodes[1].Sent()) - before; n != 0 {
				t.Errorf("%d transactions were sent", n)
			}
			if name != "all are away but one that is behind" {
				if _, err := w.State(t.Context(), s.id); err != nil {
					t.Errorf("reading: %v", err)
				}
			}
			for _, n := range s.nodes {
				n.Heal()
			}
			if _, err := s.deposit(t, w, 5); err != nil || s.deposited(t) != "100005" {
				t.Errorf("when all is well: %s, %v", s.deposited(t), err)
			}
		})
	}
}

// One endpoint's word that the contract refuses is not an answer while another one knows better.
func TestARefusalIsAgreed(t *testing.T) {
	s := newScene(t, 2)
	w := s.wallet(t, evm.Sending{}, s.nodes...)
	s.nodes[0].Inject(evmtest.Fault{Method: "eth_estimateGas", Do: evmtest.Revert("0x")})
	s.mineAlways()
	if _, err := s.deposit(t, w, 5); err != nil {
		t.Errorf("one refuses: %v", err)
	}
	s.nodes[1].Inject(evmtest.Fault{Method: "eth_estimateGas", Do: evmtest.Revert("0x")})
	if _, err := s.deposit(t, w, 5); !errors.Is(err, evm.ErrReverted) {
		t.Errorf("both refuse: %v", err)
	}
}

// cheap picks transactions below a fee.
func cheap(fee *big.Int) func(evmtest.Request) bool {
	return func(r evmtest.Request) bool {
		var raw hexutil.Bytes
		tx := new(types.Transaction)
		return raw.UnmarshalJSON(r.Params[0]) == nil && tx.UnmarshalBinary(raw) == nil && tx.GasFeeCap().Cmp(fee) < 0
	}
}

// A transaction that waits is offered more under its nonce, up to the ceiling, and any of its versions may be mined.
func TestFeesAreRaised(t *testing.T) {
	s := newScene(t, 2)
	w := s.wallet(t, evm.Sending{}, s.nodes...)
	s.mineAlways()
	if _, err := s.deposit(t, w, 1); err != nil {
		t.Fatal(err)
	}
	first := len(s.nodes[1].Sent())
	usual := s.nodes[1].Sent()[first-1].GasFeeCap()
	floor := new(big.Int).Div(new(big.Int).Mul(usual, big.NewInt(12)), big.NewInt(10))
	for _, n := range s.nodes {
		n.Inject(evmtest.Fault{Method: sendRaw, If: cheap(floor), Do: evmtest.Say(common.Hash{1})})
	}
	if _, err := s.deposit(t, w, 4); err != nil || s.deposited(t) != "100005" {
		t.Fatalf("deposited %s, %v", s.deposited(t), err)
	}
	versions := map[common.Hash]*types.Transaction{}
	var before *types.Transaction
	for _, tx := range s.nodes[1].Sent()[first:] {
		if versions[tx.Hash()] != nil {
			continue
		}
		versions[tx.Hash()] = tx
		if before != nil && (tx.Nonce() != before.Nonce() || !tenthMore(before.GasFeeCap(), tx.GasFeeCap()) || !tenthMore(before.GasTipCap(), tx.GasTipCap())) {
			t.Errorf("%d: %s, %s after %d: %s, %s", tx.Nonce(), tx.GasTipCap(), tx.GasFeeCap(), before.Nonce(), before.GasTipCap(), before.GasFeeCap())
		}
		before = tx
	}
	if len(versions) < 2 || len(versions) > 4 {
		t.Errorf("%d versions", len(versions))
	}

	s.cfg.MaxFee = usual.Uint64() + usual.Uint64()/5
	s.nodes[0].Heal()
	s.nodes[1].Heal()
	for _, n := range s.nodes {
		n.Inject(evmtest.Fault{Method: sendRaw, Do: evmtest.Say(common.Hash{1})})
	}
	from := len(s.nodes[0].Sent())
	if _, err := s.deposit(t, s.wallet(t, evm.Sending{}, s.nodes...), 4); !errors.Is(err, evm.ErrNotMined) || !errors.Is(err, evm.ErrFeeTooHigh) {
		t.Errorf("at the ceiling: %v", err)
	}
	for _, tx := range s.nodes[0].Sent()[from:] {
		if tx.GasFeeCap().Uint64() > s.cfg.MaxFee {
			t.Errorf("offered %s above the ceiling", tx.GasFeeCap())
		}
	}
	s.cfg.MaxFee = 1
	if _, err := s.deposit(t, s.wallet(t, evm.Sending{}, s.nodes...), 4); !errors.Is(err, evm.ErrFeeTooHigh) {
		t.Errorf("a ceiling below the base fee: %v", err)
	}
}

func tenthMore(a, b *big.Int) bool {
	return new(big.Int).Mul(b, big.NewInt(10)).Cmp(new(big.Int).Mul(a, big.NewInt(11))) >= 0
}

// A liar's price is not paid while somebody names a lower one.
func TestTheLowestPriceIsTried(t *testing.T) {
	s := newScene(t, 2)
	w := s.wallet(t, evm.Sending{}, s.nodes...)
	s.nodes[0].Inject(evmtest.Fault{Method: "eth_maxPriorityFeePerGas", Do: evmtest.Say("0xffffffffffff")})
	s.mineAlways()
	if _, err := s.deposit(t, w, 5); err != nil {
		t.Fatal(err)
	}
	if tip := s.nodes[1].Sent()[len(s.nodes[1].Sent())-1].GasTipCap(); tip.Cmp(big.NewInt(1e12)) > 0 {
		t.Errorf("a tip of %s", tip)
	}
}

// Another program of the wallet's owner comes first; if it takes the very nonce, that is told when it is final, and not before.
func TestForeignTransactions(t *testing.T) {
	s := newScene(t, 2, func(c *evm.Config) { c.FinalAfter = 4; c.MineTimeout = 20 * time.Second })
	w := s.wallet(t, evm.Sending{}, s.nodes...)
	foreign := s.chain.Send(t, s.keys[0], &common.Address{9}, nil, big.NewInt(1))
	s.mineAlways()
	if _, err := s.deposit(t, w, 5); err != nil || s.deposited(t) != "100005" {
		t.Fatalf("behind another: %s, %v", s.deposited(t), err)
	}
	if r, err := s.chain.Client().TransactionReceipt(t.Context(), foreign.Hash()); err != nil {
		t.Errorf("the other one: %+v, %v", r, err)
	}

	for _, n := range s.nodes {
		n.Inject(evmtest.Fault{Method: sendRaw, Do: evmtest.Say(common.Hash{1})})
	}
	s.waits = 0
	s.then = func(n int) {
		if n == 1 {
			s.chain.Send(t, s.keys[0], &common.Address{9}, nil, big.NewInt(2))
			s.chain.Mine(1)
		}
	}
	if _, err := s.deposit(t, w, 5); !errors.Is(err, evm.ErrNotMined) || errors.Is(err, evm.ErrReplaced) {
		t.Errorf("before it is final: %v", err)
	}
	s.chain.Mine(4)
	if _, err := s.deposit(t, w, 5); !errors.Is(err, evm.ErrReplaced) {
		t.Errorf("when it is final: %v", err)
	}
	for _, n := range s.nodes {
		n.Heal()
	}
	s.mineAlways()
	if _, err := s.deposit(t, w, 5); err != nil || s.deposited(t) != "100010" {
		t.Errorf("and then again: %s, %v", s.deposited(t), err)
	}
}

// A service's key is its own: what an earlier run left waiting is outbid.
func TestExclusiveReplacesWhatIsStuck(t *testing.T) {
	s := newScene(t, 2)
	stuck := s.chain.Send(t, s.keys[0], &common.Address{9}, nil, big.NewInt(1))
	w := s.wallet(t, evm.Sending{Exclusive: true}, s.nodes...)
	s.then = func(int) {
		if len(s.nodes[0].Sent()) > 0 {
			last := s.nodes[0].Sent()[len(s.nodes[0].Sent())-1]
			if _, pending, err := s.chain.Client().TransactionByHash(t.Context(), last.Hash()); err == nil && pending {
				s.chain.Mine(1)
			}
		}
	}
	r, err := s.deposit(t, w, 5)
	if err != nil || s.deposited(t) != "100005" {
		t.Fatalf("deposited %s, %v", s.deposited(t), err)
	}
	in, _, err := s.chain.Client().TransactionByHash(t.Context(), r.Tx)
	if err != nil || in.Nonce() != stuck.Nonce() {
		t.Errorf("nonce %d, not %d, %v", in.Nonce(), stuck.Nonce(), err)
	}
}

// What no endpoint takes was not sent, and is not waited for.
func TestRefusedEverywhere(t *testing.T) {
	s := newScene(t, 2)
	w := s.wallet(t, evm.Sending{}, s.nodes...)
	for _, n := range s.nodes {
		n.Inject(evmtest.Fault{Method: sendRaw, Do: evmtest.Fail(-32000, "transaction underpriced")})
	}
	if _, err := s.deposit(t, w, 5); !errors.Is(err, evm.ErrRefused) {
		t.Errorf("Deposit = %v", err)
	}
	s.nodes[0].Heal()
	s.nodes[1].Heal()
	s.mineAlways()
	if _, err := w.Deposit(t.Context(), s.terms, tariff.Units(6)); err != nil || s.deposited(t) != "100006" {
		t.Errorf("another one: %s, %v", s.deposited(t), err)
	}
}

// A transaction that fails on chain has failed when it is final.
func TestFailureIsFinal(t *testing.T) {
	s := newScene(t, 2, func(c *evm.Config) { c.FinalAfter = 4; c.MineTimeout = 20 * time.Second })
	w := s.wallet(t, evm.Sending{}, s.nodes...)
	s.waits = 0
	s.then = func(wait int) {
		switch wait {
		case 1: // the channel is closed before the deposit's block
			s.chain.Drop()
			s.closeChannel(t)
		case 3:
			s.chain.Mine(1)
		}
	}
	if _, err := s.deposit(t, w, 5); !errors.Is(err, evm.ErrReverted) || !errors.Is(err, evm.ErrNotMined) {
		t.Fatalf("before it is final: %v", err)
	}
	s.chain.Mine(4)
	if _, err := s.deposit(t, w, 5); !errors.Is(err, evm.ErrReverted) || errors.Is(err, evm.ErrNotMined) {
		t.Errorf("when it is final: %v", err)
	}
	if _, err := s.deposit(t, w, 5); !errors.Is(err, evm.ErrClosed) {
		t.Errorf("and then again: %v", err)
	}
}
