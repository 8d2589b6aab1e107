// SPDX-License-Identifier: Apache-2.0

package evm

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/crypto"
)

// A wallet file comes from elsewhere: it opens, or is refused in one line, and what it costs is bounded before it is spent.
func FuzzOpenKeystore(f *testing.F) {
	key, err := crypto.ToECDSA(bytes.Repeat([]byte{1}, 32))
	if err != nil {
		f.Fatal(err)
	}
	path := filepath.Join(f.TempDir(), "wallet")
	if err := SaveKeystore(path, "pass", key, KeystoreOptions{Light: true}); err != nil {
		f.Fatal(err)
	}
	real, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	const cheap = `{"address":"","crypto":{"cipher":"aes-128-ctr","ciphertext":"00","cipherparams":{"iv":"00000000000000000000000000000000"},
		"kdf":"scrypt","kdfparams":{"dklen":32,"n":2,"p":1,"r":1,"salt":"00"},"mac":"00"},"id":"00000000-0000-4000-8000-000000000000","version":3}`
	for _, s := range []string{
		string(real), cheap, "", "{}", "null",
		strings.Replace(cheap, `"n":2`, `"n":1099511627776`, 1),
		strings.Replace(cheap, `"n":2`, `"n":3`, 1),
		strings.Replace(cheap, `"p":1`, `"p":1e300`, 1),
		strings.Replace(cheap, `"p":1`, `"p":-1`, 1),
		strings.Replace(cheap, `,"salt":"00"`, ``, 1),
		strings.Replace(cheap, `"salt":"00"`, `"salt":7`, 1),
		strings.Replace(cheap, `"dklen":32`, `"dklen":1`, 1),
		strings.Replace(cheap, `"dklen":32`, `"dklen":"32"`, 1),
		strings.Replace(cheap, `"version":3`, `"version":"1"`, 1),
		strings.Replace(cheap, `00000000000000000000000000000000`, `00`, 1),
		strings.Replace(cheap, `"scrypt"`, `"pbkdf2"`, 1),
		strings.Replace(strings.Replace(cheap, `"scrypt"`, `"pbkdf2"`, 1), `"n":2`, `"c":2,"prf":"hmac-sha256"`, 1),
		strings.Replace(strings.Replace(cheap, `"scrypt"`, `"pbkdf2"`, 1), `"n":2`, `"c":2,"prf":1`, 1),
		strings.Replace(cheap, `"crypto"`, `"Crypto"`, 1),
		strings.Replace(cheap, `"n":2`, `"n":1099511627776,"N":2`, 1),
	} {
		f.Add([]byte(s))
	}
	file := filepath.Join(f.TempDir(), "given")
	f.Fuzz(func(t *testing.T, content []byte) {
		if costly(content) {
			return // it is taken as it is, but this test is to see many
		}
		if err := os.WriteFile(file, content, 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := OpenKeystore(file, "pass")
		_, addressErr := KeystoreAddress(file)
		switch {
		case err == nil && !got.Equal(key):
			t.Errorf("%s opens to another key", content)
		case err != nil && !errors.Is(err, ErrKeystore) && !errors.Is(err, ErrPassphrase):
			t.Errorf("error %v", err)
		case err != nil && (strings.Contains(err.Error(), "\n") || len(err.Error()) > 1000):
			t.Errorf("not one short line: %q", err)
		case addressErr != nil && !errors.Is(addressErr, ErrKeystore):
			t.Errorf("error %v", addressErr)
		}
	})
}

// costly reports whether a file that is not refused takes more than a moment.
func costly(content []byte) bool {
	var file struct {
		Crypto struct {
			KDFParams map[string]any `json:"kdfparams"`
		}
	}
	_ = json.Unmarshal(content, &file)
	number := func(name string) float64 { n, _ := file.Crypto.KDFParams[name].(float64); return n }
	return checkKeystore(content) == nil && (number("n")*number("r")*number("p") > 1<<13 || number("c") > 1<<10)
}

func TestKeystoreIsBounded(t *testing.T) {
	for name, c := range map[string]struct {
		n, r, p float64
		taken   bool
	}{
		"as wallets write them":              {1 << 18, 8, 1, true},
		"for small machines":                 {1 << 12, 8, 6, true},
		"as much memory as is allowed":       {1 << 20, 8, 1, true},
		"twice that":                         {1 << 21, 8, 1, false},
		"little memory, as often as allowed": {1 << 18, 8, 8, true},
		"little memory, once more":           {1 << 18, 8, 9, false},
		"nothing":                            {},
	} {
		if err := checkScrypt(c.n, c.r, c.p); (err == nil) != c.taken {
			t.Errorf("%s: %v", name, err)
		}
	}
	file := filepath.Join(t.TempDir(), "large")
	for size, want := range map[int]string{maxKeystore: "JSON", maxKeystore + 1: "more than"} {
		if err := os.WriteFile(file, bytes.Repeat([]byte("x"), size), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenKeystore(file, ""); !errors.Is(err, ErrKeystore) || !strings.Contains(err.Error(), want) {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
}
