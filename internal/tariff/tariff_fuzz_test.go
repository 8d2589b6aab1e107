// SPDX-License-Identifier: Apache-2.0

package tariff_test

import (
	"bytes"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	orderv1 "github.com/apocryph/apocryph/internal/gen/orderv1"
	"github.com/apocryph/apocryph/internal/tariff"
)

// An amount has one text and one wire form, and neither is longer than 256 bits need.
func FuzzAmount(f *testing.F) {
	f.Add("0", []byte{})
	f.Add("115792089237316195423570985008687907853269984665640564039457584007913129639935", bytes.Repeat([]byte{255}, 32))
	f.Add("-1", []byte{0, 1})
	f.Add("007", make([]byte, 33))
	f.Fuzz(func(t *testing.T, text string, wire []byte) {
		if a, err := tariff.ParseAmount(text); err == nil {
			if again, err := tariff.ParseAmount(a.String()); err != nil || !again.Equal(a) || a.String() != strings.TrimLeft(text, "0") && !a.IsZero() {
				t.Errorf("%q is read as %s, and that as %s, %v", text, a, again, err)
			}
			if over, err := tariff.AmountFromBytes(a.Bytes()); err != nil || !over.Equal(a) {
				t.Errorf("%q over the wire is %s, %v", text, over, err)
			}
		}
		if a, err := tariff.AmountFromBytes(wire); err == nil && !bytes.Equal(a.Bytes(), wire) {
			t.Errorf("%x is read as %x", wire, a.Bytes())
		}
	})
}

// A tariff that is read is written as it was, so that its id names its content.
func FuzzFromProto(f *testing.F) {
	address := bytes.Repeat([]byte{4}, 20)
	for _, p := range []*orderv1.Tariff{
		{Token: address, CpuHour: []byte{1}, MemoryGibHour: []byte{2}, EphemeralGibHour: []byte{3}, StorageGibHour: []byte{4}},
		{Token: address, EgressGib: []byte{5}, UnitHours: []*orderv1.UnitPrice{{Resource: "amd.com/gpu"}, {Resource: "nvidia.com/gpu", UnitHour: []byte{6}}}},
		{Token: address, UnitHours: []*orderv1.UnitPrice{{Resource: "b/b"}, {Resource: "a/a"}}},
		{Token: address, CpuHour: bytes.Repeat([]byte{255}, 17)}, {},
	} {
		b, err := proto.Marshal(p)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var p orderv1.Tariff
		if proto.Unmarshal(raw, &p) != nil {
			return
		}
		got, err := tariff.FromProto(&p)
		if err != nil {
			return
		}
		p.ProtoReflect().SetUnknown(nil)
		for _, u := range p.UnitHours {
			u.ProtoReflect().SetUnknown(nil)
		}
		if !proto.Equal(got.Proto(), &p) {
			t.Errorf("%v is read as %v", &p, got.Proto())
		}
		if _, err := got.ID(); err != nil {
			t.Errorf("what was read has no id: %v", err)
		}
	})
}
