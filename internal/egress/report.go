// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/apocryph/apocryph/api/v1alpha1"
)

// report writes what is known, if the API server does not have it, or has not heard for a while. It reads first, so that what another agent
// wrote meanwhile does not fall.
func (a *Agent) report(ctx context.Context, now time.Time) error {
	object := &v1alpha1.Traffic{ObjectMeta: metav1.ObjectMeta{Namespace: a.cfg.Namespace, Name: v1alpha1.TrafficOfMachine(a.cfg.Machine)}}
	missing := a.client.Get(ctx, client.ObjectKeyFromObject(object), object)
	if client.IgnoreNotFound(missing) != nil {
		return fmt.Errorf("reading what was reported: %w", missing)
	}
	fresh := a.book.known
	a.book.learn(object.Counters)
	if !fresh {
		// What the counters lack is only known now.
		if err := a.count(); err != nil {
			return err
		}
	}
	if err := a.forget(ctx); err != nil {
		a.log.Warn("what the meter has is not known", "error", err)
	}
	a.reported = now
	if a.book.told() && now.Sub(object.SeenAt.Time) < beatEvery {
		return nil
	}
	object.Machine, object.SeenAt, object.Counters = a.cfg.Machine, metav1.NewTime(now), a.book.counters()
	write := func() error { return a.client.Update(ctx, object) }
	if missing != nil {
		write = func() error { return a.client.Create(ctx, object) }
	}
	if err := write(); err != nil {
		return fmt.Errorf("reporting: %w", err)
	}
	a.book.learn(object.Counters)
	return nil
}

// forget drops what the meter has.
func (a *Agent) forget(ctx context.Context) error {
	usages := map[string]*v1alpha1.Usage{}
	var errs []error
	for _, app := range a.book.ending() {
		u := &v1alpha1.Usage{}
		err := a.client.Get(ctx, client.ObjectKey{Namespace: a.cfg.Namespace, Name: app}, u)
		switch {
		case err == nil:
			usages[app] = u
		case apierrors.IsNotFound(err):
			usages[app] = nil
		default:
			errs = append(errs, fmt.Errorf("reading the account of %s: %w", app, err))
		}
	}
	a.book.forget(usages, a.now())
	return errors.Join(errs...)
}
