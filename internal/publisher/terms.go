// SPDX-License-Identifier: Apache-2.0

package publisher

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/ethereum/go-ethereum/common"
	"google.golang.org/protobuf/proto"

	"github.com/apocryph/apocryph/internal/channel"
	"github.com/apocryph/apocryph/internal/eip712"
	"github.com/apocryph/apocryph/internal/fault"
	"github.com/apocryph/apocryph/internal/tariff"
)

// ErrTermsFile says that a file does not hold the terms of a channel.
var ErrTermsFile = errors.New("not the terms of a channel")

// TermsFile is a channel as JSON: all that it takes, besides the wallet, to leave it. It holds no secret.
type TermsFile struct {
	ChainID   uint64         `json:"chain_id"`
	Contract  common.Address `json:"contract"`
	Channel   channel.ID     `json:"channel"`
	FromBlock uint64         `json:"from_block"`
	Terms     *TermsText     `json:"terms"`
}

// TermsText is channel.Terms as JSON.
type TermsText struct {
	Publisher common.Address `json:"publisher"`
	App       AppID          `json:"app"`
	Payout    common.Address `json:"payout"`
	Payees    []PayeeText    `json:"payees"`
	Signer    common.Address `json:"signer"`
	Token     common.Address `json:"token"`
	Tariff    Word           `json:"tariff"`
	Quote     Word           `json:"quote"`
	Cap       tariff.Amount  `json:"cap"`
	Window    uint64         `json:"window"`
	Notice    uint64         `json:"notice"`
	Salt      Word           `json:"salt"`
}

// PayeeText is channel.Payee as JSON.
type PayeeText struct {
	Account common.Address `json:"account"`
	Share   uint32         `json:"share_ppm"`
}

// File is the view's channel as a terms file; Terms is nil where they are not known.
func (v ChannelView) File() TermsFile {
	f := TermsFile{ChainID: v.App.ChainID, Contract: v.App.Contract, Channel: v.App.Channel.ID, FromBlock: v.App.Channel.FromBlock}
	if len(v.App.Channel.Terms) == 0 {
		return f
	}
	t := v.Terms
	f.Terms = &TermsText{
		Publisher: t.Publisher, App: AppID{t.App}, Payout: t.Payout, Payees: []PayeeText{}, Signer: t.Signer, Token: t.Token, Tariff: t.Tariff,
		Quote: t.Quote, Cap: t.Cap, Window: t.Window, Notice: t.Notice, Salt: t.Salt,
	}
	for _, p := range t.Payees {
		f.Terms.Payees = append(f.Terms.Payees, PayeeText{p.Account, p.Share})
	}
	return f
}

func (t TermsText) terms() channel.Terms {
	out := channel.Terms{
		Publisher: t.Publisher, App: t.App.AppID, Payout: t.Payout, Signer: t.Signer, Token: t.Token, Tariff: t.Tariff, Quote: t.Quote,
		Cap: t.Cap, Window: t.Window, Notice: t.Notice, Salt: t.Salt,
	}
	for _, p := range t.Payees {
		out.Payees = append(out.Payees, channel.Payee{Account: p.Account, Share: p.Share})
	}
	return out
}

// ReadTerms reads a channel from a terms file or from an app's own file of the state directory. What it returns is not of the store. The id
// proves the terms; ErrTermsFile is for everything else. ref is how the commands that are suggested name the channel.
func ReadTerms(content []byte, ref string) (*App, error) {
	var kind struct {
		Channel json.RawMessage `json:"channel"`
	}
	if err := json.Unmarshal(content, &kind); err != nil || len(kind.Channel) == 0 {
		return nil, termsHint(fmt.Errorf("%w: it has no channel", ErrTermsFile))
	}
	if kind.Channel[0] == '{' {
		return readRecord(content, ref)
	}
	var f TermsFile
	if err := json.Unmarshal(content, &f); err != nil {
		return nil, termsHint(fmt.Errorf("%w: %w", ErrTermsFile, err))
	}
	if f.Terms == nil {
		return nil, termsHint(fmt.Errorf("%w: it has no terms", ErrTermsFile))
	}
	t := f.Terms.terms()
	a, err := looseApp(eip712.Domain{ChainID: f.ChainID, Contract: f.Contract}, t, f.FromBlock)
	if err != nil {
		return nil, termsHint(err)
	}
	if a.Channel.ID != f.Channel {
		return nil, termsHint(fmt.Errorf("%w: its terms are of channel %s, and it says %s", ErrTermsFile, a.Channel.ID, f.Channel))
	}
	a.ref = ref
	return a, nil
}

