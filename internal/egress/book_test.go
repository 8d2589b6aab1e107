// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/apocryph/apocryph/api/v1alpha1"
)

func existing(links ...string) machine {
	m := machine{routed: map[string]bool{}}
	for _, l := range links {
		m.routed[l] = true
	}
	return m
}

func box(id string, links ...string) sandbox {
	return sandbox{id: id, app: appID, uid: "uid-" + id, links: links}
}

func counted(link, box string, base, bytes int64) tally {
	return tally{link: link, box: box, app: appID, uid: "uid-" + box, base: base, bytes: bytes}
}

func guessed(link, box string, base, bytes int64) tally {
	t := counted(link, box, base, bytes)
	t.guess = true
	return t
}

func told(box string, bytes int64, closed bool) v1alpha1.TrafficCounter {
	return v1alpha1.TrafficCounter{App: appID, Source: box, PodUID: "uid-" + box, Bytes: bytes, Closed: closed}
}

func TestWhatIsReportedAndWhatTheKernelHas(t *testing.T) {
	for name, c := range map[string]struct {
		// blind says that the API server was not read; told is what it has.
		blind bool
		told  []v1alpha1.TrafficCounter
		have  []tally
		boxes []sandbox
		there machine

		want      []v1alpha1.TrafficCounter
		drop, put []tally
	}{
		"a new pod": {
			boxes: []sandbox{box("a", "veth1")}, there: existing("veth1"),
			put: []tally{counted("veth1", "a", 0, 0)},
		},
		"a pod that is counted": {
			told: []v1alpha1.TrafficCounter{told("a", 100, false)}, have: []tally{counted("veth1", "a", 0, 150)},
			boxes: []sandbox{box("a", "veth1")}, there: existing("veth1"),
			want: []v1alpha1.TrafficCounter{told("a", 150, false)},
		},
		"a counter that somebody removed": {
			told:  []v1alpha1.TrafficCounter{told("a", 100, false)},
			boxes: []sandbox{box("a", "veth1")}, there: existing("veth1"),
			want: []v1alpha1.TrafficCounter{told("a", 100, false)},
			put:  []tally{counted("veth1", "a", 100, 0)},
		},
		"one of two counters that somebody removed": {
			told: []v1alpha1.TrafficCounter{told("a", 100, false)}, have: []tally{counted("veth1", "a", 0, 70)},
			boxes: []sandbox{box("a", "veth1", "net1")}, there: existing("veth1", "net1"),
			want: []v1alpha1.TrafficCounter{told("a", 100, false)},
			put:  []tally{counted("net1", "a", 30, 0)},
		},
		"two links of one pod add up": {
			have:  []tally{counted("veth1", "a", 0, 70), counted("net1", "a", 5, 10)},
			boxes: []sandbox{box("a", "veth1", "net1")}, there: existing("veth1", "net1"),
			want: []v1alpha1.TrafficCounter{told("a", 85, false)},
		},
		"a new pod while the API server is away": {
			blind: true,
			boxes: []sandbox{box("a", "veth1")}, there: existing("veth1"),
			put: []tally{guessed("veth1", "a", 0, 0)},
		},
		"the API server is back": {
			told: []v1alpha1.TrafficCounter{told("a", 100, false)}, have: []tally{guessed("veth1", "a", 0, 30)},
			boxes: []sandbox{box("a", "veth1")}, there: existing("veth1"),
			want: []v1alpha1.TrafficCounter{told("a", 130, false)},
			drop: []tally{guessed("veth1", "a", 0, 30)}, put: []tally{counted("veth1", "a", 130, 0)},
		},
		"the API server is back, and the pod has two links": {
			told: []v1alpha1.TrafficCounter{told("a", 100, false)}, have: []tally{guessed("veth1", "a", 0, 30), guessed("net1", "a", 0, 20)},
			boxes: []sandbox{box("a", "veth1", "net1")}, there: existing("veth1", "net1"),
			want: []v1alpha1.TrafficCounter{told("a", 150, false)},
			drop: []tally{guessed("veth1", "a", 0, 30), guessed("net1", "a", 0, 20)},
			put:  []tally{counted("veth1", "a", 130, 0), counted("net1", "a", 20, 0)},
		},
		"the API server is back, and never heard of the pod": {
			have:  []tally{guessed("veth1", "a", 0, 30)},
			boxes: []sandbox{box("a", "veth1")}, there: existing("veth1"),
			want: []v1alpha1.TrafficCounter{told("a", 30, false)},
			drop: []tally{guessed("veth1", "a", 0, 30)}, put: []tally{counted("veth1", "a", 30, 0)},
		},
		"a link that is gone": {
			told: []v1alpha1.TrafficCounter{told("a", 100, false)}, have: []tally{counted("veth1", "a", 0, 120)}, there: existing(),
			want: []v1alpha1.TrafficCounter{told("a", 120, true)},
		},
		"a link that is gone, and the API server has that": {
			told: []v1alpha1.TrafficCounter{told("a", 120, true)}, have: []tally{counted("veth1", "a", 0, 120)}, there: existing(),
			want: []v1alpha1.TrafficCounter{told("a", 120, true)},
			drop: []tally{counted("veth1", "a", 0, 120)},
		},
		"a link that is gone, but not all of it is told": {
			told: []v1alpha1.TrafficCounter{told("a", 110, true)}, have: []tally{counted("veth1", "a", 0, 120)}, there: existing(),
			want: []v1alpha1.TrafficCounter{told("a", 120, true)},
		},
		"the file is gone, and the link is not": {
			have: []tally{counted("veth1", "a", 0, 120)}, there: existing("veth1"),
			want: []v1alpha1.TrafficCounter{told("a", 120, false)},
		},
		"the machine was started anew": {
			told: []v1alpha1.TrafficCounter{told("a", 100, false)}, there: existing(),
			want: []v1alpha1.TrafficCounter{told("a", 100, true)},
		},
		"the pod has a new sandbox after a start of the machine": {
			told:  []v1alpha1.TrafficCounter{told("a", 100, false)},
			boxes: []sandbox{{id: "a2", app: appID, uid: "uid-a", links: []string{"veth2"}}}, there: existing("veth2"),
			want: []v1alpha1.TrafficCounter{told("a", 100, true)},
			put:  []tally{{link: "veth2", box: "a2", app: appID, uid: "uid-a"}},
		},
		"another pod's link has the name of one that is gone": {
			told: []v1alpha1.TrafficCounter{told("a", 100, false)}, have: []tally{counted("cali1", "a", 0, 120)},
			boxes: []sandbox{box("b", "cali1")}, there: existing("cali1"),
			want: []v1alpha1.TrafficCounter{told("a", 120, true)},
			drop: []tally{counted("cali1", "a", 0, 120)}, put: []tally{counted("cali1", "b", 0, 0)},
		},
		"a counter that says less than was reported": {
			told: []v1alpha1.TrafficCounter{told("a", 100, false)}, have: []tally{counted("veth1", "a", 0, 30)},
			boxes: []sandbox{box("a", "veth1")}, there: existing("veth1"),
			want: []v1alpha1.TrafficCounter{told("a", 100, false)},
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBook()
			if !c.blind {
				b.learn(c.told)
			}
			b.count(c.have, c.boxes, c.there, time.Now())
			drop, put := b.plan(c.have, c.boxes, c.there)
			if got := b.counters(); !reflect.DeepEqual(got, c.want) {
				t.Errorf("reported %+v\nwant %+v", got, c.want)
			}
			if !slices.Equal(drop, c.drop) || !slices.Equal(put, c.put) {
				t.Errorf("drop %+v, put %+v\nwant %+v, %+v", drop, put, c.drop, c.put)
			}
		})
	}
}

