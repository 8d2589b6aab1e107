// SPDX-License-Identifier: Apache-2.0

package publisher

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/apocryph/apocryph/internal/channel"
	"github.com/apocryph/apocryph/internal/delegation"
	"github.com/apocryph/apocryph/internal/fault"
	manifestv1 "github.com/apocryph/apocryph/internal/gen/manifestv1"
	providerv1 "github.com/apocryph/apocryph/internal/gen/providerv1"
	"github.com/apocryph/apocryph/internal/manifest"
	"github.com/apocryph/apocryph/internal/quote"
)

// A channel's cap is for good, so an update that needs more is paid by another channel of the same app, its successor. It is written down as
// App.Next before it is opened, and takes the place of App.Channel once the provider has the order that names it. Until then every run looks
// first what became of it, so that no second one is opened and none is forgotten; the one before is settled by the provider, and what is left of
// it comes back.

// former are the channels that paid for the app before the present one, oldest first, as every order names them.
func (a *App) former() [][32]byte {
	var ids [][32]byte
	for _, c := range slices.Backward(a.Past) {
		if c.Former {
			ids = append(ids, c.ID)
		}
	}
	return ids
}

// promote has the successor take the place of the channel that paid. The caller saves.
func (a *App) promote() {
	was := a.Channel
	was.Former = true
	a.Past = append([]Channel{was}, a.Past...)
	a.Channel, a.Next = *a.Next, nil
}

// on is the app with another of its channels as the one that commands are about. It is never saved.
func (a *App) on(c Channel) *App {
	other := *a
	other.Channel, other.Next, other.loose, other.ref = c, nil, true, c.ID.String()
	return &other
}

// channels are those that the app's provider may know: the present one, its successor, and those before.
func (a *App) channels() []Channel {
	all := []Channel{a.Channel}
	if a.Next != nil {
		all = append(all, *a.Next)
	}
	for _, c := range a.Past {
		if c.Former {
			all = append(all, c)
		}
	}
	return all
}

// FormerChannels are the channels that paid for the app before, oldest first, each as an app of which it is the channel.
func (a *App) FormerChannels() []*App {
	var all []*App
	for _, c := range slices.Backward(a.Past) {
		if c.Former {
			all = append(all, a.on(c))
		}
	}
	return all
}

// takeUp finds out what became of a successor that an earlier run planned: it is in force if the provider has the order that names it.
func (p *Publisher) takeUp(ctx context.Context, s *session, a *App) error {
	if a.Next == nil {
		return nil
	}
	st, err := p.statusAt(ctx, s, a)
	if err != nil || !bytes.Equal(st.Channel, a.Next.ID[:]) {
		return err
	}
	a.promote()
	return p.Store.Save(a)
}

// kept are the volumes of earlier versions that the provider has and this one does not name: they have to be paid, too.
func (d *deployment) kept(ctx context.Context) ([]*manifestv1.Volume, error) {
	st, err := d.statusAt(ctx, d.session, d.app)
	if err != nil {
		return nil, err
	}
	return keptOf(d.manifest, st), nil
}

func keptOf(m *manifestv1.Manifest, st *providerv1.AppStatus) []*manifestv1.Volume {
	var kept []*manifestv1.Volume
	for _, v := range st.Volumes {
		named := slices.ContainsFunc(m.Volumes, func(o *manifestv1.Volume) bool { return o.Name == v.Name })
		if !named && !slices.Contains(m.RemovedVolumes, v.Name) {
			kept = append(kept, &manifestv1.Volume{Name: v.Name, SizeBytes: v.SizeBytes})
		}
	}
	return kept
}

// withKept is a manifest with volumes that are kept.
func withKept(m *manifestv1.Manifest, kept []*manifestv1.Volume) *manifestv1.Manifest {
	return &manifestv1.Manifest{Services: m.Services, Volumes: append(slices.Clone(m.Volumes), kept...)}
}

// outgrown reports whether what is deployed needs more than a channel's cap.
func (d *deployment) outgrown(c Channel) (bool, error) {
	_, terms, err := c.terms()
	if err != nil {
		return false, err
	}
	prices, err := c.tariff()
	if err != nil {
		return false, err
	}
	return terms.Cap.Cmp(quote.LeastCap(prices, withKept(d.manifest, d.keeps))) < 0, nil
}

