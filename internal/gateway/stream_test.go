// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/apocryph/apocryph/api/v1alpha1"
	"github.com/apocryph/apocryph/internal/delegation"
	orderv1 "github.com/apocryph/apocryph/internal/gen/orderv1"
	providerv1 "github.com/apocryph/apocryph/internal/gen/providerv1"
)

// clocked makes the world's clock that of the bubble it runs in.
func (w *world) clocked() {
	start, base := time.Now(), w.now
	w.g.parts.Now = func() time.Time { return base.Add(time.Since(start)) }
}

func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.clocked()
		w.accept(nil)
		id := w.app(w.publisher)
		c := w.as(w.publisher).Value(callerKey{}).(*caller)
		ctx, cancel := context.WithCancel(t.Context())
		var phases []string
		done := make(chan error, 1)
		began := time.Now()
		go func() {
			done <- w.g.watch(ctx, c, id, func(s *providerv1.AppStatus) error {
				phases = append(phases, fmt.Sprintf("%s %s", time.Since(began), s.Phase))
				return nil
			})
		}()
		set := func(phase v1alpha1.Phase) {
			app := w.get(id)
			app.Status.Phase = phase
			if err := w.cluster.Status().Update(t.Context(), app); err != nil {
				t.Error(err)
			}
		}
		synctest.Wait()
		time.Sleep(time.Second) // the bubble's clock
		set(v1alpha1.PhaseStarting)
		synctest.Wait()
		time.Sleep(time.Second)
		set(v1alpha1.PhaseReady)
		synctest.Wait()
		time.Sleep(9 * time.Second)
		synctest.Wait()
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		want := []string{"0s PHASE_PENDING", "1s PHASE_STARTING", "2s PHASE_READY", "10s PHASE_READY"}
		if diff := cmp.Diff(want, phases); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

func TestStreamsEndWithTheDelegation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.clocked()
		w.accept(nil)
		id := w.app(w.publisher)
		c := &caller{peer: w.publisher.peer.Peer(), signed: w.grant(w.publisher, func(d *delegation.Delegation) {
			d.ExpiresAt = w.now.Add(25 * time.Second)
		})}
		var err error
		if c.delegation, err = w.g.inForce(c); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		beats := 0
		err = logStream{
			stream{w.g, c, id, orderv1.Operation_OPERATION_LOGS}, &providerv1.LogsRequest{Follow: true},
			func(*providerv1.LogsResponse) error { beats++; return nil },
		}.run(t.Context())
		if !errors.Is(err, delegation.ErrExpired) || time.Since(began) != 30*time.Second || beats != 2 {
			t.Errorf("ended with %v after %s and %d heartbeats", err, time.Since(began), beats)
		}
	})
}

// script is what containers write: by pod and container number, lines with the second at which each was written.
type script struct {
	mu    sync.Mutex
	lines map[string][]string
	opens []string
}

func (s *script) Stream(ctx context.Context, ns, pod string, o *corev1.PodLogOptions) (io.ReadCloser, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := pod
	if o.Previous {
		key += " before"
	}
	s.opens = append(s.opens, fmt.Sprintf("%s %s %s follow=%t", ns[:4], key, o.Container, o.Follow))
	var text []string
	for _, l := range s.lines[key] {
		second, _, _ := strings.Cut(l, " ")
		var n int64
		_, _ = fmt.Sscan(second, &n)
		// As the API server does: by whole seconds.
		if o.SinceTime != nil && time.Unix(n, 0).Before(o.SinceTime.Truncate(time.Second)) {
			continue
		}
		text = append(text, fmt.Sprintf("%s %s\n", time.Unix(n, 5).UTC().Format(time.RFC3339Nano), strings.TrimPrefix(l, second+" ")))
	}
	if o.TailLines != nil {
		text = text[max(0, len(text)-int(*o.TailLines)):]
	}
	r := io.NopCloser(strings.NewReader(strings.Join(text, "")))
	if !o.Follow {
		return r, nil
	}
	return following{Reader: io.MultiReader(r, until{ctx}), ctx: ctx}, nil
}

type following struct {
	io.Reader
	ctx context.Context
}

func (following) Close() error { return nil }

// until blocks as a followed log does.
type until struct{ ctx context.Context }

func (u until) Read([]byte) (int, error) { <-u.ctx.Done(); return 0, u.ctx.Err() }

func pod(w *world, name, service string, restarts int32) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: v1alpha1.Namespace(w.app(w.publisher).String()), Name: name, UID: types.UID(name),
			Labels: map[string]string{v1alpha1.LabelService: service},
		},
		Status: corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{{
			Name: service, ContainerID: name, RestartCount: restarts,
			State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}},
		}}},
	}
}

