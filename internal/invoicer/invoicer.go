// SPDX-License-Identifier: Apache-2.0

// Package invoicer brings vouchers to the chain and says what the chain holds for each app.
//
// It has no authority: anyone may submit what the keeper signed, and its own key is worth only its gas. For each App it reads the
// channel, claims the newest voucher now and then, together with those of other apps and when it is worth the gas, submits the release when
// there is one, and writes the conditions Funded and Settled and the field funds, which are its alone. What waits to be sent is kept in
// memory only: totals are cumulative, so a claim that a restart lost, or sent twice, pays the same.
//
// An app may have several channels, one after another. The funds are those of the one that pays; one that is to follow on it is looked at, too, and
// once it is seen open and confirmed the funds are its: that is what the keeper waits for before it ends the bill of the one before. Each
// channel before is claimed on and released as any other, while the app goes on, and its end is told for good.
//
// Not seeing is not knowing. A chain that can't be read changes nothing at first, then makes Funded unknown, and how long apps go on
// like that is the controller's decision; a channel that was seen and is missing now counts as not seen. Only what was read
// on chain suspends an app (too little left, notice about to end) or settles it (closed), and closed is for ever. So it is believed only
// when it is final: a channel that seems closed or at the end of its notice leaves everything as it is until then. A deposit counts when it is
// confirmed. Money that is owed comes first: what a deposit is worth is what is left of it after all that was used. What ends an app for want
// of money is the lapse of its grace, by our clock and the chain's final one, with no deposit in sight at any depth that would wake it.
package invoicer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/big"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	ctrlcontroller "sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"github.com/apocryph/apocryph/api/v1alpha1"
	"github.com/apocryph/apocryph/internal/channel"
	"github.com/apocryph/apocryph/internal/eip712"
	"github.com/apocryph/apocryph/internal/kube"
	"github.com/apocryph/apocryph/internal/tariff"
)

// ErrConfig says that a Config can't be used.
var ErrConfig = errors.New("bad configuration of the invoicer")

const (
	// statusOwner is this package's name as a writer of statuses.
	statusOwner = "invoicer"
	workers     = 4
)

// Seen is a channel at three depths of the chain.
type Seen struct {
	// State is the newest block's: what to claim next. Block and Time are that block's.
	channel.State
	Block uint64
	Time  time.Time
	// Confirmed is some blocks below: what a deposit is worth.
	Confirmed channel.State
	// Final can't be taken back, and an app is torn down only by it. It is needed, and there, if another one hints at notice or closing.
	Final *channel.State
	// FinalTime is the final block's: only by it is a notice over. The newest block's time is the word of one endpoint, and clocks jump.
	FinalTime time.Time
	// Fee is about what a unit of gas costs now, in wei; nil if that was not asked for or can't be known.
	Fee *big.Int
	// Doubt says why Final was needed and could not be had. Then claims go on, and everything else counts as not seen.
	Doubt error
}

// Claim is a signed voucher, or release, and the terms of its channel.
type Claim struct {
	Terms     channel.Terms
	Total     tariff.Amount
	Signature []byte
}

// Spent is what transactions cost, in gas and in wei, and what they paid on each channel: zero on one that was skipped.
type Spent struct {
	Transactions int
	Gas          uint64
	Wei          *big.Int
	Paid         map[channel.ID]tariff.Amount
}

// chain is the Channels contract with a wallet that pays for gas; package evm has both. Claim and Release return when what they sent took
// effect, and an error if it is not known to have; with it, what did.
type chain interface {
	// State reads a channel; Final is asked for if needed, or if the caller wants it.
	State(ctx context.Context, id channel.ID, final bool) (Seen, error)
	Claim(ctx context.Context, claims []Claim) (Spent, error)
	Release(ctx context.Context, release Claim) (Spent, error)
}

