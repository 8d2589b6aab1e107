// SPDX-License-Identifier: Apache-2.0

package channeltest_test

import (
	"math/big"
	"math/rand/v2"

	"github.com/ethereum/go-ethereum/common"

	"github.com/apocryph/apocryph/internal/channel"
	"github.com/apocryph/apocryph/internal/channel/channeltest"
	"github.com/apocryph/apocryph/internal/tariff"
)

const (
	goodTerms = 10 // of a run's terms, those that a channel can be opened on
	hour      = 3600
	day       = 24 * hour
)

func pick[T any](rng *rand.Rand, of ...T) T { return of[rng.IntN(len(of))] }

// chance is true once in n times.
func chance(rng *rand.Rand, n int) bool { return rng.IntN(n) == 0 }

func power(bits uint) *big.Int { return new(big.Int).Lsh(big.NewInt(1), bits) }

func plus(n *big.Int, d int64) *big.Int {
	sum := new(big.Int).Add(n, big.NewInt(d))
	if sum.Sign() < 0 {
		return new(big.Int)
	}
	return sum
}

// someTerms are those of a run: several channels to a payment, and some that are refused.
func someTerms(rng *rand.Rand, w *world) []channel.Terms {
	var payments []channel.Terms
	for range 4 {
		payments = append(payments, channel.Terms{
			Token:  pick(rng, w.coin, w.coin, w.gold, w.gold, w.mud),
			Payout: pick(rng, accountOf("provider"), accountOf("provider"), accountOf("provider2"), w.wallet),
			Signer: pick(rng, accountOf("enclave"), accountOf("enclave"), accountOf("enclave2"), w.wallet, w.coin),
			Payees: somePayees(rng, w),
		})
	}
	var all []channel.Terms
	for i := range goodTerms + 6 {
		t := payments[rng.IntN(len(payments))]
		t.Publisher = pick(rng, accountOf("publisher"), accountOf("publisher"), accountOf("publisher2"), w.wallet)
		t.App, t.Tariff, t.Quote = [32]byte{1}, [32]byte{2}, [32]byte{3}
		t.Cap = amount(pick(rng, big.NewInt(1), big.NewInt(7), big.NewInt(1000), big.NewInt(1000), big.NewInt(1_000_000), power(40), power(70), plus(power(88), -1)))
		t.Window = pick(rng, uint64(1), 10, 600, hour, day, 40*day, 1<<40-1)
		t.Notice = pick(rng, uint64(hour), hour, hour+1, day, 30*day)
		t.Salt = [32]byte{31: byte(i)}
		if i >= goodTerms {
			spoil(rng, w, &t)
		}
		all = append(all, t)
	}
	return all
}

func somePayees(rng *rand.Rand, w *world) []channel.Payee {
	a, b := accountOf("payee"), accountOf("payee2")
	return pick(rng,
		nil,
		nil,
		[]channel.Payee{{Account: a, Share: 250_000}},
		[]channel.Payee{{Account: a, Share: 1_000_000}},
		[]channel.Payee{{Account: a, Share: 500_000}, {Account: b, Share: 500_000}},
		[]channel.Payee{{Account: a, Share: 1}, {Account: b, Share: 333_333}, {Account: a, Share: 333_333}},
		[]channel.Payee{{Account: w.channels, Share: 100_000}, {Account: b, Share: 142_857}, {Account: w.wallet, Share: 7}},
		[]channel.Payee{
			{Account: a, Share: 125_000}, {Account: b, Share: 125_000}, {Account: a, Share: 125_000}, {Account: b, Share: 125_000},
			{Account: a, Share: 125_000}, {Account: b, Share: 125_000}, {Account: a, Share: 125_000}, {Account: b, Share: 125_000},
		})
}

