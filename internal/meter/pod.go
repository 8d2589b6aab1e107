// SPDX-License-Identifier: Apache-2.0

package meter

import (
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/apocryph/apocryph/api/v1alpha1"
	"github.com/apocryph/apocryph/internal/usage"
)

// podTimes is what a pod's status says about when it ran.
type podTimes struct {
	// start is the first recorded start of any container, end the last recorded end; zero when there is none.
	start, end time.Time
	// running is the earliest start among containers that run now.
	running time.Time
	// over says that no container runs or will run any more.
	over bool
}

func times(p *corev1.Pod) podTimes {
	var t podTimes
	ended := len(p.Status.ContainerStatuses) > 0
	for i, c := range slices.Concat(p.Status.ContainerStatuses, p.Status.InitContainerStatuses) {
		for _, state := range []corev1.ContainerState{c.State, c.LastTerminationState} {
			if r := state.Running; r != nil {
				t.start, t.running = earlier(t.start, r.StartedAt.Time), earlier(t.running, r.StartedAt.Time)
			}
			if x := state.Terminated; x != nil {
				t.start = earlier(t.start, x.StartedAt.Time)
				if x.FinishedAt.After(t.end) {
					t.end = x.FinishedAt.Time
				}
			}
		}
		if i < len(p.Status.ContainerStatuses) && c.State.Terminated == nil {
			ended = false
		}
	}
	terminal := p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed
	deleted := !p.DeletionTimestamp.IsZero()
	t.over = terminal || (deleted && (ended || p.Spec.NodeName == ""))
	return t
}

func earlier(a, b time.Time) time.Time {
	if a.IsZero() || (!b.IsZero() && b.Before(a)) {
		return b
	}
	return a
}

// Requests is a pod's effective reservation: the sum of its containers, or the largest init container where that is more, and what its
// runtime adds.
func Requests(spec *corev1.PodSpec) usage.Rate {
	var sum, most usage.Rate
	for _, c := range spec.Containers {
		sum = sum.Add(rateOf(c.Resources.Requests))
	}
	for _, c := range spec.InitContainers {
		r := rateOf(c.Resources.Requests)
		most = usage.Rate{
			MilliCPU:       max(most.MilliCPU, r.MilliCPU),
			MemoryBytes:    max(most.MemoryBytes, r.MemoryBytes),
			EphemeralBytes: max(most.EphemeralBytes, r.EphemeralBytes),
		}
	}
	return usage.Rate{
		MilliCPU:       max(sum.MilliCPU, most.MilliCPU),
		MemoryBytes:    max(sum.MemoryBytes, most.MemoryBytes),
		EphemeralBytes: max(sum.EphemeralBytes, most.EphemeralBytes),
	}.Add(rateOf(spec.Overhead))
}

func rateOf(list corev1.ResourceList) usage.Rate {
	return usage.Rate{
		MilliCPU:       list.Cpu().MilliValue(),
		MemoryBytes:    list.Memory().Value(),
		EphemeralBytes: list.StorageEphemeral().Value(),
	}
}

// WriteTotals is the inverse of metered.Closed.
func WriteTotals(u usage.Totals) v1alpha1.Totals {
	return v1alpha1.Totals{
		CPUMilliSeconds:      u.CPU.String(),
		MemoryByteSeconds:    u.Memory.String(),
		EphemeralByteSeconds: u.Ephemeral.String(),
		StorageByteSeconds:   u.Storage.String(),
	}
}
