// SPDX-License-Identifier: Apache-2.0

// Package manifest guards what an app is: the canonical wire form of an app file, and its hash, the workload digest.
//
// A manifest is accepted only in its one canonical form: lists sorted and without duplicates, images pinned by digest, every
// resource stated, no unknown fields. So one manifest has one encoding and one hash, and whoever checks the hash has checked
// everything that will run. Env values and files enter the hash only by salted commitments, and so does the webhook: the public form can be shown to anybody.
// Nothing here may change a manifest that was accepted.
package manifest

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"

	manifestv1 "github.com/apocryph/apocryph/internal/gen/manifestv1"
)

// Errors that callers branch on; both come wrapped with what is wrong and where.
var (
	// ErrInvalid says that a manifest breaks a rule of Validate.
	ErrInvalid = errors.New("invalid manifest")
	// ErrNotCanonical says that bytes decode to a manifest whose encoding they are not.
	ErrNotCanonical = errors.New("manifest is not in canonical form")
)

// MaxSize bounds the encoded form, in bytes.
const MaxSize = 256 << 10

const (
	tagManifest = "apocryph/manifest/v1\x00"
	tagEnv      = "apocryph/env/v1\x00"
	tagFile     = "apocryph/file/v1\x00"
	tagWebhook  = "apocryph/webhook/v1\x00"
	saltSize    = 16
)

// Hash is the workload digest.
type Hash [32]byte

// String is lower-case hex.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// Encode validates m and returns its canonical bytes.
func Encode(m *manifestv1.Manifest) ([]byte, error) {
	if err := Validate(m); err != nil {
		return nil, err
	}
	b, err := marshal(m)
	if err != nil {
		return nil, err
	}
	if len(b) > MaxSize {
		return nil, fmt.Errorf("%d bytes, at most %d: %w", len(b), MaxSize, ErrInvalid)
	}
	return b, nil
}

// Decode reads canonical bytes and validates them. It returns ErrInvalid or ErrNotCanonical.
func Decode(b []byte) (*manifestv1.Manifest, error) {
	if len(b) > MaxSize {
		return nil, fmt.Errorf("%d bytes, at most %d: %w", len(b), MaxSize, ErrInvalid)
	}
	var m manifestv1.Manifest
	if err := proto.Unmarshal(b, &m); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	again, err := Encode(&m)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(b, again) {
		return nil, ErrNotCanonical
	}
	return &m, nil
}

// HashOf returns the workload digest of a valid manifest: SHA-256 over the tag and the encoding of its public form.
func HashOf(m *manifestv1.Manifest) (Hash, error) {
	if err := Validate(m); err != nil {
		return Hash{}, err
	}
	b, err := marshal(Public(m))
	if err != nil {
		return Hash{}, err
	}
	return sha256.Sum256(append([]byte(tagManifest), b...)), nil
}

// Public returns a copy with every env value, file content, webhook and salt replaced by their commitment.
func Public(m *manifestv1.Manifest) *manifestv1.Manifest {
	p := proto.CloneOf(m)
	for _, s := range p.Services {
		for _, e := range s.Env {
			e.Commitment = commitment(tagEnv, e.Salt, []byte(e.Value))
			e.Salt, e.Value = nil, ""
		}
	}
	for _, f := range p.Files {
		f.Commitment = commitment(tagFile, f.Salt, f.Content)
		f.Salt, f.Content = nil, nil
	}
	if n := p.Notify; n != nil {
		n.Commitment = commitment(tagWebhook, n.Salt, []byte(n.Webhook))
		n.Salt, n.Webhook = nil, ""
	}
	return p
}

func commitment(tag string, salt, value []byte) []byte {
	h := sha256.Sum256(slices.Concat([]byte(tag), salt, value))
	return h[:]
}

func marshal(m *manifestv1.Manifest) ([]byte, error) {
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("encoding manifest: %w", err)
	}
	return b, nil
}
