// SPDX-License-Identifier: Apache-2.0

package imagestore

import (
	"context"
	"errors"
	"time"
)

// Images are pushed before their app is ordered and paid for, by whoever made a wallet. What apps that nobody has ordered hold together is
// a share of the store, so that those who have find room whatever others push; and when there is no room, of those apps the one
// that rests longest gives way to the next, with all its images. An app is ordered while its App object is there and has not ended. One that
// can't be seen not to be is left alone.

// restBefore is how long an app must rest before it gives way: between its last push and its App lie the confirmations of its channel.
const restBefore = 5 * time.Minute

// orders tells whether an app was ordered and has not ended.
type orders interface {
	Ordered(ctx context.Context, app string) (bool, error)
}

// Orders makes apps that were not ordered give way. Without it none does, and all count as ordered. It is called before the store is used.
func (s *Store) Orders(o orders) { s.orders = o }

// noRoomError is an ErrQuota that goes away if others give way: those of one publisher, or anybody's.
type noRoomError struct {
	error
	publisher string
}

// Unwrap makes it what it says.
func (n noRoomError) Unwrap() error { return n.error }

// unordered is what apps that were not ordered hold, of all and of one publisher. The caller holds the mutex.
func (s *Store) unordered(publisher string) (all, own int64) {
	for _, a := range s.apps {
		if a.ordered {
			continue
		}
		all += a.bytes
		if a.publisher == publisher {
			own += a.bytes
		}
	}
	return all, own
}

// withRoom lets others give way until take finds room for app.
func (s *Store) withRoom(ctx context.Context, app string, take func() error) error {
	for {
		err := take()
		var short noRoomError
		if !errors.As(err, &short) || !s.giveWay(ctx, app, short.publisher) {
			return err
		}
	}
}

// giveWay reports whether something changed: the app turned out to be ordered, or another was given up for it.
func (s *Store) giveWay(ctx context.Context, app, publisher string) bool {
	if s.orders == nil {
		return false
	}
	if s.learn(ctx, app) {
		return true
	}
	for {
		resting, last := s.longestResting(app, publisher)
		if resting == "" {
			return false
		}
		ordered, err := s.orders.Ordered(ctx, resting)
		switch {
		case ctx.Err() != nil:
			return false
		case err != nil || ordered:
			// What can't be seen may be ordered; the next sweep knows better.
			s.setOrdered(resting, true)
			if ordered {
				return true
			}
		default:
			if removed, err := s.remove(resting, last); removed || err != nil {
				return removed
			}
		}
	}
}

// learn reports whether an app that was taken for one that nobody ordered is not.
func (s *Store) learn(ctx context.Context, app string) bool {
	s.mu.Lock()
	known := s.apps[app] == nil || s.apps[app].ordered
	s.mu.Unlock()
	if known {
		return false
	}
	ordered, err := s.orders.Ordered(ctx, app)
	if err != nil || !ordered {
		return false
	}
	s.setOrdered(app, true)
	return true
}

func (s *Store) setOrdered(app string, is bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a := s.apps[app]; a != nil {
		a.ordered = is
	}
}

// longestResting is the app that would give way next, and when it was last used.
func (s *Store) longestResting(but, publisher string) (app string, last time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	for name, a := range s.apps {
		switch {
		case name == but || a.ordered || a.users > 0 || now.Sub(a.last) < restBefore || publisher != "" && a.publisher != publisher:
		case app == "" || a.last.Before(last):
			app, last = name, a.last
		}
	}
	return app, last
}

// touch notes that an app's images were asked for or written.
func (s *Store) touch(app string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a := s.apps[app]; a != nil {
		a.last = s.now()
	}
}
