// SPDX-License-Identifier: Apache-2.0

package publisher

import (
	"context"
	"errors"
	"slices"

	"github.com/ethereum/go-ethereum/common"

	"github.com/apocryph/apocryph/internal/channel"
)

// Recovered is a channel that was found on the chain.
type Recovered struct {
	View ChannelView
	// New says that this machine did not know it before, and does now.
	New bool
}

// Recover finds the channels that an account opened, from a block on, newest first. What this machine does not know of those that are not
// closed, it writes down, so that they can be left as any other; it needs nothing but the chain for that.
func (p *Publisher) Recover(ctx context.Context, account common.Address, from uint64) ([]Recovered, error) {
	openings, err := p.Chain.Openings(ctx, account, from)
	if err != nil {
		return nil, err
	}
	out := []Recovered{}
	for _, o := range slices.Backward(openings) {
		r, err := p.recovered(ctx, account, o)
		if err != nil {
			return nil, err
		}
		out = append(out, *r)
	}
	return out, nil
}

func (p *Publisher) recovered(ctx context.Context, account common.Address, o Opening) (*Recovered, error) {
	d := p.Chain.Domain()
	a := &App{
		Publisher: account, Provider: o.Payout, Stage: StageRecovered, ChainID: d.ChainID, Contract: d.Contract, Token: p.Token, loose: true,
		ref: o.ID.String(), Channel: Channel{ID: o.ID, Deposit: o.Amount},
	}
	if o.Terms != nil {
		var err error
		if a, err = looseApp(d, *o.Terms, o.Block); err != nil {
			return nil, err
		}
		a.Channel.Deposit, a.Channel.OpenTx = o.Amount, o.Tx
	}
	known, err := p.Store.FindChannel(o.ID)
	if err != nil && !errors.Is(err, ErrNoApp) {
		return nil, err
	}
	if known != nil {
		a = known
	}
	v, err := p.Channel(ctx, a)
	if err != nil {
		return nil, err
	}
	r := &Recovered{View: *v}
	// Nothing can be got out of a closed channel, nor of one without terms.
	if known != nil || o.Terms == nil || v.Status == channel.Closed || v.Status == channel.None {
		return r, nil
	}
	r.New = true
	r.View.App, err = p.adopt(a)
	return r, err
}

// adopt saves a channel that was found: with the app that it is of, if that is known.
func (p *Publisher) adopt(found *App) (*App, error) {
	own, err := p.Store.Find(found.ID.String())
	if errors.Is(err, ErrNoApp) {
		saved := *found
		saved.loose, saved.CreatedAt = false, p.clock().UTC()
		return &saved, p.Store.Save(&saved)
	}
	if err != nil {
		return nil, err
	}
	unlock, err := p.Store.Lock(own.Name)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if own, err = p.Store.Find(own.ID.String()); err != nil { // another command may have changed it before the lock
		return nil, err
	}
	own.Past = append([]Channel{found.Channel}, own.Past...)
	if err := p.Store.Save(own); err != nil {
		return nil, err
	}
	return p.Store.FindChannel(found.Channel.ID)
}
