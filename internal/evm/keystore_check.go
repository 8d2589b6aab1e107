// SPDX-License-Identifier: Apache-2.0

package evm

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
)

// Bounds of wallet files. The costliest that common wallets write takes 256 MiB and some seconds to open.
const (
	maxKeystore       = 64 << 10
	maxKeystoreMemory = 1 << 30
	maxKeystoreWork   = 1 << 31
	maxPBKDF2Rounds   = 10_000_000
	keystoreBlock     = 128 // bytes that scrypt takes per N and r
	keystoreKey       = 32
	keystoreIV        = 16
	maxKeystoreR      = 1 << 10
)

// readKeystore reads a wallet file, or returns ErrKeystore for one that can't be one.
func readKeystore(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("reading wallet file: %w", err)
	}
	defer func() { _ = f.Close() }()
	content, err := io.ReadAll(io.LimitReader(f, maxKeystore+1))
	if err != nil {
		return nil, fmt.Errorf("reading wallet file: %w", err)
	}
	if len(content) > maxKeystore {
		return nil, fmt.Errorf("wallet file %s has more than %d bytes: %w", path, maxKeystore, ErrKeystore)
	}
	return content, nil
}

// checkKeystore refuses what the library that opens wallet files would panic on, or would take more memory or time for than a machine
// has: a wallet file comes from elsewhere, and says itself what opening it costs.
func checkKeystore(content []byte) error {
	var file struct {
		Version json.RawMessage `json:"version"`
		Crypto  struct {
			CipherParams struct {
				IV string `json:"iv"`
			} `json:"cipherparams"`
			KDF string `json:"kdf"`
			// A map, as the library has it: a struct would take "N" for "n".
			KDFParams map[string]any `json:"kdfparams"`
		} `json:"crypto"`
	}
	if err := json.Unmarshal(content, &file); err != nil {
		return errors.New("it is no JSON of a wallet file")
	}
	iv, err := hex.DecodeString(file.Crypto.CipherParams.IV)
	k := file.Crypto.KDFParams
	number := func(name string) float64 { n, _ := k[name].(float64); return n }
	_, salted := k["salt"].(string)
	_, named := k["prf"].(string)
	switch {
	case string(file.Version) != "3":
		return fmt.Errorf("version %.20q, not 3", file.Version)
	case err != nil || len(iv) != keystoreIV:
		return errors.New("its initialization vector is not 16 bytes")
	case !salted || number("dklen") != keystoreKey:
		return errors.New("its key derivation has no salt or another length than 32")
	case file.Crypto.KDF == "scrypt":
		return checkScrypt(number("n"), number("r"), number("p"))
	case file.Crypto.KDF == "pbkdf2" && named && number("c") >= 1 && number("c") <= maxPBKDF2Rounds:
		return nil
	}
	return fmt.Errorf("key derivation %.20q, or its cost, is not one that wallets use", file.Crypto.KDF)
}

func checkScrypt(n, r, p float64) error {
	if n < 2 || r < 1 || p < 1 || r > maxKeystoreR || n*r*keystoreBlock > maxKeystoreMemory || n*r*p*keystoreBlock > maxKeystoreWork {
		return fmt.Errorf("opening it would take scrypt with N=%g r=%g p=%g", n, r, p)
	}
	return nil
}
