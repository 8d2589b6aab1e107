// SPDX-License-Identifier: Apache-2.0

package logstore

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"

	logstorev1 "github.com/apocryph/apocryph/internal/gen/logstorev1"
)

const (
	// readBytes is how much of a segment is read at once, unless its next frame is larger.
	readBytes = 16 << 10
	// maxOpen bounds the lines of a service that are held because their end has not come.
	maxOpen = 8
)

// cursor reads a ring while it is written to. It holds no lock: segments only grow, by whole frames, and go away as a whole.
type cursor struct {
	s            *Store
	app, service string
	without      map[runKey]bool
	since        int64

	segment uint32
	offset  int64 // in the segment, of what was not yet taken
	buf     []byte
	names   map[uint64]runKey
	// open are lines whose end has not come yet.
	open map[openKey]*logstorev1.Line
}

type openKey struct {
	run    runKey
	stderr bool
}

func (s *Store) cursor(app, service string) *cursor {
	return &cursor{s: s, app: app, service: service, names: map[uint64]runKey{}, open: map[openKey]*logstorev1.Line{}}
}

// position is where the cursor is, for resume.
func (c *cursor) position() uint64 { return uint64(c.segment)<<32 | uint64(c.offset) }

// resume goes on at a position; one that is gone means the oldest line that is there.
func (c *cursor) resume(at uint64) error {
	c.segment = uint32(at >> 32)
	to := int64(uint32(at))
	// What comes before names the runs.
	for c.offset < to {
		if c.take() != nil {
			continue
		}
		had := len(c.buf)
		if err := c.fill(); err != nil {
			return err
		}
		if len(c.buf) == had {
			break
		}
	}
	c.open = map[openKey]*logstorev1.Line{}
	return nil
}

// next returns the lines of the next frame that has any, or none when there is no more for now.
func (c *cursor) next() ([]*logstorev1.Line, error) {
	for {
		if lines := c.take(); len(lines) > 0 {
			return lines, nil
		} else if lines != nil {
			continue
		}
		// Looked at before the segment is read again: one that has a successor does not grow any more.
		after, err := c.successor()
		if err != nil {
			return nil, err
		}
		had := len(c.buf)
		if err := c.fill(); err != nil {
			return nil, err
		}
		switch {
		case len(c.buf) > had:
		case after == 0:
			return nil, nil
		default:
			c.segment, c.offset, c.buf, c.names = after, 0, nil, map[uint64]runKey{}
		}
	}
}

// successor is the number of the segment after this one, or 0.
func (c *cursor) successor() (uint32, error) {
	entries, err := c.s.segmentsOf(path.Join(c.app, c.service))
	if err != nil {
		return 0, ignoreGone(err)
	}
	for _, e := range entries {
		if n, _ := parseSegment(e.Name()); n > c.segment {
			return n, nil
		}
	}
	return 0, nil
}

// fill reads more of the segment, one frame at least if there is a whole one.
func (c *cursor) fill() error {
	f, err := c.s.root.Open((&ring{app: c.app, service: c.service}).file(c.segment))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("opening a segment: %w", err)
	}
	defer func() { _ = f.Close() }()
	b := make([]byte, readBytes)
	n, err := f.ReadAt(b, c.offset)
	if size := frameSize(b[:n]); err == nil && size > n {
		b = make([]byte, size)
		n, err = f.ReadAt(b, c.offset)
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("reading a segment: %w", err)
	}
	b = b[:n]
	if len(b) > len(c.buf) {
		c.buf = b
	}
	return nil
}

// take returns the wanted lines of the next frame: nil if there is none, and an empty slice if it has none.
func (c *cursor) take() []*logstorev1.Line {
	records, size, ok := cutFrame(c.buf)
	if !ok {
		return nil
	}
	lines := []*logstorev1.Line{}
	err := readRecords(records, func(rec record) error {
		switch rec.kind {
		case recordRun:
			c.names[rec.index] = runKey{rec.pod, rec.restart}
		case recordLine:
			if l := c.line(rec); l != nil {
				lines = append(lines, l)
			}
		}
		return nil
	})
	if err != nil {
		return nil // the writer takes nothing after it either
	}
	c.buf, c.offset = c.buf[size:], c.offset+int64(size)
	if len(c.buf) == 0 {
		c.buf = nil // whoever follows holds nothing while he waits
	}
	return lines
}

// line returns a line once it is whole, if it is wanted.
func (c *cursor) line(rec record) *logstorev1.Line {
	of := c.names[rec.index]
	if c.without[of] {
		return nil
	}
	key := openKey{of, rec.flags&flagStderr != 0}
	l := c.open[key]
	if l == nil || rec.flags&flagNotice != 0 {
		l = &logstorev1.Line{Service: c.service, Time: rec.at.UnixNano(), Stderr: key.stderr, Notice: rec.flags&flagNotice != 0}
	}
	switch room := maxLine - len(l.Text); {
	case room < 0: // it is cut off already
	case len(rec.text) > room:
		l.Text = append(append(l.Text, rec.text[:room]...), "…"...)
	default:
		l.Text = append(l.Text, rec.text...)
	}
	if rec.flags&flagPartial != 0 {
		c.open[key] = l
		return c.crowdedOut()
	}
	if !l.Notice {
		delete(c.open, key)
	}
	if l.Time <= c.since {
		return nil
	}
	return l
}

// crowdedOut is the oldest line whose end has not come, when there are too many: a run that has ended never ends its last one.
func (c *cursor) crowdedOut() *logstorev1.Line {
	if len(c.open) <= maxOpen {
		return nil
	}
	var oldest openKey
	var out *logstorev1.Line
	for key, l := range c.open {
		if out == nil || l.Time < out.Time {
			oldest, out = key, l
		}
	}
	delete(c.open, oldest)
	if out.Time <= c.since {
		return nil
	}
	return out
}

// rest are the lines whose end has not come, for those who don't wait for it.
func (c *cursor) rest() []*logstorev1.Line {
	var all []*logstorev1.Line
	for _, l := range c.open {
		if l.Time > c.since {
			all = append(all, l)
		}
	}
	c.open = map[openKey]*logstorev1.Line{}
	return all
}
