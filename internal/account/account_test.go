// SPDX-License-Identifier: Apache-2.0

package account_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/apocryph/apocryph/internal/account"
	"github.com/apocryph/apocryph/internal/channel"
	"github.com/apocryph/apocryph/internal/eip712"
	orderv1 "github.com/apocryph/apocryph/internal/gen/orderv1"
	"github.com/apocryph/apocryph/internal/quote"
	"github.com/apocryph/apocryph/internal/tariff"
	"github.com/apocryph/apocryph/internal/usage"
)

// paper is a bill and all that it is made of.
type paper struct {
	key    *ecdsa.PrivateKey
	domain eip712.Domain
	terms  *orderv1.Terms
	signed *orderv1.SignedQuote
	// account is what is signed, unless made is set.
	account account.Account
	made    *orderv1.SignedAccount
}

func newPaper(t *testing.T) *paper {
	t.Helper()
	key, err := crypto.HexToECDSA(strings.Repeat("01", 32))
	if err != nil {
		t.Fatal(err)
	}
	signer := crypto.PubkeyToAddress(key.PublicKey)
	prices := tariff.Tariff{
		Token: common.Address{4}, CPUHour: tariff.Units(40_000), StorageGiBHour: tariff.Units(7),
		EgressGiB: tariff.Units(20_000), UnitHour: map[string]tariff.Amount{"nvidia.com/gpu": tariff.Units(900_000)},
	}
	id, err := prices.ID()
	if err != nil {
		t.Fatal(err)
	}
	p := &paper{key: key, domain: eip712.Domain{ChainID: 5, Contract: common.Address{6}}}
	address := common.Address{9}
	q := &orderv1.Quote{
		Provider: address[:], Tariff: prices.Proto(), ManifestHash: make([]byte, 32), ChainId: 5, Contract: p.domain.Contract[:],
		Terms: &orderv1.Terms{
			Publisher: address[:], App: bytes.Repeat([]byte{3}, 32), Payout: address[:], Signer: signer[:], Token: prices.Token[:], Tariff: id[:],
			Cap: []byte{2}, Window: 7200, Notice: 3600,
		},
	}
	if p.signed, err = quote.Sign(q, key); err != nil {
		t.Fatal(err)
	}
	p.terms = quote.Terms(p.signed, q, [32]byte{1})
	terms, err := channel.FromProto(p.terms)
	if err != nil {
		t.Fatal(err)
	}
	used := usage.Rate{MilliCPU: 1500, StorageBytes: 3 << 30, Extended: map[string]int64{"nvidia.com/gpu": 2}}.For(7777)
	used.Egress = usage.Bytes(5 << 30)
	p.account = account.Account{
		App: terms.App, Channel: terms.ID(p.domain), Tariff: id, Usage: used, Arrears: tariff.Units(3), Total: prices.Cost(used).Add(tariff.Units(3)),
		AccruedTo: time.Unix(1_800_000_000, 0), Sequence: 12, Final: true,
	}
	return p
}

func (p *paper) document(t *testing.T) account.Document {
	t.Helper()
	terms, err1 := proto.Marshal(p.terms)
	signed, err2 := proto.Marshal(p.signed)
	a, err3 := account.Sign(p.account, p.key)
	if p.made != nil {
		a = p.made
	}
	if err := errors.Join(err1, err2, err3); err != nil {
		t.Fatal(err)
	}
	return account.NewDocument(p.domain, terms, signed, a)
}

func TestABillHolds(t *testing.T) {
	p := newPaper(t)
	var file bytes.Buffer
	if err := p.document(t).Write(&file); err != nil {
		t.Fatal(err)
	}
	d, err := account.Read(&file)
	if err != nil {
		t.Fatal(err)
	}
	v, err := d.Verify()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(p.account, v.Account); diff != "" {
		t.Errorf("account (-want +got):\n%s", diff)
	}
	if len(v.Steps) != 5 {
		t.Errorf("steps:\n%s", strings.Join(v.Steps, "\n"))
	}
}

