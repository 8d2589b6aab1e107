// SPDX-License-Identifier: Apache-2.0

package meter

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/apocryph/apocryph/api/v1alpha1"
)

const (
	// workers are how many apps are looked at at a time, lettingGo how many pods and claims of one are let go. Most of the time they wait: a list alone
	// may take the API server a tenth of a second, until it is sure to have the latest.
	workers   = 64
	lettingGo = 8
)

const (
	// gather is for how long news of an app are gathered before it is looked at: what begins or ends together is written at once.
	gather = 200 * time.Millisecond
	// retry is when an app is looked at again that could not be, or whose watch ended at once.
	retry = 5 * time.Second
	// manyTimes is how much later than gather what many apps have to do at once may be.
	manyTimes = 20
	// warnEvery is how often it is said of an app that its account can't be kept.
	warnEvery = 10 * time.Minute
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
	if b != nil && b.uid != app.UID { // it has the name of one that is gone
		b.close()
		b = nil
	}
	first := b == nil
	if first {
		b = newBook(ctx, app.UID)
		m.books[app.Name] = b
	}
	m.mu.Unlock()
	is := factsOf(app)
	b.mu.Lock()
	defer b.mu.Unlock()
	is.stopped, is.ended = is.stopped || b.app.stopped, is.ended || b.app.ended // what says otherwise is older
	news := first || b.app != is
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
		b.close()
	}
	m.gauges.forget(name)
	m.traffic.wait(name, false)
}

func (m *Meter) book(name string) *book {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.books[name]
}

// accountable reports whether there is something to write down about an app: what was made for it, or, at its end, that nothing was, which
// is what settles its channel.
func accountable(app *v1alpha1.App) bool {
	return slices.Contains(app.Finalizers, v1alpha1.FinalizerApp) || app.Status.EndReason != ""
}

// listen follows heartbeats until ctx ends, however long accounts take, and has apps looked at whose pods wait for what their machine's agent says.
func (m *Meter) listen(ctx context.Context) {
	beats, waits := time.NewTicker(lookEvery), time.NewTicker(askEvery)
	defer beats.Stop()
	defer waits.Stop()
	unread := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-beats.C:
			if err := m.hear(ctx); err != nil && ctx.Err() == nil {
				m.log.Warn("heartbeats not heard", "error", err)
			}
		case <-waits.C:
			err := m.lookAtTraffic(ctx)
			if err != nil && ctx.Err() == nil && !unread {
				m.log.Warn("reporters not read", "error", err)
			}
			unread = err != nil
		}
	}
}
