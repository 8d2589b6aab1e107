// SPDX-License-Identifier: Apache-2.0

package invoicer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/apocryph/apocryph/api/v1alpha1"
	"github.com/apocryph/apocryph/internal/channel"
	orderv1 "github.com/apocryph/apocryph/internal/gen/orderv1"
	"github.com/apocryph/apocryph/internal/kube"
	"github.com/apocryph/apocryph/internal/manifest"
	"github.com/apocryph/apocryph/internal/metered"
	"github.com/apocryph/apocryph/internal/quote"
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
	return ok1 && ok2 && after.Status.Release != nil &&
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
	id, s, err := r.read(&app, u)
	if err != nil {
		return reconcile.Result{}, reconcile.TerminalError(fmt.Errorf("app %s: %w", app.Name, err))
	}
	s.seen = r.look(ctx, id, r.cfg.nearlyOver(s))
	act := r.cfg.collect(s)
	if r.send(ctx, app.Name, s, u, act) {
		s.seen = r.look(ctx, id, r.cfg.nearlyOver(s))
		act.again = r.cfg.collect(s).again
	}
	s.now = r.now()
	r.count.books.note(app.Name, s)
	if err := r.write(ctx, &app, s); err != nil {
		return reconcile.Result{}, err
	}
	return reconcile.Result{RequeueAfter: act.again}, nil
}

// read takes from the objects what decides. Nothing of it is trusted with money: the contract checks every signature again.
func (r *reconciler) read(app *v1alpha1.App, u *v1alpha1.Usage) (channel.ID, sight, error) {
	bad := func(err error) (channel.ID, sight, error) {
		return channel.ID{}, sight{}, fmt.Errorf("%w: %w", errOrder, err)
	}
	var p orderv1.Terms
	if err := proto.Unmarshal(app.Spec.Terms, &p); err != nil {
		return bad(err)
	}
	terms, err := channel.FromProto(&p)
	if err != nil {
		return bad(err)
	}
	id := terms.ID(r.cfg.Domain)
	if id.String() != app.Spec.Channel {
		return bad(fmt.Errorf("the terms are of channel %s", id))
	}
	var signed orderv1.SignedQuote
	if err := proto.Unmarshal(app.Spec.Quote, &signed); err != nil {
		return bad(err)
	}
	q, err := quote.Verify(&signed, terms.Signer)
	if err != nil {
		return bad(err)
	}
	prices, err := tariff.FromProto(q.Tariff)
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
	return id, sight{
		now: r.now(), funds: app.Status.Funds, funded: meta.FindStatusCondition(app.Status.Conditions, v1alpha1.ConditionFunded),
		ending: len(app.Spec.Stop) > 0 || !app.DeletionTimestamp.IsZero() || app.Status.EndReason != "",
		terms:  terms, prices: prices, awake: pods.Add(volumes), asleep: volumes, running: running, stored: stored, owed: prices.Cost(used),
		offered: time.Unix(int64(min(q.ExpiresAt, 1<<40)), 0).Add(-quote.MaxLife),
		voucher: r.good(u.Status.Voucher, terms, func(t tariff.Amount) channel.Digester { return channel.Voucher{Channel: id, Total: t} }),
		release: r.good(u.Status.Release, terms, func(t tariff.Amount) channel.Digester { return channel.Release{Channel: id, Total: t} }),
		// Of the chain's time or ours, whichever: it only spaces claims.
		lastClaim: r.lastClaim(app.Name),
	}, nil
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
func (r *reconciler) send(ctx context.Context, app string, s sight, u *v1alpha1.Usage, a action) bool {
	if !a.release {
		if a.claim || a.join {
			r.till.put(app, Claim{s.terms, *s.voucher, u.Status.Voucher.Signature}, a.claim)
		}
		return false
	}
	r.till.forget(app) // the release is worth at least as much
	spent, err := r.chain.Release(ctx, Claim{s.terms, *s.release, u.Status.Release.Signature})
	r.booked("release", spent, []Claim{{Terms: s.terms}}, err)
	if err != nil {
		r.log.Warn("release failed", "app", app, "total", *s.release, "error", err)
		return true
	}
	r.log.Info("release took effect", "app", app, "total", *s.release, "gas", spent.Gas)
	return true
}

// write applies the invoicer's part of the status, all of it, unless it says the same already.
func (r *reconciler) write(ctx context.Context, app *v1alpha1.App, s sight) error {
	funded := r.cfg.fund(s)
	status := v1alpha1.AppStatus{Funds: r.cfg.report(s, funded)}
	for _, c := range []struct {
		name string
		step *step
		// keep says that no step leaves what was said before.
		keep bool
	}{
		{v1alpha1.ConditionFunded, funded, true},
		{v1alpha1.ConditionSettled, s.settle(), false},
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
