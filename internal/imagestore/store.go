// SPDX-License-Identifier: Apache-2.0

// Package imagestore keeps tenants' images and serves them to kubelet, each app's apart from all others'.
//
// The model: an app has a directory, and nothing is ever looked up outside it. A blob enters under the digest that was computed from its
// bytes here. A manifest enters only after its whole graph was read from this app's own blobs: every digest and size, and every diffID of
// the config against the uncompressed layers. That matters because containerd shares layers between all images by diffID: who could
// name another's diffIDs without having the bytes would get their files. So a manifest file that exists is a verdict that was
// reached, and it is what outlives a restart; blobs and manifests never change.
//
// The push face is for the gateway alone, which has checked whose app it is. The pull face answers on the machine's own loopback
// address, by digest only: no tags, no listing.
//
//	<root>/<app id>/blobs/sha256/<hex>       verified by digest
//	<root>/<app id>/manifests/sha256/<hex>   verified as a graph
//	<root>/<app id>/uploads/<id>             not yet anything
//	<root>/<app id>/publisher                who pushed first
package imagestore

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/apocryph/apocryph/internal/delegation"
)

// Limits bound what the store takes on; zero values mean the defaults in the comments.
type Limits struct {
	// BlobBytes is the largest blob: 4 GiB.
	BlobBytes int64
	// AppBytes is what one app may hold, unfinished uploads included: 8 GiB.
	AppBytes int64
	// TotalBytes is what all apps may hold together: 64 GiB.
	TotalBytes int64
	// UnorderedBytes is what apps that nobody has ordered yet may hold together: a quarter of TotalBytes, and at least AppBytes.
	UnorderedBytes int64
	// UnpackedBytes is how large an image's layers may be when unpacked: 16 GiB.
	UnpackedBytes int64
	// Layers is the largest number of layers: 128.
	Layers int
	// Uploads is how many uploads of an app may be unfinished: 16. TotalUploads is that of all apps: 256.
	Uploads      int
	TotalUploads int
	// Files is how many blobs and manifests an app may have: 4096. An image has two and its layers.
	Files int
	// Apps is how many apps may have images: 4096. PublisherApps is that of one publisher: 64, of which most are there only for an hour.
	Apps          int
	PublisherApps int
	// PublisherBytes is what the apps of one publisher may hold together: 32 GiB.
	PublisherBytes int64
	// VerifyTime bounds one graph check: 10 minutes. Two run at once, one of an app.
	VerifyTime time.Duration
}

func (l Limits) orDefaults() Limits {
	total, app := cmp.Or(l.TotalBytes, 64<<30), cmp.Or(l.AppBytes, 8<<30)
	return Limits{
		BlobBytes:      cmp.Or(l.BlobBytes, 4<<30),
		AppBytes:       app,
		PublisherBytes: cmp.Or(l.PublisherBytes, 32<<30),
		TotalBytes:     total,
		UnorderedBytes: cmp.Or(l.UnorderedBytes, max(total/4, app)),
		UnpackedBytes:  cmp.Or(l.UnpackedBytes, 16<<30),
		Layers:         cmp.Or(l.Layers, 128),
		Uploads:        cmp.Or(l.Uploads, 16),
		TotalUploads:   cmp.Or(l.TotalUploads, 256),
		Files:          cmp.Or(l.Files, 4096),
		Apps:           cmp.Or(l.Apps, 4096),
		PublisherApps:  cmp.Or(l.PublisherApps, 64),
		VerifyTime:     cmp.Or(l.VerifyTime, 10*time.Minute),
	}
}

const (
	maxManifest = 4 << 20
	maxConfig   = 4 << 20
	verifiers   = 2

	dirMode  = 0o700
	fileMode = 0o600

	blobs     = "blobs/sha256"
	manifests = "manifests/sha256"
	uploads   = "uploads"
	// publisherFile is in an app's directory.
	publisherFile = "publisher"
)

var (
	digestPattern = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)
	uploadPattern = regexp.MustCompile(`^[0-9a-f]{32}$`)
)

// Store is the images of all apps below one directory. It is safe for concurrent use by one process.
type Store struct {
	root   *os.Root
	limits Limits
	verify chan struct{}
	// orders is nil if nobody gives way.
	orders orders
	now    func() time.Time

	mu      sync.Mutex
	apps    map[string]*account
	total   int64
	uploads int
}

// account is what one app holds. The store's mutex guards it.
type account struct {
	// publisher is who pushed first, as the gateway named them; "" if it did not.
	publisher string
	bytes     int64
	// files are blobs and manifests, uploads unfinished ones. writing are those that a request has for itself.
	files   int
	uploads int
	writing map[string]bool
	// verify is held by the app's graph check that runs.
	verify chan struct{}
	// users counts requests that write: a directory in use is not removed.
	users int
	// ordered is what was last seen of the App object; last is when the app's images were last written or asked for by the gateway.
	ordered bool
	last    time.Time
}

