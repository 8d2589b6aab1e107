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

	kerrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/apocryph/apocryph/api/v1alpha1"
)

const (
	sweepEvery = 10 * time.Minute
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

	gone map[string]time.Time
}

// Run sweeps until ctx ends.
func (c *Cleaner) Run(ctx context.Context) error {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		if err := c.Sweep(ctx, time.Now()); err != nil {
			c.Log.Error("sweep failed", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Sweep is one round. It is not safe for concurrent use.
func (c *Cleaner) Sweep(ctx context.Context, now time.Time) error {
	if c.gone == nil {
		c.gone = map[string]time.Time{}
	}
	first := c.Store.ExpireUploads(ctx, now)
	apps, err := c.Store.Apps()
	if err != nil {
		return errors.Join(first, err)
	}
	if err := c.checkKind(ctx); err != nil {
		return errors.Join(first, err)
	}
	for _, app := range apps {
		if err := c.consider(ctx, app, now); err != nil {
			first = errors.Join(first, err)
		}
	}
	return first
}

// checkKind makes sure that "not found" is about an app: a missing kind answers so for each object too. A list that succeeds shows that the
// kind is there.
func (c *Cleaner) checkKind(ctx context.Context) error {
	list := &metav1.PartialObjectMetadataList{}
	list.SetGroupVersionKind(v1alpha1.SchemeGroupVersion().WithKind("AppList"))
	if err := c.Apps.List(ctx, list, client.InNamespace(c.Namespace), client.Limit(1)); err != nil {
		return fmt.Errorf("listing apps: %w", err)
	}
	return nil
}

// there reports whether an app's object is, and has not ended.
func (c *Cleaner) there(ctx context.Context, app string) (bool, error) {
	var object v1alpha1.App
	err := c.Apps.Get(ctx, client.ObjectKey{Namespace: c.Namespace, Name: app}, &object)
	if err != nil && !kerrors.IsNotFound(err) {
		return false, fmt.Errorf("reading app %s: %w", app, err)
	}
	return err == nil && object.Status.Phase != v1alpha1.PhaseEnded, nil
}

// Ordered reports whether an app was ordered and has not ended. It is safe for concurrent use.
func (c *Cleaner) Ordered(ctx context.Context, app string) (bool, error) {
	if err := c.checkKind(ctx); err != nil {
		return false, err
	}
	return c.there(ctx, app)
}

func (c *Cleaner) consider(ctx context.Context, app string, now time.Time) error {
	there, err := c.there(ctx, app)
	if err != nil {
		// What can't be seen is not gone: it has to be seen to be gone for the whole grace again.
		delete(c.gone, app)
		return err
	}
	c.Store.setOrdered(app, there)
	if there {
		delete(c.gone, app)
		return nil
	}
	since, known := c.gone[app]
	if !known {
		c.gone[app] = now
		return nil
	}
	written, err := c.Store.lastWrite(app)
	if err != nil {
		return err
	}
	if now.Sub(since) < c.Grace || now.Sub(written) < c.Grace {
		return nil
	}
	removed, err := c.Store.Remove(app)
	if err != nil || !removed {
		return err
	}
	delete(c.gone, app)
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
