// SPDX-License-Identifier: Apache-2.0

package imagestore

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
)

// Errors of the store; answer maps them to what the OCI distribution specification says.
var (
	// ErrName says that a path names no app or service.
	ErrName = errors.New("not an app's repository")
	// ErrDigest says that a digest is malformed, or not that of the content.
	ErrDigest = errors.New("digest does not fit")
	// ErrTag says that something was asked for by tag.
	ErrTag = errors.New("images are known by digest only")
	// ErrBlobUnknown says that the app has no such blob.
	ErrBlobUnknown = errors.New("blob unknown")
	// ErrManifestUnknown says that the app has no such verified manifest.
	ErrManifestUnknown = errors.New("manifest unknown")
	// ErrImage says that a manifest, config or layer breaks a rule of the graph check.
	ErrImage = errors.New("image refused")
	// ErrIncomplete says that a manifest names a blob that the app does not have.
	ErrIncomplete = errors.New("image is incomplete")
	// ErrUploadUnknown says that there is no such upload.
	ErrUploadUnknown = errors.New("upload unknown")
	// ErrUploadRange says that a part does not begin where the upload ends.
	ErrUploadRange = errors.New("upload continues elsewhere")
	// ErrUploadBusy says that another request writes to the upload.
	ErrUploadBusy = errors.New("upload is being written")
	// ErrTooLarge says that one thing is larger than allowed.
	ErrTooLarge = errors.New("too large")
	// ErrQuota says that an app, or all apps together, would hold more than allowed.
	ErrQuota = errors.New("no room")
	// ErrBroken says that a body ended early.
	ErrBroken = errors.New("body ended early")
)

type answerTo struct {
	err    error
	status int
	code   string
	reason string
}

// answers is in the order of precedence. Reasons are those of provider.v1.Reason that the gateway's clients understand.
func answers() []answerTo {
	return []answerTo{
		{ErrName, http.StatusBadRequest, "NAME_INVALID", "REASON_BAD_REQUEST"},
		{ErrTag, http.StatusBadRequest, "UNSUPPORTED", "REASON_BAD_REQUEST"},
		{ErrTooLarge, http.StatusRequestEntityTooLarge, "SIZE_INVALID", "REASON_IMAGE_INVALID"},
		{ErrQuota, http.StatusForbidden, "DENIED", "REASON_IMAGE_INVALID"},
		{ErrIncomplete, http.StatusNotFound, "MANIFEST_BLOB_UNKNOWN", "REASON_IMAGE_MISSING"},
		{ErrImage, http.StatusBadRequest, "MANIFEST_INVALID", "REASON_IMAGE_INVALID"},
		{ErrDigest, http.StatusBadRequest, "DIGEST_INVALID", "REASON_IMAGE_INVALID"},
		{ErrBlobUnknown, http.StatusNotFound, "BLOB_UNKNOWN", "REASON_IMAGE_MISSING"},
		{ErrManifestUnknown, http.StatusNotFound, "MANIFEST_UNKNOWN", "REASON_IMAGE_MISSING"},
		{ErrUploadUnknown, http.StatusNotFound, "BLOB_UPLOAD_UNKNOWN", "REASON_BAD_REQUEST"},
		{ErrUploadRange, http.StatusRequestedRangeNotSatisfiable, "BLOB_UPLOAD_INVALID", "REASON_BAD_REQUEST"},
		{ErrUploadBusy, http.StatusConflict, "BLOB_UPLOAD_INVALID", "REASON_BAD_REQUEST"},
		{ErrBroken, http.StatusBadRequest, "BLOB_UPLOAD_INVALID", "REASON_BAD_REQUEST"},
		{context.DeadlineExceeded, http.StatusServiceUnavailable, "UNAVAILABLE", "REASON_TOO_MANY_REQUESTS"},
	}
}

// answer finds what an error is to the client; ok is false for one that only the log may see.
func answer(err error) (a answerTo, ok bool) {
	for _, a := range answers() {
		if errors.Is(err, a.err) {
			return a, true
		}
	}
	return answerTo{nil, http.StatusInternalServerError, "UNKNOWN", "REASON_INTERNAL"}, false
}

// writeError answers in the OCI error format. The detail names the reason under which the gateway's clients know it.
func writeError(w http.ResponseWriter, a answerTo, message string) {
	type diagnostic struct {
		Code    string            `json:"code"`
		Message string            `json:"message"`
		Detail  map[string]string `json:"detail"`
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(a.status)
	_ = json.NewEncoder(w).Encode(map[string][]diagnostic{
		"errors": {{Code: a.code, Message: message, Detail: map[string]string{"reason": a.reason}}},
	})
}
