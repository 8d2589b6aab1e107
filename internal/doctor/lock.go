// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/go-logr/logr"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	"k8s.io/klog/v2"
)

// How soon a lease of a run that crashed is free, and how it is kept meanwhile.
const (
	leaseTime  = 15 * time.Second
	leaseRenew = 10 * time.Second
	leaseRetry = 2 * time.Second
)

// leaseName is the lease's name in the probes' namespace.
const leaseName = "doctor"

// ErrHeld says that the lease was not to be had in time: another run goes on, or the API server does not let us have it.
var ErrHeld = errors.New("another run of the doctor goes on, or the lease can't be written")

// Lease is a lock in the cluster. Patience is how long it is waited for.
type Lease struct {
	Client    kubernetes.Interface
	Namespace string
	Patience  time.Duration
}

// Hold runs do once the lease is ours, with a context that ends when it is lost. It returns ErrHeld if it was not to be had.
func (l Lease) Hold(ctx context.Context, do func(context.Context)) error {
	ctx, release := context.WithCancel(klog.NewContext(ctx, logr.Discard())) // its chatter is of no use to anyone
	defer release()
	ours := make(chan context.Context, 1)
	elector, err := l.elector(func(ctx context.Context) { ours <- ctx })
	if err != nil {
		return fmt.Errorf("making a lease: %w", err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		elector.Run(ctx)
	}()
	patience := time.NewTimer(l.Patience)
	defer patience.Stop()
	select {
	case held := <-ours:
		do(held) //nolint:contextcheck // it ends when the lease does, and is made of ctx
	case <-patience.C:
		err = ErrHeld
	case <-ended:
		err = cmp.Or(ctx.Err(), ErrHeld)
	}
	release()
	<-ended // the lease is given back
	return err
}

func (l Lease) elector(started func(context.Context)) (*leaderelection.LeaderElector, error) {
	return leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
		Lock: &resourcelock.LeaseLock{
			LeaseMeta:  metav1.ObjectMeta{Namespace: l.Namespace, Name: leaseName},
			Client:     l.Client.CoordinationV1(),
			LockConfig: resourcelock.ResourceLockConfig{Identity: rand.Text()},
		},
		LeaseDuration: leaseTime, RenewDeadline: leaseRenew, RetryPeriod: leaseRetry,
		ReleaseOnCancel: true,
		Callbacks:       leaderelection.LeaderCallbacks{OnStartedLeading: started, OnStoppedLeading: func() {}},
	})
}
