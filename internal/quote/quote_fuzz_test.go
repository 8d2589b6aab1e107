// SPDX-License-Identifier: Apache-2.0

package quote_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"
	"google.golang.org/protobuf/proto"

	orderv1 "github.com/apocryph/apocryph/internal/gen/orderv1"
	"github.com/apocryph/apocryph/internal/quote"
)

// offer is a quote of a fixed key, with every field set.
func offer(f *testing.F) (*orderv1.Quote, *orderv1.SignedQuote, common.Address) {
	f.Helper()
	key, err := crypto.ToECDSA(bytes.Repeat([]byte{3}, 32))
	if err != nil {
		f.Fatal(err)
	}
	signer := crypto.PubkeyToAddress(key.PublicKey)
	address, word := bytes.Repeat([]byte{4}, 20), bytes.Repeat([]byte{5}, 32)
	q := &orderv1.Quote{
		Provider: address, Contract: address, ManifestHash: word, ChainId: 1337, ExpiresAt: 1_800_000_000, Host: "shop.example",
		MinimumDeposit: []byte{1}, HourlyAwake: []byte{2}, HourlyAsleep: []byte{3},
		Tariff: &orderv1.Tariff{Token: address, CpuHour: []byte{1}, MemoryGibHour: []byte{1}, EphemeralGibHour: []byte{1}, StorageGibHour: []byte{1}},
		Terms: &orderv1.Terms{
			Publisher: address, App: word, Payout: address, Token: address, Tariff: word, Signer: signer[:], Cap: []byte{9}, Window: 86400, Notice: 3600,
		},
	}
	signed, err := quote.Sign(q, key)
	if err != nil {
		f.Fatal(err)
	}
	return q, signed, signer
}

func encoded(f *testing.F, m proto.Message) []byte {
	f.Helper()
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		f.Fatal(err)
	}
	return b
}

// Whatever verifies is the offer that the enclave signed.
func FuzzVerify(f *testing.F) {
	q, signed, signer := offer(f)
	f.Add(encoded(f, signed))
	f.Add(append(encoded(f, signed), 0xfa, 0x01, 0x01, 'x'))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var s orderv1.SignedQuote
		if proto.Unmarshal(raw, &s) != nil {
			return
		}
		got, err := quote.Verify(&s, signer)
		if err != nil {
			if strings.Contains(err.Error(), "\n") || len(err.Error()) > 1000 {
				t.Errorf("not one short line: %q", err)
			}
			return
		}
		if !proto.Equal(got, q) || !bytes.Equal(s.Quote, signed.Quote) {
			t.Errorf("%x verifies as %v, which nobody signed", raw, got)
		}
		if len(s.ProtoReflect().GetUnknown()) > 0 {
			t.Error("it verifies with a field that nobody knows")
		}
		if again, err := proto.Marshal(&s); err != nil || len(again) > 17<<10 {
			t.Errorf("what verifies takes %d bytes, %v", len(again), err)
		}
	})
}

// Terms that pass for a quote's differ from them in the salt alone.
func FuzzCheckTerms(f *testing.F) {
	q, signed, _ := offer(f)
	good := quote.Terms(signed, q, [32]byte{7})
	f.Add(encoded(f, good))
	f.Add(encoded(f, q.Terms))
	f.Add(append(encoded(f, good), 0xfa, 0x01, 0x01, 'x'))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var terms orderv1.Terms
		if proto.Unmarshal(raw, &terms) != nil || quote.CheckTerms(signed, q, &terms) != nil {
			return
		}
		if len(terms.Salt) != 32 {
			t.Fatalf("a salt of %d bytes passes", len(terms.Salt))
		}
		terms.Salt = good.Salt
		if !proto.Equal(&terms, good) {
			t.Errorf("%v passes for %v", &terms, good)
		}
	})
}
