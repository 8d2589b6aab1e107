// SPDX-License-Identifier: Apache-2.0

package publisher

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"github.com/apocryph/apocryph/internal/channel"
	"github.com/apocryph/apocryph/internal/fault"
	"github.com/apocryph/apocryph/internal/span"
	"github.com/apocryph/apocryph/internal/tariff"
)

// ErrUnsent is what a Wallet returns that only writes transactions down, for another machine to sign: everything was checked, nothing was sent.
var ErrUnsent = errors.New("nothing was sent")

// ChannelView is an app's channel as the chain has it.
type ChannelView struct {
	App    *App
	Terms  channel.Terms
	State  channel.State
	Status channel.Status
	Token  Token
	// Credit is what failed transfers of the token left for the publisher, from this channel or another.
	Credit tariff.Amount
	// Final says in words whether what was read can still be taken back; empty where nobody asked.
	Final string
	// Now is the time of the block that this was read in, Machine this machine's.
	Now, Machine time.Time
}

// NoticeEnd is when the notice ends; the zero time without one.
func (v ChannelView) NoticeEnd() time.Time {
	if v.Status != channel.Notice && v.Status != channel.Ended {
		return time.Time{}
	}
	return time.Unix(int64(v.State.NoticeEnd), 0)
}

// Channel reads an app's channel.
func (p *Publisher) Channel(ctx context.Context, a *App) (*ChannelView, error) {
	if err := p.sameChain(a); err != nil {
		return nil, err
	}
	v := &ChannelView{App: a, Machine: p.clock()}
	var err error
	if len(a.Channel.Terms) > 0 {
		if _, v.Terms, err = a.Channel.terms(); err != nil {
			return nil, err
		}
	}
	if v.State, v.Now, err = p.Chain.State(ctx, a.Channel.ID); err != nil {
		return nil, err
	}
	v.Status = v.State.Status(v.Now)
	if v.Token, err = p.Chain.Token(ctx, a.Token); err != nil {
		return nil, err
	}
	v.Credit, err = p.Chain.Credit(ctx, a.Token, a.Publisher)
	return v, err
}

// Finality reads a channel, and says whether what it is can still be taken back.
func (p *Publisher) Finality(ctx context.Context, a *App) (*ChannelView, error) {
	v, err := p.Channel(ctx, a)
	if err != nil {
		return nil, err
	}
	final, err := p.Chain.Final(ctx, a.Channel.ID)
	switch then := final.Status(v.Now); {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil:
		v.Final = "not known: " + err.Error()
	case then != v.Status:
		v.Final = fmt.Sprintf("not yet: in the newest final block the channel is %s", then)
	case !final.Deposited.Equal(v.State.Deposited) || !final.Claimed.Equal(v.State.Claimed):
		v.Final = "not yet: the amounts are newer than the newest final block"
	default:
		v.Final = "yes"
	}
	return v, nil
}

func (p *Publisher) clock() time.Time {
	if p.Now == nil {
		return time.Now()
	}
	return p.Now()
}

// sameChain returns an error unless the configured chain and contract are the app's.
func (p *Publisher) sameChain(a *App) error {
	if a.Domain() == p.Chain.Domain() {
		return nil
	}
	return fault.Hint(fmt.Errorf("app %s was deployed on chain %d with contract %s", a.Name, a.ChainID, a.Contract), "use the --rpc and --channels of then")
}

// Deposit adds an amount, in token units as people write it, to an app's channel.
func (p *Publisher) Deposit(ctx context.Context, a *App, text string) (*ChannelView, tariff.Amount, error) {
	v, err := p.Channel(ctx, a)
	if err != nil {
		return nil, tariff.Amount{}, err
	}
	amount, err := v.Token.Parse(text)
	if err != nil {
		return nil, amount, err
	}
	balance, err := p.Chain.Balance(ctx, a.Token, p.Wallet.Address())
	if err != nil {
		return nil, amount, err
	}
	switch {
	case amount.IsZero():
		return nil, amount, fault.Hint(fmt.Errorf("a deposit of nothing: %w", ErrMoney), "name an amount, as in 12 or 0.5")
	case v.Status != channel.Open && v.Status != channel.Notice:
		return nil, amount, fault.Hint(fmt.Errorf("channel %s is %s and takes no deposits", a.Channel.ID, v.Status), "deploy the app anew")
	case amount.Cmp(balance) > 0:
		return nil, amount, fault.Hint(fmt.Errorf("the deposit of %s is more than the wallet's balance of %s: %w", v.Token.Format(amount), v.Token.Format(balance), ErrMoney), "send tokens to the wallet (apocryph wallet show)")
	}
	v, err = p.act(ctx, v, func() (string, error) { return p.Wallet.Deposit(ctx, v.Terms, amount) })
	return v, amount, err
}

