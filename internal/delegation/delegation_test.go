// SPDX-License-Identifier: Apache-2.0

package delegation_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"
	"google.golang.org/protobuf/proto"

	"github.com/apocryph/apocryph/internal/delegation"
	"github.com/apocryph/apocryph/internal/eip712"
	orderv1 "github.com/apocryph/apocryph/internal/gen/orderv1"
)

// edKey is a peer whose id is its public key.
type edKey struct{ ed25519.PrivateKey }

func (k edKey) Sign(m []byte) ([]byte, error) { return ed25519.Sign(k.PrivateKey, m), nil }
func (k edKey) id() string                    { return string(k.Public().(ed25519.PublicKey)) }

func check(peer string, message, sig []byte) (bool, error) {
	return ed25519.Verify(ed25519.PublicKey(peer), message, sig), nil
}

type bench struct {
	domain   eip712.Domain
	wallet   *ecdsa.PrivateKey
	peer     edKey
	provider delegation.Provider
	now      time.Time
	app      delegation.AppID
	given    delegation.Delegation
}

func newBench(t *testing.T) *bench {
	t.Helper()
	wallet, err := crypto.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{
		domain:   eip712.Domain{ChainID: 1337, Contract: common.Address{9}},
		wallet:   wallet,
		peer:     edKey{key},
		provider: delegation.Provider{Address: common.Address{1}, Peer: "provider-peer"},
		now:      time.Unix(1_800_000_000, 0),
	}
	publisher := crypto.PubkeyToAddress(wallet.PublicKey)
	b.app = delegation.NewAppID(publisher, b.provider.Address, [32]byte{5})
	b.given = delegation.Delegation{
		Publisher: publisher, Peer: b.peer.id(), Provider: b.provider,
		Operations: []orderv1.Operation{orderv1.Operation_OPERATION_APPLY, orderv1.Operation_OPERATION_READ},
		Apps:       []delegation.AppID{b.app}, IssuedAt: b.now, ExpiresAt: b.now.Add(24 * time.Hour),
	}
	return b
}

func (b *bench) sign(t *testing.T) *orderv1.SignedDelegation {
	t.Helper()
	s, err := delegation.Sign(b.given, b.domain, b.wallet)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestVerify(t *testing.T) {
	type call struct {
		signed *orderv1.SignedDelegation
		domain eip712.Domain
		peer   string
		at     delegation.Provider
		now    time.Time
	}
	cases := map[string]struct {
		spoil func(b *bench, c *call)
		want  error
	}{
		"a good one":                 {func(*bench, *call) {}, nil},
		"another caller":             {func(_ *bench, c *call) { c.peer = "thief" }, delegation.ErrForeign},
		"another provider address":   {func(_ *bench, c *call) { c.at.Address = common.Address{2} }, delegation.ErrForeign},
		"another provider peer":      {func(_ *bench, c *call) { c.at.Peer = "other" }, delegation.ErrForeign},
		"a day and a second later":   {func(_ *bench, c *call) { c.now = c.now.Add(24*time.Hour + time.Second) }, delegation.ErrExpired},
		"the very second of its end": {func(_ *bench, c *call) { c.now = c.now.Add(24 * time.Hour) }, delegation.ErrExpired},
		"an hour before its start":   {func(_ *bench, c *call) { c.now = c.now.Add(-time.Hour) }, delegation.ErrExpired},
		"a clock a minute behind":    {func(_ *bench, c *call) { c.now = c.now.Add(-time.Minute) }, nil},
		"another chain":              {func(_ *bench, c *call) { c.domain.ChainID = 1 }, delegation.ErrInvalid},
		"another contract":           {func(_ *bench, c *call) { c.domain.Contract = common.Address{8} }, delegation.ErrInvalid},
		"an operation added": {func(_ *bench, c *call) {
			c.signed.Delegation.Operations = append(c.signed.Delegation.Operations, orderv1.Operation_OPERATION_STOP)
		}, delegation.ErrInvalid},
		"an app replaced":              {func(_ *bench, c *call) { c.signed.Delegation.Apps[0] = make([]byte, 32) }, delegation.ErrInvalid},
		"widened to all apps":          {func(_ *bench, c *call) { c.signed.Delegation.Apps = nil; c.signed.Delegation.AllApps = true }, delegation.ErrInvalid},
		"extended":                     {func(_ *bench, c *call) { c.signed.Delegation.ExpiresAt++ }, delegation.ErrInvalid},
		"the publisher replaced":       {func(_ *bench, c *call) { c.signed.Delegation.Publisher = make([]byte, 20) }, delegation.ErrInvalid},
		"the peer replaced":            {func(_ *bench, c *call) { c.signed.Delegation.Peer = []byte("thief"); c.peer = "thief" }, delegation.ErrInvalid},
		"a flipped signature bit":      {func(_ *bench, c *call) { c.signed.Signature[10] ^= 1 }, delegation.ErrInvalid},
		"a short signature":            {func(_ *bench, c *call) { c.signed.Signature = c.signed.Signature[:64] }, delegation.ErrInvalid},
		"nothing at all":               {func(_ *bench, c *call) { c.signed = nil }, delegation.ErrInvalid},
		"no apps and not for all apps": {func(_ *bench, c *call) { c.signed.Delegation.Apps = nil }, delegation.ErrInvalid},
		"a life of a hundred years":    {func(_ *bench, c *call) { c.signed.Delegation.ExpiresAt += 3_000_000_000 }, delegation.ErrInvalid},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			k := call{proto.CloneOf(b.sign(t)), b.domain, b.peer.id(), b.provider, b.now}
			c.spoil(b, &k)
			_, err := delegation.Verify(k.signed, k.domain, k.peer, k.at, k.now)
			if !errors.Is(err, c.want) {
				t.Errorf("Verify = %v, want %v", err, c.want)
			}
		})
	}
}

