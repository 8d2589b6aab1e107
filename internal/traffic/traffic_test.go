// SPDX-License-Identifier: Apache-2.0

package traffic

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/apocryph/apocryph/api/v1alpha1"
	"github.com/apocryph/apocryph/internal/kube"
)

// bench is a cluster with two apps and a clock.
type bench struct {
	t      *testing.T
	client client.Client
	now    time.Time
	fails  error // what every write meets
	writes int
}

func newBench(t *testing.T) *bench {
	b := &bench{t: t, now: time.Unix(1_800_000_000, 0)}
	b.client = fake.NewClientBuilder().WithScheme(kube.Scheme()).WithInterceptorFuncs(interceptor.Funcs{
		Create: func(ctx context.Context, c client.WithWatch, obj client.Object, opts ...client.CreateOption) error {
			b.writes++
			if b.fails != nil {
				return b.fails
			}
			return c.Create(ctx, obj, opts...)
		},
		Update: func(ctx context.Context, c client.WithWatch, obj client.Object, opts ...client.UpdateOption) error {
			b.writes++
			if b.fails != nil {
				return b.fails
			}
			return c.Update(ctx, obj, opts...)
		},
	}).WithObjects(anApp("a"), anApp("b")).Build()
	return b
}

func anApp(name string) *v1alpha1.App {
	return &v1alpha1.App{ObjectMeta: metav1.ObjectMeta{Namespace: "sys", Name: name}}
}

func (b *bench) process() *Reporter {
	r := New(b.client, Pod{Namespace: "sys", Name: "facade-1", UID: "uid"}, slog.New(slog.DiscardHandler))
	r.now = func() time.Time { return b.now }
	return r
}

// says is what is reported, by app; nil without an object.
func (b *bench) says() map[string]int64 {
	b.t.Helper()
	var o v1alpha1.Traffic
	err := b.client.Get(b.t.Context(), client.ObjectKey{Namespace: "sys", Name: "facade-1"}, &o)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		b.t.Fatal(err)
	}
	all := map[string]int64{}
	for _, c := range o.Counters {
		if c.Source != "uid" || c.PodUID != "" || o.Machine != "" {
			b.t.Errorf("counter %+v of machine %q", c, o.Machine)
		}
		all[c.App] = c.Bytes
	}
	return all
}

func (b *bench) want(r *Reporter, want map[string]int64) {
	b.t.Helper()
	if err := r.report(b.t.Context()); err != nil {
		b.t.Fatal(err)
	}
	if diff := cmp.Diff(want, b.says()); diff != "" {
		b.t.Errorf("reported (-want +got):\n%s", diff)
	}
}

func TestWhatIsSentIsReported(t *testing.T) {
	b := newBench(t)
	r := b.process()
	b.want(r, nil)
	r.Add("a", 70)
	r.Add("b", 5)
	r.Add("b", -9)
	b.want(r, map[string]int64{"a": 70, "b": 5})
	r.Add("a", 1)
	b.want(r, map[string]int64{"a": 71, "b": 5})
}

func TestNothingNewIsSeldomReported(t *testing.T) {
	b := newBench(t)
	r := b.process()
	r.Add("a", 70)
	for range 13 { // a minute
		b.want(r, map[string]int64{"a": 70})
		b.now = b.now.Add(every)
	}
	if b.writes != 3 {
		t.Errorf("%d writes in a minute", b.writes)
	}
	var o v1alpha1.Traffic
	if err := b.client.Get(t.Context(), client.ObjectKey{Namespace: "sys", Name: "facade-1"}, &o); err != nil || b.now.Sub(o.SeenAt.Time) > still+every {
		t.Errorf("seen at %s, now %s, %v", o.SeenAt, b.now, err)
	}
}

func TestAProcessGoesOnFromTheLast(t *testing.T) {
	b := newBench(t)
	first := b.process()
	first.Add("a", 70)
	b.want(first, map[string]int64{"a": 70})
	first.Add("a", 100) // and dies
	second := b.process()
	second.Add("a", 5)
	second.Add("b", 1)
	b.want(second, map[string]int64{"a": 75, "b": 1})
}

func TestAWriteThatFailsIsMadeAgain(t *testing.T) {
	for name, err := range map[string]error{
		"an error":           apierrors.NewInternalError(io.ErrUnexpectedEOF),
		"somebody was there": apierrors.NewConflict(schema.GroupResource{}, "facade-1", nil),
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			r := b.process()
			r.Add("a", 70)
			b.want(r, map[string]int64{"a": 70})
			r.Add("a", 1)
			b.fails = err
			if got := r.report(t.Context()); !errors.Is(got, err) {
				t.Fatalf("error is %v", got)
			}
			b.fails = nil
			b.want(r, map[string]int64{"a": 71})
		})
	}
}

// Nobody knows whether the meter saw what an object held that is gone.
func TestWhenTheObjectIsGoneCountingStartsAtZero(t *testing.T) {
	b := newBench(t)
	r := b.process()
	r.Add("a", 70)
	b.want(r, map[string]int64{"a": 70})
	if err := b.client.Delete(t.Context(), &v1alpha1.Traffic{ObjectMeta: metav1.ObjectMeta{Namespace: "sys", Name: "facade-1"}}); err != nil {
		t.Fatal(err)
	}
	r.Add("a", 5)
	if err := r.report(t.Context()); !apierrors.IsNotFound(err) {
		t.Fatalf("error is %v", err)
	}
	b.want(r, nil)
	r.Add("a", 7)
	b.want(r, map[string]int64{"a": 7})
}

func TestAppsThatAreGoneAreForgotten(t *testing.T) {
	b := newBench(t)
	r := b.process()
	r.Add("a", 70)
	r.Add("b", 5)
	b.want(r, map[string]int64{"a": 70, "b": 5})
	if err := b.client.Delete(t.Context(), anApp("a")); err != nil {
		t.Fatal(err)
	}
	b.want(r, map[string]int64{"a": 70, "b": 5})
	b.now = b.now.Add(forget)
	b.want(r, map[string]int64{"b": 5})
}

func TestTheLastBytesAreReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		r := b.process()
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- r.Run(ctx) }()
		r.Add("a", 70)
		time.Sleep(every)
		synctest.Wait()
		if got := b.says()["a"]; got != 70 {
			t.Errorf("%d bytes after a while", got)
		}
		r.Add("a", 1)
		cancel()
		if err := <-done; err != nil || b.says()["a"] != 71 {
			t.Errorf("%d bytes at the end, %v", b.says()["a"], err)
		}
	})
}