// Whoever has no voucher key changes one field of one of the four parts, in every way that still can be read: the bill does not hold.
func TestEveryFieldIsGuarded(t *testing.T) {
	p := newPaper(t)
	good := p.document(t)
	tampered := 0
	for part, c := range map[string]struct {
		message proto.Message
		of      func(*account.Document) *[]byte
	}{
		"terms":   {&orderv1.Terms{}, func(d *account.Document) *[]byte { return &d.Terms }},
		"quote":   {&orderv1.SignedQuote{}, func(d *account.Document) *[]byte { return &d.Quote }},
		"account": {&orderv1.Account{}, func(d *account.Document) *[]byte { return &d.Account }},
	} {
		if err := proto.Unmarshal(*c.of(&good), c.message); err != nil {
			t.Fatal(err)
		}
		fields := c.message.ProtoReflect().Descriptor().Fields()
		for i := range fields.Len() {
			d, m := good, proto.Clone(c.message)
			change(m.ProtoReflect(), fields.Get(i))
			b, err := proto.Marshal(m)
			if err != nil {
				t.Fatal(err)
			}
			*c.of(&d) = b
			tampered++
			if _, err := d.Verify(); !errors.Is(err, account.ErrInvalid) {
				t.Errorf("%s: another %s is taken: %v", part, fields.Get(i).Name(), err)
			}
		}
	}
	if tampered != 12+2+14 {
		t.Errorf("%d fields were changed", tampered)
	}
	for what, change := range map[string]func(*account.Document){
		"chain":                 func(d *account.Document) { d.ChainID++ },
		"contract":              func(d *account.Document) { d.Contract[0]++ },
		"a byte of signature":   func(d *account.Document) { d.Signature = flip(d.Signature) },
		"no signature":          func(d *account.Document) { d.Signature = nil },
		"a field nobody knows":  func(d *account.Document) { d.Terms = append(bytes.Clone(d.Terms), 0xf8, 1, 1) },
		"one in the account":    func(d *account.Document) { d.Account = append(bytes.Clone(d.Account), 0xf8, 1, 1) },
		"a longer account":      func(d *account.Document) { d.Account = append(bytes.Clone(d.Account), make([]byte, 5000)...) },
		"nothing but its bytes": func(d *account.Document) { d.Account = nil },
	} {
		d := good
		change(&d)
		if _, err := d.Verify(); !errors.Is(err, account.ErrInvalid) {
			t.Errorf("%s: taken: %v", what, err)
		}
	}
}

func flip(b []byte) []byte {
	b = bytes.Clone(b)
	b[len(b)-1] ^= 1
	return b
}

// change gives a field another value of its kind.
func change(m protoreflect.Message, f protoreflect.FieldDescriptor) {
	v := m.Get(f)
	switch {
	case f.IsList() && f.Message().Name() == "UnitSeconds":
		used := (&orderv1.UnitSeconds{Resource: "zzz.org/gpu", UnitSeconds: "1"}).ProtoReflect()
		m.Mutable(f).List().Append(protoreflect.ValueOfMessage(used))
	case f.IsList():
		payee := (&orderv1.Payee{Account: make([]byte, 20), SharePpm: 1}).ProtoReflect()
		m.Mutable(f).List().Append(protoreflect.ValueOfMessage(payee))
	case f.Kind() == protoreflect.BytesKind:
		m.Set(f, protoreflect.ValueOfBytes(flip(v.Bytes())))
	case f.Kind() == protoreflect.StringKind:
		m.Set(f, protoreflect.ValueOfString("1"+v.String()))
	case f.Kind() == protoreflect.Uint64Kind:
		m.Set(f, protoreflect.ValueOfUint64(v.Uint()+1))
	case f.Kind() == protoreflect.BoolKind:
		m.Set(f, protoreflect.ValueOfBool(!v.Bool()))
	}
}

