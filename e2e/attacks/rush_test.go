// SPDX-License-Identifier: Apache-2.0

package attacks

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/apocryph/apocryph/e2e/bed"
)

// starts is how often a pod tries to be quicker than the policies. Before they came first, more than every other of these got somewhere.
const starts = 6

// forbidden are addresses that no tenant reaches, for a rush to them. The first is that of a pod that lets nobody else in either; some of the
// rest let everybody in, so that only the policies of who asks can hold it back.
func (w *world) forbidden(t *testing.T) []string {
	t.Helper()
	var all []string
	add := func(ip string, err error, port string) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, ip+":"+port)
	}
	ip, err := w.address(t.Context(), w.target())
	add(ip, err, "8080")
	for component, port := range map[string]string{"gateway": "4001", "facade": "8080", "imagestore": "5000"} {
		ip, err := w.systemPod(t.Context(), bed.SystemNamespace, client.MatchingLabels{"app.kubernetes.io/component": component})
		add(ip, err, port)
	}
	ip, err = w.systemPod(t.Context(), "kube-system", client.MatchingLabels{"k8s-app": "kube-dns"})
	add(ip, err, "8181")
	return append(all, w.outside.node+":10250", w.outside.node+":6443", metadata+":80", "10.96.0.1:443")
}

// quick tries to be there before the policies are.
func (w *world) quick() attempt {
	return attempt{
		name: "it is quicker than the policies",
		try:  w.rushes,
		says: []string{"nothing answered"},
		control: func(ctx context.Context) error {
			said, err := w.ask(ctx, w.open(), "rushed")
			if err != nil {
				return err
			}
			victim, err := w.address(ctx, w.target())
			if n := len(strings.Split(said, ", ")); err == nil && n != 8 {
				err = fmt.Errorf("%d of 8 answered, %s aside: %s", n, victim, said)
			}
			return err
		},
	}
}

// rushes has the pod start again and again, and asks each what it reached.
func (w *world) rushes(ctx context.Context) error {
	busy, stop := context.WithCancel(ctx)
	var done sync.WaitGroup
	done.Go(func() { w.stir(busy) })
	defer func() {
		stop()
		done.Wait()
	}()
	reached := map[string]int{}
	for range starts {
		before, err := w.pod(ctx, w.hasty())
		if err != nil {
			return err
		}
		if err := w.Kube.Delete(ctx, before, client.GracePeriodSeconds(0)); err != nil {
			return err
		}
		said, err := w.rushed(ctx, before)
		if err != nil {
			return err
		}
		if said == "nothing" {
			continue
		}
		for one := range strings.SplitSeq(said, ", ") {
			to, _, _ := strings.Cut(one, " ")
			reached[to]++
		}
	}
	if len(reached) > 0 {
		return fmt.Errorf("%w: of %d starts so many reached %v", errHappened, starts, reached)
	}
	return fmt.Errorf("nothing answered in %d starts", starts)
}

// rushed asks the pod that takes another's place what it reached.
func (w *world) rushed(ctx context.Context, before *corev1.Pod) (string, error) {
	for {
		if p, err := w.pod(ctx, w.hasty()); err == nil && p.UID != before.UID {
			if said, err := askAt(ctx, w.http, w.proxy(p), "rushed"); err == nil {
				return said, nil
			}
		}
		if err := pause(ctx); err != nil {
			return "", err
		}
	}
}

// stir keeps what enforces the policies busy: a pod whose labels change is a reason to look at all of them again.
func (w *world) stir(ctx context.Context) {
	for n := 0; ctx.Err() == nil; n++ {
		p, err := w.pod(ctx, w.open())
		if err != nil {
			return
		}
		old := client.MergeFrom(p.DeepCopy())
		p.Labels["stirred"] = fmt.Sprint(n)
		_ = w.Kube.Patch(ctx, p, old)
		select {
		case <-ctx.Done():
		case <-time.After(20 * time.Millisecond):
		}
	}
}
