// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/apocryph/apocryph/api/v1alpha1"
)

// ErrMachine says that a machine was named that there is none of.
var ErrMachine = errors.New("no such machine")

// Look is what one run is asked to look at.
type Look struct {
	// Checks are the names of some; all without any.
	Checks []string
	// Machines are looked at whether or not they may run apps. Without any it is the turn of those that were not looked at for longest.
	Machines []string
}

// Sight is what a check said on one machine in one run.
type Sight struct {
	Machine string
	Verdict

	At time.Time
}

// fleet are the cluster's machines; open are those that an app's pod may be put on.
type fleet struct{ all, open []string }

func (d *Doctor) fleet(ctx context.Context) (fleet, error) {
	var f fleet
	var found corev1.NodeList
	if err := d.parts.Cluster.List(ctx, &found); err != nil {
		return f, fmt.Errorf("listing machines: %w", err)
	}
	for i := range found.Items {
		f.all = append(f.all, found.Items[i].Name)
		if takesApps(&found.Items[i]) {
			f.open = append(f.open, found.Items[i].Name)
		}
	}
	slices.Sort(f.all)
	slices.Sort(f.open)
	return f, nil
}

// takesApps: apps' pods tolerate no taint. So a machine that is not ready, or that its operator took out, is nobody's concern.
func takesApps(n *corev1.Node) bool {
	return !n.Spec.Unschedulable && !slices.ContainsFunc(n.Spec.Taints, func(t corev1.Taint) bool { return t.Effect != corev1.TaintEffectPreferNoSchedule })
}

// turn chooses at most most of the open machines: those that were never looked at, then those for which it was longest ago.
func (f fleet) turn(memory []v1alpha1.MachineStatus, most int) []string {
	last := map[string]time.Time{}
	for _, m := range memory {
		if m.LookedAt != nil {
			last[m.Name] = m.LookedAt.Time
		}
	}
	order := slices.Clone(f.open)
	slices.SortStableFunc(order, func(a, b string) int { return last[a].Compare(last[b]) })
	return order[:min(len(order), most)]
}

// choose are the machines of a run.
func (f fleet) choose(named []string, memory []v1alpha1.MachineStatus, most int) ([]string, error) {
	for _, n := range named {
		if !slices.Contains(f.all, n) {
			return nil, fmt.Errorf("%q: %w", n, ErrMachine)
		}
	}
	if len(named) > 0 {
		return named, nil
	}
	return f.turn(memory, most), nil
}

// remember is memory with what was seen in a run. What is no machine any more is forgotten, and what could not be seen changes no verdict.
func remember(memory []v1alpha1.MachineStatus, found []Finding, now metav1.Time) []v1alpha1.MachineStatus {
	by := map[string]v1alpha1.MachineStatus{}
	for _, m := range memory {
		by[m.Name] = *m.DeepCopy()
	}
	looks := map[string]int{}
	var known *fleet
	for _, f := range found {
		if f.fleet != nil {
			known = f.fleet
		}
		for _, s := range f.Sights {
			m := by[s.Machine]
			m.Name = s.Machine
			if looks[s.Machine]++; looks[s.Machine] == len(namesOf(func(k Check) bool { return k.at != nil })) {
				m.LookedAt = &now
			}
			if s.Result != Unseen {
				m.Checks = slices.DeleteFunc(m.Checks, func(c v1alpha1.MachineCheck) bool { return c.Name == f.Name })
				m.Checks = append(m.Checks, record(f.Name, s))
			}
			by[s.Machine] = m
		}
	}
	var after []v1alpha1.MachineStatus
	for _, m := range by {
		if known == nil || slices.Contains(known.all, m.Name) {
			slices.SortFunc(m.Checks, func(a, b v1alpha1.MachineCheck) int { return cmp.Compare(a.Name, b.Name) })
			after = append(after, m)
		}
	}
	slices.SortFunc(after, func(a, b v1alpha1.MachineStatus) int { return cmp.Compare(a.Name, b.Name) })
	return after
}

// maxSaw bounds what is remembered of one verdict: there may be many machines.
const maxSaw = 200

func record(name string, s Sight) v1alpha1.MachineCheck {
	c := v1alpha1.MachineCheck{Name: name, Result: string(s.Result), At: metav1.NewTime(s.At.Truncate(time.Second))}
	if s.Result != OK {
		c.Saw = strings.ToValidUTF8(s.Saw[:min(len(s.Saw), maxSaw)], "")
	}
	return c
}

