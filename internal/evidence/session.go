// SPDX-License-Identifier: Apache-2.0

package evidence

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"time"
)

// device is a TEE's; packages below internal/tee have them.
type device interface {
	// Attest returns a report over 64 bytes of report data.
	Attest(ctx context.Context, data [ReportDataSize]byte) (Attestation, error)
}

// Session is one hardware report and the short-lived key that answers nonces in its name. It is safe for concurrent use.
type Session struct {
	attestation Attestation
	claims      []byte
	key         ed25519.PrivateKey
	issuedAt    time.Time
}

// NewSession makes a fresh session key and asks the device for a report over c, in which it fills in Session and IssuedAt.
func NewSession(ctx context.Context, d device, c Claims, now time.Time) (*Session, error) {
	pub, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making session key: %w", err)
	}
	c.Session, c.IssuedAt = pub, now
	claims, err := EncodeClaims(c)
	if err != nil {
		return nil, err
	}
	a, err := d.Attest(ctx, ReportData(claims))
	if err != nil {
		return nil, fmt.Errorf("asking the TEE device for a report: %w", err)
	}
	return &Session{attestation: a, claims: claims, key: key, issuedAt: now}, nil
}

// IssuedAt returns when the report was made.
func (s *Session) IssuedAt() time.Time { return s.issuedAt }

// Answer returns encoded evidence for a nonce of NonceSize bytes, or ErrNonce.
func (s *Session) Answer(nonce []byte) ([]byte, error) {
	if len(nonce) != NonceSize {
		return nil, fmt.Errorf("nonce of %d bytes, want %d: %w", len(nonce), NonceSize, ErrNonce)
	}
	return encodeEvidence(s.attestation, s.claims, ed25519.Sign(s.key, answer(nonce, s.claims)))
}
