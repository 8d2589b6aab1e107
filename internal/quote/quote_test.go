// SPDX-License-Identifier: Apache-2.0

package quote_test

import (
	"errors"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/crypto"
	"google.golang.org/protobuf/proto"

	orderv1 "github.com/apocryph/apocryph/internal/gen/orderv1"
	"github.com/apocryph/apocryph/internal/quote"
)

func TestQuote(t *testing.T) {
	key, err := crypto.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	signer := crypto.PubkeyToAddress(key.PublicKey)
	now := time.Unix(1_800_000_000, 0)
	offer := func() *orderv1.Quote {
		return &orderv1.Quote{
			Provider: make([]byte, 20), Contract: make([]byte, 20), ManifestHash: make([]byte, 32), Tariff: &orderv1.Tariff{},
			Terms:     &orderv1.Terms{Signer: signer[:], Cap: []byte{5}, Window: 60},
			ExpiresAt: uint64(now.Unix()) + 60,
		}
	}
	cases := map[string]struct {
		before func(q *orderv1.Quote)
		after  func(s *orderv1.SignedQuote)
		want   error
	}{
		"a good one":                        {nil, nil, nil},
		"a changed byte":                    {nil, func(s *orderv1.SignedQuote) { s.Quote[len(s.Quote)-1] ^= 1 }, quote.ErrInvalid},
		"an empty signature":                {nil, func(s *orderv1.SignedQuote) { s.Signature = nil }, quote.ErrInvalid},
		"a manifest hash of the wrong size": {func(q *orderv1.Quote) { q.ManifestHash = nil }, nil, quote.ErrInvalid},
		"another signer in its terms":       {func(q *orderv1.Quote) { q.Terms.Signer = make([]byte, 20) }, nil, quote.ErrInvalid},
		"terms with a salt":                 {func(q *orderv1.Quote) { q.Terms.Salt = make([]byte, 32) }, nil, quote.ErrInvalid},
		"no terms":                          {func(q *orderv1.Quote) { q.Terms = nil }, nil, quote.ErrInvalid},
		"no tariff":                         {func(q *orderv1.Quote) { q.Tariff = nil }, nil, quote.ErrInvalid},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			q := offer()
			if c.before != nil {
				c.before(q)
			}
			s, err := quote.Sign(q, key)
			if err != nil {
				t.Fatal(err)
			}
			if c.after != nil {
				c.after(s)
			}
			if _, err := quote.Verify(s, signer); !errors.Is(err, c.want) {
				t.Errorf("Verify = %v, want %v", err, c.want)
			}
		})
	}

	s, err := quote.Sign(offer(), key)
	if err != nil {
		t.Fatal(err)
	}
	q, err := quote.Verify(s, signer)
	if err != nil {
		t.Fatal(err)
	}
	if err := quote.Expired(q, now.Add(59*time.Second)); err != nil {
		t.Errorf("a second before its end: %v", err)
	}
	if err := quote.Expired(q, now.Add(60*time.Second)); !errors.Is(err, quote.ErrExpired) {
		t.Errorf("at its end: %v, want ErrExpired", err)
	}
	terms := quote.Terms(s, q, [32]byte{1})
	if err := quote.CheckTerms(s, q, terms); err != nil {
		t.Errorf("its own terms: %v", err)
	}
	dearer := proto.CloneOf(terms)
	dearer.Cap = []byte{6}
	if err := quote.CheckTerms(s, q, dearer); !errors.Is(err, quote.ErrTerms) {
		t.Errorf("a higher cap: %v, want ErrTerms", err)
	}
	if err := quote.CheckTerms(s, q, nil); !errors.Is(err, quote.ErrTerms) {
		t.Errorf("no terms: %v, want ErrTerms", err)
	}
}
