// SPDX-License-Identifier: Apache-2.0

package logstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"
	"time"
)

// source is the file of a run that is read. The store's mutex guards it.
type source struct {
	ring *ring
	run  *run
	dir  string // of the container, below that of the pods
	file *os.File
	// ends counts the looks at which the file, no longer at its name, was read to its end.
	ends int
	// there says that the run's name was there at the last look.
	there bool
	// chain is how much of a line that is not yet ended has come, by stream; what is over maxLine is dropped.
	chain [2]int
}

func (src *source) name() string { return path.Join(src.dir, fmt.Sprintf("%d.log", src.run.restart)) }

func (src *source) close() {
	if src.file != nil {
		_ = src.file.Close()
		src.file = nil
	}
}

// Run scans until ctx ends.
func (s *Store) Run(ctx context.Context) error {
	tick := time.NewTicker(scanEvery)
	defer tick.Stop()
	quiet := time.Time{}
	for {
		if err := s.Scan(); err != nil {
			s.failed.Inc()
			if now := s.cfg.Now(); now.After(quiet) { // a full disk says so twice a second
				s.cfg.Log.ErrorContext(ctx, "scan failed", "error", err)
				quiet = now.Add(time.Minute)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Scan reads what was written since the last one, within bounds. What fails is tried again at the next.
func (s *Store) Scan() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.scan()
}

// catchUp is Scan, unless one began after the call did. It waits until the last one is scanPause ago, so that those who ask at about the
// same time have one for all.
func (s *Store) catchUp(ctx context.Context) error {
	s.mu.Lock()
	asked := s.cfg.Now()
	wait := scanPause - asked.Sub(s.scanned)
	s.mu.Unlock()
	if 0 < wait && wait <= scanPause { // else the clock was set
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait):
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.scanned.After(asked) {
		return nil
	}
	return s.scan()
}

func (s *Store) scan() error {
	s.scanned = s.cfg.Now()
	all := s.look()
	byRing := map[*ring][]*source{}
	for key, src := range s.sources {
		if src.file == nil && !src.there {
			if files, err := s.files(src); err != nil || len(files) > 0 {
				continue // between two files, while one takes the place of the other
			}
			src.run.live = false
			delete(s.sources, key)
			continue
		}
		byRing[src.ring] = append(byRing[src.ring], src)
	}
	for r, sources := range byRing {
		all = errors.Join(all, s.follow(r, sources))
	}
	return all
}

// follow reads what is new in a service's files, each a fair part of what may be read of them now, and writes it down in the order of time.
func (s *Store) follow(r *ring, sources []*source) error {
	now := s.cfg.Now()
	if r.refilled.IsZero() {
		r.allowed = burstBytes
	} else {
		r.allowed = min(burstBytes, r.allowed+int64(now.Sub(r.refilled).Seconds()*bytesPerSecond))
	}
	r.refilled = now
	slices.SortFunc(sources, func(a, b *source) int { return strings.Compare(a.name(), b.name()) })
	var all error
	var read [][]written
	var share int64
	if r.allowed > 0 { // enough for an entry, else nobody would get on
		share = max(r.allowed/int64(len(sources)), maxEntry+1)
	}
	for _, src := range sources {
		lines, err := s.readSource(src, share)
		all = errors.Join(all, err)
		if len(lines) > 0 {
			read = append(read, lines)
		}
	}
	if len(read) == 0 {
		if share > 0 { // else nothing was tried
			s.fails(r, all != nil)
		}
		return all
	}
	if err := s.put(r, merge(read)); err != nil {
		s.fails(r, true)
		for _, src := range sources {
			src.chain, src.ends = [2]int{}, 0
		}
		return errors.Join(all, fmt.Errorf("app %s, service %s: %w", r.app, r.service, err))
	}
	s.fails(r, all != nil)
	s.changed(r.app)
	return all
}

// merge orders lines by time, but never those of one file.
func merge(read [][]written) []written {
	if len(read) == 1 {
		return read[0]
	}
	var all []written
	for {
		first := -1
		for i, lines := range read {
			if len(lines) > 0 && (first < 0 || lines[0].at.Before(read[first][0].at)) {
				first = i
			}
		}
		if first < 0 {
			return all
		}
		all, read[first] = append(all, read[first][0]), read[first][1:]
	}
}

// readSource reads at most so many bytes of a run's file, and goes on to the file after it once it is at its end.
func (s *Store) readSource(src *source, most int64) ([]written, error) {
	if src.file == nil {
		if err := s.openSource(src); err != nil || src.file == nil {
			return nil, err
		}
	}
	info, err := src.file.Stat()
	if err != nil {
		return nil, fmt.Errorf("reading a pod's log: %w", err)
	}
	size := uint64(info.Size())
	if src.run.offset > size {
		src.run.offset = 0 // it was cut off where it stands
	}
	unread := size - src.run.offset
	if unread > 0 {
		src.ends = 0
		return s.readLines(src, size, most)
	}
	if now, err := s.pods.Lstat(src.name()); err == nil && inodeOf(now) == src.run.inode {
		return nil, nil
	}
	// It was renamed or removed. Whoever wrote to it may have written a last line meanwhile: it is done with at the second look.
	if src.ends++; src.ends > 1 {
		src.ends = 0
		src.close()
		return nil, s.openNext(src)
	}
	return nil, nil
}

// openSource opens the file in which a run was read last, or its first.
func (s *Store) openSource(src *source) error {
	if src.run.inode == 0 {
		return s.openFile(src, src.name(), 0)
	}
	files, err := s.files(src)
	if err != nil {
		return err
	}
	for _, name := range files {
		if info, err := s.pods.Lstat(name); err == nil && inodeOf(info) == src.run.inode {
			if uint64(info.Size()) < src.run.offset {
				src.run.offset = 0 // another file that got its number
			}
			return s.openFile(src, name, src.run.offset)
		}
	}
	return s.openNext(src)
}

// openNext opens the file after the one that was read last: of those that kubelet has not yet packed, all are newer when that one is gone.
func (s *Store) openNext(src *source) error {
	files, err := s.files(src)
	if err != nil || len(files) == 0 {
		return err
	}
	for i, name := range files {
		if info, err := s.pods.Lstat(name); err == nil && inodeOf(info) == src.run.inode {
			if i+1 == len(files) {
				return nil
			}
			return s.openFile(src, files[i+1], 0)
		}
	}
	return s.openFile(src, files[0], 0)
}

// files are a run's, oldest first: "<n>.log.<time>", which kubelet packs when there is another, then "<n>.log".
func (s *Store) files(src *source) ([]string, error) {
	entries, err := fs.ReadDir(s.pods.FS(), src.dir)
	if err != nil {
		return nil, ignoreGone(err)
	}
	var all []string
	for _, e := range entries {
		name, current := path.Join(src.dir, e.Name()), src.name()
		rotated := strings.HasPrefix(name, current+".") && !strings.HasSuffix(name, ".gz") && !strings.HasSuffix(name, ".tmp")
		if e.Type().IsRegular() && rotated {
			all = append(all, name)
		}
	}
	slices.Sort(all)
	if info, err := s.pods.Lstat(src.name()); err == nil && info.Mode().IsRegular() {
		all = append(all, src.name())
	}
	return all, nil
}

func (s *Store) openFile(src *source, name string, offset uint64) error {
	// Not blocking: what takes a log file's place is nothing that one waits for.
	f, err := s.pods.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return ignoreGone(err)
	}
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return errors.Join(err, f.Close())
	}
	src.file, src.run.inode, src.run.offset = f, inodeOf(info), offset
	return nil
}

func inodeOf(info fs.FileInfo) uint64 {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return st.Ino
	}
	return 0
}

