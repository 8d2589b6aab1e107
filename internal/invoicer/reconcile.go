// SPDX-License-Identifier: Apache-2.0

package invoicer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/apocryph/apocryph/api/v1alpha1"
	"github.com/apocryph/apocryph/internal/channel"
	"github.com/apocryph/apocryph/internal/kube"
	"github.com/apocryph/apocryph/internal/ledger"
	"github.com/apocryph/apocryph/internal/manifest"
	"github.com/apocryph/apocryph/internal/metered"
	"github.com/apocryph/apocryph/internal/tariff"
)

// errOrder says that an App's spec names no channel that could be watched. The keeper refuses such a spec.
var errOrder = errors.New("no channel to watch")

// fresh is for how long funds that say the same are not written again.
const fresh = 30 * time.Second

// reconciler brings the invoicer's part of one App up to date.
type reconciler struct {
	*Invoicer
	client client.Client
}

// released lets through those changes of a Usage for which the chain does not wait for the next look.
func released(e event.UpdateEvent) bool {
	before, ok1 := e.ObjectOld.(*v1alpha1.Usage)
	after, ok2 := e.ObjectNew.(*v1alpha1.Usage)
	if !ok1 || !ok2 || len(after.Status.Former) > len(before.Status.Former) {
		return ok1 && ok2
	}
	return after.Status.Release != nil &&
		(before.Status.Release == nil || !bytes.Equal(before.Status.Release.Signature, after.Status.Release.Signature))
}

// Reconcile implements reconcile.Reconciler.
func (r *reconciler) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	var app v1alpha1.App
	if err := r.client.Get(ctx, req.NamespacedName, &app); err != nil {
		if apierrors.IsNotFound(err) {
			r.forget(req.Name)
		}
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	if f := app.Status.Funds; f != nil && f.Closed && meta.IsStatusConditionTrue(app.Status.Conditions, v1alpha1.ConditionSettled) {
		return reconcile.Result{}, nil
	}
	u := &v1alpha1.Usage{}
	if err := r.client.Get(ctx, req.NamespacedName, u); client.IgnoreNotFound(err) != nil {
		return reconcile.Result{}, err
	}
	b, err := r.read(&app, u)
	if err != nil {
		return reconcile.Result{}, reconcile.TerminalError(fmt.Errorf("app %s: %w", app.Name, err))
	}
	again := time.Duration(0)
	for i := range b.sights {
		next := r.attend(ctx, &app, &b.sights[i], i < b.place)
		if next > 0 && (again == 0 || next < again) {
			again = next
		}
	}
	follow := b.follow(app.Status.Funds)
	s := b.sights[follow]
	s.owed = s.owed.Add(b.uncovered(follow))
	r.count.books.note(app.Name, b, follow)
	if err := r.write(ctx, &app, s, b.sights[:follow]); err != nil {
		return reconcile.Result{}, err
	}
	return reconcile.Result{RequeueAfter: again}, nil
}

// attend looks at one channel, and sends what is worth it. It returns when to look again at the latest, 0 for never.
func (r *reconciler) attend(ctx context.Context, app *v1alpha1.App, s *sight, former bool) time.Duration {
	if former && s.settled != nil {
		return 0 // closed for good
	}
	s.seen = r.look(ctx, s.id, r.cfg.nearlyOver(*s))
	act := r.cfg.collect(*s)
	if r.send(ctx, app.Name, *s, act) {
		s.seen = r.look(ctx, s.id, r.cfg.nearlyOver(*s))
		act.again = r.cfg.collect(*s).again
	}
	s.now = r.now()
	return act.again
}

// channels are an app's: how each stands, oldest first, and the place of the one that pays.
type channels struct {
	sights []sight
	place  int
	book   ledger.Ledger
}

// follow is the place of the channel that the funds are about: the one that is to pay, once it was seen there open and confirmed, and before
// that the one that pays.
func (c channels) follow(funds *v1alpha1.Funds) int {
	last := len(c.sights) - 1
	s := c.sights[last]
	if s.known() && s.status() == channel.Open || funds != nil && funds.Channel == s.id.String() {
		return last
	}
	return c.place
}

// uncovered is what channels before one at a place owe and can't pay, as far as it is seen and not on another's account yet.
func (c channels) uncovered(place int) tariff.Amount {
	var sum tariff.Amount
	for i, s := range c.sights[:place] {
		if lines := c.book.Lines(); i < len(lines) && lines[i].Arrears != nil {
			continue
		}
		var pays tariff.Amount
		switch {
		case s.settled != nil:
			pays = s.settled.claimed
		case s.known():
			pays = s.seen.Confirmed.Deposited
		default:
			continue
		}
		if left, err := s.owed.Sub(pays); err == nil {
			sum = sum.Add(left)
		}
	}
	return sum
}

