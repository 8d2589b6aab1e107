// SPDX-License-Identifier: Apache-2.0

// Package metered reads what the meter wrote: exact usage from the Usage kind, the one sum for which vouchers are signed and bills written.
//
// It is apart from package usage so that the publisher's side, which computes the same bill, links no Kubernetes code.
package metered

import (
	"fmt"

	"github.com/apocryph/apocryph/api/v1alpha1"
	"github.com/apocryph/apocryph/internal/usage"
)

// Accrued returns all that an account may be billed for now: what is closed, and what is open up to the last second that counts. It
// returns usage.ErrQuantity for totals that are none.
func Accrued(s v1alpha1.UsageStatus) (usage.Totals, error) {
	t, err := Closed(s.Totals)
	if err != nil {
		return usage.Totals{}, err
	}
	for _, i := range s.Open {
		if i.AccruedTo != nil {
			t = t.Add(RateOf(i).For(usage.Seconds(i.Start.Time, i.AccruedTo.Time)))
		}
	}
	return t, nil
}

// Closed reads the totals of closed intervals.
func Closed(s v1alpha1.Totals) (usage.Totals, error) {
	var t usage.Totals
	for _, f := range []struct {
		name string
		from string
		to   *usage.Quantity
	}{
		{"cpu", s.CPUMilliSeconds, &t.CPU},
		{"memory", s.MemoryByteSeconds, &t.Memory},
		{"ephemeral storage", s.EphemeralByteSeconds, &t.Ephemeral},
		{"storage", s.StorageByteSeconds, &t.Storage},
		{"egress", s.EgressBytes, &t.Egress},
	} {
		q, err := usage.ParseQuantity(f.from)
		if err != nil {
			return usage.Totals{}, fmt.Errorf("total of %s: %w", f.name, err)
		}
		*f.to = q
	}
	for name, text := range s.ExtendedUnitSeconds {
		q, err := usage.ParseQuantity(text)
		if err != nil {
			return usage.Totals{}, fmt.Errorf("total of %s: %w", name, err)
		}
		t = t.Add(usage.Totals{Extended: map[string]usage.UnitSeconds{name: q}})
	}
	return t, nil
}

// RateOf returns an interval's rate.
func RateOf(i v1alpha1.Interval) usage.Rate {
	return usage.Rate{
		MilliCPU: i.MilliCPU, MemoryBytes: i.MemoryBytes, EphemeralBytes: i.EphemeralBytes, StorageBytes: i.StorageBytes, Extended: i.Extended,
	}
}
