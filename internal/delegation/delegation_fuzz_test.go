// SPDX-License-Identifier: Apache-2.0

package delegation_test

import (
	"bytes"
	"crypto/ed25519"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"

	"github.com/apocryph/apocryph/internal/delegation"
	"github.com/apocryph/apocryph/internal/eip712"
	orderv1 "github.com/apocryph/apocryph/internal/gen/orderv1"
)

// fixedBench is newBench with the same keys in every process: what one fuzzing process found has to mean the same in the next.
func fixedBench(f *testing.F) *bench {
	f.Helper()
	wallet, err := crypto.ToECDSA(bytes.Repeat([]byte{1}, 32))
	if err != nil {
		f.Fatal(err)
	}
	b := &bench{
		domain:   eip712.Domain{ChainID: 1337, Contract: common.Address{9}},
		wallet:   wallet,
		peer:     edKey{ed25519.NewKeyFromSeed(bytes.Repeat([]byte{2}, ed25519.SeedSize))},
		provider: delegation.Provider{Address: common.Address{1}, Peer: "provider-peer"},
		now:      time.Unix(1_800_000_000, 0),
	}
	publisher := crypto.PubkeyToAddress(wallet.PublicKey)
	b.app = delegation.NewAppID(publisher, b.provider.Address, [32]byte{5})
	b.given = delegation.Delegation{
		Publisher: publisher, Peer: b.peer.id(), Provider: b.provider,
		Operations: []orderv1.Operation{orderv1.Operation_OPERATION_APPLY, orderv1.Operation_OPERATION_STOP},
		Apps:       []delegation.AppID{b.app}, IssuedAt: b.now, ExpiresAt: b.now.Add(24 * time.Hour),
	}
	return b
}

func (b *bench) grants(f *testing.F) (delegations []*orderv1.SignedDelegation, said []delegation.Delegation) {
	f.Helper()
	all := b.given
	all.Apps, all.AllApps = nil, true
	for _, d := range []delegation.Delegation{b.given, all} {
		s, err := delegation.Sign(d, b.domain, b.wallet)
		if err != nil {
			f.Fatal(err)
		}
		delegations, said = append(delegations, s), append(said, d)
	}
	return delegations, said
}

func marshal(f *testing.F, m proto.Message) []byte {
	f.Helper()
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		f.Fatal(err)
	}
	return b
}

func oneLine(t *testing.T, err error) {
	t.Helper()
	if strings.Contains(err.Error(), "\n") || len(err.Error()) > 1000 {
		t.Errorf("not one short line: %q", err)
	}
}

// Whatever verifies says what the wallet signed, and nothing besides.
func FuzzVerify(f *testing.F) {
	b := fixedBench(f)
	signed, said := b.grants(f)
	for _, s := range signed {
		f.Add(marshal(f, s))
	}
	// An unknown operation that sorts by overflow, a field that no version has.
	odd := proto.CloneOf(signed[0])
	odd.Delegation.Operations = []orderv1.Operation{1<<31 - 1, -2}
	f.Add(marshal(f, odd))
	f.Add(append(marshal(f, signed[0]), 0xfa, 0x01, 0x01, 'x'))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var s orderv1.SignedDelegation
		if proto.Unmarshal(raw, &s) != nil {
			return
		}
		got, err := delegation.Verify(&s, b.domain, b.peer.id(), b.provider, b.now)
		if err != nil {
			oneLine(t, err)
			return
		}
		if !slices.ContainsFunc(said, func(d delegation.Delegation) bool { return cmp.Equal(d, got) }) {
			t.Errorf("%x verifies as %+v, which nobody signed", raw, got)
		}
		if !slices.ContainsFunc(signed, func(o *orderv1.SignedDelegation) bool { return proto.Equal(o.Delegation, s.Delegation) }) {
			t.Errorf("%x carries what nobody signed", raw)
		}
		if len(s.ProtoReflect().GetUnknown()) > 0 {
			t.Error("it verifies with a field that nobody knows")
		}
		again, err := proto.MarshalOptions{Deterministic: true}.Marshal(&s)
		if err != nil || len(again) > 4096 {
			t.Errorf("what verifies takes %d bytes, %v", len(again), err)
		}
	})
}

// Operations are numbers of the wire: those that wallets can't sign are refused, and so is any order but the rising one.
func FuzzOperations(f *testing.F) {
	b := fixedBench(f)
	f.Add(int32(1), int32(2))
	f.Add(int32(2), int32(1))
	f.Add(int32(1<<31-1), int32(-2))
	f.Add(int32(-1<<31), int32(1))
	f.Add(int32(0), int32(1))
	f.Fuzz(func(t *testing.T, first, second int32) {
		d := b.given
		d.Operations = []orderv1.Operation{orderv1.Operation(first), orderv1.Operation(second)}
		s, err := delegation.Sign(d, b.domain, b.wallet)
		low, high := min(first, second), max(first, second)
		if good := low > 0 && high < 256; good != (err == nil) {
			t.Fatalf("%d and %d: %v", first, second, err)
		}
		if err != nil || low == high {
			return
		}
		s.Delegation.Operations = []orderv1.Operation{orderv1.Operation(high), orderv1.Operation(low)}
		if _, err := delegation.VerifySignature(s, b.domain); err == nil {
			t.Errorf("%d before %d verifies", high, low)
		}
	})
}

// Whatever verifies as a statement is one that the peer signed under a delegation that the wallet signed.
func FuzzVerifyStatement(f *testing.F) {
	b := fixedBench(f)
	grants, _ := b.grants(f)
	var said []delegation.Statement
	for _, under := range grants {
		for _, s := range []delegation.Statement{
			{App: b.app, Action: orderv1.Action_ACTION_APPLY, Sequence: 7, ManifestHash: [32]byte{1}, Channel: [32]byte{2}, IssuedAt: b.now},
			{App: b.app, Action: orderv1.Action_ACTION_STOP, Sequence: 8, Channel: [32]byte{2}, IssuedAt: b.now},
		} {
			signed, err := delegation.SignStatement(s, b.peer, under)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(marshal(f, signed))
			f.Add(append(marshal(f, signed), 0xfa, 0x01, 0x01, 'x'))
			said = append(said, s)
		}
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var s orderv1.SignedStatement
		if proto.Unmarshal(raw, &s) != nil {
			return
		}
		got, err := delegation.VerifyStatement(&s, b.domain, b.provider, check)
		if err != nil {
			oneLine(t, err)
			return
		}
		by := got.Delegation
		got.Delegation = delegation.Delegation{}
		if !slices.ContainsFunc(said, func(d delegation.Statement) bool { return cmp.Equal(d, got) }) || by.Publisher != b.given.Publisher {
			t.Errorf("%x verifies as %+v, which nobody signed", raw, got)
		}
		if len(s.ProtoReflect().GetUnknown()) > 0 {
			t.Error("it verifies with a field that nobody knows")
		}
		again, err := proto.MarshalOptions{Deterministic: true}.Marshal(&s)
		if err != nil || len(again) > 8192 {
			t.Errorf("what verifies takes %d bytes, %v", len(again), err)
		}
	})
}

// Names of apps are names of objects: one text for each.
func FuzzAppID(f *testing.F) {
	f.Add(delegation.AppID{1}.String())
	f.Add(strings.ToUpper(delegation.AppID{1}.String()))
	f.Add("")
	f.Fuzz(func(t *testing.T, s string) {
		id, err := delegation.ParseAppID(s)
		if err != nil {
			oneLine(t, err)
			return
		}
		if id.String() != s {
			t.Errorf("%q is read as %s", s, id)
		}
	})
}
