// SPDX-License-Identifier: Apache-2.0

package meter

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/apocryph/apocryph/api/v1alpha1"
)

// leases is where kubelets renew their heartbeats.
const leases = "kube-node-lease"

// errUnheard says that no heartbeat could be read for a while, so that an end could not be told from a clock that jumped.
var errUnheard = errors.New("machines' heartbeats are unknown")

// workers are how many apps are looked at at a time: each waits for the API server most of the time.
const workers = 16

const (
	// gather is for how long news of an app are gathered before it is looked at: what begins or ends together is written at once.
	gather = 200 * time.Millisecond
	// retry is when an app is looked at again that could not be, or whose watch ended at once.
	retry = 5 * time.Second
	// apart is how far apart apps are looked at in a tick, or closer if that is too short for all.
	apart = 20 * time.Millisecond
)

// Meter keeps the accounts of all apps.
type Meter struct {
	client    client.WithWatch
	namespace string
	tick      time.Duration
	log       *slog.Logger
	now       func() time.Time
	gauges    *gauges
	pulse     pulse
	traffic   traffic
	queue     workqueue.TypedDelayingInterface[string]

	all     sync.WaitGroup // goroutines of Run
	mu      sync.Mutex
	books   map[string]*book
	watched bool // apps are
}

// New returns a meter for the apps of a system namespace, which accrues once per tick.
func New(c client.WithWatch, namespace string, tick time.Duration, log *slog.Logger) *Meter {
	return &Meter{client: c, namespace: namespace, tick: tick, log: log, now: time.Now, gauges: newGauges(), books: map[string]*book{}}
}

// Run keeps accounts until ctx ends: once per tick each, of all that is listed then, and between of what watches tell. It is called once.
func (m *Meter) Run(ctx context.Context) error {
	m.queue = workqueue.NewTypedDelayingQueue[string]()
	defer m.all.Wait()
	defer m.queue.ShutDown()
	for range workers {
		m.all.Go(func() { m.work(ctx) })
	}
	m.all.Go(func() { m.listen(ctx) })
	ticker := time.NewTicker(m.tick)
	defer ticker.Stop()
	for first := true; ; first = false {
		spread := m.tick * 4 / 5
		if first {
			spread = 0
		}
		if err := m.round(ctx, spread); err != nil && ctx.Err() == nil {
			m.log.Warn("round ended early", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// work looks at one app after the other.
func (m *Meter) work(ctx context.Context) {
	for {
		app, over := m.queue.Get()
		if over {
			return
		}
		m.keep(ctx, app)
		m.queue.Done(app)
	}
}

// round has every account kept once, spread over some time.
func (m *Meter) round(ctx context.Context, spread time.Duration) error {
	if err := m.hear(ctx); err != nil {
		return err
	}
	reported, err := m.readTraffic(ctx)
	if err != nil {
		return err
	}
	known := m.known()
	var apps v1alpha1.AppList
	if err := m.client.List(ctx, &apps, client.InNamespace(m.namespace)); err != nil {
		return fmt.Errorf("listing apps: %w", err)
	}
	gap := min(apart, spread/time.Duration(max(1, len(apps.Items))))
	for i := range apps.Items {
		app := &apps.Items[i]
		delete(known, app.Name)
		if !accountable(app) {
			continue
		}
		m.learn(ctx, app, true)
		m.queue.AddAfter(app.Name, time.Duration(i)*gap)
	}
	for gone := range known {
		m.forget(gone)
	}
	m.watchApps(ctx, &apps)
	return m.dropTraffic(ctx, reported)
}

// known are the apps that there are books of.
func (m *Meter) known() map[string]bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := map[string]bool{}
	for name := range m.books {
		all[name] = true
	}
	return all
}

// learn takes in what an App says, and reports whether that is news. All that there is of it is listed if so, or if it is due.
func (m *Meter) learn(ctx context.Context, app *v1alpha1.App, due bool) bool {
	m.mu.Lock()
	b := m.books[app.Name]
	if b == nil {
		b = &book{}
		b.watches, b.stop = context.WithCancel(ctx)
		m.books[app.Name] = b
	}
	m.mu.Unlock()
	b.mu.Lock()
	defer b.mu.Unlock()
	is := factsOf(app)
	news := b.app != is
	b.app, b.whole = is, b.whole || news || due
	return news
}

// forget drops all that is known of an app that is gone.
func (m *Meter) forget(name string) {
	m.mu.Lock()
	b := m.books[name]
	delete(m.books, name)
	m.mu.Unlock()
	if b != nil {
		b.stop()
	}
	m.gauges.forget(name)
	m.traffic.wait(name, false)
}

func (m *Meter) book(name string) *book {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.books[name]
}

// watchApps has apps looked at once they say something new, from what a list of them had on, unless that is so already.
func (m *Meter) watchApps(ctx context.Context, listed *v1alpha1.AppList) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.watched {
		return
	}
	m.watched = true
	m.all.Go(func() {
		m.watch(ctx, &v1alpha1.AppList{}, m.namespace, listed.ResourceVersion, func(e watch.Event) {
			app, ok := e.Object.(*v1alpha1.App)
			switch {
			case !ok:
			case e.Type == watch.Deleted:
				m.forget(app.Name)
			case accountable(app) && m.learn(ctx, app, false):
				m.queue.Add(app.Name)
			}
		})
		m.mu.Lock()
		defer m.mu.Unlock()
		m.watched = false
	})
}

// watch passes on what changes in a namespace until the watch ends.
func (m *Meter) watch(ctx context.Context, kind client.ObjectList, namespace, from string, tell func(watch.Event)) {
	w, err := m.client.Watch(ctx, kind, client.InNamespace(namespace), &client.ListOptions{Raw: &metav1.ListOptions{ResourceVersion: from}})
	if err != nil {
		return // what is listed next begins another
	}
	defer w.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case e, ok := <-w.ResultChan():
			if !ok || e.Type == watch.Error {
				return
			}
			tell(e)
		}
	}
}

