// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/apocryph/apocryph/api/v1alpha1"
	"github.com/apocryph/apocryph/internal/doctor/probe"
)

// cluster is a world of machines m1 to mN, of which so many are looked at in one run.
func cluster(t *testing.T, n, atOnce int) *world {
	t.Helper()
	w := newWorld(t, func(c *Config) { c.AtOnce = atOnce })
	w.evidence = func(nonce []byte) ([]byte, error) { return newSimulator(t).answer(w.clock())(nonce) }
	for i := 2; i <= n; i++ {
		w.must(w.c.Create(t.Context(), node(fmt.Sprintf("m%d", i))))
	}
	w.created = nil
	return w
}

// onMachine is where the scheduler has to put a pod, or "".
func onMachine(p *corev1.Pod) string {
	if p.Spec.Affinity == nil {
		return ""
	}
	terms := p.Spec.Affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms
	f := terms[0].MatchFields[0]
	if len(terms) != 1 || f.Key != metav1.ObjectNameField || len(f.Values) != 1 {
		return "somewhere"
	}
	return f.Values[0]
}

// breaks has a probe do something else on one machine.
func (w *world) breaks(name, machine string, act func(*corev1.Pod)) {
	well := w.kubelet[name]
	w.kubelet[name] = func(p *corev1.Pod) {
		if onMachine(p) == machine {
			act(p)
		} else {
			well(p)
		}
	}
}

// look makes one whole run and tells it; it returns the machines that had their turn.
func (w *world) look(look Look) (map[string]Finding, string) {
	w.t.Helper()
	w.now = w.now.Add(time.Minute)
	found, err := w.d.Examine(w.t.Context(), look)
	w.must(err)
	w.must(w.d.Tell(w.t.Context(), found))
	by, turn := map[string]Finding{}, []string(nil)
	for _, f := range found {
		by[f.Name] = f
		if f.Name == "PIDLimits" {
			for _, s := range f.Sights {
				turn = append(turn, s.Machine)
			}
		}
	}
	slices.Sort(turn)
	return by, strings.Join(turn, " ")
}

var unlimited = says(probe.TasksReport{Max: "max", Started: 64, Bound: 64})

// One machine of several fails: the condition says which, and what keeps apps away from it.
func TestOneMachineFails(t *testing.T) {
	w := cluster(t, 3, 8)
	well := w.kubelet[probeTasks]
	w.breaks(probeTasks, "m2", unlimited)
	found, turn := w.look(Look{})
	if turn != "m1 m2 m3" {
		t.Errorf("looked at %s", turn)
	}
	f := found["PIDLimits"]
	if f.Result != Fail || !strings.Contains(f.Saw, "m2: ") || strings.Contains(f.Saw, "m1") || !strings.Contains(f.Do, "kubectl cordon m2") {
		t.Errorf("%s: %s; %s", f.Result, f.Saw, f.Do)
	}
	got := w.provider()
	if s := said(got, "PIDLimits"); !strings.HasPrefix(s, "False Failed m2: ") || !strings.Contains(s, "1 of 3 machines") {
		t.Errorf("PIDLimits: %s", s)
	}
	if diff := cmp.Diff([]string{"PIDLimits"}, got.Failing); diff != "" {
		t.Errorf("failing (-want +got):\n%s", diff)
	}
	if s := said(got, "DNS"); !strings.HasPrefix(s, "True Passed 3 of 3 machines: ") {
		t.Errorf("DNS: %s", s)
	}

	t.Run("it stays so while it can't be seen", func(t *testing.T) {
		w.kubelet[probeTasks] = well
		w.breaks(probeTasks, "m2", stays(corev1False, "no room", ""))
		w.look(Look{})
		if s := said(w.provider(), "PIDLimits"); !strings.HasPrefix(s, "False Failed m2: 64 processes were started") {
			t.Errorf("PIDLimits: %s", s)
		}
	})
	t.Run("no app is put there any more", func(t *testing.T) {
		w.cordon("m2")
		if _, turn := w.look(Look{}); turn != "m1 m3" {
			t.Errorf("looked at %s", turn)
		}
		if s := said(w.provider(), v1alpha1.ConditionFit); !strings.HasPrefix(s, "True") {
			t.Errorf("Fit: %s", s)
		}
	})
	t.Run("by its name it is looked at all the same", func(t *testing.T) {
		w.created = nil
		if found, turn := w.look(Look{Machines: []string{"m2"}}); turn != "m2" || found["PIDLimits"].Result != Fail {
			t.Errorf("looked at %s: %s", turn, found["PIDLimits"].Saw)
		}
		for _, o := range w.created {
			if p, ok := o.(*corev1.Pod); ok && onMachine(p) == "m2" && len(p.Spec.Tolerations) == 0 {
				t.Errorf("%s can't get to a machine that is taken out", p.Name)
			}
		}
		if s := said(w.provider(), v1alpha1.ConditionFit); !strings.HasPrefix(s, "False") {
			t.Errorf("asked for, it counts in this run; Fit: %s", s)
		}
	})
	t.Run("it is gone", func(t *testing.T) {
		w.must(w.c.Delete(t.Context(), node("m2")))
		w.look(Look{})
		got := w.provider()
		if s := said(got, v1alpha1.ConditionFit); !strings.HasPrefix(s, "True") || len(got.Machines) != 2 {
			t.Errorf("Fit: %s; remembers %v", s, got.Machines)
		}
	})
}

