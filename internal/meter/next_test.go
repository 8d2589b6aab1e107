// SPDX-License-Identifier: Apache-2.0

package meter_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/apocryph/apocryph/api/v1alpha1"
	"github.com/apocryph/apocryph/internal/meter"
	"github.com/apocryph/apocryph/internal/usage"
)

func at(seconds int64) time.Time          { return time.Unix(1_800_000_000+seconds, 0) }
func stamp(seconds int64) metav1.Time     { return metav1.NewTime(at(seconds)) }
func stampPtr(seconds int64) *metav1.Time { return new(stamp(seconds)) }

// pod is one of half a vCPU and a kibibyte on machine m, with our finalizer and nothing started.
func pod(uid string, change ...func(*corev1.Pod)) corev1.Pod {
	p := corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			UID: types.UID(uid), Finalizers: []string{v1alpha1.FinalizerMeter}, Labels: map[string]string{v1alpha1.LabelService: "web"},
		},
		Spec: corev1.PodSpec{NodeName: "m", Containers: []corev1.Container{{Resources: corev1.ResourceRequirements{
			Requests: corev1.ResourceList{"cpu": resource.MustParse("500m"), "memory": resource.MustParse("1Ki")},
		}}}},
		Status: corev1.PodStatus{Phase: corev1.PodRunning},
	}
	for _, c := range change {
		c(&p)
	}
	return p
}

func running(since int64) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.Status.ContainerStatuses = []corev1.ContainerStatus{
			{State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: stamp(since)}}},
		}
	}
}

func ran(from, to int64) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.Status.ContainerStatuses = []corev1.ContainerStatus{{State: terminated(from, to)}}
	}
}

func ranBefore(from, to int64) func(*corev1.Pod) {
	return func(p *corev1.Pod) { p.Status.ContainerStatuses[0].LastTerminationState = terminated(from, to) }
}

func terminated(from, to int64) corev1.ContainerState {
	return corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{StartedAt: stamp(from), FinishedAt: stamp(to)}}
}

func initRan(from, to int64) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.Status.InitContainerStatuses = []corev1.ContainerStatus{{State: terminated(from, to)}}
	}
}

func deleted(p *corev1.Pod) { p.DeletionTimestamp = stampPtr(0) }

// deletedAt is a deletion that was ordered at some second, with grace.
func deletedAt(ordered, grace int64) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.DeletionTimestamp, p.DeletionGracePeriodSeconds = stampPtr(ordered+grace), &grace
	}
}

func failed(p *corev1.Pod)      { p.Status.Phase = corev1.PodFailed }
func unscheduled(p *corev1.Pod) { p.Spec.NodeName = "" }
func unguarded(p *corev1.Pod)   { p.Finalizers = nil }

func made(when int64) func(*corev1.Pod) {
	return func(p *corev1.Pod) { p.CreationTimestamp = stamp(when) }
}

func sidecar(since int64) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.Status.InitContainerStatuses = []corev1.ContainerStatus{
			{State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: stamp(since)}}},
		}
	}
}

// asking is for a change of a pod's cpu that is under way.
func asking(cpu, granted string) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.Spec.Containers[0].Resources.Requests["cpu"] = resource.MustParse(cpu)
		p.Status.ContainerStatuses[0].AllocatedResources = corev1.ResourceList{"cpu": resource.MustParse(granted), "memory": resource.MustParse("1Ki")}
		if cpu == granted {
			p.Status.ContainerStatuses[0].AllocatedResources = nil
		}
	}
}

func claim(uid, size string, change ...func(*corev1.PersistentVolumeClaim)) corev1.PersistentVolumeClaim {
	c := corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{
			UID: types.UID(uid), Finalizers: []string{v1alpha1.FinalizerMeter}, Labels: map[string]string{v1alpha1.LabelVolume: "data"},
		},
		Spec: corev1.PersistentVolumeClaimSpec{Resources: corev1.VolumeResourceRequirements{
			Requests: corev1.ResourceList{"storage": resource.MustParse(size)},
		}},
		Status: corev1.PersistentVolumeClaimStatus{Phase: corev1.ClaimBound},
	}
	for _, f := range change {
		f(&c)
	}
	return c
}

