// SPDX-License-Identifier: Apache-2.0

package channeltest_test

import (
	"math/big"

	"github.com/ethereum/go-ethereum/common"

	"github.com/apocryph/apocryph/internal/channel"
	"github.com/apocryph/apocryph/internal/channel/channeltest"
	"github.com/apocryph/apocryph/internal/eip712"
)

// call makes up a call and who makes it.
func (k *maker) call() (common.Address, channeltest.Call) {
	t := k.channel()
	anyone := k.who(accountOf("stranger"))
	switch n := k.rng.IntN(100); {
	case n < 18 || len(k.m.Channels) < 4 && chance(k.rng, 2):
		return k.open()
	case n < 26:
		return k.deposit(t)
	case n < 48:
		return anyone, channeltest.Claim(k.item(t, channeltest.Voucher))
	case n < 60:
		return anyone, k.batch()
	case n < 63:
		return anyone, channeltest.ReleaseAt(k.item(t, channeltest.Release))
	case n < 68:
		return k.who(t.Publisher), channeltest.Notice{Terms: t}
	case n < 73:
		return k.who(t.Publisher), channeltest.Withdraw{Terms: t}
	case n < 75:
		return k.who(t.Payout), channeltest.Close{Terms: t}
	case n < 82:
		return k.withdrawCredit()
	case n < 88 && len(k.past) > 0:
		return anyone, k.past[k.rng.IntN(len(k.past))]
	}
	return k.around()
}

// open opens one of the run's channels, rather one that is not open.
func (k *maker) open() (common.Address, channeltest.Call) {
	t := k.terms[k.rng.IntN(len(k.terms))]
	for tries := 6; tries > 0 && !chance(k.rng, 8) && k.m.Status(t.ID(k.m.Domain)) != channel.None; tries-- {
		t = k.terms[k.rng.IntN(goodTerms)]
	}
	n := k.deposited(new(big.Int))
	switch k.rng.IntN(4) {
	case 0:
		return k.who(t.Publisher), channeltest.Open{Terms: t, Amount: n, WithPermit: true, Permit: k.permit(t.Token, t.Publisher, n)}
	case 1:
		until := pick(k.rng, plus(number(k.m.Now), -1), number(k.m.Now), plus(number(k.m.Now), hour), plus(number(k.m.Now), hour), plus(power(256), -1))
		call := channeltest.OpenFor{Terms: t, Amount: n, Deadline: until, Signature: k.signature(t.Publisher, channeltest.Opening, t, n, until)}
		if chance(k.rng, 2) {
			call.Permit = k.permit(t.Token, t.Publisher, n)
		}
		return k.who(accountOf("stranger")), call
	}
	return k.who(t.Publisher), channeltest.Open{Terms: t, Amount: n}
}

func (k *maker) deposit(t channel.Terms) (common.Address, channeltest.Call) {
	n := k.deposited(k.m.Channels[t.ID(k.m.Domain)].Deposited)
	from := k.who(pick(k.rng, t.Publisher, accountOf("stranger"), k.wallet))
	if chance(k.rng, 2) {
		return from, channeltest.Deposit{Terms: t, Amount: n, WithPermit: true, Permit: k.permit(t.Token, from, n)}
	}
	return from, channeltest.Deposit{Terms: t, Amount: n}
}

// deposited is an amount to put to what is there already.
func (k *maker) deposited(there *big.Int) *big.Int {
	if there == nil {
		there = new(big.Int)
	}
	room := new(big.Int).Sub(plus(power(88), -1), there)
	switch k.rng.IntN(12) {
	case 0:
		return new(big.Int)
	case 1:
		return room
	case 2:
		return pick(k.rng, plus(room, 1), power(88), plus(power(88), 5), plus(power(256), -1))
	case 3:
		return big.NewInt(1)
	}
	return big.NewInt(1 + k.rng.Int64N(pick(k.rng, int64(10_000), 10_000_000, 1<<50)))
}

