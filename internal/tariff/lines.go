// SPDX-License-Identifier: Apache-2.0

package tariff

import (
	"maps"
	"math/big"
	"slices"

	"github.com/apocryph/apocryph/internal/usage"
)

// Line is one resource of a bill, for people and tables.
type Line struct {
	// Resource is its name; Unit what a price is for, and Quantity counts parts of it, named Part: PerUnit of them, for as many Seconds, make one.
	Resource, Unit, Part string
	Quantity             usage.Quantity
	PerUnit              int64
	// Seconds are those of an hour, or 1 for what no time is counted of.
	Seconds int64
	Price   Amount
	// Amount is quantity × price rounded down by itself: lines may add up to a little less than the cost, which is rounded once.
	Amount Amount
}

// Lines takes a cost apart, in the order of the tariff. There is a line for each of the four that every app has, used or not, and for each other
// resource that has a price or was used.
func (t Tariff) Lines(u usage.Totals) []Line {
	const gibHours, byteSeconds = "GiB hours", "byte seconds"
	lines := []Line{
		{Resource: "cpu", Unit: "vCPU hours", Part: "milli-vCPU seconds", Quantity: u.CPU, PerUnit: milliPerCPU, Price: t.CPUHour},
		{Resource: "memory", Unit: gibHours, Part: byteSeconds, Quantity: u.Memory, PerUnit: gib, Price: t.MemoryGiBHour},
		{Resource: "ephemeral", Unit: gibHours, Part: byteSeconds, Quantity: u.Ephemeral, PerUnit: gib, Price: t.EphemeralGiBHour},
		{Resource: "storage", Unit: gibHours, Part: byteSeconds, Quantity: u.Storage, PerUnit: gib, Price: t.StorageGiBHour},
	}
	for i := range lines {
		lines[i].Seconds = secondsPerHour
	}
	if !t.EgressGiB.IsZero() || u.Egress.Big().Sign() > 0 {
		lines = append(lines, Line{Resource: "egress", Unit: "GiB", Part: "bytes", Quantity: u.Egress, PerUnit: gib, Seconds: 1, Price: t.EgressGiB})
	}
	names := map[string]bool{}
	for name := range t.UnitHour {
		names[name] = true
	}
	for name := range u.Extended {
		names[name] = true
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		lines = append(lines, Line{
			Resource: name, Unit: "unit hours", Part: "unit seconds", Quantity: u.Extended[name], PerUnit: 1, Seconds: secondsPerHour, Price: t.UnitHour[name],
		})
	}
	for i, l := range lines {
		n := new(big.Int).Mul(l.Quantity.Big(), l.Price.int())
		n.Quo(n, big.NewInt(l.PerUnit))
		lines[i].Amount = Amount{n.Quo(n, big.NewInt(l.Seconds))}
	}
	return lines
}
