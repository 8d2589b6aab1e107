// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/apocryph/apocryph/api/v1alpha1"
)

// tally is the counter of one link, with what it says of itself.
type tally struct {
	link string
	// box is the sandbox that the link is of, and of which app's pod that is.
	box, app, uid string
	// base is what was counted of the sandbox before this counter began.
	base int64
	// guess says that the base was not known when the counter was made.
	guess bool
	// bytes is what this counter has counted.
	bytes int64
}

func (t tally) total() int64 { return t.base + t.bytes }

// entry is what is known of one sandbox.
type entry struct {
	app, uid string
	bytes    int64
	closed   bool
	// sure says that bytes has what was reported before: a counter that was not made by guess said so.
	sure bool
	// since is when it was first seen closed, met says that the meter was seen to know of its pod.
	since time.Time
	met   bool
}

// book is what is known of all sandboxes, those that are gone among them until the meter has them.
type book struct {
	// known says that what was reported before is in the book: until then what the kernel says may not be all.
	known bool
	// before is what was reported before this agent began, of sandboxes whose counters may have begun without knowing it.
	before  map[string]int64
	entries map[string]entry
	// written is what the API server has.
	written map[string]entry
	// dropped are those that the API server should have no more.
	dropped map[string]bool
}

func newBook() *book {
	return &book{before: map[string]int64{}, entries: map[string]entry{}, written: map[string]entry{}, dropped: map[string]bool{}}
}

// learn takes in what the API server has. An entry never falls by it.
func (b *book) learn(counters []v1alpha1.TrafficCounter) {
	b.written = map[string]entry{}
	for _, c := range counters {
		b.written[c.Source] = entry{app: c.App, uid: c.PodUID, bytes: c.Bytes, closed: c.Closed}
		if b.dropped[c.Source] {
			continue
		}
		e, ok := b.entries[c.Source]
		if !ok {
			e = entry{app: c.App, uid: c.PodUID, closed: c.Closed}
		}
		e.bytes = max(e.bytes, c.Bytes)
		b.entries[c.Source] = e
		if !b.known {
			b.before[c.Source] = c.Bytes
		}
	}
	b.known = true
	maps.DeleteFunc(b.dropped, func(id string, _ bool) bool { _, still := b.written[id]; return !still })
}

// count takes in what the kernel has counted, and closes what can send no more.
func (b *book) count(have []tally, boxes []sandbox, there machine, now time.Time) {
	alive := map[string]bool{}
	for _, box := range boxes {
		alive[box.id] = true
	}
	owner := owners(boxes)
	sums := map[string]int64{}
	for _, t := range have {
		alive[t.box] = alive[t.box] || t.still(owner, there)
		sums[t.box] += t.total()
		e, ok := b.entries[t.box]
		if !ok {
			e = entry{app: t.app, uid: t.uid}
		}
		e.sure = e.sure || !t.guess
		b.entries[t.box] = e
	}
	for _, t := range guesses(have) {
		sums[t.box] += b.before[t.box]
	}
	for id, e := range b.entries {
		e.bytes = max(e.bytes, sums[id])
		if e.closed = !alive[id]; !e.closed {
			e.since = time.Time{}
		} else if e.since.IsZero() {
			e.since = now
		}
		b.entries[id] = e
	}
}

// guesses are the counters to which what was reported before is still to be added: one of each sandbox, as it is the sum that was reported.
func guesses(have []tally) []tally {
	var first []tally
	known := map[string]bool{}
	for _, t := range have {
		known[t.box] = known[t.box] || !t.guess
	}
	for _, t := range have {
		if t.guess && !known[t.box] {
			known[t.box] = true
			first = append(first, t)
		}
	}
	return first
}

// owners says which sandbox each link is of.
func owners(boxes []sandbox) map[string]string {
	owner := map[string]string{}
	for _, box := range boxes {
		for _, link := range box.links {
			owner[link] = box.id
		}
	}
	return owner
}

// still reports whether the counter's sandbox can send by its link: one that is nobody else's and exists, whatever became of its file.
func (t tally) still(owner map[string]string, there machine) bool {
	box, owned := owner[t.link]
	_, exists := there.routed[t.link]
	return exists && (!owned || box == t.box)
}

