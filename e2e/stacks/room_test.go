// SPDX-License-Identifier: Apache-2.0

package stacks

import (
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/apocryph/apocryph/e2e/bed"
)

// quarter is what a service reserves of a processor if its app file says nothing, in thousandths.
const quarter = 250

// space is what is free, in quarters of a processor.
type space struct {
	mu   sync.Mutex
	more *sync.Cond
	free int
	// places have been given, and next is whose turn it is.
	places, next int
}

// roomOf measures what the devnet's machine has left for apps.
func roomOf(t *testing.T, d *bed.Devnet) *space {
	t.Helper()
	var machines corev1.NodeList
	var pods corev1.PodList
	for _, err := range []error{d.Kube.List(t.Context(), &machines), d.Kube.List(t.Context(), &pods)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	free := int64(0)
	for _, m := range machines.Items {
		free += m.Status.Allocatable.Cpu().MilliValue()
	}
	for _, p := range pods.Items {
		if p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed {
			continue
		}
		for _, c := range p.Spec.Containers {
			free -= c.Resources.Requests.Cpu().MilliValue()
		}
	}
	s := &space{free: max(int(free/quarter), 2)}
	s.more = sync.NewCond(&s.mu)
	t.Logf("there is room for %d services at once", s.free)
	return s
}

// queue returns the place of who asks.
func (s *space) queue() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.places++
	return s.places - 1
}

// take waits until it is a place's turn and n are free.
func (s *space) take(place, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.next < place || s.free < n {
		s.more.Wait()
	}
	s.free -= n
	s.next = place + 1
	s.more.Broadcast()
}

func (s *space) give(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.free += n
	s.more.Broadcast()
}
