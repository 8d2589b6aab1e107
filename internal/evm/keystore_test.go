// SPDX-License-Identifier: Apache-2.0

package evm_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/ethereum/go-ethereum/crypto"

	"github.com/apocryph/apocryph/internal/evm"
)

func TestKeystore(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "new", "wallet.json")
	address, err := evm.CreateKeystore(path, "correct horse", evm.KeystoreOptions{Light: true})
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v; want 0600", info.Mode(), err)
	}
	if left, err := os.ReadDir(filepath.Dir(path)); err != nil || len(left) != 1 {
		t.Errorf("left behind: %v, %v", left, err)
	}

	key, err := evm.OpenKeystore(path, "correct horse")
	if err != nil || crypto.PubkeyToAddress(key.PublicKey) != address {
		t.Errorf("OpenKeystore = another key, %v", err)
	}
	if got, err := evm.KeystoreAddress(path); err != nil || got != address {
		t.Errorf("KeystoreAddress = %s, %v", got, err)
	}
	if _, err := evm.OpenKeystore(path, "wrong"); !errors.Is(err, evm.ErrPassphrase) {
		t.Errorf("OpenKeystore with a wrong passphrase = %v", err)
	}
	if _, err := evm.CreateKeystore(path, "x", evm.KeystoreOptions{Light: true}); !errors.Is(err, fs.ErrExist) {
		t.Errorf("CreateKeystore over a file = %v, want fs.ErrExist", err)
	}
	if _, err := evm.OpenKeystore(path, "correct horse"); err != nil {
		t.Errorf("the existing file was touched: %v", err)
	}
	if _, err := evm.OpenKeystore(filepath.Join(dir, "none"), "x"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("OpenKeystore of no file = %v", err)
	}

	garbage := filepath.Join(dir, "garbage")
	if err := os.WriteFile(garbage, []byte(`{"version":3}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := evm.OpenKeystore(garbage, "x"); !errors.Is(err, evm.ErrKeystore) {
		t.Errorf("OpenKeystore of garbage = %v", err)
	}
	if _, err := evm.KeystoreAddress(garbage); !errors.Is(err, evm.ErrKeystore) {
		t.Errorf("KeystoreAddress of garbage = %v", err)
	}
}
