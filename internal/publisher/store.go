// SPDX-License-Identifier: Apache-2.0

package publisher

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"google.golang.org/protobuf/proto"

	"github.com/apocryph/apocryph/internal/channel"
	"github.com/apocryph/apocryph/internal/delegation"
	"github.com/apocryph/apocryph/internal/fault"
	orderv1 "github.com/apocryph/apocryph/internal/gen/orderv1"
	"github.com/apocryph/apocryph/internal/manifest"
)

// Store is the publisher's state directory:
//
//	peer.key               this machine's libp2p key
//	apps/<app id>.json     one App each
//	delegations/<app id>.<kind>
//	locks/<app name>
//
// Directories are 0700 and files 0600; each file is replaced as a whole, so it is the old one or the new one whenever the machine stops.
type Store struct{ dir string }

// OpenStore opens the directory, and makes it if it is not there.
func OpenStore(dir string) (*Store, error) {
	for _, sub := range []string{"apps", "delegations", "locks"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			return nil, fmt.Errorf("opening the state directory: %w", err)
		}
	}
	return &Store{dir}, nil
}

// PeerKeyFile is where this machine's libp2p key is.
func (s *Store) PeerKeyFile() string { return filepath.Join(s.dir, "peer.key") }

// Save writes an app's state.
func (s *Store) Save(a *App) error {
	a.Version = stateVersion
	b, err := json.MarshalIndent(a, "", "  ")
	if err != nil {
		return fmt.Errorf("encoding the state of %s: %w", a.Name, err)
	}
	return s.write(filepath.Join("apps", a.ID.String()+".json"), append(b, '\n'))
}

// write replaces a file: temporary file, fsync, rename, fsync of the directory.
func (s *Store) write(name string, content []byte) error {
	path := filepath.Join(s.dir, name)
	doing := func(err error) error { return fmt.Errorf("writing %s: %w", path, err) }
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*") // mode 0600
	if err != nil {
		return doing(err)
	}
	defer func() { _ = os.Remove(f.Name()) }()
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return doing(err)
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return doing(err)
	}
	d, err := os.Open(filepath.Dir(path))
	if err != nil {
		return doing(err)
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return doing(err)
	}
	return nil
}

// Apps returns all apps, by name, newest first among equal names.
func (s *Store) Apps() ([]*App, error) {
	files, err := filepath.Glob(filepath.Join(s.dir, "apps", "*.json"))
	if err != nil {
		return nil, err
	}
	var all []*App
	for _, f := range files {
		a, err := readApp(f)
		if err != nil {
			return nil, err
		}
		all = append(all, a)
	}
	slices.SortFunc(all, func(a, b *App) int { return cmp.Or(cmp.Compare(a.Name, b.Name), b.CreatedAt.Compare(a.CreatedAt)) })
	return all, nil
}

func readApp(path string) (*App, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading state: %w", err)
	}
	var a App
	dec := json.NewDecoder(bytes.NewReader(b))
	if err := dec.Decode(&a); err != nil {
		return nil, fault.Hint(fmt.Errorf("reading state %s: %w", path, err), "restore the file from a backup: it is written as a whole, so something else changed it")
	}
	if a.Version != stateVersion {
		return nil, fault.Hint(fmt.Errorf("reading state %s: its version is %d, this program knows %d", path, a.Version, stateVersion), "use the version of apocryph that wrote it")
	}
	return &a, nil
}

// Find returns the app of a name or id: of several with one name the one that has not ended, else the newest. It returns ErrNoApp.
func (s *Store) Find(nameOrID string) (*App, error) {
	all, err := s.Apps()
	if err != nil {
		return nil, err
	}
	var found *App
	for _, a := range all {
		switch {
		case a.ID.String() == strings.ToLower(nameOrID):
			return a, nil
		case a.Name == nameOrID && (found == nil || found.ended() && !a.ended()):
			found = a
		}
	}
	if found == nil {
		return nil, fault.Hint(fmt.Errorf("%.80q: %w", nameOrID, ErrNoApp), "list the apps with: apocryph ls")
	}
	return found, nil
}

// FindChannel returns the app that a channel is of; it returns ErrNoApp. For a channel that is not the one that pays for the app it is a copy
// that uses that one, and is not saved.
func (s *Store) FindChannel(id channel.ID) (*App, error) {
	all, err := s.Apps()
	if err != nil {
		return nil, err
	}
	for _, a := range all {
		if a.Channel.ID == id {
			return a, nil
		}
		others := a.Past
		if a.Next != nil {
			others = append([]Channel{*a.Next}, others...)
		}
		for _, c := range others {
			if c.ID == id {
				return a.on(c), nil
			}
		}
	}
	return nil, fault.Hint(fmt.Errorf("channel %s: %w", id, ErrNoApp), "list the apps with: apocryph ls; find channels of your wallet with: apocryph channel recover")
}

// Lock keeps other commands from the app of a name until the returned function is called. It returns ErrBusy.
func (s *Store) Lock(name string) (unlock func(), err error) {
	if !manifest.LooksLikeLabel(name) {
		return nil, fmt.Errorf("locking %q: not an app's name", name)
	}
	f, err := os.OpenFile(filepath.Join(s.dir, "locks", name), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("locking app %s: %w", name, err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fault.Hint(fmt.Errorf("app %s: %w", name, ErrBusy), "wait for it, or end it; then run this command again")
		}
		return nil, fmt.Errorf("locking app %s: %w", name, err)
	}
	// The file stays: removing it would let two processes hold locks on two files of one name.
	return func() { _ = f.Close() }, nil
}

func (s *Store) delegationFile(app delegation.AppID, kind string) string {
	return filepath.Join("delegations", app.String()+"."+kind)
}

// cachedDelegation returns what was saved, or nil.
func (s *Store) cachedDelegation(app delegation.AppID, kind string) (*orderv1.SignedDelegation, error) {
	b, err := os.ReadFile(filepath.Join(s.dir, s.delegationFile(app, kind)))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading delegation: %w", err)
	}
	var d orderv1.SignedDelegation
	if proto.Unmarshal(b, &d) != nil {
		return nil, nil //nolint:nilerr // a new one is signed
	}
	return &d, nil
}

func (s *Store) saveDelegation(app delegation.AppID, kind string, d *orderv1.SignedDelegation) error {
	b, err := proto.Marshal(d)
	if err != nil {
		return fmt.Errorf("encoding delegation: %w", err)
	}
	return s.write(s.delegationFile(app, kind), b)
}