// Notice starts the publisher's own way out of an app's channel.
func (p *Publisher) Notice(ctx context.Context, a *App) (*ChannelView, error) {
	v, err := p.Channel(ctx, a)
	if err != nil {
		return nil, err
	}
	switch v.Status {
	case channel.Open:
	case channel.Notice, channel.Ended:
		return v, nil // given before: the same command again is no error
	default:
		return nil, fault.Hint(fmt.Errorf("channel %s is %s: there is no notice to give", a.Channel.ID, v.Status), "see apocryph channel show "+a.Ref())
	}
	if err := p.owns(v); err != nil {
		return nil, err
	}
	return p.act(ctx, v, func() (string, error) { return p.Wallet.Notice(ctx, v.Terms) })
}

// Withdraw closes an app's channel after its notice and takes back what is left.
func (p *Publisher) Withdraw(ctx context.Context, a *App) (*Receipt, error) {
	v, err := p.Channel(ctx, a)
	if err != nil {
		return nil, err
	}
	switch v.Status {
	case channel.Ended:
		if err := p.owns(v); err != nil {
			return nil, err
		}
		if _, err := p.act(ctx, v, func() (string, error) { return p.Wallet.Withdraw(ctx, v.Terms) }); err != nil {
			return nil, err
		}
	case channel.Closed: // done before
	case channel.Notice:
		return nil, fault.Hint(fmt.Errorf("the notice on channel %s %s", a.Channel.ID, v.Left()),
			"run the command again after that, or let it wait: apocryph channel withdraw "+a.Ref()+" --wait; until then the provider can still claim what is owed")
	case channel.Open:
		hint := "give notice first: apocryph channel notice " + a.Ref()
		if a.reachable() {
			hint = "stop the app (apocryph stop " + a.Ref() + "), or " + hint
		}
		return nil, fault.Hint(fmt.Errorf("no notice was given on channel %s", a.Channel.ID), hint)
	default:
		return nil, fault.Hint(fmt.Errorf("channel %s is not on this chain", a.Channel.ID), "check --rpc and --channels")
	}
	return p.alone().settled(ctx, a, nil)
}

// alone is the publisher without a provider: who leaves by the chain does so because it is gone.
func (p *Publisher) alone() *Publisher {
	alone := *p
	alone.Dial = nil
	return &alone
}

// owns returns an error unless the wallet is the publisher of the channel, and knows its terms.
func (p *Publisher) owns(v *ChannelView) error {
	switch own := p.Wallet.Address(); {
	case !v.known():
		return fault.Hint(fmt.Errorf("the terms of channel %s are not known here", v.App.Channel.ID), "name the file that has them with --terms FILE")
	case v.Terms.Publisher != own:
		return fault.Hint(fmt.Errorf("channel %s belongs to wallet %s, this is %s", v.App.Channel.ID, v.Terms.Publisher, own), "use that wallet: --wallet FILE")
	}
	return nil
}

// act sends transactions about a channel and reads it again.
func (p *Publisher) act(ctx context.Context, v *ChannelView, send func() (string, error)) (*ChannelView, error) {
	tx, err := send()
	if err != nil {
		return nil, err
	}
	p.report("channel", "mined in transaction "+tx)
	return p.Channel(ctx, v.App)
}

// Credit returns what failed transfers of a token left for an account.
func (p *Publisher) Credit(ctx context.Context, token, account common.Address) (tariff.Amount, Token, error) {
	shown, err := p.Chain.Token(ctx, token)
	if err != nil {
		return tariff.Amount{}, shown, err
	}
	amount, err := p.Chain.Credit(ctx, token, account)
	return amount, shown, err
}

// WithdrawCredit sends the wallet's credit in a token to an account. It returns what it sent.
func (p *Publisher) WithdrawCredit(ctx context.Context, token, to common.Address) (tariff.Amount, Token, error) {
	amount, shown, err := p.Credit(ctx, token, p.Wallet.Address())
	if err != nil {
		return amount, shown, err
	}
	if amount.IsZero() {
		return amount, shown, fault.Hint(fmt.Errorf("wallet %s has no credit in this token: %w", p.Wallet.Address(), ErrMoney), "check --token and --wallet: a credit is only there after a transfer failed")
	}
	tx, err := p.Wallet.WithdrawCredit(ctx, token, to)
	if err != nil {
		return amount, shown, err
	}
	p.report("channel", "mined in transaction "+tx)
	return amount, shown, nil
}

// What is left of a notice is looked at again after half of it, so that the last look is soon after its end however long it was.
const (
	shortestWait = 2 * time.Second
	longestWait  = 15 * time.Minute
)

// AwaitNotice returns when a channel is not under notice any more. Meanwhile it tells what is left.
func (p *Publisher) AwaitNotice(ctx context.Context, a *App) (*ChannelView, error) {
	for wait, heard := shortestWait, false; ; {
		v, err := p.Channel(ctx, a)
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case err != nil && !heard:
			return nil, err
		case err != nil:
			// Who waits for hours does not give up because the network does for a minute.
			p.tell(Event{Step: "notice", Warning: true, Message: "the chain can't be read now, trying again: " + err.Error()})
		case v.Status != channel.Notice:
			return v, nil
		default:
			heard, wait = true, min(max(v.NoticeEnd().Sub(v.Now)/2, shortestWait), longestWait)
			p.report("notice", Until(v.NoticeEnd(), v.Now))
		}
		if err := span.Wait(ctx, wait); err != nil {
			return nil, err
		}
	}
}
