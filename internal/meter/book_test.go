// SPDX-License-Identifier: Apache-2.0

package meter

import (
	"context"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/apocryph/apocryph/api/v1alpha1"
)

// A watch may be late, and tell of a pod that was counted, let go and forgotten since: what is older than a list is no news.
func TestNewsThatAreOlderThanAListAreNone(t *testing.T) {
	event := func(kind watch.EventType, uid string, version int) watch.Event {
		return watch.Event{Type: kind, Object: &corev1.Pod{ObjectMeta: metav1.ObjectMeta{UID: types.UID(uid), ResourceVersion: strconv.Itoa(version)}}}
	}
	for name, c := range map[string]struct {
		before  []watch.Event
		listed  string
		after   []watch.Event
		changed []string
		gone    []string
	}{
		"news":                         {listed: "90", after: []watch.Event{event(watch.Added, "a", 91), event(watch.Modified, "a", 92), event(watch.Modified, "b", 100)}, changed: []string{"a", "b"}},
		"older than the list":          {listed: "100", after: []watch.Event{event(watch.Modified, "a", 99), event(watch.Deleted, "b", 100)}},
		"told before the list":         {before: []watch.Event{event(watch.Modified, "a", 99), event(watch.Deleted, "b", 98), event(watch.Modified, "c", 101)}, listed: "100", changed: []string{"c"}},
		"gone":                         {listed: "1", after: []watch.Event{event(watch.Modified, "a", 7), event(watch.Deleted, "a", 8)}, gone: []string{"a"}},
		"of no version that is known":  {listed: "1", after: []watch.Event{event(watch.Modified, "a", 0)}},
		"a bookmark tells of no pod":   {listed: "1", after: []watch.Event{event(watch.Bookmark, "", 9)}},
		"an error says nothing either": {listed: "1", after: []watch.Event{{Type: watch.Error, Object: &metav1.Status{}}}},
	} {
		var b book
		for _, e := range c.before {
			b.pods.hear(e)
		}
		b.pods.list(c.listed)
		for _, e := range c.after {
			b.pods.hear(e)
		}
		o := b.news()
		var changed, gone []string
		for _, p := range o.Pods {
			changed = append(changed, string(p.UID))
		}
		for _, uid := range o.Gone {
			gone = append(gone, string(uid))
		}
		if diff := cmp.Diff([][]string{c.changed, c.gone}, [][]string{changed, gone}); diff != "" {
			t.Errorf("%s: changed and gone (-want +got):\n%s", name, diff)
		}
		if o := b.news(); !o.empty() {
			t.Errorf("%s: told twice: %+v", name, o)
		}
	}
}

// News begin intervals and end them. That one goes on, and that what was not told of is gone, only a list can say.
func TestWhatNewsProve(t *testing.T) {
	heard := Heard{Machines: map[string]Machine{"m": {Beat: seconds(500).Time, Since: seconds(-500).Time, Steady: seconds(-500).Time}}}
	next := func(s v1alpha1.UsageStatus, o Observed) (v1alpha1.UsageStatus, []types.UID) {
		t.Helper()
		o.Heard, o.Changes = heard, true
		s, release, err := Next(s, o, seconds(500).Time)
		if err != nil {
			t.Fatal(err)
		}
		return s, release
	}
	running := *thePod()
	s, _ := next(v1alpha1.UsageStatus{}, Observed{Pods: []corev1.Pod{running}})
	if len(s.Open) != 1 || s.Open[0].AccruedTo != nil {
		t.Fatalf("a pod that was told to run: %+v", s)
	}
	if again, _ := next(s, Observed{Pods: []corev1.Pod{running}}); cmp.Diff(s, again) != "" {
		t.Errorf("it was told to run once more (-was +is):\n%s", cmp.Diff(s, again))
	}
	other := running
	other.UID = "other"
	both, _ := next(s, Observed{Pods: []corev1.Pod{other}})
	if len(both.Open) != 2 {
		t.Errorf("one of two pods was told of: %+v", both)
	}
	over := *running.DeepCopy()
	over.Status.Phase = corev1.PodFailed
	over.Status.ContainerStatuses[0].State = corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{StartedAt: seconds(0), FinishedAt: seconds(50)}}
	closed, release := next(both, Observed{Pods: []corev1.Pod{over}})
	if closed.Totals.CPUMilliSeconds != "49000" || len(closed.Open) != 1 || cmp.Diff([]types.UID{"pod"}, release) != "" {
		t.Errorf("a pod that ended: %+v, %v may go", closed, release)
	}
	gone, _ := next(closed, Observed{Gone: []types.UID{"pod", "other"}})
	if len(gone.Open)+len(gone.ClosedUIDs) != 0 || gone.Totals.CPUMilliSeconds != "49000" {
		t.Errorf("two pods that are gone: %+v", gone)
	}
	if s, _ := next(gone, Observed{Stopped: true, Reports: Reports{Whole: true}}); s.Final {
		t.Error("final by hearsay")
	}
}

// A watch that breaks may have missed something: all is listed again, and watched from there.
func TestAWatchThatBreaksIsMadeUpForByAList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var broken []watch.Interface
		c := cluster(interceptor.Funcs{
			Watch: func(ctx context.Context, c client.WithWatch, list client.ObjectList, opts ...client.ListOption) (watch.Interface, error) {
				w, err := c.Watch(ctx, list, opts...)
				if _, ok := list.(*corev1.PodList); ok && err == nil {
					mu.Lock()
					defer mu.Unlock()
					if broken = append(broken, w); len(broken) == 2 {
						return nil, apierrors.NewServiceUnavailable("busy")
					}
				}
				return w, err
			},
		}, theApp(), thePod(), heartbeat(40), theMachine())
		m := newMeter(c, 60)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- m.Run(ctx) }()
		synctest.Wait()
		broken[0].Stop()
		end(t, c, 50)
		time.Sleep(2 * retry)
		synctest.Wait()
		if got := stored(t, c); got.Totals.CPUMilliSeconds != "49000" {
			t.Errorf("account is %+v", got)
		}
		time.Sleep(2 * retry)
		mu.Lock()
		defer mu.Unlock()
		if len(broken) != 3 {
			t.Errorf("%d watches of pods, want one that broke, one that failed and one that goes on", len(broken))
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
