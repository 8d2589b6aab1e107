// SPDX-License-Identifier: Apache-2.0

package channel_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"

	"github.com/apocryph/apocryph/internal/channel"
	"github.com/apocryph/apocryph/internal/eip712"
	orderv1 "github.com/apocryph/apocryph/internal/gen/orderv1"
	"github.com/apocryph/apocryph/internal/tariff"
)

func seedVectors(f *testing.F) (v vectors) {
	f.Helper()
	b, err := os.ReadFile(vectorsPath)
	if err != nil {
		f.Fatal(err)
	}
	if err := json.Unmarshal(b, &v); err != nil {
		f.Fatal(err)
	}
	return v
}

// Terms have one wire form, and an id that nothing else has.
func FuzzFromProto(f *testing.F) {
	v := seedVectors(f)
	domain := eip712.Domain{ChainID: v.ChainID, Contract: v.Contract}
	var known []channel.Terms
	for _, c := range v.Channels {
		known = append(known, c.Terms.terms())
	}
	for _, c := range v.Refused {
		known = append(known, c.Terms.terms())
	}
	for _, terms := range known {
		b, err := proto.Marshal(terms.Proto())
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var p orderv1.Terms
		if proto.Unmarshal(raw, &p) != nil {
			return
		}
		terms, err := channel.FromProto(&p)
		if err != nil {
			if strings.Contains(err.Error(), "\n") || len(err.Error()) > 1000 {
				t.Errorf("not one short line: %q", err)
			}
			return
		}
		again, err := channel.FromProto(terms.Proto())
		if err != nil || !cmp.Equal(terms, again) {
			t.Errorf("%+v written and read again is %+v, %v", terms, again, err)
		}
		for _, other := range known {
			if same, equal := other.ID(domain) == terms.ID(domain), cmp.Equal(other, terms); same != equal {
				t.Errorf("equal %t, but same id %t: %+v", equal, same, terms)
			}
		}
		// The wire form may hold more than the terms: it must not be kept as if it were they.
		p.ProtoReflect().SetUnknown(nil)
		for _, payee := range p.Payees {
			payee.ProtoReflect().SetUnknown(nil)
		}
		if !proto.Equal(&p, terms.Proto()) {
			t.Errorf("%v is read as %v", &p, terms.Proto())
		}
	})
}

// A signature is good for one content and one signer.
func FuzzVerify(f *testing.F) {
	v := seedVectors(f)
	domain := eip712.Domain{ChainID: v.ChainID, Contract: v.Contract}
	c := v.Channels[0]
	signer := c.Terms.Signer
	good := channel.Voucher{Channel: c.ID, Total: c.Total}
	f.Add(c.ID[:], c.Total.Bytes(), []byte(c.VoucherSignature))
	f.Add(c.ID[:], c.Total.Bytes(), []byte(c.ReleaseSignature))
	f.Add([]byte{}, []byte{}, []byte{})
	f.Fuzz(func(t *testing.T, id, total, signature []byte) {
		var voucher channel.Voucher
		copy(voucher.Channel[:], id)
		amount, err := tariff.AmountFromBytes(total)
		if err != nil {
			return
		}
		voucher.Total = amount
		if channel.Verify(voucher, domain, signature, signer) == nil && !cmp.Equal(voucher, good) {
			t.Errorf("%+v verifies, which nobody signed", voucher)
		}
		release := channel.Release(good)
		if channel.Verify(release, domain, []byte(c.VoucherSignature), signer) == nil {
			t.Error("a voucher's signature is good for a release")
		}
	})
}

func FuzzParseID(f *testing.F) {
	f.Add(channel.ID{1}.String())
	f.Add("0x")
	f.Add("0X" + strings.Repeat("a", 64))
	f.Fuzz(func(t *testing.T, s string) {
		id, err := channel.ParseID(s)
		if err == nil && id.String() != strings.ToLower(s) {
			t.Errorf("%q is read as %s", s, id)
		}
	})
}
