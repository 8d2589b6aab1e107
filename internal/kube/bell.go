// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"context"
	"fmt"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	bellRetryMin = 200 * time.Millisecond
	bellRetryMax = 5 * time.Second
)

// Bell rings when something changes in the namespaces it listens to. It needs no right beyond them, keeps nothing of what it sees, and may
// ring too often or, while the API server is away, too late: whoever is rung for looks for himself, and now and then unasked.
type Bell struct {
	client client.WithWatch
	kinds  []client.ObjectList
	ring   func(namespace string)

	changes chan change
}

type change struct {
	namespace string
	listen    bool
}

// NewBell returns a bell for changes of these kinds. It calls ring from many goroutines.
func NewBell(c client.WithWatch, ring func(namespace string), kinds ...client.ObjectList) *Bell {
	return &Bell{client: c, kinds: kinds, ring: ring, changes: make(chan change)}
}

// Listen starts listening to a namespace; again is no harm. It waits until Run takes it, or ctx ends.
func (b *Bell) Listen(ctx context.Context, namespace string) { b.send(ctx, change{namespace, true}) }

// Forget stops listening to a namespace. It waits like Listen.
func (b *Bell) Forget(ctx context.Context, namespace string) { b.send(ctx, change{namespace, false}) }

func (b *Bell) send(ctx context.Context, c change) {
	select {
	case b.changes <- c:
	case <-ctx.Done():
	}
}

// Run listens until ctx ends, and returns when every watch has ended.
func (b *Bell) Run(ctx context.Context) error {
	var all sync.WaitGroup
	defer all.Wait()
	listening := map[string]context.CancelFunc{}
	for {
		select {
		case <-ctx.Done():
			for _, cancel := range listening {
				cancel()
			}
			return nil
		case c := <-b.changes:
			cancel, on := listening[c.namespace]
			switch {
			case c.listen && !on:
				nsCtx, cancel := context.WithCancel(ctx)
				listening[c.namespace] = cancel
				for _, kind := range b.kinds {
					all.Go(func() { b.watch(nsCtx, c.namespace, kind) })
				}
			case !c.listen && on:
				cancel()
				delete(listening, c.namespace)
			}
		}
	}
}

func (b *Bell) watch(ctx context.Context, namespace string, kind client.ObjectList) {
	retry := bellRetryMin
	for ctx.Err() == nil {
		if b.once(ctx, namespace, kind) {
			retry = bellRetryMin
		}
		select {
		case <-ctx.Done():
		case <-time.After(retry):
		}
		retry = min(2*retry, bellRetryMax)
	}
}

// once rings until a watch ends and reports whether it brought anything.
func (b *Bell) once(ctx context.Context, namespace string, kind client.ObjectList) bool {
	list, ok := kind.DeepCopyObject().(client.ObjectList)
	if !ok {
		return false
	}
	rang := false
	// Rights may come later, and the listener looks unasked, too.
	_ = Watch(ctx, b.client, list, func(watch.Event) {
		rang = true
		b.ring(namespace)
	}, client.InNamespace(namespace))
	return rang
}

// Watch tells of what changes among objects of a kind until ctx ends or the watch does, and returns an error only if none began.
func Watch(ctx context.Context, c client.WithWatch, kind client.ObjectList, tell func(watch.Event), opts ...client.ListOption) error {
	w, err := c.Watch(ctx, kind, opts...)
	if err != nil {
		return fmt.Errorf("watching %T: %w", kind, err)
	}
	defer w.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case e, ok := <-w.ResultChan():
			if !ok || e.Type == watch.Error {
				return nil
			}
			tell(e)
		}
	}
}
