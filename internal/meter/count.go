// SPDX-License-Identifier: Apache-2.0

package meter

import (
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/apocryph/apocryph/api/v1alpha1"
	"github.com/apocryph/apocryph/internal/usage"
)

// reportTime is how long after a pod's end its machine's agent may take to close its counters. What an agent that lives has not closed by then is
// free: an agent at fault holds up no app's end.
const reportTime = 5 * time.Minute

// Reports are what reporters say about one app's bytes to the outside.
type Reports struct {
	// Counters are all that are the app's.
	Counters []v1alpha1.TrafficCounter
	// Agents say of each machine that has one when its agent last looked, by that machine's clock.
	Agents map[string]time.Time
	// Whole says that these were read after the account was: only then a counter of no pod that the account does not know is new, and not one that
	// was forgotten since; one that is missing is gone; and nothing more will be said of an app that has stopped.
	Whole bool
}

// count adds to the totals by how much counters have grown, and remembers how far they have come. A pod's count while the pod is there, so once it
// is gone they can be forgotten: whatever is still said of them counts nothing.
func (a *account) count() {
	for _, c := range a.reports.Counters {
		if c.PodUID != "" && !a.there(c.PodUID) {
			continue
		}
		i := slices.IndexFunc(a.status.Counters, func(k v1alpha1.Counted) bool { return k.Source == c.Source })
		if i < 0 && c.Bytes > 0 && (c.PodUID != "" || a.reports.Whole) {
			a.status.Counters = append(a.status.Counters, v1alpha1.Counted{Source: c.Source, PodUID: c.PodUID})
			i = len(a.status.Counters) - 1
		}
		if i < 0 || a.status.Counters[i].PodUID != c.PodUID || c.Bytes <= a.status.Counters[i].Bytes {
			continue
		}
		a.totals = a.totals.Add(usage.Totals{Egress: usage.Bytes(c.Bytes - a.status.Counters[i].Bytes)})
		a.status.Counters[i].Bytes = c.Bytes
	}
	a.status.Counters = slices.DeleteFunc(a.status.Counters, func(k v1alpha1.Counted) bool {
		if k.PodUID != "" {
			return a.left(k.PodUID)
		}
		return a.reports.Whole && !a.reports.has(k.Source)
	})
}

func (r Reports) has(source string) bool {
	return slices.ContainsFunc(r.Counters, func(c v1alpha1.TrafficCounter) bool { return c.Source == source })
}

// settle reports whether reports that were read before an account decide all of it: they know the same front doors.
func (r Reports) settle(known []v1alpha1.Counted) bool {
	missing := slices.ContainsFunc(known, func(k v1alpha1.Counted) bool { return k.PodUID == "" && !r.has(k.Source) })
	added := slices.ContainsFunc(r.Counters, func(c v1alpha1.TrafficCounter) bool {
		return c.PodUID == "" && c.Bytes > 0 && !slices.ContainsFunc(known, func(k v1alpha1.Counted) bool { return k.Source == c.Source })
	})
	return !missing && !added
}

// letGo lets a pod go whose interval is closed, once all is in that it moved.
func (a *account) letGo(p *corev1.Pod, m Machine, end time.Time) {
	if a.reports.done(p, m, end, a.now) {
		a.release = append(a.release, p.UID)
	}
}

// done reports whether all is in that a pod moved until its end, or nobody is there to tell: its machine has no agent, is silent, or its agent is.
// An agent that has looked for some time after the end and has no counter of the pod never had one.
func (r Reports) done(p *corev1.Pod, m Machine, end, now time.Time) bool {
	looked, ok := r.Agents[p.Spec.NodeName]
	if !ok || now.Sub(m.Beat) > maxSilence || m.Beat.Sub(looked) > maxSilence || looked.Sub(end) > reportTime {
		return true
	}
	counters := 0
	for _, c := range r.Counters {
		if c.PodUID != string(p.UID) {
			continue
		}
		if !c.Closed {
			return false
		}
		counters++
	}
	// What is closed may have been followed by another network, which an agent does not know that looked before the end.
	return counters > 0 && !looked.Before(end) || looked.Sub(end) > settling
}

// counted reports whether something was counted of a pod that may go: that is written down before it does.
func counted(was, is v1alpha1.UsageStatus) bool {
	return slices.ContainsFunc(is.Counters, func(c v1alpha1.Counted) bool {
		return slices.Contains(is.ClosedUIDs, c.PodUID) && !slices.Contains(was.Counters, c)
	})
}
