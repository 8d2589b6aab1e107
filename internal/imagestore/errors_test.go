// SPDX-License-Identifier: Apache-2.0

package imagestore

import (
	"errors"
	"fmt"
	"testing"

	providerv1 "github.com/apocryph/apocryph/internal/gen/providerv1"
)

func TestAnswer(t *testing.T) {
	for err, want := range map[error]string{
		ErrName: "NAME_INVALID", ErrTag: "UNSUPPORTED", ErrTooLarge: "SIZE_INVALID", ErrQuota: "DENIED",
		ErrIncomplete: "MANIFEST_BLOB_UNKNOWN", ErrImage: "MANIFEST_INVALID", ErrDigest: "DIGEST_INVALID",
		ErrBlobUnknown: "BLOB_UNKNOWN", ErrManifestUnknown: "MANIFEST_UNKNOWN", ErrUploadUnknown: "BLOB_UPLOAD_UNKNOWN",
		ErrUploadRange: "BLOB_UPLOAD_INVALID", ErrUploadBusy: "BLOB_UPLOAD_INVALID", ErrBroken: "BLOB_UPLOAD_INVALID",
		errors.New("disk on fire"): "UNKNOWN",
	} {
		a, known := answer(fmt.Errorf("doing something: %w", err))
		if a.code != want || known != (want != "UNKNOWN") {
			t.Errorf("%v: got %s, known %t; want %s", err, a.code, known, want)
		}
		if _, ok := providerv1.Reason_value[a.reason]; !ok {
			t.Errorf("%v: %q is no reason of the wire", err, a.reason)
		}
	}
}
