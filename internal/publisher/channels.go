// SPDX-License-Identifier: Apache-2.0

package publisher

import (
	"context"
	"fmt"
	"time"

	"github.com/apocryph/apocryph/internal/channel"
	"github.com/apocryph/apocryph/internal/fault"
	"github.com/apocryph/apocryph/internal/tariff"
)

// ChannelView is an app's channel as the chain has it.
type ChannelView struct {
	App    *App
	Terms  channel.Terms
	State  channel.State
	Status channel.Status
	Token  Token
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
	_, terms, err := a.Channel.terms()
	if err != nil {
		return nil, err
	}
	s, now, err := p.Chain.State(ctx, a.Channel.ID)
	if err != nil {
		return nil, err
	}
	token, err := p.Chain.Token(ctx, a.Token)
	if err != nil {
		return nil, err
	}
	return &ChannelView{App: a, Terms: terms, State: s, Status: s.Status(now), Token: token}, nil
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
	return p.act(ctx, a, amount, func(t channel.Terms) (string, error) { return p.Wallet.Deposit(ctx, t, amount) })
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
		return nil, fault.Hint(fmt.Errorf("channel %s is %s: there is no notice to give", a.Channel.ID, v.Status), "see apocryph channel show "+a.Name)
	}
	v, _, err = p.act(ctx, a, tariff.Amount{}, func(t channel.Terms) (string, error) { return p.Wallet.Notice(ctx, t) })
	return v, err
}

// Withdraw closes an app's channel after its notice and takes back what is left.
func (p *Publisher) Withdraw(ctx context.Context, a *App) (*Receipt, error) {
	v, err := p.Channel(ctx, a)
	if err != nil {
		return nil, err
	}
	switch v.Status {
	case channel.Ended:
		if _, _, err := p.act(ctx, a, tariff.Amount{}, func(t channel.Terms) (string, error) { return p.Wallet.Withdraw(ctx, t) }); err != nil {
			return nil, err
		}
	case channel.Closed: // done before
	case channel.Notice:
		return nil, fault.Hint(fmt.Errorf("the notice on channel %s ends at %s", a.Channel.ID, v.NoticeEnd().UTC().Format(time.RFC3339)), "run the command again after that; until then the provider can still claim what is owed")
	case channel.Open:
		return nil, fault.Hint(fmt.Errorf("no notice was given on channel %s", a.Channel.ID), "stop the app (apocryph stop "+a.Name+"), or give notice first: apocryph channel notice "+a.Name)
	default:
		return nil, fmt.Errorf("channel %s is not on this chain", a.Channel.ID)
	}
	// Without a provider: who withdraws does so because it is gone.
	alone := *p
	alone.Dial = nil
	return alone.settled(ctx, a, nil)
}

// act sends one transaction about an app's channel and reads the channel again.
func (p *Publisher) act(ctx context.Context, a *App, amount tariff.Amount, send func(channel.Terms) (string, error)) (*ChannelView, tariff.Amount, error) {
	_, terms, err := a.Channel.terms()
	if err != nil {
		return nil, amount, err
	}
	tx, err := send(terms)
	if err != nil {
		return nil, amount, err
	}
	p.report("channel", "mined in transaction "+tx)
	v, err := p.Channel(ctx, a)
	return v, amount, err
}
