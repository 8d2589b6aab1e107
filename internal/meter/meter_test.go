// SPDX-License-Identifier: Apache-2.0

package meter

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/apocryph/apocryph/api/v1alpha1"
	"github.com/apocryph/apocryph/internal/kube"
)

func start() time.Time { return time.Unix(1_800_000_000, 0) }

func seconds(n int) metav1.Time { return metav1.NewTime(start().Add(time.Duration(n) * time.Second)) }

func theApp() *v1alpha1.App {
	return &v1alpha1.App{ObjectMeta: metav1.ObjectMeta{Namespace: "sys", Name: "a", UID: "app", Finalizers: []string{v1alpha1.FinalizerApp}}}
}

func thePod() *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "app-a", Name: "p", UID: "pod", Finalizers: []string{"other/one", v1alpha1.FinalizerMeter},
			Labels: map[string]string{v1alpha1.LabelService: "web"},
		},
		Spec: corev1.PodSpec{NodeName: "m", Containers: []corev1.Container{{
			Name: "web", Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{"cpu": resource.MustParse("1")}},
		}}},
		Status: corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{
			{State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: seconds(0)}}},
		}},
	}
}

func heartbeat(n int) *coordinationv1.Lease {
	renewed := metav1.NewMicroTime(seconds(n).Time)
	return &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Namespace: leases, Name: "m"}, Spec: coordinationv1.LeaseSpec{RenewTime: &renewed},
	}
}

func theMachine() *corev1.Node {
	return &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: "m"},
		Status: corev1.NodeStatus{Conditions: []corev1.NodeCondition{
			{Type: corev1.NodeReady, Status: corev1.ConditionTrue, LastTransitionTime: seconds(-500)},
		}},
	}
}

func cluster(funcs interceptor.Funcs, objects ...client.Object) client.WithWatch {
	return fake.NewClientBuilder().WithScheme(kube.Scheme()).WithStatusSubresource(&v1alpha1.App{}, &v1alpha1.Usage{}, &corev1.Pod{}).
		WithInterceptorFuncs(funcs).WithObjects(objects...).Build()
}

func newMeter(c client.WithWatch, now int) *Meter {
	m := New(c, "sys", time.Hour, slog.New(slog.DiscardHandler))
	m.now = func() time.Time { return seconds(now).Time }
	return m
}

func stored(t *testing.T, c client.Client) v1alpha1.UsageStatus {
	t.Helper()
	var u v1alpha1.Usage
	if err := c.Get(t.Context(), client.ObjectKey{Namespace: "sys", Name: "a"}, &u); err != nil {
		t.Fatal(err)
	}
	return u.Status
}

// step keeps the one account once, of all there is, reading heartbeats before.
func (m *Meter) step(t *testing.T) error {
	t.Helper()
	if err := m.hear(t.Context()); err != nil {
		t.Fatal(err)
	}
	return m.look(t.Context(), "a", m.opened(t))
}

// opened returns the book of the one app, and has all there is looked at.
func (m *Meter) opened(t *testing.T) *book {
	t.Helper()
	if m.queue == nil {
		m.queue = workqueue.NewTypedDelayingQueue[string]()
		t.Cleanup(func() {
			m.forget("a")
			m.all.Wait()
			m.queue.ShutDown()
		})
	}
	var app v1alpha1.App
	if err := m.client.Get(t.Context(), client.ObjectKeyFromObject(theApp()), &app); err != nil {
		t.Fatal(err)
	}
	m.learn(t.Context(), &app, true)
	return m.book("a")
}

func beat(t *testing.T, c client.Client, n int) {
	t.Helper()
	l := &coordinationv1.Lease{}
	if err := c.Get(t.Context(), client.ObjectKeyFromObject(heartbeat(n)), l); err != nil {
		t.Fatal(err)
	}
	l.Spec = heartbeat(n).Spec
	if err := c.Update(t.Context(), l); err != nil {
		t.Fatal(err)
	}
}

func end(t *testing.T, c client.Client, n int) {
	t.Helper()
	p := &corev1.Pod{}
	if err := c.Get(t.Context(), client.ObjectKeyFromObject(thePod()), p); err != nil {
		t.Fatal(err)
	}
	p.Status.Phase = corev1.PodFailed
	p.Status.ContainerStatuses[0].State = corev1.ContainerState{
		Terminated: &corev1.ContainerStateTerminated{StartedAt: seconds(0), FinishedAt: seconds(n)},
	}
	if err := c.Status().Update(t.Context(), p); err != nil {
		t.Fatal(err)
	}
}

