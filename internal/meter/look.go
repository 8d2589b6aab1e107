// SPDX-License-Identifier: Apache-2.0

package meter

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/apocryph/apocryph/api/v1alpha1"
)

// errUnheard says that no heartbeat could be read for a while, so that an end could not be told from a clock that jumped.
var errUnheard = errors.New("machines' heartbeats are unknown")

// errFormer says that there still is the account of an app that had the name before.
var errFormer = errors.New("the account of an app of the same name is not gone yet")

// keep brings one account up to date; if that fails, all there is of the app is looked at again, and nothing is lost meanwhile.
func (m *Meter) keep(ctx context.Context, name string) {
	b := m.book(name)
	if b == nil {
		return
	}
	err := m.look(ctx, name, b)
	if m.book(name) != b { // the app went meanwhile
		m.gauges.forget(name)
		m.traffic.wait(name, false)
		return
	}
	if err == nil || ctx.Err() != nil {
		b.failures, b.warned = 0, time.Time{}
		return
	}
	m.traffic.wait(name, false)
	b.failures++
	again := backOff(b.failures)
	switch {
	case apierrors.IsConflict(err): // somebody else wrote, which is no failure
		again = gather
	case apierrors.IsForbidden(err) && time.Since(b.opened) < attention: // its namespace is there, and the rights in it are yet to come
		again = 5 * gather
	case time.Since(b.warned) > warnEvery:
		m.log.Warn("account not kept", "app", name, "error", err)
		b.warned = time.Now()
	}
	b.account = nil
	m.again(name, b, again)
}

// again has all that there is of an app looked at a while later.
func (m *Meter) again(name string, b *book, later time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.whole = true
	m.queue.AddAfter(name, wait.Jitter(later, 1))
}

// look brings one account up to date: after a list by all there is, else by what watches told since. How far open intervals have come is only
// written after a list.
func (m *Meter) look(ctx context.Context, name string, b *book) error {
	b.mu.Lock()
	app, whole := b.app, b.whole || b.account == nil
	b.whole = false
	b.mu.Unlock()
	if b.account != nil && b.account.Status.Final && app.ended {
		b.close()
		return nil // its namespace is gone
	}
	heard, fresh := m.pulse.latest(m.now())
	if !fresh {
		return errUnheard
	}
	// The account is read before what it is about: a UID that it holds and that is not seen then is gone.
	if whole {
		if err := m.read(ctx, name, b); err != nil || b.account == nil {
			return err
		}
	}
	var seen Observed
	var err error
	if whole {
		seen, err = m.observe(ctx, name, b)
	} else {
		seen = b.news()
		if seen.empty() {
			return nil
		}
	}
	was := b.account.Status
	if was.Final && apierrors.IsForbidden(err) {
		return nil // the rights go before the namespace does, and nothing is left to count
	}
	if err != nil {
		return err
	}
	seen.Heard, seen.Stopped = heard, app.stopped
	if seen.Reports, err = m.reportsOf(ctx, name, b, seen); err != nil {
		return err
	}
	next, release, err := Next(was, seen, m.now())
	if err != nil {
		return fmt.Errorf("reading the account: %w", err)
	}
	if err := m.write(ctx, name, b, next, whole); err != nil {
		return err
	}
	m.traffic.wait(name, b.again(seen, next, release))
	switch {
	case whole && !b.watched() && !next.Final:
		m.again(name, b, retry) // its namespace is yet to come
	case !whole && (undecided(seen, next, release) || app.stopped && len(next.Open)+len(next.ClosedUIDs) == 0):
		m.again(name, b, gather) // what news can't decide
	}
	return m.letGo(ctx, seen, release)
}

// undecided reports whether there are news of something that is being deleted and that the account does not know: it may have been written by somebody
// else since it was read.
func undecided(o Observed, s v1alpha1.UsageStatus, release []types.UID) bool {
	for obj := range o.objects() {
		known := func(in v1alpha1.Interval) bool { return in.UID == string(obj.GetUID()) }
		if guarded(obj) && !obj.GetDeletionTimestamp().IsZero() && !slices.Contains(release, obj.GetUID()) &&
			!slices.ContainsFunc(s.Open, known) && !slices.Contains(s.ClosedUIDs, string(obj.GetUID())) {
			return true
		}
	}
	return false
}

// read reads an app's account.
func (m *Meter) read(ctx context.Context, name string, b *book) error {
	u, err := m.usage(ctx, name, b.uid)
	if err != nil || u == nil {
		b.account = nil
		return err
	}
	if b.account == nil || !follows(u.Status, b.account.Status) {
		b.since = m.traffic.begun()
	}
	b.account = u
	m.gauges.set(name, u.Status)
	return nil
}

// follows reports whether nobody else counted anything between two states of an account, or forgot a counter that the former has.
func follows(is, was v1alpha1.UsageStatus) bool {
	return equality.Semantic.DeepEqual(is.Totals, was.Totals) && !slices.ContainsFunc(was.Counters, func(c v1alpha1.Counted) bool { return !slices.Contains(is.Counters, c) })
}

