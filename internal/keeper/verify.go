// SPDX-License-Identifier: Apache-2.0

package keeper

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"google.golang.org/protobuf/proto"

	"github.com/apocryph/apocryph/api/v1alpha1"
	"github.com/apocryph/apocryph/internal/channel"
	"github.com/apocryph/apocryph/internal/delegation"
	"github.com/apocryph/apocryph/internal/eip712"
	manifestv1 "github.com/apocryph/apocryph/internal/gen/manifestv1"
	orderv1 "github.com/apocryph/apocryph/internal/gen/orderv1"
	"github.com/apocryph/apocryph/internal/ledger"
	"github.com/apocryph/apocryph/internal/manifest"
	"github.com/apocryph/apocryph/internal/quote"
	"github.com/apocryph/apocryph/internal/tariff"
)

// Reasons of the condition Verified.
const (
	ReasonVerified         = "Verified"
	ReasonForeignApp       = "ForeignApp"
	ReasonStatementInvalid = "StatementInvalid"
	ReasonManifestInvalid  = "ManifestInvalid"
	ReasonQuoteInvalid     = "QuoteInvalid"
	ReasonTermsInvalid     = "TermsInvalid"
	ReasonForeignChannel   = "ForeignChannel"
	ReasonCapTooSmall      = "CapTooSmall"
	ReasonStopInvalid      = "StopInvalid"
	ReasonSequenceInvalid  = "SequenceInvalid"
	ReasonReplayed         = "Replayed"
	ReasonFormerInvalid    = "FormerInvalid"
	ReasonChannelChanged   = "ChannelChanged"
)

// refusal is why an App's spec is not believed.
type refusal struct {
	reason string
	err    error
}

func (r *refusal) Error() string { return r.err.Error() }
func (r *refusal) Unwrap() error { return r.err }

// own is what an order has to be for.
type own struct {
	provider delegation.Provider
	domain   eip712.Domain
	signer   common.Address
	check    delegation.CheckPeer
}

// order is what a spec says once it is verified.
type order struct {
	app       delegation.AppID
	publisher common.Address
	statement delegation.Statement
	manifest  *manifestv1.Manifest
	signed    *orderv1.SignedQuote
	quote     *orderv1.Quote
	tariff    tariff.Tariff
	terms     channel.Terms
	channel   channel.ID
	// former are the channels that paid before, oldest first.
	former []pays
	// sequence is the stop's once there is one.
	sequence uint64
}

// pays is a channel that pays for an app, or did before: what its bill is made of.
type pays struct {
	ledger.Payer
	terms channel.Terms
	// quoted is the earliest time at which its quote can have been signed, in Unix seconds; it was opened after that.
	quoted int64
}

func (o *order) pays() pays {
	return pays{
		Payer: ledger.Payer{App: o.app, Channel: o.channel, Tariff: o.terms.Tariff, Prices: o.tariff},
		terms: o.terms, quoted: int64(min(o.quote.ExpiresAt, 1<<40)) - int64(quote.MaxLife/time.Second),
	}
}

// row are all channels of the order, oldest first: the last one is to pay.
func (o *order) row() []pays { return append(slices.Clone(o.former), o.pays()) }

// channels are the ids of row.
func (o *order) channels() []channel.ID {
	ids := make([]channel.ID, 0, len(o.former)+1)
	for _, p := range o.former {
		ids = append(ids, p.Channel)
	}
	return append(ids, o.channel)
}

// verify checks an App end to end, without I/O and without believing anything in it that is not signed. The list is the policy; each
// check builds on those before it.
func verify(o own, app *v1alpha1.App) (*order, error) {
	var got order
	for _, c := range []struct {
		reason string
		check  func(own, *v1alpha1.App, *order) error
	}{
		{ReasonForeignApp, checkIdentity},
		{ReasonStatementInvalid, checkStatement},
		{ReasonManifestInvalid, checkManifest},
		{ReasonQuoteInvalid, checkSignedQuote},
		{ReasonTermsInvalid, checkTerms},
		{ReasonForeignChannel, checkChannel},
		{ReasonFormerInvalid, checkFormer},
		{ReasonCapTooSmall, checkCap},
		{ReasonStopInvalid, checkStop},
		{ReasonSequenceInvalid, checkSequence},
	} {
		if err := c.check(o, app, &got); err != nil {
			return nil, &refusal{c.reason, err}
		}
	}
	return &got, nil
}

