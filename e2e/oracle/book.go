// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
)

// maxSilence is the page's: what a machine's silence makes free depends on what was written down before it, which nobody but the meter knows.
const maxSilence = 2 * time.Minute

// container is what the runtime said of one container.
type container struct {
	ID        string
	Pod       string // its UID
	Namespace string
	PodName   string
	Name      string
	// Started and Ended are the runtime's record, Over that it says that the container has ended.
	Started, Ended time.Time
	Over           bool
	// StartEvent and ExitEvent are the times in containerd's events of the two.
	StartEvent, ExitEvent time.Time
	// Gone says that the runtime has removed it.
	Gone bool
}

// recorded is what Kubernetes has of one container, in whole seconds; zero where it has nothing.
type recorded struct{ Started, Ended int64 }

// pod is what was ordered.
type pod struct {
	UID, Namespace, Name string
	Made                 time.Time
	Rate                 rate
	recorded             map[string]recorded // by container
}

// volume is a claim.
type volume struct {
	UID, Namespace, Name string
	Bytes                int64
	// Bound and Ordered are Kubernetes' record of when it was bound and when its deletion was ordered; Seen is when the meter first saw it.
	Bound, Ordered, Seen time.Time
	Gone                 bool
}

// book holds all that was learned. It is safe for concurrent use.
type book struct {
	prefix string

	mu         sync.Mutex
	containers map[string]*container
	pods       map[string]*pod
	volumes    map[string]*volume
	// accrued is how far the meter's account had come with a pod when that was last open.
	accrued map[string]time.Time
	// beats are the machines' last heartbeats, pauses the times between any two that are longer than anything but silence.
	beats   map[string]time.Time
	pause   time.Duration
	silence []silence
	// doubts are what was missed, by namespace.
	doubts map[string][]string
	// since is when both runtime and API server were heard first; listening is closed then.
	runtime, kubernetes bool
	since               time.Time
	listening           chan struct{}
	// breaks are how often the runtime's events broke off, and were taken up again.
	breaks int
	deaf   bool
}

type silence struct{ from, to time.Time }

func newBook(prefix string) *book {
	return &book{
		prefix: prefix, containers: map[string]*container{}, pods: map[string]*pod{}, volumes: map[string]*volume{}, beats: map[string]time.Time{},
		accrued: map[string]time.Time{}, doubts: map[string][]string{}, listening: make(chan struct{}),
	}
}

// heard waits until both runtime and API server were heard.
func (b *book) heard(ctx context.Context, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	select {
	case <-b.listening:
		return nil
	case <-ctx.Done():
		b.mu.Lock()
		defer b.mu.Unlock()
		return fmt.Errorf("not heard within %s: runtime %v, API server %v", limit, b.runtime, b.kubernetes)
	}
}

// listens says that one of the two was heard now.
func (b *book) listens(runtime bool, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if runtime {
		b.deaf = false
	}
	was := b.runtime && b.kubernetes
	b.runtime, b.kubernetes = b.runtime || runtime, b.kubernetes || !runtime
	if !was && b.runtime && b.kubernetes {
		b.since = now
		close(b.listening)
	}
}

// broke says that the runtime's events broke off, once until it is heard again.
func (b *book) broke(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.deaf {
		return
	}
	b.deaf = true
	b.breaks++
	fmt.Fprintln(os.Stderr, "oracle: the runtime broke off:", err)
}

func (b *book) doubt(namespace, format string, args ...any) {
	say := fmt.Sprintf(format, args...)
	if !slices.Contains(b.doubts[namespace], say) {
		b.doubts[namespace] = append(b.doubts[namespace], say)
	}
}

// of returns what is known of a container, which is known from then on.
func (b *book) of(id string, labels map[string]string) *container {
	c, ok := b.containers[id]
	if !ok {
		c = &container{
			ID: id, Pod: labels["io.kubernetes.pod.uid"], Namespace: labels["io.kubernetes.pod.namespace"],
			PodName: labels["io.kubernetes.pod.name"], Name: labels["io.kubernetes.container.name"],
		}
		b.containers[id] = c
	}
	return c
}

// tenant reports whether labels are of a tenant's container.
func (b *book) tenant(labels map[string]string) bool {
	return strings.HasPrefix(labels["io.kubernetes.pod.namespace"], b.prefix)
}

// knows reports whether a container is a tenant's.
func (b *book) knows(id string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	_, ok := b.containers[id]
	return ok
}

// event takes in the time of an event.
func (b *book) event(id string, exit bool, at time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	c, ok := b.containers[id]
	if !ok {
		return // of no tenant's, or of a pod's sandbox
	}
	if exit {
		c.ExitEvent = at
	} else {
		c.StartEvent = at
	}
}

