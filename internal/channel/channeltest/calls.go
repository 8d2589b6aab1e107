// SPDX-License-Identifier: Apache-2.0

package channeltest

import (
	"fmt"
	"math/big"

	"github.com/ethereum/go-ethereum/common"

	"github.com/apocryph/apocryph/internal/channel"
)

// Open is open, and openWithPermit if WithPermit.
type Open struct {
	Terms      channel.Terms
	Amount     *big.Int
	WithPermit bool
	Permit     Permit
}

func (c Open) do(a *attempt) {
	a.refuseIf(a.caller != c.Terms.Publisher, "NotPublisher")
	if c.WithPermit {
		a.usePermit(c.Terms.Token, c.Terms.Publisher, c.Amount, c.Permit)
	}
	a.open(c.Terms, c.Amount)
}

// OpenFor is openFor.
type OpenFor struct {
	Terms     channel.Terms
	Amount    *big.Int
	Deadline  *big.Int
	Signature Signature
	Permit    Permit
}

func (c OpenFor) do(a *attempt) {
	a.refuseIf(new(big.Int).SetUint64(a.Now).Cmp(c.Deadline) > 0, "Expired")
	a.refuseIf(!a.signed(c.Terms.Publisher, c.Signature, Opening, c.Terms.ID(a.Domain), c.Amount, c.Deadline), "BadSignature")
	if c.Permit.Deadline != 0 {
		a.usePermit(c.Terms.Token, c.Terms.Publisher, c.Amount, c.Permit)
	}
	a.open(c.Terms, c.Amount)
}

// usePermit uses a permit if it is good. Where there is no contract at all, calling it is refused without a word.
func (a *attempt) usePermit(token, owner common.Address, amount *big.Int, p Permit) {
	a.permit(token, owner, amount, p)
	_, found := a.Tokens[token]
	a.refuseIf(!found, "")
}

// open is what the ways to open have in common.
func (a *attempt) open(t channel.Terms, amount *big.Int) {
	id := t.ID(a.Domain)
	a.checkTerms(t)
	a.refuseIf(amount.Sign() == 0, "ZeroAmount")
	a.refuseIf(amount.BitLen() > 88, "AmountTooLarge")
	a.refuseIf(a.Status(id) != channel.None, "AlreadyOpened")
	a.pull(t.Token, t.Publisher, amount)
	if a.refused() {
		return
	}
	a.Channels[id] = Channel{Deposited: amount, Claimed: new(big.Int), SpentUntil: a.Now}
	a.emit("Opened %s %s %s %s", id, t.Publisher, t.Payout, amount)
}

func (a *attempt) checkTerms(t channel.Terms) {
	const hour, days = 3600, 24 * 3600
	none := common.Address{}
	a.refuseIf(t.Payout == none || t.Signer == none, "ZeroAddress")
	a.refuseIf(t.Cap.IsZero() || t.Window == 0, "ZeroRate")
	a.refuseIf(t.Notice < 1*hour || t.Notice > 30*days, "NoticeOutOfBounds")
	a.refuseIf(len(t.Payees) > 8, "BadShares")
	whole := 0
	for _, p := range t.Payees {
		a.refuseIf(p.Account == none, "ZeroAddress")
		a.refuseIf(p.Share == 0, "BadShares")
		whole += int(p.Share)
	}
	a.refuseIf(whole > 1_000_000, "BadShares")
}

// Deposit is deposit, and depositWithPermit if WithPermit.
type Deposit struct {
	Terms      channel.Terms
	Amount     *big.Int
	WithPermit bool
	Permit     Permit
}

func (c Deposit) do(a *attempt) {
	if c.WithPermit {
		a.usePermit(c.Terms.Token, a.caller, c.Amount, c.Permit)
	}
	id := c.Terms.ID(a.Domain)
	status := a.live(id)
	a.refuseIf(status == channel.Ended, "NoticeEnded")
	a.refuseIf(c.Amount.Sign() == 0, "ZeroAmount")
	found := a.Channels[id]
	deposited := add(orZero(found.Deposited), c.Amount)
	a.refuseIf(deposited.BitLen() > 88, "AmountTooLarge")
	a.pull(c.Terms.Token, a.caller, c.Amount)
	if a.refused() {
		return
	}
	found.Deposited = deposited
	a.Channels[id] = found
	a.emit("Deposited %s %s %s", id, a.caller, c.Amount)
}

