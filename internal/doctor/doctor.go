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

	"github.com/apocryph/apocryph/api/v1alpha1"
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
	// EgressPriced says that what leaves the cluster has a price, so that somebody has to count it.
	EgressPriced bool
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
	// AtOnce is how many machines take probes in one run, 0 is one.
	AtOnce int
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

// Examine looks, and returns what it found in the list's order. It returns an error only if it could not begin: the lock was not to be had,
// or what was asked for is not there.
func (d *Doctor) Examine(ctx context.Context, look Look) ([]Finding, error) {
	checks, err := choose(look.Checks)
	if err != nil {
		return nil, err
	}
	found := make([]Finding, len(checks))
	var unknown error
	err = d.parts.Lock.Hold(ctx, func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, d.cfg.Limit)
		defer cancel()
		d.sweep(ctx) // what a crash left, or a removal that took too long
		var l *looker
		if slices.ContainsFunc(checks, func(k Check) bool { return k.Probes }) {
			defer d.sweep(ctx)
			l, unknown = d.lookAt(ctx, look.Machines)
		} else {
			l = d.look()
		}
		if unknown != nil {
			return
		}
		var all sync.WaitGroup
		for i, k := range checks {
			all.Go(func() {
				found[i] = l.find(ctx, k)
			})
		}
		all.Wait()
	})
	if err = errors.Join(unknown, err); err != nil {
		return nil, fmt.Errorf("beginning to look: %w", err)
	}
	return found, nil
}

// find makes one check, where it depends on the machine on each of the run's at the same time.
func (l *looker) find(ctx context.Context, k Check) Finding {
	f := Finding{Check: k, Required: l.Required(k)}
	switch {
	case k.at == nil:
		f.Verdict = k.look(ctx, l)
	case l.blind != nil:
		f.Verdict = Verdict{Unseen, l.blind.Error()}
	default:
		f.fleet = &l.machines
		f.Sights = make([]Sight, len(l.sites))
		var all sync.WaitGroup
		for i, s := range l.sites {
			all.Go(func() {
				f.Sights[i] = Sight{Machine: s.machine, Verdict: k.at(ctx, s), At: l.parts.Now()}
			})
		}
		all.Wait()
		f = f.concluded(l.memory)
	}
	f.At = l.parts.Now()
	return f
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
	run   string
	nodes func(context.Context) []answer

	// sites are the machines of this run. blind is why it is not known which there are.
	machines fleet
	sites    []*site
	blind    error
	memory   []v1alpha1.MachineStatus
}

func (d *Doctor) look() *looker {
	l := &looker{Doctor: d, run: newRun()}
	var once sync.Once
	var nodes []answer
	l.nodes = func(ctx context.Context) []answer {
		once.Do(func() { nodes = d.askAll(ctx) })
		return nodes
	}
	return l
}

// lookAt is a look with those machines, or those whose turn it is. It fails if one is named that is not there.
func (d *Doctor) lookAt(ctx context.Context, named []string) (l *looker, err error) {
	l = d.look()
	if l.machines, l.blind = d.fleet(ctx); l.blind != nil {
		return l, nil //nolint:nilerr // each check that needs machines says so
	}
	l.memory = d.memory(ctx)
	chosen, err := l.machines.choose(named, l.memory, max(1, d.cfg.AtOnce))
	if err != nil {
		return nil, err
	}
	for i, m := range chosen {
		l.sites = append(l.sites, l.site(fmt.Sprint(i), m))
	}
	for i, s := range l.sites {
		if next := l.sites[(i+1)%len(l.sites)]; next != s {
			s.peer = next
		}
	}
	return l, nil
}

// site is one machine in one run; without a machine, whichever the scheduler chooses.
type site struct {
	*looker
	id, machine string
	// peer is the run's next machine, nil if there is no other.
	peer *site

	listener func(context.Context) (string, error)
	network  func(context.Context) (networkFacts, error)
}

func (l *looker) site(id, machine string) *site {
	s := &site{looker: l, id: id, machine: machine}
	var listens, dials sync.Once
	var ip string
	var at, how error
	s.listener = func(ctx context.Context) (string, error) {
		listens.Do(func() { ip, at = s.listen(ctx) })
		return ip, at
	}
	var f networkFacts
	s.network = func(ctx context.Context) (networkFacts, error) {
		dials.Do(func() { f, how = s.dialled(ctx) })
		return f, how
	}
	return s
}
