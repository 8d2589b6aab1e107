// SPDX-License-Identifier: Apache-2.0

package logstore

import (
	"errors"
	"sync"
)

var (
	// errNotKept ends an answer: lines that are wanted can't be read or written down at present. What was kept before has been sent; whoever
	// wants the rest has to look for it elsewhere.
	errNotKept = errors.New("what the app writes can't be kept at present")
	// errBusy refuses one reader more.
	errBusy = errors.New("too many services are read at once")
)

// place is where a service's lines are kept.
type place struct{ app, service string }

func (p place) isOf(app, service string) bool {
	return p.app == app && (service == "" || p.service == service)
}

// fails notes whether a ring gets its lines, and tells those who follow it when it does no longer. The caller holds the mutex.
func (s *Store) fails(r *ring, is bool) {
	if is && !r.failing {
		s.changed(r.app)
	}
	r.failing = is
}

// keeps reports whether all that an app's service writes, or those that it has, comes to the store: what was written and could not be
// kept is missing until it could, or until the file that has it is gone.
func (s *Store) keeps(app, service string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.blind {
		return false
	}
	for p := range s.refused {
		if p.isOf(app, service) {
			return false
		}
	}
	for _, r := range s.rings {
		if r.failing && (place{r.app, r.service}).isOf(app, service) && len(r.live()) > 0 {
			return false
		}
	}
	return true
}

// catching bounds what those hold in memory who read what was kept: of each service some lines and a part of its segment.
type catching struct {
	mu  sync.Mutex
	all int
	of  map[string]int
}

// begin takes places for so many services of an app, which the caller gives back, or returns errBusy.
func (c *catching) begin(app string, n int) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.all+n > maxCatching || c.of[app]+n > appCatching {
		return errBusy
	}
	c.all, c.of[app] = c.all+n, c.of[app]+n
	return nil
}

func (c *catching) end(app string, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all, c.of[app] = c.all-n, c.of[app]-n
	if c.of[app] == 0 {
		delete(c.of, app)
	}
}
