// SPDX-License-Identifier: Apache-2.0

// Package quote is a provider's signed, short-lived offer: a tariff and the terms of one channel for one workload.
//
// The enclave's voucher key signs it, so a quote is worth what the evidence that names that key is worth. Its hash is part of the
// channel's terms: a channel is opened on exactly one quote, and both sides can show which. The publisher's client takes chain,
// contract and token from its own configuration and compares, never from here.
package quote

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"google.golang.org/protobuf/proto"

	"github.com/apocryph/apocryph/internal/eip712"
	orderv1 "github.com/apocryph/apocryph/internal/gen/orderv1"
)

// Errors of Verify and CheckTerms.
var (
	// ErrInvalid says that a quote is malformed or not signed by the enclave.
	ErrInvalid = errors.New("invalid quote")
	// ErrExpired says that its time is over.
	ErrExpired = errors.New("expired quote")
	// ErrTerms says that terms are not those of the quote.
	ErrTerms = errors.New("terms differ from the quote")
)

const (
	tagQuote = "apocryph/quote/v1\x00"
	// MaxLife is the longest that a quote may be good for.
	MaxLife = time.Hour

	maxQuote = 16 << 10
)

// Hash is what the terms name and the enclave signs: SHA-256 over the tag and the encoded quote.
func Hash(encoded []byte) common.Hash { return sha256.Sum256(append([]byte(tagQuote), encoded...)) }

// Sign signs a quote with the voucher key, whose address must be in its terms already.
func Sign(q *orderv1.Quote, key *ecdsa.PrivateKey) (*orderv1.SignedQuote, error) {
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(q)
	if err != nil {
		return nil, fmt.Errorf("encoding quote: %w", err)
	}
	sig, err := eip712.Sign(Hash(b), key)
	if err != nil {
		return nil, err
	}
	return &orderv1.SignedQuote{Quote: b, Signature: sig}, nil
}

// Verify checks a quote's form and that signer signed it, and returns it. It returns ErrInvalid. Whether it is still good is
// Expired's business: a quote stays the proof of a channel's tariff long after.
func Verify(s *orderv1.SignedQuote, signer common.Address) (*orderv1.Quote, error) {
	var q orderv1.Quote
	if s == nil || len(s.ProtoReflect().GetUnknown()) > 0 || len(s.Quote) > maxQuote || proto.Unmarshal(s.Quote, &q) != nil || len(q.ProtoReflect().GetUnknown()) > 0 {
		return nil, fmt.Errorf("unreadable: %w", ErrInvalid)
	}
	who, err := eip712.Recover(Hash(s.Quote), s.Signature)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	switch {
	case who != signer:
		return nil, fmt.Errorf("signed by %s, not by %s: %w", who, signer, ErrInvalid)
	case q.Terms == nil || q.Tariff == nil || len(q.Provider) != 20 || len(q.Contract) != 20 || len(q.ManifestHash) != 32:
		return nil, fmt.Errorf("incomplete: %w", ErrInvalid)
	case !bytes.Equal(q.Terms.Signer, signer[:]):
		return nil, fmt.Errorf("its terms name another voucher signer: %w", ErrInvalid)
	case len(q.Terms.Quote) != 0 || len(q.Terms.Salt) != 0:
		return nil, fmt.Errorf("its terms already name a quote or salt: %w", ErrInvalid)
	}
	return &q, nil
}

// Expired returns ErrExpired unless q is good at now.
func Expired(q *orderv1.Quote, now time.Time) error {
	ends := time.Unix(int64(min(q.ExpiresAt, 1<<40)), 0)
	if !now.Before(ends) {
		return fmt.Errorf("it ended at %s: %w", ends.UTC().Format(time.RFC3339), ErrExpired)
	}
	return nil
}

// Terms completes a quote's terms for a channel with this salt.
func Terms(s *orderv1.SignedQuote, q *orderv1.Quote, salt [32]byte) *orderv1.Terms {
	t := proto.CloneOf(q.Terms)
	h := Hash(s.Quote)
	t.Quote, t.Salt = h[:], salt[:]
	return t
}

// CheckTerms returns ErrTerms unless terms are those that Terms would make with their own salt.
func CheckTerms(s *orderv1.SignedQuote, q *orderv1.Quote, terms *orderv1.Terms) error {
	if len(terms.GetSalt()) != 32 || !proto.Equal(Terms(s, q, [32]byte(terms.Salt)), terms) {
		return ErrTerms
	}
	return nil
}
