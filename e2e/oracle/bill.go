// SPDX-License-Identifier: Apache-2.0

package main

import (
	"math/big"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// quantities are cpu in thousandths × seconds, the rest in bytes × seconds; or their prices per unit and hour.
type quantities struct {
	CPU       *big.Int `json:"cpu"`
	Memory    *big.Int `json:"memory"`
	Ephemeral *big.Int `json:"ephemeral"`
	Storage   *big.Int `json:"storage"`
}

func nothing() quantities { return quantities{new(big.Int), new(big.Int), new(big.Int), new(big.Int)} }

// rate is what is reserved: thousandths of a vCPU, and bytes.
type rate struct {
	MilliCPU  int64 `json:"milliCPU"`
	Memory    int64 `json:"memory"`
	Ephemeral int64 `json:"ephemeral"`
	Storage   int64 `json:"storage"`
}

// add adds what a rate comes to in so many seconds.
func (q quantities) add(r rate, seconds int64) {
	for _, f := range []struct {
		to   *big.Int
		rate int64
	}{{q.CPU, r.MilliCPU}, {q.Memory, r.Memory}, {q.Ephemeral, r.Ephemeral}, {q.Storage, r.Storage}} {
		f.to.Add(f.to, new(big.Int).Mul(big.NewInt(f.rate), big.NewInt(seconds)))
	}
}

// owed is what quantities cost: all terms over their common denominator, and what is left of a base unit is the publisher's.
func (q quantities) owed(prices quantities) *big.Int {
	const gib, milli, hour = 1 << 30, 1000, 3600
	sum := new(big.Int)
	for _, f := range []struct {
		quantity, price *big.Int
		scale           int64
	}{{q.CPU, prices.CPU, gib}, {q.Memory, prices.Memory, milli}, {q.Ephemeral, prices.Ephemeral, milli}, {q.Storage, prices.Storage, milli}} {
		if f.price == nil {
			continue
		}
		term := new(big.Int).Mul(f.quantity, f.price)
		sum.Add(sum, term.Mul(term, big.NewInt(f.scale)))
	}
	return sum.Quo(sum, new(big.Int).Mul(big.NewInt(milli*hour), big.NewInt(gib)))
}

// attempt is one container of a pod as the runtime has it. One that could not be started has no start: that was tried when it ended.
type attempt struct{ started, ended time.Time }

// begun is when an attempt counts from.
func (a attempt) begun() time.Time {
	if a.started.IsZero() {
		return a.ended
	}
	return a.started
}

// podSeconds is how many seconds of a pod count: those that are whole between the first start of any of its containers and the last end. No
// container starts before its pod is made.
func podSeconds(made time.Time, attempts []attempt) int64 {
	first, last := outermost(attempts)
	if first.IsZero() {
		return 0
	}
	from := max(first.Unix(), made.Unix()) + 1
	return max(0, last.Unix()-from)
}

// outermost are the first start and the last end.
func outermost(attempts []attempt) (first, last time.Time) {
	for _, a := range attempts {
		if begun := a.begun(); !begun.IsZero() && (first.IsZero() || begun.Before(first)) {
			first = begun
		}
		if a.ended.After(last) {
			last = a.ended
		}
	}
	return first, last
}

// volumeSeconds is how many seconds of a volume count: from when it was first seen, in whole seconds, to when its deletion was ordered.
func volumeSeconds(seen, ordered time.Time) int64 { return max(0, ordered.Unix()-seen.Unix()) }

// reservation is what the scheduler reserves for a pod: its containers and sidecars together, or more if an init container needs more with the
// sidecars that started before it; unless the pod says for itself as a whole; and what its runtime class adds.
func reservation(s *corev1.PodSpec) rate {
	var all, most, beside rate
	for _, c := range s.Containers {
		all = sum(all, asked(c.Resources.Requests))
	}
	for _, c := range s.InitContainers {
		r := asked(c.Resources.Requests)
		if c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways {
			beside, all = sum(beside, r), sum(all, r)
			most = greater(most, beside)
			continue
		}
		most = greater(most, sum(beside, r))
	}
	all = greater(all, most)
	if s.Resources != nil {
		if q, ok := s.Resources.Requests[corev1.ResourceCPU]; ok {
			all.MilliCPU = q.MilliValue()
		}
		if q, ok := s.Resources.Requests[corev1.ResourceMemory]; ok {
			all.Memory = q.Value()
		}
	}
	return sum(all, asked(s.Overhead))
}

func asked(l corev1.ResourceList) rate {
	return rate{MilliCPU: l.Cpu().MilliValue(), Memory: l.Memory().Value(), Ephemeral: l.StorageEphemeral().Value()}
}

func sum(a, b rate) rate {
	return rate{a.MilliCPU + b.MilliCPU, a.Memory + b.Memory, a.Ephemeral + b.Ephemeral, a.Storage + b.Storage}
}

func greater(a, b rate) rate {
	return rate{max(a.MilliCPU, b.MilliCPU), max(a.Memory, b.Memory), max(a.Ephemeral, b.Ephemeral), max(a.Storage, b.Storage)}
}

// span is the least and the most of some differences of times, in nanoseconds.
type span struct {
	N     int           `json:"n"`
	Least time.Duration `json:"least"`
	Most  time.Duration `json:"most"`
}

func (s *span) add(d time.Duration) {
	if s.N == 0 || d < s.Least {
		s.Least = d
	}
	if s.N == 0 || d > s.Most {
		s.Most = d
	}
	s.N++
}
