// SPDX-License-Identifier: Apache-2.0

package imagestore

import (
	"context"
	"fmt"
	"path"
)

// enter makes an app's directories and keeps them until leave. The first publisher named for an app is whose it counts as.
func (s *Store) enter(ctx context.Context, app, publisher string) (leave func(), err error) {
	err = s.withRoom(ctx, app, func() error {
		leave, err = s.tryEnter(app, publisher)
		return err
	})
	return leave, err
}

func (s *Store) tryEnter(app, publisher string) (leave func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.apps[app]
	if a == nil {
		if err := s.roomForApp(publisher); err != nil {
			return nil, err
		}
	}
	for _, dir := range []string{blobs, manifests, uploads} {
		if err := s.root.MkdirAll(path.Join(app, dir), dirMode); err != nil {
			return nil, fmt.Errorf("making directories of %s: %w", app, err)
		}
	}
	if a == nil {
		a = newAccount()
		s.apps[app] = a
	}
	if a.publisher == "" && publisher != "" {
		if err := s.root.WriteFile(path.Join(app, publisherFile), []byte(publisher), fileMode); err != nil {
			return nil, fmt.Errorf("noting whose %s is: %w", app, err)
		}
		a.publisher = publisher
	}
	a.users++
	a.last = s.now()
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		a.users--
		a.last = s.now()
	}, nil
}

// roomForApp: another app may have images. The caller holds the mutex, as of all that follow.
func (s *Store) roomForApp(publisher string) error {
	apps, _ := s.heldBy(publisher)
	switch {
	case len(s.apps) >= s.limits.Apps:
		return noRoomError{error: fmt.Errorf("the provider's image store has images of %d apps: %w", len(s.apps), ErrQuota)}
	case publisher != "" && apps >= s.limits.PublisherApps:
		return noRoomError{fmt.Errorf("the publisher has images of %d apps here: %w", apps, ErrQuota), publisher}
	}
	return nil
}

func (s *Store) heldBy(publisher string) (apps int, bytes int64) {
	for _, a := range s.apps {
		if a.publisher == publisher {
			apps++
			bytes += a.bytes
		}
	}
	return apps, bytes
}

func (s *Store) roomForUpload(app string) error {
	switch a := s.apps[app]; {
	case a.uploads >= s.limits.Uploads:
		return fmt.Errorf("%d uploads of the app are unfinished: %w", a.uploads, ErrQuota)
	case s.uploads >= s.limits.TotalUploads:
		return noRoomError{error: fmt.Errorf("%d uploads are unfinished: %w", s.uploads, ErrQuota)}
	}
	return nil
}

func (s *Store) roomForFile(app string) error {
	if n := s.apps[app].files; n >= s.limits.Files {
		return fmt.Errorf("the app has %d blobs and manifests: %w", n, ErrQuota)
	}
	return nil
}

// ended counts an upload off.
func (s *Store) ended(app string) {
	s.apps[app].uploads--
	s.uploads--
}

func (s *Store) book(app string, n int64) {
	s.apps[app].bytes += n
	s.total += n
}

// reserve books bytes before they are written, or gives back (negative) what was deleted.
func (s *Store) reserve(app string, n int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n <= 0 {
		s.book(app, n)
		return nil
	}
	a := s.apps[app]
	switch {
	case a.bytes+n > s.limits.AppBytes:
		return fmt.Errorf("the app's images exceed %d bytes: %w", s.limits.AppBytes, ErrQuota)
	case s.total+n > s.limits.TotalBytes:
		return noRoomError{error: fmt.Errorf("the provider's image store is full: %w", ErrQuota)}
	}
	if _, bytes := s.heldBy(a.publisher); a.publisher != "" && bytes+n > s.limits.PublisherBytes {
		return noRoomError{fmt.Errorf("the publisher's images exceed %d bytes: %w", s.limits.PublisherBytes, ErrQuota), a.publisher}
	}
	if all, own := s.unordered(a.publisher); s.orders != nil && !a.ordered {
		switch {
		case a.publisher != "" && own+n > s.limits.AppBytes:
			return noRoomError{fmt.Errorf("the publisher's images for apps that were not ordered exceed %d bytes: %w", s.limits.AppBytes, ErrQuota), a.publisher}
		case all+n > s.limits.UnorderedBytes:
			return noRoomError{error: fmt.Errorf("the provider's room for apps that were not ordered yet is full: %w", ErrQuota)}
		}
	}
	s.book(app, n)
	return nil
}

// verifying waits until no other graph check of the app runs: else one app's large images would keep both checks busy.
func (s *Store) verifying(ctx context.Context, app string) (end func(), err error) {
	s.mu.Lock()
	turn := s.apps[app].verify
	s.mu.Unlock()
	for _, places := range []chan struct{}{turn, s.verify} {
		select {
		case places <- struct{}{}:
			defer func() {
				if err != nil {
					<-places
				}
			}()
		case <-ctx.Done():
			return nil, fmt.Errorf("waiting for other checks: %w", ctx.Err())
		}
	}
	return func() { <-s.verify; <-turn }, nil
}