// follow watches what was listed of an app, from that list on, unless that is so already. The caller has the book's lock.
func (m *Meter) follow(name string, b *book, t *told, kind client.ObjectList) {
	if t.watched {
		return
	}
	t.watched = true
	from, began := t.listed, time.Now()
	m.all.Go(func() {
		m.watch(b.watches, kind, v1alpha1.Namespace(name), from, func(e watch.Event) {
			b.mu.Lock()
			defer b.mu.Unlock()
			if t.hear(e) {
				m.queue.AddAfter(name, gather)
			}
		})
		// What it missed since is for a list to tell.
		b.mu.Lock()
		t.watched = false
		b.mu.Unlock()
		if time.Since(began) < retry {
			m.again(name, b, retry)
		} else {
			m.again(name, b, gather)
		}
	})
}

// accountable reports whether there is something to write down about an app: what was made for it, or, at its end, that nothing was, which
// is what settles its channel.
func accountable(app *v1alpha1.App) bool {
	return slices.Contains(app.Finalizers, v1alpha1.FinalizerApp) || app.Status.EndReason != ""
}

// listen follows heartbeats until ctx ends, however long accounts take, and has apps looked at whose pods wait for what their machine's agent says.
func (m *Meter) listen(ctx context.Context) {
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			if err := m.hear(ctx); err != nil && ctx.Err() == nil {
				m.log.Warn("heartbeats not heard", "error", err)
			}
			if err := m.lookAtTraffic(ctx); err != nil && ctx.Err() == nil {
				m.log.Warn("reporters not read", "error", err)
			}
		}
	}
}

