// SPDX-License-Identifier: Apache-2.0

package meter

import (
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/apocryph/apocryph/api/v1alpha1"
	"github.com/apocryph/apocryph/internal/usage"
)

// podTimes is what a pod's status says about when it ran.
type podTimes struct {
	// start is the first recorded start of any container, end the last recorded end; zero when there is none. No container starts before its pod is
	// made: a start that is recorded long before that proves nothing.
	start, end time.Time
	// running says that some container runs.
	running bool
	// over says that no container runs or will run any more.
	over bool
	// ordered is when its deletion was ordered, changed when its conditions last did; zero if never.
	ordered, changed time.Time
}

// times reads a pod's status. Ends that are recorded for later than latest are not believed; zero is no bound.
func times(p *corev1.Pod, latest time.Time) podTimes {
	var t podTimes
	made := p.CreationTimestamp.Time
	began := func(at metav1.Time) {
		if !at.IsZero() && made.Sub(at.Time) <= maxSkew {
			t.start = earlier(t.start, later(at.Time, made))
		}
	}
	for _, c := range slices.Concat(p.Status.ContainerStatuses, p.Status.InitContainerStatuses) {
		for _, state := range []corev1.ContainerState{c.State, c.LastTerminationState} {
			if r := state.Running; r != nil {
				began(r.StartedAt)
				t.running = true
			}
			if x := state.Terminated; x != nil {
				if x.StartedAt.Unix() == 0 {
					began(x.FinishedAt) // it could not be started: that was tried then, as in a crash loop, and has no other time
				}
				began(x.StartedAt)
				if x.FinishedAt.After(t.end) && (latest.IsZero() || !x.FinishedAt.After(latest)) {
					t.end = x.FinishedAt.Time
				}
			}
		}
	}
	terminal := p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed
	// A kubelet makes the phase terminal when the last container has ended, and not before. That all of them have ended says less: one that was
	// started again before the deletion may not be reported yet.
	t.over = terminal || (!p.DeletionTimestamp.IsZero() && p.Spec.NodeName == "")
	if !p.DeletionTimestamp.IsZero() { // which is when the grace will be over
		t.ordered = p.DeletionTimestamp.Time
		if grace := p.DeletionGracePeriodSeconds; grace != nil {
			t.ordered = t.ordered.Add(-time.Duration(*grace) * time.Second)
		}
	}
	for _, c := range p.Status.Conditions {
		t.changed = later(t.changed, c.LastTransitionTime.Time)
	}
	return t
}

// untold says that the phase is terminal and the end of some container is yet to come: a kubelet that evicts makes a status first, with the phase
// that it will have, and kills then. If it is quick with that it sends both, the first with containers that run. The second follows at once; but a
// machine that is gone, or whose Node is, tells nothing more.
func (t podTimes) untold(m Machine, now time.Time) bool {
	switch {
	case !t.over || !t.running:
		return false
	case m.Beat.IsZero(): // not heard of yet, or not any more
		return now.Sub(t.changed) <= maxSilence
	}
	return now.Sub(m.Beat) <= maxSilence && m.Beat.Sub(t.changed) <= maxSilence
}