func TestWhatLeavesTheReport(t *testing.T) {
	start := time.Unix(1_700_000_000, 0)
	open := &v1alpha1.Usage{Status: v1alpha1.UsageStatus{Open: []v1alpha1.Interval{{UID: "uid-a", Kind: "Pod"}}}}
	held := &v1alpha1.Usage{Status: v1alpha1.UsageStatus{ClosedUIDs: []string{"uid-a"}}}
	counts := &v1alpha1.Usage{Status: v1alpha1.UsageStatus{Counters: []v1alpha1.Counted{{Source: "a", PodUID: "uid-a", Bytes: 100}}}}
	done, final := &v1alpha1.Usage{}, &v1alpha1.Usage{Status: v1alpha1.UsageStatus{Final: true}}
	unknown := map[string]*v1alpha1.Usage{}
	is := func(u *v1alpha1.Usage) map[string]*v1alpha1.Usage { return map[string]*v1alpha1.Usage{appID: u} }
	for name, c := range map[string]struct {
		open    bool
		untold  bool
		seen    []map[string]*v1alpha1.Usage
		after   time.Duration
		dropped bool
	}{
		"the meter knew of the pod and forgot it":           {seen: []map[string]*v1alpha1.Usage{is(open), is(held), is(done)}, dropped: true},
		"the meter knew of it, and the account is gone":     {seen: []map[string]*v1alpha1.Usage{is(open), is(nil)}, dropped: true},
		"the account is final":                              {seen: []map[string]*v1alpha1.Usage{is(final)}, dropped: true},
		"the pod is still there":                            {seen: []map[string]*v1alpha1.Usage{is(open)}, after: 10 * unmet},
		"its finalizer is":                                  {seen: []map[string]*v1alpha1.Usage{is(held)}, after: 10 * unmet},
		"its counter still counts":                          {seen: []map[string]*v1alpha1.Usage{is(counts)}, after: 10 * unmet},
		"the meter was not seen to know of it yet":          {seen: []map[string]*v1alpha1.Usage{is(done)}, after: unmet / 2},
		"it was not for long":                               {seen: []map[string]*v1alpha1.Usage{is(done)}, after: 2 * unmet, dropped: true},
		"there is no account yet":                           {seen: []map[string]*v1alpha1.Usage{is(nil)}, after: unmet / 2},
		"the account can't be read":                         {seen: []map[string]*v1alpha1.Usage{is(open), unknown}, after: 10 * unmet},
		"it is not closed":                                  {open: true, seen: []map[string]*v1alpha1.Usage{is(open), is(done)}, after: 10 * unmet},
		"it is closed, and the API server does not know it": {untold: true, seen: []map[string]*v1alpha1.Usage{is(open), is(done)}, after: 10 * unmet},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBook()
			b.learn([]v1alpha1.TrafficCounter{told("a", 100, !c.untold)})
			var boxes []sandbox
			if c.open {
				boxes = append(boxes, box("a", "veth1"))
			}
			b.count(nil, boxes, existing("veth1"), start)
			for _, usages := range c.seen {
				b.forget(usages, start.Add(c.after))
			}
			if got := len(b.counters()) == 0; got != c.dropped {
				t.Errorf("dropped %v, want %v", got, c.dropped)
			}
			// What the API server still has does not bring it back.
			b.learn([]v1alpha1.TrafficCounter{told("a", 100, true)})
			if got := len(b.counters()) == 0; got != c.dropped {
				t.Errorf("dropped %v after reading it again, want %v", got, c.dropped)
			}
		})
	}
}