func TestAPodIsWrittenDownBeforeItMayGo(t *testing.T) {
	c := cluster(interceptor.Funcs{}, theApp(), thePod(), heartbeat(40), theMachine())
	m := newMeter(c, 60)
	for _, n := range []int{40, 50, 60} {
		beat(t, c, n)
		if err := m.step(t); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(seconds(40).UTC(), stored(t, c).Open[0].AccruedTo.UTC()); diff != "" {
		t.Errorf("accrued to (-want +got):\n%s", diff)
	}
	end(t, c, 50)
	if err := m.step(t); err != nil {
		t.Fatal(err)
	}
	got := stored(t, c)
	if got.Totals.CPUMilliSeconds != "49000" || len(got.Open) != 0 {
		t.Errorf("account is %+v", got)
	}
	p := &corev1.Pod{}
	if err := c.Get(t.Context(), client.ObjectKeyFromObject(thePod()), p); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"other/one"}, p.Finalizers); diff != "" {
		t.Errorf("finalizers (-want +got):\n%s", diff)
	}
}

func TestACrashBeforeTheFinalizerGoesCountsOnce(t *testing.T) {
	away := apierrors.NewInternalError(io.ErrUnexpectedEOF)
	c := cluster(interceptor.Funcs{
		Patch: func(context.Context, client.WithWatch, client.Object, client.Patch, ...client.PatchOption) error {
			return away
		},
	}, theApp(), thePod(), heartbeat(40), theMachine())
	end(t, c, 50)
	for range 3 {
		if err := newMeter(c, 60).step(t); !apierrors.IsInternalError(err) {
			t.Fatalf("error is %v", err)
		}
		if got := stored(t, c); got.Totals.CPUMilliSeconds != "49000" {
			t.Fatalf("account is %+v", got)
		}
	}
}

func TestAnAccountThatSomebodyElseWroteIsReadAgain(t *testing.T) {
	c := cluster(interceptor.Funcs{
		SubResourceUpdate: func(ctx context.Context, c client.Client, sub string, obj client.Object, opts ...client.SubResourceUpdateOption) error {
			if _, ok := obj.(*v1alpha1.Usage); ok {
				return apierrors.NewConflict(schema.GroupResource{}, "a", nil)
			}
			return c.SubResource(sub).Update(ctx, obj, opts...)
		},
	}, theApp(), thePod(), heartbeat(40), theMachine())
	end(t, c, 50)
	if err := newMeter(c, 60).step(t); !apierrors.IsConflict(err) {
		t.Errorf("error is %v, want a conflict", err)
	}
	p := &corev1.Pod{}
	if err := c.Get(t.Context(), client.ObjectKeyFromObject(thePod()), p); err != nil {
		t.Fatal(err)
	}
	if len(p.Finalizers) != 2 {
		t.Error("the pod may go though nothing was written")
	}
}

func TestMissingRightsEndNothing(t *testing.T) {
	forbidden := apierrors.NewForbidden(schema.GroupResource{Resource: "pods"}, "", nil)
	app := theApp()
	app.Status.EndReason = v1alpha1.EndStoppedByPublisher
	app.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionStopped, Status: metav1.ConditionTrue}}
	noPods := interceptor.Funcs{
		List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, opts ...client.ListOption) error {
			if _, ok := list.(*corev1.PodList); ok {
				return forbidden
			}
			return c.List(ctx, list, opts...)
		},
	}
	c := cluster(noPods, app, heartbeat(40), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "app-a"}})
	if err := newMeter(c, 60).step(t); !apierrors.IsForbidden(err) {
		t.Errorf("error is %v, want that it is forbidden", err)
	}
	if stored(t, c).Final {
		t.Error("final, though the pods can't be seen")
	}
	// Without a namespace there is nothing to be seen.
	c = cluster(noPods, app, heartbeat(40))
	if err := newMeter(c, 60).step(t); err != nil || !stored(t, c).Final {
		t.Errorf("not final without a namespace: %v", err)
	}
}