// readLines reads whole entries, from where the run's file was read to, or, when it is far behind, from near its end.
func (s *Store) readLines(src *source, size uint64, most int64) ([]written, error) {
	from, skipped := src.run.offset, uint64(0)
	if size-from > maxBehind {
		to, err := nextEntry(src.file, size-landing)
		if err != nil {
			return nil, err
		}
		skipped, from = to-from, to
		src.chain = [2]int{}
	}
	b := make([]byte, min(uint64(max(most, 0)), size-from))
	n, err := src.file.ReadAt(b, int64(from))
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("reading a pod's log: %w", err)
	}
	b = b[:n]
	last := bytes.LastIndexByte(b, '\n')
	switch {
	case last >= 0:
		b = b[:last+1]
	case len(b) > maxEntry: // no entry is as long: it is dropped like one that is none
	default:
		b = nil // it is not yet whole
	}
	lines := src.entries(b, from, skipped)
	if len(lines) > 0 {
		src.ring.allowed -= int64(len(b))
		s.dropped.Add(float64(skipped))
	}
	return lines, nil
}

// nextEntry is where the first entry after an offset begins.
func nextEntry(f *os.File, after uint64) (uint64, error) {
	b := make([]byte, maxEntry)
	n, err := f.ReadAt(b, int64(after))
	if err != nil && !errors.Is(err, io.EOF) {
		return 0, fmt.Errorf("reading a pod's log: %w", err)
	}
	return after + uint64(bytes.IndexByte(b[:n], '\n')+1), nil
}

// entries makes lines of whole entries that begin at an offset, after so many bytes that are left out.
func (src *source) entries(b []byte, from, skipped uint64) []written {
	var all []written
	end := from
	for len(b) > 0 {
		raw, rest, _ := bytes.Cut(b, []byte("\n"))
		end += uint64(len(b) - len(rest))
		b = rest
		l := written{run: src.run, silent: true, inode: src.run.inode, end: end}
		if e, ok := parseEntry(raw); ok {
			if skipped > 0 {
				all = append(all, written{run: src.run, flags: flagNotice, at: e.at, inode: src.run.inode, end: end - uint64(len(raw)) - 1, text: leftOut(skipped)})
				skipped = 0
			}
			src.take(e, &l)
		}
		if l.silent && len(all) > 0 {
			all[len(all)-1].end = end
			continue
		}
		all = append(all, l)
	}
	return all
}

// take makes a line of an entry, unless it only lengthens a line that is too long already.
func (src *source) take(e entry, l *written) {
	stream := 0
	if e.stderr {
		stream, l.flags = 1, l.flags|flagStderr
	}
	before := src.chain[stream]
	src.chain[stream] = 0
	if e.partial {
		src.chain[stream] = min(before+len(e.text), maxLine+1)
		l.flags |= flagPartial
	}
	// The end of a line is kept, though nothing of its text be.
	l.at, l.text, l.silent = e.at, e.text[:min(len(e.text), max(0, maxLine+1-before))], before > maxLine && e.partial
}

func leftOut(n uint64) []byte {
	return fmt.Appendf(nil, "%d bytes of the log are left out here: more was written at once than is kept", n)
}
