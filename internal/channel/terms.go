// SPDX-License-Identifier: Apache-2.0

package channel

import (
	"errors"
	"fmt"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"

	"github.com/apocryph/apocryph/internal/eip712"
	orderv1 "github.com/apocryph/apocryph/internal/gen/orderv1"
	"github.com/apocryph/apocryph/internal/tariff"
)

// ErrTerms says that terms are malformed, or that the contract would refuse them.
var ErrTerms = errors.New("bad channel terms")

// Bounds of the contract.
const (
	// One is the whole, in parts per million.
	One = 1_000_000
	// MaxPayees is the most further payees of a channel.
	MaxPayees = 8
	// MinNotice and MaxNotice bound the publisher's notice.
	MinNotice = time.Hour
	MaxNotice = 30 * 24 * time.Hour
	// amountBits bounds deposits and the cap.
	amountBits = 88
	// maxTime bounds seconds and unix times: 40 bits.
	maxTime = 1<<40 - 1
)

// Payee is somebody besides the provider who gets a share of every claim.
type Payee struct {
	Account common.Address
	// Share is in parts per million.
	Share uint32
}

// Terms are the immutable terms of a channel.
type Terms struct {
	// Publisher opens the channel, gets back what is left, may give notice.
	Publisher common.Address
	// App is the id of the app that the channel pays for.
	App [32]byte
	// Payout is the provider's address: it receives what further payees leave, and may close.
	Payout common.Address
	// Payees are served in this order.
	Payees []Payee
	// Signer is whose vouchers and releases count.
	Signer common.Address
	// Token is the ERC-20 token of the channel.
	Token common.Address
	// Tariff and Quote are the hashes of the prices and of the provider's offer.
	Tariff, Quote [32]byte
	// Cap is the most base units per second that can be claimed.
	Cap tariff.Amount
	// Window is the most seconds of unused cap that can be claimed at once.
	Window uint64
	// Notice is the seconds between the publisher's notice and their withdrawal.
	Notice uint64
	// Salt tells apart channels that are otherwise the same.
	Salt [32]byte
}

// Validate returns ErrTerms for terms that the contract would not open a channel on.
func (t Terms) Validate() error {
	bad := func(what string) error { return fmt.Errorf("%s: %w", what, ErrTerms) }
	zero := common.Address{}
	switch {
	case t.Publisher == zero:
		return bad("no publisher")
	case t.Payout == zero:
		return bad("no payout address")
	case t.Signer == zero:
		return bad("no voucher signer")
	case t.Token == zero:
		return bad("no token")
	case t.Cap.IsZero():
		return bad("a cap of zero")
	case t.Cap.Big().BitLen() > amountBits:
		return bad("a cap wider than 88 bits")
	case t.Window == 0 || t.Window > maxTime:
		return bad("a window outside 40 bits")
	case t.Notice < uint64(MinNotice.Seconds()) || t.Notice > uint64(MaxNotice.Seconds()):
		return bad(fmt.Sprintf("a notice of %d s, not within %s and %s", t.Notice, MinNotice, MaxNotice))
	case len(t.Payees) > MaxPayees:
		return bad("too many payees")
	}
	var shares uint64
	for _, p := range t.Payees {
		if p.Account == zero || p.Share == 0 {
			return bad("a payee without address or share")
		}
		shares += uint64(p.Share)
	}
	if shares > One {
		return bad("shares exceed the whole")
	}
	return nil
}

// ID returns the channel's id at a chain and contract.
func (t Terms) ID(d eip712.Domain) ID { return ID(d.Digest(t.Hash())) }

// Hash is the EIP-712 hash of the terms. Terms must fit the types of the contract, as Validate checks.
func (t Terms) Hash() common.Hash {
	return hashStruct("Terms(Payment payment,uint88 cap,uint40 window,Agreement agreement)"+agreementType+payeeType+paymentType,
		t.PaymentHash().Bytes(), eip712.Uint(t.Cap.Big()), eip712.Uint64(t.Window), t.AgreementHash().Bytes())
}

