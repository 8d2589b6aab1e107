// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/apocryph/apocryph/api/v1alpha1"
	"github.com/apocryph/apocryph/internal/kube"
	"github.com/apocryph/apocryph/internal/manifest"
)

const (
	// statusOwner is this package's name as a writer of App.status.
	statusOwner = "controller"
	// A backstop: what happens in a tenant's namespace rings a bell, see Run.
	resync = 30 * time.Second
	// How soon to try again what fails only because the API server's authorizer is a moment behind.
	rightsRetry = 200 * time.Millisecond
	// How often to look while an app ends.
	endingRetry = time.Second
)

// Reconciler brings one App at a time to what it should be.
type Reconciler struct {
	client client.Client
	cfg    Config
	log    *slog.Logger
	now    func() time.Time
	// listen and forget say whose namespace to watch.
	listen, forget func(namespace string)
}

// Reconcile implements reconcile.Reconciler.
func (r *Reconciler) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	var app v1alpha1.App
	if err := r.client.Get(ctx, req.NamespacedName, &app); err != nil {
		if apierrors.IsNotFound(err) {
			r.forget(v1alpha1.Namespace(req.Name))
		}
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	if app.Status.Phase == v1alpha1.PhaseEnded {
		return r.retire(ctx, &app)
	}
	in := decide(&app, r.cfg.ChainAllowance, r.now())
	var result reconcile.Result
	var err error
	if in.end != "" {
		result, err = r.wind(ctx, &app, in)
	} else {
		result, err = r.run(ctx, &app, in)
	}
	if errors.Is(err, errRights) || apierrors.IsConflict(err) {
		return reconcile.Result{RequeueAfter: rightsRetry}, nil
	}
	return result, err
}

// run builds a verified generation, scales what exists, and reports.
func (r *Reconciler) run(ctx context.Context, app *v1alpha1.App, in intent) (reconcile.Result, error) {
	m, err := manifest.Decode(app.Spec.Manifest)
	if err != nil {
		// The gateway and the keeper checked it, so this is no publisher's mistake; there is nothing to try again.
		r.log.Error("manifest can't be read", "app", app.Name, "error", err)
		return reconcile.Result{}, reconcile.TerminalError(fmt.Errorf("app %s: %w", app.Name, err))
	}
	o := &observed{order: app.Spec.Sequence}
	if in.build && !made(app) {
		if err := r.addFinalizer(ctx, app); err != nil {
			return reconcile.Result{}, err
		}
		r.log.Info("app verified", "app", app.Name, "name", app.Spec.Name, "publisher", app.Spec.Publisher)
	}
	if made(app) {
		if in, err = r.work(ctx, app, in, o); err != nil {
			return reconcile.Result{}, err
		}
	}
	status := report(app, m, in, o, r.cfg, r.now())
	if err := r.writeStatus(ctx, app, status); err != nil {
		return reconcile.Result{}, err
	}
	after := resync
	if !in.recheck.IsZero() {
		after = min(after, max(in.recheck.Sub(r.now()), time.Second))
	}
	return reconcile.Result{RequeueAfter: after}, nil
}

// work makes and scales, and leaves in o what there is afterwards. It returns the intent, which what there is may change: an app does not fall
// asleep over a Job that is at work.
func (r *Reconciler) work(ctx context.Context, app *v1alpha1.App, in intent, o *observed) (intent, error) {
	m, err := manifest.Decode(app.Spec.Manifest)
	if err != nil {
		return in, err
	}
	// What there was before decides whether an update is under way; before the namespace exists there is nothing, and no right to look.
	if err := r.observe(ctx, o, app.Name); apierrors.IsForbidden(err) {
		ns, err := r.namespace(ctx, app.Name)
		if err != nil {
			return in, err
		}
		o.unread = ns != nil
	} else if err != nil {
		return in, err
	}
	if in.build {
		if err := r.build(ctx, app, m, o); err != nil {
			return in, err
		}
	}
	r.listen(v1alpha1.Namespace(app.Name))
	if err := r.observe(ctx, o, app.Name); err != nil {
		if apierrors.IsForbidden(err) {
			return in, fmt.Errorf("%w: %w", errRights, err)
		}
		return in, err
	}
	if err := r.settle(ctx, o); err != nil {
		return in, err
	}
	if in.build {
		if err := r.prove(ctx, app, m, o); err != nil {
			return in, err
		}
	}
	if in.asleep && o.busy() {
		in.replicas = 1
		if in.reason == ReasonScaledDown {
			in.reason, in.message = "", ""
		}
	}
	if err := r.scale(ctx, o, in); err != nil {
		return in, err
	}
	if err := r.clear(ctx, o); err != nil {
		return in, err
	}
	return in, r.carry(ctx, app, m, o)
}