// hear reads heartbeats once.
func (m *Meter) hear(ctx context.Context) error {
	var list coordinationv1.LeaseList
	if err := m.client.List(ctx, &list, client.InNamespace(leases)); err != nil {
		return fmt.Errorf("listing heartbeats: %w", err)
	}
	beats := map[string]time.Time{}
	for _, l := range list.Items {
		if l.Spec.RenewTime != nil {
			beats[l.Name] = l.Spec.RenewTime.Time
		}
	}
	ready := map[string]time.Time{}
	if !m.pulse.knows(beats, m.now()) {
		var err error
		if ready, err = m.readySince(ctx); err != nil {
			return err
		}
	}
	now := m.now()
	m.pulse.hear(beats, ready, now, now)
	return nil
}

// readySince returns since when Kubernetes has called each machine ready, of those that it calls so.
func (m *Meter) readySince(ctx context.Context) (map[string]time.Time, error) {
	var nodes corev1.NodeList
	if err := m.client.List(ctx, &nodes); err != nil {
		return nil, fmt.Errorf("listing machines: %w", err)
	}
	ready := map[string]time.Time{}
	for _, n := range nodes.Items {
		for _, c := range n.Status.Conditions {
			if c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue {
				ready[n.Name] = c.LastTransitionTime.Time
			}
		}
	}
	return ready, nil
}

// keep brings one account up to date; if that fails, all there is of the app is looked at again, and nothing is lost meanwhile.
func (m *Meter) keep(ctx context.Context, name string) {
	b := m.book(name)
	if b == nil {
		return
	}
	err := m.look(ctx, name, b)
	if err == nil || ctx.Err() != nil {
		return
	}
	again := retry
	if apierrors.IsConflict(err) { // somebody else wrote, which is no failure
		again = gather
	} else {
		m.log.Warn("account not kept", "app", name, "error", err)
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
		b.stop()
		return nil // its namespace is gone
	}
	// The account is read before what it is about: a UID that it holds and that is not seen then is gone.
	if whole {
		if err := m.read(ctx, name, b, app.uid); err != nil || b.account == nil {
			return err
		}
	}
	heard, fresh := m.pulse.latest(m.now())
	if !fresh {
		return errUnheard
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
	if whole && !b.watched() && !next.Final {
		m.again(name, b, retry) // its namespace is yet to come
	}
	return m.letGo(ctx, seen, release)
}

// read reads an app's account.
func (m *Meter) read(ctx context.Context, name string, b *book, app types.UID) error {
	u, err := m.usage(ctx, name, app)
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
	m.follow(name, b, &b.pods, &corev1.PodList{})
	m.follow(name, b, &b.claims, &corev1.PersistentVolumeClaimList{})
	return Observed{Pods: pods.Items, Claims: claims.Items}, nil
}

// hasNoNamespace tells rights that went with the namespace, or are yet to come with it, from rights that are missing: only the API
// server's word that there is no namespace means that there is nothing in it.
func (m *Meter) hasNoNamespace(ctx context.Context, app string) bool {
	return apierrors.IsNotFound(m.client.Get(ctx, client.ObjectKey{Name: v1alpha1.Namespace(app)}, &corev1.Namespace{}))
}

// letGo takes the finalizer off what is written down.
func (m *Meter) letGo(ctx context.Context, seen Observed, release []types.UID) error {
	var errs []error
	for obj := range seen.objects() {
		if !slices.Contains(release, obj.GetUID()) {
			continue
		}
		before, ok := obj.DeepCopyObject().(client.Object)
		if !ok || !controllerutil.RemoveFinalizer(obj, v1alpha1.FinalizerMeter) {
			continue
		}
		// With the resource version, so that a list of finalizers that somebody else changed is not overwritten.
		patch := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
		if err := m.client.Patch(ctx, obj, patch); client.IgnoreNotFound(err) != nil && !apierrors.IsConflict(err) { // of what changed meanwhile there is news
			errs = append(errs, fmt.Errorf("letting %s go: %w", obj.GetName(), err))
		}
	}
	return errors.Join(errs...)
}
