// SPDX-License-Identifier: Apache-2.0

package sim_test

import (
	"crypto/sha256"
	"encoding/pem"
	"errors"
	"testing"

	"github.com/apocryph/apocryph/internal/tee/sim"
)

// A fingerprint is of exactly one certificate's bytes.
func FuzzFingerprint(f *testing.F) {
	f.Add([]byte("-----BEGIN CERTIFICATE-----\nAQID\n-----END CERTIFICATE-----\n"))
	f.Add([]byte("-----BEGIN PRIVATE KEY-----\nAQID\n-----END PRIVATE KEY-----\n"))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, text []byte) {
		got, err := sim.Fingerprint(text)
		if err != nil {
			if !errors.Is(err, sim.ErrFiles) {
				t.Errorf("error %v", err)
			}
			return
		}
		b, _ := pem.Decode(text)
		if again, err := sim.Fingerprint(pem.EncodeToMemory(b)); got != sha256.Sum256(b.Bytes) || (err == nil && again != got) {
			t.Errorf("%x, written again %x, %v", got, again, err)
		}
	})
}
