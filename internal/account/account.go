// SPDX-License-Identifier: Apache-2.0

// Package account is what an enclave states that an app used and what that comes to, and the file in which a publisher keeps it.
//
// The channel's voucher key signs it, with a tag of its own: an account pays nobody, and no voucher or quote passes for one. It names the
// app, the channel and the tariff, and holds the exact quantities, so whoever has it and the channel's terms and quote checks the whole way
// from the channel's id, which the chain knows, to the last base unit, without the provider, the chain or the publisher's word. What it
// can't show is that the quantities are true: that is worth what the evidence that names the key is worth. Accounts of one app are
// ordered by their sequence; an older one stays true of its time.
package account

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"google.golang.org/protobuf/proto"

	"github.com/apocryph/apocryph/internal/channel"
	"github.com/apocryph/apocryph/internal/eip712"
	orderv1 "github.com/apocryph/apocryph/internal/gen/orderv1"
	"github.com/apocryph/apocryph/internal/tariff"
	"github.com/apocryph/apocryph/internal/usage"
)

// ErrInvalid says that an account is malformed, not signed by the one who had to, or does not add up.
var ErrInvalid = errors.New("invalid account")

const (
	tagAccount = "apocryph/account/v1\x00"

	maxAccount = 4 << 10
)

// Account is what an app used on a channel.
type Account struct {
	App     [32]byte
	Channel channel.ID
	Tariff  tariff.ID
	// Usage is what the tariff has a price for; in an account that ends a channel's bill while the app goes on, all of it.
	Usage usage.Totals
	// Total is usage × tariff, rounded down once, and Arrears.
	Total tariff.Amount
	// Arrears are what channels before this one left unpaid, and this one pays.
	Arrears tariff.Amount
	// AccruedTo is how far usage is counted.
	AccruedTo time.Time
	// Sequence grows with every account of an app.
	Sequence uint64
	// Final says that no more will be added.
	Final bool
}

// Sign signs an account with the voucher key.
func Sign(a Account, key *ecdsa.PrivateKey) (*orderv1.SignedAccount, error) {
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(a.proto())
	if err != nil {
		return nil, fmt.Errorf("encoding account: %w", err)
	}
	sig, err := eip712.Sign(hash(b), key)
	if err != nil {
		return nil, err
	}
	return &orderv1.SignedAccount{Account: b, Signature: sig}, nil
}

// Verify returns what signer signed, or ErrInvalid.
func Verify(s *orderv1.SignedAccount, signer common.Address) (Account, error) {
	a, err := Parse(s)
	if err != nil {
		return Account{}, err
	}
	if err := signedBy(signer, hash(s.Account), s.Signature); err != nil {
		return Account{}, err
	}
	return a, nil
}

// signedBy returns ErrInvalid unless a signature is signer's.
func signedBy(signer common.Address, what common.Hash, signature []byte) error {
	who, err := eip712.Recover(what, signature)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if who != signer {
		return fmt.Errorf("signed by %s, not by %s: %w", who, signer, ErrInvalid)
	}
	return nil
}

// Parse reads an account, whoever signed it, or returns ErrInvalid.
func Parse(s *orderv1.SignedAccount) (Account, error) {
	var p orderv1.Account
	if s == nil || len(s.ProtoReflect().GetUnknown()) > 0 || len(s.Account) > maxAccount ||
		proto.Unmarshal(s.Account, &p) != nil || len(p.ProtoReflect().GetUnknown()) > 0 {
		return Account{}, fmt.Errorf("unreadable: %w", ErrInvalid)
	}
	return fromProto(&p)
}

// Check returns ErrInvalid unless the account is of a channel with these terms, and its total what usage × tariff comes to.
func (a Account) Check(t channel.Terms, d eip712.Domain, prices tariff.Tariff) error {
	switch id := t.ID(d); {
	case a.Channel != id:
		return fmt.Errorf("it is of channel %s, not of %s: %w", a.Channel, id, ErrInvalid)
	case a.App != t.App:
		return fmt.Errorf("it is of another app: %w", ErrInvalid)
	case a.Tariff != t.Tariff:
		return fmt.Errorf("it is by another tariff: %w", ErrInvalid)
	}
	if id, err := prices.ID(); err != nil || id != a.Tariff {
		return fmt.Errorf("its tariff is another than these prices: %w", errors.Join(ErrInvalid, err))
	}
	if want := prices.Cost(a.Usage).Add(a.Arrears); !want.Equal(a.Total) {
		return fmt.Errorf("its total is %s base units, and usage × tariff is %s, with %s of arrears: %w", a.Total, want, a.Arrears, ErrInvalid)
	}
	return nil
}