// A dishonest enclave signs what does not add up, or an honest one is asked with another channel's papers: neither is a bill.
func TestWhatIsSignedMustAddUp(t *testing.T) {
	for what, c := range map[string]func(*paper){
		"one unit too much":  func(p *paper) { p.account.Total = p.account.Total.Add(tariff.Units(1)) },
		"nothing":            func(p *paper) { p.account.Total = tariff.Amount{} },
		"another quantity":   func(p *paper) { p.account.Usage.CPU = p.account.Usage.CPU.Add(p.account.Usage.CPU) },
		"more that left":     func(p *paper) { p.account.Usage.Egress = usage.Bytes(9 << 30) },
		"no extended ones":   func(p *paper) { p.account.Usage.Extended = nil },
		"another app":        func(p *paper) { p.account.App[0]++ },
		"another channel":    func(p *paper) { p.account.Channel[0]++ },
		"another tariff":     func(p *paper) { p.account.Tariff[0]++ },
		"another channel's":  func(p *paper) { p.terms.Salt = bytes.Repeat([]byte{7}, 32) },
		"terms with a payee": func(p *paper) { p.terms.Payees = []*orderv1.Payee{{Account: bytes.Repeat([]byte{1}, 20), SharePpm: 1}} },
	} {
		t.Run(what, func(t *testing.T) {
			p := newPaper(t)
			c(p)
			if v, err := p.document(t).Verify(); !errors.Is(err, account.ErrInvalid) {
				t.Errorf("taken: %+v, %v", v, err)
			}
		})
	}
}

// The key signs quotes, vouchers and accounts. None of their signatures is good for another.
func TestSignaturesAreOfOneKind(t *testing.T) {
	p := newPaper(t)
	a, err := account.Sign(p.account, p.key)
	if err != nil {
		t.Fatal(err)
	}
	signer := crypto.PubkeyToAddress(p.key.PublicKey)
	if _, err := account.Verify(&orderv1.SignedAccount{Account: p.signed.Quote, Signature: p.signed.Signature}, signer); err == nil {
		t.Error("a quote passes for an account")
	}
	if _, err := quote.Verify(&orderv1.SignedQuote{Quote: a.Account, Signature: a.Signature}, signer); err == nil {
		t.Error("an account passes for a quote")
	}
	for _, what := range []channel.Digester{
		channel.Voucher{Channel: p.account.Channel, Total: p.account.Total}, channel.Release{Channel: p.account.Channel, Total: p.account.Total},
	} {
		if channel.Verify(what, p.domain, a.Signature, signer) == nil {
			t.Errorf("an account passes for %T", what)
		}
	}
	untagged := sha256.Sum256(a.Account)
	sig, err := eip712.Sign(untagged, p.key)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := account.Verify(&orderv1.SignedAccount{Account: a.Account, Signature: sig}, signer); err == nil {
		t.Error("a signature without the tag is good")
	}
}

func TestReadRefuses(t *testing.T) {
	p := newPaper(t)
	good, err := json.Marshal(p.document(t))
	if err != nil {
		t.Fatal(err)
	}
	for what, text := range map[string]string{
		"nothing":          "",
		"another thing":    `[]`,
		"another format":   strings.Replace(string(good), account.Format, "apocryph bill 2", 1),
		"a field too many": strings.Replace(string(good), `{"format"`, `{"total":"1","format"`, 1),
		"two bills":        string(good) + string(good),
		"too much":         string(good) + strings.Repeat(" ", 256<<10),
	} {
		if _, err := account.Read(strings.NewReader(text)); !errors.Is(err, account.ErrInvalid) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := account.Read(bytes.NewReader(good)); err != nil {
		t.Error(err)
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(`{"format":"apocryph bill 1","chain_id":1,"terms":"AA==","quote":"AA==","account":"AA==","signature":"AA=="}`))
	f.Add([]byte(`{}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		d, err := account.Read(bytes.NewReader(raw))
		if err != nil {
			return
		}
		if v, err := d.Verify(); err == nil {
			t.Errorf("a bill that nobody signed holds: %+v", v)
		}
	})
}
