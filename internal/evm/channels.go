// SPDX-License-Identifier: Apache-2.0

package evm

import (
	"context"
	"errors"
	"fmt"
	"math/big"

	"github.com/ethereum/go-ethereum/common"

	"github.com/apocryph/apocryph/internal/channel"
	"github.com/apocryph/apocryph/internal/gen/channels"
	"github.com/apocryph/apocryph/internal/tariff"
)

// Open opens a channel with a first deposit by the wallet, which must be the publisher. If the contract's allowance is short, the
// wallet first approves exactly the amount. It returns ErrInsufficientFunds before anything is sent.
func (w *Wallet) Open(ctx context.Context, t channel.Terms, amount tariff.Amount) (Receipt, error) {
	if err := t.Validate(); err != nil {
		return Receipt{}, err
	}
	return w.pay(ctx, "opening", t, amount, w.channels.PackOpen(terms(t), amount.Big()))
}

// Deposit adds to a channel, whoever's it is, approving as Open does.
func (w *Wallet) Deposit(ctx context.Context, t channel.Terms, amount tariff.Amount) (Receipt, error) {
	return w.pay(ctx, "depositing in", t, amount, w.channels.PackDeposit(terms(t), amount.Big()))
}

// Notice starts the publisher's way out.
func (w *Wallet) Notice(ctx context.Context, t channel.Terms) (Receipt, error) {
	return w.act(ctx, "giving notice on", t, w.channels.PackNotice(terms(t)))
}

// Withdraw closes the publisher's channel after its notice and refunds the rest.
func (w *Wallet) Withdraw(ctx context.Context, t channel.Terms) (Receipt, error) {
	return w.act(ctx, "withdrawing from", t, w.channels.PackWithdraw(terms(t)))
}

// Close closes a channel at what was claimed. The wallet must be its payout address.
func (w *Wallet) Close(ctx context.Context, t channel.Terms) (Receipt, error) {
	return w.act(ctx, "closing", t, w.channels.PackClose(terms(t)))
}

// Claim is a signed voucher and the terms of its channel.
type Claim struct {
	Terms     channel.Terms
	Total     tariff.Amount
	Signature []byte
}

// Claim claims a voucher; Receipt.Claimed says what it paid, which may be less than asked. It returns ErrNothingToClaim, at no cost, if
// it would pay nothing now.
func (w *Wallet) Claim(ctx context.Context, c Claim) (Receipt, error) {
	return w.act(ctx, "claiming on", c.Terms, w.channels.PackClaim(payment(c.Terms), claim(c)))
}

// ClaimBatch claims several vouchers, in one transaction for all channels that pay the same parties in the same token. Those that would
// be refused alone are skipped, and appear as ClaimSkipped. If a transaction fails, the others are sent all the same, and the receipts of
// those that took effect are returned with the error; only one that is still under way keeps those behind it.
func (w *Wallet) ClaimBatch(ctx context.Context, claims []Claim) ([]Receipt, error) {
	type group struct {
		payment channels.Payment
		items   []channels.Claim
	}
	var groups []*group
	index := map[common.Hash]*group{}
	for _, c := range claims {
		key := c.Terms.PaymentHash()
		if index[key] == nil {
			index[key] = &group{payment: payment(c.Terms)}
			groups = append(groups, index[key])
		}
		index[key].items = append(index[key].items, claim(c))
	}
	var out []Receipt
	var errs []error
	for _, g := range groups {
		r, err := w.Send(ctx, Call{To: &w.cfg.Channels, Data: w.channels.PackClaimBatch(g.payment, g.items)})
		if err == nil {
			out = append(out, r)
			continue
		}
		errs = append(errs, fmt.Errorf("claiming on %d channels: %w", len(g.items), err))
		if errors.Is(err, ErrNotMined) || ctx.Err() != nil {
			break
		}
	}
	return out, errors.Join(errs...)
}

// Release pays the signer's final total, closes the channel and refunds its publisher.
func (w *Wallet) Release(ctx context.Context, c Claim) (Receipt, error) {
	return w.act(ctx, "releasing", c.Terms, w.channels.PackRelease(terms(c.Terms), c.Total.Big(), c.Signature))
}

