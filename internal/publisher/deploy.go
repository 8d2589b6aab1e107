// SPDX-License-Identifier: Apache-2.0

package publisher

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/apocryph/apocryph/internal/appfile"
	"github.com/apocryph/apocryph/internal/channel"
	"github.com/apocryph/apocryph/internal/delegation"
	"github.com/apocryph/apocryph/internal/evidence"
	"github.com/apocryph/apocryph/internal/fault"
	manifestv1 "github.com/apocryph/apocryph/internal/gen/manifestv1"
	providerv1 "github.com/apocryph/apocryph/internal/gen/providerv1"
	"github.com/apocryph/apocryph/internal/manifest"
)

// Order is what Deploy is to do.
type Order struct {
	File *appfile.File
	// Endpoint is the provider's multiaddr; empty means the one that the app is at already.
	Endpoint string
	Budget   Budget
	// NewChannel has an app that runs go on on a new channel even if the one that it has is large enough.
	NewChannel bool
	// DryRun ends after the offer was shown.
	DryRun bool
	// Confirm shows an offer and returns nil to accept it, or ErrDeclined.
	Confirm func(context.Context, *Offer) error
	// Wait is how long to wait for Ready.
	Wait time.Duration
}

// Deployed is what came of a deploy.
type Deployed struct {
	App *App
	// Offer is nil when an app was updated on its open channel; else the channel was opened on it.
	Offer *Offer
	// Status is nil after a dry run.
	Status *providerv1.AppStatus
}

// deployment is one run of Deploy.
type deployment struct {
	*Publisher
	order    Order
	app      *App
	manifest *manifestv1.Manifest
	images   map[string]Image
	session  *session
	// first says that the provider had no version of the app before this run.
	first bool
	// keeps are volumes of earlier versions that stay; succeeds says that the order is to name App.Next, which is open.
	keeps    []*manifestv1.Volume
	succeeds bool
	// restarts says that this version is no other one, but the same started anew.
	restarts bool
}

// Deploy brings an app to a provider, or updates the one of the same name there. Run again after it was interrupted, it goes on where it was.
func (p *Publisher) Deploy(ctx context.Context, o Order) (*Deployed, error) {
	unlock, err := p.Store.Lock(o.File.Name)
	if err != nil {
		return nil, err
	}
	defer unlock()
	d := &deployment{Publisher: p, order: o}
	if err := d.begin(); err != nil {
		return nil, err
	}
	if err := d.pin(ctx); err != nil {
		return nil, err
	}
	if err := d.meet(ctx); err != nil {
		return nil, err
	}
	defer d.session.Close()
	offer, err := d.fund(ctx)
	if err != nil || o.DryRun {
		return &Deployed{App: d.app, Offer: offer}, err
	}
	status, err := d.place(ctx)
	return &Deployed{App: d.app, Offer: offer, Status: status}, err
}

// begin finds the app of this name that has not ended, or drafts a new one.
func (d *deployment) begin() error {
	name := d.order.File.Name
	known, err := d.Store.Find(name)
	switch {
	case errors.Is(err, ErrNoApp) || (err == nil && (known.ended() || known.Name != name)):
		d.app = &App{Name: name, Publisher: d.Wallet.Address(), CreatedAt: d.Now().UTC(), Token: d.Token}
		d.first = true
		for _, w := range []*Word{&d.app.Salt, &d.app.Seed} {
			if _, err := rand.Read(w[:]); err != nil {
				return fmt.Errorf("making a salt: %w", err)
			}
		}
		if d.order.Endpoint == "" {
			return fault.Hint(errors.New("no provider is named"), "name one with --provider /ip4/…/tcp/…/p2p/… or APOCRYPH_PROVIDER")
		}
		return nil
	case err != nil:
		return err
	}
	d.app, d.first = known, known.Stage != StageApplied
	switch {
	case known.Stage == StageRecovered:
		return fault.Hint(fmt.Errorf("of app %s only the channel is known, from the chain", name), "leave that first: apocryph channel show "+name+"; or deploy under another --name")
	case known.Stage == StageStopping:
		return fault.Hint(fmt.Errorf("app %s is being stopped", name), "finish that first: apocryph stop "+name+"; or deploy under another --name")
	case known.Publisher != d.Wallet.Address():
		return fault.Hint(fmt.Errorf("app %s belongs to wallet %s, this is %s", name, known.Publisher, d.Wallet.Address()), "use that wallet, or deploy under another --name")
	case known.Domain() != d.Chain.Domain() || known.Token != d.Token:
		return fault.Hint(fmt.Errorf("app %s was deployed on another chain, contract or token", name), "use the --rpc, --channels and --token of then, or deploy under another --name")
	}
	if d.order.Endpoint == "" {
		d.order.Endpoint = known.Endpoint
	}
	return nil
}