// total is what is signed for a channel.
func (k *maker) total(t channel.Terms) *big.Int {
	c, found := k.m.Channels[t.ID(k.m.Domain)]
	if !found {
		return big.NewInt(k.rng.Int64N(1000))
	}
	within, _ := k.m.Claimable(t.ID(k.m.Domain), t, power(100))
	limit := new(big.Int).Add(c.Claimed, within)
	switch k.rng.IntN(10) {
	case 0:
		return plus(c.Claimed, pick(k.rng, int64(-1), 0, 1))
	case 1:
		return plus(c.Deposited, pick(k.rng, int64(-1), 0, 1))
	case 2:
		return plus(limit, pick(k.rng, int64(-1), 0, 1))
	case 3:
		return pick(k.rng, power(88), plus(power(88), -1), plus(power(256), -1), new(big.Int), power(89))
	case 4:
		return plus(new(big.Int).Add(c.Claimed, t.Cap.Big()), pick(k.rng, int64(-1), 0, 1))
	case 5:
		return plus(c.Claimed, k.rng.Int64N(100_000))
	}
	part := new(big.Int).Mul(within, big.NewInt(k.rng.Int64N(1001)))
	return new(big.Int).Add(c.Claimed, part.Quo(part, big.NewInt(1000)))
}

func (k *maker) item(t channel.Terms, kind channeltest.Kind) channeltest.Item {
	if chance(k.rng, 25) {
		t = k.terms[k.rng.IntN(len(k.terms))] // also those that can't be open
	}
	total := k.total(t)
	return channeltest.Item{Terms: t, Total: total, Signature: k.signature(t.Signer, kind, t, total, nil)}
}

// batch claims on channels of one payment, on some of them twice.
func (k *maker) batch() channeltest.Call {
	t := k.channel()
	b := channeltest.ClaimBatch{Payment: t}
	var same []channel.Terms
	for _, other := range k.terms {
		// Mostly those that were opened: the others only show that they are skipped.
		if other.PaymentHash() == t.PaymentHash() && (k.m.Status(other.ID(k.m.Domain)) != channel.None || chance(k.rng, 6)) {
			same = append(same, other)
		}
	}
	if len(same) == 0 {
		same = append(same, t)
	}
	for range k.rng.IntN(7) {
		if len(b.Items) > 0 && chance(k.rng, 6) {
			b.Items = append(b.Items, b.Items[k.rng.IntN(len(b.Items))])
			continue
		}
		item := same[k.rng.IntN(len(same))]
		total := k.total(item)
		b.Items = append(b.Items, channeltest.Item{Terms: item, Total: total, Signature: k.signature(item.Signer, channeltest.Voucher, item, total, nil)})
	}
	return b
}

// keyFor is whose key signs for an account.
func (k *maker) keyFor(account common.Address) common.Address {
	if account == k.wallet {
		return k.m.Wallets[k.wallet].Owner
	}
	if k.keys[account] == nil {
		return accountOf("stranger") // nobody has a key for it
	}
	return account
}

// signature is a good one, or now and then one that is wrong in one way.
func (k *maker) signature(by common.Address, kind channeltest.Kind, t channel.Terms, n, deadline *big.Int) channeltest.Signature {
	s := channeltest.Signature{By: k.keyFor(by), Over: channeltest.Message{Kind: kind, Channel: t.ID(k.m.Domain), Amount: n.String(), Domain: k.m.Domain}}
	if deadline != nil {
		s.Over.Deadline = deadline.String()
	}
	if !chance(k.rng, 6) {
		return s
	}
	switch k.rng.IntN(8) {
	case 0:
		s.By = pick(k.rng, accountOf("stranger"), accountOf("enclave2"), t.Publisher, t.Payout)
		s.By = k.keyFor(s.By)
	case 1:
		s.Over.Channel = k.terms[k.rng.IntN(len(k.terms))].ID(k.m.Domain)
	case 2:
		s.Over.Amount = pick(k.rng, new(big.Int).Xor(n, big.NewInt(1)), plus(n, -1), new(big.Int)).String()
	case 3:
		s.Over.Domain.ChainID++
	case 4:
		s.Over.Domain = eip712.Domain{ChainID: chainID, Contract: k.coin}
	case 5:
		if kind != channeltest.Opening {
			s.Over.Kind = pick(k.rng, channeltest.Voucher, channeltest.Release)
		} else {
			s.Over.Deadline = plus(deadline, -1).String()
		}
	default:
		s.Flaw = channeltest.Flaw(1 + k.rng.IntN(int(channeltest.Flaws)-1))
	}
	return s
}

