// SPDX-License-Identifier: Apache-2.0

package logstore

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
)

// look lists the runs' files.
func (s *Store) look() error {
	pods, err := fs.ReadDir(s.pods.FS(), ".")
	if err != nil {
		if !s.blind {
			s.allChanged()
		}
		s.blind = true
		return fmt.Errorf("listing pods' logs: %w", err) // and none is taken for gone
	}
	before := s.refused
	s.blind, s.refused = false, map[place]bool{}
	for _, src := range s.sources {
		src.there = false
	}
	var all error
	for _, p := range pods {
		if app, pod, ok := parsePod(p.Name()); ok && p.IsDir() {
			all = errors.Join(all, s.lookAt(p.Name(), app, pod))
		}
	}
	for p := range s.refused {
		if !before[p] {
			s.changed(p.app)
		}
	}
	return all
}

// lookAt lists the runs of one pod. What goes away meanwhile is no failure.
func (s *Store) lookAt(dir, app, pod string) error {
	containers, err := fs.ReadDir(s.pods.FS(), dir)
	if err != nil {
		return ignoreGone(err)
	}
	var all error
	containers = slices.DeleteFunc(containers, func(c fs.DirEntry) bool { return !c.IsDir() || !isService(c.Name(), pod) })
	for _, c := range containers[:min(len(containers), podFiles)] {
		in := path.Join(dir, c.Name())
		files, err := fs.ReadDir(s.pods.FS(), in)
		all = errors.Join(all, ignoreGone(err))
		for _, n := range newest(files) {
			all = errors.Join(all, s.found(in, app, c.Name(), runKey{pod, n}))
		}
	}
	return all
}

// newest are the last runs of a container, of however many files.
func newest(files []fs.DirEntry) []uint32 {
	var runs []uint32
	for _, f := range files {
		if n, ok := parseRestart(f.Name()); ok && f.Type().IsRegular() {
			runs = append(runs, n)
		}
	}
	slices.Sort(runs)
	return runs[max(0, len(runs)-podFiles):]
}

func (s *Store) found(dir, app, service string, k runKey) error {
	key := fmt.Sprintf("%s/%d", dir, k.restart)
	src := s.sources[key]
	if src == nil {
		r, err := s.ringOf(app, service)
		if err != nil {
			s.refused[place{app, service}] = true
			return err
		}
		src = &source{ring: r, run: r.run(k), dir: dir}
		s.sources[key] = src
	}
	src.there, src.run.live = true, true
	return nil
}

func ignoreGone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