// More machines than one run takes: each has its turn, and what it said is remembered until the next.
func TestMachinesTakeTurns(t *testing.T) {
	w := cluster(t, 5, 2)
	w.breaks(probeUsers, "m4", says(probe.SelfReport{UIDMap: "0 0 4294967295"}))
	var turns []string
	for range 5 {
		_, turn := w.look(Look{})
		turns = append(turns, turn)
		_, questions := w.look(Look{Checks: namesOf(func(k Check) bool { return !k.Probes })})
		if questions != "" {
			t.Errorf("questions took %s", questions)
		}
		fails := strings.HasPrefix(said(w.provider(), v1alpha1.ConditionFit), "False")
		if seen := len(turns) >= 2; fails != seen {
			t.Errorf("after %v, fails %t", turns, fails)
		}
	}
	if diff := cmp.Diff([]string{"m1 m2", "m3 m4", "m1 m5", "m2 m3", "m1 m4"}, turns); diff != "" {
		t.Errorf("turns (-want +got):\n%s", diff)
	}
	w.kubelet[probeUsers] = newWorld(t).kubelet[probeUsers]
	w.look(Look{}) // m2 m5
	if s := said(w.provider(), "UserNamespaces"); !strings.HasPrefix(s, "False Failed m4: ") {
		t.Errorf("m4 was not looked at, and UserNamespaces is %s", s)
	}
	w.look(Look{Machines: []string{"m4"}})
	if s := said(w.provider(), v1alpha1.ConditionFit); !strings.HasPrefix(s, "True") {
		t.Errorf("Fit: %s", s)
	}
}

// A part of a run is no turn: the other checks would never be made on machines that are asked often for one.
func TestPartOfARunIsNoTurn(t *testing.T) {
	w := cluster(t, 2, 1)
	w.look(Look{Checks: []string{"DNS"}})
	if _, turn := w.look(Look{}); turn != "m1" {
		t.Errorf("the turn went to %s", turn)
	}
}

// A machine that never can be seen holds up neither the others nor what is known of them.
func TestAMachineThatIsNeverSeen(t *testing.T) {
	w := cluster(t, 2, 1)
	w.breaks(probeTasks, "m1", stays(corev1False, "no room", ""))
	for i, want := range []string{"m1", "m2", "m1"} {
		if _, turn := w.look(Look{}); turn != want {
			t.Errorf("turn %d went to %s, want %s", i, turn, want)
		}
	}
	if s := said(w.provider(), "PIDLimits"); !strings.HasPrefix(s, "True Unseen unseen now (m1: ") {
		t.Errorf("PIDLimits: %s", s)
	}
}

