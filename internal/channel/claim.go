// SPDX-License-Identifier: Apache-2.0

package channel

import (
	"math/big"
	"time"

	"github.com/apocryph/apocryph/internal/tariff"
)

// Claimable is what a voucher or release over total would pay in a block at now:
//
//	min(total, deposited) − claimed, but at most cap × min(now − spentUntil, window)
//
// and nothing after the notice has ended. It is the reference for the contract's own computation.
func Claimable(s State, t Terms, total tariff.Amount, now time.Time) tariff.Amount {
	_, amount := Spend(s, t, total, now)
	return amount
}

// Spend returns also the state after that claim. Seconds of cap are spent, rounded up in the publisher's favour, and seconds that are
// older than the window are lost:
//
//	spentUntil = max(spentUntil, now − window) + ⌈amount / cap⌉
func Spend(s State, t Terms, total tariff.Amount, now time.Time) (State, tariff.Amount) {
	status := s.Status(now)
	if (status != Open && status != Notice) || total.Cmp(s.Claimed) <= 0 {
		return s, tariff.Amount{}
	}
	at := uint64(max(now.Unix(), 0))
	from := s.SpentUntil
	if at > t.Window {
		from = max(from, at-t.Window)
	}
	if at <= from || t.Cap.IsZero() {
		return s, tariff.Amount{}
	}
	wanted, err := total.Min(s.Deposited).Sub(s.Claimed)
	if err != nil {
		return s, tariff.Amount{}
	}
	amount := wanted.Min(t.Cap.Mul(at - from))
	if amount.IsZero() {
		return s, tariff.Amount{}
	}

	one := big.NewInt(1)
	seconds := new(big.Int).Sub(new(big.Int).Add(amount.Big(), t.Cap.Big()), one)
	seconds.Quo(seconds, t.Cap.Big())
	s.Claimed = s.Claimed.Add(amount)
	s.SpentUntil = from + seconds.Uint64()
	return s, amount
}

// Split divides a claimed total among further payees, in their order, and the provider, last. Each payee gets share/left of what those
// before left over, rounded down, where left is what is unshared of the whole. The parts sum to the total, everyone has at least the
// floor of their share, and no part shrinks while the total grows; a claim pays each the difference to what the total gave before.
func Split(payees []Payee, total tariff.Amount) []tariff.Amount {
	parts := make([]tariff.Amount, 0, len(payees)+1)
	rest, left := total, uint64(One)
	for _, p := range payees {
		if left < uint64(p.Share) || left == 0 {
			parts = append(parts, tariff.Amount{}) // shares above the whole, which Validate refuses
			continue
		}
		part := new(big.Int).Quo(rest.Mul(uint64(p.Share)).Big(), new(big.Int).SetUint64(left))
		amount, err := tariff.NewAmount(part)
		if err != nil {
			amount = tariff.Amount{} // a quotient of amounts is one
		}
		if rest, err = rest.Sub(amount); err != nil {
			rest = tariff.Amount{} // part is at most rest
		}
		left -= uint64(p.Share)
		parts = append(parts, amount)
	}
	return append(parts, rest)
}
