// SPDX-License-Identifier: Apache-2.0

package tariff_test

import (
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"testing"

	"github.com/google/go-cmp/cmp"

	orderv1 "github.com/apocryph/apocryph/internal/gen/orderv1"
	"github.com/apocryph/apocryph/internal/tariff"
	"github.com/apocryph/apocryph/internal/usage"
)

func TestCost(t *testing.T) {
	prices := tariff.Tariff{
		CPUHour:          tariff.Units(40_000),
		MemoryGiBHour:    tariff.Units(5_000),
		EphemeralGiBHour: tariff.Units(100),
		StorageGiBHour:   tariff.Units(200),
	}
	const gib = 1 << 30
	cases := map[string]struct {
		rate    usage.Rate
		seconds int64
		want    uint64
		wantUp  uint64
	}{
		"nothing costs nothing":               {usage.Rate{}, 3600, 0, 0},
		"one vCPU for an hour":                {usage.Rate{MilliCPU: 1000}, 3600, 40_000, 40_000},
		"a GiB of each kind for an hour":      {usage.Rate{MemoryBytes: gib, EphemeralBytes: gib, StorageBytes: gib}, 3600, 5_300, 5_300},
		"a part of a base unit is not owed":   {usage.Rate{StorageBytes: gib}, 17, 0, 1},
		"parts of several resources add up":   {usage.Rate{StorageBytes: gib, EphemeralBytes: gib}, 12, 1, 1},
		"a fifth of a vCPU for ten seconds":   {usage.Rate{MilliCPU: 200}, 10, 22, 23},
		"one byte for a second rounds to 0":   {usage.Rate{MemoryBytes: 1}, 1, 0, 1},
		"negative time is no time":            {usage.Rate{MilliCPU: 1000}, -5, 0, 0},
		"eighteen years of a large machine":   {usage.Rate{MilliCPU: 1_000_000}, 3600 * 24 * 365 * 18, 6_307_200_000_000, 6_307_200_000_000},
		"a petabyte for a century, no wrap":   {usage.Rate{StorageBytes: 1 << 50}, 3600 * 24 * 36525, 183_836_344_320_000, 183_836_344_320_000},
		"one milli-vCPU for ninety seconds":   {usage.Rate{MilliCPU: 1}, 90, 1, 1},
		"one milli-vCPU for eighty-nine secs": {usage.Rate{MilliCPU: 1}, 89, 0, 1},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			u := c.rate.For(c.seconds)
			if diff := cmp.Diff(tariff.Units(c.want), prices.Cost(u)); diff != "" {
				t.Errorf("cost (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tariff.Units(c.wantUp), prices.CostUp(u)); diff != "" {
				t.Errorf("cost rounded up (-want +got):\n%s", diff)
			}
		})
	}
}

func TestCostIsTheSameHoweverTimeIsCut(t *testing.T) {
	prices := tariff.Tariff{CPUHour: tariff.Units(7), MemoryGiBHour: tariff.Units(3)}
	rate := usage.Rate{MilliCPU: 333, MemoryBytes: 12_345_678}
	var parts usage.Totals
	for i := int64(1); i <= 1000; i++ {
		parts = parts.Add(rate.For(i))
	}
	if diff := cmp.Diff(prices.Cost(rate.For(500_500)), prices.Cost(parts)); diff != "" {
		t.Errorf("whole against parts (-want +got):\n%s", diff)
	}
}

func TestAmount(t *testing.T) {
	for name, text := range map[string]string{
		"empty": "", "negative": "-1", "plus": "+1", "fraction": "1.5", "hex": "0x10", "spaces": " 1",
		"too wide": new(big.Int).Lsh(big.NewInt(1), 256).String(),
	} {
		t.Run(name+" is refused", func(t *testing.T) {
			if a, err := tariff.ParseAmount(text); err == nil {
				t.Errorf("ParseAmount(%q) = %s, want an error", text, a)
			}
		})
	}
	widest := new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 256), big.NewInt(1))
	a, err := tariff.ParseAmount(widest.String())
	if err != nil {
		t.Fatal(err)
	}
	if back, err := tariff.AmountFromBytes(a.Bytes()); err != nil || !back.Equal(a) {
		t.Errorf("AmountFromBytes(Bytes) = %s, %v, want %s", back, err, a)
	}
	if _, err := tariff.Units(1).Sub(tariff.Units(2)); err == nil {
		t.Error("1 − 2 gave no error")
	}
	if _, err := tariff.AmountFromBytes([]byte{0, 1}); err == nil {
		t.Error("a leading zero was accepted")
	}
}

