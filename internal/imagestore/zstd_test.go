// SPDX-License-Identifier: Apache-2.0

package imagestore_test

import (
	"net/http"
	"testing"

	"github.com/apocryph/apocryph/internal/imagestore"
)

// A frame of zstd says at its start how much memory it takes to unpack it.
func TestMemoryToUnpack(t *testing.T) {
	// frame holds content in one block as it is, with a window of 2^(10+exponent) bytes and so many eighths more.
	frame := func(content []byte, exponent, eighths byte) []byte {
		const last, raw = 1, 0
		block := uint32(len(content))<<3 | raw<<1 | last
		return append([]byte{0x28, 0xb5, 0x2f, 0xfd, 0, exponent<<3 | eighths, byte(block), byte(block >> 8), byte(block >> 16)}, content...)
	}
	for name, c := range map[string]struct {
		exponent, eighths byte
		want              int
	}{
		"as much as is allowed":     {17, 0, http.StatusCreated},
		"the next that can be said": {17, 1, http.StatusBadRequest},
		"the most that can be said": {31, 7, http.StatusBadRequest},
	} {
		t.Run(name, func(t *testing.T) {
			f := serve(t, t.TempDir(), imagestore.Limits{})
			plain := tarball(t, "x")
			layer := frame(plain, c.exponent, c.eighths)
			config := configFor(sum(plain))
			putBlob(t, f, appID(1), layer)
			putBlob(t, f, appID(1), config)
			described := layerOf(layer)
			described.MediaType = "application/vnd.oci.image.layer.v1.tar+zstd"
			if status, code, text := putManifest(t, f, appID(1), manifestOf(config, described)); status != c.want {
				t.Errorf("%d %s %s, want %d", status, code, text, c.want)
			}
		})
	}
}
