// SPDX-License-Identifier: Apache-2.0

package notify

import (
	"context"
	"encoding/hex"
	"fmt"
	"reflect"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/apocryph/apocryph/api/v1alpha1"
	"github.com/apocryph/apocryph/internal/kube"
	"github.com/apocryph/apocryph/internal/manifest"
)

// reconciler looks at one App at a time, and calls its webhook at most once in a look.
type reconciler struct {
	*Notifier
	client client.Client
}

// webhook is an order's, with what may be known of it.
type webhook struct{ url, host, commitment string }

// webhookOf reads an app's webhook; known is false while the order in force is not verified.
func webhookOf(app *v1alpha1.App) (w *webhook, known bool, err error) {
	c := meta.FindStatusCondition(app.Status.Conditions, v1alpha1.ConditionVerified)
	if c == nil || c.Status != metav1.ConditionTrue || c.ObservedGeneration != app.Generation {
		return nil, false, nil
	}
	m, err := manifest.Decode(app.Spec.Manifest)
	if err != nil {
		return nil, false, fmt.Errorf("reading the manifest: %w", err)
	}
	if m.GetNotify() == nil {
		return nil, true, nil
	}
	at, err := manifest.ParseWebhook(m.GetNotify().GetWebhook())
	if err != nil {
		return nil, false, err
	}
	return &webhook{m.GetNotify().GetWebhook(), at.Host, hex.EncodeToString(manifest.Public(m).GetNotify().GetCommitment())}, true, nil
}

// Reconcile implements reconcile.Reconciler.
func (r *reconciler) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	var app v1alpha1.App
	if err := r.client.Get(ctx, req.NamespacedName, &app); err != nil {
		if apierrors.IsNotFound(err) {
			r.forget(req.NamespacedName)
		}
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	rec := r.recall(&app)
	hook, known, err := r.hookOf(&app, rec)
	if err != nil {
		return reconcile.Result{}, reconcile.TerminalError(fmt.Errorf("app %s: %w", app.Name, err))
	}
	switch {
	case !known:
		return reconcile.Result{}, nil
	case hook == nil:
		return reconcile.Result{}, r.stop(ctx, &app, rec)
	}
	again, err := r.tell(ctx, &app, rec, hook)
	return reconcile.Result{RequeueAfter: again}, err
}

// tell brings up to date what is to be told, and tells the first of it if that is due.
func (r *reconciler) tell(ctx context.Context, app *v1alpha1.App, rec *record, hook *webhook) (time.Duration, error) {
	now := r.now()
	for _, s := range app.Status.Services {
		if _, seen := rec.crashed[s.Name]; s.Crashing != "" || !seen {
			rec.crashed[s.Name] = now
		}
	}
	var old v1alpha1.NotifyStatus
	if rec.status.Notify != nil {
		old = *rec.status.Notify
	}
	next, again := decide(old, look{
		now: now, app: app.Name, webhook: hook.commitment, news: newsOf(app), services: app.Status.Services, crashed: rec.crashed,
	})
	r.count.ended(old.Messages, next.Messages)
	conditions := rec.status.Conditions
	if given := newlyGivenUp(old.Messages, next.Messages); given != nil {
		conditions = r.condition(app, rec, given, answer{words: "took nothing for a day", final: true}, hook.host)
	}
	// Written before it is told: a restart between the two tells it again under the same id.
	if err := r.save(ctx, app, rec, v1alpha1.AppStatus{Conditions: conditions, Notify: &next}); err != nil {
		return 0, err
	}
	i := first(next.Messages)
	if i < 0 || next.NextTry != nil && r.now().Before(next.NextTry.Time) {
		return again, nil
	}
	m := next.Messages[i]
	a := r.caller.call(ctx, hook.url, message{
		id: m.ID, Type: m.Type, Timestamp: m.At.UTC().Format(time.RFC3339),
		Data: data{App: app.Name, Name: app.Spec.Name, Service: m.Service, Reason: m.Reason, Message: m.Text},
	})
	if ctx.Err() != nil {
		return 0, ctx.Err() // cut short by our own end
	}
	r.count.calls.WithLabelValues(a.result).Inc()
	told := after(*next.DeepCopy(), i, a, r.now(), r.jitter())
	r.count.ended(next.Messages, told.Messages)
	r.log.Info("webhook called", "app", app.Name, "host", hook.host, "message", m.ID, "type", m.Type, "result", a.result, "tries", told.Messages[i].Tries)
	status := v1alpha1.AppStatus{Conditions: r.condition(app, rec, &told.Messages[i], a, hook.host), Notify: &told}
	if err := r.save(ctx, app, rec, status); err != nil {
		return 0, err
	}
	return time.Millisecond, nil // what comes next is for the next look
}

