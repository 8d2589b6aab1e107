// SPDX-License-Identifier: Apache-2.0

package meter

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/apocryph/apocryph/api/v1alpha1"
)

// askEvery is how often reporters are read while some pod waits for what they say.
const askEvery = time.Second

// keepTraffic is how long a Traffic is kept whose reporter is silent, by our clock. A reporter that lives after all starts its counters at zero.
const keepTraffic = time.Hour

// traffic is what was last read of all reporters. It is safe for concurrent use; its zero value has read nothing.
type traffic struct {
	mu sync.Mutex
	// begins counts readings that began; number is the one that this was, and read when it began.
	begins, number uint64
	read           time.Time

	byApp  map[string][]v1alpha1.TrafficCounter
	agents map[string]time.Time
	// waiting are the apps with pods that could go but for their counters.
	waiting map[string]bool
}

// begun is how many readings have begun.
func (t *traffic) begun() uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.begins
}

// begin begins a reading.
func (t *traffic) begin() uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.begins++
	return t.begins
}

// readTraffic reads every reporter's object. A cluster without the kind has no reporters.
func (m *Meter) readTraffic(ctx context.Context) ([]v1alpha1.Traffic, error) {
	number, began := m.traffic.begin(), m.now()
	var list v1alpha1.TrafficList
	if err := m.client.List(ctx, &list, client.InNamespace(m.namespace)); err != nil && !apimeta.IsNoMatchError(err) && !apierrors.IsNotFound(err) {
		return nil, fmt.Errorf("listing what reporters counted: %w", err)
	}
	byApp, agents := map[string][]v1alpha1.TrafficCounter{}, map[string]time.Time{}
	for _, t := range list.Items {
		for _, c := range t.Counters {
			byApp[c.App] = append(byApp[c.App], c)
		}
		if t.Machine != "" {
			agents[t.Machine] = t.SeenAt.Time
		}
	}
	m.traffic.mu.Lock()
	defer m.traffic.mu.Unlock()
	if number > m.traffic.number { // else one that began later was quicker
		m.traffic.number, m.traffic.read, m.traffic.byApp, m.traffic.agents = number, began, byApp, agents
	}
	return list.Items, nil
}

// reportsOf returns what reporters say of an app. What was read before its account was is good enough, as counters only grow, unless the account
// knows other front doors than they do, or is to be closed; and so it is for news.
func (m *Meter) reportsOf(ctx context.Context, app string, b *book, seen Observed) (Reports, error) {
	r, read := m.traffic.of(app, b.since)
	// An agent must not seem dead because it was not read for long.
	if m.now().Sub(read) <= attention && (seen.Changes || !seen.Stopped && (r.Whole || r.settle(b.account.Status.Counters))) {
		return r, nil
	}
	if _, err := m.readTraffic(ctx); err != nil {
		return Reports{}, err
	}
	r, _ = m.traffic.of(app, b.since)
	return r, nil
}

// of returns the last reading for an app whose account was read when so many had begun, and when it began.
func (t *traffic) of(app string, since uint64) (Reports, time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return Reports{Counters: t.byApp[app], Agents: t.agents, Whole: t.number > since}, t.read
}

// doors is how far the front doors of an app had counted.
func (t *traffic) doors(app string) []v1alpha1.Counted {
	t.mu.Lock()
	defer t.mu.Unlock()
	var all []v1alpha1.Counted
	for _, c := range t.byApp[app] {
		if c.PodUID == "" && c.Bytes > 0 {
			all = append(all, v1alpha1.Counted{Source: c.Source, Bytes: c.Bytes})
		}
	}
	return all
}

// wait notes whether pods of an app are kept for their counters alone.
func (t *traffic) wait(app string, waits bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.waiting == nil {
		t.waiting = map[string]bool{}
	}
	if delete(t.waiting, app); waits {
		t.waiting[app] = true
	}
}

// lookAtTraffic reads what reporters say by now if pods of some app are kept for it, and has these looked at again.
func (m *Meter) lookAtTraffic(ctx context.Context) error {
	m.traffic.mu.Lock()
	var apps []string
	for app := range m.traffic.waiting {
		apps = append(apps, app)
	}
	m.traffic.mu.Unlock()
	if len(apps) == 0 {
		return nil
	}
	if _, err := m.readTraffic(ctx); err != nil {
		return err
	}
	for _, app := range apps {
		m.queue.Add(app)
	}
	return nil
}

// dropTraffic deletes what reporters left that are long silent, once it is in the accounts of those apps that still have one.
func (m *Meter) dropTraffic(ctx context.Context, all []v1alpha1.Traffic) error {
	var accounts map[string]v1alpha1.UsageStatus
	for i := range all {
		t := &all[i]
		if m.now().Sub(t.SeenAt.Time) < keepTraffic {
			continue
		}
		if accounts == nil {
			var list v1alpha1.UsageList
			if err := m.client.List(ctx, &list, client.InNamespace(m.namespace)); err != nil {
				return fmt.Errorf("listing accounts: %w", err)
			}
			accounts = map[string]v1alpha1.UsageStatus{}
			for _, u := range list.Items {
				accounts[u.Name] = u.Status
			}
		}
		if !spent(t.Counters, accounts) {
			continue
		}
		uid, version := t.GetUID(), t.GetResourceVersion()
		if err := m.client.Delete(ctx, t, client.Preconditions{UID: &uid, ResourceVersion: &version}); client.IgnoreNotFound(err) != nil && !apierrors.IsConflict(err) {
			return fmt.Errorf("dropping what %s counted: %w", t.Name, err)
		}
		m.log.Info("a reporter is long silent, and all that it counted is written down", "traffic", t.Name)
	}
	return nil
}

// spent reports whether no counter has anything to add to an account. A pod's would have been waited for, had it been there.
func spent(counters []v1alpha1.TrafficCounter, accounts map[string]v1alpha1.UsageStatus) bool {
	return !slices.ContainsFunc(counters, func(c v1alpha1.TrafficCounter) bool {
		s, ok := accounts[c.App]
		if !ok || s.Final || c.PodUID != "" || c.Bytes == 0 {
			return false
		}
		return !slices.ContainsFunc(s.Counters, func(k v1alpha1.Counted) bool { return k.Source == c.Source && k.Bytes >= c.Bytes })
	})
}