// wind ends an app: reason recorded, pods stopped, volumes deleted, channel settled, namespace deleted.
func (r *Reconciler) wind(ctx context.Context, app *v1alpha1.App, in intent) (reconcile.Result, error) {
	m, err := manifest.Decode(app.Spec.Manifest)
	if err != nil {
		return reconcile.Result{}, reconcile.TerminalError(fmt.Errorf("app %s: %w", app.Name, err))
	}
	if app.Status.EndReason == "" {
		r.log.Info("app ends", "app", app.Name, "reason", string(in.end))
	}
	o := &observed{}
	ns, err := r.namespace(ctx, app.Name)
	if err != nil {
		return reconcile.Result{}, err
	}
	stopped := meta.IsStatusConditionTrue(app.Status.Conditions, v1alpha1.ConditionStopped)
	if ns != nil && stopped && !ns.DeletionTimestamp.IsZero() {
		// Nothing is left to do but wait, and the rights to look went with the namespace's bindings.
		return reconcile.Result{RequeueAfter: endingRetry}, nil
	}
	if ns != nil {
		if err := r.observe(ctx, o, app.Name); err != nil {
			return reconcile.Result{}, err
		}
	}
	status := report(app, m, in, o, r.cfg, r.now())
	settled := meta.IsStatusConditionTrue(app.Status.Conditions, v1alpha1.ConditionSettled)
	if ns == nil && settled {
		status.Phase, status.EndedAt = v1alpha1.PhaseEnded, &metav1.Time{Time: r.now().Truncate(time.Second)}
		r.forget(v1alpha1.Namespace(app.Name))
		r.log.Info("app ended", "app", app.Name, "reason", string(in.end))
	}
	// The reason is on record before the first thing is taken down.
	if err := r.writeStatus(ctx, app, status); err != nil {
		return reconcile.Result{}, err
	}
	if ns != nil {
		if err := r.takeDown(ctx, ns, o, settled); err != nil {
			return reconcile.Result{}, err
		}
	}
	return reconcile.Result{RequeueAfter: endingRetry}, nil
}

// takeDown does the next step that what it sees allows.
func (r *Reconciler) takeDown(ctx context.Context, ns *corev1.Namespace, o *observed, settled bool) error {
	if err := r.scale(ctx, o, intent{}); err != nil {
		return err
	}
	if err := r.removeJobs(ctx, slices.Concat(o.jobs, o.fills, o.carries), func(*batchv1.Job) bool { return false }); err != nil {
		return err
	}
	if o.refused != nil {
		return fmt.Errorf("taking the pods away: %v", o.refused)
	}
	if !o.stopped() {
		return nil
	}
	var claims corev1.PersistentVolumeClaimList
	if err := r.client.List(ctx, &claims, client.InNamespace(ns.Name)); err != nil {
		return fmt.Errorf("listing volumes: %w", err)
	}
	for i := range claims.Items {
		if !claims.Items[i].DeletionTimestamp.IsZero() {
			continue
		}
		if err := r.remove(ctx, &claims.Items[i]); err != nil {
			return err
		}
	}
	// A claim that is still there waits for the meter, which loses its rights with the namespace's bindings.
	if !settled || len(claims.Items) > 0 || !ns.DeletionTimestamp.IsZero() {
		return nil
	}
	return r.remove(ctx, ns)
}

// namespace returns the app's namespace, or nil when the API server says that there is none.
func (r *Reconciler) namespace(ctx context.Context, app string) (*corev1.Namespace, error) {
	ns := &corev1.Namespace{}
	err := r.client.Get(ctx, client.ObjectKey{Name: v1alpha1.Namespace(app)}, ns)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	return ns, err
}

// retire deletes an ended App once its bill has been readable for long enough.
func (r *Reconciler) retire(ctx context.Context, app *v1alpha1.App) (reconcile.Result, error) {
	if app.DeletionTimestamp.IsZero() {
		if app.Status.EndedAt != nil {
			if left := app.Status.EndedAt.Add(r.cfg.Retention).Sub(r.now()); left > 0 {
				return reconcile.Result{RequeueAfter: left}, nil
			}
		}
		if err := r.remove(ctx, app); err != nil {
			return reconcile.Result{}, err
		}
	}
	patch, held := client.MergeFrom(app.DeepCopy()), len(app.Finalizers)
	app.Finalizers = slices.DeleteFunc(app.Finalizers, func(f string) bool {
		return f == v1alpha1.FinalizerApp || f == v1alpha1.FinalizerChannel
	})
	if len(app.Finalizers) < held {
		if err := r.client.Patch(ctx, app, patch); client.IgnoreNotFound(err) != nil {
			return reconcile.Result{}, fmt.Errorf("letting app %s go: %w", app.Name, err)
		}
	}
	return reconcile.Result{}, nil
}

func (r *Reconciler) addFinalizer(ctx context.Context, app *v1alpha1.App) error {
	patch := client.MergeFromWithOptions(app.DeepCopy(), client.MergeFromWithOptimisticLock{})
	controllerutil.AddFinalizer(app, v1alpha1.FinalizerApp)
	if err := r.client.Patch(ctx, app, patch); err != nil {
		return fmt.Errorf("adding the finalizer to app %s: %w", app.Name, err)
	}
	return nil
}

func (r *Reconciler) writeStatus(ctx context.Context, app *v1alpha1.App, status v1alpha1.AppStatus) error {
	return kube.ApplyStatus(ctx, r.client, &v1alpha1.App{
		ObjectMeta: metav1.ObjectMeta{Namespace: app.Namespace, Name: app.Name}, Status: status,
	}, statusOwner)
}
