// SPDX-License-Identifier: Apache-2.0

package meter_test

import (
	"math/rand/v2"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/apocryph/apocryph/api/v1alpha1"
)

// world is what truly happens to an app, in milliseconds, and what Kubernetes comes to know of it. It knows nothing of the meter.
type world struct {
	*rand.Rand

	t      int64
	hosts  []*host
	pods   []*life
	claims []*disk
	wire   wire
	// slept is how long everything was suspended, the meter included.
	slept int64
	// loose says that records were lost, so that the bill may be lower than use; off that clocks were wrong.
	loose, off bool
}

// host is a machine. It is silent while it is cut off from the API server or asleep.
type host struct {
	clock                 int64 // how far it is ahead
	cut, asleep           int64 // until when
	lost, jumped          bool
	beat, heard, nextBeat int64 // the last heartbeat by its clock and in truth, and when the next is due
	late                  int64 // by how much its heartbeats are at most
	ready                 int64 // since when Kubernetes calls it so; -1 if it does not
	silences              [][2]int64
	agent                 agent
}

type stage int

const (
	unbound stage = iota
	bound
	preparing
	prepared
	working
	backingOff
	over
)

// run is a container's life by its machine's clock.
type run struct {
	start, end int64
	ended      bool
}

// life is a pod. Its rate is a power of ten thousand, so that one sum tells the seconds of each.
type life struct {
	n    int
	host *host
	at   stage
	next int64 // when it goes on
	init bool  // it has an init container
	ends stage // it ends in this stage by itself

	first, last int64 // -1 as long as there is none
	prepare     *run
	now, before *run
	deleted     bool
	evicted     bool
	early       int64 // when its phase was told before its end, by its machine's clock; 0 if it was not

	made   int64
	api    corev1.Pod
	exists bool
	post   int64 // when kubelet tells what changed; -1 if nothing did
	known  bool  // the account has it
	loose  bool  // its first start was forgotten before that
	nets   []*net
	short  bool // a counter of its forgot where it was
}

// disk is a claim.
type disk struct {
	api    corev1.PersistentVolumeClaim
	bound  int64
	gone   int64 // when its deletion was ordered; -1 if it was not
	opened int64 // when the meter first wrote it down; -1 if it did not
	exists bool
}

func newWorld(seed uint64) *world {
	w := &world{Rand: rand.New(rand.NewPCG(seed, 6)), wire: wire{sent: map[string]int64{}, said: map[string]v1alpha1.TrafficCounter{}}}
	for range 1 + w.IntN(2) {
		w.hosts = append(w.hosts, &host{clock: int64(w.IntN(3)) * 1700, ready: -1_000_000, nextBeat: int64(w.IntN(9000)), late: int64(w.IntN(4)/3) * 14_000, agent: agent{there: w.IntN(4) > 0}})
	}
	return w
}

func instant(ms int64) time.Time { return time.Unix(1_800_000_000, ms*int64(time.Millisecond)) }

// recorded is a time as Kubernetes keeps it.
func recorded(ms int64) metav1.Time { return metav1.NewTime(instant(ms).Truncate(time.Second)) }

// uid names a pod, which is a digit, or a claim, which is a letter.
func uid(first rune, n int) types.UID { return types.UID(string(first + rune(n))) }

func power(n int) int64 {
	p := int64(1)
	for range n {
		p *= 10_000
	}
	return p
}

func (w *world) create() {
	if len(w.pods) == 4 {
		return
	}
	p := &life{n: len(w.pods), host: w.hosts[w.IntN(len(w.hosts))], next: w.t + w.span(6), first: -1, last: -1, post: -1, exists: true, made: w.t}
	p.init, p.ends = w.IntN(3) == 0, stage(int(bound)+w.IntN(9))
	p.api = pod(string(uid('0', p.n)), unscheduled, func(a *corev1.Pod) {
		a.CreationTimestamp = recorded(w.t)
		a.Spec.Containers[0].Resources.Requests = corev1.ResourceList{
			"cpu": *resource.NewMilliQuantity(power(p.n), resource.DecimalSI), "example.org/piece": *resource.NewQuantity(power(p.n), resource.DecimalSI),
		}
		a.Spec.NodeName, a.Status.Phase = "", corev1.PodPending
	})
	w.pods = append(w.pods, p)
}

