// SPDX-License-Identifier: Apache-2.0

// Package logstore keeps the last lines that each service of each app wrote on one machine, when their pods are long gone.
//
// The model: kubelet's log files are read where the runtime writes them, and lines go into segments, a ring of them for each service. How far
// a file was read stands in the same frame as the lines that were read: one write that is there whole or not at all, so that a crash
// neither loses a line nor has one twice. A file that was renamed is read to its end before the one that took its place.
//
// What is in those files is a stranger's. Lines, a service's ring, an app's services and the whole store are bounded; of who writes more than
// is worth keeping, the middle is left out, with a line that says so, and costs no more to read than the rest. Nobody's bytes become a
// path: names are checked for what they are, links are not followed, and nothing is opened outside of the two directories.
//
// An app's lines are removed when its App has positively ended, never because something can't be seen.
//
//	<root>/<app id>/<service>/<number>    segments, see frame.go
package logstore

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/apocryph/apocryph/internal/delegation"
	"github.com/apocryph/apocryph/internal/manifest"
)

const (
	// maxLine bounds a line; the rest of a longer one is dropped.
	maxLine = 16 << 10
	// keptText is how much text of a service is kept at least, unless with its times it takes more than ringBytes.
	keptText  = manifest.KeptLogBytes
	ringBytes = 2 << 20
	// segmentBytes is when a new segment begins; the oldest goes as a whole.
	segmentBytes = 128 << 10
	// frameText is about how much text goes into a frame, and frameLines how many lines: a reader holds one of each service that it reads.
	// maxFrame bounds what is believed of one.
	frameText  = 16 << 10
	frameLines = 256
	maxFrame   = 256 << 10
	// appServices bounds the services of an app, those of older versions among them.
	appServices = 64
	// defaultTotal bounds what all apps have.
	defaultTotal = 16 << 30

	// bytesPerSecond of a service's files are read for long, burstBytes at once.
	bytesPerSecond = 256 << 10
	burstBytes     = 1 << 20
	// A file that has more than maxBehind unread is read on from landing before its end.
	maxBehind = 1 << 20
	landing   = 512 << 10
	// An entry of a log file is a part of a line, its time and its tags.
	maxEntry = maxLine + 1024

	// scanEvery is how long a line waits to be read, when nobody asks.
	scanEvery = 500 * time.Millisecond
	// scanPause is how long after the last a scan begins that is made because somebody asks.
	scanPause = 100 * time.Millisecond
	// podFiles bounds the containers of a pod, and their files, that are looked at.
	podFiles = 32

	maxPodName = 63
	maxUID     = 64
	// From this length on the names of services are cut off in their pods' names.
	cutPodName = 40

	dirMode  = 0o700
	fileMode = 0o600

	// removedPrefix marks a directory that is being deleted; a dot is in no app id.
	removedPrefix = ".removed-"
)

// Config says what a Store is made of.
type Config struct {
	// Root is the directory of what is kept, Pods the one that kubelet has pods' logs in.
	Root, Pods string
	// Machine is this machine's name in the cluster.
	Machine string
	// TotalBytes is what all apps may have together: 16 GiB unless given.
	TotalBytes int64
	Now        func() time.Time
	Log        *slog.Logger
}

// Store is what is kept on one machine. It is safe for concurrent use by one process.
type Store struct {
	cfg  Config
	root *os.Root
	pods *os.Root

	lines, dropped, failed prometheus.Counter
	kept                   prometheus.GaugeFunc

	catching catching

	// mu is held by a scan and by a removal.
	mu      sync.Mutex
	rings   map[string]*ring
	sources map[string]*source
	total   int64
	// refused have no ring, blind says that nobody's files could be listed, at the last look.
	refused map[place]bool
	blind   bool
	// scanned is when the last scan began.
	scanned time.Time

	// bells are closed when an app has new lines.
	bellMu sync.Mutex
	bells  map[string]chan struct{}
}

