// SPDX-License-Identifier: Apache-2.0

package imagestore

import (
	"errors"
	"testing"
)

// Whatever is pushed as a manifest is refused or can be checked; it never ends the process.
func FuzzPutManifest(f *testing.F) {
	for _, seed := range []string{
		`{}`, `null`, `[]`, `{"schemaVersion":2,"config":{"mediaType":"` + mediaOCIConfig + `","digest":"sha256:x","size":-1},"layers":[{}]}`,
		`{"schemaVersion":2,"config":null,"layers":null,"manifests":null}`,
	} {
		f.Add([]byte(seed), mediaOCIManifest)
	}
	store, err := Open(f.TempDir(), Limits{})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, raw []byte, mediaType string) {
		m, err := parseManifest(raw, mediaType)
		if err == nil {
			err = store.checkGraph(t.Context(), "app", m)
		}
		// The store is empty, and no config is.
		if !errors.Is(err, ErrImage) && !errors.Is(err, ErrDigest) && !errors.Is(err, ErrIncomplete) && !errors.Is(err, ErrTooLarge) {
			t.Errorf("got %v", err)
		}
		_ = mediaTypeOf(raw)
	})
}