// Bytes have no time, and pieces no size: each has its own scale under the one denominator.
func TestCostOfEgressAndExtendedResources(t *testing.T) {
	prices := tariff.Tariff{
		CPUHour: tariff.Units(3600), EgressGiB: tariff.Units(1 << 30), UnitHour: map[string]tariff.Amount{"nvidia.com/gpu": tariff.Units(900_000), "example.org/free": {}},
	}
	gpu := func(n, seconds int64) usage.Totals {
		return usage.Rate{Extended: map[string]int64{"nvidia.com/gpu": n}}.For(seconds)
	}
	for name, c := range map[string]struct {
		used         usage.Totals
		want, wantUp uint64
	}{
		"a byte at a unit for each":              {usage.Totals{Egress: usage.Bytes(1)}, 1, 1},
		"four GiB":                               {usage.Totals{Egress: usage.Bytes(4 << 30)}, 4 << 30, 4 << 30},
		"an hour of a GPU":                       {gpu(1, 3600), 900_000, 900_000},
		"a second of three GPUs":                 {gpu(3, 1), 750, 750},
		"what costs nothing":                     {usage.Rate{Extended: map[string]int64{"example.org/free": 8}}.For(3600), 0, 0},
		"what has no price":                      {usage.Rate{Extended: map[string]int64{"example.org/fpga": 8}}.For(3600), 0, 0},
		"all together, with a second of a vCPU":  {usage.Rate{MilliCPU: 1000}.For(1).Add(usage.Totals{Egress: usage.Bytes(5)}).Add(gpu(1, 1)), 256, 256},
		"halves of two resources are one":        {usage.Rate{MilliCPU: 500}.For(1).Add(usage.Rate{MilliCPU: 500}.For(1)), 1, 1},
		"a part of a unit is not owed":           {usage.Rate{MilliCPU: 999}.For(1).Add(usage.Totals{Egress: usage.Bytes(2)}), 2, 3},
		"a negative number of bytes is no bytes": {usage.Totals{Egress: usage.Bytes(-9)}, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			if got := prices.Cost(c.used); !got.Equal(tariff.Units(c.want)) {
				t.Errorf("cost %s, want %d", got, c.want)
			}
			if got := prices.CostUp(c.used); !got.Equal(tariff.Units(c.wantUp)) {
				t.Errorf("cost rounded up %s, want %d", got, c.wantUp)
			}
		})
	}
	all := gpu(1, 1).Add(usage.Rate{Extended: map[string]int64{"example.org/fpga": 1}}.For(1)).Add(usage.Totals{Egress: usage.Bytes(7)})
	if got := prices.Priced(all); len(got.Extended) != 1 || got.Egress.String() != "7" || len(all.Extended) != 2 {
		t.Errorf("priced is %v, of %v", got, all)
	}
	if got := (tariff.Tariff{}).Priced(all); got.Extended != nil || got.Egress.String() != "0" {
		t.Errorf("a tariff without prices prices %v", got)
	}
}

// What was offered before there were prices for egress and extended resources is the same tariff as ever.
func TestATariffKeepsItsID(t *testing.T) {
	old := tariff.Tariff{Token: [20]byte{1, 2, 3}, CPUHour: tariff.Units(40_000), MemoryGiBHour: tariff.Units(5_000), EphemeralGiBHour: tariff.Units(100), StorageGiBHour: tariff.Units(200)}
	id, err := old.ID()
	if err != nil {
		t.Fatal(err)
	}
	if got, want := hex.EncodeToString(id[:]), "b23bb98ffe8bb6a55736520d997207309d862ed42c38dd7ff5dd44f0ecbdf183"; got != want {
		t.Errorf("its id is %s, was %s", got, want)
	}
	old.UnitHour = map[string]tariff.Amount{}
	if again, err := old.ID(); err != nil || again != id {
		t.Errorf("with no prices of extended resources it is %x, %v", again, err)
	}
}

