// SPDX-License-Identifier: Apache-2.0

package keeper

import (
	"crypto/ecdsa"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/ethereum/go-ethereum/common"
	ethcrypto "github.com/ethereum/go-ethereum/crypto"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
)

// ErrKeys says that a file does not hold the enclave's keys.
var ErrKeys = errors.New("not the enclave's keys")

const keysFile = "keys.json"

// Keys are the enclave's. They print as [redacted] and never change: whoever has the voucher key is the provider's enclave.
type Keys struct {
	voucher *ecdsa.PrivateKey
	// peer is the private key in libp2p's encoding, peerID its peer id in binary form.
	peer   []byte
	peerID string
}

// storedKeys are all keys in one file, so that no crash leaves one without the other.
type storedKeys struct {
	// Voucher is 64 hex digits.
	Voucher string `json:"voucher"`
	// Peer is in libp2p's encoding.
	Peer []byte `json:"peer"`
}

// LoadKeys reads the keys in dir. If there is no file it makes keys, writes them, readable for the owner only, and never over
// existing ones. It returns ErrKeys for a file that is there and bad.
func LoadKeys(dir string) (Keys, error) {
	path := filepath.Join(dir, keysFile)
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := createKeys(dir, path); err != nil {
			return Keys{}, fmt.Errorf("making the enclave's keys: %w", err)
		}
		b, err = os.ReadFile(path)
	}
	if err != nil {
		return Keys{}, fmt.Errorf("reading the enclave's keys: %w", err)
	}
	return parseKeys(b)
}

func parseKeys(b []byte) (Keys, error) {
	var s storedKeys
	// What these errors say could quote a secret.
	if json.Unmarshal(b, &s) != nil {
		return Keys{}, fmt.Errorf("not JSON: %w", ErrKeys)
	}
	voucher, err := ethcrypto.HexToECDSA(s.Voucher)
	if err != nil {
		return Keys{}, fmt.Errorf("voucher key: %w", ErrKeys)
	}
	private, err := crypto.UnmarshalPrivateKey(s.Peer)
	if err != nil || private.Type() != crypto.Ed25519 {
		return Keys{}, fmt.Errorf("peer key: %w", ErrKeys)
	}
	id, err := peer.IDFromPrivateKey(private)
	if err != nil {
		return Keys{}, fmt.Errorf("peer key: %w", ErrKeys)
	}
	return Keys{voucher: voucher, peer: s.Peer, peerID: string(id)}, nil
}

func createKeys(dir, path string) error {
	voucher, err := ethcrypto.GenerateKey()
	if err != nil {
		return err
	}
	private, _, err := crypto.GenerateEd25519Key(rand.Reader)
	if err != nil {
		return err
	}
	encoded, err := crypto.MarshalPrivateKey(private)
	if err != nil {
		return err
	}
	b, err := json.Marshal(storedKeys{Voucher: hex.EncodeToString(ethcrypto.FromECDSA(voucher)), Peer: encoded})
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return writeOnce(path, b)
}

// writeOnce writes a file of mode 0600 as a whole and durably, or leaves the one that is there.
func writeOnce(path string, content []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".keys-*") // of mode 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }()
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	// A link, not a rename: it fails if another process was first, whose keys then count.
	if err := os.Link(f.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	d, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Signer is the address of the voucher key.
func (k Keys) Signer() common.Address { return ethcrypto.PubkeyToAddress(k.voucher.PublicKey) }

// Peer is the peer id in binary form.
func (k Keys) Peer() string { return k.peerID }

// String is "[redacted]".
func (Keys) String() string { return "[redacted]" }

// GoString is String.
func (k Keys) GoString() string { return k.String() }
