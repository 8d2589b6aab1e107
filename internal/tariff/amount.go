// SPDX-License-Identifier: Apache-2.0

// Package tariff turns usage into money.
//
// It guards the one formula by which anybody is charged: the sum over resources of quantity × price, over one common denominator,
// with a single division at the end, rounded down in the publisher's favour. Everything is exact integers; there is no floating
// point in this package or in any type it exports. A tariff is immutable: its id is the hash of its content.
package tariff

import (
	"errors"
	"fmt"
	"math/big"
)

// ErrAmount says that a text or number is no amount: negative, not decimal, or wider than 256 bits.
var ErrAmount = errors.New("not an amount in base units")

// Amount is a non-negative number of a token's base units, at most 256 bits wide. It is immutable; its zero value is zero.
type Amount struct{ n *big.Int }

// NewAmount returns n as an amount. It keeps a copy.
func NewAmount(n *big.Int) (Amount, error) {
	if n == nil {
		return Amount{}, nil
	}
	if n.Sign() < 0 || n.BitLen() > 256 {
		return Amount{}, fmt.Errorf("%s: %w", n, ErrAmount)
	}
	return Amount{new(big.Int).Set(n)}, nil
}

// Units returns an amount of n base units.
func Units(n uint64) Amount { return Amount{new(big.Int).SetUint64(n)} }

// ParseAmount reads a decimal integer of base units.
func ParseAmount(s string) (Amount, error) {
	if s == "" || len(s) > 78 {
		return Amount{}, fmt.Errorf("%.80q: %w", s, ErrAmount)
	}
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return Amount{}, fmt.Errorf("%q: %w", s, ErrAmount)
		}
	}
	n, _ := new(big.Int).SetString(s, 10)
	return NewAmount(n)
}

// AmountFromBytes reads the wire form: big-endian, at most 32 bytes, no leading zero.
func AmountFromBytes(b []byte) (Amount, error) {
	if len(b) > 32 || (len(b) > 0 && b[0] == 0) {
		return Amount{}, fmt.Errorf("%d bytes: %w", len(b), ErrAmount)
	}
	return Amount{new(big.Int).SetBytes(b)}, nil
}

// Bytes is the wire form that AmountFromBytes reads.
func (a Amount) Bytes() []byte { return a.int().Bytes() }

// Big returns a copy.
func (a Amount) Big() *big.Int { return new(big.Int).Set(a.int()) }

// String is the decimal form that ParseAmount reads.
func (a Amount) String() string { return a.int().String() }

// MarshalText implements encoding.TextMarshaler with String.
func (a Amount) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler with ParseAmount.
func (a *Amount) UnmarshalText(b []byte) error {
	v, err := ParseAmount(string(b))
	if err != nil {
		return err
	}
	*a = v
	return nil
}

// IsZero reports whether a is zero.
func (a Amount) IsZero() bool { return a.int().Sign() == 0 }

// Equal reports whether a and b are the same; go-cmp uses it.
func (a Amount) Equal(b Amount) bool { return a.Cmp(b) == 0 }

// Cmp returns -1, 0 or 1 as a is less than, equal to or greater than b.
func (a Amount) Cmp(b Amount) int { return a.int().Cmp(b.int()) }

// Add returns a + b.
func (a Amount) Add(b Amount) Amount { return Amount{new(big.Int).Add(a.int(), b.int())} }

// Sub returns a − b, or ErrAmount when b is greater.
func (a Amount) Sub(b Amount) (Amount, error) { return NewAmount(new(big.Int).Sub(a.int(), b.int())) }

// Mul returns a × n.
func (a Amount) Mul(n uint64) Amount {
	return Amount{new(big.Int).Mul(a.int(), new(big.Int).SetUint64(n))}
}

// Min returns the smaller.
func (a Amount) Min(b Amount) Amount {
	if a.Cmp(b) < 0 {
		return a
	}
	return b
}

func (a Amount) int() *big.Int {
	if a.n == nil {
		return new(big.Int)
	}
	return a.n
}
