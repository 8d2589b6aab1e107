// SPDX-License-Identifier: Apache-2.0

package evidence

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/sha512"
	"fmt"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/fxamacker/cbor/v2"
)

const (
	tagClaims  = "apocryph/evidence/claims/v1\x00"
	tagSession = "apocryph/evidence/session/v1\x00"
	profile    = "tag:apocryph.network,2026:evidence:1"

	// MaxSize bounds encoded evidence, in bytes.
	MaxSize  = 32 << 10
	maxCerts = 3
	maxTime  = 1 << 40
)

// wireEvidence is the whole of it.
type wireEvidence struct {
	Kind      string   `cbor:"1,keyasint"`
	Report    []byte   `cbor:"2,keyasint"`
	Certs     [][]byte `cbor:"3,keyasint"`
	Claims    []byte   `cbor:"4,keyasint"`
	Signature []byte   `cbor:"5,keyasint"`
}

// wireClaims has the keys of CWT and EAT where they have one (6 iat, 265 eat_profile) and private ones else.
type wireClaims struct {
	IssuedAt uint64 `cbor:"6,keyasint"`
	Profile  string `cbor:"265,keyasint"`
	Role     string `cbor:"-70001,keyasint"`
	Provider []byte `cbor:"-70002,keyasint"`
	ChainID  uint64 `cbor:"-70003,keyasint"`
	Contract []byte `cbor:"-70004,keyasint"`
	Peer     []byte `cbor:"-70005,keyasint"`
	Signer   []byte `cbor:"-70006,keyasint"`
	Session  []byte `cbor:"-70007,keyasint"`
}

// Encoded is decoded evidence, not verified in any way.
type Encoded struct {
	Attestation
	// Claims are the exact bytes that the report data covers, Says what they say.
	Claims []byte
	Says   Claims
	// Signature is the session key's over the nonce.
	Signature []byte
}

// ReportData returns what a report over these claims holds: SHA-512 of the tag and the claims.
func ReportData(claims []byte) [ReportDataSize]byte {
	return sha512.Sum512(append([]byte(tagClaims), claims...))
}

// answer is what the session key signs.
func answer(nonce, claims []byte) []byte {
	sum := sha256.Sum256(claims)
	return append(append([]byte(tagSession), nonce...), sum[:]...)
}

// EncodeClaims returns the canonical bytes of c.
func EncodeClaims(c Claims) ([]byte, error) {
	b, err := encode(wireClaims{
		IssuedAt: uint64(c.IssuedAt.Unix()),
		Profile:  profile,
		Role:     c.Role,
		Provider: c.Provider[:],
		ChainID:  c.ChainID,
		Contract: c.Contract[:],
		Peer:     []byte(c.Peer),
		Signer:   c.Signer[:],
		Session:  c.Session,
	})
	if err != nil {
		return nil, err
	}
	if _, err := decodeClaims(b); err != nil {
		return nil, err
	}
	return b, nil
}

func encodeEvidence(a Attestation, claims, signature []byte) ([]byte, error) {
	return encode(wireEvidence{string(a.Kind), a.Report, a.Certs, claims, signature})
}

// Decode reads evidence in its canonical form, or returns ErrMalformed. It verifies nothing.
func Decode(b []byte) (Encoded, error) {
	var w wireEvidence
	if err := decode(b, &w); err != nil {
		return Encoded{}, err
	}
	switch {
	case w.Kind == "" || len(w.Report) == 0:
		return Encoded{}, fmt.Errorf("kind or report is missing: %w", ErrMalformed)
	case len(w.Certs) == 0 || len(w.Certs) > maxCerts:
		return Encoded{}, fmt.Errorf("%d certificates: %w", len(w.Certs), ErrMalformed)
	case len(w.Signature) != ed25519.SignatureSize:
		return Encoded{}, fmt.Errorf("signature of %d bytes: %w", len(w.Signature), ErrMalformed)
	}
	says, err := decodeClaims(w.Claims)
	if err != nil {
		return Encoded{}, err
	}
	return Encoded{
		Attestation: Attestation{Kind: Kind(w.Kind), Report: w.Report, Certs: w.Certs},
		Claims:      w.Claims,
		Says:        says,
		Signature:   w.Signature,
	}, nil
}

func decodeClaims(b []byte) (Claims, error) {
	var w wireClaims
	if err := decode(b, &w); err != nil {
		return Claims{}, fmt.Errorf("claims: %w", err)
	}
	switch {
	case w.Profile != profile:
		return Claims{}, fmt.Errorf("claims of profile %.80q: %w", w.Profile, ErrMalformed)
	case len(w.Provider) != common.AddressLength || len(w.Contract) != common.AddressLength || len(w.Signer) != common.AddressLength:
		return Claims{}, fmt.Errorf("claims: an address is not %d bytes: %w", common.AddressLength, ErrMalformed)
	case len(w.Peer) == 0 || len(w.Peer) > 64:
		return Claims{}, fmt.Errorf("claims: peer id of %d bytes: %w", len(w.Peer), ErrMalformed)
	case len(w.Session) != ed25519.PublicKeySize:
		return Claims{}, fmt.Errorf("claims: session key of %d bytes: %w", len(w.Session), ErrMalformed)
	case w.IssuedAt > maxTime:
		return Claims{}, fmt.Errorf("claims: time out of range: %w", ErrMalformed)
	}
	return Claims{
		Role:     w.Role,
		Provider: common.Address(w.Provider),
		ChainID:  w.ChainID,
		Contract: common.Address(w.Contract),
		Peer:     string(w.Peer),
		Signer:   common.Address(w.Signer),
		Session:  ed25519.PublicKey(w.Session),
		IssuedAt: time.Unix(int64(w.IssuedAt), 0),
	}, nil
}

func encode(v any) ([]byte, error) {
	mode, err := cbor.CoreDetEncOptions().EncMode()
	if err != nil {
		return nil, fmt.Errorf("encoding evidence: %w", err)
	}
	b, err := mode.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encoding evidence: %w", err)
	}
	return b, nil
}

// decode is strict: no unknown or repeated keys, and what decodes must encode to the same bytes, so that there is one form.
func decode[T any](b []byte, v *T) error {
	if len(b) > MaxSize {
		return fmt.Errorf("%d bytes, at most %d: %w", len(b), MaxSize, ErrMalformed)
	}
	mode, err := cbor.DecOptions{
		DupMapKey:         cbor.DupMapKeyEnforcedAPF,
		ExtraReturnErrors: cbor.ExtraDecErrorUnknownField,
		IndefLength:       cbor.IndefLengthForbidden,
		TagsMd:            cbor.TagsForbidden,
		MaxNestedLevels:   4,
		MaxArrayElements:  16,
		MaxMapPairs:       16,
	}.DecMode()
	if err != nil {
		return fmt.Errorf("decoding evidence: %w", err)
	}
	if err := mode.Unmarshal(b, v); err != nil {
		return fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	again, err := encode(*v)
	if err != nil || !bytes.Equal(again, b) {
		return fmt.Errorf("not in canonical form: %w", ErrMalformed)
	}
	return nil
}