// record takes in the runtime's record of a container. It may not change once it says something.
func (b *book) record(id string, labels map[string]string, started, ended int64, over bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.tenant(labels) {
		return
	}
	c := b.of(id, labels)
	for _, f := range []struct {
		what string
		to   *time.Time
		is   int64
	}{{"start", &c.Started, started}, {"end", &c.Ended, ended}} {
		switch {
		case f.is == 0:
		case f.to.IsZero():
			*f.to = time.Unix(0, f.is)
		case f.to.UnixNano() != f.is:
			b.doubt(c.Namespace, "the runtime changed its record of the %s of %s in %s from %s to %s", f.what, c.Name, c.PodName, f.to, time.Unix(0, f.is))
		}
	}
	c.Over = c.Over || over
}

// created takes in that a container is there.
func (b *book) created(id string, labels map[string]string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.tenant(labels) {
		b.of(id, labels)
	}
}

// removed says that the runtime has no record of a container any more. If that went before it was read, the exit event says the same.
func (b *book) removed(id string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	c, ok := b.containers[id]
	if !ok || c.Gone {
		return
	}
	c.Gone = true
	if c.Started.IsZero() && !c.StartEvent.IsZero() {
		b.doubt(c.Namespace, "%s in %s started, and its record was gone before it was read", c.Name, c.PodName)
	}
	if c.Started.IsZero() && c.Ended.IsZero() || !c.Ended.IsZero() {
		return
	}
	if c.ExitEvent.IsZero() {
		b.doubt(c.Namespace, "the end of %s in %s was missed", c.Name, c.PodName)
		return
	}
	c.Ended, c.Over = c.ExitEvent, true
}

// unsettled are the containers whose records are not final. With hot, only those of which something was heard that their records don't say yet.
func (b *book) unsettled(hot bool) []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var ids []string
	for id, c := range b.containers {
		ended := c.Over && !c.Ended.IsZero()
		told := c.Started.IsZero() || !c.ExitEvent.IsZero()
		if !c.Gone && !ended && (!hot || told) {
			ids = append(ids, id)
		}
	}
	return ids
}

// ordered takes in a pod.
func (b *book) ordered(p pod) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !strings.HasPrefix(p.Namespace, b.prefix) {
		return
	}
	known, ok := b.pods[p.UID]
	if !ok {
		known = &pod{UID: p.UID, Namespace: p.Namespace, Name: p.Name, Made: p.Made, Rate: p.Rate, recorded: map[string]recorded{}}
		b.pods[p.UID] = known
	}
	if known.Rate != p.Rate {
		b.doubt(p.Namespace, "the reservation of %s changed, and nobody records when", p.Name)
	}
	for id, r := range p.recorded {
		was := known.recorded[id]
		if was.Started != 0 && r.Started != was.Started || was.Ended != 0 && r.Ended != was.Ended {
			b.doubt(p.Namespace, "Kubernetes changed its record of a container of %s from %v to %v", p.Name, was, r)
		}
		known.recorded[id] = r
	}
}

// claimed takes in a claim.
func (b *book) claimed(v volume) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !strings.HasPrefix(v.Namespace, b.prefix) {
		return
	}
	known, ok := b.volumes[v.UID]
	if !ok {
		b.volumes[v.UID] = &v
		return
	}
	if known.Bytes == 0 {
		known.Bytes, known.Name, known.Namespace = v.Bytes, v.Name, v.Namespace
	}
	if known.Bytes != v.Bytes {
		b.doubt(v.Namespace, "the size of volume %s changed, and nobody records when", v.Name)
	}
	if known.Bound.IsZero() {
		known.Bound = v.Bound
	}
	if known.Ordered.IsZero() {
		known.Ordered = v.Ordered
	}
	known.Gone = known.Gone || v.Gone
}

// seen takes in when the meter first saw a volume, of which it may be heard before the volume is.
func (b *book) seen(namespace, uid string, at time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	v, ok := b.volumes[uid]
	if !ok {
		v = &volume{UID: uid, Namespace: namespace}
		b.volumes[uid] = v
	}
	if v.Seen.IsZero() {
		v.Seen = at
	}
	if !v.Seen.Equal(at) {
		b.doubt(namespace, "the account of volume %s begins anew at %s, it was %s", uid, at, v.Seen)
	}
}

// written takes in how far the meter's account has come with a pod.
func (b *book) written(uid string, to time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if to.After(b.accrued[uid]) {
		b.accrued[uid] = to
	}
}

// beat takes in a machine's heartbeat.
func (b *book) beat(machine string, at time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	last, ok := b.beats[machine]
	b.beats[machine] = at
	if !ok {
		return
	}
	b.pause = max(b.pause, at.Sub(last))
	if at.Sub(last) > maxSilence || at.Before(last) {
		b.silence = append(b.silence, silence{last, at})
	}
}