func (w *world) provision() {
	if len(w.claims) == 2 {
		return
	}
	c := claim(string(uid('v', len(w.claims))), resource.NewQuantity(power(len(w.claims)), resource.DecimalSI).String())
	w.claims = append(w.claims, &disk{api: c, bound: w.t, gone: -1, opened: -1, exists: true})
}

// span is up to so many seconds, in milliseconds that are no whole ones.
func (w *world) span(seconds int64) int64 { return 1 + w.Int64N(seconds*1000-2) }

// pass lets about a second go by.
func (w *world) pass() {
	w.t += 700 + w.Int64N(600)
	for _, h := range w.hosts {
		w.live(h)
	}
	for _, p := range w.pods {
		if p.at == unbound && w.t >= p.next && p.exists && !p.deleted && !p.host.lost {
			p.at, p.next = bound, w.t+w.span(8)
			p.api.Spec.NodeName = p.host.name(w)
		}
		if !p.host.lost && w.t >= p.host.asleep {
			w.work(p)
		}
	}
	w.transmit()
}

func (h *host) name(w *world) string { return string(rune('m' + slices.Index(w.hosts, h))) }

// live renews the heartbeat, and has Kubernetes lose and find the machine.
func (w *world) live(h *host) {
	reach := !h.lost && w.t >= h.cut && w.t >= h.asleep
	if reach && w.t >= h.nextBeat {
		if h.ready < 0 && h.ready != -1_000_000 {
			h.ready = w.t + h.clock // which is for the kubelet to say
		}
		h.beat, h.heard, h.nextBeat = w.t+h.clock, w.t, w.t+10_000+w.Int64N(400+h.late)
	}
	if w.t-h.heard > 50_000 && h.ready != -1 {
		h.ready = -1
	}
}

// work is the kubelet's: what is due happens, at the very millisecond, and is told when the API server can be reached.
func (w *world) work(p *life) {
	for p.at != unbound && p.at != over && w.t >= p.next {
		w.step(p, max(p.next, p.host.asleep))
	}
	if p.post < 0 {
		return
	}
	if p.host.cut > w.t {
		p.post = max(p.post, p.host.cut+w.Int64N(8000))
	}
	if w.t >= p.post && p.exists {
		p.tell()
	}
}

func (w *world) step(p *life, at int64) {
	started, clock := p.at, at+p.host.clock
	begin := func(r **run, next stage) {
		*r, p.at = &run{start: clock}, next
		if p.first < 0 {
			p.first = at
		}
	}
	switch {
	case p.deleted || p.evicted:
		p.finish(at, clock)
	case p.at == bound && p.init:
		begin(&p.prepare, preparing)
	case p.at == bound || p.at == prepared:
		begin(&p.now, working)
	case p.at == preparing:
		p.prepare.end, p.prepare.ended, p.last, p.at = clock, true, at, prepared
	case p.at == working:
		p.now.end, p.now.ended, p.last, p.at = clock, true, at, backingOff
	case p.at == backingOff:
		p.before = p.now
		begin(&p.now, working)
	}
	if p.ends == started && (started == preparing || started == working) {
		p.finish(at, clock)
	}
	p.next = at + w.span([]int64{5, 30, 120}[w.IntN(3)])
	if p.post < 0 {
		p.post = at + w.Int64N(8000)
	}
}

// finish ends whatever runs.
func (p *life) finish(at, clock int64) {
	for _, r := range []*run{p.prepare, p.now} {
		if r != nil && !r.ended {
			r.end, r.ended, p.last = clock, true, at
		}
	}
	p.at = over
}

// tell writes the status as the kubelet knows it.
func (p *life) tell() {
	p.post = -1
	s := corev1.PodStatus{Phase: corev1.PodRunning}
	if p.prepare != nil {
		s.InitContainerStatuses = []corev1.ContainerStatus{{State: p.prepare.state()}}
	}
	main := corev1.ContainerStatus{State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "PodInitializing"}}}
	if p.now != nil {
		main.State = p.now.state()
	}
	if p.before != nil {
		main.LastTerminationState = p.before.state()
	}
	if p.at == backingOff && p.n%2 == 0 {
		main.LastTerminationState, main.State = main.State, corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff"}}
	}
	s.ContainerStatuses = []corev1.ContainerStatus{main}
	if p.at == over || p.early != 0 {
		s.Phase = corev1.PodFailed
	}
	if p.early != 0 {
		s.Conditions = []corev1.PodCondition{{Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue, LastTransitionTime: recorded(p.early)}}
	}
	p.api.Status = s
	if p.first >= 0 && !p.known && p.forgotten() {
		p.loose = true
	}
}

