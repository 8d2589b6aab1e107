// SPDX-License-Identifier: Apache-2.0

package publisher

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"google.golang.org/protobuf/proto"

	"github.com/apocryph/apocryph/internal/channel"
	"github.com/apocryph/apocryph/internal/delegation"
	"github.com/apocryph/apocryph/internal/eip712"
	manifestv1 "github.com/apocryph/apocryph/internal/gen/manifestv1"
	orderv1 "github.com/apocryph/apocryph/internal/gen/orderv1"
	"github.com/apocryph/apocryph/internal/manifest"
	"github.com/apocryph/apocryph/internal/tariff"
)

const stateVersion = 1

// Stage is how far an app has come, as far as this machine knows.
type Stage string

// The stages, in order. Each is written before the step after it begins.
const (
	// StagePlanned: a channel may be opened on Channel's terms.
	StagePlanned Stage = "planned"
	// StageOpened: the channel is open; the provider may or may not have the app.
	StageOpened Stage = "opened"
	// StageApplied: the provider has the app.
	StageApplied Stage = "applied"
	// StageStopping: the stop is signed.
	StageStopping Stage = "stopping"
	// StageEnded: the channel is closed.
	StageEnded Stage = "ended"
	// StageRecovered: all that is known of the app is its channel, read back from the chain. It can only be left.
	StageRecovered Stage = "recovered"
)

// App is what this machine knows of an app. It holds secrets: the app's environment, in the manifest.
type App struct {
	Version int    `json:"version"`
	ID      AppID  `json:"id"`
	Name    string `json:"name"`
	Stage   Stage  `json:"stage"`

	Publisher common.Address `json:"publisher"`
	Provider  common.Address `json:"provider"`
	// Peer is the provider's peer id in binary form, Endpoint the multiaddr at which it was reached.
	Peer     Bytes  `json:"peer"`
	Endpoint string `json:"endpoint"`
	// Simulator is the simulator that was accepted when the app was deployed; empty means none.
	Simulator string `json:"simulator,omitempty"`

	ChainID  uint64         `json:"chain_id"`
	Contract common.Address `json:"contract"`
	Token    common.Address `json:"token"`

	// Salt is the app id's; Seed makes the salts of env values.
	Salt Word `json:"salt"`
	Seed Word `json:"seed"`
	// Sequence is that of the newest statement.
	Sequence uint64 `json:"sequence"`

	// Manifest is the encoded manifest that was last ordered, or is about to be.
	Manifest Bytes `json:"manifest"`
	// Verified is the encoded manifest that the provider's enclave was last seen to accept, Before the one before that; empty when there was none.
	Verified Bytes   `json:"verified,omitempty"`
	Before   Bytes   `json:"before,omitempty"`
	Channel  Channel `json:"channel"`
	// Next is a successor of Channel that may be opened, or is, and that the provider is not known to have.
	Next *Channel `json:"next,omitempty"`
	// Past are channels that were planned or used before Channel, newest first.
	Past []Channel `json:"past,omitempty"`
	// Stop is the encoded order.v1.SignedStatement.
	Stop Bytes `json:"stop,omitempty"`

	URL       string    `json:"url,omitempty"`
	CreatedAt time.Time `json:"created_at"`

	// loose says that this is not the store's record of the app, so it is never saved; ref, if set, is how commands name its channel.
	loose bool
	ref   string
}

// Ref is how a command names the app or its channel.
func (a *App) Ref() string {
	if a.ref != "" {
		return a.ref
	}
	return a.Name
}

// reachable reports whether enough is known of the app's provider to talk to it about this channel.
func (a *App) reachable() bool { return !a.loose && len(a.Peer) > 0 }