// Pods of one machine may pass where pods of two don't, and the reverse: both are tried, each machine with the next.
func TestPodsOfTwoMachines(t *testing.T) {
	for name, test := range map[string]struct {
		of   string // near or far, to m2's dialers
		says probe.NetworkReport
		want string
	}{
		"policies end at the machine's edge":        {"far", probe.NetworkReport{Allowed: probe.OK, EgressDenied: probe.OK, IngressDenied: "timeout"}, "m2: a connection from here to m3 that a policy forbids came through: out of the sender"},
		"machines do not reach each other":          {"far", probe.NetworkReport{Allowed: "timeout", EgressDenied: "timeout", IngressDenied: "timeout"}, "m2: a connection from here to m3 that the policies allow did not come through"},
		"a bridge lets pods of a machine past them": {"near", probe.NetworkReport{Allowed: probe.OK, EgressDenied: "timeout", IngressDenied: probe.OK}, "m2: a connection that a policy forbids came through: into the receiver"},
	} {
		t.Run(name, func(t *testing.T) {
			w := cluster(t, 3, 8)
			well := w.kubelet[probeDialer]
			w.breaks(probeDialer, "m2", func(p *corev1.Pod) {
				if r := test.says; strings.HasPrefix(p.Name, test.of) {
					r.Addresses = []string{"10.96.0.7"}
					says(r)(p)
				} else {
					well(p)
				}
			})
			f := w.examine("NetworkPolicies", "DNS")
			if s := f["NetworkPolicies"]; s.Result != Fail || !strings.HasPrefix(s.Saw, test.want) {
				t.Errorf("saw %s", s.Saw)
			}
			if f["DNS"].Result != OK {
				t.Errorf("DNS: %s", f["DNS"].Saw)
			}
		})
	}
	t.Run("the other machine takes no listener", func(t *testing.T) {
		w := cluster(t, 2, 8)
		w.breaks(probeListener, "m2", stays(corev1False, "no room", ""))
		f := w.examine("NetworkPolicies")["NetworkPolicies"]
		if f.Sights[0].Result != OK || f.Sights[1].Result != Unseen || f.Result != Unseen {
			t.Errorf("%+v", f.Sights)
		}
	})
}

func TestMachinesThatTakeNoApps(t *testing.T) {
	taint := func(e corev1.TaintEffect) *corev1.Node {
		return &corev1.Node{Spec: corev1.NodeSpec{Taints: []corev1.Taint{{Key: "some", Effect: e}}}}
	}
	for name, test := range map[string]struct {
		node *corev1.Node
		want bool
	}{
		"a plain one":                   {node("m"), true},
		"one that is cordoned":          {&corev1.Node{Spec: corev1.NodeSpec{Unschedulable: true}}, false},
		"one that pods must tolerate":   {taint(corev1.TaintEffectNoSchedule), false},
		"one that drives pods away":     {taint(corev1.TaintEffectNoExecute), false},
		"one that is only not the best": {taint(corev1.TaintEffectPreferNoSchedule), true},
	} {
		if got := takesApps(test.node); got != test.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

func TestAMachineThatIsNotThere(t *testing.T) {
	w := cluster(t, 2, 8)
	if found, err := w.d.Examine(t.Context(), Look{Machines: []string{"m9"}}); !errors.Is(err, ErrMachine) || found != nil || len(w.created) > 0 {
		t.Errorf("found %v, made %v, %v", found, w.created, err)
	}
}

// Machines that take turns are each looked at as often as a single one.
func TestRhythmOfTurns(t *testing.T) {
	r := Rhythm{Every: time.Minute, ProbeEvery: 30 * time.Minute, Retry: 2 * time.Minute}
	for name, test := range map[string]struct {
		machines, atOnce, looks int
		want                    time.Duration
	}{
		"all at once":             {3, 8, 1, 30 * time.Minute},
		"some never had a turn":   {5, 2, 2, 2 * time.Minute},
		"all had theirs":          {5, 2, 3, 10 * time.Minute},
		"one, and one in a look":  {1, 1, 1, 30 * time.Minute},
		"many, and one in a look": {3, 1, 3, 10 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			w := cluster(t, test.machines, test.atOnce)
			var last []Finding
			for range test.looks {
				w.now = w.now.Add(time.Minute)
				found, err := w.d.Examine(t.Context(), Look{})
				w.must(err)
				w.must(w.d.Tell(t.Context(), found))
				last = found
			}
			if got := r.next(last); got != test.want {
				t.Errorf("next in %s, want %s", got, test.want)
			}
		})
	}
}
