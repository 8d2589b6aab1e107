// SPDX-License-Identifier: Apache-2.0

// Package traffic is how a front door reports the bytes that it sends for apps: it counts them by app and writes them, now and then, into the one
// Traffic object of its pod.
//
// It guards publishers from paying twice: counters only grow, the source is the pod's UID, and a process that takes over its pod's object goes on from
// what stands there. What was counted and not written when the process dies is free, and so is all that an object held that is gone before the meter
// saw it: then counting starts at zero.
package traffic

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/apocryph/apocryph/api/v1alpha1"
)

const (
	// every is how often what has grown is written, still how often if nothing has.
	every = 5 * time.Second
	still = 30 * time.Second
	// forget is how often counters of apps that are gone are dropped.
	forget = 10 * time.Minute
	// lastTime is how long the last write may take, once nothing is sent any more.
	lastTime = 3 * time.Second
)

// Pod is the pod that a reporter runs in.
type Pod struct {
	Namespace, Name string
	UID             types.UID
}

// Reporter counts and reports. It is safe for concurrent use; one runs in a pod at a time.
type Reporter struct {
	client client.Client
	pod    Pod
	log    *slog.Logger
	now    func() time.Time

	mu    sync.Mutex
	bytes map[string]int64 // by app
	grown bool

	// object is as it was last written; without a resource version it is not there.
	object  v1alpha1.Traffic
	read    bool
	written time.Time
	cleaned time.Time
}

// New returns a reporter that has counted nothing. It counts as of now, and reports while it runs.
func New(c client.Client, pod Pod, log *slog.Logger) *Reporter {
	return &Reporter{client: c, pod: pod, log: log, now: time.Now, bytes: map[string]int64{}}
}

// Add counts bytes that were sent for an app.
func (r *Reporter) Add(app string, bytes int64) {
	if bytes <= 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.bytes[app] += bytes
	r.grown = true
}

// Run reports until ctx ends, and once more then: whoever counts has to have stopped by that time. Outside of a pod there is nobody to report as.
func (r *Reporter) Run(ctx context.Context) error {
	if r.pod.Name == "" || r.pod.UID == "" {
		<-ctx.Done()
		return nil
	}
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastTime)
			defer cancel()
			if err := r.report(last); err != nil {
				r.log.Warn("the last bytes are not reported", "error", err)
			}
			return nil
		case <-ticker.C:
			if err := r.report(ctx); err != nil && ctx.Err() == nil {
				r.log.Warn("bytes not reported", "error", err)
			}
		}
	}
}

// report writes what has grown, or that nothing has. What fails is tried again the next time.
func (r *Reporter) report(ctx context.Context) error {
	if err := r.take(ctx); err != nil {
		return err
	}
	if r.now().Sub(r.cleaned) >= forget {
		if err := r.clean(ctx); err != nil {
			return err
		}
	}
	next, grown := r.next()
	if len(next.Counters) == 0 && next.ResourceVersion == "" || !grown && r.now().Sub(r.written) < still {
		return nil
	}
	var err error
	if next.ResourceVersion == "" {
		err = r.client.Create(ctx, next)
	} else {
		err = r.client.Update(ctx, next)
	}
	switch {
	case apierrors.IsNotFound(err):
		r.restart()
		return fmt.Errorf("what was reported is gone, counting starts anew: %w", err)
	case err != nil:
		r.mu.Lock()
		r.grown = r.grown || grown
		r.mu.Unlock()
		r.read = !apierrors.IsConflict(err) && !apierrors.IsAlreadyExists(err) // somebody touched it: it is read again, and what it counted stays counted
		return fmt.Errorf("reporting: %w", err)
	}
	r.object, r.written = *next, r.now()
	return nil
}

// take reads the object once, and goes on from what an earlier process of this pod said there.
func (r *Reporter) take(ctx context.Context) error {
	if r.read {
		return nil
	}
	first := r.cleaned.IsZero() && r.object.ResourceVersion == ""
	found := &v1alpha1.Traffic{}
	err := r.client.Get(ctx, client.ObjectKey{Namespace: r.pod.Namespace, Name: r.pod.Name}, found)
	switch {
	case apierrors.IsNotFound(err):
		if !first {
			r.restart()
		}
		r.object = v1alpha1.Traffic{ObjectMeta: metav1.ObjectMeta{Namespace: r.pod.Namespace, Name: r.pod.Name}}
	case err != nil:
		return fmt.Errorf("reading what was reported: %w", err)
	default:
		if first {
			r.mu.Lock()
			for _, c := range found.Counters {
				r.bytes[c.App] += c.Bytes
			}
			r.mu.Unlock()
		}
		r.object = *found
	}
	r.read, r.cleaned = true, r.now()
	return nil
}

// next is the object as it should be now, and whether something has grown since the last.
func (r *Reporter) next() (*v1alpha1.Traffic, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	next := r.object.DeepCopy()
	next.SeenAt, next.Counters = metav1.NewTime(r.now()), nil
	for _, app := range slices.Sorted(maps.Keys(r.bytes)) {
		next.Counters = append(next.Counters, v1alpha1.TrafficCounter{App: app, Source: string(r.pod.UID), Bytes: r.bytes[app]})
	}
	grown := r.grown
	r.grown = false
	return next, grown
}

// restart begins at zero: what an object held that is gone may be counted or not, and must not be counted again.
func (r *Reporter) restart() {
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.bytes)
	r.grown = false
	r.object = v1alpha1.Traffic{ObjectMeta: metav1.ObjectMeta{Namespace: r.pod.Namespace, Name: r.pod.Name}}
}

// clean drops the counters of apps that are gone, whose accounts went with them.
func (r *Reporter) clean(ctx context.Context) error {
	var apps v1alpha1.AppList
	if err := r.client.List(ctx, &apps, client.InNamespace(r.pod.Namespace)); err != nil {
		return fmt.Errorf("listing apps: %w", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	maps.DeleteFunc(r.bytes, func(app string, _ int64) bool {
		return !slices.ContainsFunc(apps.Items, func(a v1alpha1.App) bool { return a.Name == app })
	})
	r.cleaned = r.now()
	return nil
}
