// SPDX-License-Identifier: Apache-2.0

// Package ledger divides what an app used among the channels that pay for it one after another.
//
// Usage is one account that only grows; where a channel's bill ends is fixed once, by a final account over exactly that part of it. What lies
// beyond the sum of those parts is the present channel's, by its own tariff. So each unit of usage is on one channel, none on two and none on
// no one's, and each channel owes usage × tariff rounded down once. What a channel has not paid of that when it is closed for good are
// arrears: they are fixed once, too, and added to what the channel owes that pays then. Hence, whatever was signed or claimed when,
//
//	claimed on channels that are closed + owed on those that are not = Σ ⌊part × tariff⌋
//
// The parts hold every quantity, also those that a channel's tariff has no price for: what was free on one must not be due on the next.
//
// A ledger is immutable; Follow and Settle return the next one. Who writes it down signs every line of it, and writes lines only at its end.
package ledger

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/apocryph/apocryph/internal/account"
	"github.com/apocryph/apocryph/internal/channel"
	"github.com/apocryph/apocryph/internal/tariff"
	"github.com/apocryph/apocryph/internal/usage"
)

// ErrLedger says that lines make no ledger of the channels that an app has had.
var ErrLedger = errors.New("not the ledger of these channels")

// Payer is a channel that pays for an app, and its prices.
type Payer struct {
	App     [32]byte
	Channel channel.ID
	Tariff  tariff.ID
	Prices  tariff.Tariff
}

// Line is the final account of a channel that paid before.
type Line struct {
	Account account.Account
	// Arrears are nil until the channel is closed for good.
	Arrears *account.Arrears
}

// Ledger is what is fixed of an app's channels, oldest first.
type Ledger struct{ lines []Line }

// New returns the ledger of lines that were written down, or ErrLedger if they are not of the first of these channels, in their order.
func New(lines []Line, payers []Payer) (Ledger, error) {
	if len(lines) >= len(payers) && len(lines) > 0 {
		return Ledger{}, fmt.Errorf("%d lines for %d channels: %w", len(lines), len(payers), ErrLedger)
	}
	for i, l := range lines {
		p := payers[i]
		switch a := l.Account; {
		case a.Channel != p.Channel || a.App != p.App || a.Tariff != p.Tariff:
			return Ledger{}, fmt.Errorf("line %d is of channel %s, not of %s: %w", i+1, a.Channel, p.Channel, ErrLedger)
		case !a.Final || !a.Total.Equal(p.Prices.Cost(a.Usage).Add(a.Arrears)):
			return Ledger{}, fmt.Errorf("line %d is no final account: %w", i+1, ErrLedger)
		}
		if r := l.Arrears; r != nil && (r.App != p.App || r.Channel != p.Channel || !slices.ContainsFunc(payers[i+1:], func(p Payer) bool { return p.Channel == r.On })) {
			return Ledger{}, fmt.Errorf("the arrears of line %d are another's: %w", i+1, ErrLedger)
		}
	}
	return Ledger{slices.Clone(lines)}, nil
}

// Lines are those of the channels that paid before, oldest first.
func (l Ledger) Lines() []Line { return slices.Clone(l.lines) }

// Len is how many channels paid before, which is also the place of the present one.
func (l Ledger) Len() int { return len(l.lines) }

// Before is what the channels before the present one pay for.
func (l Ledger) Before() usage.Totals {
	var sum usage.Totals
	for _, line := range l.lines {
		sum = sum.Add(line.Account.Usage)
	}
	return sum
}

// TakenOver is what a channel pays for those before it.
func (l Ledger) TakenOver(on channel.ID) tariff.Amount {
	var sum tariff.Amount
	for _, line := range l.lines {
		if line.Arrears != nil && line.Arrears.On == on {
			sum = sum.Add(line.Arrears.Amount)
		}
	}
	return sum
}

// Now is the present channel's account, of all that was used.
func (l Ledger) Now(p Payer, used usage.Totals, to time.Time) account.Account {
	part, arrears := used.Beyond(l.Before()), l.TakenOver(p.Channel)
	return account.Account{
		App: p.App, Channel: p.Channel, Tariff: p.Tariff, Usage: part, Arrears: arrears, Total: p.Prices.Cost(part).Add(arrears), AccruedTo: to,
	}
}

// Moment is where a bill ends: what was used in all, as far as usage is counted, and the number that its account gets.
type Moment struct {
	Used     usage.Totals
	To       time.Time
	Sequence uint64
}

// Follow ends the bills of all channels before the one at a place: the present one has its part, those between it and the place have none.
func (l Ledger) Follow(payers []Payer, place int, end Moment) Ledger {
	next := Ledger{slices.Clone(l.lines)}
	for i := l.Len(); i < min(place, len(payers)-1); i++ {
		a := next.Now(payers[i], end.Used, end.To)
		a.Final, a.Sequence = true, end.Sequence
		next.lines = append(next.lines, Line{Account: a})
	}
	return next
}

// Closing is what came of a channel: what was claimed on it in all, and the most that its cap can have let be owed.
type Closing struct{ Claimed, Most tariff.Amount }

// Settle fixes the arrears of channels that are closed for good, and moves them to the present one. What was never within the cap is no
// arrears: usage that somebody made up on one channel must not be owed on all that come after it.
func (l Ledger) Settle(present Payer, closed map[channel.ID]Closing) Ledger {
	next := Ledger{slices.Clone(l.lines)}
	for i, line := range next.lines {
		end, ok := closed[line.Account.Channel]
		if line.Arrears != nil || !ok {
			continue
		}
		left, err := line.Account.Total.Min(end.Most).Sub(end.Claimed)
		if err != nil {
			left = tariff.Amount{} // more was claimed: whoever signed that once does not take it back
		}
		next.lines[i].Arrears = &account.Arrears{App: present.App, Channel: line.Account.Channel, On: present.Channel, Amount: left}
	}
	return next
}

// Settled reports whether every channel before the present one is closed and its arrears are known.
func (l Ledger) Settled() bool {
	return !slices.ContainsFunc(l.lines, func(line Line) bool { return line.Arrears == nil })
}