// checkIdentity: the object's name is the hash of publisher, this provider, and salt.
func checkIdentity(o own, app *v1alpha1.App, got *order) error {
	salt, err := channel.ParseID(app.Spec.Salt) // the same form: 0x and 64 digits
	if err != nil {
		return errors.New("its salt is not 32 bytes in hex")
	}
	if !common.IsHexAddress(app.Spec.Publisher) || !common.IsHexAddress(app.Spec.Provider) {
		return errors.New("publisher or provider is no address")
	}
	got.publisher = common.HexToAddress(app.Spec.Publisher)
	if p := common.HexToAddress(app.Spec.Provider); p != o.provider.Address {
		return fmt.Errorf("it is for provider %s, this is %s", p, o.provider.Address)
	}
	got.app = delegation.NewAppID(got.publisher, o.provider.Address, salt)
	if got.app.String() != app.Name {
		return fmt.Errorf("publisher, provider and salt give app id %s", got.app)
	}
	return nil
}

// checkStatement: the publisher's wallet delegated to the peer that ordered this app.
func checkStatement(o own, app *v1alpha1.App, got *order) error {
	st, err := statement(o, app.Spec.Statement, got)
	if err != nil {
		return err
	}
	if st.Action != orderv1.Action_ACTION_APPLY {
		return errors.New("it orders no app to run")
	}
	got.statement, got.sequence = st, st.Sequence
	return nil
}

func statement(o own, encoded []byte, got *order) (delegation.Statement, error) {
	var s orderv1.SignedStatement
	if err := proto.Unmarshal(encoded, &s); err != nil {
		return delegation.Statement{}, fmt.Errorf("unreadable: %w", delegation.ErrStatement)
	}
	st, err := delegation.VerifyStatement(&s, o.domain, o.provider, o.check)
	if err != nil {
		return delegation.Statement{}, err
	}
	switch {
	case st.App != got.app:
		return delegation.Statement{}, fmt.Errorf("it is about app %s", st.App)
	case st.Delegation.Publisher != got.publisher:
		return delegation.Statement{}, fmt.Errorf("it is signed for publisher %s", st.Delegation.Publisher)
	}
	return st, nil
}

// checkManifest: what will run is what was ordered.
func checkManifest(_ own, app *v1alpha1.App, got *order) error {
	m, err := manifest.Decode(app.Spec.Manifest)
	if err != nil {
		return err
	}
	h, err := manifest.HashOf(m)
	if err != nil {
		return err
	}
	if h != got.statement.ManifestHash {
		return fmt.Errorf("its hash is %s, and %x was ordered", h, got.statement.ManifestHash)
	}
	if h.String() != app.Spec.ManifestHash {
		return errors.New("the hash beside it is another one")
	}
	got.manifest = m
	return nil
}

// checkSignedQuote: this enclave offered it, for this provider, chain and contract. That it has expired since does not matter.
func checkSignedQuote(o own, app *v1alpha1.App, got *order) error {
	return got.readQuote(o, app.Spec.Quote)
}

func (o *order) readQuote(here own, encoded []byte) error {
	o.signed = &orderv1.SignedQuote{}
	if err := proto.Unmarshal(encoded, o.signed); err != nil {
		return fmt.Errorf("unreadable: %w", quote.ErrInvalid)
	}
	q, err := quote.Verify(o.signed, here.signer)
	if err != nil {
		return err
	}
	switch {
	case common.Address(q.Provider) != here.provider.Address:
		return errors.New("it is of another provider")
	case q.ChainId != here.domain.ChainID || common.Address(q.Contract) != here.domain.Contract:
		return errors.New("it is for another chain or contract")
	}
	o.tariff, err = tariff.FromProto(q.Tariff)
	o.quote = q
	return err
}

// checkTerms: the channel's terms are the quote's, for this app and publisher, with the voucher key of this enclave.
func checkTerms(o own, app *v1alpha1.App, got *order) error {
	return got.readTerms(o, app.Spec.Terms)
}

func (o *order) readTerms(here own, encoded []byte) error {
	var p orderv1.Terms
	if err := proto.Unmarshal(encoded, &p); err != nil {
		return fmt.Errorf("unreadable: %w", channel.ErrTerms)
	}
	if err := quote.CheckTerms(o.signed, o.quote, &p); err != nil {
		return err
	}
	t, err := channel.FromProto(&p)
	if err != nil {
		return err
	}
	id, err := o.tariff.ID()
	if err != nil {
		return err
	}
	switch {
	case t.App != o.app || t.Publisher != o.publisher:
		return errors.New("they are for another app or publisher")
	case t.Signer != here.signer:
		return errors.New("they name another voucher signer")
	case t.Tariff != id || t.Token != o.tariff.Token:
		return errors.New("they name another tariff or token")
	}
	o.terms = t
	return nil
}

