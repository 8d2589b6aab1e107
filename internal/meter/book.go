// SPDX-License-Identifier: Apache-2.0

package meter

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/apocryph/apocryph/api/v1alpha1"
	"github.com/apocryph/apocryph/internal/kube"
)

// book is what the meter has at hand of one app. Its account, since, warned and failures are the worker's whose turn it is, and what follows mu has a lock.
type book struct {
	// account is as it was last read or written, but for what was forgotten since; nil if it is to be read.
	account *v1alpha1.Usage
	// since is the last reading of reporters that had begun when the account was read.
	since uint64

	uid types.UID // the App's
	// opened is when there first was one, warned when it was last said that it can't be kept; zero if it can.
	opened, warned time.Time
	failures       int // looks on end that failed
	// stop ends the watches, whose context watches is; running is the meter's.
	running, watches context.Context //nolint:containedctx // of goroutines that the book owns
	stop             context.CancelFunc

	mu           sync.Mutex
	app          facts
	whole        bool // all there is must be listed
	pods, claims *told
}

// facts are what counts of an App here. None of them is ever taken back.
type facts struct {
	// stopped says that no pod will be made any more, ended that the app's namespace is gone.
	stopped, ended bool
}

func factsOf(app *v1alpha1.App) facts {
	return facts{
		stopped: app.Status.EndReason != "" && meta.IsStatusConditionTrue(app.Status.Conditions, v1alpha1.ConditionStopped),
		ended:   app.Status.Phase == v1alpha1.PhaseEnded,
	}
}

// news are what watches told since the last look.
func (b *book) news() Observed {
	b.mu.Lock()
	defer b.mu.Unlock()
	o := Observed{Changes: true}
	pods, gone := b.pods.take()
	for _, obj := range pods {
		if p, ok := obj.(*corev1.Pod); ok {
			o.Pods = append(o.Pods, *p)
		}
	}
	claims, lost := b.claims.take()
	for _, obj := range claims {
		if c, ok := obj.(*corev1.PersistentVolumeClaim); ok {
			o.Claims = append(o.Claims, *c)
		}
	}
	o.Gone = slices.Concat(gone, lost)
	return o
}

// again keeps the pods whose interval is closed and that may not go yet, and reports whether there are any.
func (b *book) again(o Observed, s v1alpha1.UsageStatus, release []types.UID) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	waits := false
	for i := range o.Pods {
		if p := &o.Pods[i]; guarded(p) && slices.Contains(s.ClosedUIDs, string(p.UID)) && !slices.Contains(release, p.UID) {
			b.pods.again(p)
			waits = true
		}
	}
	return waits
}

// watched reports whether news of it come.
func (b *book) watched() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.pods.watched && b.claims.watched
}

// newBook is of an app of which nothing is known, for as long as running.
func newBook(running context.Context, uid types.UID) *book {
	b := &book{uid: uid, opened: time.Now(), running: running, pods: &told{}, claims: &told{}}
	b.watches, b.stop = context.WithCancel(running)
	return b
}

// close ends its watches.
func (b *book) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stop()
}

// unhear drops all news, and ends the watches that may have more: there is nothing that they could be about.
func (b *book) unhear() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stop()
	b.watches, b.stop = context.WithCancel(b.running)
	b.pods, b.claims = &told{}, &told{}
}

// told is what a watch told of one kind since it was last listed. What is older than that list is passed over: the account may have forgotten what
// it is about.
type told struct {
	watched bool
	// short is how many watches on end ended at once.
	short   int
	listed  string
	changed map[types.UID]client.Object
	gone    map[types.UID]string
}

// hear takes in an event and reports whether it is news.
func (t *told) hear(e watch.Event) bool {
	obj, ok := e.Object.(client.Object)
	if !ok || !newer(obj.GetResourceVersion(), t.listed) {
		return false
	}
	switch e.Type {
	case watch.Added, watch.Modified:
		t.change(obj)
	case watch.Deleted:
		delete(t.changed, obj.GetUID())
		if t.gone == nil {
			t.gone = map[types.UID]string{}
		}
		t.gone[obj.GetUID()] = obj.GetResourceVersion()
	default:
		return false
	}
	return true
}