// readRecord reads an app's own file.
func readRecord(content []byte, ref string) (*App, error) {
	var a App
	if err := json.NewDecoder(bytes.NewReader(content)).Decode(&a); err != nil {
		return nil, termsHint(fmt.Errorf("%w: %w", ErrTermsFile, err))
	}
	_, t, err := a.Channel.terms()
	if err != nil {
		return nil, termsHint(fmt.Errorf("%w: %w", ErrTermsFile, err))
	}
	if id := t.ID(a.Domain()); id != a.Channel.ID {
		return nil, termsHint(fmt.Errorf("%w: its terms are of channel %s, and it says %s", ErrTermsFile, id, a.Channel.ID))
	}
	a.loose, a.ref = true, ref
	return &a, nil
}

func termsHint(err error) error {
	return fault.Hint(err, "such a file is what apocryph channel show APP --json writes; for a channel of your wallet it can be made anew: apocryph channel recover")
}

// looseApp is what is known of an app from the terms of its channel.
func looseApp(d eip712.Domain, t channel.Terms, fromBlock uint64) (*App, error) {
	if err := t.Validate(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrTermsFile, err)
	}
	encoded, err := proto.MarshalOptions{Deterministic: true}.Marshal(t.Proto())
	if err != nil {
		return nil, fmt.Errorf("encoding terms: %w", err)
	}
	id := AppID{t.App}
	return &App{
		ID: id, Name: "recovered-" + id.String()[:10], Stage: StageRecovered, Publisher: t.Publisher, Provider: t.Payout,
		ChainID: d.ChainID, Contract: d.Contract, Token: t.Token,
		Channel: Channel{ID: t.ID(d), Terms: encoded, FromBlock: fromBlock}, loose: true,
	}, nil
}

// Release is the consent of a channel's signer to close it at a final total.
type Release struct {
	Channel   channel.ID    `json:"channel"`
	Total     tariff.Amount `json:"total"`
	Signature Bytes         `json:"signature"`
}

// ErrRelease says that something is no release of the channel.
var ErrRelease = errors.New("not a release of this channel")

// ReadRelease reads a release as JSON, as in the status of the provider's Usage object. The signature may be in base64 or in hex after 0x.
func ReadRelease(content []byte) (*Release, error) {
	var f struct {
		Channel   channel.ID    `json:"channel"`
		Total     tariff.Amount `json:"total"`
		Signature string        `json:"signature"`
	}
	bad := func(err error) error {
		return fault.Hint(fmt.Errorf("%w: %w", ErrRelease, err), `a release looks like {"channel":"0x…","total":"123","signature":"0x…"}`)
	}
	if err := json.Unmarshal(content, &f); err != nil {
		return nil, bad(err)
	}
	decode := base64.StdEncoding.DecodeString
	if digits, ok := strings.CutPrefix(f.Signature, "0x"); ok {
		f.Signature, decode = digits, hex.DecodeString
	}
	sig, err := decode(f.Signature)
	if err != nil {
		return nil, bad(err)
	}
	return &Release{Channel: f.Channel, Total: f.Total, Signature: sig}, nil
}

// check returns ErrRelease unless the signer of the terms signed it for the channel.
func (r *Release) check(a *App, t channel.Terms) error {
	if r.Channel != a.Channel.ID {
		return fmt.Errorf("%w: it is of channel %s, not %s", ErrRelease, r.Channel, a.Channel.ID)
	}
	if err := channel.Verify(channel.Release{Channel: r.Channel, Total: r.Total}, a.Domain(), r.Signature, t.Signer); err != nil {
		return fmt.Errorf("%w: %w", ErrRelease, err)
	}
	return nil
}
