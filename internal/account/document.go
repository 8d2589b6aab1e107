// SPDX-License-Identifier: Apache-2.0

package account

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/ethereum/go-ethereum/common"
	"google.golang.org/protobuf/proto"

	"github.com/apocryph/apocryph/internal/channel"
	"github.com/apocryph/apocryph/internal/eip712"
	orderv1 "github.com/apocryph/apocryph/internal/gen/orderv1"
	"github.com/apocryph/apocryph/internal/quote"
	"github.com/apocryph/apocryph/internal/tariff"
)

// Format is the first thing in a bill's file.
const Format = "apocryph bill 1"

// maxDocument bounds a bill's file.
const maxDocument = 256 << 10

// Document is the file of a bill: everything that it takes to check one.
type Document struct {
	Format string `json:"format"`
	// ChainID and Contract say where the channel is.
	ChainID  uint64         `json:"chain_id"`
	Contract common.Address `json:"contract"`
	// Terms is the encoded order.v1.Terms of the channel, Quote the encoded order.v1.SignedQuote that it was opened on.
	Terms []byte `json:"terms"`
	Quote []byte `json:"quote"`
	// Account and Signature are those of the order.v1.SignedAccount.
	Account   []byte `json:"account"`
	Signature []byte `json:"signature"`
}

// NewDocument puts a bill together; it is worth nothing before Verify says so.
func NewDocument(d eip712.Domain, terms, quote []byte, s *orderv1.SignedAccount) Document {
	return Document{Format: Format, ChainID: d.ChainID, Contract: d.Contract, Terms: terms, Quote: quote, Account: s.GetAccount(), Signature: s.GetSignature()}
}

// Write writes a bill's file.
func (d Document) Write(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(d)
}

// Read reads a bill's file, or returns ErrInvalid.
func Read(r io.Reader) (Document, error) {
	var d Document
	raw, err := io.ReadAll(io.LimitReader(r, maxDocument+1))
	if err != nil {
		return Document{}, err
	}
	in := json.NewDecoder(bytes.NewReader(raw))
	in.DisallowUnknownFields()
	switch err := in.Decode(&d); {
	case len(raw) > maxDocument:
		return Document{}, fmt.Errorf("more than %d bytes: %w", maxDocument, ErrInvalid)
	case err != nil || in.More():
		return Document{}, fmt.Errorf("not the file of a bill: %w", errors.Join(ErrInvalid, err))
	case d.Format != Format:
		return Document{}, fmt.Errorf("its format is %.40q, not %q: %w", d.Format, Format, ErrInvalid)
	}
	return d, nil
}

// Verified is a bill that holds.
type Verified struct {
	Account Account
	Terms   channel.Terms
	Prices  tariff.Tariff
	// Steps are what was found to hold, in order, for people. After a failure they are those that held before it.
	Steps []string
}

// Verify checks a bill from the channel's terms to its total. It returns ErrInvalid, with the steps that held.
func (d Document) Verify() (Verified, error) {
	var v Verified
	held := func(format string, args ...any) { v.Steps = append(v.Steps, fmt.Sprintf(format, args...)) }
	domain := eip712.Domain{ChainID: d.ChainID, Contract: d.Contract}

	var terms orderv1.Terms
	err := proto.Unmarshal(d.Terms, &terms)
	if err == nil {
		v.Terms, err = channel.FromProto(&terms)
	}
	if err != nil || len(terms.ProtoReflect().GetUnknown()) > 0 {
		return v, fmt.Errorf("the terms are unreadable: %w", errors.Join(ErrInvalid, err))
	}
	held("the terms make channel %s of contract %s on chain %d", v.Terms.ID(domain), d.Contract, d.ChainID)

	var signed orderv1.SignedQuote
	if err := proto.Unmarshal(d.Quote, &signed); err != nil {
		return v, fmt.Errorf("the quote is unreadable: %w: %w", ErrInvalid, err)
	}
	q, err := quote.Verify(&signed, v.Terms.Signer)
	if err == nil {
		err = quote.CheckTerms(&signed, q, &terms)
	}
	if err != nil {
		return v, fmt.Errorf("the quote: %w: %w", ErrInvalid, err)
	}
	held("the channel was opened on the quote that is here, signed by its voucher signer %s", v.Terms.Signer)

	if v.Prices, err = tariff.FromProto(q.Tariff); err != nil {
		return v, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if id, err := v.Prices.ID(); err != nil || id != v.Terms.Tariff {
		return v, fmt.Errorf("the quote's prices are not those of the channel's terms: %w", errors.Join(ErrInvalid, err))
	}
	held("the prices are those of the channel's terms: tariff %s", common.Hash(v.Terms.Tariff))

	a, err := Verify(&orderv1.SignedAccount{Account: d.Account, Signature: d.Signature}, v.Terms.Signer)
	if err != nil {
		return v, fmt.Errorf("the account: %w", err)
	}
	held("the account is signed by the same key, with sequence %d", a.Sequence)
	if err := a.Check(v.Terms, domain, v.Prices); err != nil {
		return v, fmt.Errorf("the account: %w", err)
	}
	v.Account = a
	if a.Arrears.IsZero() {
		held("it is of this channel, its app and its tariff, and usage × tariff is %s base units", a.Total)
	} else {
		held("it is of this channel, its app and its tariff, and usage × tariff with %s of arrears is %s base units", a.Arrears, a.Total)
	}
	return v, nil
}
