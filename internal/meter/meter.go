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
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/apocryph/apocryph/api/v1alpha1"
	"github.com/apocryph/apocryph/internal/kube"
)

// leases is where kubelets renew their heartbeats.
const leases = "kube-node-lease"

// errUnheard says that no heartbeat could be read for a while, so that an end could not be told from a clock that jumped.
var errUnheard = errors.New("machines' heartbeats are unknown")

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
}

// New returns a meter for the apps of a system namespace, which accrues once per tick.
func New(c client.WithWatch, namespace string, tick time.Duration, log *slog.Logger) *Meter {
	return &Meter{client: c, namespace: namespace, tick: tick, log: log, now: time.Now, gauges: newGauges()}
}

// Run keeps accounts until ctx ends: all of them once per tick, and one at once when a pod or claim of its app changes.
func (m *Meter) Run(ctx context.Context) error {
	rung := newBox()
	bell := kube.NewBell(m.client, rung.put, &corev1.PodList{}, &corev1.PersistentVolumeClaimList{})
	var all sync.WaitGroup
	defer all.Wait()
	all.Go(func() { _ = bell.Run(ctx) })
	all.Go(func() { m.listen(ctx, rung.put) })
	ticker := time.NewTicker(m.tick)
	defer ticker.Stop()
	for {
		if err := m.round(ctx, bell); err != nil && ctx.Err() == nil {
			m.log.Warn("round ended early", "error", err)
		}
		for again := true; again; {
			select {
			case <-ctx.Done():
				return nil
			case <-ticker.C:
				again = false
			case <-rung.more:
				for _, ns := range rung.take() {
					if app, ok := v1alpha1.AppOf(ns); ok {
						m.keep(ctx, app, false)
					}
				}
			}
		}
	}
}

// round keeps every account once.
func (m *Meter) round(ctx context.Context, bell *kube.Bell) error {
	if err := m.hear(ctx); err != nil {
		return err
	}
	reported, err := m.readTraffic(ctx)
	if err != nil {
		return err
	}
	var apps v1alpha1.AppList
	if err := m.client.List(ctx, &apps, client.InNamespace(m.namespace)); err != nil {
		return fmt.Errorf("listing apps: %w", err)
	}
	known := map[string]bool{}
	for _, app := range apps.Items {
		known[app.Name] = true
		if !accountable(&app) {
			continue
		}
		if app.Status.Phase == v1alpha1.PhaseEnded {
			bell.Forget(ctx, v1alpha1.Namespace(app.Name))
		} else {
			bell.Listen(ctx, v1alpha1.Namespace(app.Name))
		}
		m.keep(ctx, app.Name, true)
	}
	for _, gone := range m.gauges.forgetAllBut(known) {
		bell.Forget(ctx, v1alpha1.Namespace(gone))
		m.traffic.wait(gone, false)
	}
	return m.dropTraffic(ctx, reported)
}

// accountable reports whether there is something to write down about an app: what was made for it, or, at its end, that nothing was, which
// is what settles its channel.
func accountable(app *v1alpha1.App) bool {
	return slices.Contains(app.Finalizers, v1alpha1.FinalizerApp) || app.Status.EndReason != ""
}