// plan says which counters to take out of the kernel and which to put in, in this order. What was counted has to be in the book.
func (b *book) plan(have []tally, boxes []sandbox, there machine) (drop, put []tally) {
	owner := owners(boxes)
	by := map[string]tally{}
	sums := map[string]int64{}
	for _, t := range have {
		by[t.link] = t
		sums[t.box] += t.total()
	}
	if b.known {
		drop, put = b.settle(have)
	}
	for _, t := range have {
		e, known := b.entries[t.box]
		taken := owner[t.link] != "" && owner[t.link] != t.box
		if !t.still(owner, there) && (taken || !known || b.over(t.box, e)) {
			drop = append(drop, t)
		}
	}
	for _, box := range boxes {
		for _, link := range box.links {
			if by[link].box == box.id {
				continue
			}
			// What was known of the sandbox and is in no counter any more goes on in this one.
			base := max(0, b.entries[box.id].bytes-sums[box.id])
			sums[box.id] += base
			put = append(put, tally{link: link, box: box.id, app: box.app, uid: box.uid, base: base, guess: !b.known && !b.entries[box.id].sure})
		}
	}
	return drop, put
}

// settle replaces counters that began without knowing what was reported before.
func (b *book) settle(have []tally) (drop, put []tally) {
	first := guesses(have)
	for _, t := range have {
		if !t.guess {
			continue
		}
		drop = append(drop, t)
		settled := t
		settled.base, settled.bytes, settled.guess = t.total(), 0, false
		if slices.Contains(first, t) {
			settled.base += b.before[t.box]
		}
		put = append(put, settled)
	}
	return drop, put
}

// ended reports whether something was closed that the API server does not know to be.
func (b *book) ended() bool {
	for id, e := range b.entries {
		if e.closed && !b.written[id].closed {
			return true
		}
	}
	return false
}

// told reports whether the API server has all that is known.
func (b *book) told() bool {
	if len(b.entries) != len(b.written) {
		return false
	}
	for id, e := range b.entries {
		if w, ok := b.written[id]; !ok || w.bytes != e.bytes || w.closed != e.closed {
			return false
		}
	}
	return true
}

// counters is the report.
func (b *book) counters() []v1alpha1.TrafficCounter {
	var all []v1alpha1.TrafficCounter
	for _, id := range slices.Sorted(maps.Keys(b.entries)) {
		e := b.entries[id]
		all = append(all, v1alpha1.TrafficCounter{App: e.app, Source: id, PodUID: e.uid, Bytes: e.bytes, Closed: e.closed})
	}
	slices.SortStableFunc(all, func(x, y v1alpha1.TrafficCounter) int { return cmp.Compare(x.App, y.App) })
	return all
}

const (
	// unmet is how long a closed sandbox stays in the report of whose pod the meter was never seen to know.
	unmet = time.Hour
	// maxEntries bounds the report. Far more pods than a machine has fit; beyond it, what was closed first leaves.
	maxEntries = 2000
)

// ending are the apps of which something is closed and the API server has it.
func (b *book) ending() []string {
	apps := map[string]bool{}
	for id, e := range b.entries {
		if b.over(id, e) {
			apps[e.app] = true
		}
	}
	return slices.Sorted(maps.Keys(apps))
}

func (b *book) over(id string, e entry) bool {
	w := b.written[id]
	return e.closed && w.closed && w.bytes == e.bytes
}

// forget drops what is over, once the meter has counted it and let the pod go. usages are the accounts of apps, nil for one that has none; of an
// app that is not among them nothing is known, and nothing dropped.
func (b *book) forget(usages map[string]*v1alpha1.Usage, now time.Time) {
	var ended []string
	for id, e := range b.entries {
		u, seen := usages[e.app]
		if !seen || !b.over(id, e) {
			continue
		}
		knows := u != nil && mentions(u.Status, id, e.uid)
		e.met = e.met || knows
		b.entries[id] = e
		if !knows && (e.met || u != nil && u.Status.Final || now.Sub(e.since) > unmet) {
			b.drop(id)
		} else {
			ended = append(ended, id)
		}
	}
	slices.SortFunc(ended, func(x, y string) int { return b.entries[x].since.Compare(b.entries[y].since) })
	for _, id := range ended[:min(len(ended), max(0, len(b.entries)-maxEntries))] {
		b.drop(id)
	}
}

func (b *book) drop(id string) {
	delete(b.entries, id)
	delete(b.before, id)
	b.dropped[id] = true
}

// mentions reports whether an account still has to do with a pod: while it does, the pod is there, and its counters count.
func mentions(s v1alpha1.UsageStatus, box, uid string) bool {
	return slices.Contains(s.ClosedUIDs, uid) ||
		slices.ContainsFunc(s.Open, func(i v1alpha1.Interval) bool { return i.UID == uid }) ||
		slices.ContainsFunc(s.Counters, func(c v1alpha1.Counted) bool { return c.Source == box })
}