func TestTheReportIsBounded(t *testing.T) {
	const over = 10
	start := time.Unix(1_700_000_000, 0)
	b := newBook()
	held := &v1alpha1.Usage{}
	for i := range maxEntries + over {
		id := fmt.Sprintf("box-%04d", i)
		b.learn([]v1alpha1.TrafficCounter{told(id, 1, true)})
		b.count(nil, nil, existing(), start.Add(time.Duration(i)*time.Second)) // one after the other
		held.Status.ClosedUIDs = append(held.Status.ClosedUIDs, "uid-"+id)
	}
	b.learn(b.counters())
	b.forget(map[string]*v1alpha1.Usage{appID: held}, start)
	all := b.counters()
	if len(all) != maxEntries || all[0].Source != fmt.Sprintf("box-%04d", over) {
		t.Errorf("%d counters from %s on", len(all), all[0].Source)
	}
}

// The model: pods come, send and go, the table is flushed, agents start anew and the API server is away, all at random. What is reported
// never falls, is never more than what was sent, and all of it while nobody flushes the table.
func TestTheModelAgrees(t *testing.T) {
	for seed := range uint64(300) {
		m := newModel(seed)
		for range 200 {
			m.step(t)
		}
		m.api = true
		for range 3 {
			m.round()
		}
		for id, sent := range m.sent {
			got := m.reported[id].Bytes
			if got > sent || !m.flushed && got != sent {
				t.Errorf("seed %d: %s sent %d and is reported with %d", seed, id, sent, got)
			}
			if r, ok := m.reported[id]; ok && r.Closed == m.alive[id] {
				t.Errorf("seed %d: %s is closed: %v", seed, id, r.Closed)
			}
		}
		if t.Failed() {
			return
		}
	}
}