// write stores the account if it says something that can't wait, or anything new after a list.
func (m *Meter) write(ctx context.Context, name string, b *book, next v1alpha1.UsageStatus, whole bool) error {
	if moved(b.account.Status, next) || (whole && !equality.Semantic.DeepEqual(b.account.Status, next)) {
		u := b.account.DeepCopy()
		u.Status = next
		if err := m.client.Status().Update(ctx, u); err != nil {
			return fmt.Errorf("writing the account: %w", err)
		}
		b.account = u
		if next.Final {
			m.log.Info("account closed", "app", name, "cpu", next.Totals.CPUMilliSeconds)
		}
	}
	b.account.Status = next // what may be forgotten is, though it is not written yet
	m.gauges.set(name, next)
	return nil
}

// usage returns the account of an app, opening it the first time; nil if there is no such app any more, with which it goes.
func (m *Meter) usage(ctx context.Context, name string, uid types.UID) (*v1alpha1.Usage, error) {
	key := client.ObjectKey{Namespace: m.namespace, Name: name}
	u := &v1alpha1.Usage{}
	err := m.client.Get(ctx, key, u)
	if err == nil && len(u.OwnerReferences) > 0 && u.OwnerReferences[0].UID != uid {
		return nil, errFormer
	}
	if !apierrors.IsNotFound(err) {
		return u, err
	}
	var app v1alpha1.App
	if err := m.client.Get(ctx, key, &app); err != nil || app.UID != uid {
		return nil, client.IgnoreNotFound(err)
	}
	u = &v1alpha1.Usage{ObjectMeta: metav1.ObjectMeta{Namespace: m.namespace, Name: name}}
	u.OwnerReferences = []metav1.OwnerReference{{APIVersion: v1alpha1.SchemeGroupVersion().String(), Kind: "App", Name: name, UID: uid}}
	if err := m.client.Create(ctx, u); err != nil {
		return nil, fmt.Errorf("opening the account: %w", err)
	}
	// What front doors counted before is that of an app that had the name before.
	if _, err := m.readTraffic(ctx); err != nil {
		return nil, err
	}
	if u.Status.Counters = m.traffic.doors(name); len(u.Status.Counters) > 0 {
		if err := m.client.Status().Update(ctx, u); err != nil {
			return nil, fmt.Errorf("opening the account: %w", err)
		}
	}
	return u, nil
}

// observe lists what there is of an app, from the API server itself, and has it watched from there on.
func (m *Meter) observe(ctx context.Context, name string, b *book) (Observed, error) {
	in := client.InNamespace(v1alpha1.Namespace(name))
	var pods corev1.PodList
	var claims corev1.PersistentVolumeClaimList
	for _, list := range []client.ObjectList{&pods, &claims} {
		err := m.client.List(ctx, list, in)
		if apierrors.IsForbidden(err) && m.hasNoNamespace(ctx, name) {
			b.unhear()
			return Observed{}, nil
		}
		if err != nil {
			return Observed{}, fmt.Errorf("listing %T: %w", list, err)
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.pods.list(pods.ResourceVersion)
	b.claims.list(claims.ResourceVersion)
	m.follow(name, b, b.pods, &corev1.PodList{})                     //nolint:contextcheck // it outlives this look
	m.follow(name, b, b.claims, &corev1.PersistentVolumeClaimList{}) //nolint:contextcheck // it outlives this look
	return Observed{Pods: pods.Items, Claims: claims.Items}, nil
}

// hasNoNamespace tells rights that went with the namespace, or are yet to come with it, from rights that are missing: only the API
// server's word that there is no namespace means that there is nothing in it.
func (m *Meter) hasNoNamespace(ctx context.Context, app string) bool {
	return apierrors.IsNotFound(m.client.Get(ctx, client.ObjectKey{Name: v1alpha1.Namespace(app)}, &corev1.Namespace{}))
}

// letGo takes the finalizer off what is written down.
func (m *Meter) letGo(ctx context.Context, seen Observed, release []types.UID) error {
	var some errgroup.Group // what fails holds up nothing else
	some.SetLimit(lettingGo)
	for obj := range seen.objects() {
		if slices.Contains(release, obj.GetUID()) {
			some.Go(func() error { return m.release(ctx, obj) })
		}
	}
	return some.Wait()
}

func (m *Meter) release(ctx context.Context, obj client.Object) error {
	before, ok := obj.DeepCopyObject().(client.Object)
	if !ok || !controllerutil.RemoveFinalizer(obj, v1alpha1.FinalizerMeter) {
		return nil
	}
	// With the resource version, so that a list of finalizers that somebody else changed is not overwritten. Of what changed there is news.
	patch := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
	if err := m.client.Patch(ctx, obj, patch); client.IgnoreNotFound(err) != nil && !apierrors.IsConflict(err) {
		return fmt.Errorf("letting %s go: %w", obj.GetName(), err)
	}
	return nil
}
