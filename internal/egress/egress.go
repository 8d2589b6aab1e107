// SPDX-License-Identifier: Apache-2.0

// Package egress counts, on one machine, what each app's pod sends to addresses outside of the cluster, and reports it as the machine's
// Traffic.
//
// The model: the kernel counts. A table of nftables has a set of the machine's ends of pods' links, each with a counter of its own, and a chain
// that comes after everything else that may forward a packet: so what a policy drops is not counted, an address that was translated is what
// it became, and whose packet it is follows from the link that it came in by, whatever it says of its sender. The agent puts links into the
// set, reads the counters, and takes out what is gone. Which pod a link is of is in the files that the container runtime's network library
// keeps of each sandbox.
//
// The invariants: a counter belongs to one sandbox and says so itself, in the kernel, so that agents come and go and it counts on. What is
// reported of a sandbox never falls: a counter that somebody removed begins again at what was last known, and loses what it had counted
// since. A sandbox is closed when its link is gone, after its counter was read once more, and leaves the kernel when the API server has
// that, and the report when the meter has. What is not known is not counted: everything errs in the publisher's favour.
package egress

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"time"

	"github.com/fsnotify/fsnotify"
	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// ErrConfig says that the configuration can't be used.
var ErrConfig = errors.New("not a usable configuration of the egress counter")

const (
	// lookEvery is how long a change waits to be seen of which nobody tells.
	lookEvery = 2 * time.Second
	// beatEvery is how often at least a report says that somebody counts here.
	beatEvery = 20 * time.Second
	// hurry is the least time between two reports when something ended.
	hurry = time.Second
)

// Config says what an Agent needs to know.
type Config struct {
	// Machine is this machine's name in the cluster, Namespace the system namespace.
	Machine, Namespace string
	// Results is the folder in which the container runtime's network library keeps what it made.
	Results string
	// Own are addresses that count as inside beside those that are not public.
	Own []netip.Prefix
	// Every is how often what grew is reported.
	Every time.Duration
}

func (c Config) check() error {
	if c.Machine == "" || c.Namespace == "" || c.Results == "" || c.Every <= 0 {
		return fmt.Errorf("machine %q, namespace %q, results %q, every %s: %w", c.Machine, c.Namespace, c.Results, c.Every, ErrConfig)
	}
	return nil
}

// kernel is where the counters are.
type kernel interface {
	// read returns all counters; whole says that they count what they should.
	read() (all []tally, whole bool, err error)
	// build makes what counts, and leaves counters that are there alone.
	build() error
	// change drops some counters and puts others, all or none of them.
	change(drop, put []tally) error
	// remove leaves nothing.
	remove() error
}

// Agent counts on one machine. Several at once do no harm.
type Agent struct {
	cfg      Config
	client   client.Client
	kernel   kernel
	machine  func() (machine, error)
	log      *slog.Logger
	now      func() time.Time
	files    *files
	book     *book
	gauges   *gauges
	reported time.Time
}

// New returns an agent that counts in the network namespace that it runs in, or ErrConfig.
func New(cfg Config, c client.Client, log *slog.Logger) (*Agent, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	return &Agent{
		cfg: cfg, client: c, kernel: newTable(cfg.Own), machine: func() (machine, error) { return look("/") }, log: log, now: time.Now,
		files: newFiles(cfg.Results), book: newBook(), gauges: newGauges(),
	}, nil
}

// Run counts until ctx ends. The kernel counts on.
func (a *Agent) Run(ctx context.Context) error {
	changes, err := fsnotify.NewWatcher()
	if err != nil {
		return fmt.Errorf("watching for pods: %w", err)
	}
	defer func() { _ = changes.Close() }()
	if err := changes.Add(a.cfg.Results); err != nil {
		return fmt.Errorf("watching for pods in %s: %w", a.cfg.Results, err)
	}
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for {
		if err := a.round(ctx); err != nil && ctx.Err() == nil {
			a.log.Warn("round ended early", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		case <-changes.Events:
			drain(changes.Events)
		case err := <-changes.Errors:
			a.log.Warn("changes of pods not followed", "error", err)
		}
	}
}

// drain takes what is already there: one look sees all of it.
func drain(events <-chan fsnotify.Event) {
	for {
		select {
		case <-events:
		default:
			return
		}
	}
}

// round brings the kernel in line with what is there, and reports when it is time to.
func (a *Agent) round(ctx context.Context) error {
	if err := a.count(); err != nil {
		return err
	}
	now := a.now()
	since := now.Sub(a.reported)
	if since < hurry || since < a.cfg.Every && !a.book.ended() {
		return nil
	}
	if err := a.report(ctx, now); err != nil {
		return err
	}
	return a.count() // what was reported as closed may go, and what was not known before is
}

// count reads the counters and puts right which there are.
func (a *Agent) count() error {
	all, err := a.files.read()
	if err != nil {
		return err
	}
	there, err := a.machine()
	if err != nil {
		return err
	}
	boxes, bare := there.links(all)
	have, whole, err := a.kernel.read()
	if err != nil {
		return fmt.Errorf("reading the counters: %w", err)
	}
	a.book.count(have, boxes, there, a.now())
	a.gauges.set(a.book, boxes, bare)
	drop, put := a.book.plan(have, boxes, there)
	if len(have)+len(put) == 0 {
		if err := a.kernel.remove(); err != nil {
			return fmt.Errorf("removing what counts nothing: %w", err)
		}
		return nil
	}
	if !whole {
		if err := a.kernel.build(); err != nil {
			return fmt.Errorf("making what counts: %w", err)
		}
		a.gauges.built.Inc()
		a.log.Info("counting", "links", len(put)+len(have))
	}
	if len(drop)+len(put) == 0 {
		return nil
	}
	if err := a.kernel.change(drop, put); err != nil {
		return fmt.Errorf("changing the counters: %w", err)
	}
	return nil
}

// Describe implements prometheus.Collector.
func (a *Agent) Describe(to chan<- *prometheus.Desc) { a.gauges.Describe(to) }

// Collect implements prometheus.Collector.
func (a *Agent) Collect(to chan<- prometheus.Metric) { a.gauges.Collect(to) }