// life is one pod or volume as it counts.
type life struct {
	UID       string    `json:"uid"`
	Namespace string    `json:"namespace"`
	Name      string    `json:"name"`
	Kind      string    `json:"kind"`
	Attempts  int       `json:"attempts"`
	From      time.Time `json:"from"` // the first start, as the runtime has it
	To        time.Time `json:"to"`   // the last end
	Seconds   int64     `json:"seconds"`
	Rate      rate      `json:"rate"`
	// Recorded is what Kubernetes has of it: containers whose start and whose end it recorded, and the first and the last of those.
	Recorded struct {
		Starts int       `json:"starts"`
		Ends   int       `json:"ends"`
		From   time.Time `json:"from"`
		To     time.Time `json:"to"`
	} `json:"recorded"`
}

// drift is how far apart are those who tell the time.
type drift struct {
	// Start is the runtime's record of a start less the time of the event of it, End the same of ends. Straddled is how many of these lie in
	// another second than the record does: the record goes, as it is what a kubelet is told.
	Start     span `json:"start"`
	End       span `json:"end"`
	Straddled int  `json:"straddled"`
	// Recorded is Kubernetes' record less the runtime's: by its rule of rounding down, more than a second less, or ahead, is an error.
	Recorded span `json:"recorded"`
	// Seen is when the meter first saw a volume less when it was bound.
	Seen span `json:"seen"`
	// Pause is the longest time between two heartbeats, Breaks how often the runtime's events broke off.
	Pause  time.Duration `json:"pause"`
	Breaks int           `json:"breaks"`
	// Lost are the pods whose first start or last end Kubernetes did not keep: they count by the records that there are, and as far as they were
	// written down.
	Lost int `json:"lost"`
}

// answer is what is known of a namespace.
type answer struct {
	Used  quantities `json:"used"`
	Owed  string     `json:"owed"`
	Lives []life     `json:"lives"`
	// Void is why the bill proves nothing, if it does not; Differs is where Kubernetes recorded another second than the runtime did.
	Void    []string `json:"void"`
	Differs []string `json:"differs"`
	Drift   drift    `json:"drift"`
}

// answer makes the bill of a namespace, or of all.
func (b *book) answer(q question, now time.Time) answer {
	b.mu.Lock()
	defer b.mu.Unlock()
	a := answer{Used: nothing(), Drift: drift{Pause: b.pause, Breaks: b.breaks}}
	in := func(namespace string) bool { return q.Namespace == "" || namespace == q.Namespace }
	for namespace, said := range b.doubts {
		if in(namespace) {
			a.Void = append(a.Void, said...)
		}
	}
	by := map[string][]*container{}
	for _, c := range b.containers {
		if in(c.Namespace) {
			by[c.Pod] = append(by[c.Pod], c)
			b.compare(&a, c)
		}
	}
	for uid, all := range by {
		if b.pods[uid] == nil {
			a.Void = append(a.Void, fmt.Sprintf("the runtime has pod %s (%s), Kubernetes never said what it reserves", all[0].PodName, uid))
		}
	}
	for _, p := range b.pods {
		if in(p.Namespace) {
			a.pod(b, p, by[p.UID])
		}
	}
	for _, v := range b.volumes {
		if in(v.Namespace) {
			a.volume(v)
		}
	}
	if len(a.Lives) == 0 {
		a.Void = append(a.Void, "nothing is known of it")
	}
	for _, s := range b.silence {
		a.Void = append(a.Void, fmt.Sprintf("a machine was silent from %s to %s", s.from, s.to))
	}
	for machine, beat := range b.beats {
		if now.Sub(beat) > maxSilence {
			a.Void = append(a.Void, fmt.Sprintf("%s is silent since %s", machine, beat))
		}
	}
	slices.SortFunc(a.Lives, func(x, y life) int { return x.From.Compare(y.From) })
	slices.Sort(a.Void)
	slices.Sort(a.Differs)
	a.Owed = a.Used.owed(q.Prices).String()
	return a
}

// compare looks how far events are from the record of a container.
func (b *book) compare(a *answer, c *container) {
	for _, f := range []struct {
		record, event time.Time
		to            *span
	}{{c.Started, c.StartEvent, &a.Drift.Start}, {c.Ended, c.ExitEvent, &a.Drift.End}} {
		if f.record.IsZero() || f.event.IsZero() {
			continue
		}
		f.to.add(f.record.Sub(f.event))
		if f.record.Unix() != f.event.Unix() {
			a.Drift.Straddled++
		}
	}
}

