// SPDX-License-Identifier: Apache-2.0

package facade

import (
	"context"
	"time"

	"github.com/apocryph/apocryph/api/v1alpha1"
)

const (
	// holdTime is how long a request waits for an app that starts, or whose update has it stop first: what is in front of the facade
	// seldom waits longer.
	holdTime = 30 * time.Second
	// heldPerApp and heldAll bound the requests that wait; further ones are told to come back.
	heldPerApp = 64
	heldAll    = 512
)

// line is the requests that wait for one app.
type line struct {
	waiting int
	// changed is closed when the app is put or dropped.
	changed chan struct{}
}

// answers reports whether requests can be passed on.
func (r route) answers() bool { return r.ready && r.service != "" }

// starts reports whether the app is expected to answer soon without anybody's doing.
func (r route) starts() bool {
	return r.service != "" && (r.phase == v1alpha1.PhaseStarting || r.phase == v1alpha1.PhaseReady)
}

// await returns what find does, once the app answers, or as soon as waiting has no more sense. Nothing of a request is read meanwhile.
func (t *Table) await(ctx context.Context, host string) (r route, found, synced bool) {
	r, found, synced = t.find(host)
	if !synced || !found || r.answers() || !r.starts() || !t.join(r.app) {
		return r, found, synced
	}
	app := r.app
	defer t.leave(app)
	end := time.NewTimer(holdTime)
	defer end.Stop()
	for {
		changed := t.changed(app)
		if r, found, synced = t.find(host); !found || r.answers() || !r.starts() {
			return r, found, synced
		}
		select {
		case <-changed:
		case <-end.C:
			return r, found, synced
		case <-t.ending:
			return r, found, synced
		case <-ctx.Done():
			return r, found, synced
		}
	}
}

// Drain ends all waiting, for good: who waits is told to come back while this facade can still say so. It is called once.
func (t *Table) Drain() { close(t.ending) }

// join takes a place in an app's line.
func (t *Table) join(app string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	l := t.lines[app]
	if l == nil {
		l = &line{changed: make(chan struct{})}
	}
	if t.held >= heldAll || l.waiting >= heldPerApp {
		return false
	}
	t.lines[app] = l
	l.waiting++
	t.held++
	return true
}

func (t *Table) leave(app string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.held--
	if l := t.lines[app]; l.waiting > 1 {
		l.waiting--
	} else {
		delete(t.lines, app)
	}
}

// changed is closed at the app's next change. The caller is in its line.
func (t *Table) changed(app string) <-chan struct{} {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.lines[app].changed
}

// call tells who waits for an app to look again. The caller holds the mutex.
func (t *Table) call(app string) {
	if l := t.lines[app]; l != nil {
		close(l.changed)
		l.changed = make(chan struct{})
	}
}