// condition is Notified after a call.
func (r *reconciler) condition(app *v1alpha1.App, rec *record, m *v1alpha1.NotifyMessage, a answer, host string) []metav1.Condition {
	now := r.now().Truncate(time.Second)
	c := metav1.Condition{
		Type: v1alpha1.ConditionNotified, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonRetrying,
		ObservedGeneration: app.Generation, LastTransitionTime: metav1.NewTime(now),
	}
	c.Message = fmt.Sprintf("the webhook at %s %s; %s was tried %d times, last at %s", host, a.words, m.Type, m.Tries, now.UTC().Format(time.RFC3339))
	switch {
	case a.taken:
		c.Status, c.Reason = metav1.ConditionTrue, v1alpha1.ReasonDelivered
		c.Message = fmt.Sprintf("the webhook at %s took %s at %s", host, m.Type, now.UTC().Format(time.RFC3339))
	case m.Outcome != "":
		c.Reason = v1alpha1.ReasonGivenUp
		c.Message += ", and is not tried again"
	}
	if old := meta.FindStatusCondition(rec.status.Conditions, c.Type); old != nil && old.Status == c.Status {
		c.LastTransitionTime = old.LastTransitionTime
	}
	return []metav1.Condition{c}
}

// stop is for an app whose order names no webhook any more.
func (r *reconciler) stop(ctx context.Context, app *v1alpha1.App, rec *record) error {
	if rec.status.Notify == nil {
		return nil
	}
	return r.save(ctx, app, rec, v1alpha1.AppStatus{Conditions: []metav1.Condition{{
		Type: v1alpha1.ConditionNotified, Status: metav1.ConditionUnknown, Reason: v1alpha1.ReasonNoWebhook, Message: "the app file names no webhook any more",
		ObservedGeneration: app.Generation, LastTransitionTime: metav1.NewTime(r.now().Truncate(time.Second)),
	}}})
}

// save writes our part of the status if it says something new. What could not be written is kept, and is written first of all the next time.
func (r *reconciler) save(ctx context.Context, app *v1alpha1.App, rec *record, status v1alpha1.AppStatus) error {
	if !rec.unsaved && reflect.DeepEqual(rec.status, status) {
		return nil
	}
	err := kube.ApplyStatus(ctx, r.client, &v1alpha1.App{
		ObjectMeta: metav1.ObjectMeta{Namespace: app.Namespace, Name: app.Name}, Status: status,
	}, statusOwner)
	rec.status, rec.unsaved = status, err != nil
	return err
}

// recall is what is remembered of an app, or what its status says where nothing is.
func (r *reconciler) recall(app *v1alpha1.App) *record {
	r.mu.Lock()
	defer r.mu.Unlock()
	key := client.ObjectKeyFromObject(app)
	rec := r.kept[key]
	if rec == nil || rec.uid != app.UID {
		rec = &record{uid: app.UID, crashed: map[string]time.Time{}, status: v1alpha1.AppStatus{Notify: app.Status.Notify.DeepCopy()}}
		if c := meta.FindStatusCondition(app.Status.Conditions, v1alpha1.ConditionNotified); c != nil {
			rec.status.Conditions = []metav1.Condition{*c}
		}
		r.kept[key] = rec
	}
	return rec
}

func (r *reconciler) forget(key types.NamespacedName) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.kept, key)
}

// hookOf reads the webhook once for each order.
func (r *reconciler) hookOf(app *v1alpha1.App, rec *record) (*webhook, bool, error) {
	if rec.read == app.Generation {
		return rec.hook, true, nil
	}
	hook, known, err := webhookOf(app)
	if known {
		rec.hook, rec.read = hook, app.Generation
	}
	return hook, known, err
}

// newlyGivenUp is a message that was open before and is given up now, nil without one.
func newlyGivenUp(before, now []v1alpha1.NotifyMessage) *v1alpha1.NotifyMessage {
	for i := range now {
		if now[i].Outcome == v1alpha1.NotifyGivenUp && outcomeOf(before, now[i].ID) == "" {
			return &now[i]
		}
	}
	return nil
}

func outcomeOf(all []v1alpha1.NotifyMessage, id string) v1alpha1.NotifyOutcome {
	for _, m := range all {
		if m.ID == id {
			return m.Outcome
		}
	}
	return ""
}