// spoil makes terms that are refused, mostly in one way.
func spoil(rng *rand.Rand, w *world, t *channel.Terms) {
	a := accountOf("payee")
	switch rng.IntN(12) {
	case 0:
		t.Payout = common.Address{}
	case 1:
		t.Signer = common.Address{}
	case 2:
		t.Cap = tariff.Amount{}
	case 3:
		t.Window = 0
	case 4:
		t.Notice = pick(rng, uint64(0), hour-1)
	case 5:
		t.Notice = 30*day + 1
	case 6:
		t.Payees = []channel.Payee{{Account: a, Share: 1_000_000}, {Account: a, Share: 1}}
	case 7:
		t.Payees = []channel.Payee{{Account: a}}
	case 8:
		t.Payees = []channel.Payee{{Share: 1}}
	case 9:
		t.Payees = nil
		for range 9 {
			t.Payees = append(t.Payees, channel.Payee{Account: a, Share: 1})
		}
	case 10:
		t.Payees = []channel.Payee{{Account: a, Share: 1<<32 - 1}, {Account: a, Share: 1_000_001}} // a sum that would fit if it wrapped
	default:
		t.Token = w.nowhere
	}
}

// maker makes up the steps of a run, looking at the model so that they matter.
type maker struct {
	*run
	rng *rand.Rand
	// least is the least time between steps: a chain of blocks has a second.
	least uint64
	// edge is the channel on whose edge the step is, or -1: what happens there is rather about that channel.
	edge int
	// past is every signed thing so far, to be tried again.
	past []channeltest.Call
}

// opening gives everybody money and rights.
func (k *maker) opening() []step {
	var steps []step
	at := uint64(start)
	next := func(from common.Address, c channeltest.Call) {
		at += k.least
		steps = append(steps, step{at, from, c})
	}
	for _, token := range k.tokens() {
		for _, who := range []common.Address{accountOf("publisher"), accountOf("publisher2"), accountOf("stranger"), k.wallet} {
			next(accountOf("stranger"), channeltest.Mint{Token: token, Account: who, Amount: power(90)})
			next(who, channeltest.Approve{Token: token, Amount: pick(k.rng, plus(power(255), 0), plus(new(big.Int).Lsh(power(255), 1), -1), big.NewInt(100_000))})
		}
	}
	return steps
}

// next makes up one step.
func (k *maker) next() step {
	s := step{at: k.time()}
	k.m.Now = s.at
	s.from, s.call = k.call()
	switch s.call.(type) {
	case channeltest.Claim, channeltest.ReleaseAt, channeltest.OpenFor, channeltest.ClaimBatch, channeltest.UsePermit:
		k.past = append(k.past, s.call)
	}
	return s
}

// time is when the next step happens: often at once, often on the edge of something.
func (k *maker) time() uint64 {
	now := k.m.Now
	at := now
	k.edge = -1
	switch k.rng.IntN(10) {
	case 0, 1, 2:
		at += pick(k.rng, uint64(0), 0, 1, 2, 10)
	case 3, 4:
		at += k.rng.Uint64N(2 * hour)
	case 5:
		at += k.rng.Uint64N(2 * day)
	case 6:
		if chance(k.rng, 8) {
			at += k.rng.Uint64N(50 * day)
		}
	default:
		i := k.index()
		t, c := k.terms[i], k.m.Channels[k.ids[i]]
		k.edge = i
		edges := []uint64{c.SpentUntil + t.Window, c.SpentUntil, c.NoticeEnd}
		if c.NoticeEnd != 0 {
			edges = append(edges, c.NoticeEnd, c.NoticeEnd)
		}
		at = pick(k.rng, edges...) + pick(k.rng, uint64(0), 1, 2) - 1
	}
	if at < now+k.least || at > now+100*day {
		at = now + k.least
	}
	return at
}

// index is one of the run's channels, mostly one that lives.
func (k *maker) index() int {
	if k.edge >= 0 && !chance(k.rng, 4) {
		return k.edge
	}
	var live []int
	for i := range goodTerms {
		if status := k.m.Status(k.ids[i]); status != channel.None && status != channel.Closed {
			live = append(live, i)
		}
	}
	if len(live) > 0 && !chance(k.rng, 12) {
		return live[k.rng.IntN(len(live))]
	}
	return k.rng.IntN(goodTerms)
}

func (k *maker) channel() channel.Terms { return k.terms[k.index()] }

// who is this account, or now and then another one.
func (k *maker) who(right common.Address) common.Address {
	if chance(k.rng, 8) || k.keys[right] == nil && right != k.wallet {
		return k.accounts()[1+k.rng.IntN(len(k.accounts())-1)] // all but the contract
	}
	return right
}
