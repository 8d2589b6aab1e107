// SPDX-License-Identifier: Apache-2.0

// Package channeltest is the Channels contract and the tokens around it as plain data: a reference to hold the contract against.
//
// It is written from docs/protocol/channels.md, not from the contract, with big integers and the plainest arithmetic there is, second by
// second where that is feasible. It shares with internal/channel the names of the terms and the id, which vectors check, and nothing of
// what a claim pays. Signatures are not bytes here but facts: who signed what, and what is wrong with it.
//
// A call that has several reasons to be refused may be refused with any of them, because the page promises no order among checks. What the
// model adds to the page is the order of transfers within one call (the refund, the payees in turn, the provider last): it matters when a
// token has taken back so much that not everybody can be paid.
package channeltest

import (
	"fmt"
	"maps"
	"math/big"
	"slices"

	"github.com/ethereum/go-ethereum/common"

	"github.com/apocryph/apocryph/internal/channel"
	"github.com/apocryph/apocryph/internal/eip712"
)

// Channel is what the contract remembers of one channel.
type Channel struct {
	// Deposited is all that was ever put in, Claimed all that was ever paid out to provider and payees.
	Deposited, Claimed *big.Int
	// SpentUntil is the first second whose cap is not used up.
	SpentUntil uint64
	// NoticeEnd is when the notice ends; 0 before notice.
	NoticeEnd uint64
	// Closed is for ever.
	Closed bool
}

// Holding is what an account has of a token, or may have.
type Holding struct{ Token, Account common.Address }

// Wallet is an ERC-1271 account: it accepts what its owner's key signs, until it is locked.
type Wallet struct {
	Owner  common.Address
	Locked bool
}

// Model is the whole of the contract's world.
type Model struct {
	// Domain is that of signatures; its contract is the account that holds the deposits.
	Domain eip712.Domain
	// Now is the unix time of the block that the next call is in.
	Now      uint64
	Channels map[channel.ID]Channel
	Credits  map[Holding]*big.Int
	Tokens   map[common.Address]*Token
	Wallets  map[common.Address]Wallet
}

// New returns a world without channels, tokens or wallets.
func New(domain eip712.Domain) *Model {
	return &Model{
		Domain: domain, Channels: map[channel.ID]Channel{}, Credits: map[Holding]*big.Int{},
		Tokens: map[common.Address]*Token{}, Wallets: map[common.Address]Wallet{},
	}
}

// Event is what a call reports. Where the contract may choose among reasons, any of Reasons completes Text.
type Event struct {
	Text    string
	Reasons []string
}

// Outcome is what a call does: either it is refused, with any one of Refusals, or it pays and reports.
type Outcome struct {
	Refusals []string
	Events   []Event
	// Paid is what claims were paid and what a credit was worth, in their order.
	Paid []*big.Int
}

// Call is a transaction to the contract, to a token or to a wallet.
type Call interface {
	fmt.Stringer
	do(*attempt)
}

// Do makes a call at Now. A refused call changes nothing.
func (m *Model) Do(caller common.Address, c Call) Outcome {
	a := &attempt{Model: m.clone(), caller: caller}
	c.do(a)
	if len(a.refusals) > 0 {
		slices.Sort(a.refusals)
		return Outcome{Refusals: slices.Compact(a.refusals)}
	}
	*m = *a.Model
	return Outcome{Events: a.events, Paid: a.paid}
}

// clone copies what calls change. Big integers are never changed in place, so they can be shared.
func (m *Model) clone() *Model {
	c := *m
	c.Channels, c.Credits, c.Wallets = maps.Clone(m.Channels), maps.Clone(m.Credits), maps.Clone(m.Wallets)
	c.Tokens = make(map[common.Address]*Token, len(m.Tokens))
	for address, t := range m.Tokens {
		c.Tokens[address] = t.clone()
	}
	return &c
}

// Status is where a channel is in its life.
func (m *Model) Status(id channel.ID) channel.Status {
	c, found := m.Channels[id]
	switch {
	case !found:
		return channel.None
	case c.Closed:
		return channel.Closed
	case c.NoticeEnd == 0:
		return channel.Open
	case m.Now < c.NoticeEnd:
		return channel.Notice
	}
	return channel.Ended
}

// Credit is what failed transfers left for an account.
func (m *Model) Credit(h Holding) *big.Int { return orZero(m.Credits[h]) }

// attempt is a call on its way: it works on a copy of the world that is kept if nothing refuses it.
type attempt struct {
	*Model
	caller   common.Address
	refusals []string
	events   []Event
	paid     []*big.Int
}

// refuseIf notes a reason.
func (a *attempt) refuseIf(refused bool, reason string) {
	if refused {
		a.refusals = append(a.refusals, reason)
	}
}

func (a *attempt) refused() bool { return len(a.refusals) > 0 }

func (a *attempt) emit(format string, args ...any) {
	a.events = append(a.events, Event{Text: fmt.Sprintf(format, args...)})
}

// pull moves a deposit to the contract.
func (a *attempt) pull(token, from common.Address, amount *big.Int) {
	a.refusals = append(a.refusals, a.transferFrom(token, from, amount)...)
}

// pay moves money out of the contract; what the token refuses becomes a credit.
func (a *attempt) pay(token, to common.Address, amount *big.Int) {
	if amount.Sign() == 0 || a.transfer(token, a.Domain.Contract, to, amount) == nil {
		return
	}
	h := Holding{token, to}
	a.Credits[h] = add(a.Credit(h), amount)
	a.emit("Credited %s %s %s", token, to, amount)
}

// live refuses what has no meaning on a channel that was never opened or is closed.
func (a *attempt) live(id channel.ID) channel.Status {
	status := a.Status(id)
	a.refuseIf(status == channel.None, "NotOpened")
	a.refuseIf(status == channel.Closed, "AlreadyClosed")
	return status
}

func orZero(n *big.Int) *big.Int {
	if n == nil {
		return new(big.Int)
	}
	return n
}

func add(a, b *big.Int) *big.Int { return new(big.Int).Add(a, b) }
func sub(a, b *big.Int) *big.Int { return new(big.Int).Sub(a, b) }

func lesser(a, b *big.Int) *big.Int {
	if a.Cmp(b) < 0 {
		return a
	}
	return b
}
