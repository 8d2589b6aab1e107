// SPDX-License-Identifier: Apache-2.0

// Package usage is the arithmetic of metered quantities: what a rate over an interval amounts to, exactly.
//
// Quantities only grow. An interval counts in whole seconds from its start rounded up to its end rounded down, so that a publisher
// is never charged for a part of a second they did not have, and an interval whose end lies before its start counts nothing.
package usage

import (
	"errors"
	"fmt"
	"math/big"
	"time"
)

// ErrQuantity says that a text is no quantity.
var ErrQuantity = errors.New("not a decimal quantity")

// Quantity is a non-negative exact integer. It is immutable; its zero value is zero.
type Quantity struct{ n *big.Int }

// MilliCPUSeconds counts thousandths of a vCPU × seconds.
type MilliCPUSeconds = Quantity

// ByteSeconds counts bytes × seconds.
type ByteSeconds = Quantity

// ParseQuantity reads a decimal integer; the empty string is zero.
func ParseQuantity(s string) (Quantity, error) {
	if s == "" {
		return Quantity{}, nil
	}
	if len(s) > 60 {
		return Quantity{}, fmt.Errorf("%.60q…: %w", s, ErrQuantity)
	}
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return Quantity{}, fmt.Errorf("%q: %w", s, ErrQuantity)
		}
	}
	n, _ := new(big.Int).SetString(s, 10)
	return Quantity{n}, nil
}

// Product returns rate × seconds; a negative factor counts as zero.
func Product(rate, seconds int64) Quantity {
	if rate <= 0 || seconds <= 0 {
		return Quantity{}
	}
	return Quantity{new(big.Int).Mul(big.NewInt(rate), big.NewInt(seconds))}
}

// Add returns q + r.
func (q Quantity) Add(r Quantity) Quantity { return Quantity{new(big.Int).Add(q.Big(), r.Big())} }

// Big returns a copy.
func (q Quantity) Big() *big.Int {
	if q.n == nil {
		return new(big.Int)
	}
	return new(big.Int).Set(q.n)
}

// Equal reports whether q and r are the same; go-cmp uses it.
func (q Quantity) Equal(r Quantity) bool { return q.Big().Cmp(r.Big()) == 0 }

// Cmp returns -1, 0 or 1 as q is less than, equal to or greater than r.
func (q Quantity) Cmp(r Quantity) int { return q.Big().Cmp(r.Big()) }

// String is the decimal form.
func (q Quantity) String() string { return q.Big().String() }

// Totals is what an app used.
type Totals struct {
	CPU       MilliCPUSeconds
	Memory    ByteSeconds
	Ephemeral ByteSeconds
	Storage   ByteSeconds
}

// Add returns the sum.
func (t Totals) Add(o Totals) Totals {
	return Totals{
		CPU:       t.CPU.Add(o.CPU),
		Memory:    t.Memory.Add(o.Memory),
		Ephemeral: t.Ephemeral.Add(o.Ephemeral),
		Storage:   t.Storage.Add(o.Storage),
	}
}

// Rate is what is reserved at one moment.
type Rate struct {
	MilliCPU       int64
	MemoryBytes    int64
	EphemeralBytes int64
	StorageBytes   int64
}

// Add returns the sum.
func (r Rate) Add(o Rate) Rate {
	return Rate{
		MilliCPU:       r.MilliCPU + o.MilliCPU,
		MemoryBytes:    r.MemoryBytes + o.MemoryBytes,
		EphemeralBytes: r.EphemeralBytes + o.EphemeralBytes,
		StorageBytes:   r.StorageBytes + o.StorageBytes,
	}
}

// For returns what the rate amounts to over whole seconds; not positive means nothing.
func (r Rate) For(seconds int64) Totals {
	return Totals{
		CPU:       Product(r.MilliCPU, seconds),
		Memory:    Product(r.MemoryBytes, seconds),
		Ephemeral: Product(r.EphemeralBytes, seconds),
		Storage:   Product(r.StorageBytes, seconds),
	}
}

// Seconds returns the whole seconds from start, rounded up, to end, rounded down; never negative.
func Seconds(start, end time.Time) int64 {
	from := start.Unix()
	if start.Nanosecond() > 0 {
		from++
	}
	return max(0, end.Unix()-from)
}
