// SPDX-License-Identifier: Apache-2.0

package channeltest

import (
	"math/big"

	"github.com/apocryph/apocryph/internal/channel"
)

// feasible is how many seconds are gone through one by one.
const feasible = 2048

// Claimable is what a voucher over total would be paid now, and the first second whose cap it leaves. Nothing is paid by a total that
// brings nothing new, and on a channel that is not open or in notice.
func (m *Model) Claimable(id channel.ID, t channel.Terms, total *big.Int) (amount *big.Int, spentUntil uint64) {
	c := m.Channels[id]
	if status := m.Status(id); status != channel.Open && status != channel.Notice {
		return new(big.Int), c.SpentUntil
	}
	wanted := sub(lesser(total, c.Deposited), c.Claimed)
	if wanted.Sign() <= 0 {
		return new(big.Int), c.SpentUntil
	}

	from := c.SpentUntil
	if m.Now > t.Window && m.Now-t.Window > from {
		from = m.Now - t.Window // what is older than the window is lost
	}
	take := leaps
	if m.Now-from <= feasible {
		take = seconds
	}
	amount, until := take(wanted, t.Cap.Big(), from, m.Now)
	if amount.Sign() == 0 {
		return amount, c.SpentUntil
	}
	return amount, until
}

// seconds takes up to what is wanted out of the seconds before now, the oldest first: each gives at most the cap, and is spent whole once
// anything is taken from it.
func seconds(wanted, perSecond *big.Int, from, now uint64) (taken *big.Int, until uint64) {
	taken = new(big.Int)
	for until = from; until < now && taken.Cmp(wanted) < 0; until++ {
		taken = add(taken, lesser(perSecond, sub(wanted, taken)))
	}
	return taken, until
}

// leaps is the same for too many seconds to go through.
func leaps(wanted, perSecond *big.Int, from, now uint64) (taken *big.Int, until uint64) {
	there := new(big.Int).Mul(perSecond, new(big.Int).SetUint64(now-from))
	if there.Cmp(wanted) <= 0 {
		return there, now
	}
	spent, part := new(big.Int).QuoRem(wanted, perSecond, new(big.Int))
	until = from + spent.Uint64()
	if part.Sign() > 0 {
		until++
	}
	return wanted, until
}

// Split divides a total among the payees in their order, and the provider last.
func Split(payees []channel.Payee, total *big.Int) []*big.Int {
	var parts []*big.Int
	left, rest := big.NewInt(1_000_000), total
	for _, p := range payees {
		share := new(big.Int).SetUint64(uint64(p.Share))
		part := new(big.Int).Quo(new(big.Int).Mul(rest, share), left)
		parts = append(parts, part)
		rest, left = sub(rest, part), sub(left, share)
	}
	return append(parts, rest)
}

// book pays what a signed total brings on a channel: it changes the channel and returns what each payee gets, the provider last.
func (a *attempt) book(t channel.Terms, total *big.Int) (amount *big.Int, parts []*big.Int) {
	id := t.ID(a.Domain)
	c := a.Channels[id]
	amount, until := a.Claimable(id, t, total)
	if amount.Sign() == 0 {
		return amount, nil
	}
	before := Split(t.Payees, c.Claimed)
	c.Claimed, c.SpentUntil = add(c.Claimed, amount), until
	a.Channels[id] = c
	a.emit("Claimed %s %s %s", id, amount, c.Claimed)
	for i, part := range Split(t.Payees, c.Claimed) {
		parts = append(parts, sub(part, before[i]))
	}
	return amount, parts
}

// payAll makes the transfers of a payment.
func (a *attempt) payAll(t channel.Terms, parts []*big.Int) {
	for i, part := range parts {
		to := t.Payout
		if i < len(t.Payees) {
			to = t.Payees[i].Account
		}
		a.pay(t.Token, to, part)
	}
}

// shut closes a channel and refunds its publisher.
func (a *attempt) shut(t channel.Terms) {
	id := t.ID(a.Domain)
	c := a.Channels[id]
	c.Closed = true
	a.Channels[id] = c
	refund := sub(c.Deposited, c.Claimed)
	a.emit("Closed %s %s %s", id, c.Claimed, refund)
	a.pay(t.Token, t.Publisher, refund)
}