// permit is a good one, or now and then one that is wrong in one way.
func (k *maker) permit(token, owner common.Address, n *big.Int) channeltest.Permit {
	p := channeltest.Permit{By: k.keyFor(owner), Owner: owner, Spender: k.channels, Value: n, Deadline: k.m.Now + hour}
	if books := k.m.Tokens[token]; books != nil {
		p.Nonce = books.Nonces[owner]
	}
	switch k.rng.IntN(20) {
	case 0:
		p.By = accountOf("stranger")
	case 1:
		p.Spender = accountOf("stranger")
	case 2:
		p.Value = new(big.Int).Xor(n, big.NewInt(1))
	case 3:
		p.Nonce++
	case 4:
		p.Deadline = k.m.Now - uint64(k.rng.IntN(2))
	case 5:
		p.Flaw = pick(k.rng, channeltest.HighS, channeltest.LowV, channeltest.Flipped)
	case 6:
		p.Deadline = 0
	}
	return p
}

// withdrawCredit is rather of one who has a credit.
func (k *maker) withdrawCredit() (common.Address, channeltest.Call) {
	token, from := pick(k.rng, k.tokens()...), k.who(accountOf("provider"))
	for _, a := range k.tokens() {
		for _, account := range k.accounts()[1:] {
			if k.m.Credit(channeltest.Holding{Token: a, Account: account}).Sign() > 0 && chance(k.rng, 2) {
				token, from = a, account
			}
		}
	}
	if k.m.Credit(channeltest.Holding{Token: token, Account: from}).Sign() == 0 && !chance(k.rng, 5) {
		return k.around()
	}
	to := pick(k.rng, from, from, accountOf("stranger"), accountOf("payee"), common.Address{}, k.channels)
	return from, channeltest.WithdrawCredit{Token: token, To: to}
}

// around is what happens around the contract.
func (k *maker) around() (common.Address, channeltest.Call) {
	token, odd := pick(k.rng, k.tokens()...), pick(k.rng, k.gold, k.mud)
	from := k.who(pick(k.rng, accountOf("publisher"), accountOf("publisher2"), k.wallet))
	stranger := accountOf("stranger")
	switch k.rng.IntN(12) {
	case 0:
		return stranger, channeltest.Mint{Token: token, Account: from, Amount: power(uint(10 + k.rng.IntN(90)))}
	case 1, 2:
		return from, channeltest.Approve{Token: token, Amount: pick(k.rng, new(big.Int), big.NewInt(50_000), power(88), plus(power(256), -1))}
	case 3:
		return stranger, channeltest.UsePermit{Token: k.coin, Permit: k.permit(k.coin, from, k.deposited(nil))}
	case 4:
		has := k.m.Tokens[k.mud].Balance(k.channels)
		who := pick(k.rng, k.channels, from)
		return stranger, channeltest.Burn{Token: k.mud, Account: who, Amount: new(big.Int).Rsh(has, uint(k.rng.IntN(4)))}
	case 5:
		return stranger, channeltest.SetHabits{Token: k.mud, Which: "fee", Fee: pick(k.rng, uint64(0), 10_000, 999_999)}
	case 6, 7:
		return stranger, channeltest.SetHabits{Token: odd, Which: "answer", Answer: pick(k.rng, channeltest.Yes, channeltest.Yes, channeltest.Nothing, channeltest.No)}
	case 8:
		return stranger, channeltest.Lock{Wallet: k.wallet, Locked: chance(k.rng, 2)}
	}
	return stranger, channeltest.SetHabits{Token: odd, Which: "blocked", Account: pick(k.rng, k.accounts()...), Blocked: chance(k.rng, 2)}
}
