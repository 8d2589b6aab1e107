// SPDX-License-Identifier: Apache-2.0

package evm_test

import (
	"errors"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"github.com/apocryph/apocryph/internal/channel"
	"github.com/apocryph/apocryph/internal/evm"
	"github.com/apocryph/apocryph/internal/evm/evmtest"
	"github.com/apocryph/apocryph/internal/tariff"
)

func TestPermits(t *testing.T) {
	w, ctx := newWorld(t, evmtest.Options{}), t.Context()
	now, err := w.publisher.BlockTime(ctx)
	if err != nil {
		t.Fatal(err)
	}
	later, amount := now.Add(time.Hour), tariff.Units(1000)
	permit := func(n tariff.Amount) evm.Permit {
		p, err := w.publisher.Permit(ctx, w.token, n, later)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	if _, err := w.publisher.OpenWithPermit(ctx, w.terms(1), amount, permit(amount)); err != nil {
		t.Errorf("with a permit: %v", err)
	}
	if _, err := w.publisher.OpenWithPermit(ctx, w.terms(2), amount, permit(tariff.Units(999))); err == nil {
		t.Error("with a permit for less")
	}
	o := channel.Opening{Terms: w.terms(2), Amount: amount, Deadline: later}
	sig, err := w.publisher.Sign(o)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.provider.OpenFor(ctx, o, sig, evm.Permit{}); err == nil {
		t.Error("without an allowance or a permit")
	}
	other := o
	other.Amount = tariff.Units(2000)
	if _, err := w.provider.OpenFor(ctx, other, sig, permit(other.Amount)); !errors.Is(err, evm.ErrBadSignature) {
		t.Errorf("for another amount: %v", err)
	}
	r, err := w.provider.OpenFor(ctx, o, sig, permit(amount))
	if err != nil || len(r.Events) != 1 || r.Events[0].Amount.String() != "1000" {
		t.Errorf("by the provider: %+v, %v", r, err)
	}
	if _, err := w.provider.OpenFor(ctx, o, sig, permit(amount)); !errors.Is(err, evm.ErrAlreadyOpened) {
		t.Errorf("again: %v", err)
	}
	if _, err := w.publisher.Permit(ctx, w.cfg.Channels, amount, later); !errors.Is(err, evm.ErrReverted) {
		t.Errorf("a token without permits: %v", err)
	}
}

// Nothing is signed over what one endpoint alone says.
func TestPermitsAreAgreed(t *testing.T) {
	s := newScene(t, 2)
	w := s.wallet(t, evm.Sending{}, s.nodes...)
	s.nodes[0].Inject(evmtest.Fault{Method: "eth_call", Do: evmtest.Say(common.Hash{1})})
	if _, err := w.Permit(t.Context(), s.token, tariff.Units(1), s.Now()); !errors.Is(err, evm.ErrDisagree) {
		t.Errorf("Permit = %v", err)
	}
}