func earlier(a, b time.Time) time.Time {
	if a.IsZero() || (!b.IsZero() && b.Before(a)) {
		return b
	}
	return a
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// Requests is a pod's effective reservation, as the scheduler has it: the sum of its containers, sidecars among them, or what some init
// container needs with the sidecars before it where that is more, or what is ordered for the pod as a whole; and what its runtime adds. While a
// change of it is under way, what was asked for and what is granted both count, the lesser of them.
func Requests(p *corev1.Pod) usage.Rate {
	var sum, most, sidecars usage.Rate
	for i := range p.Spec.Containers {
		sum = sum.Add(granted(&p.Spec.Containers[i], p.Status.ContainerStatuses))
	}
	for i := range p.Spec.InitContainers {
		c := &p.Spec.InitContainers[i]
		r := granted(c, p.Status.InitContainerStatuses)
		if c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways {
			sum, sidecars = sum.Add(r), sidecars.Add(r)
			r = usage.Rate{}
		}
		most = greatest(most, sidecars.Add(r))
	}
	all := greatest(sum, most)
	if r := p.Spec.Resources; r != nil {
		if q, ok := r.Requests[corev1.ResourceCPU]; ok {
			all.MilliCPU = q.MilliValue()
		}
		if q, ok := r.Requests[corev1.ResourceMemory]; ok {
			all.MemoryBytes = q.Value()
		}
	}
	return all.Add(rateOf(p.Spec.Overhead))
}

// granted is what a container asks for and has.
func granted(c *corev1.Container, statuses []corev1.ContainerStatus) usage.Rate {
	r := rateOf(c.Resources.Requests)
	for i := range statuses {
		if statuses[i].Name == c.Name && len(statuses[i].AllocatedResources) > 0 {
			return least(r, rateOf(statuses[i].AllocatedResources))
		}
	}
	return r
}

// least is the lesser of each resource.
func least(a, b usage.Rate) usage.Rate {
	return usage.Rate{
		MilliCPU:       min(a.MilliCPU, b.MilliCPU),
		MemoryBytes:    min(a.MemoryBytes, b.MemoryBytes),
		EphemeralBytes: min(a.EphemeralBytes, b.EphemeralBytes),
		StorageBytes:   min(a.StorageBytes, b.StorageBytes),
		Extended:       each(a.Extended, b.Extended, func(x, y int64) int64 { return min(x, y) }),
	}
}

// each is what is picked of two rates for each extended resource that one of them has; zero of it is none.
func each(a, b map[string]int64, pick func(x, y int64) int64) map[string]int64 {
	var all map[string]int64
	for _, names := range []map[string]int64{a, b} {
		for name := range names {
			if n := pick(a[name], b[name]); n > 0 {
				if all == nil {
					all = map[string]int64{}
				}
				all[name] = n
			}
		}
	}
	return all
}

// greatest is the greater of each resource.
func greatest(a, b usage.Rate) usage.Rate {
	return usage.Rate{
		MilliCPU:       max(a.MilliCPU, b.MilliCPU),
		MemoryBytes:    max(a.MemoryBytes, b.MemoryBytes),
		EphemeralBytes: max(a.EphemeralBytes, b.EphemeralBytes),
		StorageBytes:   max(a.StorageBytes, b.StorageBytes),
		Extended:       each(a.Extended, b.Extended, func(x, y int64) int64 { return max(x, y) }),
	}
}

func rateOf(list corev1.ResourceList) usage.Rate {
	r := usage.Rate{
		MilliCPU:       list.Cpu().MilliValue(),
		MemoryBytes:    list.Memory().Value(),
		EphemeralBytes: list.StorageEphemeral().Value(),
	}
	for name, q := range list {
		if n := q.Value(); n > 0 && usage.IsExtended(string(name)) {
			r = r.Add(usage.Rate{Extended: map[string]int64{string(name): n}})
		}
	}
	return r
}

// WriteTotals is the inverse of metered.Closed.
func WriteTotals(u usage.Totals) v1alpha1.Totals {
	t := v1alpha1.Totals{
		CPUMilliSeconds:      u.CPU.String(),
		MemoryByteSeconds:    u.Memory.String(),
		EphemeralByteSeconds: u.Ephemeral.String(),
		StorageByteSeconds:   u.Storage.String(),
	}
	if u.Egress.Big().Sign() > 0 {
		t.EgressBytes = u.Egress.String()
	}
	for name, q := range u.Extended {
		if t.ExtendedUnitSeconds == nil {
			t.ExtendedUnitSeconds = map[string]string{}
		}
		t.ExtendedUnitSeconds[name] = q.String()
	}
	return t
}