type model struct {
	random   *rand.Rand
	book     *book
	kernel   map[string]tally
	alive    map[string]bool
	sent     map[string]int64
	reported map[string]v1alpha1.TrafficCounter
	api      bool
	flushes  bool
	flushed  bool
}

func newModel(seed uint64) *model {
	return &model{
		random: rand.New(rand.NewPCG(seed, seed)), book: newBook(), kernel: map[string]tally{}, alive: map[string]bool{}, //nolint:gosec // repeatable
		sent: map[string]int64{}, reported: map[string]v1alpha1.TrafficCounter{}, api: true, flushes: seed%2 == 0,
	}
}

func (m *model) step(t *testing.T) {
	t.Helper()
	ids := []string{"a", "b", "c", "d"}
	id := ids[m.random.IntN(len(ids))]
	switch m.random.IntN(8) {
	case 0: // a sandbox is born once
		if _, was := m.sent[id]; !was {
			m.alive[id], m.sent[id] = true, 0
			m.round()
		}
	case 1, 2, 3:
		if m.alive[id] {
			n := int64(m.random.IntN(1000))
			m.sent[id] += n
			if c, ok := m.kernel["veth-"+id]; ok {
				c.bytes += n
				m.kernel["veth-"+id] = c
			}
		}
	case 4:
		if m.random.IntN(4) == 0 {
			delete(m.alive, id)
		}
	case 5:
		m.book = newBook()
	case 6:
		if m.api = m.random.IntN(3) > 0; m.flushes && m.random.IntN(3) == 0 {
			clear(m.kernel)
			m.flushed = true
		}
	default:
		before := m.reported[id].Bytes
		m.round()
		if m.reported[id].Bytes < before {
			t.Errorf("%s fell from %d to %d", id, before, m.reported[id].Bytes)
		}
	}
}

// round is what an agent does, with other hands.
func (m *model) round() {
	m.count()
	if !m.api {
		return
	}
	m.book.learn(m.list())
	m.count()
	m.reported = map[string]v1alpha1.TrafficCounter{}
	for _, c := range m.book.counters() {
		m.reported[c.Source] = c
	}
	m.book.learn(m.list())
	m.count()
}

func (m *model) list() (all []v1alpha1.TrafficCounter) {
	for _, c := range m.reported {
		all = append(all, c)
	}
	return all
}

func (m *model) count() {
	var have []tally
	for _, c := range m.kernel {
		have = append(have, c)
	}
	var boxes []sandbox
	there := existing()
	for id := range m.alive {
		boxes = append(boxes, box(id, "veth-"+id))
		there.routed["veth-"+id] = true
	}
	m.book.count(have, boxes, there, time.Now())
	drop, put := m.book.plan(have, boxes, there)
	for _, c := range drop {
		delete(m.kernel, c.link)
	}
	for _, c := range put {
		m.kernel[c.link] = c
	}
}
