// SPDX-License-Identifier: Apache-2.0

package channel_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/common/math"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/signer/core/apitypes"
	"github.com/google/go-cmp/cmp"

	"github.com/apocryph/apocryph/internal/channel"
	"github.com/apocryph/apocryph/internal/eip712"
	"github.com/apocryph/apocryph/internal/tariff"
)

const vectorsPath = "../../docs/protocol/vectors/channels.json"

var update = flag.Bool("update", false, "write the hashes of the vectors anew, by go-ethereum's own EIP-712")

// vectors is the file that the Solidity tests run too. Hashes in it are made by go-ethereum's generic EIP-712 code, never by ours;
// amounts are decimal strings.
type vectors struct {
	About        string          `json:"about"`
	ChainID      uint64          `json:"chainId"`
	Deployer     common.Address  `json:"deployer"`
	Contract     common.Address  `json:"contract"`
	SignerKey    hexutil.Bytes   `json:"signerKey"`
	PublisherKey hexutil.Bytes   `json:"publisherKey"`
	Channels     []channelVector `json:"channels"`
	Refused      []refusedVector `json:"refused"`
	Claims       []claimVector   `json:"claims"`
	Splits       []splitVector   `json:"splits"`
}

type channelVector struct {
	Name             string        `json:"name"`
	Terms            termsVector   `json:"terms"`
	AgreementHash    common.Hash   `json:"agreementHash"`
	ID               channel.ID    `json:"id"`
	Total            tariff.Amount `json:"total"`
	VoucherDigest    common.Hash   `json:"voucherDigest"`
	VoucherSignature hexutil.Bytes `json:"voucherSignature"`
	ReleaseDigest    common.Hash   `json:"releaseDigest"`
	ReleaseSignature hexutil.Bytes `json:"releaseSignature"`
	Deadline         uint64        `json:"deadline"`
	OpenDigest       common.Hash   `json:"openDigest"`
	OpenSignature    hexutil.Bytes `json:"openSignature"`
}

type refusedVector struct {
	Name  string      `json:"name"`
	Terms termsVector `json:"terms"`
	Error string      `json:"error"`
}

type claimVector struct {
	Name            string        `json:"name"`
	Cap             tariff.Amount `json:"cap"`
	Window          uint64        `json:"window"`
	Deposited       tariff.Amount `json:"deposited"`
	Claimed         tariff.Amount `json:"claimed"`
	SpentUntil      uint64        `json:"spentUntil"`
	NoticeEnd       uint64        `json:"noticeEnd"`
	Now             uint64        `json:"now"`
	Total           tariff.Amount `json:"total"`
	Amount          tariff.Amount `json:"amount"`
	SpentUntilAfter uint64        `json:"spentUntilAfter"`
}

type splitVector struct {
	Name   string          `json:"name"`
	Shares []uint32        `json:"shares"`
	Total  tariff.Amount   `json:"total"`
	Parts  []tariff.Amount `json:"parts"`
}

type termsVector struct {
	Publisher common.Address `json:"publisher"`
	App       common.Hash    `json:"app"`
	Payout    common.Address `json:"payout"`
	Payees    []payeeVector  `json:"payees"`
	Signer    common.Address `json:"signer"`
	Token     common.Address `json:"token"`
	Tariff    common.Hash    `json:"tariff"`
	Quote     common.Hash    `json:"quote"`
	Cap       tariff.Amount  `json:"cap"`
	Window    uint64         `json:"window"`
	Notice    uint64         `json:"notice"`
	Salt      common.Hash    `json:"salt"`
}

type payeeVector struct {
	Account common.Address `json:"account"`
	Share   uint32         `json:"share"`
}

func (v termsVector) terms() channel.Terms {
	t := channel.Terms{
		Publisher: v.Publisher, App: v.App, Payout: v.Payout, Signer: v.Signer, Token: v.Token, Tariff: v.Tariff, Quote: v.Quote,
		Cap: v.Cap, Window: v.Window, Notice: v.Notice, Salt: v.Salt,
	}
	for _, p := range v.Payees {
		t.Payees = append(t.Payees, channel.Payee(p))
	}
	return t
}

func readVectors(t *testing.T) (v vectors) {
	t.Helper()
	b, err := os.ReadFile(vectorsPath)
	if err != nil {
		t.Fatal(err)
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&v); err != nil {
		t.Fatal(err)
	}
	return v
}