func TestPricesOfExtendedResourcesAreOneList(t *testing.T) {
	price := func(name string) *orderv1.UnitPrice { return &orderv1.UnitPrice{Resource: name, UnitHour: []byte{1}} }
	var many []*orderv1.UnitPrice
	for i := range 65 {
		many = append(many, price(fmt.Sprintf("x/%03d", i)))
	}
	for name, c := range map[string]struct {
		prices []*orderv1.UnitPrice
		ok     bool
	}{
		"none": {nil, true}, "two": {[]*orderv1.UnitPrice{price("a/b"), price("a/c")}, true}, "64": {many[:64], true}, "65": {many, false},
		"out of order": {[]*orderv1.UnitPrice{price("a/c"), price("a/b")}, false}, "twice": {[]*orderv1.UnitPrice{price("a/b"), price("a/b")}, false},
		"of what is none":   {[]*orderv1.UnitPrice{price("cpu")}, false},
		"not as it is sent": {[]*orderv1.UnitPrice{{Resource: "a/b", UnitHour: []byte{0, 1}}}, false},
		"too dear":          {[]*orderv1.UnitPrice{{Resource: "a/b", UnitHour: make([]byte, 33)}}, false},
	} {
		_, err := tariff.FromProto(&orderv1.Tariff{Token: make([]byte, 20), UnitHours: c.prices})
		if (err == nil) != c.ok || err != nil && !errors.Is(err, tariff.ErrTariff) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := (tariff.Tariff{UnitHour: map[string]tariff.Amount{"cpu": {}}}).Check(); !errors.Is(err, tariff.ErrTariff) {
		t.Errorf("a price list of the provider's own: %v", err)
	}
}

func TestIDChangesWithEveryField(t *testing.T) {
	base := tariff.Tariff{Token: [20]byte{1}, CPUHour: tariff.Units(1)}
	seen := map[tariff.ID]string{}
	for name, v := range map[string]tariff.Tariff{
		"base": base, "token": {Token: [20]byte{2}, CPUHour: tariff.Units(1)},
		"cpu": {Token: [20]byte{1}, CPUHour: tariff.Units(2)}, "memory": {Token: [20]byte{1}, CPUHour: tariff.Units(1), MemoryGiBHour: tariff.Units(1)},
		"ephemeral": {Token: [20]byte{1}, CPUHour: tariff.Units(1), EphemeralGiBHour: tariff.Units(1)},
		"storage":   {Token: [20]byte{1}, CPUHour: tariff.Units(1), StorageGiBHour: tariff.Units(1)},
		"egress":    {Token: [20]byte{1}, CPUHour: tariff.Units(1), EgressGiB: tariff.Units(1)},
		"a GPU":     {Token: [20]byte{1}, CPUHour: tariff.Units(1), UnitHour: map[string]tariff.Amount{"nvidia.com/gpu": tariff.Units(1)}},
		"another":   {Token: [20]byte{1}, CPUHour: tariff.Units(1), UnitHour: map[string]tariff.Amount{"amd.com/gpu": tariff.Units(1)}},
		"for free":  {Token: [20]byte{1}, CPUHour: tariff.Units(1), UnitHour: map[string]tariff.Amount{"amd.com/gpu": {}}},
	} {
		id, err := v.ID()
		if err != nil {
			t.Fatal(err)
		}
		if other, dup := seen[id]; dup {
			t.Errorf("%s and %s have the same id", name, other)
		}
		seen[id] = name
		back, err := tariff.FromProto(v.Proto())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(v, back); diff != "" {
			t.Errorf("%s after the wire (-want +got):\n%s", name, diff)
		}
	}
}

// The lines of a bill are its parts: each rounded down by itself, together never above the cost and less than their number below it.
func TestLinesAddUpToTheCost(t *testing.T) {
	prices := tariff.Tariff{
		CPUHour: tariff.Units(40_000), MemoryGiBHour: tariff.Units(5_001), EphemeralGiBHour: tariff.Units(103), StorageGiBHour: tariff.Units(207),
		EgressGiB: tariff.Units(20_011), UnitHour: map[string]tariff.Amount{"nvidia.com/gpu": tariff.Units(900_001)},
	}
	for seconds := range int64(5000) {
		u := usage.Rate{MilliCPU: 333, MemoryBytes: 123_456_789, EphemeralBytes: 1 << 30, StorageBytes: 77 << 20, Extended: map[string]int64{"nvidia.com/gpu": 2}}.For(seconds)
		u.Egress = usage.Bytes(seconds * 1_234_567)
		lines := prices.Lines(u)
		if len(lines) != 6 {
			t.Fatalf("%d lines", len(lines))
		}
		var sum tariff.Amount
		for _, l := range lines {
			sum = sum.Add(l.Amount)
		}
		lost, err := prices.Cost(u).Sub(sum)
		if err != nil || lost.Cmp(tariff.Units(uint64(len(lines)))) >= 0 {
			t.Fatalf("after %d s lines sum up to %s, and the cost is %s", seconds, sum, prices.Cost(u))
		}
	}
	if got := prices.Lines(usage.Rate{MilliCPU: 1500, StorageBytes: 2 << 30}.For(3600)); got[0].Amount.String() != "60000" || got[3].Amount.String() != "414" {
		t.Errorf("an hour of 1.5 vCPUs is %s, of 2 GiB %s", got[0].Amount, got[3].Amount)
	}
}