// forgotten reports whether the first start is recorded no longer.
func (p *life) forgotten() bool {
	for _, c := range slices.Concat(p.api.Status.InitContainerStatuses, p.api.Status.ContainerStatuses) {
		for _, s := range []corev1.ContainerState{c.State, c.LastTerminationState} {
			first := recorded(p.first + p.host.clock)
			if s.Running != nil && s.Running.StartedAt.Equal(&first) || s.Terminated != nil && s.Terminated.StartedAt.Equal(&first) {
				return false
			}
		}
	}
	return true
}

func (r *run) state() corev1.ContainerState {
	if !r.ended {
		return corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: recorded(r.start)}}
	}
	return corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{StartedAt: recorded(r.start), FinishedAt: recorded(r.end)}}
}

// remove orders a pod's deletion, with grace or without.
func (w *world) remove(p *life) {
	if p.deleted {
		return
	}
	now := recorded(w.t)
	p.deleted, p.api.DeletionTimestamp = true, &now
	if p.at != over && p.at != unbound {
		p.next = min(p.next, w.t+w.span(10))
	}
	p.settle()
}

// evict has a kubelet end a pod. It may tell the phase first, with containers that run, and end them then.
func (w *world) evict(p *life) {
	if p.evicted || p.at == unbound || p.at == over {
		return
	}
	p.evicted = true
	if h := p.host; w.IntN(2) == 0 && h.beat != 0 && !h.lost && w.t >= h.cut && w.t >= h.asleep && p.exists {
		p.early, p.next = w.t+h.clock, min(p.next, w.t+w.span(10))
		if p.at != preparing && p.at != working { // nothing runs, or will any more
			p.finish(w.t, w.t+h.clock)
		}
		p.tell()
	}
}

// settle makes a pod vanish that is deleted and that nothing holds.
func (p *life) settle() {
	if p.deleted && !slices.Contains(p.api.Finalizers, v1alpha1.FinalizerMeter) {
		p.exists = false
	}
}

func (w *world) removeClaim(c *disk) {
	if c.gone < 0 {
		now := recorded(w.t)
		c.gone, c.api.DeletionTimestamp = w.t, &now
	}
}

// silence makes a machine silent for some time. A machine that is cut off works on; one that sleeps does not, nor do its pods.
func (w *world) silence(h *host, ms int64, asleep bool) {
	if h.lost || w.t < max(h.cut, h.asleep)+10_000 {
		return // a kubelet that reaches the API server tells all within ten seconds
	}
	if !asleep {
		h.cut = w.t + ms
		return
	}
	h.asleep = w.t + ms
	h.silences = append(h.silences, [2]int64{w.t, w.t + ms})
	w.put(h, ms)
}

// suspend puts all machines to sleep at once, and the meter with them.
func (w *world) suspend(ms int64) {
	if slices.ContainsFunc(w.hosts, func(h *host) bool { return h.asleep > w.t }) {
		return
	}
	for _, h := range w.hosts {
		h.silences = append(h.silences, [2]int64{w.t, w.t + ms})
		w.put(h, ms)
		h.nextBeat += ms
		h.heard += ms // who watches for it slept as well
	}
	w.t += ms
	w.slept += ms
}

// put puts off what is due on a machine.
func (w *world) put(h *host, ms int64) {
	for _, p := range w.pods {
		if p.host == h {
			p.next += ms
			if p.post >= 0 {
				p.post += ms
			}
		}
	}
}

// lose ends a machine for good.
func (w *world) lose(h *host) {
	h.lost = true
	for _, p := range w.pods {
		if p.host == h && p.at != unbound && p.at != over {
			p.finish(w.t, w.t+h.clock)
		}
	}
}

// collect ends the pods of lost machines on paper.
func (w *world) collect() {
	for _, p := range w.pods {
		if p.host.lost && p.exists {
			if p.api.Status.Phase != corev1.PodSucceeded {
				p.api.Status.Phase = corev1.PodFailed
			}
			w.remove(p)
		}
	}
}