// AgreementHash is the EIP-712 hash of the part of the terms that claims leave out.
func (t Terms) AgreementHash() common.Hash {
	return hashStruct(agreementType,
		eip712.Address(t.Publisher), t.App[:], t.Tariff[:], t.Quote[:], eip712.Uint64(t.Notice), t.Salt[:])
}

// PaymentHash is the EIP-712 hash of who is paid, in what, and on whose word. Channels with the same one can be claimed on in one batch.
func (t Terms) PaymentHash() common.Hash {
	var payees []byte
	for _, p := range t.Payees {
		payees = append(payees, hashStruct(payeeType, eip712.Address(p.Account), eip712.Uint64(uint64(p.Share))).Bytes()...)
	}
	return hashStruct(paymentType+payeeType,
		eip712.Address(t.Token), eip712.Address(t.Payout), crypto.Keccak256(payees), eip712.Address(t.Signer))
}

const (
	agreementType = "Agreement(address publisher,bytes32 app,bytes32 tariff,bytes32 quote,uint40 notice,bytes32 salt)"
	payeeType     = "Payee(address account,uint32 share)"
	paymentType   = "Payment(address token,address payout,Payee[] payees,address signer)"
)

// hashStruct is that of EIP-712, of words of 32 bytes.
func hashStruct(typ string, words ...[]byte) common.Hash {
	return crypto.Keccak256Hash(append([][]byte{crypto.Keccak256([]byte(typ))}, words...)...)
}

// FromProto reads the wire form. It returns ErrTerms for fields of wrong length or range, and for what Validate refuses.
func FromProto(p *orderv1.Terms) (Terms, error) {
	r := reader{}
	t := Terms{
		Publisher: r.address(p.GetPublisher()),
		App:       r.word(p.GetApp()),
		Payout:    r.address(p.GetPayout()),
		Signer:    r.address(p.GetSigner()),
		Token:     r.address(p.GetToken()),
		Tariff:    r.word(p.GetTariff()),
		Quote:     r.word(p.GetQuote()),
		Window:    p.GetWindow(),
		Notice:    p.GetNotice(),
		Salt:      r.word(p.GetSalt()),
	}
	for _, payee := range p.GetPayees() {
		t.Payees = append(t.Payees, Payee{Account: r.address(payee.GetAccount()), Share: payee.GetSharePpm()})
	}
	var err error
	if t.Cap, err = tariff.AmountFromBytes(p.GetCap()); err != nil || r.bad {
		return Terms{}, fmt.Errorf("a field of wrong length: %w", ErrTerms)
	}
	return t, t.Validate()
}

// Proto returns the wire form.
func (t Terms) Proto() *orderv1.Terms {
	p := &orderv1.Terms{
		Publisher: t.Publisher.Bytes(),
		App:       t.App[:],
		Payout:    t.Payout.Bytes(),
		Signer:    t.Signer.Bytes(),
		Token:     t.Token.Bytes(),
		Tariff:    t.Tariff[:],
		Quote:     t.Quote[:],
		Cap:       t.Cap.Bytes(),
		Window:    t.Window,
		Notice:    t.Notice,
		Salt:      t.Salt[:],
	}
	for _, payee := range t.Payees {
		p.Payees = append(p.Payees, &orderv1.Payee{Account: payee.Account.Bytes(), SharePpm: payee.Share})
	}
	return p
}

// reader takes fixed-size fields from bytes and remembers if one did not fit.
type reader struct{ bad bool }

func (r *reader) address(b []byte) (a common.Address) {
	r.bad = r.bad || len(b) != len(a)
	copy(a[:], b)
	return a
}

func (r *reader) word(b []byte) (w [32]byte) {
	r.bad = r.bad || len(b) != len(w)
	copy(w[:], b)
	return w
}