// Channel is a channel with what its publisher needs to use and leave it.
type Channel struct {
	ID channel.ID `json:"id"`
	// Terms is the encoded order.v1.Terms, Quote the encoded order.v1.SignedQuote.
	Terms   Bytes         `json:"terms"`
	Quote   Bytes         `json:"quote"`
	Deposit tariff.Amount `json:"deposit"`
	// FromBlock is a block before the opening.
	FromBlock uint64 `json:"from_block"`
	OpenTx    string `json:"open_tx,omitempty"`
	// Former says that the channel paid for the app at its provider, until another took over.
	Former bool `json:"former,omitempty"`
	// Release is what the provider's enclave signed when the app ended, once it was seen: good for whoever submits it.
	Release *Release `json:"release,omitempty"`
}

// AppID is delegation.AppID with a text form.
type AppID struct{ delegation.AppID }

// MarshalText implements encoding.TextMarshaler with the base32 form.
func (id AppID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (id *AppID) UnmarshalText(b []byte) (err error) {
	id.AppID, err = delegation.ParseAppID(string(b))
	return err
}

// Word is 32 bytes, in hex as text.
type Word [32]byte

// MarshalText implements encoding.TextMarshaler.
func (w Word) MarshalText() ([]byte, error) { return []byte(hex.EncodeToString(w[:])), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (w *Word) UnmarshalText(b []byte) error {
	raw, err := hex.DecodeString(string(b))
	if err != nil || len(raw) != len(w) {
		return fmt.Errorf("%.80q is not 64 hex digits", b)
	}
	copy(w[:], raw)
	return nil
}

// Bytes are bytes, in base64 as text.
type Bytes []byte

// MarshalText implements encoding.TextMarshaler.
func (b Bytes) MarshalText() ([]byte, error) {
	return []byte(base64.StdEncoding.EncodeToString(b)), nil
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (b *Bytes) UnmarshalText(text []byte) (err error) {
	*b, err = base64.StdEncoding.DecodeString(string(text))
	return err
}

// decode reads one of the app's encoded manifests.
func (a *App) decode(encoded Bytes) (*manifestv1.Manifest, error) {
	m, err := manifest.Decode(encoded)
	if err != nil {
		return nil, fmt.Errorf("the state of %s: %w", a.Name, err)
	}
	return m, nil
}

func (a *App) ended() bool { return a.Stage == StageEnded }

// Domain is the chain and contract that the app was deployed for.
func (a *App) Domain() eip712.Domain {
	return eip712.Domain{ChainID: a.ChainID, Contract: a.Contract}
}

// at is whom statements and delegations about the app are for.
func (a *App) at() delegation.Provider {
	return delegation.Provider{Address: a.Provider, Peer: string(a.Peer)}
}

// terms decodes the channel's terms.
func (c Channel) terms() (*orderv1.Terms, channel.Terms, error) {
	var p orderv1.Terms
	if err := proto.Unmarshal(c.Terms, &p); err != nil {
		return nil, channel.Terms{}, fmt.Errorf("the terms of channel %s: %w", c.ID, err)
	}
	t, err := channel.FromProto(&p)
	if err != nil {
		return nil, channel.Terms{}, fmt.Errorf("the terms of channel %s: %w", c.ID, err)
	}
	return &p, t, nil
}

// quote decodes the channel's quote, which was verified when it was saved.
func (c Channel) quote() (*orderv1.SignedQuote, *orderv1.Quote, error) {
	var s orderv1.SignedQuote
	var q orderv1.Quote
	if err := proto.Unmarshal(c.Quote, &s); err != nil {
		return nil, nil, fmt.Errorf("the quote of channel %s: %w", c.ID, err)
	}
	if err := proto.Unmarshal(s.Quote, &q); err != nil {
		return nil, nil, fmt.Errorf("the quote of channel %s: %w", c.ID, err)
	}
	return &s, &q, nil
}

// tariff decodes the prices that the channel was opened on.
func (c Channel) tariff() (tariff.Tariff, error) {
	_, q, err := c.quote()
	if err != nil {
		return tariff.Tariff{}, err
	}
	return tariff.FromProto(q.Tariff)
}
