// SPDX-License-Identifier: Apache-2.0

package logstore

import (
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
)

// ring is what is kept of a service, as its writer sees it. The store's mutex guards it.
type ring struct {
	app, service string
	segments     []segment
	// runs are those that the segments name, once they have been read, and those whose files are there.
	runs   map[runKey]*run
	loaded bool
	// newest is the number of the newest segment that ever was, as far as is known; next is that segment's next index.
	newest uint32
	next   uint64
	// last is when something was last written.
	last time.Time
	// failing says that lines are there which could not be read or written.
	failing bool

	// allowed bytes may be read now.
	allowed  int64
	refilled time.Time
}

type segment struct {
	number     uint32
	size, text int64
}

type runKey struct {
	pod     string
	restart uint32
}

// run is one container of a service, and how far its file is in the store.
type run struct {
	runKey
	inode, offset uint64
	// index is the newest segment's, if it is defined there.
	index   uint64
	defined bool
	// live says that its file was there at the last look.
	live bool
}

// written is a line for the store, with how far its file has come to the store with it. A silent one is only the latter.
type written struct {
	run    *run
	flags  byte
	at     time.Time
	text   []byte
	silent bool

	inode, end uint64
}

func (r *ring) dir() string { return path.Join(r.app, r.service) }

func (r *ring) file(n uint32) string { return path.Join(r.dir(), fmt.Sprintf("%08x", n)) }

func parseSegment(name string) (uint32, bool) {
	n, err := strconv.ParseUint(name, 16, 32)
	return uint32(n), err == nil && len(name) == 8 && strings.ToLower(name) == name
}

func (r *ring) size() (sum int64) {
	for _, s := range r.segments {
		sum += s.size
	}
	return sum
}

// load reads what the segments say of the runs, and cuts off what a crash left unfinished.
func (s *Store) load(r *ring) error {
	if r.loaded {
		return nil
	}
	for i := range r.segments {
		seg := &r.segments[i]
		b, err := s.root.ReadFile(r.file(seg.number))
		if err != nil {
			return fmt.Errorf("reading a segment: %w", err)
		}
		r.next = 0
		for _, known := range r.runs {
			known.defined = false
		}
		good := r.replay(seg, b)
		if s.total += good - seg.size; good < int64(len(b)) {
			if err := s.cut(r.file(seg.number), good); err != nil {
				return err
			}
		}
		seg.size = good
	}
	r.loaded = true
	return nil
}

func (s *Store) cut(name string, size int64) error {
	f, err := s.root.OpenFile(name, os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("cutting a segment: %w", err)
	}
	if err := errors.Join(f.Truncate(size), f.Close()); err != nil {
		return fmt.Errorf("cutting a segment: %w", err)
	}
	return nil
}

// replay takes a segment's runs into the ring and returns the size of its whole frames.
func (r *ring) replay(seg *segment, b []byte) (good int64) {
	seg.text = 0
	names := map[uint64]*run{}
	for {
		records, size, ok := cutFrame(b[good:])
		if !ok {
			return good
		}
		err := readRecords(records, func(rec record) error {
			switch {
			case rec.kind == recordRun:
				names[rec.index] = r.run(runKey{rec.pod, rec.restart})
				names[rec.index].index, names[rec.index].defined = rec.index, true
				r.next = max(r.next, rec.index+1)
			case names[rec.index] == nil:
				return errFrame
			case rec.kind == recordLine:
				seg.text += int64(len(rec.text)) + 1
			case rec.kind == recordPosition:
				names[rec.index].inode, names[rec.index].offset = rec.inode, rec.offset
			}
			return nil
		})
		if err != nil {
			return good
		}
		good += int64(size)
	}
}

// run returns the one of a key, which it makes if need be.
func (r *ring) run(k runKey) *run {
	if r.runs[k] == nil {
		r.runs[k] = &run{runKey: k}
	}
	return r.runs[k]
}

// put writes lines, in frames. What it wrote before an error stands.
func (s *Store) put(r *ring, lines []written) error {
	for len(lines) > 0 {
		n, text := 0, 0
		for n < len(lines) && n < frameLines && text < frameText {
			text += len(lines[n].text) + frameHeader // and about what a line has besides
			n++
		}
		if err := s.putFrame(r, lines[:n]); err != nil {
			return err
		}
		lines = lines[n:]
	}
	return s.trim(r)
}

func (s *Store) putFrame(r *ring, lines []written) error {
	fresh := len(r.segments) == 0 || r.segments[len(r.segments)-1].size >= segmentBytes
	f, index, next := newFrame(), map[*run]uint64{}, r.next
	if fresh {
		next = 0
	}
	define := func(of *run) uint64 {
		if of.defined && !fresh {
			return of.index
		}
		n, ok := index[of]
		if !ok {
			n = next
			index[of], next = n, n+1
			f.run(n, of.pod, of.restart)
		}
		return n
	}
	if fresh {
		for _, of := range r.live() {
			f.position(define(of), of.inode, of.offset)
		}
	}
	ends := map[*run]written{}
	var text, count int64
	for _, l := range lines {
		n := define(l.run)
		if !l.silent {
			f.line(n, l.flags, l.at, l.text)
			text, count = text+int64(len(l.text))+1, count+1
		}
		ends[l.run] = l
	}
	for of, l := range ends {
		f.position(define(of), l.inode, l.end)
	}
	if err := s.append(r, fresh, f.done(), text); err != nil {
		return err
	}
	for _, of := range r.runs {
		of.defined = of.defined && !fresh
	}
	for of, n := range index {
		of.index, of.defined = n, true
	}
	for of, l := range ends {
		of.inode, of.offset = l.inode, l.end
	}
	r.next, r.last = next, s.cfg.Now()
	s.lines.Add(float64(count))
	return nil
}

