// SPDX-License-Identifier: Apache-2.0

package invoicer

import (
	"math/big"
	"time"

	"github.com/apocryph/apocryph/internal/channel"
	"github.com/apocryph/apocryph/internal/tariff"
)

// action is what to send to the chain now, and when to look again at the latest.
type action struct {
	claim, release bool
	again          time.Duration
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
	if s.voucher == nil || channel.Claimable(s.seen.State, s.terms, *s.voucher, s.at()).IsZero() {
		return a
	}
	// Cap that lies unused longer than the window is lost, so it is not left to the configuration alone.
	every := min(c.ClaimEvery, time.Duration(min(s.terms.Window, 1<<31))*time.Second/2)
	more, err := s.voucher.Sub(s.seen.Claimed)
	a.claim = err == nil && (c.lastChance(s) || (more.Cmp(c.ClaimMin) >= 0 && s.at().Sub(s.lastClaim) >= every))
	return a
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