// read takes from the objects what decides. Nothing of it is trusted with money: the contract checks every signature again.
func (r *reconciler) read(app *v1alpha1.App, u *v1alpha1.Usage) (channels, error) {
	bad := func(err error) (channels, error) { return channels{}, fmt.Errorf("%w: %w", errOrder, err) }
	row, err := metered.Row(app.Spec)
	if err != nil {
		return bad(err)
	}
	book, err := metered.Book(row, u.Status)
	if err != nil {
		return bad(err)
	}
	m, err := manifest.Decode(app.Spec.Manifest)
	if err != nil {
		return bad(err)
	}
	used, err := metered.Accrued(u.Status)
	if err != nil {
		return bad(err)
	}
	pods, volumes := manifest.Rate(m)
	running, stored := rates(u.Status.Open, metered.RateOf)
	c := channels{place: book.Len(), book: book}
	lines := book.Lines()
	for i, on := range row {
		if id := on.Terms.ID(r.cfg.Domain); id != on.Channel {
			return bad(fmt.Errorf("the terms are of channel %s", id))
		}
		s := sight{
			id: on.Channel, now: r.now(), funds: fundsOf(app, on.Channel), funded: meta.FindStatusCondition(app.Status.Conditions, v1alpha1.ConditionFunded),
			ending: len(app.Spec.Stop) > 0 || !app.DeletionTimestamp.IsZero() || app.Status.EndReason != "",
			terms:  on.Terms, prices: on.Prices, awake: pods.Add(volumes), asleep: volumes, running: running, stored: stored, offered: on.Offered,
			// Of the chain's time or ours, whichever: it only spaces claims.
			lastClaim: r.lastClaim(key(app.Name, on.Channel)),
		}
		voucher, release := u.Status.Voucher, u.Status.Release
		switch {
		case i < book.Len():
			s.owed, voucher, release = lines[i].Account.Total, u.Status.Former[i].Voucher, u.Status.Former[i].Release
			s.settled = settledBefore(app.Status.Former, on.Channel)
		case i == book.Len():
			s.owed = book.Now(on.Payer, used, time.Time{}).Total
		}
		s.voucher = r.good(voucher, on.Terms, func(t tariff.Amount) channel.Digester { return channel.Voucher{Channel: on.Channel, Total: t} })
		s.release = r.good(release, on.Terms, func(t tariff.Amount) channel.Digester { return channel.Release{Channel: on.Channel, Total: t} })
		if s.voucher != nil {
			s.papers.voucher = voucher.Signature
		}
		if s.release != nil {
			s.papers.release = release.Signature
		}
		c.sights = append(c.sights, s)
	}
	return c, nil
}

// fundsOf is what was written last, for a channel: when its notice ends is not another's.
func fundsOf(app *v1alpha1.App, id channel.ID) *v1alpha1.Funds {
	f := app.Status.Funds
	if f == nil || f.Channel == "" || f.Channel == id.String() {
		return f
	}
	other := *f
	other.NoticeEnd = nil
	return &other
}

// settledBefore is what came of a channel that was seen closed for good, nil before.
func settledBefore(seen []v1alpha1.FormerFunds, id channel.ID) *closing {
	for _, f := range seen {
		deposited, err1 := tariff.ParseAmount(f.Deposited)
		claimed, err2 := tariff.ParseAmount(f.Claimed)
		refunded, err3 := tariff.ParseAmount(f.Refunded)
		if f.Channel == id.String() && f.Closed && errors.Join(err1, err2, err3) == nil {
			return &closing{deposited, claimed, refunded}
		}
	}
	return nil
}

// good returns the total of a voucher or release that the contract would accept, nil for another one.
func (r *reconciler) good(v *v1alpha1.Voucher, t channel.Terms, what func(tariff.Amount) channel.Digester) *tariff.Amount {
	if v == nil || v.Channel != t.ID(r.cfg.Domain).String() {
		return nil
	}
	total, err := tariff.ParseAmount(v.Total)
	if err != nil || channel.Verify(what(total), r.cfg.Domain, v.Signature, t.Signer) != nil {
		return nil
	}
	return &total
}

