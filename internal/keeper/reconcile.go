// SPDX-License-Identifier: Apache-2.0

package keeper

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrlcontroller "sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/apocryph/apocryph/api/v1alpha1"
	"github.com/apocryph/apocryph/internal/kube"
)

const (
	// statusOwner is this package's name as a writer of statuses.
	statusOwner = "keeper"
	workers     = 4
	maxMessage  = 1024
)

// Run verifies apps and signs vouchers until ctx ends.
func (k *Keeper) Run(ctx context.Context, rc *rest.Config) error {
	mgr, err := ctrl.NewManager(rc, ctrl.Options{
		Scheme:  kube.Scheme(),
		Logger:  logr.FromSlogHandler(k.log.Handler()),
		Metrics: server.Options{BindAddress: "0"}, // Metrics serves them
		Cache:   cache.Options{DefaultNamespaces: map[string]cache.Config{k.cfg.Namespace: {}}},
	})
	if err != nil {
		return fmt.Errorf("making the keeper's manager: %w", err)
	}
	err = ctrl.NewControllerManagedBy(mgr).
		Named(statusOwner).
		For(&v1alpha1.App{}).
		Watches(&v1alpha1.Usage{}, &handler.EnqueueRequestForObject{}). // it has the App's name
		WithOptions(ctrlcontroller.Options{MaxConcurrentReconciles: workers}).
		Complete(&reconciler{Keeper: k, client: mgr.GetClient()})
	if err != nil {
		return fmt.Errorf("making the keeper's reconciler: %w", err)
	}
	return mgr.Start(ctx)
}

// reconciler brings the keeper's part of one App and its Usage up to date. It may read a little behind the API server: what it signed
// itself it remembers.
type reconciler struct {
	*Keeper
	client client.Client
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
	u := &v1alpha1.Usage{}
	if err := r.client.Get(ctx, req.NamespacedName, u); err != nil {
		if !apierrors.IsNotFound(err) {
			return reconcile.Result{}, err
		}
		u = nil
	}
	refused := r.judge(&app, u)
	if err := r.writeVerdict(ctx, &app, refused, r.letTransfer(&app)); err != nil {
		return reconcile.Result{}, err
	}
	return r.bill(ctx, &app, u)
}

// judge verifies a generation once and remembers the verdict.
func (r *reconciler) judge(app *v1alpha1.App, u *v1alpha1.Usage) error {
	m := r.recall(app.Name)
	if m.uid == app.UID && m.generation == app.Generation && (m.order != nil || m.refused != nil) {
		return m.refused
	}
	got, err := verify(r.own(), app)
	if err == nil {
		err = checkMemory(m, u, got)
	}
	if err == nil && u != nil {
		if _, bad := r.book(m, got.row(), u.Status); bad != nil {
			err = &refusal{ReasonChannelChanged, bad}
		}
	}
	reason := ReasonVerified
	if err != nil {
		reason = reasonOf(err)
		r.log.Warn("app refused", "app", app.Name, "generation", app.Generation, "reason", reason, "error", err)
	} else {
		r.log.Info("app verified", "app", app.Name, "generation", app.Generation, "channel", got.channel, "stop", len(app.Spec.Stop) > 0)
	}
	r.count.verdicts.WithLabelValues(reason).Inc()
	r.remember(app.Name, func(m *memory) {
		m.uid, m.generation, m.refused = app.UID, app.Generation, err
		if err == nil {
			m.order = got
		}
	})
	return err
}

func reasonOf(err error) string {
	if r := new(refusal); errors.As(err, &r) {
		return r.reason
	}
	return ReasonStatementInvalid
}

// letTransfer decides on the transfers that are asked for, and remembers them.
func (r *reconciler) letTransfer(app *v1alpha1.App) []v1alpha1.Transfer {
	all, last := transfers(r.own(), app, r.recall(app.Name), r.now())
	r.remember(app.Name, func(m *memory) { m.transfers = last })
	return all
}

// writeVerdict sets the condition Verified and the transfers, unless they say so already.
func (r *reconciler) writeVerdict(ctx context.Context, app *v1alpha1.App, refused error, transfers []v1alpha1.Transfer) error {
	c := metav1.Condition{
		Type:               v1alpha1.ConditionVerified,
		Status:             metav1.ConditionTrue,
		Reason:             ReasonVerified,
		ObservedGeneration: app.Generation,
		LastTransitionTime: metav1.NewTime(r.now().Truncate(time.Second)),
	}
	if refused != nil {
		c.Status, c.Reason, c.Message = metav1.ConditionFalse, reasonOf(refused), clip(refused.Error())
	}
	if old := meta.FindStatusCondition(app.Status.Conditions, c.Type); old != nil {
		if old.Status == c.Status {
			c.LastTransitionTime = old.LastTransitionTime
		}
		if *old == c && equality.Semantic.DeepEqual(app.Status.Transfers, transfers) {
			return nil
		}
	}
	return kube.ApplyStatus(ctx, r.client, &v1alpha1.App{
		ObjectMeta: metav1.ObjectMeta{Namespace: app.Namespace, Name: app.Name},
		Status:     v1alpha1.AppStatus{Conditions: []metav1.Condition{c}, Transfers: transfers},
	}, statusOwner)
}

func clip(s string) string {
	if len(s) > maxMessage {
		return s[:maxMessage]
	}
	return s
}
