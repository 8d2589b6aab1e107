// SPDX-License-Identifier: Apache-2.0

// Package notify tells publishers' webhooks what becomes of their apps: funds that run down and come back, services that crash again and again,
// the end.
//
// It reads Apps, writes of their statuses the condition Notified and the field notify, which are its alone, and may do nothing else in
// the cluster. What it knows of an app is what the other services say in its status; that and the order, which names the webhook, counts only
// while the keeper has verified it.
//
// A webhook is a URL that a stranger chose, so three things hold. It is called only over TLS, at public addresses, and at the ports that the
// provider allows: what was resolved is looked at when it is dialled, so that a name can't mean one address when it is looked at and another one
// when it is called; redirects and proxies are not followed, and what it answers is thrown away but for its status. Its URL may be a secret: no
// log, condition, status or metric has more of it than the host. And it may be slow or dead: each app has one call at a time, of bounded length, and
// a webhook that fails is called later and later.
//
// A message is written into the status before it is first sent, and how that ended after it: so a restart repeats at most the call that it cut
// short, under the same id, and loses none. A message that is not true any more is dropped before it is sent. Of each type and service
// there is one in ten minutes at most: what changes faster is told as it stands then.
package notify

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	ctrlcontroller "sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/apocryph/apocryph/api/v1alpha1"
	"github.com/apocryph/apocryph/internal/kube"
)

// ErrConfig says that the configuration can't be used.
var ErrConfig = errors.New("not a usable notifier configuration")

const (
	// statusOwner is this package's name as a writer of statuses.
	statusOwner = "notifier"
	// workers is how many webhooks are called at once, each for callTime at most.
	workers = 32
)

// Config is whom to call.
type Config struct {
	// Namespace is where App objects live.
	Namespace string
	// Allow are addresses that are called although they are not public, Deny such that are not although they are.
	Allow, Deny []netip.Prefix
	// Ports are those that are called.
	Ports []uint16
	// Roots is a file with certificates of authorities that are trusted beside the system's; empty, or missing, means none. It is read for
	// every call, so that nobody has to restart anything when it changes.
	Roots string
}

func (c Config) check() error {
	switch {
	case c.Namespace == "":
		return fmt.Errorf("no namespace: %w", ErrConfig)
	case len(c.Ports) == 0:
		return fmt.Errorf("no port: %w", ErrConfig)
	}
	return nil
}

// caller calls a webhook once; courier is the real one.
type caller interface {
	call(ctx context.Context, url string, m message) answer
}

// Notifier tells webhooks. It is safe for concurrent use.
type Notifier struct {
	cfg    Config
	log    *slog.Logger
	caller caller
	now    func() time.Time
	// jitter returns a number from 0 to 1.
	jitter func() float64
	count  counters

	mu sync.Mutex
	// kept is what was last written, or should have been, of each app: nobody else writes it, and what is read may be older.
	kept map[types.NamespacedName]*record
}

// record is what is remembered of an app between two looks, which never overlap.
type record struct {
	uid types.UID
	// hook is the webhook of the order of that generation.
	hook *webhook
	read int64
	// status is our part of it; unsaved says that the last write failed.
	status  v1alpha1.AppStatus
	unsaved bool
	// crashed is when each service was last seen crashing, or first seen at all.
	crashed map[string]time.Time
}

// New returns a notifier, or ErrConfig.
func New(cfg Config, log *slog.Logger) (*Notifier, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	return &Notifier{
		cfg: cfg, log: log, caller: newCourier(cfg), now: time.Now, jitter: rand.Float64, count: newCounters(),
		kept: map[types.NamespacedName]*record{},
	}, nil
}

// Metrics serves the notifier's metrics and those of its reconciler.
func (n *Notifier) Metrics() http.Handler {
	return promhttp.HandlerFor(prometheus.Gatherers{n.count.registry, metrics.Registry}, promhttp.HandlerOpts{})
}

// Run tells the webhooks of all apps until ctx ends.
func (n *Notifier) Run(ctx context.Context, rc *rest.Config) error {
	mgr, err := ctrl.NewManager(rc, ctrl.Options{
		Scheme:  kube.Scheme(),
		Logger:  logr.FromSlogHandler(n.log.Handler()),
		Metrics: server.Options{BindAddress: "0"}, // Metrics serves them
		Cache:   cache.Options{DefaultNamespaces: map[string]cache.Config{n.cfg.Namespace: {}}},
	})
	if err != nil {
		return fmt.Errorf("making the notifier's manager: %w", err)
	}
	err = ctrl.NewControllerManagedBy(mgr).
		Named(statusOwner).
		For(&v1alpha1.App{}).
		WithOptions(ctrlcontroller.Options{MaxConcurrentReconciles: workers}).
		Complete(&reconciler{Notifier: n, client: mgr.GetClient()})
	if err != nil {
		return fmt.Errorf("making the notifier's reconciler: %w", err)
	}
	return mgr.Start(ctx)
}
