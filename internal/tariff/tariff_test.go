// SPDX-License-Identifier: Apache-2.0

package tariff_test

import (
	"math/big"
	"testing"

	"github.com/google/go-cmp/cmp"

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

func TestIDChangesWithEveryField(t *testing.T) {
	base := tariff.Tariff{Token: [20]byte{1}, CPUHour: tariff.Units(1)}
	seen := map[tariff.ID]string{}
	for name, v := range map[string]tariff.Tariff{
		"base": base, "token": {Token: [20]byte{2}, CPUHour: tariff.Units(1)},
		"cpu": {Token: [20]byte{1}, CPUHour: tariff.Units(2)}, "memory": {Token: [20]byte{1}, CPUHour: tariff.Units(1), MemoryGiBHour: tariff.Units(1)},
		"ephemeral": {Token: [20]byte{1}, CPUHour: tariff.Units(1), EphemeralGiBHour: tariff.Units(1)},
		"storage":   {Token: [20]byte{1}, CPUHour: tariff.Units(1), StorageGiBHour: tariff.Units(1)},
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
	prices := tariff.Tariff{CPUHour: tariff.Units(40_000), MemoryGiBHour: tariff.Units(5_001), EphemeralGiBHour: tariff.Units(103), StorageGiBHour: tariff.Units(207)}
	for seconds := range int64(5000) {
		u := usage.Rate{MilliCPU: 333, MemoryBytes: 123_456_789, EphemeralBytes: 1 << 30, StorageBytes: 77 << 20}.For(seconds)
		lines := prices.Lines(u)
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