// Whoever makes a pod when all is settled has it free, and must not hold the namespace up.
func TestWhatComesAfterTheEndIsLetGo(t *testing.T) {
	final := &v1alpha1.Usage{ObjectMeta: metav1.ObjectMeta{Namespace: "sys", Name: "a"}, Status: v1alpha1.UsageStatus{Final: true}}
	c := cluster(interceptor.Funcs{}, theApp(), thePod(), final, heartbeat(40), theMachine())
	m := newMeter(c, 60)
	p := &corev1.Pod{}
	for _, want := range [][]string{{"other/one", v1alpha1.FinalizerMeter}, {"other/one"}} {
		if err := m.step(t); err != nil {
			t.Fatal(err)
		}
		if err := c.Get(t.Context(), client.ObjectKeyFromObject(thePod()), p); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, p.Finalizers); diff != "" {
			t.Errorf("finalizers (-want +got):\n%s", diff)
		}
		if err := c.Delete(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(v1alpha1.UsageStatus{Final: true}, stored(t, c)); diff != "" {
		t.Errorf("account (-want +got):\n%s", diff)
	}
}

func TestWithoutHeartbeatsNothingIsDecided(t *testing.T) {
	c := cluster(interceptor.Funcs{}, theApp(), thePod(), heartbeat(40))
	end(t, c, 50)
	m := newMeter(c, 60)
	if err := m.look(t.Context(), "a", m.opened(t)); !errors.Is(err, errUnheard) {
		t.Errorf("error is %v, want %v", err, errUnheard)
	}
	if err := c.Get(t.Context(), client.ObjectKeyFromObject(theApp()), &v1alpha1.Usage{}); !apierrors.IsNotFound(err) {
		t.Errorf("there is an account, or none can be read: %v", err)
	}
}

// What can wait for the next tick is not written each time a pod changes.
func TestWritesOfOneInterval(t *testing.T) {
	writes := map[string]int{}
	c := cluster(interceptor.Funcs{
		SubResourceUpdate: func(ctx context.Context, c client.Client, sub string, obj client.Object, opts ...client.SubResourceUpdateOption) error {
			if _, ok := obj.(*v1alpha1.Usage); ok {
				writes["usage"]++
			}
			return c.SubResource(sub).Update(ctx, obj, opts...)
		},
		Patch: func(ctx context.Context, c client.WithWatch, obj client.Object, patch client.Patch, opts ...client.PatchOption) error {
			writes["finalizer"]++
			return c.Patch(ctx, obj, patch, opts...)
		},
	}, theApp(), thePod(), heartbeat(40))
	m := newMeter(c, 60)
	told := func(types ...watch.EventType) {
		t.Helper()
		b := m.book("a")
		for _, e := range types {
			p := &corev1.Pod{}
			if err := c.Get(t.Context(), client.ObjectKeyFromObject(thePod()), p); err != nil {
				t.Fatal(err)
			}
			b.mu.Lock()
			b.pods.hear(watch.Event{Type: e, Object: p})
			b.mu.Unlock()
			if err := m.look(t.Context(), "a", b); err != nil {
				t.Fatal(err)
			}
		}
	}
	due := func() {
		t.Helper()
		if err := m.step(t); err != nil {
			t.Fatal(err)
		}
	}
	for n := 40; n <= 60; n += 5 {
		beat(t, c, n)
		due()
		told(watch.Modified, watch.Modified)
	}
	if diff := cmp.Diff(map[string]int{"usage": 4}, writes); diff != "" { // that it began, and in three of the ticks how far it came
		t.Errorf("writes of an open interval (-want +got):\n%s", diff)
	}
	end(t, c, 50)
	told(watch.Modified, watch.Modified, watch.Modified)
	if diff := cmp.Diff(map[string]int{"usage": 5, "finalizer": 1}, writes); diff != "" {
		t.Errorf("writes of an interval (-want +got):\n%s", diff)
	}
	if n := len(stored(t, c).ClosedUIDs); n != 1 {
		t.Errorf("%d UIDs are remembered before the tick", n)
	}
	for range 5 {
		due()
	}
	if diff := cmp.Diff(map[string]int{"usage": 6, "finalizer": 1}, writes); diff != "" {
		t.Errorf("writes with a tick (-want +got):\n%s", diff)
	}
	if n := len(stored(t, c).ClosedUIDs); n != 0 {
		t.Errorf("%d UIDs are remembered after the tick", n)
	}
}

func TestRunKeepsEveryAccountAndStops(t *testing.T) {
	c := cluster(interceptor.Funcs{}, theApp(), thePod(), heartbeat(40), theMachine())
	m := newMeter(c, 60)
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- m.Run(ctx) }()
		synctest.Wait()
		if got := stored(t, c); len(got.Open) != 1 {
			t.Errorf("account is %+v", got)
		}
		end(t, c, 50) // which is told long before the next tick
		time.Sleep(gather)
		synctest.Wait()
		if got := stored(t, c); got.Totals.CPUMilliSeconds != "49000" {
			t.Errorf("account is %+v", got)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	w := httptest.NewRecorder()
	m.Metrics().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if want := `apocryph_usage_total{app="a",resource="cpu"} 49000`; !strings.Contains(w.Body.String(), want) {
		t.Errorf("metrics lack %s:\n%s", want, w.Body)
	}
}

func TestWhoHasAnAccount(t *testing.T) {
	for name, c := range map[string]struct {
		app  v1alpha1.App
		want bool
	}{
		"an order that nobody verified has none":        {app: v1alpha1.App{ObjectMeta: metav1.ObjectMeta{Finalizers: []string{v1alpha1.FinalizerChannel}}}},
		"what was made has one":                         {app: v1alpha1.App{ObjectMeta: metav1.ObjectMeta{Finalizers: []string{v1alpha1.FinalizerApp}}}, want: true},
		"what ends before it was made has one to close": {app: v1alpha1.App{Status: v1alpha1.AppStatus{EndReason: v1alpha1.EndDeletedByProvider}}, want: true},
	} {
		if got := accountable(&c.app); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
