// SPDX-License-Identifier: Apache-2.0

// Package delegation says who may act for a publisher, and what the publisher ordered.
//
// A wallet signs one delegation: peer X may act for publisher P at provider Q (address and peer id), for these operations and these
// apps, until T. The delegated peer's own key signs statements: this app, this manifest, this channel, this sequence number. Whoever
// trusts neither the network nor the gateway verifies the chain wallet → delegation → statement, and that the wallet is the
// publisher in the app id. Nothing here is a bearer token: a delegation is worthless without the private key of the peer it names.
//
// Delegations expire; statements do not, but their sequence numbers only grow, and a statement names the channel that pays, which is a
// tombstone once closed.
package delegation

import (
	"bytes"
	"cmp"
	"crypto/ecdsa"
	"encoding/base32"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"

	"github.com/apocryph/apocryph/internal/eip712"
	orderv1 "github.com/apocryph/apocryph/internal/gen/orderv1"
)

// Errors of Verify and Allows.
var (
	// ErrInvalid says that a delegation is malformed or not signed by the publisher that it names.
	ErrInvalid = errors.New("invalid delegation")
	// ErrForeign says that it is for another peer, provider, app or publisher.
	ErrForeign = errors.New("foreign delegation")
	// ErrExpired says that it is no longer, or not yet, in force.
	ErrExpired = errors.New("expired delegation")
	// ErrOperation says that it does not cover the operation.
	ErrOperation = errors.New("operation not delegated")
)

const (
	// MaxLife is the longest that a delegation may last.
	MaxLife = 31 * 24 * time.Hour
	// Skew is how far the signer's clock may run ahead.
	Skew = 5 * time.Minute

	// maxOperation is the largest that fits the uint8 of the signed form.
	maxOperation = 255
	maxApps      = 1024
	maxPeer      = 64
)

// AppID names an app for ever.
type AppID [32]byte

// NewAppID returns keccak256(abi.encode(publisher, provider, salt)).
func NewAppID(publisher, provider common.Address, salt [32]byte) AppID {
	return AppID(crypto.Keccak256Hash(eip712.Address(publisher), eip712.Address(provider), salt[:]))
}

// ParseAppID reads the form that String writes.
func ParseAppID(s string) (AppID, error) {
	b, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(strings.ToUpper(s))
	if err != nil || len(b) != 32 || s != AppID(b).String() {
		return AppID{}, fmt.Errorf("%.60q is not an app id (52 characters a-z, 2-7)", s)
	}
	return AppID(b), nil
}

// String is lower-case base32 without padding, 52 characters: a name for Kubernetes objects.
func (id AppID) String() string {
	return strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(id[:]))
}

// Provider is whom a delegation is for.
type Provider struct {
	Address common.Address
	// Peer is the libp2p peer id in binary form.
	Peer string
}

// Delegation is a verified one.
type Delegation struct {
	Publisher  common.Address
	Peer       string
	Provider   Provider
	Operations []orderv1.Operation
	Apps       []AppID
	AllApps    bool
	IssuedAt   time.Time
	ExpiresAt  time.Time
}

// Sign makes the wire form, signed by the publisher's wallet key.
func Sign(d Delegation, domain eip712.Domain, wallet *ecdsa.PrivateKey) (*orderv1.SignedDelegation, error) {
	p := &orderv1.Delegation{
		Peer:         []byte(d.Peer),
		Publisher:    d.Publisher[:],
		Provider:     d.Provider.Address[:],
		ProviderPeer: []byte(d.Provider.Peer),
		Operations:   slices.Compact(slices.Sorted(slices.Values(d.Operations))),
		AllApps:      d.AllApps,
		IssuedAt:     uint64(d.IssuedAt.Unix()),
		ExpiresAt:    uint64(d.ExpiresAt.Unix()),
	}
	for _, id := range d.Apps {
		p.Apps = append(p.Apps, id[:])
	}
	slices.SortFunc(p.Apps, bytes.Compare)
	if _, err := parse(p); err != nil {
		return nil, err
	}
	sig, err := eip712.Sign(domain.Digest(structHash(p)), wallet)
	if err != nil {
		return nil, err
	}
	return &orderv1.SignedDelegation{Delegation: p, Signature: sig}, nil
}

// Verify checks form, signature and period of a delegation that a peer presents to a provider, and returns what it says. It returns
// ErrInvalid, ErrForeign or ErrExpired. What it allows is Allows' business.
func Verify(s *orderv1.SignedDelegation, domain eip712.Domain, peer string, at Provider, now time.Time) (Delegation, error) {
	d, err := VerifySignature(s, domain)
	if err != nil {
		return Delegation{}, err
	}
	switch {
	case d.Peer != peer:
		return Delegation{}, fmt.Errorf("it names another peer than the caller: %w", ErrForeign)
	case d.Provider != at:
		return Delegation{}, fmt.Errorf("it names another provider: %w", ErrForeign)
	case now.Add(Skew).Before(d.IssuedAt):
		return Delegation{}, fmt.Errorf("it starts at %s: %w", d.IssuedAt.UTC().Format(time.RFC3339), ErrExpired)
	case !now.Before(d.ExpiresAt):
		return Delegation{}, fmt.Errorf("it ended at %s: %w", d.ExpiresAt.UTC().Format(time.RFC3339), ErrExpired)
	}
	return d, nil
}

