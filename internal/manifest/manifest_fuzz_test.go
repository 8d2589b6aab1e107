// SPDX-License-Identifier: Apache-2.0

package manifest_test

import (
	"bytes"
	"strings"
	"testing"

	manifestv1 "github.com/apocryph/apocryph/internal/gen/manifestv1"
	"github.com/apocryph/apocryph/internal/manifest"
)

// What is ordered is named by its hash: no other bytes may pass for it, and none may be read as something that encodes otherwise.
func FuzzHash(f *testing.F) {
	full := valid()
	full.Services[0].Env = []*manifestv1.Env{{Name: "A", Value: "secret", Salt: make([]byte, 16)}}
	var seeds [][]byte
	for _, m := range []*manifestv1.Manifest{valid(), full} {
		b, err := manifest.Encode(m)
		if err != nil {
			f.Fatal(err)
		}
		seeds = append(seeds, b)
		f.Add(b)
	}
	f.Add([]byte{})
	hashes := make([]manifest.Hash, len(seeds))
	for i, b := range seeds {
		m, err := manifest.Decode(b)
		if err != nil {
			f.Fatal(err)
		}
		if hashes[i], err = manifest.HashOf(m); err != nil {
			f.Fatal(err)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := manifest.Decode(b)
		if err != nil {
			if strings.Contains(err.Error(), "\n") || len(err.Error()) > 1000 {
				t.Errorf("not one short line: %q", err)
			}
			return
		}
		hash, err := manifest.HashOf(m)
		if err != nil {
			t.Fatalf("what was read has no hash: %v", err)
		}
		for i, seed := range seeds {
			if hash == hashes[i] && !bytes.Equal(seed, b) {
				t.Errorf("%x passes for %x", b, seed)
			}
		}
		again, err := manifest.Encode(m)
		if err != nil || !bytes.Equal(again, b) {
			t.Errorf("read and written again it is %x, %v", again, err)
		}
	})
}
