// SPDX-License-Identifier: Apache-2.0

package meter

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
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
		b := newBook(t.Context(), "")
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
	less := *running.DeepCopy()
	less.Spec.Containers[0].Resources.Requests["cpu"] = resource.MustParse("500m")
	if lower, _ := next(s, Observed{Pods: []corev1.Pod{less}}); lower.Open[0].MilliCPU != 500 || lower.Open[0].AccruedTo != nil {
		t.Errorf("its reservation fell: %+v", lower)
	}
	less.Spec.Containers[0].Resources.Requests["cpu"] = resource.MustParse("2")
	if same, _ := next(s, Observed{Pods: []corev1.Pod{less}}); cmp.Diff(s, same) != "" {
		t.Errorf("its reservation rose (-was +is):\n%s", cmp.Diff(s, same))
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
	deleted := corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{UID: "v", Finalizers: []string{v1alpha1.FinalizerMeter}, DeletionTimestamp: new(seconds(60))}}
	unknown := Observed{Claims: []corev1.PersistentVolumeClaim{deleted}}
	if s, release := next(gone, unknown); len(release) > 0 || !undecided(unknown, s, release) {
		t.Errorf("a volume that the account does not know is let go by hearsay: %+v, %v", s, release)
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
		time.Sleep(6 * retry)
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

// An app's end must not wait for the next tick, whatever goes last.
func TestAnAccountIsClosedAsSoonAsTheLastIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		app := theApp()
		app.Status.EndReason = v1alpha1.EndStoppedByPublisher
		app.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionStopped, Status: metav1.ConditionTrue}}
		claim := &corev1.PersistentVolumeClaim{
			ObjectMeta: metav1.ObjectMeta{Namespace: "app-a", Name: "v", UID: "v", Finalizers: []string{v1alpha1.FinalizerMeter}},
			Status:     corev1.PersistentVolumeClaimStatus{Phase: corev1.ClaimBound},
		}
		c := cluster(interceptor.Funcs{}, app, claim, heartbeat(40), theMachine())
		m := newMeter(c, 60)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- m.Run(ctx) }()
		synctest.Wait()
		if s := stored(t, c); s.Final || len(s.Open) != 1 {
			t.Errorf("account is %+v", s)
		}
		if err := c.Delete(t.Context(), claim); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * gather)
		synctest.Wait()
		if s := stored(t, c); !s.Final {
			t.Errorf("account is %+v", s)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// What was told of a namespace that is gone must not be believed of the one that comes after it.
func TestANamespaceThatIsGoneEndsItsNews(t *testing.T) {
	forbidden := false
	c := cluster(interceptor.Funcs{
		List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, opts ...client.ListOption) error {
			if _, ok := list.(*corev1.PodList); ok && forbidden {
				return apierrors.NewForbidden(schema.GroupResource{Resource: "pods"}, "", nil)
			}
			return c.List(ctx, list, opts...)
		},
	}, theApp(), thePod(), heartbeat(40), theMachine())
	m := newMeter(c, 60)
	if err := m.step(t); err != nil {
		t.Fatal(err)
	}
	b := m.book("a")
	was := b.pods
	was.change(thePod())
	forbidden = true
	if err := m.step(t); err != nil {
		t.Fatal(err)
	}
	was.change(thePod()) // a watch that is not stopped yet
	if o := b.news(); !o.empty() || b.watched() {
		t.Errorf("news are %+v, watched is %v", o, b.watched())
	}
}

// An App's facts are never taken back, and those of another of the same name are its own.
func TestWhatIsLearntOfApps(t *testing.T) {
	m := newMeter(cluster(interceptor.Funcs{}), 60)
	app := theApp()
	learn := func(want bool) *book {
		t.Helper()
		if got := m.learn(t.Context(), app, false); got != want {
			t.Errorf("news: %v, want %v", got, want)
		}
		return m.book("a")
	}
	first := learn(true)
	learn(false)
	app.Status.EndReason = v1alpha1.EndStoppedByPublisher
	app.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionStopped, Status: metav1.ConditionTrue}}
	learn(true)
	app.Status = v1alpha1.AppStatus{} // as an older list has it
	if b := learn(false); !b.app.stopped {
		t.Error("it was stopped, and is not")
	}
	app.UID = "another"
	if b := learn(true); b == first || b.app.stopped || first.watches.Err() == nil {
		t.Errorf("another app of the name has the book %+v", b)
	}
	m.forget("a")
}

// The facade may still report what it served of an app that is gone: that is not the next one's who has its name.
func TestANewAccountOwesNothingOfTheOneBefore(t *testing.T) {
	c := cluster(interceptor.Funcs{}, theApp(), heartbeat(40), theMachine(), reporter("facade", "", 38, counter("door", "", 100, false)))
	m := newMeter(c, 60)
	if err := m.step(t); err != nil {
		t.Fatal(err)
	}
	say(t, c, reporter("facade", "", 52, counter("door", "", 107, false)))
	if _, err := m.readTraffic(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := m.step(t); err != nil {
		t.Fatal(err)
	}
	if got := stored(t, c).Totals.EgressBytes; got != "7" {
		t.Errorf("%q bytes are billed, want 7", got)
	}
	former := &v1alpha1.Usage{}
	if err := c.Get(t.Context(), client.ObjectKeyFromObject(theApp()), former); err != nil {
		t.Fatal(err)
	}
	if _, err := m.usage(t.Context(), "a", "another"); !errors.Is(err, errFormer) {
		t.Errorf("the account of %s is another's: %v", former.OwnerReferences[0].UID, err)
	}
}