// Open opens or makes a store. The caller closes it.
func Open(c Config) (*Store, error) {
	c.TotalBytes = cmp.Or(c.TotalBytes, defaultTotal)
	if err := os.MkdirAll(c.Root, dirMode); err != nil {
		return nil, fmt.Errorf("opening the log store: %w", err)
	}
	root, err := os.OpenRoot(c.Root)
	if err != nil {
		return nil, fmt.Errorf("opening the log store: %w", err)
	}
	pods, err := os.OpenRoot(c.Pods)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("opening pods' logs: %w", err), root.Close())
	}
	s := &Store{cfg: c, root: root, pods: pods, rings: map[string]*ring{}, sources: map[string]*source{}, bells: map[string]chan struct{}{}}
	s.refused, s.catching.of = map[place]bool{}, map[string]int{}
	s.makeMetrics()
	if err := s.measure(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Store) makeMetrics() {
	s.lines = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "apocryph_logstore_lines_total", Help: "Lines that were kept.",
	})
	s.dropped = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "apocryph_logstore_dropped_bytes_total", Help: "Bytes of log files that were left out, because more was written than is kept.",
	})
	s.failed = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "apocryph_logstore_failures_total", Help: "Scans in which lines could not be read or written; they are tried again.",
	})
	s.kept = prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "apocryph_logstore_bytes", Help: "Bytes that kept logs take.",
	}, func() float64 { return float64(s.Bytes()) })
}

// Close releases the directories and files.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, src := range s.sources {
		src.close()
	}
	return errors.Join(s.root.Close(), s.pods.Close())
}

// Bytes is what is kept.
func (s *Store) Bytes() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.total
}

// Apps lists the apps of which something is kept.
func (s *Store) Apps() ([]string, error) {
	return s.list(".", func(name string) bool {
		_, err := delegation.ParseAppID(name)
		return err == nil
	})
}

// services lists the services of which something is kept.
func (s *Store) services(app string) ([]string, error) {
	all, err := s.list(app, manifest.LooksLikeLabel)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return all, err
}

// list lists the directories with names of a kind.
func (s *Store) list(dir string, is func(string) bool) ([]string, error) {
	entries, err := fs.ReadDir(s.root.FS(), dir)
	if err != nil {
		return nil, fmt.Errorf("listing what is kept: %w", err)
	}
	var all []string
	for _, e := range entries {
		if e.IsDir() && is(e.Name()) {
			all = append(all, e.Name())
		}
	}
	return all, nil
}

// measure finds the rings that are there, and deletes what a crash left of a removal.
func (s *Store) measure() error {
	if err := s.removeLeft(); err != nil {
		return fmt.Errorf("removing what is left: %w", err)
	}
	apps, err := s.Apps()
	if err != nil {
		return err
	}
	for _, app := range apps {
		services, err := s.services(app)
		if err != nil {
			return err
		}
		for _, service := range services {
			r := &ring{app: app, service: service, runs: map[runKey]*run{}}
			if err := s.measureRing(r); err != nil {
				return err
			}
			s.rings[r.dir()] = r
			s.total += r.size()
		}
	}
	return nil
}

// segmentsOf lists a ring's segments, oldest first.
func (s *Store) segmentsOf(dir string) ([]fs.DirEntry, error) {
	entries, err := fs.ReadDir(s.root.FS(), dir)
	if err != nil {
		return nil, fmt.Errorf("listing segments: %w", err)
	}
	all := entries[:0]
	for _, e := range entries {
		if _, ok := parseSegment(e.Name()); ok && e.Type().IsRegular() {
			all = append(all, e)
		}
	}
	return all, nil
}

func (s *Store) measureRing(r *ring) error {
	entries, err := s.segmentsOf(r.dir())
	if err != nil {
		return err
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			return fmt.Errorf("measuring %s: %w", path.Join(r.dir(), e.Name()), err)
		}
		n, _ := parseSegment(e.Name())
		r.segments = append(r.segments, segment{number: n, size: info.Size()})
		if info.ModTime().After(r.last) {
			r.last = info.ModTime()
		}
	}
	return nil
}

// changed tells followers of an app that there are new lines.
func (s *Store) changed(app string) {
	s.bellMu.Lock()
	defer s.bellMu.Unlock()
	if bell := s.bells[app]; bell != nil {
		close(bell)
		delete(s.bells, app)
	}
}

// allChanged tells the followers of all apps.
func (s *Store) allChanged() {
	s.bellMu.Lock()
	defer s.bellMu.Unlock()
	for app, bell := range s.bells {
		close(bell)
		delete(s.bells, app)
	}
}

// bell is closed when an app has lines that were not there before the call.
func (s *Store) bell(app string) <-chan struct{} {
	s.bellMu.Lock()
	defer s.bellMu.Unlock()
	if s.bells[app] == nil {
		s.bells[app] = make(chan struct{})
	}
	return s.bells[app]
}

// Describe implements prometheus.Collector.
func (s *Store) Describe(to chan<- *prometheus.Desc) { prometheus.DescribeByCollect(s, to) }

// Collect implements prometheus.Collector.
func (s *Store) Collect(to chan<- prometheus.Metric) {
	s.lines.Collect(to)
	s.dropped.Collect(to)
	s.failed.Collect(to)
	s.kept.Collect(to)
}
