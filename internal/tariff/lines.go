// SPDX-License-Identifier: Apache-2.0

package tariff

import (
	"math/big"

	"github.com/apocryph/apocryph/internal/usage"
)

// Line is one resource of a bill, for people and tables.
type Line struct {
	// Resource is its name; Unit what a price is for, and Quantity counts parts of it: PerUnit of them make one for an hour.
	Resource, Unit string
	Quantity       usage.Quantity
	PerUnit        int64
	Price          Amount
	// Amount is quantity × price rounded down by itself: lines may add up to a little less than the cost, which is rounded once.
	Amount Amount
}

// Lines takes a cost apart. There is one for each resource that has a price, used or not, in the order of the tariff.
func (t Tariff) Lines(u usage.Totals) []Line {
	lines := []Line{
		{Resource: "cpu", Unit: "vCPU hours", Quantity: u.CPU, PerUnit: milliPerCPU, Price: t.CPUHour},
		{Resource: "memory", Unit: "GiB hours", Quantity: u.Memory, PerUnit: gib, Price: t.MemoryGiBHour},
		{Resource: "ephemeral", Unit: "GiB hours", Quantity: u.Ephemeral, PerUnit: gib, Price: t.EphemeralGiBHour},
		{Resource: "storage", Unit: "GiB hours", Quantity: u.Storage, PerUnit: gib, Price: t.StorageGiBHour},
	}
	for i, l := range lines {
		n := new(big.Int).Mul(l.Quantity.Big(), l.Price.int())
		lines[i].Amount = Amount{n.Quo(n, big.NewInt(l.PerUnit*secondsPerHour))}
	}
	return lines
}