// checkChannel: the channel that pays is the one of these terms, and the publisher named it.
func checkChannel(o own, app *v1alpha1.App, got *order) error {
	got.channel = got.terms.ID(o.domain)
	switch {
	case got.channel != got.statement.Channel:
		return fmt.Errorf("the order names channel %s, the terms are of %s", channel.ID(got.statement.Channel), got.channel)
	case got.channel.String() != app.Spec.Channel:
		return fmt.Errorf("the terms are of channel %s", got.channel)
	}
	return nil
}

// checkFormer: the channels that paid before are those that the publisher named, each of this enclave's own offer for this app, and in
// the same token, since one may have to pay what another left.
func checkFormer(o own, app *v1alpha1.App, got *order) error {
	if len(app.Spec.Former) != len(got.statement.Former) {
		return fmt.Errorf("%d channels were ordered as those before, and %d are there", len(got.statement.Former), len(app.Spec.Former))
	}
	for i, f := range app.Spec.Former {
		was := &order{app: got.app, publisher: got.publisher}
		if err := was.readQuote(o, f.Quote); err != nil {
			return err
		}
		if err := was.readTerms(o, f.Terms); err != nil {
			return err
		}
		was.channel = was.terms.ID(o.domain)
		switch {
		case was.channel != got.statement.Former[i] || was.channel.String() != f.Channel:
			return fmt.Errorf("the terms of a channel before are of %s, and %s was ordered", was.channel, channel.ID(got.statement.Former[i]))
		case was.terms.Token != got.terms.Token:
			return fmt.Errorf("channel %s before is in another token", was.channel)
		}
		got.former = append(got.former, was.pays())
	}
	return nil
}

// checkCap: what was ordered has a price and can be claimed. Nobody is kept from stopping what costs more.
func checkCap(_ own, app *v1alpha1.App, got *order) error {
	if len(app.Spec.Stop) > 0 {
		return nil
	}
	if what := quote.Unsold(got.tariff, got.manifest); what != "" {
		return fmt.Errorf("the channel's tariff has no price for %s", what)
	}
	if least := quote.LeastCap(got.tariff, got.manifest); got.terms.Cap.Cmp(least) < 0 {
		return fmt.Errorf("the channel's cap is %s per second, the manifest needs %s", got.terms.Cap, least)
	}
	return nil
}

// checkStop: if there is a stop, the publisher ordered it, for the same channel, after what runs.
func checkStop(o own, app *v1alpha1.App, got *order) error {
	if len(app.Spec.Stop) == 0 {
		return nil
	}
	st, err := statement(o, app.Spec.Stop, got)
	switch {
	case err != nil:
		return err
	case st.Action != orderv1.Action_ACTION_STOP:
		return errors.New("it orders no stop")
	case st.Channel != got.statement.Channel:
		return errors.New("it names another channel")
	case st.Sequence <= got.statement.Sequence:
		return errors.New("it is older than the order in force")
	}
	got.sequence = st.Sequence
	return nil
}

// checkSequence: the number by which the API server refuses older specs is the signed one.
func checkSequence(_ own, app *v1alpha1.App, got *order) error {
	if app.Spec.Sequence < 0 || uint64(app.Spec.Sequence) != got.sequence {
		return fmt.Errorf("the signed number is %d, the spec says %d", got.sequence, app.Spec.Sequence)
	}
	return nil
}

// checkMemory refuses a spec that is older than one that was verified before, the same number for something else, and a channel beside those
// that vouchers are out on: another one is taken only as the successor of all that were ordered before, in their order.
func checkMemory(m memory, u *v1alpha1.Usage, got *order) error {
	if m.order != nil && got.sequence < m.order.sequence {
		return &refusal{ReasonReplayed, fmt.Errorf("number %d comes after %d", got.sequence, m.order.sequence)}
	}
	if m.order != nil && got.sequence == m.order.sequence && !bytes.Equal(got.statement.ManifestHash[:], m.order.statement.ManifestHash[:]) {
		return &refusal{ReasonReplayed, fmt.Errorf("number %d was used for another manifest", got.sequence)}
	}
	named := got.channels()
	if m.order != nil && !slices.Equal(m.order.channels(), named[:min(len(m.order.channels()), len(named))]) {
		return &refusal{ReasonChannelChanged, fmt.Errorf("channel %s does not follow on channel %s, which pays", got.channel, m.order.channel)}
	}
	on := m.signedOn
	if u != nil && u.Status.Voucher != nil {
		if id, err := channel.ParseID(u.Status.Voucher.Channel); err == nil {
			on = id
		}
	}
	// Usage is one account: on a channel that is not one of a row, all of it would be due a second time.
	if on != (channel.ID{}) && !slices.Contains(named, on) {
		return &refusal{ReasonChannelChanged, fmt.Errorf("usage is billed on channel %s", on)}
	}
	return nil
}