// live are the runs whose files are there, in a fixed order.
func (r *ring) live() []*run {
	var all []*run
	for _, of := range r.runs {
		if of.live {
			all = append(all, of)
		}
	}
	slices.SortFunc(all, func(a, b *run) int {
		if a.pod != b.pod {
			return strings.Compare(a.pod, b.pod)
		}
		return int(int64(a.restart) - int64(b.restart))
	})
	return all
}

// append writes a frame to the newest segment, or to one more.
func (s *Store) append(r *ring, fresh bool, frame []byte, text int64) error {
	if len(r.segments) == 0 {
		if err := s.root.MkdirAll(r.dir(), dirMode); err != nil {
			return fmt.Errorf("making a ring: %w", err)
		}
	}
	var seg segment
	flags := os.O_WRONLY | os.O_APPEND
	if n := len(r.segments); n > 0 {
		seg = r.segments[n-1]
	}
	if fresh {
		seg = segment{number: s.number(r)}
		// What is there under its name is of a write that failed.
		flags |= os.O_CREATE | os.O_TRUNC
	}
	file, err := s.root.OpenFile(r.file(seg.number), flags, fileMode)
	if err != nil {
		return fmt.Errorf("opening a segment: %w", err)
	}
	if _, err = file.Write(frame); err != nil {
		// Half a frame would hide those after it.
		err = errors.Join(fmt.Errorf("writing a segment: %w", err), file.Truncate(seg.size), file.Close())
		return err
	}
	if err := file.Close(); err != nil {
		return fmt.Errorf("writing a segment: %w", err)
	}
	seg.size, seg.text = seg.size+int64(len(frame)), seg.text+text
	if fresh {
		r.segments, r.newest = append(r.segments, seg), seg.number
		for k, of := range r.runs {
			if !of.live {
				delete(r.runs, k)
			}
		}
	} else {
		r.segments[len(r.segments)-1] = seg
	}
	s.total += int64(len(frame))
	return nil
}

// number is the next segment's. None is used twice, for whoever follows may stand in one that is gone: a ring that begins anew, of which
// nothing may be known, begins with the time.
func (s *Store) number(r *ring) uint32 {
	if len(r.segments) > 0 {
		return r.segments[len(r.segments)-1].number + 1
	}
	return max(r.newest+1, uint32(s.cfg.Now().Unix()))
}

// trim removes the oldest segments that are not needed, then other rings if the whole is too large.
func (s *Store) trim(r *ring) error {
	for len(r.segments) > 1 {
		var text int64
		for _, seg := range r.segments[1:] {
			text += seg.text
		}
		if text < keptText && r.size() <= ringBytes {
			break
		}
		if err := s.root.Remove(r.file(r.segments[0].number)); err != nil {
			return fmt.Errorf("removing a segment: %w", err)
		}
		s.total -= r.segments[0].size
		r.segments = r.segments[1:]
	}
	for s.total > s.cfg.TotalBytes {
		out := s.victim(r)
		if out == nil {
			return nil
		}
		if err := s.removeRing(out); err != nil {
			return err
		}
	}
	return nil
}

// victim is the ring that gives way to another: of the app that has most, the one that was written to least lately.
func (s *Store) victim(keep *ring) *ring {
	bytes := map[string]int64{}
	for _, r := range s.rings {
		bytes[r.app] += r.size()
	}
	var out *ring
	for _, r := range s.rings {
		switch {
		case r == keep, len(r.segments) == 0:
		case out == nil, bytes[r.app] > bytes[out.app], bytes[r.app] == bytes[out.app] && r.last.Before(out.last):
			out = r
		}
	}
	return out
}

// removeRing forgets a service. What its pods write from then on is kept again.
func (s *Store) removeRing(r *ring) error {
	if err := s.root.RemoveAll(r.dir()); err != nil {
		return fmt.Errorf("removing a ring: %w", err)
	}
	s.total -= r.size()
	// Its runs stay as far as their files are there, so that they are not read again from their beginning.
	r.segments, r.next = nil, 0
	for k, of := range r.runs {
		of.defined = false
		if !of.live {
			delete(r.runs, k)
		}
	}
	if len(r.runs) == 0 {
		delete(s.rings, r.dir())
	}
	return nil
}

// ringOf returns an app's service's ring. A new one takes the place of the one written to least lately of those that
// don't run here any more, when the app has as many as it may.
func (s *Store) ringOf(app, service string) (*ring, error) {
	r := s.rings[path.Join(app, service)]
	if r == nil {
		r = &ring{app: app, service: service, runs: map[runKey]*run{}, loaded: true}
		var others []*ring
		for _, o := range s.rings {
			if o.app == app {
				others = append(others, o)
			}
		}
		if len(others) >= appServices {
			// One that only is quiet does not give way.
			others = slices.DeleteFunc(others, func(o *ring) bool { return len(o.live()) > 0 })
			if len(others) == 0 {
				return nil, errCrowded
			}
			oldest := slices.MinFunc(others, func(a, b *ring) int { return a.last.Compare(b.last) })
			if err := s.removeRing(oldest); err != nil {
				return nil, err
			}
			delete(s.rings, oldest.dir())
		}
		s.rings[r.dir()] = r
	}
	return r, s.load(r)
}

var errCrowded = errors.New("the app has as many services as are kept")
