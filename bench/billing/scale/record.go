// SPDX-License-Identifier: Apache-2.0

package scale

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
	toolswatch "k8s.io/client-go/tools/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/apocryph/apocryph/api/v1alpha1"
)

// record is what the driver saw of the pods of those apps whose bills it checks.
type record struct {
	mu   sync.Mutex
	pods map[types.UID]*life
}

// life is one pod's: what its machine recorded, and when the driver saw that it had ended and that it was let go.
type life struct {
	namespace   string
	start, end  time.Time
	ended, gone time.Time
}

// follow watches until what it returns is called, which reports whether the watch broke before: what it missed then is not known.
func follow(ctx context.Context, w *world) (*record, func() error, error) {
	r := &record{pods: map[types.UID]*life{}}
	none, err := w.cluster.CoreV1().Pods("").List(ctx, metav1.ListOptions{LabelSelector: checked})
	if err != nil {
		return nil, nil, fmt.Errorf("watching pods: %w", err)
	}
	ctx, stop := context.WithCancel(ctx)
	// It goes on where it was when the server ends it, which is what servers do to watches that are slow.
	watched, err := toolswatch.NewRetryWatcherWithContext(ctx, none.ResourceVersion, &cache.ListWatch{
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			o.LabelSelector = checked
			return w.cluster.CoreV1().Pods("").Watch(ctx, o)
		},
	})
	if err != nil {
		stop()
		return nil, nil, fmt.Errorf("watching pods: %w", err)
	}
	done := make(chan error, 1)
	go func() {
		for e := range watched.ResultChan() {
			if pod, ok := e.Object.(*corev1.Pod); ok {
				r.see(pod, e.Type == watch.Deleted)
			}
		}
		if ctx.Err() == nil {
			done <- errors.New("the driver's watch ended")
		}
		close(done)
	}()
	return r, func() error { stop(); return <-done }, nil
}

func (r *record) see(pod *corev1.Pod, gone bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	l := r.pods[pod.UID]
	if l == nil {
		l = &life{namespace: pod.Namespace}
		r.pods[pod.UID] = l
	}
	if gone {
		l.gone = time.Now()
	}
	for _, c := range pod.Status.ContainerStatuses {
		if c.State.Running != nil {
			l.start = c.State.Running.StartedAt.Time
		}
		if t := c.State.Terminated; t != nil && l.ended.IsZero() {
			l.start, l.end, l.ended = t.StartedAt.Time, t.FinishedAt.Time, time.Now()
		}
	}
}

// delays are how long pods that ended between two times were held, sorted.
func (r *record) delays(from, to time.Time) []time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []time.Duration
	for _, l := range r.pods {
		if l.ended.After(from) && l.ended.Before(to) && !l.gone.IsZero() {
			all = append(all, l.gone.Sub(l.ended))
		}
	}
	slices.Sort(all)
	return all
}

// compare works out the bill of each app that is checked from the record, and returns how many lives they had, how many bills there are, and of those that differ, how.
// A life counts in whole seconds: from the second after the recorded start, which began before it, to the recorded end.
func (r *record) compare(ctx context.Context, w *world) (lives, bills int, wrong []string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	seconds, open := map[string]int64{}, map[string]int{}
	for _, l := range r.pods {
		if l.ended.IsZero() {
			if !l.start.IsZero() {
				open[l.namespace]++
			}
			continue
		}
		lives++
		seconds[l.namespace] += max(0, l.end.Unix()-l.start.Unix()-1)
	}
	for _, t := range w.tenants {
		if !t.checked {
			continue
		}
		var u v1alpha1.Usage
		if err := w.objects.Get(ctx, client.ObjectKey{Namespace: system, Name: t.name}, &u); err != nil {
			return 0, 0, nil, fmt.Errorf("reading an account: %w", err)
		}
		bills++
		want := func(rate int64) string {
			return new(big.Int).Mul(big.NewInt(rate), big.NewInt(seconds[t.namespace()])).String()
		}
		got := u.Status
		if zero(got.Totals.CPUMilliSeconds) != want(milliCPU) || zero(got.Totals.MemoryByteSeconds) != want(memoryBytes) ||
			zero(got.Totals.EphemeralByteSeconds) != want(memoryBytes) || len(got.Open) != open[t.namespace()] {
			wrong = append(wrong, fmt.Sprintf("bill of %s: %s, want %s; %d open, want %d",
				t.name, got.Totals.CPUMilliSeconds, want(milliCPU), len(got.Open), open[t.namespace()]))
		}
	}
	return lives, bills, wrong, nil
}

func zero(quantity string) string {
	if quantity == "" {
		return "0"
	}
	return quantity
}
