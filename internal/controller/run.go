// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/go-logr/logr"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrlcontroller "sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/apocryph/apocryph/api/v1alpha1"
	"github.com/apocryph/apocryph/internal/kube"
)

const workers = 4

// Controller runs the Reconciler against a cluster.
type Controller struct {
	rest   *rest.Config
	client client.WithWatch
	cfg    Config
	log    *slog.Logger
}

// New returns a controller, or ErrConfig.
func New(rc *rest.Config, cfg Config, log *slog.Logger) (*Controller, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	c, err := kube.Client(rc)
	if err != nil {
		return nil, err
	}
	return &Controller{rest: rc, client: c, cfg: cfg, log: log}, nil
}

// Run reconciles until ctx ends. Apps are watched in the system namespace, and what belongs to an app in the app's own, with the rights
// that the controller gave itself there.
func (c *Controller) Run(ctx context.Context) error {
	mgr, err := ctrl.NewManager(c.rest, ctrl.Options{
		Scheme:  kube.Scheme(),
		Logger:  logr.FromSlogHandler(c.log.Handler()),
		Metrics: server.Options{BindAddress: "0"}, // ours serves the same registry
		Cache:   cache.Options{DefaultNamespaces: map[string]cache.Config{c.cfg.Namespace: {}}},
	})
	if err != nil {
		return fmt.Errorf("making the controller's manager: %w", err)
	}
	q := &queue{namespace: c.cfg.Namespace}
	bell := kube.NewBell(c.client, q.ring, &appsv1.DeploymentList{}, &batchv1.JobList{}, &corev1.PodList{}, &corev1.PersistentVolumeClaimList{})
	r := &Reconciler{
		client: c.client, cfg: c.cfg, log: c.log, now: time.Now,
		listen: func(ns string) { bell.Listen(ctx, ns) },
		forget: func(ns string) { bell.Forget(ctx, ns) },
	}
	err = ctrl.NewControllerManagedBy(mgr).
		For(&v1alpha1.App{}).
		WatchesRawSource(source.Func(q.start)).
		WithOptions(ctrlcontroller.Options{MaxConcurrentReconciles: workers}).
		Complete(r)
	if err != nil {
		return fmt.Errorf("making the controller: %w", err)
	}
	var rung sync.WaitGroup
	defer rung.Wait()
	rung.Go(func() { _ = bell.Run(ctx) })
	return mgr.Start(ctx)
}

// queue turns rings into work.
type queue struct {
	namespace string

	mu   sync.Mutex
	work workqueue.TypedRateLimitingInterface[reconcile.Request]
}

func (q *queue) start(_ context.Context, work workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.work = work
	return nil
}

func (q *queue) ring(namespace string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if app, ok := v1alpha1.AppOf(namespace); ok && q.work != nil {
		q.work.Add(reconcile.Request{NamespacedName: types.NamespacedName{Namespace: q.namespace, Name: app}})
	}
}