// WithdrawCredit sends what failed transfers left for the wallet to an account.
func (w *Wallet) WithdrawCredit(ctx context.Context, tok, to common.Address) (Receipt, error) {
	r, err := w.Send(ctx, Call{To: &w.cfg.Channels, Data: w.channels.PackWithdrawCredit(tok, to)})
	if err != nil {
		return r, fmt.Errorf("withdrawing credit: %w", err)
	}
	return r, nil
}

// pay sends a call that takes amount, and sees to it before that the contract may take it. If it was sent by an earlier run, that run
// has used up the allowance and perhaps the balance: then neither is looked at, and nothing is approved that would hide it.
func (w *Wallet) pay(ctx context.Context, doing string, t channel.Terms, amount tariff.Amount, data []byte) (Receipt, error) {
	sent, err := w.underWay(ctx, Call{To: &w.cfg.Channels, Data: data})
	if err == nil && !sent {
		err = w.allow(ctx, t.Token, amount)
	}
	if err != nil {
		return Receipt{}, fmt.Errorf("%s channel %s: %w", doing, t.ID(w.Domain()), err)
	}
	return w.act(ctx, doing, t, data)
}

// act sends a call to the contract about one channel.
func (w *Wallet) act(ctx context.Context, doing string, t channel.Terms, data []byte) (Receipt, error) {
	r, err := w.Send(ctx, Call{To: &w.cfg.Channels, Data: data})
	if err != nil {
		return r, fmt.Errorf("%s channel %s: %w", doing, t.ID(w.Domain()), err)
	}
	return r, nil
}

// allow makes sure that the contract may take amount from the wallet, and that it is there.
func (w *Wallet) allow(ctx context.Context, tok common.Address, amount tariff.Amount) error {
	have, err := w.Balance(ctx, tok, w.Address())
	if err != nil {
		return err
	}
	if have.Cmp(amount) < 0 {
		return fmt.Errorf("%s has %s of %s: %w", w.Address(), have, amount, ErrInsufficientFunds)
	}
	allowance := callOpts{to: tok, data: w.erc20.PackAllowance(w.Address(), w.cfg.Channels)}
	allowed, err := call(ctx, w.Client, allowance, w.erc20.UnpackAllowance)
	if err != nil {
		return err
	}
	if allowed.Cmp(amount.Big()) >= 0 {
		return nil
	}
	approve := func(n *big.Int) error {
		_, err := w.Send(ctx, Call{To: &tok, Data: w.erc20.PackApprove(w.cfg.Channels, n)})
		return err
	}
	err = approve(amount.Big())
	if errors.Is(err, ErrReverted) && allowed.Sign() > 0 {
		// Some tokens change an allowance only from or to zero.
		if err = approve(new(big.Int)); err == nil {
			err = approve(amount.Big())
		}
	}
	if err != nil {
		return fmt.Errorf("approving: %w", err)
	}
	return nil
}

// terms are the contract's form of t.
func terms(t channel.Terms) channels.Terms {
	return channels.Terms{
		Payment: payment(t),
		Cap:     t.Cap.Big(),
		Window:  number(t.Window),
		Agreement: channels.Agreement{
			Publisher: t.Publisher, App: t.App, Tariff: t.Tariff, Quote: t.Quote, Notice: number(t.Notice), Salt: t.Salt,
		},
	}
}

func payment(t channel.Terms) channels.Payment {
	p := channels.Payment{Token: t.Token, Payout: t.Payout, Signer: t.Signer, Payees: []channels.Payee{}}
	for _, payee := range t.Payees {
		p.Payees = append(p.Payees, channels.Payee{Account: payee.Account, Share: payee.Share})
	}
	return p
}

func claim(c Claim) channels.Claim {
	return channels.Claim{
		Agreement: c.Terms.AgreementHash(), Cap: c.Terms.Cap.Big(), Window: number(c.Terms.Window), Total: c.Total.Big(), Signature: c.Signature,
	}
}