// listen follows heartbeats until ctx ends, however long accounts take, and has apps looked at whose pods wait for what their machine's agent says.
func (m *Meter) listen(ctx context.Context, ring func(namespace string)) {
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
			if err := m.lookAtTraffic(ctx, ring); err != nil && ctx.Err() == nil {
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

// keep brings one account up to date; what fails is tried again in the next round, and nothing is lost meanwhile.
func (m *Meter) keep(ctx context.Context, app string, due bool) {
	if err := m.account(ctx, app, due); err != nil && ctx.Err() == nil && !apierrors.IsConflict(err) {
		m.log.Warn("account not kept", "app", app, "error", err)
	}
}

// account brings one account up to date. It writes how far open intervals have come only when a billing tick is due.
func (m *Meter) account(ctx context.Context, name string, due bool) error {
	key := client.ObjectKey{Namespace: m.namespace, Name: name}
	var app v1alpha1.App
	if err := m.client.Get(ctx, key, &app); err != nil {
		return client.IgnoreNotFound(err)
	}
	// The account is read before what it is about: a UID that it holds and that is not seen then is gone.
	u, err := m.usage(ctx, &app)
	if err != nil {
		return err
	}
	m.gauges.set(name, u.Status)
	if u.Status.Final && app.Status.Phase == v1alpha1.PhaseEnded {
		return nil // its namespace is gone
	}
	seen, objects, err := m.observe(ctx, &app)
	if u.Status.Final && apierrors.IsForbidden(err) {
		return nil // the rights go before the namespace does, and nothing is left to count
	}
	if err != nil {
		return err
	}
	if seen.Reports, err = m.reportsOf(ctx, name, u.Status, seen.Stopped); err != nil {
		return err
	}
	next, release, err := Next(u.Status, seen, m.now())
	if err != nil {
		return fmt.Errorf("reading the account: %w", err)
	}
	if moved(u.Status, next) || (due && !equality.Semantic.DeepEqual(u.Status, next)) {
		u.Status = next
		if err := m.client.Status().Update(ctx, u); err != nil {
			return fmt.Errorf("writing the account: %w", err)
		}
		if next.Final {
			m.log.Info("account closed", "app", name, "cpu", next.Totals.CPUMilliSeconds)
		}
	}
	m.gauges.set(name, next)
	m.traffic.wait(name, waits(next, seen.Pods, release))
	return m.letGo(ctx, objects, release)
}

// usage returns the account of an app, opening it the first time. It goes with the App.
func (m *Meter) usage(ctx context.Context, app *v1alpha1.App) (*v1alpha1.Usage, error) {
	u := &v1alpha1.Usage{}
	err := m.client.Get(ctx, client.ObjectKeyFromObject(app), u)
	if !apierrors.IsNotFound(err) {
		return u, err
	}
	u = &v1alpha1.Usage{ObjectMeta: metav1.ObjectMeta{Namespace: app.Namespace, Name: app.Name}}
	u.OwnerReferences = []metav1.OwnerReference{{
		APIVersion: v1alpha1.SchemeGroupVersion().String(), Kind: "App", Name: app.Name, UID: app.UID,
	}}
	if err := m.client.Create(ctx, u); err != nil {
		return nil, fmt.Errorf("opening the account: %w", err)
	}
	return u, nil
}

// observe reads what there is of an app, from the API server itself.
func (m *Meter) observe(ctx context.Context, app *v1alpha1.App) (Observed, []client.Object, error) {
	heard, fresh := m.pulse.latest(m.now())
	if !fresh {
		return Observed{}, nil, errUnheard
	}
	o := Observed{
		Heard:   heard,
		Stopped: app.Status.EndReason != "" && meta.IsStatusConditionTrue(app.Status.Conditions, v1alpha1.ConditionStopped),
	}
	in := client.InNamespace(v1alpha1.Namespace(app.Name))
	var pods corev1.PodList
	var claims corev1.PersistentVolumeClaimList
	for _, list := range []client.ObjectList{&pods, &claims} {
		err := m.client.List(ctx, list, in)
		if apierrors.IsForbidden(err) && m.hasNoNamespace(ctx, app.Name) {
			return o, nil, nil
		}
		if err != nil {
			return Observed{}, nil, fmt.Errorf("listing %T: %w", list, err)
		}
	}
	o.Pods, o.Claims = pods.Items, claims.Items
	var all []client.Object
	for i := range pods.Items {
		all = append(all, &pods.Items[i])
	}
	for i := range claims.Items {
		all = append(all, &claims.Items[i])
	}
	return o, all, nil
}

// hasNoNamespace tells rights that went with the namespace, or are yet to come with it, from rights that are missing: only the API
// server's word that there is no namespace means that there is nothing in it.
func (m *Meter) hasNoNamespace(ctx context.Context, app string) bool {
	return apierrors.IsNotFound(m.client.Get(ctx, client.ObjectKey{Name: v1alpha1.Namespace(app)}, &corev1.Namespace{}))
}

// letGo takes the finalizer off what is written down.
func (m *Meter) letGo(ctx context.Context, objects []client.Object, release []types.UID) error {
	var errs []error
	for _, obj := range objects {
		if !slices.Contains(release, obj.GetUID()) {
			continue
		}
		before, ok := obj.DeepCopyObject().(client.Object)
		if !ok || !controllerutil.RemoveFinalizer(obj, v1alpha1.FinalizerMeter) {
			continue
		}
		// With the resource version, so that a list of finalizers that somebody else changed is not overwritten.
		patch := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
		if err := m.client.Patch(ctx, obj, patch); client.IgnoreNotFound(err) != nil {
			errs = append(errs, fmt.Errorf("letting %s go: %w", obj.GetName(), err))
		}
	}
	return errors.Join(errs...)
}

// box holds the namespaces that were rung for and not yet looked at.
type box struct {
	more chan struct{}

	mu  sync.Mutex
	all []string
}

func newBox() *box { return &box{more: make(chan struct{}, 1)} }

func (b *box) put(namespace string) {
	b.mu.Lock()
	if !slices.Contains(b.all, namespace) {
		b.all = append(b.all, namespace)
	}
	b.mu.Unlock()
	select {
	case b.more <- struct{}{}:
	default:
	}
}

func (b *box) take() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := b.all
	b.all = nil
	return all
}