func TestVectorHashes(t *testing.T) {
	v := readVectors(t)
	if *update {
		rewrite(t, &v)
	}
	d := eip712.Domain{ChainID: v.ChainID, Contract: v.Contract}
	if got := crypto.CreateAddress(v.Deployer, 0); got != v.Contract {
		t.Errorf("contract %s, want %s: the first of its deployer", v.Contract, got)
	}
	signer, publisher := address(t, v.SignerKey), address(t, v.PublisherKey)
	for _, c := range v.Channels {
		t.Run(c.Name, func(t *testing.T) {
			terms := c.Terms.terms()
			if err := terms.Validate(); err != nil {
				t.Error(err)
			}
			got := channelVector{
				Name: c.Name, Terms: c.Terms, Total: c.Total, Deadline: c.Deadline,
				VoucherSignature: c.VoucherSignature, ReleaseSignature: c.ReleaseSignature, OpenSignature: c.OpenSignature,
				AgreementHash: terms.AgreementHash(), ID: terms.ID(d),
			}
			voucher, release := channel.Voucher{Channel: got.ID, Total: c.Total}, channel.Release{Channel: got.ID, Total: c.Total}
			opening := channel.Opening{Terms: terms, Amount: c.Total, Deadline: time.Unix(int64(c.Deadline), 0)}
			got.VoucherDigest, got.ReleaseDigest, got.OpenDigest = voucher.Digest(d), release.Digest(d), opening.Digest(d)
			if diff := cmp.Diff(c, got); diff != "" {
				t.Errorf("(-vector +got):\n%s", diff)
			}
			if err := errors.Join(
				channel.Verify(voucher, d, c.VoucherSignature, signer),
				channel.Verify(release, d, c.ReleaseSignature, signer),
				channel.Verify(opening, d, c.OpenSignature, publisher),
			); err != nil {
				t.Error(err)
			}
			if err := channel.Verify(release, d, c.VoucherSignature, signer); !errors.Is(err, channel.ErrSigner) {
				t.Errorf("a voucher's signature as a release: %v", err)
			}
			read, err := channel.FromProto(terms.Proto())
			if diff := cmp.Diff(terms, read); diff != "" || err != nil {
				t.Errorf("by way of the wire: %v %s", err, diff)
			}
		})
	}
}

func TestVectorRefusals(t *testing.T) {
	for _, c := range readVectors(t).Refused {
		if err := c.Terms.terms().Validate(); !errors.Is(err, channel.ErrTerms) {
			t.Errorf("%s: Validate = %v, want ErrTerms", c.Name, err)
		}
	}
}

func TestVectorClaims(t *testing.T) {
	for _, c := range readVectors(t).Claims {
		s := channel.State{Deposited: c.Deposited, Claimed: c.Claimed, SpentUntil: c.SpentUntil, NoticeEnd: c.NoticeEnd}
		terms, now := channel.Terms{Cap: c.Cap, Window: c.Window}, time.Unix(int64(c.Now), 0)
		after, amount := channel.Spend(s, terms, c.Total, now)
		if amount.Cmp(c.Amount) != 0 || after.SpentUntil != c.SpentUntilAfter {
			t.Errorf("%s: pays %s until %d, want %s until %d", c.Name, amount, after.SpentUntil, c.Amount, c.SpentUntilAfter)
		}
		if sum := s.Claimed.Add(amount); sum.Cmp(after.Claimed) != 0 {
			t.Errorf("%s: claimed %s after, want %s", c.Name, after.Claimed, sum)
		}
	}
}

func TestVectorSplits(t *testing.T) {
	for _, c := range readVectors(t).Splits {
		var payees []channel.Payee
		for _, s := range c.Shares {
			payees = append(payees, channel.Payee{Share: s})
		}
		if diff := cmp.Diff(c.Parts, channel.Split(payees, c.Total)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.Name, diff)
		}
	}
}

func address(t *testing.T, key []byte) common.Address {
	t.Helper()
	k, err := crypto.ToECDSA(key)
	if err != nil {
		t.Fatal(err)
	}
	return crypto.PubkeyToAddress(k.PublicKey)
}

