// SPDX-License-Identifier: Apache-2.0

package imagestore

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"strings"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/apocryph/apocryph/internal/kube"
)

const (
	// SweepEvery is how often a cleaner is meant to look.
	SweepEvery = 10 * time.Minute
	// removedPrefix marks a directory that is being deleted; a dot is in no app id.
	removedPrefix = ".removed-"
)

// Cleaner removes what nobody needs: uploads that rest, and the images of apps that are gone. An app is gone when its object was positively
// not there, or ended, at every sweep for the whole grace, and nothing was written for it meanwhile: images are pushed before
// their App exists.
type Cleaner struct {
	Store *Store
	// Apps reads App objects in Namespace.
	Apps      client.Reader
	Namespace string
	Grace     time.Duration
	Log       *slog.Logger

	gone *kube.Gone
}

func (c *Cleaner) apps() *kube.Gone {
	return &kube.Gone{Apps: c.Apps, Namespace: c.Namespace, Grace: c.Grace}
}

// Sweep is one round. It is not safe for concurrent use.
func (c *Cleaner) Sweep(ctx context.Context, now time.Time) error {
	if c.gone == nil {
		c.gone = c.apps()
	}
	first := c.Store.ExpireUploads(ctx, now)
	apps, err := c.Store.Apps()
	if err != nil {
		return errors.Join(first, err)
	}
	if err := c.gone.CheckKind(ctx); err != nil {
		return errors.Join(first, err)
	}
	for _, app := range apps {
		if err := c.consider(ctx, app, now); err != nil {
			first = errors.Join(first, err)
		}
	}
	return first
}

// Ordered reports whether an app was ordered and has not ended. It is safe for concurrent use.
func (c *Cleaner) Ordered(ctx context.Context, app string) (bool, error) {
	apps := c.apps()
	if err := apps.CheckKind(ctx); err != nil {
		return false, err
	}
	return apps.There(ctx, app)
}

func (c *Cleaner) consider(ctx context.Context, app string, now time.Time) error {
	there, gone, err := c.gone.Look(ctx, app, now)
	if err != nil {
		return err
	}
	c.Store.setOrdered(app, there)
	if !gone {
		return nil
	}
	written, err := c.Store.lastWrite(app)
	if err != nil || now.Sub(written) < c.Grace {
		return err
	}
	removed, err := c.Store.Remove(app)
	if err != nil || !removed {
		return err
	}
	c.gone.Forget(app)
	c.Log.Info("images removed", "app", app)
	return nil
}

// Remove deletes an app's images, unless something is being written for it.
func (s *Store) Remove(app string) (bool, error) { return s.remove(app, time.Time{}) }

// remove is Remove, of an app that was last used at a time unless that is zero.
func (s *Store) remove(app string, last time.Time) (bool, error) {
	aside := removedPrefix + rand.Text()
	moved, err := s.moveAway(app, aside, last)
	if err != nil || !moved {
		return false, err
	}
	if err := s.root.RemoveAll(aside); err != nil {
		return true, fmt.Errorf("removing images of %s: %w", app, err)
	}
	return true, nil
}

// moveAway is the part that others must not see half done.
func (s *Store) moveAway(app, aside string, last time.Time) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.apps[app]
	if a == nil || a.users > 0 || !last.IsZero() && !a.last.Equal(last) {
		return false, nil
	}
	if err := s.root.Rename(app, aside); err != nil {
		return false, fmt.Errorf("removing images of %s: %w", app, err)
	}
	s.total -= a.bytes
	s.uploads -= a.uploads
	delete(s.apps, app)
	return true, nil
}

// removeRest deletes what a crash left of a removal.
func (s *Store) removeRest() error {
	entries, err := fs.ReadDir(s.root.FS(), ".")
	if err != nil {
		return fmt.Errorf("listing apps: %w", err)
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), removedPrefix) {
			continue
		}
		if err := s.root.RemoveAll(e.Name()); err != nil {
			return fmt.Errorf("removing %s: %w", e.Name(), err)
		}
	}
	return nil
}

func (s *Store) lastWrite(app string) (time.Time, error) {
	var last time.Time
	err := s.files(app, func(_ string, info fs.FileInfo) {
		if info.ModTime().After(last) {
			last = info.ModTime()
		}
	})
	if err != nil {
		return time.Time{}, fmt.Errorf("reading times of %s: %w", app, err)
	}
	return last, nil
}