// Item is a voucher and the terms of the channel that it is for.
type Item struct {
	Terms     channel.Terms
	Total     *big.Int
	Signature Signature
}

// reasons are those not to claim.
func (a *attempt) reasons(c Item) []string {
	id := c.Terms.ID(a.Domain)
	b := attempt{Model: a.Model}
	b.live(id)
	amount, _ := a.Claimable(id, c.Terms, c.Total)
	b.refuseIf(!b.refused() && amount.Sign() == 0, "NothingToClaim")
	b.refuseIf(!a.signed(c.Terms.Signer, c.Signature, Voucher, id, c.Total, nil), "BadSignature")
	return b.refusals
}

// Claim is claim.
type Claim Item

func (c Claim) do(a *attempt) {
	if a.refusals = a.reasons(Item(c)); a.refused() {
		return
	}
	amount, parts := a.book(c.Terms, c.Total)
	a.paid = append(a.paid, amount)
	a.payAll(c.Terms, parts)
}

// ClaimBatch is claimBatch; its items' terms have the same payment as Payment.
type ClaimBatch struct {
	Payment channel.Terms
	Items   []Item
}

func (c ClaimBatch) do(a *attempt) {
	sums := Split(c.Payment.Payees, new(big.Int))
	for _, item := range c.Items {
		if reasons := a.reasons(item); len(reasons) > 0 {
			a.events = append(a.events, Event{Text: fmt.Sprintf("ClaimSkipped %s", item.Terms.ID(a.Domain)), Reasons: reasons})
			a.paid = append(a.paid, new(big.Int))
			continue
		}
		amount, parts := a.book(item.Terms, item.Total)
		a.paid = append(a.paid, amount)
		for i, part := range parts {
			sums[i] = add(sums[i], part)
		}
	}
	a.payAll(c.Payment, sums)
}

// ReleaseAt is release.
type ReleaseAt Item

func (c ReleaseAt) do(a *attempt) {
	id := c.Terms.ID(a.Domain)
	a.live(id)
	a.refuseIf(!a.signed(c.Terms.Signer, c.Signature, Release, id, c.Total, nil), "BadSignature")
	if a.refused() {
		return
	}
	_, parts := a.book(c.Terms, c.Total)
	a.shut(c.Terms)
	a.payAll(c.Terms, parts)
}

// Notice is notice.
type Notice struct{ Terms channel.Terms }

func (c Notice) do(a *attempt) {
	id := c.Terms.ID(a.Domain)
	status := a.live(id)
	a.refuseIf(a.caller != c.Terms.Publisher, "NotPublisher")
	a.refuseIf(status == channel.Notice || status == channel.Ended, "AlreadyNoticed")
	if a.refused() {
		return
	}
	found := a.Channels[id]
	found.NoticeEnd = a.Now + c.Terms.Notice
	a.Channels[id] = found
	a.emit("NoticeGiven %s %d", id, found.NoticeEnd)
}

// Withdraw is withdraw.
type Withdraw struct{ Terms channel.Terms }

func (c Withdraw) do(a *attempt) {
	status := a.live(c.Terms.ID(a.Domain))
	a.refuseIf(a.caller != c.Terms.Publisher, "NotPublisher")
	a.refuseIf(status == channel.Open || status == channel.Notice, "NoticeNotEnded")
	if !a.refused() {
		a.shut(c.Terms)
	}
}

// Close is close.
type Close struct{ Terms channel.Terms }

func (c Close) do(a *attempt) {
	a.live(c.Terms.ID(a.Domain))
	a.refuseIf(a.caller != c.Terms.Payout, "NotPayout")
	if !a.refused() {
		a.shut(c.Terms)
	}
}

// WithdrawCredit is withdrawCredit.
type WithdrawCredit struct{ Token, To common.Address }

func (c WithdrawCredit) do(a *attempt) {
	h := Holding{c.Token, a.caller}
	amount := a.Credit(h)
	if amount.Sign() == 0 {
		a.refuseIf(true, "NoCredit")
		return
	}
	a.refusals = a.transfer(c.Token, a.Domain.Contract, c.To, amount)
	delete(a.Credits, h)
	a.emit("CreditWithdrawn %s %s %s %s", c.Token, a.caller, c.To, amount)
	a.paid = append(a.paid, amount)
}
