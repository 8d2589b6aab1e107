// SPDX-License-Identifier: Apache-2.0

package evm_test

import (
	"math/big"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/google/go-cmp/cmp"

	"github.com/apocryph/apocryph/internal/channel"
	"github.com/apocryph/apocryph/internal/evm"
	"github.com/apocryph/apocryph/internal/evm/evmtest"
	"github.com/apocryph/apocryph/internal/gen/channels"
	"github.com/apocryph/apocryph/internal/gen/token"
	"github.com/apocryph/apocryph/internal/tariff"
)

// forwarder is a contract that calls the address in the first word of its calldata with the rest of it, as a wallet that is a contract does:
//
//	calldatacopy(0, 32, calldatasize − 32); call(gas, calldataload(0), 0, 0, calldatasize − 32, 0, 0); if it failed, revert
const forwarder = "0x" + "6024600c60003960246000f3" + // the constructor returns the 36 bytes behind it
	"602036036020600037" + "6000600060203603600060006000355af1" + "602257" + "60006000fd" + "5b00"

func TestOpenings(t *testing.T) {
	w := newWorld(t, evmtest.Options{})
	c, own := w.publisher.Client, w.publisher.Address()
	plain, shared := w.terms(1), w.terms(2)
	shared.Payees = []channel.Payee{{Account: common.Address{7}, Share: 1000}, {Account: common.Address{8}, Share: 5}}
	w.open(t, plain)
	w.open(t, shared)

	// Somebody else's does not count.
	foreign := w.terms(3)
	foreign.Publisher = w.provider.Address()
	w.chain.Do(t, w.keys[1], &w.token, token.NewTestToken().PackMint(foreign.Publisher, big.NewInt(1000)), nil)
	if _, err := w.provider.Open(t.Context(), foreign, tariff.Units(1000)); err != nil {
		t.Fatal(err)
	}

	got, err := c.Openings(t.Context(), own, 0)
	if err != nil {
		t.Fatal(err)
	}
	var terms []channel.Terms
	for _, o := range got {
		if o.Terms == nil || o.ID != o.Terms.ID(c.Domain()) || o.Publisher != own || o.Block == 0 {
			t.Fatalf("got %+v", o)
		}
		terms = append(terms, *o.Terms)
	}
	if diff := cmp.Diff([]channel.Terms{plain, shared}, terms, cmp.Comparer(tariff.Amount.Equal)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if later, err := c.Openings(t.Context(), own, got[1].Block); err != nil || len(later) != 1 || later[0].ID != got[1].ID {
		t.Errorf("from a block on: %+v, %v", later, err)
	}
}

// Whoever paid the gas, and through whatever contract, the terms are in the transaction.
func TestOpeningsThroughAnotherContract(t *testing.T) {
	w := newWorld(t, evmtest.Options{})
	c, own, terms := w.publisher.Client, w.publisher.Address(), w.terms(1)
	through := w.chain.Deploy(t, w.keys[1], forwarder)
	w.chain.Do(t, w.keys[0], &w.token, token.NewTestToken().PackApprove(w.cfg.Channels, big.NewInt(1000)), nil)
	deadline := time.Unix(1<<39, 0)
	sig, err := w.publisher.Sign(channel.Opening{Terms: terms, Amount: tariff.Units(1000), Deadline: deadline})
	if err != nil {
		t.Fatal(err)
	}
	none := channels.Permit{Deadline: new(big.Int)}
	data := channels.NewChannels().PackOpenFor(evm.ContractTerms(terms), big.NewInt(1000), big.NewInt(deadline.Unix()), sig, none)
	w.chain.Do(t, w.keys[1], &through, append(common.LeftPadBytes(w.cfg.Channels[:], 32), data...), nil)

	got, err := c.Openings(t.Context(), own, 0)
	if err != nil || len(got) != 1 || got[0].Terms == nil {
		t.Fatalf("got %+v, %v", got, err)
	}
	if diff := cmp.Diff(terms, *got[0].Terms, cmp.Comparer(tariff.Amount.Equal)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Public nodes bound how many blocks they search at once.
func TestOpeningsOnANodeThatLooksAtFewBlocks(t *testing.T) {
	w := newWorld(t, evmtest.Options{})
	w.open(t, w.terms(1))
	w.chain.Mine(1500)
	w.open(t, w.terms(2))
	w.node.Inject(evmtest.Fault{Method: "eth_getLogs", Times: 1, Do: evmtest.Fail(-32005, "query covers too many blocks")})
	got, err := w.publisher.Openings(t.Context(), w.publisher.Address(), 0)
	if err != nil || len(got) != 2 {
		t.Errorf("got %d, %v", len(got), err)
	}
	if asked := w.node.Requests("eth_getLogs"); len(asked) < 3 {
		t.Errorf("the search was not cut up: %d requests", len(asked))
	}
}