func openPod(uid string, start int64, accrued *metav1.Time) v1alpha1.Interval {
	return v1alpha1.Interval{
		UID: uid, Kind: "Pod", Name: "web", Machine: "m", MilliCPU: 500, MemoryBytes: 1024, Start: stamp(start), AccruedTo: accrued,
	}
}

func openAt(in v1alpha1.Interval, milliCPU int64) v1alpha1.Interval {
	in.MilliCPU = milliCPU
	return in
}

func openVolume(uid string, size, start int64, accrued *metav1.Time) v1alpha1.Interval {
	return v1alpha1.Interval{UID: uid, Kind: "Volume", Name: "data", StorageBytes: size, Start: stamp(start), AccruedTo: accrued}
}

// totals of a pod that ran so many seconds.
func totals(seconds int64) v1alpha1.Totals {
	return meter.WriteTotals(usage.Rate{MilliCPU: 500, MemoryBytes: 1024}.For(seconds))
}

func stored(seconds, size int64) v1alpha1.Totals {
	return meter.WriteTotals(usage.Rate{StorageBytes: size}.For(seconds))
}

// steadily is a machine whose heartbeats have come without a pause for long.
func steadily(beat int64) meter.Machine {
	return meter.Machine{Beat: at(beat), Since: at(-9000), Steady: at(-9000)}
}

func heard(m meter.Machine) meter.Heard {
	return meter.Heard{Machines: map[string]meter.Machine{"m": m}, Cluster: m}
}

type step struct {
	state    v1alpha1.UsageStatus
	pods     []corev1.Pod
	claims   []corev1.PersistentVolumeClaim
	beat     int64 // machine m's heartbeat, which has long been steady; 0 means none
	since    int64 // when its last long silence ended; 0 means long ago
	stopped  bool
	now      int64
	want     v1alpha1.UsageStatus
	released []types.UID
}