func hash(encoded []byte) common.Hash { return sha256.Sum256(append([]byte(tagAccount), encoded...)) }

func (a Account) proto() *orderv1.Account {
	p := &orderv1.Account{
		App: a.App[:], Channel: a.Channel[:], Tariff: a.Tariff[:],
		CpuMilliSeconds: a.Usage.CPU.String(), MemoryByteSeconds: a.Usage.Memory.String(),
		EphemeralByteSeconds: a.Usage.Ephemeral.String(), StorageByteSeconds: a.Usage.Storage.String(),
		Total: a.Total.Bytes(), Arrears: a.Arrears.Bytes(), Sequence: a.Sequence, Final: a.Final,
	}
	if a.Usage.Egress.Big().Sign() > 0 {
		p.EgressBytes = a.Usage.Egress.String()
	}
	p.Extended = Extended(a.Usage)
	if !a.AccruedTo.IsZero() {
		p.AccruedTo = uint64(max(a.AccruedTo.Unix(), 0))
	}
	return p
}

func fromProto(p *orderv1.Account) (Account, error) {
	a := Account{Sequence: p.Sequence, Final: p.Final}
	for _, f := range []struct{ to, from []byte }{{a.App[:], p.App}, {a.Channel[:], p.Channel}, {a.Tariff[:], p.Tariff}} {
		if len(f.from) != len(f.to) {
			return Account{}, fmt.Errorf("a field of %d bytes where %d belong: %w", len(f.from), len(f.to), ErrInvalid)
		}
		copy(f.to, f.from)
	}
	var errs []error
	for _, f := range []struct {
		to   *usage.Quantity
		from string
	}{
		{&a.Usage.CPU, p.CpuMilliSeconds}, {&a.Usage.Memory, p.MemoryByteSeconds},
		{&a.Usage.Ephemeral, p.EphemeralByteSeconds}, {&a.Usage.Storage, p.StorageByteSeconds}, {&a.Usage.Egress, p.EgressBytes},
	} {
		q, err := usage.ParseQuantity(f.from)
		*f.to = q
		errs = append(errs, err)
	}
	var err1, err2, err3 error
	a.Usage.Extended, err1 = ReadExtended(p.Extended)
	a.Total, err2 = tariff.AmountFromBytes(p.Total)
	a.Arrears, err3 = tariff.AmountFromBytes(p.Arrears)
	if err := errors.Join(append(errs, err1, err2, err3)...); err != nil {
		return Account{}, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if p.AccruedTo > 0 {
		a.AccruedTo = time.Unix(int64(min(p.AccruedTo, 1<<40)), 0)
	}
	return a, nil
}

// Extended is the wire form of what was used of extended resources.
func Extended(u usage.Totals) []*orderv1.UnitSeconds {
	var all []*orderv1.UnitSeconds
	for _, name := range slices.Sorted(maps.Keys(u.Extended)) {
		all = append(all, &orderv1.UnitSeconds{Resource: name, UnitSeconds: u.Extended[name].String()})
	}
	return all
}

// ReadExtended is the inverse of Extended. It returns usage.ErrQuantity for a list that is none.
func ReadExtended(all []*orderv1.UnitSeconds) (map[string]usage.UnitSeconds, error) {
	var read map[string]usage.UnitSeconds
	for i, e := range all {
		q, err := usage.ParseQuantity(e.GetUnitSeconds())
		if err != nil || len(e.ProtoReflect().GetUnknown()) > 0 || !usage.IsExtended(e.GetResource()) || q.Big().Sign() == 0 ||
			i > 0 && all[i-1].GetResource() >= e.GetResource() {
			return nil, fmt.Errorf("%.80q units of %.80q: %w", e.GetUnitSeconds(), e.GetResource(), usage.ErrQuantity)
		}
		if read == nil {
			read = map[string]usage.UnitSeconds{}
		}
		read[e.GetResource()] = q
	}
	return read, nil
}
