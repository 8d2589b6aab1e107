// SPDX-License-Identifier: Apache-2.0

package meter

import (
	"context"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/apocryph/apocryph/api/v1alpha1"
)

// reporter is what the agent of machine m, or a pod of the facade, said at a second.
func reporter(name, machine string, seen int, counters ...v1alpha1.TrafficCounter) *v1alpha1.Traffic {
	return &v1alpha1.Traffic{ObjectMeta: metav1.ObjectMeta{Namespace: "sys", Name: name}, Machine: machine, SeenAt: seconds(seen), Counters: counters}
}

func counter(source, pod string, bytes int64, closed bool) v1alpha1.TrafficCounter {
	return v1alpha1.TrafficCounter{App: "a", Source: source, PodUID: pod, Bytes: bytes, Closed: closed}
}

func say(t *testing.T, c client.Client, want *v1alpha1.Traffic) {
	t.Helper()
	was := &v1alpha1.Traffic{}
	if err := c.Get(t.Context(), client.ObjectKeyFromObject(want), was); err != nil {
		t.Fatal(err)
	}
	was.SeenAt, was.Counters = want.SeenAt, want.Counters
	if err := c.Update(t.Context(), was); err != nil {
		t.Fatal(err)
	}
}

// A pod has ended, and its machine's agent closes its counter a moment later, long before the next tick: what it sent is written down, and then it
// goes.
func TestAnAgentIsAskedAgainForAPodThatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := cluster(interceptor.Funcs{}, theApp(), thePod(), heartbeat(40), theMachine(), reporter("machine-m", "m", 38, counter("net", "pod", 100, false)))
		m := newMeter(c, 60)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- m.Run(ctx) }()
		synctest.Wait()
		if got := stored(t, c).Totals.EgressBytes; got != "100" {
			t.Errorf("%q bytes of a pod that runs", got)
		}
		end(t, c, 50)
		time.Sleep(gather)
		synctest.Wait()
		held := func() int {
			p := &corev1.Pod{}
			if err := c.Get(t.Context(), client.ObjectKeyFromObject(thePod()), p); err != nil {
				t.Fatal(err)
			}
			return len(p.Finalizers)
		}
		if got := stored(t, c); got.Totals.CPUMilliSeconds != "49000" || held() != 2 {
			t.Errorf("account is %+v, the pod is held by %d", got, held())
		}
		say(t, c, reporter("machine-m", "m", 52, counter("net", "pod", 170, true)))
		time.Sleep(lookEvery)
		synctest.Wait()
		if got := stored(t, c).Totals.EgressBytes; got != "170" || held() != 1 {
			t.Errorf("%q bytes, the pod is held by %d", got, held())
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// What is counted is forgotten only when the reporters, read after the account was, have it no more: another meter may have counted meanwhile what
// this one has not read yet.
func TestWhatAnotherMeterCountedIsNotForgotten(t *testing.T) {
	c := cluster(interceptor.Funcs{}, theApp(), heartbeat(40), theMachine())
	one, other := newMeter(c, 60), newMeter(c, 60)
	if err := one.step(t); err != nil {
		t.Fatal(err)
	}
	if err := c.Create(t.Context(), reporter("f", "", 55, counter("uid", "", 100, false))); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		for _, m := range []*Meter{other, one} {
			if err := m.step(t); err != nil {
				t.Fatal(err)
			}
			if got := stored(t, c); got.Totals.EgressBytes != "100" || len(got.Counters) != 1 {
				t.Fatalf("account is %+v", got)
			}
		}
	}
}

func TestWhatASilentReporterSaidIsDroppedOnceItIsCounted(t *testing.T) {
	hour := int(keepTraffic / time.Second)
	for name, c := range map[string]struct {
		said *v1alpha1.Traffic
		app  *v1alpha1.Usage
		gone bool
	}{
		"one that was heard within the hour":        {said: reporter("f", "", 1, counter("uid", "", 100, false))},
		"one that is counted":                       {said: reporter("f", "", 0, counter("uid", "", 100, false)), gone: true},
		"a machine's agent":                         {said: reporter("machine-m", "m", 0, counter("net", "pod", 100, false)), gone: true},
		"one that said nothing":                     {said: reporter("f", "", 0), gone: true},
		"one of an app that is not there":           {said: reporter("f", "", 0, v1alpha1.TrafficCounter{App: "b", Source: "uid", Bytes: 100}), gone: true},
		"one of an app that is final":               {said: reporter("f", "", 0, v1alpha1.TrafficCounter{App: "c", Source: "uid", Bytes: 100}), gone: true},
		"one that is not counted, of whatever else": {said: reporter("f", "", 0, v1alpha1.TrafficCounter{App: "d", Source: "uid", Bytes: 101})},
		"one that is counted as far as it said":     {said: reporter("f", "", 0, v1alpha1.TrafficCounter{App: "d", Source: "uid", Bytes: 100}), gone: true},
	} {
		t.Run(name, func(t *testing.T) {
			final := &v1alpha1.Usage{ObjectMeta: metav1.ObjectMeta{Namespace: "sys", Name: "c"}, Status: v1alpha1.UsageStatus{Final: true}}
			behind := &v1alpha1.Usage{ // its App can't be read, so it is not kept
				ObjectMeta: metav1.ObjectMeta{Namespace: "sys", Name: "d"}, Status: v1alpha1.UsageStatus{Counters: []v1alpha1.Counted{{Source: "uid", Bytes: 100}}},
			}
			cl := cluster(interceptor.Funcs{}, theApp(), heartbeat(40), theMachine(), final, behind, c.said)
			m := newMeter(cl, hour)
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				done := make(chan error)
				go func() { done <- m.Run(ctx) }()
				synctest.Wait()
				cancel()
				if err := <-done; err != nil {
					t.Error(err)
				}
			})
			var left v1alpha1.TrafficList
			if err := cl.List(t.Context(), &left); err != nil {
				t.Fatal(err)
			}
			if gone := len(left.Items) == 0; gone != c.gone {
				t.Errorf("gone: %v", gone)
			}
		})
	}
}

// A meter that can't read what reporters say lets no pod go: it does not know whether somebody counts.
func TestWithoutReportersNothingIsDecided(t *testing.T) {
	away := true
	c := cluster(interceptor.Funcs{
		List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, opts ...client.ListOption) error {
			if _, ok := list.(*v1alpha1.TrafficList); ok && away {
				return apierrors.NewInternalError(io.ErrUnexpectedEOF)
			}
			return c.List(ctx, list, opts...)
		},
	}, theApp(), thePod(), heartbeat(40), theMachine())
	end(t, c, 50)
	m := newMeter(c, 60)
	if err := m.step(t); !apierrors.IsInternalError(err) {
		t.Errorf("error is %v", err)
	}
	if diff := cmp.Diff(v1alpha1.UsageStatus{}, stored(t, c)); diff != "" {
		t.Errorf("account (-want +got):\n%s", diff)
	}
	away = false
	if err := m.step(t); err != nil || stored(t, c).Totals.CPUMilliSeconds != "49000" {
		t.Errorf("account is %+v, %v", stored(t, c), err)
	}
}