// look reads the channel; nil means that it can't be seen.
func (r *reconciler) look(ctx context.Context, id channel.ID, final bool) *Seen {
	seen, err := r.chain.State(ctx, id, final)
	if err != nil {
		r.count.unread.Inc()
		r.log.Warn("channel not seen", "channel", id, "error", err)
		return nil
	}
	if seen.Doubt != nil {
		r.count.unread.Inc()
		r.log.Warn("channel seen in doubt", "channel", id, "error", seen.Doubt)
		return &seen
	}
	r.count.seen.Set(float64(r.now().Unix()))
	return &seen
}

// send does what was decided, or puts it into the till, and reports whether the channel may have changed. A failure is tried again at the
// next look: what was sent and whose fate is not known pays nothing the second time.
func (r *reconciler) send(ctx context.Context, app string, s sight, a action) bool {
	if !a.release {
		if a.claim || a.join {
			r.till.put(key(app, s.id), Claim{s.terms, *s.voucher, s.papers.voucher}, a.claim)
		}
		return false
	}
	r.till.forget(key(app, s.id)) // the release is worth at least as much
	spent, err := r.chain.Release(ctx, Claim{s.terms, *s.release, s.papers.release})
	r.booked("release", spent, []Claim{{Terms: s.terms}}, err)
	if err != nil {
		r.log.Warn("release failed", "app", app, "channel", s.id, "total", *s.release, "error", err)
		return true
	}
	r.log.Info("release took effect", "app", app, "channel", s.id, "total", *s.release, "gas", spent.Gas)
	return true
}

// write applies the invoicer's part of the status, all of it, unless it says the same already.
func (r *reconciler) write(ctx context.Context, app *v1alpha1.App, s sight, former []sight) error {
	funded := r.cfg.fund(s)
	status := v1alpha1.AppStatus{Funds: r.cfg.report(s, funded)}
	for _, f := range former {
		if seen := f.reportFormer(app.Status.Former); seen != nil {
			status.Former = append(status.Former, *seen)
		}
	}
	for _, c := range []struct {
		name string
		step *step
		// keep says that no step leaves what was said before.
		keep bool
	}{
		{v1alpha1.ConditionFunded, funded, true},
		{v1alpha1.ConditionSettled, s.settle(former), false},
	} {
		if next := condition(app, c.name, c.step, c.keep, r.now()); next != nil {
			status.Conditions = append(status.Conditions, *next)
		}
	}
	if len(status.Conditions) == 0 && status.Funds == nil || same(app, status) {
		return nil
	}
	return kube.ApplyStatus(ctx, r.client, &v1alpha1.App{
		ObjectMeta: metav1.ObjectMeta{Namespace: app.Namespace, Name: app.Name}, Status: status,
	}, statusOwner)
}

func condition(app *v1alpha1.App, name string, s *step, keep bool, now time.Time) *metav1.Condition {
	old := meta.FindStatusCondition(app.Status.Conditions, name)
	if s == nil {
		if keep {
			return old
		}
		return nil
	}
	c := &metav1.Condition{
		Type: name, Status: s.status, Reason: s.reason, Message: s.message,
		ObservedGeneration: app.Generation, LastTransitionTime: metav1.NewTime(now.Truncate(time.Second)),
	}
	if old != nil && old.Status == c.Status {
		c.LastTransitionTime = old.LastTransitionTime
	}
	return c
}

// same reports whether a status tells nothing new: only that the chain was seen again, a moment after the last time.
func same(app *v1alpha1.App, s v1alpha1.AppStatus) bool {
	for _, name := range []string{v1alpha1.ConditionFunded, v1alpha1.ConditionSettled} {
		old, now := meta.FindStatusCondition(app.Status.Conditions, name), meta.FindStatusCondition(s.Conditions, name)
		if (old == nil) != (now == nil) || (old != nil && *old != *now) {
			return false
		}
	}
	if !slices.Equal(app.Status.Former, s.Former) {
		return false
	}
	old := app.Status.Funds
	if old == nil || s.Funds == nil {
		return old == s.Funds
	}
	if s.Funds.SeenAt.Sub(old.SeenAt.Time) >= fresh || ended(old) != ended(s.Funds) {
		return false
	}
	again := *s.Funds
	again.SeenAt, again.Block = old.SeenAt, old.Block
	if old.NoticeEnd.Equal(again.NoticeEnd) {
		again.NoticeEnd = old.NoticeEnd
	}
	if old.ExhaustedAt.Equal(again.ExhaustedAt) {
		again.ExhaustedAt = old.ExhaustedAt
	}
	return again == *old
}

// ended reports whether funds were seen after the notice.
func ended(f *v1alpha1.Funds) bool { return f.NoticeEnd != nil && !f.SeenAt.Before(f.NoticeEnd) }
