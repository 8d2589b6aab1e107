// SPDX-License-Identifier: Apache-2.0

package publisher

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/apocryph/apocryph/internal/channel"
	"github.com/apocryph/apocryph/internal/fault"
	providerv1 "github.com/apocryph/apocryph/internal/gen/providerv1"
	"github.com/apocryph/apocryph/internal/tariff"
)

// seeRelease takes the release that a provider's bill carries. It returns ErrBill when it is over more than usage × tariff: that one is no
// consent to the account that was shown, and is not kept.
func (p *Publisher) seeRelease(a *App, said *providerv1.Release, owed tariff.Amount) error {
	if said == nil {
		return nil
	}
	_, t, err := a.Channel.terms()
	if err != nil {
		return err
	}
	total, err := tariff.ParseAmount(said.Total)
	if err != nil {
		return fmt.Errorf("the provider's release: %w: %w", ErrBill, err)
	}
	r := &Release{Channel: to32(said.Channel), Total: total, Signature: said.Signature}
	if err := r.check(a, t); err != nil {
		return nil //nolint:nilerr // worth nothing, so as good as none
	}
	if total.Cmp(owed) > 0 {
		return fault.Hint(fmt.Errorf("the provider's release is over %s base units, usage × tariff is %s: %w", total, owed, ErrBill),
			"don't submit it; leave with: apocryph channel notice "+a.Ref())
	}
	a.Channel.Release = r
	return nil
}

// keepRelease saves a release that was seen outside of the app's lock. If another command has the lock, that one sees it as well.
func (p *Publisher) keepRelease(a *App) error {
	if a.Channel.Release == nil || a.loose {
		return nil
	}
	unlock, err := p.Store.Lock(a.Name)
	if errors.Is(err, ErrBusy) {
		return nil
	}
	if err != nil {
		return err
	}
	defer unlock()
	saved, err := p.Store.Find(a.ID.String())
	if err != nil {
		return err
	}
	if saved.Channel.ID != a.Channel.ID || saved.Channel.Release != nil {
		return nil
	}
	saved.Channel.Release = a.Channel.Release
	return p.Store.Save(saved)
}

// lastWordTime bounds how long a provider that did not settle is asked for what it signed.
const lastWordTime = 10 * time.Second

// askRelease asks a provider that does not settle whether it has at least signed. The caller holds the app's lock. What goes wrong is no
// news: the failure that led here is.
func (p *Publisher) askRelease(ctx context.Context, s *session, a *App) {
	ctx, cancel := context.WithTimeout(ctx, lastWordTime)
	defer cancel()
	if _, err := p.bill(ctx, s, a, forStop()); err == nil && a.Channel.Release != nil {
		_ = p.Store.Save(a)
	}
}

// Settlement is what submitting a release now does.
type Settlement struct {
	View    *ChannelView
	Release Release
	// Paid is what provider and payees have in all after it, Back what comes back.
	Paid, Back tariff.Amount
}

// ReleaseOrder is what Release is to do.
type ReleaseOrder struct {
	// Release is submitted if it is set; else the one that was seen before, or else what the provider has, if Dial is set.
	Release *Release
	// Confirm is asked before anything is sent; nil is yes.
	Confirm func(context.Context, *Settlement) error
}

// Release closes a channel at the total that the provider's enclave signed, by the publisher's own transaction.
func (p *Publisher) Release(ctx context.Context, a *App, o ReleaseOrder) (*Receipt, error) {
	v, err := p.Channel(ctx, a)
	if err != nil {
		return nil, err
	}
	switch v.Status {
	case channel.Closed: // done before
		return p.alone().settled(ctx, a, nil)
	case channel.None:
		return nil, fault.Hint(fmt.Errorf("channel %s is not on this chain", a.Channel.ID), "check --rpc and --channels")
	default:
	}
	r, err := p.findRelease(ctx, a, o.Release)
	if err != nil {
		return nil, err
	}
	if err := r.check(a, v.Terms); err != nil {
		return nil, fault.Hint(err, "ask the provider for the release of this very channel; or leave without it: apocryph channel notice "+a.Ref())
	}
	s := &Settlement{View: v, Release: *r, Paid: v.Pays(*r)}
	if s.Back, err = v.State.Deposited.Sub(s.Paid); err != nil {
		return nil, err
	}
	if o.Confirm != nil {
		if err := o.Confirm(ctx, s); err != nil {
			return nil, err
		}
	}
	if _, err := p.act(ctx, v, func() (string, error) { return p.Wallet.Release(ctx, v.Terms, *r) }); err != nil {
		return nil, err
	}
	return p.alone().settled(ctx, a, nil)
}

// findRelease returns the release that is given, was seen before, or can be had from the provider.
func (p *Publisher) findRelease(ctx context.Context, a *App, given *Release) (*Release, error) {
	none := func(err error) error {
		return fault.Hint(err, "end the app with apocryph stop "+a.Ref()+"; name a release that you were given with --release FILE; or leave without one: apocryph channel notice "+a.Ref())
	}
	switch {
	case given != nil:
		return given, nil
	case a.Channel.Release != nil:
		return a.Channel.Release, nil
	case p.Dial == nil || !a.reachable():
		return nil, none(fmt.Errorf("no release of channel %s was seen here", a.Channel.ID))
	}
	if _, err := p.Bill(ctx, a); err != nil {
		return nil, none(err)
	}
	if a.Channel.Release == nil {
		return nil, none(fmt.Errorf("the provider has not signed a release of channel %s", a.Channel.ID))
	}
	return a.Channel.Release, nil
}