func (w *world) create(o client.Object) {
	w.t.Helper()
	if err := w.cluster.Create(w.t.Context(), o); err != nil {
		w.t.Fatal(err)
	}
}

func TestLogs(t *testing.T) {
	for what, c := range map[string]struct {
		request *providerv1.LogsRequest
		want    []string
	}{
		"all":              {&providerv1.LogsRequest{}, []string{"web crashed", "web one", "web two", "web three"}},
		"since":            {&providerv1.LogsRequest{Since: 11}, []string{"web one", "web two", "web three"}},
		"since the second": {&providerv1.LogsRequest{Since: 12}, []string{"web two", "web three"}},
		"one service":      {&providerv1.LogsRequest{Service: "web"}, []string{"web crashed", "web one", "web two", "web three"}},
	} {
		t.Run(what, func(t *testing.T) {
			w := newWorld(t)
			w.accept(nil)
			w.create(pod(w, "web-1", "web", 1))
			w.create(pod(w, "web-2", "web", 0))
			w.g.parts.Pods = &script{lines: map[string][]string{"web-1 before": {"10 crashed"}, "web-1": {"11 one"}, "web-2": {"12 two", "13 three"}}}
			var got []string
			err := w.logs(t.Context(), c.request, func(l *providerv1.LogsResponse) error {
				got = append(got, l.Service+" "+string(l.Line))
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			bytes := int64(len(strings.ReplaceAll(strings.Join(got, ""), "web ", "")))
			if diff := cmp.Diff(map[string]int64{w.app(w.publisher).String(): bytes}, w.sent.bytes); diff != "" {
				t.Errorf("what left (-want +got):\n%s", diff)
			}
		})
	}
	w := newWorld(t)
	w.accept(nil)
	if err := w.logs(t.Context(), &providerv1.LogsRequest{Service: "db"}, nil); reasonOf(err) != providerv1.Reason_REASON_BAD_REQUEST {
		t.Errorf("an unknown service: %v", err)
	}
}

func (w *world) logs(ctx context.Context, r *providerv1.LogsRequest, send func(*providerv1.LogsResponse) error) error {
	c := w.as(w.publisher).Value(callerKey{}).(*caller)
	return logStream{stream{w.g, c, w.app(w.publisher), orderv1.Operation_OPERATION_LOGS}, r, send}.run(ctx)
}

// A rolling restart replaces the pod; the stream goes on with the new one's lines.
func TestLogsFollowARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.clocked()
		w.accept(nil)
		logs := &script{lines: map[string][]string{"web-1": {"11 one"}, "web-2": {"12 two"}}}
		w.g.parts.Pods = logs
		ctx, cancel := context.WithCancel(t.Context())
		var got []string
		done := make(chan error, 1)
		go func() {
			done <- w.logs(ctx, &providerv1.LogsRequest{Follow: true}, func(l *providerv1.LogsResponse) error {
				if len(l.Line) > 0 {
					got = append(got, string(l.Line))
				}
				return nil
			})
		}()
		first := pod(w, "web-1", "web", 0)
		for _, change := range []func(){
			func() {}, // nothing runs yet
			func() { w.create(first) },
			func() { w.create(pod(w, "web-2", "web", 0)) },
			func() { _ = w.cluster.Delete(t.Context(), first) },
		} {
			change()
			time.Sleep(1500 * time.Millisecond) // the bubble's clock
			synctest.Wait()
		}
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if diff := cmp.Diff([]string{"one", "two"}, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		want := []string{"app- web-1 web follow=true", "app- web-2 web follow=true"}
		if diff := cmp.Diff(want, logs.opens); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

func TestLongLinesAreCut(t *testing.T) {
	w := newWorld(t)
	w.accept(nil)
	w.create(pod(w, "web-1", "web", 0))
	w.g.parts.Pods = &script{lines: map[string][]string{"web-1": {"11 " + strings.Repeat("x", 3*maxLine), "12 short"}}}
	var sizes []int
	err := w.logs(t.Context(), &providerv1.LogsRequest{}, func(l *providerv1.LogsResponse) error {
		sizes = append(sizes, len(l.Line))
		return nil
	})
	if err != nil || len(sizes) != 2 || sizes[0] > maxLine+3 || sizes[0] < maxLine-100 || sizes[1] != len("short") {
		t.Errorf("got %v, %v", sizes, err)
	}
}
