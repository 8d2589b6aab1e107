// SPDX-License-Identifier: Apache-2.0

package invoicer

import (
	"math/big"
	"time"

	"github.com/apocryph/apocryph/internal/channel"
	"github.com/apocryph/apocryph/internal/tariff"
)

// action is what to send to the chain now, and when to look again at the latest. A claim that may join is not due, but goes along with
// those that are.
type action struct {
	claim, join, release bool
	again                time.Duration
}

// collect decides whether a claim or the release is worth sending.
func (c Config) collect(s sight) action {
	a := action{again: c.Poll}
	switch s.status() {
	case channel.None:
		return a
	case channel.Closed:
		if s.final() == channel.Closed {
			return action{}
		}
		return a // it may open again while that is not final
	case channel.Open, channel.Notice, channel.Ended:
	}
	if s.release != nil {
		return c.finish(s, a)
	}
	if s.voucher == nil {
		return a
	}
	// What counts is what a claim pays now, not what is owed: deposit and cap may let through much less.
	pays := channel.Claimable(s.seen.State, s.terms, *s.voucher, s.at())
	if pays.IsZero() {
		return a
	}
	// Cap that lies unused longer than the window is lost, so it is not left to the configuration alone.
	every := min(c.ClaimEvery, time.Duration(min(s.terms.Window, 1<<31))*time.Second/2)
	percent := c.GasPercent
	if s.filling(every) {
		percent = 100
	}
	since := s.at().Sub(s.lastClaim)
	switch worth := pays.Cmp(c.ClaimMin) >= 0; {
	case c.lastChance(s): // what is not claimed now is lost, so all that the gas must not cost is more than it brings
		a.claim = c.worth(s, pays, singleGas, 100)
	case worth && since >= every && c.worth(s, pays, singleGas, percent):
		a.claim = true
	case worth && since >= every/2 && c.worth(s, pays, batchGas, percent):
		a.join = true
	}
	return a
}

// filling reports whether waiting until the next claim would lose money: the window is full by then, and it pays no more than is owed. Then
// a claim is worth any gas below what it pays.
func (s sight) filling(every time.Duration) bool {
	wait := uint64(every / time.Second)
	if uint64(max(s.at().Unix(), 0))+wait < s.seen.SpentUntil+s.terms.Window {
		return false
	}
	owed, err := s.voucher.Min(s.seen.Deposited).Sub(s.seen.Claimed)
	return err == nil && owed.Cmp(s.terms.Cap.Mul(s.terms.Window-min(wait, s.terms.Window))) >= 0
}

// What a claim costs alone and in a batch, in gas, as measured with a margin.
const (
	singleGas = 80_000
	batchGas  = 30_000
)

// worth reports whether gas costs at most so many percent of an amount.
func (c Config) worth(s sight, amount tariff.Amount, gas, percent uint64) bool {
	if c.CoinPrice.IsZero() || s.seen.Fee == nil || s.seen.Fee.Sign() <= 0 {
		return true
	}
	// gas × fee ÷ 10¹⁸ × price ≤ amount × percent ÷ 100
	cost := new(big.Int).Mul(s.seen.Fee, c.CoinPrice.Mul(gas).Big())
	cost.Mul(cost, big.NewInt(100))
	wei := new(big.Int).Exp(big.NewInt(10), big.NewInt(18), nil)
	return cost.Cmp(wei.Mul(wei, amount.Mul(percent).Big())) <= 0
}

// finish submits the release as soon as the cap lets all of it through: what a release does not pay is lost. When waiting does not help,
// because the window is full or the notice runs out, what can be had is taken.
func (c Config) finish(s sight, a action) action {
	wanted, err := s.release.Min(s.seen.Deposited).Sub(s.seen.Claimed)
	if err != nil {
		wanted = tariff.Amount{} // more was claimed already
	}
	got := channel.Claimable(s.seen.State, s.terms, *s.release, s.at())
	if s.status() == channel.Ended || c.lastChance(s) || got.Cmp(wanted) >= 0 {
		a.release = true
		return a
	}
	if unused := s.at().Unix() - int64(s.seen.SpentUntil); unused >= int64(min(s.terms.Window, 1<<40)) && s.voucher != nil {
		a.claim = true
		return a
	}
	if missing, err := wanted.Sub(got); err == nil && !s.terms.Cap.IsZero() {
		seconds := new(big.Int).Quo(missing.Big(), s.terms.Cap.Big())
		if seconds.IsInt64() && seconds.Int64() < int64(c.Poll/time.Second) {
			a.again = time.Duration(seconds.Int64()+1) * time.Second
		}
	}
	return a
}

// lastChance reports whether the notice is about to end.
func (c Config) lastChance(s sight) bool {
	return s.status() == channel.Notice && !s.at().Before(s.noticeEnd().Add(-c.NoticeLead))
}