// VerifySignature checks form and signature only. It returns ErrInvalid.
func VerifySignature(s *orderv1.SignedDelegation, domain eip712.Domain) (Delegation, error) {
	d, err := parse(s.GetDelegation())
	if err != nil {
		return Delegation{}, err
	}
	// What is kept with an app must be what was signed: nobody signed a field that is unknown here.
	if len(s.ProtoReflect().GetUnknown()) > 0 {
		return Delegation{}, fmt.Errorf("it comes with a field that this version does not know: %w", ErrInvalid)
	}
	signer, err := eip712.Recover(domain.Digest(structHash(s.Delegation)), s.Signature)
	if err != nil {
		return Delegation{}, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if signer != d.Publisher {
		return Delegation{}, fmt.Errorf("signed by %s, not by publisher %s: %w", signer, d.Publisher, ErrInvalid)
	}
	return d, nil
}

// Allows returns nil if the delegation covers op on app, ErrOperation or ErrForeign otherwise.
func (d Delegation) Allows(op orderv1.Operation, app AppID) error {
	if err := d.AllowsOperation(op); err != nil {
		return err
	}
	if !d.AllApps && !slices.Contains(d.Apps, app) {
		return fmt.Errorf("app %s is not among those it names: %w", app, ErrForeign)
	}
	return nil
}

// AllowsOperation is Allows without an app.
func (d Delegation) AllowsOperation(op orderv1.Operation) error {
	if !slices.Contains(d.Operations, op) {
		return fmt.Errorf("%s: %w", op, ErrOperation)
	}
	return nil
}

func parse(p *orderv1.Delegation) (Delegation, error) {
	bad := func(what string) (Delegation, error) { return Delegation{}, fmt.Errorf("%s: %w", what, ErrInvalid) }
	switch {
	case p == nil:
		return bad("missing")
	case len(p.ProtoReflect().GetUnknown()) > 0:
		return bad("it has a field that this version does not know")
	case len(p.Publisher) != 20 || len(p.Provider) != 20:
		return bad("an address is not 20 bytes")
	case len(p.Peer) == 0 || len(p.Peer) > maxPeer || len(p.ProviderPeer) == 0 || len(p.ProviderPeer) > maxPeer:
		return bad("a peer id is empty or too long")
	case len(p.Operations) == 0 || !strictlySorted(p.Operations, cmp.Compare[orderv1.Operation]):
		return bad("operations are empty, unsorted or repeated")
	case p.Operations[0] < 1 || p.Operations[len(p.Operations)-1] > maxOperation:
		return bad("an operation is not a number that wallets sign")
	case len(p.Apps) > maxApps || !strictlySorted(p.Apps, bytes.Compare) || p.AllApps != (len(p.Apps) == 0):
		return bad("apps are unsorted, repeated, too many, or contradict all_apps")
	case p.ExpiresAt <= p.IssuedAt || p.ExpiresAt-p.IssuedAt > uint64(MaxLife/time.Second) || p.ExpiresAt > 1<<40:
		return bad("its period is empty or too long")
	}
	d := Delegation{
		Publisher:  common.Address(p.Publisher),
		Peer:       string(p.Peer),
		Provider:   Provider{Address: common.Address(p.Provider), Peer: string(p.ProviderPeer)},
		Operations: p.Operations,
		AllApps:    p.AllApps,
		IssuedAt:   time.Unix(int64(p.IssuedAt), 0),
		ExpiresAt:  time.Unix(int64(p.ExpiresAt), 0),
	}
	for _, id := range p.Apps {
		if len(id) != 32 {
			return bad("an app id is not 32 bytes")
		}
		d.Apps = append(d.Apps, AppID(id))
	}
	return d, nil
}

func strictlySorted[T any](list []T, order func(a, b T) int) bool {
	for i := 1; i < len(list); i++ {
		if order(list[i-1], list[i]) >= 0 {
			return false
		}
	}
	return true
}

const delegationType = "Delegation(bytes peer,address publisher,address provider,bytes providerPeer,uint8[] operations,bytes32[] apps," +
	"bool allApps,uint64 issuedAt,uint64 expiresAt)"

func structHash(p *orderv1.Delegation) common.Hash {
	var ops, apps []byte
	for _, op := range p.Operations {
		ops = append(ops, eip712.Uint64(uint64(op))...)
	}
	for _, id := range p.Apps {
		apps = append(apps, id...)
	}
	all := uint64(0)
	if p.AllApps {
		all = 1
	}
	return crypto.Keccak256Hash(
		crypto.Keccak256([]byte(delegationType)),
		crypto.Keccak256(p.Peer),
		eip712.Address(common.Address(p.Publisher)),
		eip712.Address(common.Address(p.Provider)),
		crypto.Keccak256(p.ProviderPeer),
		crypto.Keccak256(ops),
		crypto.Keccak256(apps),
		eip712.Uint64(all),
		eip712.Uint64(p.IssuedAt),
		eip712.Uint64(p.ExpiresAt),
	)
}
