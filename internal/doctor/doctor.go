// SPDX-License-Identifier: Apache-2.0

// Package doctor looks whether a provider's cluster, chain and enclave are what everything else takes them for: that policies are
// enforced, that volumes are as large as they say, that claims can be paid for. It says so in the one Provider object; the gateway gives
// no quotes for new apps while a required check fails.
//
// The model: a check gathers facts, and a pure function judges them. What could not be looked at is unseen, which is no verdict: it
// keeps whatever the condition said before. So a doctor that is away, or whose own sight fails, changes nothing, and nothing that runs
// ever depends on it.
//
// The invariants: whatever a check makes in the cluster lies in the probes' namespace, has the label, ends by itself at a deadline, and is
// removed after the run; what a crash left is removed by the next run before it makes anything. A lease keeps runs apart, so that none
// removes another's. The doctor holds no key and may write nothing but that namespace and the Provider's status.
package doctor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"slices"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum/common"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/apocryph/apocryph/internal/doctor/probe"
	"github.com/apocryph/apocryph/internal/eip712"
	"github.com/apocryph/apocryph/internal/evidence"
	keeperv1 "github.com/apocryph/apocryph/internal/gen/keeperv1"
)

// ErrConfig says that the configuration can't be used.
var ErrConfig = errors.New("not a usable doctor configuration")

// ErrCheck says that a check was named that there is none of.
var ErrCheck = errors.New("no such check")

// Config is what the provider decided, as its other services were told, and what counts as healthy.
type Config struct {
	// Namespace is the system namespace, where the Provider lives; Probes where pods and claims are made.
	Namespace string
	Probes    string
	// Image is the provider's own, whose probe command the pods run.
	Image      string
	PullPolicy corev1.PullPolicy

	// ImagePrefix, StorageClass, AccessMode and UserNamespaces are those of apps.
	ImagePrefix    string
	StorageClass   string
	AccessMode     corev1.PersistentVolumeAccessMode
	UserNamespaces bool
	// VolumeBytes is how large a volume to ask for: the storage class's least.
	VolumeBytes int64
	// MaxPIDs is the most processes that a pod should be able to have.
	MaxPIDs int

	// Provider and Domain are what evidence has to name; RPC are the chain's endpoints.
	Provider common.Address
	Domain   eip712.Domain
	RPC      []string
	// MaxLag is how many blocks an endpoint may be behind the others; MaxDrift how far the newest block may be from this clock, 0 for any.
	MaxLag   uint64
	MaxDrift time.Duration
	// ClaimGas is what one claim takes. The gas account must be able to pay for LeastClaims, and should be for EnoughClaims.
	ClaimGas     uint64
	LeastClaims  uint64
	EnoughClaims uint64

	// Advisory are checks that withdraw no quotes, beside those that never do.
	Advisory []string
	// Limit bounds a run.
	Limit time.Duration
}

func (c Config) check() error {
	switch {
	case c.Namespace == "" || c.Probes == "" || c.Namespace == c.Probes:
		return fmt.Errorf("namespaces %q and %q: %w", c.Namespace, c.Probes, ErrConfig)
	case c.Image == "" || c.ImagePrefix == "":
		return fmt.Errorf("no image or image prefix: %w", ErrConfig)
	case c.VolumeBytes <= 0 || c.MaxPIDs <= 0 || c.Limit <= 0 || c.ClaimGas == 0:
		return fmt.Errorf("volume size, processes, limit and gas of a claim have to be more than 0: %w", ErrConfig)
	}
	for _, name := range c.Advisory {
		if !slices.ContainsFunc(Checks(), func(k Check) bool { return k.Name == name }) {
			return fmt.Errorf("advisory %q: %w", name, ErrCheck)
		}
	}
	return nil
}

// Node is what one endpoint of the chain says.
type Node struct {
	ChainID  uint64
	Contract bool
	Number   uint64
	Time     time.Time
	// Fee is what a sender has to be able to pay for a unit of gas, in wei.
	Fee *big.Int
}