// pin finds every image and makes the manifest.
func (d *deployment) pin(ctx context.Context) error {
	d.images = map[string]Image{}
	m, err := d.order.File.Manifest(ctx, appfile.Pins{
		Resolve: func(ctx context.Context, image string) (appfile.Image, error) {
			found, err := d.Resolve(ctx, image)
			if err != nil {
				return appfile.Image{}, err
			}
			d.images[image] = found
			d.report("images", fmt.Sprintf("%s is %s", image, found.Digest))
			return found.Image, nil
		},
		Salt: d.salt,
	})
	if err != nil {
		return err
	}
	d.manifest = m
	if d.app.Stage != StageApplied {
		return nil
	}
	is, err := d.app.decode(d.app.Manifest)
	if err != nil {
		return err
	}
	if small := d.order.File.Shrinks(sizesOf(is)); len(small) > 0 {
		return small
	}
	return keepRevisions(d.app, m)
}

func sizesOf(m *manifestv1.Manifest) map[string]uint64 {
	sizes := map[string]uint64{}
	for _, v := range m.GetVolumes() {
		sizes[v.GetName()] = v.GetSizeBytes()
	}
	return sizes
}

// keepRevisions takes over what restarts have counted: another version is no restart of what it does not change.
func keepRevisions(a *App, to *manifestv1.Manifest) error {
	if a.Stage != StageApplied {
		return nil
	}
	m, err := a.decode(a.Manifest)
	if err != nil {
		return err
	}
	was := byName(m)
	for _, s := range to.Services {
		s.Revision = was[s.Name].GetRevision()
	}
	return nil
}

// salt is secret because the seed is, and the same for the same file.
func (d *deployment) salt(service, name, value string) []byte {
	mac := hmac.New(sha256.New, d.app.Seed[:])
	for _, s := range []string{service, name, value} {
		_, _ = fmt.Fprintf(mac, "%d:%s", len(s), s)
	}
	return mac.Sum(nil)[:16]
}

// meet connects to the provider and completes the app's identity by what the evidence proved.
func (d *deployment) meet(ctx context.Context) (err error) {
	to := provider{endpoint: d.order.Endpoint, domain: d.Chain.Domain(), address: d.app.Provider, trust: d.Trust}
	if d.app.Simulator != "" {
		if to, err = d.toApp(d.app); err != nil {
			return err
		}
		to.endpoint = d.order.Endpoint
	}
	if d.session, err = d.connect(ctx, to); err != nil {
		return err
	}
	proved := d.session.proved
	d.report("evidence", fmt.Sprintf("verified: provider %s, %s, measurement %x", proved.Provider, proved.Kind, proved.Measurement[:8]))
	if proved.Class == evidence.ClassNone {
		d.tell(Event{Step: "evidence", Warning: true, Message: "this evidence is of a simulator, which protects nothing: the provider's admin can read and change everything of this app"})
	}
	if len(d.app.Peer) > 0 && string(d.app.Peer) != d.session.Peer {
		d.session.Close()
		return fault.Hint(fmt.Errorf("app %s is at another provider", d.app.Name), "leave --provider out to update it there, or deploy under another --name")
	}
	a := d.app
	a.Provider, a.Peer, a.Endpoint = proved.Provider, Bytes(d.session.Peer), d.order.Endpoint
	a.ChainID, a.Contract = d.session.domain.ChainID, d.session.domain.Contract
	a.ID = AppID{delegation.NewAppID(a.Publisher, a.Provider, a.Salt)}
	if proved.Class == evidence.ClassNone && to.trust.Simulator != nil {
		a.Simulator = to.trust.Simulator.String()
	}
	return nil
}

// fund makes sure that the app has an open channel. It returns the offer, or nil when the channel was open before.
func (d *deployment) fund(ctx context.Context) (*Offer, error) {
	if d.app.Stage != "" {
		if err := d.takeUp(ctx, d.session, d.app); err != nil {
			return nil, err
		}
		open, err := d.isOpen(ctx)
		if open && err == nil && d.app.Stage == StageApplied {
			return d.follow(ctx)
		}
		if err != nil || open {
			return nil, err
		}
	}
	offer, err := d.offer(ctx, d.session, d.app, d.manifest, nil)
	if err != nil {
		return nil, err
	}
	if err := offer.fund(d.order.Budget); err != nil && !d.order.DryRun {
		return offer, err
	}
	if d.order.DryRun {
		return offer, nil
	}
	again, err := d.planned(offer)
	if err != nil {
		return offer, err
	}
	if err := d.order.Confirm(ctx, offer); err != nil {
		return offer, err
	}
	if !again {
		if err := d.plan(ctx, offer); err != nil {
			return offer, err
		}
	}
	return offer, d.open(ctx)
}

