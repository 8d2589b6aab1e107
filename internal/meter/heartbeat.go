// SPDX-License-Identifier: Apache-2.0

package meter

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// leases is where kubelets renew their heartbeats.
const leases = "kube-node-lease"

const (
	// lookEvery is how often heartbeats are read. A kubelet renews its Lease every 10 s, so none is missed.
	lookEvery = 5 * time.Second
	// attention is how long the meter itself may not have looked before it says that it does not know what happened meanwhile.
	attention = time.Minute
	// settling is how much younger than the last heartbeat a second must not be to be billed, and for how long heartbeats must have come without a
	// pause: a kubelet reports that a container ended within 10 s of reaching the API server, where the heartbeat may come first.
	settling = 20 * time.Second
	// maxPause is how far apart heartbeats may be to come without a pause. What runs on a machine that is too busy for that is billed further behind.
	maxPause = 12 * time.Second
	// maxSilence is how long a machine may be silent before the time since is unproven. Kubernetes declares it dead after 50 s.
	maxSilence = 2 * time.Minute
	// maxSkew is how far a machine's clock may be behind the API server's for its records to be believed.
	maxSkew = 30 * time.Second
)

// Machine is what a machine's heartbeats prove. Its times are by that machine's clock, as are those of the containers on it.
type Machine struct {
	// Beat is the last heartbeat.
	Beat time.Time
	// Since is the time from which on the machine is known not to have been silent for long.
	Since time.Time
	// Steady is the time from which on heartbeats came without a pause.
	Steady time.Time
	// Before are the last heartbeat but one and the last but two, zero if there were none since the clock jumped or a long silence.
	Before [2]time.Time
}

// Heard is what all machines' heartbeats prove at one moment.
type Heard struct {
	Machines map[string]Machine
	// Cluster is all of them as if they were one, which beats while any does whose clock is not far ahead of the meter's.
	Cluster Machine
}

// pulse follows heartbeats. It is safe for concurrent use; its zero value has heard nothing.
type pulse struct {
	mu    sync.Mutex
	heard Heard
	// looked is when it was last told. It has a reading of the monotonic clock, which stands still while the machine below us is suspended: so
	// heartbeats that are missing then are the machine's silence and not our inattention.
	looked time.Time
}

// hear takes in every machine's last heartbeat and, of those that are ready, since when Kubernetes has called them so. The latter counts
// only where there was nobody to listen: for machines that are new, or after the meter was away. Of now the monotonic reading counts, of clock what
// it shows.
func (p *pulse) hear(beats, ready map[string]time.Time, now, clock time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now.Sub(p.looked) > attention {
		p.heard = Heard{}
	}
	p.looked = now
	machines := map[string]Machine{}
	var newest, since time.Time
	for name, beat := range beats {
		machines[name] = p.heard.Machines[name].follow(beat, ready[name])
		since = earlier(since, ready[name])
		// One machine's clock that is ahead would else be a silence of all others, and volumes free until they come there.
		if beat.After(newest) && beat.Sub(clock) <= maxSilence {
			newest = beat
		}
	}
	p.heard.Machines = machines
	if !newest.IsZero() {
		p.heard.Cluster = p.heard.Cluster.follow(newest, since)
	}
}

// latest returns what is known, and whether that is recent enough to rely on.
func (p *pulse) latest(now time.Time) (Heard, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return Heard{maps.Clone(p.heard.Machines), p.heard.Cluster}, !p.looked.IsZero() && now.Sub(p.looked) <= attention
}

// knows reports whether each of these machines was listened to before.
func (p *pulse) knows(beats map[string]time.Time, now time.Time) bool {
	heard, fresh := p.latest(now)
	for name := range beats {
		if _, ok := heard.Machines[name]; !ok {
			return false
		}
	}
	return fresh
}

// follow returns what is known of a machine after one more heartbeat. One that is older than the last says that the clock was put back: it
// counts, because what starts from now on starts by that clock.
func (m Machine) follow(beat, ready time.Time) Machine {
	silent := beat.Sub(m.Beat)
	switch {
	case m.Beat.IsZero():
		m.Since, m.Steady = beat, beat
		if !ready.IsZero() && ready.Before(beat) {
			m.Since = ready
		}
	case silent > maxSilence:
		m.Since, m.Steady, m.Before = beat, beat, [2]time.Time{}
	case silent < 0:
		m.Steady, m.Before = beat, [2]time.Time{}
	case silent > 0:
		m.Before = [2]time.Time{m.Beat, m.Before[0]}
		if silent > maxPause {
			m.Steady = beat
		}
	}
	m.Beat = beat
	return m
}

// upTo returns the time up to which what still runs on the machine may be billed; zero if that is not known now. A machine may be late with its
// heartbeats for as long as it is busy, at its tenants' will: then what is older than the last but two is certain, because after a pause the
// kubelet had from one heartbeat to the next to report what ended before.
func (m Machine) upTo() time.Time {
	t := m.Beat.Add(-settling)
	if !t.Before(m.Steady) {
		return t
	}
	if m.Before[1].IsZero() {
		return time.Time{}
	}
	return m.Before[1].Add(-settling)
}

// credible returns until when an end may be that the machine records: one that is later than that slept since its last heartbeat, or its clock jumped.
// Of a machine that was never heard everything is believed.
func (m Machine) credible() time.Time {
	if m.Beat.IsZero() {
		return time.Time{}
	}
	return m.Beat.Add(maxSilence)
}

// hear reads heartbeats once.
func (m *Meter) hear(ctx context.Context) error {
	var list coordinationv1.LeaseList
	if err := m.client.List(ctx, &list, client.InNamespace(leases)); err != nil {
		return fmt.Errorf("listing heartbeats: %w", err)
	}
	beats := map[string]time.Time{}
	for _, l := range list.Items {
		if l.Spec.RenewTime != nil {
			beats[l.Name] = l.Spec.RenewTime.Time
		}
	}
	ready := map[string]time.Time{}
	if !m.pulse.knows(beats, m.now()) {
		var err error
		if ready, err = m.readySince(ctx); err != nil {
			return err
		}
	}
	now := m.now()
	m.pulse.hear(beats, ready, now, now)
	return nil
}

// readySince returns since when Kubernetes has called each machine ready, of those that it calls so.
func (m *Meter) readySince(ctx context.Context) (map[string]time.Time, error) {
	var nodes corev1.NodeList
	if err := m.client.List(ctx, &nodes); err != nil {
		return nil, fmt.Errorf("listing machines: %w", err)
	}
	ready := map[string]time.Time{}
	for _, n := range nodes.Items {
		for _, c := range n.Status.Conditions {
			if c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue {
				ready[n.Name] = c.LastTransitionTime.Time
			}
		}
	}
	return ready, nil
}