// follow makes sure that an app which runs has a channel whose cap is large enough: the present one, or a successor. It returns the offer that a
// successor was opened on now, or nil.
func (d *deployment) follow(ctx context.Context) (*Offer, error) {
	var err error
	if d.keeps, err = d.kept(ctx); err != nil {
		return nil, err
	}
	there, err := d.nextIsOpen(ctx)
	if err != nil {
		return nil, err
	}
	if there {
		over, err := d.outgrown(*d.app.Next)
		if err != nil {
			return nil, err
		}
		if !over {
			d.succeeds = true
			return nil, nil
		}
		d.tell(Event{Step: "channel", Warning: true, Message: fmt.Sprintf("channel %s was opened for a smaller version and never used: get it back with: apocryph channel notice %s", d.app.Next.ID, d.app.Next.ID)})
	}
	over, err := d.outgrown(d.app.Channel)
	if err != nil {
		return nil, err
	}
	if !over && !d.order.NewChannel {
		return nil, d.dropNext()
	}
	if len(d.app.former()) >= delegation.MaxFormer {
		return nil, fault.Hint(fmt.Errorf("app %s has had %d channels before this one, and there are no more than that", d.app.Name, delegation.MaxFormer),
			"stop it and deploy it anew; keep what its volumes hold first")
	}
	return d.succeed(ctx, there)
}

// nextIsOpen reports whether a planned successor is there to be used. If it is not there and never can come, another may be planned.
func (d *deployment) nextIsOpen(ctx context.Context) (bool, error) {
	if d.app.Next == nil {
		return false, nil
	}
	id := d.app.Next.ID
	s, now, err := d.Chain.State(ctx, id)
	if err == nil && s.Status(now) == channel.None {
		there, err := d.openedLate(ctx, id)
		if err != nil || !there {
			return false, err
		}
		if s, now, err = d.Chain.State(ctx, id); err != nil {
			return false, err
		}
		if s.Status(now) == channel.None {
			return false, fault.Hint(fmt.Errorf("channel %s of app %s is not on this chain", id, d.app.Name),
				"another endpoint of the chain knows it: run the command again in a moment, and leave this one out of --rpc if it stays behind")
		}
	}
	switch {
	case err != nil:
		return false, err
	case s.Status(now) != channel.Open:
		return false, d.dropNext() // it was left
	}
	return true, nil
}

// dropNext puts a successor that is not to be used among the channels that were planned before.
func (d *deployment) dropNext() error {
	if d.app.Next == nil || d.order.DryRun {
		return nil
	}
	d.app.Past = append([]Channel{*d.app.Next}, d.app.Past...)
	d.app.Next = nil
	return d.Store.Save(d.app)
}

// succeed opens a successor, after it was agreed to. The one that was planned before is opened if it still can be, since its opening may be
// under way, unless that is open already and too small.
func (d *deployment) succeed(ctx context.Context, tooSmall bool) (*Offer, error) {
	offer, err := d.offer(ctx, d.session, d.app, d.manifest, d.keeps)
	if err != nil {
		return nil, err
	}
	follows := d.app.Channel.ID
	offer.Follows = &follows
	if err := offer.fund(d.order.Budget); err != nil && !d.order.DryRun {
		return offer, err
	}
	if d.order.DryRun {
		return offer, nil
	}
	again := false
	if d.app.Next != nil && !tooSmall {
		if again, err = d.stillGood(*d.app.Next, offer); err != nil {
			return offer, err
		}
	}
	if err := d.order.Confirm(ctx, offer); err != nil {
		return offer, err
	}
	if !again {
		if err := d.planNext(ctx, offer); err != nil {
			return offer, err
		}
	}
	if err := d.openOn(ctx, d.app.Next); err != nil {
		return offer, err
	}
	d.succeeds = true
	return offer, d.opened(ctx)
}

// planNext writes down everything about the successor that is about to be opened.
func (d *deployment) planNext(ctx context.Context, offer *Offer) error {
	if err := d.dropNext(); err != nil {
		return err
	}
	c, err := d.channelOn(ctx, offer)
	if err != nil {
		return err
	}
	d.app.Next = &c
	return d.Store.Save(d.app)
}

// stillGood reports whether a channel that was planned before can still be opened for this manifest: then nothing else may be, since its
// opening may be under way.
func (d *deployment) stillGood(c Channel, offer *Offer) (bool, error) {
	_, q, err := c.quote()
	if err != nil {
		return false, err
	}
	hash, err := manifest.HashOf(d.manifest)
	if err != nil {
		return false, err
	}
	if errors.Is(quote.Expired(q, d.Now()), quote.ErrExpired) || manifest.Hash(to32(q.ManifestHash)) != hash {
		return false, nil
	}
	offer.Deposit = c.Deposit
	offer.Runway = runway(offer.Deposit, offer.Awake)
	return true, nil
}
