// SPDX-License-Identifier: Apache-2.0

package scale

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// running is a pod that the driver started and has not ended.
type running struct {
	tenant tenant
	name   string
}

// load starts and ends pods.
type load struct {
	*world
	queue []running // the oldest first
	// beside is how many pods there are that others started.
	beside int
}

// fill starts pods, as many in each app, in random order.
func (l *load) fill(ctx context.Context, pods int) error {
	var order []tenant
	for n := range pods {
		order = append(order, l.tenants[n%len(l.tenants)])
	}
	rand.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
	l.queue = make([]running, pods)
	all, starting := errgroup.WithContext(ctx)
	all.SetLimit(hands)
	for i, t := range order {
		all.Go(func() error {
			name, err := l.start(starting, t)
			l.queue[i] = running{t, name}
			return err
		})
	}
	if err := all.Wait(); err != nil {
		return err
	}
	return l.until(ctx, "pods run", func() (bool, error) {
		pending, err := l.count(ctx, "status.phase=Pending")
		return pending == 0, err
	})
}

// until waits for something.
func (l *load) until(ctx context.Context, what string, done func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	for {
		ok, err := done()
		if err != nil || ok {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting until %s: %w", what, ctx.Err())
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// count counts pods, by fields.
func (l *load) count(ctx context.Context, fields string) (int, error) {
	list, err := l.cluster.CoreV1().Pods("").List(ctx, metav1.ListOptions{FieldSelector: fields, ResourceVersion: "0"})
	if err != nil {
		return 0, fmt.Errorf("counting pods: %w", err)
	}
	return len(list.Items), nil
}

// gone reports whether no pod is left but those that were not ended.
func (l *load) gone(ctx context.Context) (bool, error) {
	list, err := l.cluster.CoreV1().Pods("").List(ctx, metav1.ListOptions{Limit: 1})
	if err != nil {
		return false, fmt.Errorf("counting pods: %w", err)
	}
	n := len(list.Items)
	if list.RemainingItemCount != nil {
		n += int(*list.RemainingItemCount)
	}
	return n <= len(l.queue)+l.beside, nil
}

// turn ends the oldest pod and starts another of its app, so many times a second for so long; after each tenth of it calls tenth. It returns how
// many it came to.
func (l *load) turn(ctx context.Context, rate int, period time.Duration, tenth func() error) (int, error) {
	next := make(chan running)
	var mu sync.Mutex
	var failed error
	var all sync.WaitGroup
	done := 0
	for range hands {
		all.Go(func() {
			for r := range next {
				err := l.end(ctx, r.tenant, r.name)
				name, err2 := l.start(ctx, r.tenant)
				mu.Lock()
				failed = errors.Join(failed, err, err2)
				done++
				l.queue = append(l.queue, running{r.tenant, name})
				mu.Unlock()
			}
		})
	}
	begin, tenths := time.Now(), 0
	var err error
	for n := 0; time.Since(begin) < period && err == nil; n++ {
		due := begin.Add(time.Duration(n) * time.Second / time.Duration(rate))
		time.Sleep(time.Until(due))
		mu.Lock()
		r := l.queue[0]
		l.queue, err = l.queue[1:], failed
		mu.Unlock()
		next <- r
		for time.Since(begin) >= period*time.Duration(tenths+1)/10 && tenths < 9 && err == nil {
			tenths++
			err = tenth()
		}
	}
	close(next)
	all.Wait()
	if err = errors.Join(err, failed); err != nil {
		return done, err
	}
	return done, tenth()
}
