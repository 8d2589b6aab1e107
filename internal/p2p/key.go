// SPDX-License-Identifier: Apache-2.0

package p2p

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
)

// ErrKey says that bytes are no Ed25519 private key in libp2p's encoding.
var ErrKey = errors.New("not a peer key")

// Key is a peer's private key. It prints as [redacted] and never changes.
type Key struct {
	priv crypto.PrivKey
	id   peer.ID
}

// NewKey makes an Ed25519 key.
func NewKey() (Key, error) {
	priv, _, err := crypto.GenerateEd25519Key(rand.Reader)
	if err != nil {
		return Key{}, fmt.Errorf("making a peer key: %w", err)
	}
	return keyOf(priv)
}

// ParseKey reads what Bytes wrote. It returns ErrKey for anything but an Ed25519 key.
func ParseKey(b []byte) (Key, error) {
	priv, err := crypto.UnmarshalPrivateKey(b)
	if err != nil {
		return Key{}, fmt.Errorf("%w: %w", ErrKey, err)
	}
	// The encoding holds the public half too, which need not be that of the private one.
	signature, err := priv.Sign([]byte(ErrKey.Error()))
	if err != nil {
		return Key{}, fmt.Errorf("%w: %w", ErrKey, err)
	}
	if ok, err := priv.GetPublic().Verify([]byte(ErrKey.Error()), signature); err != nil || !ok {
		return Key{}, fmt.Errorf("its halves are of two keys: %w", ErrKey)
	}
	return keyOf(priv)
}

// LoadOrCreateKey reads the key in a file, or makes one and writes it there, readable for the owner only. Of two processes that create
// it at once, both get the same key.
func LoadOrCreateKey(path string) (Key, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := createKey(path); err != nil {
			return Key{}, err
		}
		b, err = os.ReadFile(path)
	}
	if err != nil {
		return Key{}, fmt.Errorf("reading peer key: %w", err)
	}
	key, err := ParseKey(b)
	if err != nil {
		return Key{}, fmt.Errorf("peer key %s: %w", path, err)
	}
	return key, nil
}

func createKey(path string) error {
	key, err := NewKey()
	if err != nil {
		return err
	}
	b, err := key.Bytes()
	if err != nil {
		return err
	}
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("writing peer key: %w", err)
	}
	// CreateTemp makes files of mode 0600.
	f, err := os.CreateTemp(dir, ".peer-*")
	if err != nil {
		return fmt.Errorf("writing peer key: %w", err)
	}
	defer func() { _ = os.Remove(f.Name()) }()
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("writing peer key: %w", err)
	}
	// A link, not a rename: it fails if another process was first, whose key then counts.
	if err := os.Link(f.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("writing peer key: %w", err)
	}
	return nil
}

func keyOf(priv crypto.PrivKey) (Key, error) {
	if priv.Type() != crypto.Ed25519 {
		return Key{}, fmt.Errorf("type %s: %w", priv.Type(), ErrKey)
	}
	id, err := peer.IDFromPrivateKey(priv)
	if err != nil {
		return Key{}, fmt.Errorf("%w: %w", ErrKey, err)
	}
	return Key{priv, id}, nil
}

// Bytes is the key in libp2p's own encoding, a secret.
func (k Key) Bytes() ([]byte, error) {
	b, err := crypto.MarshalPrivateKey(k.priv)
	if err != nil {
		return nil, fmt.Errorf("encoding peer key: %w", err)
	}
	return b, nil
}

// Peer is the peer id in binary form, as delegations carry it.
func (k Key) Peer() string { return string(k.id) }

// ID is the peer id as text, as multiaddrs carry it.
func (k Key) ID() string { return k.id.String() }

// Sign signs a message. It satisfies delegation.PeerKey.
func (k Key) Sign(message []byte) ([]byte, error) { return k.priv.Sign(message) }

// String is "[redacted]".
func (Key) String() string { return "[redacted]" }

// GoString is String.
func (k Key) GoString() string { return k.String() }

// CheckPeer checks a signature by the key behind a binary peer id. It satisfies delegation.CheckPeer.
func CheckPeer(id string, message, signature []byte) (bool, error) {
	p, err := peer.IDFromBytes([]byte(id))
	if err != nil {
		return false, fmt.Errorf("peer id: %w", err)
	}
	pub, err := p.ExtractPublicKey()
	if err != nil {
		return false, fmt.Errorf("key of peer %s: %w", p, err)
	}
	return pub.Verify(message, signature)
}

// Text is the text form of a binary peer id, or "" if it is none.
func Text(id string) string {
	p, err := peer.IDFromBytes([]byte(id))
	if err != nil {
		return ""
	}
	return p.String()
}
