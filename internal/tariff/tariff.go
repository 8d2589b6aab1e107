// SPDX-License-Identifier: Apache-2.0

package tariff

import (
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"slices"

	"google.golang.org/protobuf/proto"

	orderv1 "github.com/apocryph/apocryph/internal/gen/orderv1"
	"github.com/apocryph/apocryph/internal/usage"
)

// ErrTariff says that a tariff can't be used: a malformed token or price.
var ErrTariff = errors.New("not a valid tariff")

// maxUnitPrices bounds how many extended resources a price list can have.
const maxUnitPrices = 64

// Tariff is a price list: token base units per vCPU-hour, per GiB-hour, per GiB that leaves, and per hour of each piece of an extended
// resource. It is immutable.
type Tariff struct {
	// Token is the ERC-20 contract's address.
	Token [20]byte

	CPUHour          Amount
	MemoryGiBHour    Amount
	EphemeralGiBHour Amount
	StorageGiBHour   Amount
	EgressGiB        Amount
	// UnitHour has the extended resources that are sold, those that cost nothing among them. What is not here is not sold.
	UnitHour map[string]Amount
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
		{"egress", p.EgressGib, &t.EgressGiB},
	} {
		a, err := price(f.from)
		if err != nil {
			return Tariff{}, fmt.Errorf("price of %s: %w", f.name, err)
		}
		*f.to = a
	}
	if len(p.UnitHours) > maxUnitPrices || !slices.IsSortedFunc(p.UnitHours, byResource) {
		return Tariff{}, fmt.Errorf("%d prices of extended resources, in no order or too many: %w", len(p.UnitHours), ErrTariff)
	}
	for _, u := range p.UnitHours {
		a, err := price(u.UnitHour)
		if _, twice := t.UnitHour[u.Resource]; err != nil || twice || !usage.IsExtended(u.Resource) {
			return Tariff{}, fmt.Errorf("price of %.80q: %w", u.Resource, ErrTariff)
		}
		if t.UnitHour == nil {
			t.UnitHour = map[string]Amount{}
		}
		t.UnitHour[u.Resource] = a
	}
	return t, nil
}

func byResource(a, b *orderv1.UnitPrice) int { return cmp.Compare(a.GetResource(), b.GetResource()) }

func price(wire []byte) (Amount, error) {
	a, err := AmountFromBytes(wire)
	if err != nil || a.int().BitLen() > 128 {
		return Amount{}, ErrTariff
	}
	return a, nil
}

// Proto is the wire form.
func (t Tariff) Proto() *orderv1.Tariff {
	p := &orderv1.Tariff{
		Token:            t.Token[:],
		CpuHour:          t.CPUHour.Bytes(),
		MemoryGibHour:    t.MemoryGiBHour.Bytes(),
		EphemeralGibHour: t.EphemeralGiBHour.Bytes(),
		StorageGibHour:   t.StorageGiBHour.Bytes(),
		EgressGib:        t.EgressGiB.Bytes(),
	}
	for _, name := range slices.Sorted(maps.Keys(t.UnitHour)) {
		p.UnitHours = append(p.UnitHours, &orderv1.UnitPrice{Resource: name, UnitHour: t.UnitHour[name].Bytes()})
	}
	return p
}

// Check returns ErrTariff for a tariff that FromProto would not read.
func (t Tariff) Check() error {
	_, err := FromProto(t.Proto())
	return err
}

// Sells reports whether an extended resource has a price.
func (t Tariff) Sells(resource string) bool {
	_, ok := t.UnitHour[resource]
	return ok
}

// Priced returns what of u costs anything: what is stated of it is all that the bill rests on, and who knows nothing of a resource that is not
// in the tariff need not learn of it.
func (t Tariff) Priced(u usage.Totals) usage.Totals {
	if t.EgressGiB.IsZero() {
		u.Egress = usage.Quantity{}
	}
	all := u.Extended
	u.Extended = nil
	for name, q := range all {
		if !t.Sells(name) {
			continue
		}
		if u.Extended == nil {
			u.Extended = map[string]usage.UnitSeconds{}
		}
		u.Extended[name] = q
	}
	return u
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
//	⌊ (cpu·P_cpu·2³⁰ + (mem·P_mem + eph·P_eph + sto·P_sto)·1000 + out·P_out·1000·3600 + Σ ext·P_ext·1000·2³⁰) / (1000·3600·2³⁰) ⌋
//
// with cpu in milli-vCPU seconds, mem, eph and sto in byte seconds, out in bytes and each ext in unit seconds. What has no price costs nothing.
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
	add := func(quantity usage.Quantity, price Amount, scale int64) {
		term := quantity.Big()
		term.Mul(term, price.int())
		sum.Add(sum, term.Mul(term, big.NewInt(scale)))
	}
	add(u.CPU, t.CPUHour, gib)
	add(u.Memory, t.MemoryGiBHour, milliPerCPU)
	add(u.Ephemeral, t.EphemeralGiBHour, milliPerCPU)
	add(u.Storage, t.StorageGiBHour, milliPerCPU)
	add(u.Egress, t.EgressGiB, milliPerCPU*secondsPerHour)
	for name, used := range u.Extended {
		add(used, t.UnitHour[name], milliPerCPU*gib)
	}
	return sum
}

func denominator() *big.Int {
	d := big.NewInt(milliPerCPU * secondsPerHour)
	return d.Mul(d, big.NewInt(gib))
}
