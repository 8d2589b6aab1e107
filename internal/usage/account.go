// SPDX-License-Identifier: Apache-2.0

package usage

import (
	"fmt"

	"github.com/apocryph/apocryph/api/v1alpha1"
)

// Accrued returns all that an account may be billed for now: what is closed, and what is open up to the last second that counts. It
// returns ErrQuantity for totals that are none.
func Accrued(s v1alpha1.UsageStatus) (Totals, error) {
	t, err := Closed(s.Totals)
	if err != nil {
		return Totals{}, err
	}
	for _, i := range s.Open {
		if i.AccruedTo != nil {
			t = t.Add(RateOf(i).For(Seconds(i.Start.Time, i.AccruedTo.Time)))
		}
	}
	return t, nil
}

// Closed reads the totals of closed intervals.
func Closed(s v1alpha1.Totals) (Totals, error) {
	var t Totals
	for _, f := range []struct {
		name string
		from string
		to   *Quantity
	}{
		{"cpu", s.CPUMilliSeconds, &t.CPU},
		{"memory", s.MemoryByteSeconds, &t.Memory},
		{"ephemeral storage", s.EphemeralByteSeconds, &t.Ephemeral},
		{"storage", s.StorageByteSeconds, &t.Storage},
	} {
		q, err := ParseQuantity(f.from)
		if err != nil {
			return Totals{}, fmt.Errorf("total of %s: %w", f.name, err)
		}
		*f.to = q
	}
	return t, nil
}

// RateOf returns an interval's rate.
func RateOf(i v1alpha1.Interval) Rate {
	return Rate{MilliCPU: i.MilliCPU, MemoryBytes: i.MemoryBytes, EphemeralBytes: i.EphemeralBytes, StorageBytes: i.StorageBytes}
}