// Config is when to act. Times that are zero mean at once, never or nothing, as is natural for each.
type Config struct {
	// Namespace is where App and Usage objects live.
	Namespace string
	// Domain is the chain and the Channels contract.
	Domain eip712.Domain

	// Poll is the time between two looks at a channel.
	Poll time.Duration
	// ClaimEvery is the time between two claims on a channel, ClaimMin the least that is worth one.
	ClaimEvery time.Duration
	ClaimMin   tariff.Amount
	// BatchEvery is how long claims that are due wait for others, to go in one transaction of at most BatchMost.
	BatchEvery time.Duration
	BatchMost  int
	// CoinPrice is what the chain's coin is worth (10¹⁸ wei), in base units of the token. With it, a claim is worth its gas when that is at
	// most GasPercent of what it pays; with zero, gas is not weighed.
	CoinPrice  tariff.Amount
	GasPercent uint64

	// LowRunway is when funds are called low.
	LowRunway time.Duration
	// StopMargin of running and VolumeGrace of volumes alone are kept back from the deposit, but never more than a quarter of it: what
	// accrues until the pods are gone, and what the volumes cost while the publisher makes up their mind. An app that was exhausted for all
	// of VolumeGrace ends; with a VolumeGrace of zero, none does.
	StopMargin, VolumeGrace time.Duration
	// CapSlack is how much of the cap an app that reserves more than it may get ahead before it has to sleep.
	CapSlack time.Duration
	// ResumeRunway is the runway beyond that with which an exhausted app starts again.
	ResumeRunway time.Duration
	// NoticeLead is how long before a notice ends the app stops, so that the last voucher is claimed in time.
	NoticeLead time.Duration
	// UnseenAfter is for how long a channel may not be read before Funded becomes unknown.
	UnseenAfter time.Duration
}

func (c Config) check() error {
	switch {
	case c.Namespace == "":
		return fmt.Errorf("no namespace: %w", ErrConfig)
	case c.Domain.ChainID == 0 || c.Domain.Contract == common.Address{}:
		return fmt.Errorf("no chain or contract: %w", ErrConfig)
	case c.Poll <= 0:
		return fmt.Errorf("looking every %s: %w", c.Poll, ErrConfig)
	case c.BatchEvery <= 0 || c.BatchMost <= 0:
		return fmt.Errorf("claims in batches of %d every %s: %w", c.BatchMost, c.BatchEvery, ErrConfig)
	}
	return nil
}

// Invoicer claims. It is safe for concurrent use.
type Invoicer struct {
	cfg   Config
	chain chain
	log   *slog.Logger
	now   func() time.Time
	count counters
	till  *till

	mu sync.Mutex
	// claimed is when each channel, by key, was last claimed on; forgotten at a restart, which at worst costs one early claim.
	claimed map[string]time.Time
}

// New returns an invoicer, or ErrConfig.
func New(cfg Config, c chain, log *slog.Logger) (*Invoicer, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	return &Invoicer{cfg: cfg, chain: c, log: log, now: time.Now, count: newCounters(), till: newTill(), claimed: map[string]time.Time{}}, nil
}

// Metrics serves the invoicer's metrics and those of its reconciler.
func (i *Invoicer) Metrics() http.Handler {
	return promhttp.HandlerFor(prometheus.Gatherers{i.count.registry, metrics.Registry}, promhttp.HandlerOpts{})
}

// Run looks after all apps until ctx ends.
func (i *Invoicer) Run(ctx context.Context, rc *rest.Config) error {
	mgr, err := ctrl.NewManager(rc, ctrl.Options{
		Scheme:  kube.Scheme(),
		Logger:  logr.FromSlogHandler(i.log.Handler()),
		Metrics: server.Options{BindAddress: "0"}, // Metrics serves them
		Cache:   cache.Options{DefaultNamespaces: map[string]cache.Config{i.cfg.Namespace: {}}},
	})
	if err != nil {
		return fmt.Errorf("making the invoicer's manager: %w", err)
	}
	err = ctrl.NewControllerManagedBy(mgr).
		Named(statusOwner).
		// Statuses change all the time, our own among them; what matters of the chain is polled.
		For(&v1alpha1.App{}, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Watches(&v1alpha1.Usage{}, &handler.EnqueueRequestForObject{}, builder.WithPredicates(predicate.Funcs{UpdateFunc: released})).
		WithOptions(ctrlcontroller.Options{MaxConcurrentReconciles: workers}).
		Complete(&reconciler{Invoicer: i, client: mgr.GetClient()})
	if err != nil {
		return fmt.Errorf("making the invoicer's reconciler: %w", err)
	}
	if err := mgr.Add(manager.RunnableFunc(i.collectBatches)); err != nil {
		return fmt.Errorf("adding the till: %w", err)
	}
	return mgr.Start(ctx)
}

// key names a channel of an app among what is remembered.
func key(app string, id channel.ID) string { return app + "/" + id.String() }

func (i *Invoicer) lastClaim(key string) time.Time {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.claimed[key]
}

func (i *Invoicer) noteClaim(key string, at time.Time) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.claimed[key] = at
}

// forget drops all channels of an app.
func (i *Invoicer) forget(app string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	maps.DeleteFunc(i.claimed, func(key string, _ time.Time) bool { return strings.HasPrefix(key, app+"/") })
	i.till.forgetAll(app)
	i.count.books.forget(app)
}
