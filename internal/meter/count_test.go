// SPDX-License-Identifier: Apache-2.0

package meter_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/types"

	"github.com/apocryph/apocryph/api/v1alpha1"
	"github.com/apocryph/apocryph/internal/meter"
	"github.com/apocryph/apocryph/internal/usage"
)

// says is a counter of pod a's network, or of no pod's.
func says(source, pod string, bytes int64, closed bool) v1alpha1.TrafficCounter {
	return v1alpha1.TrafficCounter{App: "app", Source: source, PodUID: pod, Bytes: bytes, Closed: closed}
}

func known(source, pod string, bytes int64) v1alpha1.Counted {
	return v1alpha1.Counted{Source: source, PodUID: pod, Bytes: bytes}
}

func TestCounters(t *testing.T) {
	type counters = []v1alpha1.TrafficCounter
	type all = []v1alpha1.Counted
	running, gone := []corev1.Pod{pod("a", running(10))}, []corev1.Pod(nil)
	for name, c := range map[string]struct {
		had, want int64
		known     all
		pods      []corev1.Pod
		said      counters
		partial   bool // reports are older than the account
		then      all
	}{
		"what is new counts whole":                                       {pods: running, said: counters{says("n", "a", 70, false)}, want: 70, then: all{known("n", "a", 70)}},
		"what has grown counts by how much":                              {had: 70, known: all{known("n", "a", 70)}, pods: running, said: counters{says("n", "a", 100, false)}, want: 100, then: all{known("n", "a", 100)}},
		"what is said again counts nothing":                              {had: 70, known: all{known("n", "a", 70)}, pods: running, said: counters{says("n", "a", 70, false)}, want: 70, then: all{known("n", "a", 70)}},
		"what fell counts nothing":                                       {had: 70, known: all{known("n", "a", 70)}, pods: running, said: counters{says("n", "a", 20, false)}, want: 70, then: all{known("n", "a", 70)}},
		"and counts again from where it was":                             {had: 70, known: all{known("n", "a", 70)}, pods: running, said: counters{says("n", "a", 71, false)}, want: 71, then: all{known("n", "a", 71)}},
		"two networks of a pod are two":                                  {pods: running, said: counters{says("n", "a", 70, true), says("o", "a", 5, false)}, want: 75, then: all{known("n", "a", 70), known("o", "a", 5)}},
		"two reporters of one network are one":                           {pods: running, said: counters{says("n", "a", 70, false), says("n", "a", 50, false)}, want: 70, then: all{known("n", "a", 70)}},
		"a network that is said to be another pod's":                     {had: 70, known: all{known("n", "a", 70)}, pods: []corev1.Pod{pod("a"), pod("b")}, said: counters{says("n", "b", 90, false)}, want: 70, then: all{known("n", "a", 70)}},
		"a pod that is not there counts nothing":                         {pods: gone, said: counters{says("n", "a", 70, false)}},
		"a pod without our finalizer counts nothing":                     {pods: []corev1.Pod{pod("a", unguarded)}, said: counters{says("n", "a", 70, false)}},
		"what is known of a pod goes with it":                            {had: 70, known: all{known("n", "a", 70)}, pods: gone, said: counters{says("n", "a", 90, true)}, want: 70},
		"and not because nothing is said of it":                          {had: 70, known: all{known("n", "a", 70)}, pods: running, want: 70, then: all{known("n", "a", 70)}},
		"a front door needs no pod":                                      {pods: gone, said: counters{says("f", "", 70, false)}, want: 70, then: all{known("f", "", 70)}},
		"a front door is known while it is said":                         {had: 70, known: all{known("f", "", 70)}, said: counters{says("f", "", 70, true)}, want: 70, then: all{known("f", "", 70)}},
		"a front door that is gone is forgotten":                         {had: 70, known: all{known("f", "", 70)}, want: 70},
		"unless what is said is older than what is known":                {had: 70, known: all{known("f", "", 70)}, partial: true, want: 70, then: all{known("f", "", 70)}},
		"and one that is not known may be an old one that was forgotten": {partial: true, said: counters{says("f", "", 70, false)}},
		"nothing is nothing to know":                                     {pods: running, said: counters{says("n", "a", 0, false)}},
	} {
		t.Run(name, func(t *testing.T) {
			s := v1alpha1.UsageStatus{Totals: meter.WriteTotals(usage.Totals{Egress: usage.Bytes(c.had)}), Counters: c.known}
			next, _, err := meter.Next(s, meter.Observed{Pods: c.pods, Reports: meter.Reports{Counters: c.said, Whole: !c.partial}}, at(100))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(meter.WriteTotals(usage.Totals{Egress: usage.Bytes(c.want)}), next.Totals); diff != "" {
				t.Errorf("totals (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(c.then, next.Counters, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("known (-want +got):\n%s", diff)
			}
		})
	}
}

// A pod ran on machine m from second 10 to second 40, and all but what it sent is written down.
func TestAPodWaitsForWhatItSent(t *testing.T) {
	agent := func(looked int64) map[string]time.Time { return map[string]time.Time{"m": at(looked)} }
	open, closed := says("n", "a", 70, false), says("n", "a", 70, true)
	for name, c := range map[string]struct {
		agents map[string]time.Time
		said   []v1alpha1.TrafficCounter
		beat   int64 // 0 means none
		now    int64
		waits  bool
	}{
		"for a counter that is open":                       {agent(45), []v1alpha1.TrafficCounter{open}, 48, 50, true},
		"not for one that is closed":                       {agent(45), []v1alpha1.TrafficCounter{closed}, 48, 50, false},
		"for an agent that has not looked since its end":   {agent(39), []v1alpha1.TrafficCounter{closed}, 48, 50, true},
		"for each of its networks":                         {agent(45), []v1alpha1.TrafficCounter{closed, says("o", "a", 0, false)}, 48, 50, true},
		"not for another pod's":                            {agent(61), []v1alpha1.TrafficCounter{says("n", "b", 70, false)}, 68, 70, false},
		"for an agent that may not have seen it yet":       {agent(60), nil, 68, 70, true},
		"not for one that would have":                      {agent(61), nil, 68, 70, false},
		"not on a machine without an agent":                {nil, []v1alpha1.TrafficCounter{open}, 48, 50, false},
		"not on another machine's":                         {map[string]time.Time{"n": at(45)}, []v1alpha1.TrafficCounter{open}, 48, 50, false},
		"not for a machine that was never heard":           {agent(45), []v1alpha1.TrafficCounter{open}, 0, 50, false},
		"for a machine that is silent for two minutes":     {agent(45), []v1alpha1.TrafficCounter{open}, 48, 168, true},
		"not for one that is silent for longer":            {agent(45), []v1alpha1.TrafficCounter{open}, 48, 169, false},
		"for an agent that is silent for two minutes":      {agent(45), []v1alpha1.TrafficCounter{open}, 165, 166, true},
		"not for an agent that is silent for longer":       {agent(45), []v1alpha1.TrafficCounter{open}, 166, 167, false},
		"for an agent that takes five minutes":             {agent(340), []v1alpha1.TrafficCounter{open}, 345, 350, true},
		"not for one that does not close it after all":     {agent(341), []v1alpha1.TrafficCounter{open}, 345, 350, false},
		"by the machine's clock, not by the meter's":       {agent(45), []v1alpha1.TrafficCounter{open}, 48, 100, true},
		"a machine whose clock is far behind is no excuse": {agent(45), []v1alpha1.TrafficCounter{open}, 48, 5000, false},
	} {
		t.Run(name, func(t *testing.T) {
			ended := pod("a", ran(10, 40), failed, deleted)
			o := meter.Observed{Pods: []corev1.Pod{ended}, Reports: meter.Reports{Counters: c.said, Agents: c.agents}}
			if c.beat != 0 {
				o.Heard = heard(steadily(c.beat))
			}
			var s v1alpha1.UsageStatus
			for look := range 2 { // the first closes the interval, the second finds it closed
				next, release, err := meter.Next(s, o, at(c.now))
				if err != nil {
					t.Fatal(err)
				}
				want := []types.UID{"a"}
				if c.waits {
					want = nil
				}
				if diff := cmp.Diff(want, release, cmpopts.EquateEmpty()); diff != "" {
					t.Errorf("look %d: may go (-want +got):\n%s", look, diff)
				}
				if !cmp.Equal(next.ClosedUIDs, []string{"a"}) {
					t.Errorf("look %d: closed are %v", look, next.ClosedUIDs)
				}
				s = next
			}
		})
	}
}

// What grew of a pod that runs can wait for the next tick; what grew of one that may go is written down first.
func TestWhatAPodSentIsWrittenDownBeforeItMayGo(t *testing.T) {
	look := func(s v1alpha1.UsageStatus, c v1alpha1.TrafficCounter, p corev1.Pod) (v1alpha1.UsageStatus, bool) {
		next, _, err := meter.Next(s, meter.Observed{
			Pods: []corev1.Pod{p}, Heard: heard(steadily(48)), Reports: meter.Reports{Counters: []v1alpha1.TrafficCounter{c}, Agents: map[string]time.Time{"m": at(45)}},
		}, at(50))
		if err != nil {
			t.Fatal(err)
		}
		return next, meter.Moved(s, next)
	}
	s, _ := look(v1alpha1.UsageStatus{}, says("n", "a", 10, false), pod("a", running(10)))
	s, moved := look(s, says("n", "a", 20, false), pod("a", running(10)))
	if moved {
		t.Error("bytes of a pod that runs are written at once")
	}
	ended := pod("a", ran(10, 40), failed, deleted)
	if s, moved = look(s, says("n", "a", 20, false), ended); !moved {
		t.Error("an end is not written at once")
	}
	if s, moved = look(s, says("n", "a", 30, true), ended); !moved {
		t.Error("the last bytes are not written at once")
	}
	if _, moved = look(s, says("n", "a", 30, true), ended); moved {
		t.Error("the same is written again")
	}
}

func TestExtendedResourcesAreCounted(t *testing.T) {
	gpus := func(n string) func(*corev1.Pod) {
		return func(p *corev1.Pod) {
			list := p.Spec.Containers[0].Resources.Requests
			list["nvidia.com/gpu"] = resource.MustParse(n)
			list["hugepages-2Mi"], list["requests.x/y"] = resource.MustParse("1Gi"), resource.MustParse("1")
		}
	}
	s := begin(t)
	s.is(pod("a", running(0), gpus("2")))
	s.lasts(60)
	if in := s.state.Open[0]; in.Extended["nvidia.com/gpu"] != 2 || len(in.Extended) != 1 {
		t.Errorf("it has %v", in.Extended)
	}
	s.is(pod("a", ran(0, 50), gpus("2"), failed, deleted))
	s.look()
	if diff := cmp.Diff(map[string]string{"nvidia.com/gpu": "98"}, s.state.Totals.ExtendedUnitSeconds); diff != "" {
		t.Errorf("unit seconds (-want +got):\n%s", diff)
	}
	// A pod that asks for less has what it asks for, and one that asks for more what it had.
	s = begin(t)
	s.is(pod("a", running(0), gpus("2")))
	s.lasts(60)
	s.is(pod("a", ran(0, 50), gpus("1"), failed, deleted))
	s.look()
	const written, rest = 2 * 39, 49 - 39
	if got := s.state.Totals.ExtendedUnitSeconds["nvidia.com/gpu"]; got != "88" || written+rest != 88 {
		t.Errorf("%s unit seconds of a pod that has less at its end", got)
	}
}