func (t *told) change(obj client.Object) {
	if t.changed == nil {
		t.changed = map[types.UID]client.Object{}
	}
	t.changed[obj.GetUID()] = obj
}

// list drops what a list has that was made at some resource version.
func (t *told) list(version string) {
	t.listed = version
	for uid, obj := range t.changed {
		if !newer(obj.GetResourceVersion(), version) {
			delete(t.changed, uid)
		}
	}
	for uid, at := range t.gone {
		if !newer(at, version) {
			delete(t.gone, uid)
		}
	}
}

// again keeps what must be looked at once more, unless there are news of it.
func (t *told) again(obj client.Object) {
	_, gone := t.gone[obj.GetUID()]
	if _, changed := t.changed[obj.GetUID()]; !gone && !changed {
		t.change(obj)
	}
}

// take empties it and returns what was in it.
func (t *told) take() ([]client.Object, []types.UID) {
	var changed []client.Object
	for _, obj := range t.changed {
		changed = append(changed, obj)
	}
	// In the order in which they were made, so that accounts don't depend on chance.
	slices.SortFunc(changed, func(a, b client.Object) int {
		at, bt := a.GetCreationTimestamp(), b.GetCreationTimestamp()
		if c := at.Compare(bt.Time); c != 0 {
			return c
		}
		return cmp.Compare(a.GetUID(), b.GetUID())
	})
	var gone []types.UID
	for uid := range t.gone {
		gone = append(gone, uid)
	}
	t.changed, t.gone = nil, nil
	return changed, gone
}

// newer reports whether a resource version is later than another of the same kind. What can't be compared is not: the next list has it.
func newer(a, b string) bool {
	if b == "" {
		return true
	}
	c, err := resourceversion.CompareResourceVersion(a, b)
	return err == nil && c > 0
}

// watchApps has apps looked at once they say something new, from what a list of them had on, unless that is so already.
func (m *Meter) watchApps(ctx context.Context, listed *v1alpha1.AppList) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.watched {
		return
	}
	m.watched = true
	m.all.Go(func() {
		_ = m.watch(ctx, &v1alpha1.AppList{}, m.namespace, listed.ResourceVersion, func(e watch.Event) {
			app, ok := e.Object.(*v1alpha1.App)
			switch {
			case !ok:
			case e.Type == watch.Deleted:
				m.forget(app.Name)
			case accountable(app) && m.learn(ctx, app, false):
				m.queue.Add(app.Name)
			}
		})
		m.mu.Lock()
		defer m.mu.Unlock()
		m.watched = false
	})
}

// watch tells of what changed in a namespace since a list.
func (m *Meter) watch(ctx context.Context, kind client.ObjectList, namespace, listed string, tell func(watch.Event)) error {
	return kube.Watch(ctx, m.client, kind, tell, client.InNamespace(namespace), &client.ListOptions{Raw: &metav1.ListOptions{ResourceVersion: listed}})
}

// follow watches what was listed of an app, from that list on, unless that is so already. The caller has the book's lock.
func (m *Meter) follow(name string, b *book, t *told, kind client.ObjectList) {
	if t.watched {
		return
	}
	t.watched = true
	ctx, from, began := b.watches, t.listed, time.Now()
	m.all.Go(func() {
		err := m.watch(ctx, kind, v1alpha1.Namespace(name), from, func(e watch.Event) {
			b.mu.Lock()
			defer b.mu.Unlock()
			if t.hear(e) {
				m.queue.AddAfter(name, gather)
			}
		})
		if ctx.Err() != nil {
			return
		}
		// What it missed since is for a list to tell: soon, but not for all apps at once if it was the API server that ended.
		b.mu.Lock()
		t.watched = false
		var again time.Duration
		if time.Since(began) > retry {
			t.short, again = 0, wait.Jitter(gather, manyTimes)
		} else {
			t.short++
			again = backOff(t.short)
		}
		if t.short == 1 && err != nil {
			m.log.Warn("what changes is not told, so it is listed", "app", name, "error", err)
		}
		b.mu.Unlock()
		m.again(name, b, again)
	})
}

// backOff is when to try again what failed so many times.
func backOff(times int) time.Duration { return min(retry<<min(times-1, 4), time.Minute) }