func newAccount() *account {
	return &account{writing: map[string]bool{}, verify: make(chan struct{}, 1)}
}

// Open opens or makes a store below a directory. The caller closes it.
func Open(dir string, l Limits) (*Store, error) {
	if err := os.MkdirAll(dir, dirMode); err != nil {
		return nil, fmt.Errorf("opening image store: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("opening image store: %w", err)
	}
	s := &Store{root: root, apps: map[string]*account{}, verify: make(chan struct{}, verifiers), limits: l.orDefaults(), now: time.Now}
	if err := s.removeRest(); err != nil {
		return nil, errors.Join(err, root.Close())
	}
	apps, err := s.Apps()
	if err != nil {
		return nil, errors.Join(err, root.Close())
	}
	for _, app := range apps {
		a, err := s.measure(app)
		if err != nil {
			return nil, errors.Join(err, root.Close())
		}
		s.apps[app] = a
		s.total += a.bytes
		s.uploads += a.uploads
	}
	return s, nil
}

// Close releases the directory.
func (s *Store) Close() error { return s.root.Close() }

// Bytes is what all apps hold.
func (s *Store) Bytes() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.total
}

// Apps lists the apps that have a directory.
func (s *Store) Apps() ([]string, error) {
	entries, err := fs.ReadDir(s.root.FS(), ".")
	if err != nil {
		return nil, fmt.Errorf("listing apps: %w", err)
	}
	var apps []string
	for _, e := range entries {
		if _, err := delegation.ParseAppID(e.Name()); err == nil && e.IsDir() {
			apps = append(apps, e.Name())
		}
	}
	return apps, nil
}

func (s *Store) measure(app string) (*account, error) {
	a := newAccount()
	err := s.files(app, func(name string, info fs.FileInfo) {
		switch dir := path.Dir(name); {
		case path.Base(name) == publisherFile:
			return
		case strings.HasSuffix(dir, "/"+uploads):
			a.uploads++
		default:
			a.files++
		}
		a.bytes += info.Size()
		if info.ModTime().After(a.last) {
			a.last = info.ModTime()
		}
	})
	if err != nil {
		return nil, fmt.Errorf("measuring %s: %w", app, err)
	}
	publisher, err := s.root.ReadFile(path.Join(app, publisherFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("measuring %s: %w", app, err)
	}
	a.publisher = string(publisher)
	return a, nil
}

func (s *Store) files(dir string, visit func(name string, info fs.FileInfo)) error {
	return fs.WalkDir(s.root.FS(), dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			visit(name, info)
		}
		return err
	})
}

func fileOf(app, dir, digest string) (string, error) {
	if !digestPattern.MatchString(digest) {
		return "", fmt.Errorf("%.80q is not sha256 and 64 hex digits: %w", digest, ErrDigest)
	}
	return path.Join(app, dir, digest[len("sha256:"):]), nil
}

// open opens a blob or manifest of an app, or returns unknown.
func (s *Store) open(app, dir, digest string, unknown error) (*os.File, int64, error) {
	name, err := fileOf(app, dir, digest)
	if err != nil {
		return nil, 0, err
	}
	f, err := s.root.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0, fmt.Errorf("%s: %w", digest, unknown)
	}
	if err != nil {
		return nil, 0, fmt.Errorf("opening %s: %w", digest, err)
	}
	info, err := f.Stat()
	if err != nil {
		return nil, 0, errors.Join(fmt.Errorf("opening %s: %w", digest, err), f.Close())
	}
	return f, info.Size(), nil
}

// commit moves an app's finished file to its place: synced first, so that a name never stands for less than its bytes.
func (s *Store) commit(app string, f *os.File, from, dir, digest string) error {
	to, err := fileOf(app, dir, digest)
	if err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return fmt.Errorf("writing %s: %w", digest, err)
	}
	if err := s.place(app, from, to); err != nil {
		return fmt.Errorf("writing %s: %w", digest, err)
	}
	return s.syncDir(path.Dir(to))
}

// place is the part of commit that counts.
func (s *Store) place(app, from, to string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	info, err := s.root.Stat(to)
	again := err == nil
	if !again {
		if err := s.roomForFile(app); err != nil {
			return err
		}
	}
	if err := s.root.Rename(from, to); err != nil {
		return err
	}
	s.ended(app)
	if again {
		// It was there already, and equal: its name is its digest.
		s.book(app, -info.Size())
	} else {
		s.apps[app].files++
	}
	return nil
}

func (s *Store) syncDir(name string) error {
	d, err := s.root.Open(name)
	if err != nil {
		return fmt.Errorf("syncing %s: %w", name, err)
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return fmt.Errorf("syncing %s: %w", name, err)
	}
	return nil
}

func digestOf(r io.Reader) (string, error) {
	h := sha256.New()
	if _, err := io.Copy(h, r); err != nil {
		return "", err
	}
	return "sha256:" + hex.EncodeToString(h.Sum(nil)), nil
}