// Parts are what a doctor looks with. All are needed.
type Parts struct {
	Cluster client.WithWatch
	// ServerTime is the API server's clock.
	ServerTime func(context.Context) (time.Time, error)
	Chain      chain
	Keeper     keeper
	// Hardware verifies reports.
	Hardware evidence.Hardware
	// Lock runs one run at a time, whoever's it is.
	Lock locker
	Now  func() time.Time
	Wait func(context.Context, time.Duration) error
	Log  *slog.Logger
}

// chain asks endpoints, each by itself.
type chain interface {
	Node(ctx context.Context, url string) (Node, error)
	HashAt(ctx context.Context, url string, number uint64) (common.Hash, error)
	Balance(ctx context.Context, url string, account common.Address) (*big.Int, error)
}

// keeper is the part of the keeper's service that the doctor may call.
type keeper interface {
	Evidence(context.Context, *keeperv1.EvidenceRequest) (*keeperv1.EvidenceResponse, error)
}

// locker runs do while nobody else holds the lock, with a context that ends when it is lost.
type locker interface {
	Hold(ctx context.Context, do func(context.Context)) error
}

// Doctor examines one provider.
type Doctor struct {
	cfg   Config
	parts Parts
	count *gauges
}

// New returns a doctor, or ErrConfig or ErrCheck.
func New(c Config, p Parts) (*Doctor, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	return &Doctor{cfg: c, parts: p, count: newGauges()}, nil
}

// Required reports whether a failure of a check withdraws quotes.
func (d *Doctor) Required(k Check) bool {
	return !slices.Contains(d.cfg.Advisory, k.Name) && (k.required == nil || k.required(d.cfg))
}

// Examine looks at the checks of those names, all if none is given, and returns what it found in the list's order. It returns an error only
// if it could not begin: the lock was not to be had.
func (d *Doctor) Examine(ctx context.Context, names ...string) ([]Finding, error) {
	checks, err := choose(names)
	if err != nil {
		return nil, err
	}
	found := make([]Finding, len(checks))
	err = d.parts.Lock.Hold(ctx, func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, d.cfg.Limit)
		defer cancel()
		d.sweep(ctx) // what a crash left, or a removal that took too long
		if slices.ContainsFunc(checks, func(k Check) bool { return k.Probes }) {
			defer d.sweep(ctx)
		}
		l := d.look()
		var all sync.WaitGroup
		for i, k := range checks {
			all.Go(func() {
				found[i] = Finding{Check: k, Required: d.Required(k), Verdict: k.look(ctx, l), At: d.parts.Now()}
			})
		}
		all.Wait()
	})
	if err != nil {
		return nil, fmt.Errorf("waiting for other runs: %w", err)
	}
	return found, nil
}

// choose returns the checks of those names, in the list's order.
func choose(names []string) ([]Check, error) {
	for _, n := range names {
		if !slices.ContainsFunc(Checks(), func(k Check) bool { return k.Name == n }) {
			return nil, fmt.Errorf("%q: %w", n, ErrCheck)
		}
	}
	return slices.DeleteFunc(Checks(), func(k Check) bool { return len(names) > 0 && !slices.Contains(names, k.Name) }), nil
}

// looker is one run's sight. What several checks need is asked for once.
type looker struct {
	*Doctor
	run     string
	nodes   func(context.Context) []answer
	network func(context.Context) (probe.NetworkReport, error)
}

func (d *Doctor) look() *looker {
	l := &looker{Doctor: d, run: newRun()}
	var once, dialled sync.Once
	var nodes []answer
	l.nodes = func(ctx context.Context) []answer {
		once.Do(func() { nodes = d.askAll(ctx) })
		return nodes
	}
	var r probe.NetworkReport
	var err error
	l.network = func(ctx context.Context) (probe.NetworkReport, error) {
		dialled.Do(func() { r, err = l.dialled(ctx) })
		return r, err
	}
	return l
}
