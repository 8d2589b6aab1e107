// SPDX-License-Identifier: Apache-2.0

package tariff

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"math/big"

	"google.golang.org/protobuf/proto"

	orderv1 "github.com/apocryph/apocryph/internal/gen/orderv1"
	"github.com/apocryph/apocryph/internal/usage"
)

// ErrTariff says that a tariff can't be used: a malformed token or price.
var ErrTariff = errors.New("not a valid tariff")

// Tariff is a price list: token base units per vCPU-hour and per GiB-hour. It is immutable.
type Tariff struct {
	// Token is the ERC-20 contract's address.
	Token [20]byte

	CPUHour          Amount
	MemoryGiBHour    Amount
	EphemeralGiBHour Amount
	StorageGiBHour   Amount
}

// ID names a tariff by the hash of its content.
type ID [32]byte

const (
	tagTariff = "apocryph/tariff/v1\x00"

	secondsPerHour = 3600
	milliPerCPU    = 1000
	gib            = 1 << 30
)

// FromProto reads the wire form.
func FromProto(p *orderv1.Tariff) (Tariff, error) {
	var t Tariff
	if p == nil || len(p.Token) != len(t.Token) {
		return Tariff{}, fmt.Errorf("token address: %w", ErrTariff)
	}
	copy(t.Token[:], p.Token)
	for _, f := range []struct {
		name string
		from []byte
		to   *Amount
	}{
		{"cpu", p.CpuHour, &t.CPUHour},
		{"memory", p.MemoryGibHour, &t.MemoryGiBHour},
		{"ephemeral storage", p.EphemeralGibHour, &t.EphemeralGiBHour},
		{"storage", p.StorageGibHour, &t.StorageGiBHour},
	} {
		a, err := AmountFromBytes(f.from)
		if err != nil || a.int().BitLen() > 128 {
			return Tariff{}, fmt.Errorf("price of %s: %w", f.name, ErrTariff)
		}
		*f.to = a
	}
	return t, nil
}

// Proto is the wire form.
func (t Tariff) Proto() *orderv1.Tariff {
	return &orderv1.Tariff{
		Token:            t.Token[:],
		CpuHour:          t.CPUHour.Bytes(),
		MemoryGibHour:    t.MemoryGiBHour.Bytes(),
		EphemeralGibHour: t.EphemeralGiBHour.Bytes(),
		StorageGibHour:   t.StorageGiBHour.Bytes(),
	}
}

// ID returns the hash of the wire form.
func (t Tariff) ID() (ID, error) {
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(t.Proto())
	if err != nil {
		return ID{}, fmt.Errorf("encoding tariff: %w", err)
	}
	return sha256.Sum256(append([]byte(tagTariff), b...)), nil
}

// Cost returns what u costs, rounded down to a base unit in the publisher's favour:
//
//	⌊ (cpu·P_cpu·2³⁰ + (mem·P_mem + eph·P_eph + sto·P_sto)·1000) / (1000·3600·2³⁰) ⌋
//
// with cpu in milli-vCPU seconds, the others in byte seconds.
func (t Tariff) Cost(u usage.Totals) Amount {
	return Amount{new(big.Int).Quo(t.numerator(u), denominator())}
}

// CostUp is Cost rounded up, for bounds that must not be too small (a channel's cap), never for a bill.
func (t Tariff) CostUp(u usage.Totals) Amount {
	q, r := new(big.Int).QuoRem(t.numerator(u), denominator(), new(big.Int))
	if r.Sign() > 0 {
		q.Add(q, big.NewInt(1))
	}
	return Amount{q}
}

func (t Tariff) numerator(u usage.Totals) *big.Int {
	sum := new(big.Int)
	for _, f := range []struct {
		quantity *big.Int
		price    Amount
		scale    int64
	}{
		{u.CPU.Big(), t.CPUHour, gib},
		{u.Memory.Big(), t.MemoryGiBHour, milliPerCPU},
		{u.Ephemeral.Big(), t.EphemeralGiBHour, milliPerCPU},
		{u.Storage.Big(), t.StorageGiBHour, milliPerCPU},
	} {
		term := new(big.Int).Mul(f.quantity, f.price.int())
		sum.Add(sum, term.Mul(term, big.NewInt(f.scale)))
	}
	return sum
}

func denominator() *big.Int {
	d := big.NewInt(milliPerCPU * secondsPerHour)
	return d.Mul(d, big.NewInt(gib))
}
