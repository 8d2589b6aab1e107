// SPDX-License-Identifier: Apache-2.0

package logstore

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"strings"
	"time"

	"github.com/apocryph/apocryph/internal/kube"
)

// SweepEvery is how often a cleaner is meant to look.
const SweepEvery = 10 * time.Minute

// Cleaner removes what is kept of apps that are gone.
type Cleaner struct {
	Store *Store
	Gone  *kube.Gone
	Log   *slog.Logger
}

// Sweep is one round. It is not safe for concurrent use.
func (c *Cleaner) Sweep(ctx context.Context, now time.Time) error {
	if err := c.Store.removeLeft(); err != nil {
		return err
	}
	apps, err := c.Store.Apps()
	if err != nil {
		return err
	}
	if err := c.Gone.CheckKind(ctx); err != nil {
		return err
	}
	var all error
	for _, app := range apps {
		_, gone, err := c.Gone.Look(ctx, app, now)
		if err == nil && gone {
			if err = c.Store.Remove(app); err == nil {
				c.Gone.Forget(app)
				c.Log.InfoContext(ctx, "kept logs removed", "app", app)
			}
		}
		all = errors.Join(all, err)
	}
	return all
}

// removeLeft deletes what removals that failed have left.
func (s *Store) removeLeft() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	left, err := s.list(".", func(name string) bool { return strings.HasPrefix(name, removedPrefix) })
	if err != nil {
		return err
	}
	var all error
	for _, name := range left {
		all = errors.Join(all, s.root.RemoveAll(name))
	}
	return all
}

// Remove deletes what is kept of an app.
func (s *Store) Remove(app string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, src := range s.sources {
		if src.ring.app == app {
			src.close()
			delete(s.sources, key)
		}
	}
	for key, r := range s.rings {
		if r.app == app {
			s.total -= r.size()
			delete(s.rings, key)
		}
	}
	aside := removedPrefix + rand.Text()
	err := s.root.Rename(app, aside)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = s.root.RemoveAll(aside)
	}
	if err != nil {
		return fmt.Errorf("removing the logs of %s: %w", app, err)
	}
	return nil
}