func TestAllows(t *testing.T) {
	b := newBench(t)
	d, err := delegation.VerifySignature(b.sign(t), b.domain)
	if err != nil {
		t.Fatal(err)
	}
	other := delegation.NewAppID(d.Publisher, b.provider.Address, [32]byte{6})
	for name, c := range map[string]struct {
		op   orderv1.Operation
		app  delegation.AppID
		want error
	}{
		"what it names":       {orderv1.Operation_OPERATION_APPLY, b.app, nil},
		"another operation":   {orderv1.Operation_OPERATION_STOP, b.app, delegation.ErrOperation},
		"another app":         {orderv1.Operation_OPERATION_APPLY, other, delegation.ErrForeign},
		"no operation at all": {orderv1.Operation_OPERATION_UNSPECIFIED, b.app, delegation.ErrOperation},
	} {
		if err := d.Allows(c.op, c.app); !errors.Is(err, c.want) {
			t.Errorf("%s: Allows = %v, want %v", name, err, c.want)
		}
	}
}

// row are so many channels.
func row(n int) [][32]byte {
	var ids [][32]byte
	for i := range n {
		ids = append(ids, [32]byte{100, byte(i)})
	}
	return ids
}

func TestVerifyStatement(t *testing.T) {
	cases := map[string]struct {
		spoil func(b *bench, s *delegation.Statement)
		after func(s *orderv1.SignedStatement)
		want  error
	}{
		"a good one":                              {nil, nil, nil},
		"a stop without delegation":               {func(_ *bench, s *delegation.Statement) { s.Action = orderv1.Action_ACTION_STOP }, nil, delegation.ErrOperation},
		"another app":                             {func(_ *bench, s *delegation.Statement) { s.App[0] ^= 1 }, nil, delegation.ErrForeign},
		"issued after the delegation":             {func(b *bench, s *delegation.Statement) { s.IssuedAt = b.now.Add(48 * time.Hour) }, nil, delegation.ErrExpired},
		"sequence zero":                           {func(_ *bench, s *delegation.Statement) { s.Sequence = 0 }, nil, delegation.ErrStatement},
		"another peer's signature":                {func(b *bench, _ *delegation.Statement) { _, k, _ := ed25519.GenerateKey(nil); b.peer = edKey{k} }, nil, delegation.ErrStatement},
		"a byte of the text changed":              {nil, func(s *orderv1.SignedStatement) { s.Statement[5] ^= 1 }, delegation.ErrStatement},
		"a field appended":                        {nil, func(s *orderv1.SignedStatement) { s.Statement = append(s.Statement, 0x18, 1) }, delegation.ErrStatement},
		"an empty text":                           {nil, func(s *orderv1.SignedStatement) { s.Statement = nil }, delegation.ErrStatement},
		"as many channels before as there may be": {func(_ *bench, s *delegation.Statement) { s.Former = row(delegation.MaxFormer) }, nil, nil},
		"one more than that":                      {func(_ *bench, s *delegation.Statement) { s.Former = row(delegation.MaxFormer + 1) }, nil, delegation.ErrStatement},
		"a channel before itself":                 {func(_ *bench, s *delegation.Statement) { s.Former = [][32]byte{s.Channel} }, nil, delegation.ErrStatement},
		"a channel named twice":                   {func(_ *bench, s *delegation.Statement) { s.Former = append(row(2), row(1)...) }, nil, delegation.ErrStatement},
		"a stop that names channels before": {func(_ *bench, s *delegation.Statement) {
			s.Action, s.Former = orderv1.Action_ACTION_STOP, row(1)
		}, nil, delegation.ErrStatement},
		"no delegation": {nil, func(s *orderv1.SignedStatement) { s.Delegation = nil }, delegation.ErrInvalid},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			under := b.sign(t)
			s := delegation.Statement{App: b.app, Action: orderv1.Action_ACTION_APPLY, Sequence: 1, ManifestHash: [32]byte{3}, Channel: [32]byte{4}, IssuedAt: b.now}
			if c.spoil != nil {
				c.spoil(b, &s)
			}
			signed, err := delegation.SignStatement(s, b.peer, under)
			if err != nil {
				t.Fatal(err)
			}
			if c.after != nil {
				c.after(signed)
			}
			got, err := delegation.VerifyStatement(signed, b.domain, b.provider, check)
			if !errors.Is(err, c.want) {
				t.Fatalf("VerifyStatement = %v, want %v", err, c.want)
			}
			if c.want == nil && (got.ManifestHash != s.ManifestHash || !slices.Equal(got.Former, s.Former) || got.Delegation.Publisher != b.given.Publisher) {
				t.Errorf("VerifyStatement = %+v", got)
			}
		})
	}
}

func TestAppIDText(t *testing.T) {
	id := delegation.NewAppID(common.Address{1}, common.Address{2}, [32]byte{3})
	back, err := delegation.ParseAppID(id.String())
	if err != nil || back != id || len(id.String()) != 52 {
		t.Errorf("ParseAppID(%q) = %v, %v", id, back, err)
	}
	for _, s := range []string{"", "a", id.String() + "a", id.String()[:51] + "1", "A" + id.String()[1:]} {
		if _, err := delegation.ParseAppID(s); err == nil {
			t.Errorf("ParseAppID(%q) gave no error", s)
		}
	}
}
