// SPDX-License-Identifier: Apache-2.0

package evm

import (
	"crypto/ecdsa"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/ethereum/go-ethereum/accounts/keystore"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/google/uuid"
)

// Errors of wallet files.
var (
	// ErrPassphrase says that the passphrase is not the wallet file's.
	ErrPassphrase = errors.New("wrong passphrase")
	// ErrKeystore says that a file is no keystore V3 file.
	ErrKeystore = errors.New("not a wallet file")
)

// KeystoreOptions are choices for new wallet files.
type KeystoreOptions struct {
	// Light makes guessing the passphrase cheap: for tests only.
	Light bool
}

// CreateKeystore makes a new key and a wallet file for it: keystore V3, mode 0600, written whole or not at all. An existing file is
// never touched; the error is then fs.ErrExist.
func CreateKeystore(path, passphrase string, o KeystoreOptions) (common.Address, error) {
	key, err := crypto.GenerateKey()
	if err != nil {
		return common.Address{}, fmt.Errorf("making a key: %w", err)
	}
	return crypto.PubkeyToAddress(key.PublicKey), SaveKeystore(path, passphrase, key, o)
}

// SaveKeystore makes a wallet file for a key, as CreateKeystore does.
func SaveKeystore(path, passphrase string, key *ecdsa.PrivateKey, o KeystoreOptions) error {
	id, err := uuid.NewRandom()
	if err != nil {
		return fmt.Errorf("making the wallet file's id: %w", err)
	}
	n, p := keystore.StandardScryptN, keystore.StandardScryptP
	if o.Light {
		n, p = keystore.LightScryptN, keystore.LightScryptP
	}
	sealed := &keystore.Key{Id: id, Address: crypto.PubkeyToAddress(key.PublicKey), PrivateKey: key}
	content, err := keystore.EncryptKey(sealed, passphrase, n, p)
	if err != nil {
		return fmt.Errorf("sealing the key: %w", err)
	}
	if err := writeNew(path, append(content, '\n')); err != nil {
		return fmt.Errorf("writing wallet file %s: %w", path, err)
	}
	return nil
}

// OpenKeystore returns the key of a wallet file, or ErrPassphrase or ErrKeystore.
func OpenKeystore(path, passphrase string) (*ecdsa.PrivateKey, error) {
	content, err := readKeystore(path)
	if err != nil {
		return nil, err
	}
	if err := checkKeystore(content); err != nil {
		return nil, fmt.Errorf("opening wallet file %s: %w: %w", path, ErrKeystore, err)
	}
	key, err := keystore.DecryptKey(content, passphrase)
	if errors.Is(err, keystore.ErrDecrypt) {
		return nil, fmt.Errorf("opening wallet file %s: %w", path, ErrPassphrase)
	}
	if err != nil {
		return nil, fmt.Errorf("opening wallet file %s: %w: %w", path, ErrKeystore, err)
	}
	return key.PrivateKey, nil
}

// KeystoreAddress returns the address that a wallet file says it is of, which takes no passphrase and is not proven.
func KeystoreAddress(path string) (common.Address, error) {
	content, err := readKeystore(path)
	if err != nil {
		return common.Address{}, err
	}
	var file struct {
		Address string `json:"address"`
	}
	if err := json.Unmarshal(content, &file); err != nil || !common.IsHexAddress(file.Address) {
		return common.Address{}, fmt.Errorf("reading wallet file %s: %w", path, ErrKeystore)
	}
	return common.HexToAddress(file.Address), nil
}

// writeNew writes a new file of mode 0600 so that a crash leaves all of it or nothing under its name.
func writeNew(path string, content []byte) (err error) {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(dir, ".wallet-*") // mode 0600
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.Remove(tmp.Name())) }()
	_, err = tmp.Write(content)
	if err = errors.Join(err, tmp.Sync(), tmp.Close()); err != nil {
		return err
	}
	// A link, unlike a rename, fails if the name is taken.
	if err := os.Link(tmp.Name(), path); err != nil {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
