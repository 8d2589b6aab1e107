// SPDX-License-Identifier: Apache-2.0

// Package usage is the arithmetic of metered quantities: what a rate over an interval amounts to, exactly.
//
// Besides what every app has there are extended resources, as Kubernetes calls them: whole pieces, each kind by its name, nvidia.com/gpu for
// example. And there are bytes that leave for addresses outside of the cluster, which no time is counted of.
//
// Quantities only grow. An interval counts in whole seconds from its start rounded up to its end rounded down, so that a publisher
// is never charged for a part of a second they did not have, and an interval whose end lies before its start counts nothing.
package usage

import (
	"errors"
	"fmt"
	"maps"
	"math/big"
	"regexp"
	"strings"
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

// UnitSeconds counts pieces × seconds.
type UnitSeconds = Quantity

// Bytes returns a number of bytes; a negative one counts as zero.
func Bytes(n int64) Quantity { return Product(n, 1) }

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

// beyond returns q − r, or zero where r is greater.
func (q Quantity) beyond(r Quantity) Quantity {
	if q.Cmp(r) <= 0 {
		return Quantity{}
	}
	return Quantity{new(big.Int).Sub(q.Big(), r.Big())}
}

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
	// Egress are bytes that left for addresses outside of the cluster.
	Egress Quantity
	// Extended has what was used of each extended resource, and none of which nothing was.
	Extended map[string]UnitSeconds
}

// Add returns the sum.
func (t Totals) Add(o Totals) Totals {
	return Totals{
		CPU:       t.CPU.Add(o.CPU),
		Memory:    t.Memory.Add(o.Memory),
		Ephemeral: t.Ephemeral.Add(o.Ephemeral),
		Storage:   t.Storage.Add(o.Storage),
		Egress:    t.Egress.Add(o.Egress),
		Extended:  merge(t.Extended, o.Extended, Quantity.Add),
	}
}

// merge is a map of both, nil for an empty one; what both have is summed up.
func merge[T any](a, b map[string]T, sum func(T, T) T) map[string]T {
	if len(a)+len(b) == 0 {
		return nil
	}
	all := maps.Clone(a)
	if all == nil {
		all = map[string]T{}
	}
	for name, v := range b {
		if have, ok := all[name]; ok {
			v = sum(have, v)
		}
		all[name] = v
	}
	return all
}

// Beyond returns what t has more than o; where it has less, nothing.
func (t Totals) Beyond(o Totals) Totals {
	more := Totals{
		CPU:       t.CPU.beyond(o.CPU),
		Memory:    t.Memory.beyond(o.Memory),
		Ephemeral: t.Ephemeral.beyond(o.Ephemeral),
		Storage:   t.Storage.beyond(o.Storage),
		Egress:    t.Egress.beyond(o.Egress),
	}
	for name, q := range t.Extended {
		if q = q.beyond(o.Extended[name]); q.Big().Sign() > 0 {
			more.Extended = merge(more.Extended, map[string]UnitSeconds{name: q}, Quantity.Add)
		}
	}
	return more
}

// Rate is what is reserved at one moment.
type Rate struct {
	MilliCPU       int64
	MemoryBytes    int64
	EphemeralBytes int64
	StorageBytes   int64
	// Extended are units of extended resources.
	Extended map[string]int64
}

// extendedName is what Kubernetes takes for the name of an extended resource, less what it keeps for itself.
var extendedName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*/[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$`)

// IsExtended reports whether this can be the name of an extended resource.
func IsExtended(name string) bool {
	domain, _, qualified := strings.Cut(name, "/")
	return qualified && len(domain) <= 240 && extendedName.MatchString(name) &&
		domain != "kubernetes.io" && !strings.HasSuffix(domain, ".kubernetes.io") && !strings.HasPrefix(domain, "requests.")
}

// Equal reports whether two rates are the same; none of a resource is zero of it.
func (r Rate) Equal(o Rate) bool {
	for _, names := range []map[string]int64{r.Extended, o.Extended} {
		for name := range names {
			if r.Extended[name] != o.Extended[name] {
				return false
			}
		}
	}
	return r.MilliCPU == o.MilliCPU && r.MemoryBytes == o.MemoryBytes && r.EphemeralBytes == o.EphemeralBytes && r.StorageBytes == o.StorageBytes
}

// Add returns the sum.
func (r Rate) Add(o Rate) Rate {
	return Rate{
		MilliCPU:       r.MilliCPU + o.MilliCPU,
		MemoryBytes:    r.MemoryBytes + o.MemoryBytes,
		EphemeralBytes: r.EphemeralBytes + o.EphemeralBytes,
		StorageBytes:   r.StorageBytes + o.StorageBytes,
		Extended:       merge(r.Extended, o.Extended, func(a, b int64) int64 { return a + b }),
	}
}

// For returns what the rate amounts to over whole seconds; not positive means nothing.
func (r Rate) For(seconds int64) Totals {
	t := Totals{
		CPU:       Product(r.MilliCPU, seconds),
		Memory:    Product(r.MemoryBytes, seconds),
		Ephemeral: Product(r.EphemeralBytes, seconds),
		Storage:   Product(r.StorageBytes, seconds),
	}
	for name, n := range r.Extended {
		if used := Product(n, seconds); used.Big().Sign() > 0 {
			t.Extended = merge(t.Extended, map[string]UnitSeconds{name: used}, Quantity.Add)
		}
	}
	return t
}

// Seconds returns the whole seconds from start, rounded up, to end, rounded down; never negative.
func Seconds(start, end time.Time) int64 {
	from := start.Unix()
	if start.Nanosecond() > 0 {
		from++
	}
	return max(0, end.Unix()-from)
}