func recalled(memory []v1alpha1.MachineStatus, machine, check string) (v1alpha1.MachineCheck, bool) {
	for _, m := range memory {
		for _, c := range m.Checks {
			if m.Name == machine && c.Name == check {
				return c, true
			}
		}
	}
	return v1alpha1.MachineCheck{}, false
}

// concluded sums up what the machines that may run apps, and those that were asked for, say to a check: in this run or, where they were not
// looked at or could not be seen, the last time. One that fails is enough. A machine that never had its turn says nothing.
func (f Finding) concluded(memory []v1alpha1.MachineStatus) Finding {
	if f.fleet == nil {
		return f
	}
	now := map[string]Sight{}
	machines := slices.Clone(f.fleet.open)
	for _, s := range f.Sights {
		now[s.Machine] = s
		if !slices.Contains(machines, s.Machine) {
			machines = append(machines, s.Machine)
		}
	}
	said, bad, last := map[Result][]string{}, []string(nil), ""
	f.known, f.unvisited = false, 0
	for _, m := range machines {
		s, tried := now[m]
		old, known := recalled(memory, m, f.Name)
		switch seen := tried && s.Result != Unseen; {
		case seen:
			last = s.Saw
		case known && Result(old.Result) == Fail:
			s.Verdict = verdict(Fail, "%s (at %s)", old.Saw, old.At.UTC().Format(time.RFC3339))
		case tried: // unseen now
		case known:
			s.Verdict = Verdict{Result(old.Result), old.Saw}
		default:
			f.unvisited++
			continue
		}
		f.known = f.known || known || s.Result != Unseen
		if s.Result == Fail {
			bad = append(bad, m)
		}
		said[s.Result] = append(said[s.Result], m+": "+s.Saw)
	}
	f.Verdict = sum(said, len(machines), last)
	if len(bad) > 0 && len(bad) < len(machines) {
		f.Do += "; or have no app put there until it is well: kubectl cordon " + strings.Join(bad[:min(len(bad), maxNamed)], " ")
	}
	return f
}

// maxNamed is how many machines a sentence names.
const maxNamed = 5

// sum is the worst of what machines said; last is what one of them saw.
func sum(said map[Result][]string, machines int, last string) Verdict {
	if machines == 0 {
		return Verdict{Unseen, "no machine takes apps: each has a taint or is cordoned"}
	}
	for _, r := range []Result{Fail, Unseen, Warn} {
		if n := len(said[r]); n > 0 {
			saw := strings.Join(said[r][:min(n, maxNamed)], "; ")
			if n > maxNamed {
				saw += fmt.Sprintf("; and %d more", n-maxNamed)
			}
			if machines > 1 {
				saw += fmt.Sprintf(" (%d of %d machines)", n, machines)
			}
			return Verdict{r, saw}
		}
	}
	saw := last
	if machines > 1 {
		saw = fmt.Sprintf("%d of %d machines: %s", len(said[OK]), machines, last)
	}
	return Verdict{OK, saw}
}

// memory is what the Provider says of machines. Without it, each is as if it was never looked at.
func (d *Doctor) memory(ctx context.Context) []v1alpha1.MachineStatus {
	var p v1alpha1.Provider
	if err := d.parts.Cluster.Get(ctx, client.ObjectKey{Namespace: d.cfg.Namespace, Name: v1alpha1.ProviderName}, &p); err != nil {
		return nil // telling, which reads it again, says what is wrong
	}
	return p.Status.Machines
}

// counters are when each machine's egress counter last looked, by its own word.
func (l *looker) counters(ctx context.Context) (counterFacts, error) {
	f := counterFacts{priced: l.cfg.EgressPriced, looked: map[string]time.Time{}, now: l.parts.Now()}
	machines, err := l.fleet(ctx)
	if err != nil {
		return f, err
	}
	f.machines = machines.open
	var found v1alpha1.TrafficList
	if err := l.parts.Cluster.List(ctx, &found, client.InNamespace(l.cfg.Namespace)); err != nil {
		return f, fmt.Errorf("listing what machines count: %w", err)
	}
	for _, t := range found.Items {
		if t.Machine != "" {
			f.looked[t.Machine] = t.SeenAt.Time
		}
	}
	return f, nil
}