// pod adds what a pod comes to.
func (a *answer) pod(b *book, p *pod, all []*container) {
	if p.Made.Before(b.since.Truncate(time.Second)) {
		a.Void = append(a.Void, fmt.Sprintf("%s was made before anybody listened", p.Name))
	}
	l := life{UID: p.UID, Namespace: p.Namespace, Name: p.Name, Kind: "Pod", Rate: p.Rate}
	var ran, counts []attempt
	known := map[string]bool{}
	for _, c := range all {
		known[c.ID] = true
		if !c.Started.IsZero() || !c.Ended.IsZero() {
			l.Attempts++
			ran = append(ran, attempt{c.Started, c.Ended})
		}
		if !c.Started.IsZero() && c.Ended.IsZero() {
			a.Void = append(a.Void, fmt.Sprintf("%s in %s still runs", c.Name, p.Name))
		}
		if r, ok := p.recorded[c.ID]; ok {
			a.record(p, c, r)
			l.note(r)
			t := attempt{c.Started, c.Ended}
			if r.Ended == 0 {
				t.ended = time.Time{} // what Kubernetes lost does not count
			}
			counts = append(counts, t)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(p.recorded)) {
		if !known[id] {
			a.Void = append(a.Void, fmt.Sprintf("Kubernetes has container %.12s of %s, the runtime never said so", id, p.Name))
		}
	}
	l.From, l.To = outermost(ran)
	if from, to := outermost(counts); !from.Equal(l.From) || !to.Equal(l.To) {
		a.Drift.Lost++
		// It counts as far as it was written down; never beyond what ran.
		if written := b.accrued[p.UID]; written.After(to) && !from.IsZero() {
			counts = append(counts, attempt{ended: written})
			if written.After(l.To) {
				a.Differs = append(a.Differs, fmt.Sprintf("%s was billed to %s, it ended at %s", p.Name, written.UTC(), l.To.UTC()))
			}
		}
	}
	l.Seconds = podSeconds(p.Made, counts)
	a.Used.add(l.Rate, l.Seconds)
	a.Lives = append(a.Lives, l)
}

// note notes what Kubernetes recorded of one container.
func (l *life) note(r recorded) {
	if at := time.Unix(r.Started, 0); r.Started != 0 {
		l.Recorded.Starts++
		if l.Recorded.From.IsZero() || at.Before(l.Recorded.From) {
			l.Recorded.From = at
		}
	}
	if at := time.Unix(r.Ended, 0); r.Ended != 0 {
		l.Recorded.Ends++
		if at.After(l.Recorded.To) {
			l.Recorded.To = at
		}
	}
}

// record compares what Kubernetes recorded with the runtime's record.
func (a *answer) record(p *pod, c *container, r recorded) {
	for _, f := range []struct {
		what     string
		runtime  time.Time
		recorded int64
	}{{"start", c.Started, r.Started}, {"end", c.Ended, r.Ended}} {
		if f.recorded == 0 {
			continue
		}
		if f.runtime.IsZero() || f.runtime.Unix() != f.recorded {
			a.Differs = append(a.Differs, fmt.Sprintf("the %s of %s in %s: Kubernetes says %s, the runtime %s",
				f.what, c.Name, p.Name, time.Unix(f.recorded, 0).UTC(), f.runtime.UTC()))
			continue
		}
		a.Drift.Recorded.add(time.Unix(f.recorded, 0).Sub(f.runtime))
	}
}

// volume adds what a volume comes to.
func (a *answer) volume(v *volume) {
	l := life{UID: v.UID, Namespace: v.Namespace, Name: v.Name, Kind: "Volume", Rate: rate{Storage: v.Bytes}, From: v.Seen, To: v.Ordered}
	switch {
	case v.Bytes == 0:
		a.Void = append(a.Void, fmt.Sprintf("volume %s is accounted for, Kubernetes never said so", v.UID))
	case v.Bound.IsZero() && !v.Seen.IsZero():
		a.Void = append(a.Void, fmt.Sprintf("volume %s was seen by the meter, and never bound", v.Name))
	case v.Bound.IsZero():
		return // it never was
	case v.Seen.IsZero():
		a.Void = append(a.Void, fmt.Sprintf("when the meter first saw volume %s is not known", v.Name))
	case v.Seen.Before(v.Bound):
		a.Void = append(a.Void, fmt.Sprintf("volume %s is accounted for from %s, it was bound at %s", v.Name, v.Seen, v.Bound))
	case v.Ordered.IsZero():
		a.Void = append(a.Void, fmt.Sprintf("that volume %s was to be deleted was never heard", v.Name))
	default:
		a.Drift.Seen.add(v.Seen.Sub(v.Bound))
		l.Seconds = volumeSeconds(v.Seen, v.Ordered)
	}
	a.Used.add(l.Rate, l.Seconds)
	a.Lives = append(a.Lives, l)
}