// rewrite fills in the hashes and signatures with go-ethereum's EIP-712 code.
func rewrite(t *testing.T, v *vectors) {
	v.Contract = crypto.CreateAddress(v.Deployer, 0)
	signer, err := crypto.ToECDSA(v.SignerKey)
	if err != nil {
		t.Fatal(err)
	}
	publisher, err := crypto.ToECDSA(v.PublisherKey)
	if err != nil {
		t.Fatal(err)
	}
	hash := func(primary string, m apitypes.TypedDataMessage) common.Hash {
		typed := typedData(v, primary, m)
		h, _, err := apitypes.TypedDataAndHash(typed)
		if err != nil {
			t.Fatal(err)
		}
		return common.BytesToHash(h)
	}
	for i := range v.Channels {
		c := &v.Channels[i]
		c.Terms.Signer, c.Terms.Publisher = crypto.PubkeyToAddress(signer.PublicKey), crypto.PubkeyToAddress(publisher.PublicKey)
		terms := message(c.Terms)
		agreement := typedData(v, "Agreement", terms["agreement"].(map[string]any))
		h, err := agreement.HashStruct("Agreement", agreement.Message)
		if err != nil {
			t.Fatal(err)
		}
		c.AgreementHash = common.BytesToHash(h)
		c.ID = channel.ID(hash("Terms", terms))
		due := apitypes.TypedDataMessage{"channel": c.ID.String(), "total": c.Total.String()}
		c.VoucherDigest, c.ReleaseDigest = hash("Voucher", due), hash("Release", due)
		c.OpenDigest = hash("Open", apitypes.TypedDataMessage{
			"terms": terms, "amount": c.Total.String(), "deadline": strconv.FormatUint(c.Deadline, 10),
		})
		for what, s := range map[common.Hash]*hexutil.Bytes{c.VoucherDigest: &c.VoucherSignature, c.ReleaseDigest: &c.ReleaseSignature} {
			if *s, err = eip712.Sign(what, signer); err != nil {
				t.Fatal(err)
			}
		}
		if c.OpenSignature, err = eip712.Sign(c.OpenDigest, publisher); err != nil {
			t.Fatal(err)
		}
	}
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(vectorsPath, append(b, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
}

func message(c termsVector) map[string]any {
	payees := []any{}
	for _, p := range c.Payees {
		payees = append(payees, map[string]any{"account": p.Account.Hex(), "share": fmt.Sprint(p.Share)})
	}
	return map[string]any{
		"payment": map[string]any{"token": c.Token.Hex(), "payout": c.Payout.Hex(), "payees": payees, "signer": c.Signer.Hex()},
		"cap":     c.Cap.String(),
		"window":  fmt.Sprint(c.Window),
		"agreement": map[string]any{
			"publisher": c.Publisher.Hex(), "app": c.App.Hex(), "tariff": c.Tariff.Hex(), "quote": c.Quote.Hex(),
			"notice": fmt.Sprint(c.Notice), "salt": c.Salt.Hex(),
		},
	}
}

func typedData(v *vectors, primary string, m apitypes.TypedDataMessage) apitypes.TypedData {
	due := []apitypes.Type{{Name: "channel", Type: "bytes32"}, {Name: "total", Type: "uint256"}}
	return apitypes.TypedData{
		Types: apitypes.Types{
			"EIP712Domain": {{Name: "name", Type: "string"}, {Name: "version", Type: "string"}, {Name: "chainId", Type: "uint256"}, {Name: "verifyingContract", Type: "address"}},
			"Payee":        {{Name: "account", Type: "address"}, {Name: "share", Type: "uint32"}},
			"Payment":      {{Name: "token", Type: "address"}, {Name: "payout", Type: "address"}, {Name: "payees", Type: "Payee[]"}, {Name: "signer", Type: "address"}},
			"Agreement": {
				{Name: "publisher", Type: "address"}, {Name: "app", Type: "bytes32"}, {Name: "tariff", Type: "bytes32"},
				{Name: "quote", Type: "bytes32"}, {Name: "notice", Type: "uint40"}, {Name: "salt", Type: "bytes32"},
			},
			"Terms":   {{Name: "payment", Type: "Payment"}, {Name: "cap", Type: "uint88"}, {Name: "window", Type: "uint40"}, {Name: "agreement", Type: "Agreement"}},
			"Open":    {{Name: "terms", Type: "Terms"}, {Name: "amount", Type: "uint256"}, {Name: "deadline", Type: "uint256"}},
			"Voucher": due, "Release": due,
		},
		PrimaryType: primary,
		Domain:      apitypes.TypedDataDomain{Name: "Apocryph", Version: "1", ChainId: math.NewHexOrDecimal256(int64(v.ChainID)), VerifyingContract: v.Contract.Hex()},
		Message:     m,
	}
}