// isOpen reports whether the app's channel is open on chain. If it is planned and was not there, no opening of it can come any more but by
// this run, and another channel may be planned.
func (d *deployment) isOpen(ctx context.Context) (bool, error) {
	id := d.app.Channel.ID
	s, now, err := d.Chain.State(ctx, id)
	if err == nil && s.Status(now) == channel.None && d.app.Stage == StagePlanned {
		if there, err := d.openedLate(ctx, id); err != nil || !there {
			return false, err
		}
		s, now, err = d.Chain.State(ctx, id)
	}
	if err != nil {
		return false, err
	}
	switch s.Status(now) {
	case channel.Open:
		if d.app.Stage == StagePlanned {
			d.app.Stage = StageOpened
			return true, d.Store.Save(d.app)
		}
		return true, nil
	case channel.None:
		hint := "check --rpc: a chain that was made anew knows nothing of it; deploy under another --name"
		if d.app.Stage == StagePlanned {
			hint = "another endpoint of the chain knows it: run the command again in a moment, and leave this one out of --rpc if it stays behind"
		}
		return false, fault.Hint(fmt.Errorf("channel %s of app %s is not on this chain", id, d.app.Name), hint)
	case channel.Closed:
		if sure, err := d.surelyClosed(ctx, d.app); err != nil || !sure {
			return false, fault.Hint(errors.Join(fmt.Errorf("channel %s of app %s is closed by the word of one endpoint, or only just", id, d.app.Name), err),
				"run the same command again in a moment: no other channel is opened before that is sure")
		}
		d.app.Stage = StageEnded
		if err := d.Store.Save(d.app); err != nil {
			return false, err
		}
		return false, fault.Hint(fmt.Errorf("channel %s of app %s is closed, so the app has ended", id, d.app.Name), "run the command again to deploy it anew")
	default:
		return false, fault.Hint(fmt.Errorf("channel %s of app %s is under notice", id, d.app.Name), "finish leaving it: apocryph channel withdraw "+d.app.Name)
	}
}

// openedLate reports whether a planned channel is on the chain after all: its opening may have been under way when an earlier run was
// cut short, and that it is not there was one endpoint's word.
func (d *deployment) openedLate(ctx context.Context, id channel.ID) (bool, error) {
	if d.order.DryRun {
		return false, nil
	}
	if err := d.Wallet.Settle(ctx); err != nil {
		return false, d.locked(err)
	}
	return d.Chain.Exists(ctx, id)
}

// planned reports whether the channel that was planned before can still be opened: then nothing else may be, since its opening may be under way.
func (d *deployment) planned(offer *Offer) (bool, error) {
	if d.app.Stage != StagePlanned {
		return false, nil
	}
	return d.stillGood(d.app.Channel, offer)
}

// plan writes down everything about the channel that is about to be opened.
func (d *deployment) plan(ctx context.Context, offer *Offer) error {
	c, err := d.channelOn(ctx, offer)
	if err != nil {
		return err
	}
	if d.app.Stage == StagePlanned {
		d.app.Past = append([]Channel{d.app.Channel}, d.app.Past...)
	}
	encoded, err := manifest.Encode(d.manifest)
	if err != nil {
		return err
	}
	d.app.Channel, d.app.Manifest, d.app.Stage = c, encoded, StagePlanned
	return d.Store.Save(d.app)
}

// channelOn is a channel that is to be opened on an offer.
func (d *deployment) channelOn(ctx context.Context, offer *Offer) (Channel, error) {
	block, err := d.Chain.Head(ctx)
	if err != nil {
		return Channel{}, err
	}
	return offer.channelOn(func(t channel.Terms) channel.ID { return t.ID(d.session.domain) }, block)
}

// open opens the planned channel.
func (d *deployment) open(ctx context.Context) error {
	if err := d.openOn(ctx, &d.app.Channel); err != nil {
		return err
	}
	d.app.Stage = StageOpened
	return d.opened(ctx)
}

// openOn opens a channel that was planned. Whatever the wallet says, what the chain says counts.
func (d *deployment) openOn(ctx context.Context, c *Channel) error {
	_, terms, err := c.terms()
	if err != nil {
		return err
	}
	d.report("channel", fmt.Sprintf("opening channel %s", c.ID))
	tx, openErr := d.Wallet.Open(ctx, terms, c.Deposit)
	s, now, err := d.Chain.State(context.WithoutCancel(ctx), c.ID)
	if err != nil {
		return d.locked(errors.Join(openErr, err))
	}
	if s.Status(now) != channel.Open {
		if openErr == nil {
			openErr = errors.New("the chain does not show the channel that was opened")
		}
		return fault.Hint(fmt.Errorf("opening the channel: %w", openErr), openHint(openErr))
	}
	c.OpenTx = tx
	return nil
}

// opened saves that a channel is open.
func (d *deployment) opened(ctx context.Context) error {
	if err := d.Store.Save(d.app); err != nil {
		return err
	}
	d.report("channel", "the channel is open")
	return ctx.Err()
}

func openHint(err error) string {
	if hint := fault.HintOf(err); hint != "" {
		return hint
	}
	return "see what the wallet has with: apocryph wallet show; then run the same command again: it never opens two channels"
}

// locked says how to go on, or get the money back.
func (d *deployment) locked(err error) error {
	name := d.app.Name
	hint := fmt.Sprintf("run the same command again to go on; or get the money back: apocryph stop %s, and if the provider does not answer: apocryph channel notice %s, then apocryph channel withdraw %s", name, name, name)
	if inner := fault.HintOf(err); inner != "" {
		hint = inner + "; " + hint
	}
	return fault.Hint(fmt.Errorf("%w: %w", ErrLocked, err), hint)
}
