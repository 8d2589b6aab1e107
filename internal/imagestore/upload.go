// SPDX-License-Identifier: Apache-2.0

package imagestore

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"time"
)

// uploadLife is how long an upload may rest before it is removed.
const uploadLife = time.Hour

func uploadFile(app, id string) (string, error) {
	if !uploadPattern.MatchString(id) {
		return "", ErrUploadUnknown
	}
	return path.Join(app, uploads, id), nil
}

// begin starts an upload and returns its id.
func (s *Store) begin(ctx context.Context, app string) (id string, err error) {
	err = s.withRoom(ctx, app, func() error {
		id, err = s.tryBegin(app)
		return err
	})
	return id, err
}

func (s *Store) tryBegin(app string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.roomForUpload(app); err != nil {
		return "", err
	}
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	id := hex.EncodeToString(b[:])
	f, err := s.root.OpenFile(path.Join(app, uploads, id), os.O_CREATE|os.O_EXCL|os.O_WRONLY, fileMode)
	if err != nil {
		return "", fmt.Errorf("starting upload: %w", err)
	}
	s.apps[app].uploads++
	s.uploads++
	return id, f.Close()
}

// upload is an unfinished blob that one request has for itself until close.
type upload struct {
	store *Store
	app   string
	id    string
	name  string
	file  *os.File
	size  int64
}

// resume opens an upload for one request at a time.
func (s *Store) resume(app, id string) (*upload, error) {
	name, err := uploadFile(app, id)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.apps[app]
	if a.writing[id] {
		return nil, ErrUploadBusy
	}
	f, err := s.root.OpenFile(name, os.O_RDWR, fileMode)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrUploadUnknown
	}
	if err != nil {
		return nil, fmt.Errorf("opening upload: %w", err)
	}
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("opening upload: %w", err), f.Close())
	}
	a.writing[id] = true
	return &upload{store: s, app: app, id: id, name: name, file: f, size: size}, nil
}

func (u *upload) close() {
	_ = u.file.Close()
	u.store.mu.Lock()
	defer u.store.mu.Unlock()
	delete(u.store.apps[u.app].writing, u.id)
}

// append adds a body. What arrived before an error stays, so that the client can go on from there.
func (u *upload) append(ctx context.Context, body io.Reader) error {
	if _, err := io.Copy(booking{ctx, u}, bodyReader{body}); err != nil {
		return fmt.Errorf("writing upload: %w", err)
	}
	return nil
}

// booking writes to an upload for a request, with which waiting for room ends.
type booking struct {
	ctx context.Context
	*upload
}

// bodyReader marks what goes wrong with the client's side.
type bodyReader struct{ body io.Reader }

func (b bodyReader) Read(p []byte) (int, error) {
	n, err := b.body.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = fmt.Errorf("%w: %w", ErrBroken, err)
	}
	return n, err
}

// Write books before it writes.
func (u booking) Write(p []byte) (int, error) {
	if u.size+int64(len(p)) > u.store.limits.BlobBytes {
		return 0, fmt.Errorf("a blob is at most %d bytes: %w", u.store.limits.BlobBytes, ErrTooLarge)
	}
	err := u.store.withRoom(u.ctx, u.app, func() error { return u.store.reserve(u.app, int64(len(p))) })
	if err != nil {
		return 0, err
	}
	n, err := u.file.Write(p)
	u.size += int64(n)
	if n < len(p) {
		err = errors.Join(err, u.store.reserve(u.app, int64(n-len(p))))
	}
	return n, err
}

// finish makes the upload a blob of this digest, or removes it if it has another.
func (u *upload) finish(digest string) error {
	if _, err := u.file.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("reading upload: %w", err)
	}
	got, err := digestOf(u.file)
	if err != nil {
		return fmt.Errorf("reading upload: %w", err)
	}
	if got != digest {
		return errors.Join(fmt.Errorf("content is %s, not %.80s: %w", got, digest, ErrDigest), u.discard())
	}
	return u.commit(blobs, digest)
}

// commit ends an upload: it becomes a file of the app, or is removed if there is no room for one.
func (u *upload) commit(dir, digest string) error {
	err := u.store.commit(u.app, u.file, u.name, dir, digest)
	if errors.Is(err, ErrQuota) {
		return errors.Join(err, u.discard())
	}
	return err
}

// discard removes the upload.
func (u *upload) discard() error {
	u.store.mu.Lock()
	defer u.store.mu.Unlock()
	if err := u.store.root.Remove(u.name); err != nil {
		return fmt.Errorf("removing upload: %w", err)
	}
	u.store.ended(u.app)
	u.store.book(u.app, -u.size)
	return nil
}

// ExpireUploads removes uploads that nobody wrote to for an hour, of all apps.
func (s *Store) ExpireUploads(ctx context.Context, now time.Time) error {
	apps, err := s.Apps()
	if err != nil {
		return err
	}
	var all []error
	for _, app := range apps {
		var old []string
		err := s.files(path.Join(app, uploads), func(name string, info fs.FileInfo) {
			if now.Sub(info.ModTime()) > uploadLife {
				old = append(old, path.Base(name))
			}
		})
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			all = append(all, fmt.Errorf("listing uploads of %s: %w", app, err))
		}
		for _, id := range old {
			all = append(all, s.expire(ctx, app, id))
		}
	}
	return errors.Join(all...)
}

func (s *Store) expire(ctx context.Context, app, id string) error {
	leave, err := s.enter(ctx, app, "")
	if err != nil {
		return err
	}
	defer leave()
	u, err := s.resume(app, id)
	if errors.Is(err, ErrUploadBusy) || errors.Is(err, ErrUploadUnknown) {
		return nil // somebody writes to it, or has just finished it
	}
	if err != nil {
		return err
	}
	defer u.close()
	return u.discard()
}
