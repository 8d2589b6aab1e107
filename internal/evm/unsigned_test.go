// SPDX-License-Identifier: Apache-2.0

package evm_test

import (
	"encoding/json"
	"errors"
	"math/big"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/signer/core/apitypes"
	"github.com/google/go-cmp/cmp"

	"github.com/apocryph/apocryph/internal/channel"
	"github.com/apocryph/apocryph/internal/evm"
	"github.com/apocryph/apocryph/internal/evm/evmtest"
	"github.com/apocryph/apocryph/internal/gen/token"
	"github.com/apocryph/apocryph/internal/tariff"
)

// signAndSend does what two machines do: one prints, the other signs what it read, the first one sends.
func (w *world) signAndSend(t *testing.T, u evm.Unsigned) evm.Receipt {
	t.Helper()
	printed, err := json.Marshal(u)
	if err != nil {
		t.Fatal(err)
	}
	var read evm.Unsigned
	if err := json.Unmarshal(printed, &read); err != nil {
		t.Fatal(err)
	}
	tx, err := types.SignTx(read.Transaction(), types.LatestSignerForChainID(big.NewInt(evmtest.ID)), w.keys[0])
	if err != nil {
		t.Fatal(err)
	}
	r, err := w.publisher.Submit(t.Context(), tx)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestSignedElsewhere(t *testing.T) {
	w := newWorld(t, evmtest.Options{})
	c, own := w.publisher.Client, w.publisher.Address()
	terms := w.terms(1)
	id := w.open(t, terms)

	// The allowance is used up, so there are two, and the second one can't be estimated yet.
	txs, err := c.UnsignedDeposit(t.Context(), own, terms, tariff.Units(500))
	if err != nil || len(txs) != 2 || txs[1].Nonce != txs[0].Nonce+1 || txs[1].Gas != 200_000 {
		t.Fatalf("got %+v, %v", txs, err)
	}
	for _, u := range txs {
		if r := w.signAndSend(t, u); r.GasUsed > u.Gas || new(big.Int).Mul(u.MaxFee, new(big.Int).SetUint64(r.GasUsed)).Cmp(u.MaxCost().Big()) > 0 {
			t.Errorf("it used %d of %d gas", r.GasUsed, u.Gas)
		}
	}
	one := func(txs []evm.Unsigned, err error) {
		t.Helper()
		if err != nil || len(txs) != 1 {
			t.Fatalf("got %d transactions, %v", len(txs), err)
		}
		w.signAndSend(t, txs[0])
	}
	one(c.UnsignedNotice(t.Context(), own, terms))
	if _, err := c.UnsignedWithdraw(t.Context(), own, terms); !errors.Is(err, evm.ErrNoticeNotEnded) {
		t.Errorf("what the contract would refuse is printed: %v", err)
	}
	w.pass(t, channel.MaxNotice)
	one(c.UnsignedWithdraw(t.Context(), own, terms))
	if s, err := c.State(t.Context(), id); err != nil || s.Status() != channel.Closed {
		t.Errorf("the channel is %s, %v", s.Status(), err)
	}

	second := w.terms(2)
	w.open(t, second)
	one(c.UnsignedRelease(t.Context(), own, w.release(t, second, 0)))
	if _, err := c.UnsignedWithdrawCredit(t.Context(), own, w.token, own); !errors.Is(err, evm.ErrNoCredit) {
		t.Errorf("got %v", err)
	}
}

func known() evm.Unsigned {
	return evm.Unsigned{
		ChainID: 1337, From: common.Address{1}, To: common.Address{2}, Data: []byte{1, 2, 3}, Value: new(big.Int), Nonce: 7, Gas: 50_000,
		MaxFee: big.NewInt(3_000_000_000), MaxTip: big.NewInt(1),
	}
}

// The form is the one that other wallets read, and its payload is what they hash.
func TestUnsignedIsStandard(t *testing.T) {
	u := known()
	b, err := json.Marshal(u)
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"type":"0x2","chainId":"0x539","from":"0x0100000000000000000000000000000000000000","to":"0x0200000000000000000000000000000000000000",` +
		`"data":"0x010203","value":"0x0","nonce":"0x7","gas":"0xc350","maxFeePerGas":"0xb2d05e00","maxPriorityFeePerGas":"0x1"}`
	if diff := cmp.Diff(want, string(b)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	var theirs apitypes.SendTxArgs
	if err := json.Unmarshal(b, &theirs); err != nil {
		t.Fatal(err)
	}
	tx, err := theirs.ToTransaction()
	if err != nil {
		t.Fatal(err)
	}
	payload, err := u.Payload()
	if err != nil {
		t.Fatal(err)
	}
	signer := types.LatestSignerForChainID(big.NewInt(1337))
	if got := crypto.Keccak256Hash(payload); got != signer.Hash(tx) || got != signer.Hash(u.Transaction()) {
		t.Errorf("another transaction's payload: %x", payload)
	}
	if got := u.MaxCost().String(); got != "150000000000000" {
		t.Errorf("at most %s wei", got)
	}
}

func TestUnsignedMustBeWhole(t *testing.T) {
	b, err := json.Marshal(known())
	if err != nil {
		t.Fatal(err)
	}
	for what, edit := range map[string][2]string{
		"no chain":          {`"chainId":"0x539",`, ``},
		"no nonce":          {`"nonce":"0x7",`, ``},
		"no fee":            {`"maxFeePerGas":"0xb2d05e00",`, ``},
		"an old form":       {`"type":"0x2"`, `"type":"0x0"`},
		"a decimal":         {`"0x7"`, `7`},
		"a second address":  {`"0x0200`, `"0x02`},
		"a field of others": {`"type"`, `"accessList":[],"type"`},
	} {
		t.Run(what, func(t *testing.T) {
			text := strings.Replace(string(b), edit[0], edit[1], 1)
			if text == string(b) {
				t.Fatal("the edit changes nothing")
			}
			var u evm.Unsigned
			if err := json.Unmarshal([]byte(text), &u); err == nil {
				t.Errorf("taken: %s", text)
			}
		})
	}
}

func TestDescribe(t *testing.T) {
	w := newWorld(t, evmtest.Options{})
	c, own, terms := w.publisher.Client, w.publisher.Address(), w.terms(1)
	id := w.open(t, terms)
	only := func(txs []evm.Unsigned, err error) evm.Unsigned {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return txs[len(txs)-1]
	}
	of := func(txs []evm.Unsigned, err error) evm.Unsigned {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return txs[0]
	}
	notice := only(c.UnsignedNotice(t.Context(), own, terms))
	edited := func(edit func(*evm.Unsigned)) evm.Unsigned {
		u := notice
		u.Data = append([]byte{}, u.Data...)
		edit(&u)
		return u
	}
	channelOf := "channel " + id.String() + " of publisher " + own.Hex()
	for what, c := range map[string]struct {
		tx    evm.Unsigned
		does  string
		known bool
		about common.Address
	}{
		"an approval": {of(c.UnsignedDeposit(t.Context(), own, terms, tariff.Units(500))), "lets contract " + w.cfg.Channels.Hex() + " take 500 base units of token " + w.token.Hex(), true, w.cfg.Channels},
		"a deposit":   {only(c.UnsignedDeposit(t.Context(), own, terms, tariff.Units(500))), "adds 500 base units of token " + w.token.Hex() + " to " + channelOf, true, w.cfg.Channels},
		"a notice":    {notice, "gives notice on " + channelOf, true, w.cfg.Channels},
		"a release":   {only(c.UnsignedRelease(t.Context(), own, w.release(t, terms, 3))), "closes " + channelOf + " at the final total of 3 base units", true, w.cfg.Channels},
		// The id is of the contract that is called: at another one it is another channel.
		"a notice elsewhere": {edited(func(u *evm.Unsigned) { u.To = common.Address{9} }), "gives notice on channel 0x", true, common.Address{9}},
		"coins go with it":   {edited(func(u *evm.Unsigned) { u.Value = big.NewInt(5) }), "and sends it 5 wei", false, common.Address{}},
		"something behind":   {edited(func(u *evm.Unsigned) { u.Data = append(u.Data, 0) }), "can't read", false, common.Address{}},
		"another function":   {edited(func(u *evm.Unsigned) { u.Data[0] ^= 1 }), "can't read", false, common.Address{}},
		"half of it":         {edited(func(u *evm.Unsigned) { u.Data = u.Data[:40] }), "can't read", false, common.Address{}},
		"no data":            {edited(func(u *evm.Unsigned) { u.Data = nil }), "can't read", false, common.Address{}},
		"a transfer":         {edited(func(u *evm.Unsigned) { u.Data = token.NewTestToken().PackTransfer(own, big.NewInt(1)) }), "can't read", false, common.Address{}},
		// Where a word is wider than its type, the contract and this program could read two different numbers.
		"a dirty address": {edited(func(u *evm.Unsigned) { u.Data = token.NewTestToken().PackApprove(own, big.NewInt(1)); u.Data[4] = 1 }), "can't read", false, common.Address{}},
	} {
		t.Run(what, func(t *testing.T) {
			got := evm.Describe(c.tx)
			if !strings.Contains(got.Does, c.does) || got.Known != c.known || got.Contract != c.about {
				t.Errorf("got %+v, want %q, %t, %s", got, c.does, c.known, c.about)
			}
		})
	}
}