func TestNext(t *testing.T) {
	type status = v1alpha1.UsageStatus
	type intervals = []v1alpha1.Interval
	zero := totals(0)
	half := status{Open: intervals{openPod("a", 11, stampPtr(50))}, AccruedTo: stampPtr(50)}
	for name, c := range map[string]step{
		"nothing is nothing": {now: 100, want: status{Totals: zero}},
		"a pod that has not started is free": {
			pods: []corev1.Pod{pod("a")}, beat: 99, now: 100, want: status{Totals: zero},
		},
		"a running pod opens after the second of its start and accrues to before the heartbeat": {
			pods: []corev1.Pod{pod("a", running(10))}, beat: 90, now: 100,
			want: status{Totals: zero, Open: intervals{openPod("a", 11, stampPtr(70))}, AccruedTo: stampPtr(70)},
		},
		"an init container's start is the pod's": {
			pods: []corev1.Pod{pod("a", running(20), initRan(10, 19))}, now: 100,
			want: status{Totals: zero, Open: intervals{openPod("a", 11, nil)}},
		},
		"nothing starts before its pod is made": {
			pods: []corev1.Pod{pod("a", running(-20), made(10))}, beat: 90, now: 100,
			want: status{Totals: zero, Open: intervals{openPod("a", 11, stampPtr(70))}, AccruedTo: stampPtr(70)},
		},
		"a start that is recorded long before its pod was made counts from when it is seen": {
			pods: []corev1.Pod{pod("a", running(-21), made(10))}, beat: 90, now: 100,
			want: status{Totals: zero, Open: intervals{openPod("a", 100, nil)}},
		},
		"and not at all when it is over": {
			pods: []corev1.Pod{pod("a", ran(-21, 50), made(10), failed)}, beat: 90, now: 100,
			want: status{Totals: zero}, released: []types.UID{"a"},
		},
		"a start in the future is free until then": {
			pods: []corev1.Pod{pod("a", running(3600))}, beat: 90, now: 100,
			want: status{Totals: zero, Open: intervals{openPod("a", 3601, nil)}},
		},
		"a machine whose clock is ahead is not billed ahead of the meter's": {
			pods: []corev1.Pod{pod("a", running(10))}, beat: 500, now: 100,
			want: status{Totals: zero, Open: intervals{openPod("a", 11, stampPtr(100))}, AccruedTo: stampPtr(100)},
		},
		"without a heartbeat nothing accrues": {
			state: half, pods: []corev1.Pod{pod("a", running(10))}, now: 1000,
			want: status{Totals: zero, Open: intervals{openPod("a", 11, stampPtr(50))}, AccruedTo: stampPtr(50)},
		},
		"an older heartbeat takes nothing back": {
			state: half, pods: []corev1.Pod{pod("a", running(10))}, beat: 60, now: 100,
			want: status{Totals: zero, Open: intervals{openPod("a", 11, stampPtr(50))}, AccruedTo: stampPtr(50)},
		},
		"a restart does not interrupt": {
			state: half, pods: []corev1.Pod{pod("a", running(60), ranBefore(10, 55))}, beat: 100, now: 100,
			want: status{Totals: zero, Open: intervals{openPod("a", 11, stampPtr(80))}, AccruedTo: stampPtr(80)},
		},
		"the meter's own absence interrupts nothing": {
			state: half, pods: []corev1.Pod{pod("a", running(4000), ranBefore(3000, 3500))}, beat: 5000, now: 5010,
			want: status{Totals: zero, Open: intervals{openPod("a", 11, stampPtr(4980))}, AccruedTo: stampPtr(4980)},
		},
		"a machine's long silence is free, though a container ran through it": {
			state: half, pods: []corev1.Pod{pod("a", running(10))}, beat: 5000, since: 4000, now: 5010,
			want: status{Totals: totals(39), Open: intervals{openPod("a", 4000, stampPtr(4980))}, AccruedTo: stampPtr(4980)},
		},
		"a short silence counts": {
			state: half, pods: []corev1.Pod{pod("a", running(10))}, beat: 5000, since: 170, now: 5010,
			want: status{Totals: zero, Open: intervals{openPod("a", 11, stampPtr(4980))}, AccruedTo: stampPtr(4980)},
		},
		"a long silence is free for what ended after it": {
			state: half, pods: []corev1.Pod{pod("a", ran(10, 4030), failed)}, beat: 5000, since: 4000, now: 5010,
			want: status{Totals: totals(39 + 30), ClosedUIDs: []string{"a"}, AccruedTo: stampPtr(50)}, released: []types.UID{"a"},
		},
		"what ended before a long silence did is free as far as it is not written down": {
			state: half, pods: []corev1.Pod{pod("a", ran(10, 3000), failed)}, beat: 5000, since: 4000, now: 5010,
			want: status{Totals: totals(39), ClosedUIDs: []string{"a"}, AccruedTo: stampPtr(50)}, released: []types.UID{"a"},
		},
		"an end long after the last heartbeat is not believed": {
			state: half, pods: []corev1.Pod{pod("a", ran(10, 3700), failed)}, beat: 98, now: 3701,
			want: status{Totals: totals(39), ClosedUIDs: []string{"a"}, AccruedTo: stampPtr(50)}, released: []types.UID{"a"},
		},
		"of several ends the last that can be believed counts": {
			state: half, pods: []corev1.Pod{pod("a", ran(70, 80), ranBefore(10, 3700), failed)}, beat: 98, now: 100,
			want: status{Totals: totals(69), ClosedUIDs: []string{"a"}, AccruedTo: stampPtr(50)}, released: []types.UID{"a"},
		},
		"a terminal phase closes": {
			state: status{Open: intervals{openPod("a", 11, nil)}},
			pods:  []corev1.Pod{pod("a", ran(10, 40), failed)}, now: 100,
			want: status{Totals: totals(29), ClosedUIDs: []string{"a"}}, released: []types.UID{"a"},
		},
		"a whole life that nobody saw is written down": {
			pods: []corev1.Pod{pod("a", ran(10, 40), failed, deleted)}, now: 100,
			want: status{Totals: totals(29), ClosedUIDs: []string{"a"}}, released: []types.UID{"a"},
		},
		"a closed pod counts once, however often it is seen": {
			state: status{Totals: totals(29), ClosedUIDs: []string{"a"}},
			pods:  []corev1.Pod{pod("a", ran(10, 40), failed, deleted)}, now: 100,
			want: status{Totals: totals(29), ClosedUIDs: []string{"a"}}, released: []types.UID{"a"},
		},
		"a closed pod is forgotten when its finalizer is gone": {
			state: status{Totals: totals(29), ClosedUIDs: []string{"a", "b"}},
			pods:  []corev1.Pod{pod("a", ran(10, 40), failed, deleted, unguarded), pod("b", ran(10, 40), failed, deleted)}, now: 100,
			want: status{Totals: totals(29), ClosedUIDs: []string{"b"}}, released: []types.UID{"b"},
		},
		"a deleted pod that still runs goes on": {
			pods: []corev1.Pod{pod("a", running(10), deletedAt(80, 0))}, beat: 90, now: 100,
			want: status{Totals: zero, Open: intervals{openPod("a", 11, stampPtr(70))}, AccruedTo: stampPtr(70)},
		},
		"a deleted pod goes on while a sidecar runs": {
			pods: []corev1.Pod{pod("a", ran(20, 40), sidecar(10), deletedAt(80, 0))}, beat: 90, now: 100,
			want: status{Totals: zero, Open: intervals{openPod("a", 11, stampPtr(70))}, AccruedTo: stampPtr(70)},
		},
		"a deleted pod whose containers have ended may have started one again": {
			pods: []corev1.Pod{pod("a", ran(10, 40), deletedAt(80, 0))}, beat: 90, now: 100,
			want: status{Totals: zero, Open: intervals{openPod("a", 11, stampPtr(40))}, AccruedTo: stampPtr(40)},
		},
		"a deleted pod that never had a machine is free": {
			pods: []corev1.Pod{pod("a", deleted, unscheduled)}, now: 100, want: status{Totals: zero}, released: []types.UID{"a"},
		},
		"a deleted pod that may just be starting is waited for": {
			pods: []corev1.Pod{pod("a", deleted)}, now: 100, want: status{Totals: zero},
		},
		"a failed pod that never started is free": {
			pods: []corev1.Pod{pod("a", failed)}, now: 100, want: status{Totals: zero}, released: []types.UID{"a"},
		},
		"a pod lost with its machine counts as far as is proven": {
			state: half, pods: []corev1.Pod{pod("a", running(10), failed, deleted)}, now: 1000,
			want: status{Totals: totals(39), ClosedUIDs: []string{"a"}, AccruedTo: stampPtr(50)}, released: []types.UID{"a"},
		},
		"an end never undercuts what was billed": {
			state: half, pods: []corev1.Pod{pod("a", ran(10, 48), failed)}, now: 100,
			want: status{Totals: totals(39), ClosedUIDs: []string{"a"}, AccruedTo: stampPtr(50)}, released: []types.UID{"a"},
		},
		"a pod that vanished by force counts as far as is proven": {
			state: half, now: 100, want: status{Totals: totals(39), AccruedTo: stampPtr(50)},
		},
		"a rate that rose counts from now": {
			state: half, pods: []corev1.Pod{pod("a", running(10), asking("900m", "900m"))}, beat: 90, now: 100,
			want: status{Totals: totals(59), Open: intervals{openAt(openPod("a", 100, nil), 900)}, AccruedTo: stampPtr(70)},
		},
		"a rate that is asked for and not granted does not count": {
			state: half, pods: []corev1.Pod{pod("a", running(10), asking("900m", "500m"))}, beat: 90, now: 100,
			want: status{Totals: zero, Open: intervals{openPod("a", 11, stampPtr(70))}, AccruedTo: stampPtr(70)},
		},
		"a rate that fell counts from what is not written down": {
			state: half, pods: []corev1.Pod{pod("a", running(10), asking("100m", "500m"))}, beat: 90, now: 100,
			want: status{Totals: totals(39), Open: intervals{openAt(openPod("a", 50, stampPtr(70)), 100)}, AccruedTo: stampPtr(70)},
		},
		"a bound volume opens when first seen": {
			claims: []corev1.PersistentVolumeClaim{claim("v", "4")}, beat: 90, now: 100,
			want: status{Totals: zero, Open: intervals{openVolume("v", 4, 100, nil)}},
		},
		"an unbound volume is free": {
			claims: []corev1.PersistentVolumeClaim{claim("v", "4", func(c *corev1.PersistentVolumeClaim) { c.Status.Phase = corev1.ClaimPending })},
			now:    100, want: status{Totals: zero},
		},
		"a volume accrues while any machine lives": {
			state:  status{Open: intervals{openVolume("v", 4, 10, nil)}},
			claims: []corev1.PersistentVolumeClaim{claim("v", "4")}, beat: 90, now: 100,
			want: status{Totals: zero, Open: intervals{openVolume("v", 4, 10, stampPtr(70))}, AccruedTo: stampPtr(70)},
		},
		"a volume that grew counts at both sizes": {
			state:  status{Open: intervals{openVolume("v", 4, 10, stampPtr(50))}, AccruedTo: stampPtr(50)},
			claims: []corev1.PersistentVolumeClaim{claim("v", "8")}, beat: 90, now: 100,
			want: status{Totals: stored(60, 4), Open: intervals{openVolume("v", 8, 100, nil)}, AccruedTo: stampPtr(70)},
		},
		"a deleted volume closes at its deletion": {
			state:  status{Open: intervals{openVolume("v", 4, 10, nil)}},
			claims: []corev1.PersistentVolumeClaim{claim("v", "4", func(c *corev1.PersistentVolumeClaim) { c.DeletionTimestamp = stampPtr(60) })},
			now:    100, want: status{Totals: stored(50, 4), ClosedUIDs: []string{"v"}}, released: []types.UID{"v"},
		},
		"an account is final when the app stopped and all is closed": {
			state: status{Totals: totals(30), ClosedUIDs: []string{"a"}}, stopped: true, now: 100,
			want: status{Totals: totals(30), Final: true},
		},
		"an account is not final while a finalizer is left": {
			state: status{Totals: totals(30), ClosedUIDs: []string{"a"}}, stopped: true, now: 100,
			pods: []corev1.Pod{pod("a", ran(10, 40), failed)},
			want: status{Totals: totals(30), ClosedUIDs: []string{"a"}}, released: []types.UID{"a"},
		},
		"an account is not final while an unbound volume is left": {
			claims:  []corev1.PersistentVolumeClaim{claim("v", "4", func(c *corev1.PersistentVolumeClaim) { c.Status.Phase = corev1.ClaimPending })},
			stopped: true, now: 100, want: status{Totals: zero},
		},
		"a final account never changes": {
			state: status{Totals: totals(30), Final: true}, pods: []corev1.Pod{pod("a", ran(10, 40), failed)}, now: 100,
			want: status{Totals: totals(30), Final: true},
		},
		"what comes after it is let go when it is deleted, and adds nothing": {
			state: status{Totals: totals(30), Final: true}, beat: 90, now: 100,
			pods:   []corev1.Pod{pod("a", running(10)), pod("b", running(10), deleted), pod("c", running(10), deleted, unguarded)},
			claims: []corev1.PersistentVolumeClaim{claim("v", "4"), claim("w", "4", func(c *corev1.PersistentVolumeClaim) { c.DeletionTimestamp = stampPtr(60) })},
			want:   status{Totals: totals(30), Final: true}, released: []types.UID{"b", "w"},
		},
		"the keeper's part is kept": {
			state: status{Voucher: &v1alpha1.Voucher{Total: "7"}}, now: 100,
			want: status{Totals: zero, Voucher: &v1alpha1.Voucher{Total: "7"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var known meter.Heard
			if c.beat != 0 {
				m := steadily(c.beat)
				if c.since != 0 {
					m.Since = at(c.since)
				}
				known = heard(m)
			}
			before := c.state.DeepCopy()
			got, released, err := meter.Next(c.state, meter.Observed{Pods: c.pods, Claims: c.claims, Heard: known, Stopped: c.stopped, Reports: meter.Reports{Whole: true}}, at(c.now))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("account (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(c.released, released, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("released (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(*before, c.state); diff != "" {
				t.Errorf("the input was changed (-before +after):\n%s", diff)
			}
		})
	}
}

// What was read before the account was may lack what reporters said last.
func TestAnAccountIsNotFinalBeforeReportersWereReadForIt(t *testing.T) {
	for _, whole := range []bool{false, true} {
		next, _, err := meter.Next(v1alpha1.UsageStatus{}, meter.Observed{Stopped: true, Reports: meter.Reports{Whole: whole}}, at(0))
		if err != nil || next.Final != whole {
			t.Errorf("reporters read for it: %v, final: %v, %v", whole, next.Final, err)
		}
	}
}

func TestNextRefusesAnAccountItCannotRead(t *testing.T) {
	if _, _, err := meter.Next(v1alpha1.UsageStatus{Totals: v1alpha1.Totals{CPUMilliSeconds: "-1"}}, meter.Observed{}, at(0)); err == nil {
		t.Error("no error for a negative total")
	}
}

// TestTotalsAreTheSameHoweverOftenTheyAreLookedAt plays one pod's life at every distance between looks.
func TestTotalsAreTheSameHoweverOftenTheyAreLookedAt(t *testing.T) {
	const start, end = 10, 130
	for every := int64(1); every <= 150; every++ {
		var s v1alpha1.UsageStatus
		var err error
		for now := int64(0); now < end+2*every; now += every {
			p := pod("a")
			switch {
			case now >= end:
				p = pod("a", ran(start, end), failed)
			case now >= start:
				p = pod("a", running(start))
			}
			// The heartbeat is up to ten seconds old.
			beat := heard(steadily(now - now%10))
			if s, _, err = meter.Next(s, meter.Observed{Pods: []corev1.Pod{p}, Heard: beat}, at(now)); err != nil {
				t.Fatal(err)
			}
		}
		if diff := cmp.Diff(totals(end-start-1), s.Totals); diff != "" {
			t.Errorf("every %d s: totals (-want +got):\n%s", every, diff)
		}
	}
}

func TestRequests(t *testing.T) {
	list := func(cpu, memory string) corev1.Container {
		return corev1.Container{Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{
			"cpu": resource.MustParse(cpu), "memory": resource.MustParse(memory), "ephemeral-storage": resource.MustParse("1"),
		}}}
	}
	with := func(change func(*corev1.PodSpec)) *corev1.Pod {
		p := &corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{list("100m", "10"), list("200m", "20")}}}
		change(&p.Spec)
		return p
	}
	beside := list("50m", "40")
	beside.RestartPolicy = new(corev1.ContainerRestartPolicyAlways)
	for name, c := range map[string]struct {
		pod  *corev1.Pod
		want usage.Rate
	}{
		"containers add up": {with(func(*corev1.PodSpec) {}), usage.Rate{MilliCPU: 300, MemoryBytes: 30, EphemeralBytes: 2}},
		"an init container counts where it needs more than all others": {
			with(func(s *corev1.PodSpec) { s.InitContainers = []corev1.Container{list("1", "5"), list("250m", "15")} }),
			usage.Rate{MilliCPU: 1000, MemoryBytes: 30, EphemeralBytes: 2},
		},
		"a sidecar runs beside the others": {
			with(func(s *corev1.PodSpec) { s.InitContainers = []corev1.Container{beside} }),
			usage.Rate{MilliCPU: 350, MemoryBytes: 70, EphemeralBytes: 3},
		},
		"an init container runs beside the sidecars before it": {
			with(func(s *corev1.PodSpec) {
				s.InitContainers = []corev1.Container{list("2", "1"), beside, list("1", "100")}
			}),
			usage.Rate{MilliCPU: 2000, MemoryBytes: 140, EphemeralBytes: 3},
		},
		"what is ordered for the pod as a whole goes before what its containers ask for": {
			with(func(s *corev1.PodSpec) {
				s.Resources = &corev1.ResourceRequirements{Requests: corev1.ResourceList{"cpu": resource.MustParse("3"), "memory": resource.MustParse("9")}}
			}),
			usage.Rate{MilliCPU: 3000, MemoryBytes: 9, EphemeralBytes: 2},
		},
		"its runtime adds to it": {
			with(func(s *corev1.PodSpec) { s.Overhead = corev1.ResourceList{"cpu": resource.MustParse("10m")} }),
			usage.Rate{MilliCPU: 310, MemoryBytes: 30, EphemeralBytes: 2},
		},
	} {
		if diff := cmp.Diff(c.want, meter.Requests(c.pod)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
