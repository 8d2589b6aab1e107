// SPDX-License-Identifier: Apache-2.0

// Package publisher is the publisher's side of an app's life: deploy, watch, pay, stop.
//
// It guards the publisher's money and what they say to whom. Nothing but a nonce is sent to a provider before its evidence was verified
// on this very connection. Chain, contract and token are the publisher's own configuration, and an offer that names others is refused. What is
// needed to get the money back is on disk before a channel is opened, so a command that was killed goes on when it is run again, and never opens
// a second channel while the first one's terms still hold. Costs are computed here, from the tariff and the manifest; what a provider says they
// are is compared, not believed.
package publisher

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"github.com/apocryph/apocryph/internal/appfile"
	"github.com/apocryph/apocryph/internal/channel"
	"github.com/apocryph/apocryph/internal/delegation"
	"github.com/apocryph/apocryph/internal/eip712"
	"github.com/apocryph/apocryph/internal/evidence"
	orderv1 "github.com/apocryph/apocryph/internal/gen/orderv1"
	"github.com/apocryph/apocryph/internal/gen/providerv1/providerv1connect"
	"github.com/apocryph/apocryph/internal/tariff"
)

// Conditions that callers branch on.
var (
	// ErrNoApp says that no app of this name or id is known here.
	ErrNoApp = errors.New("no such app here")
	// ErrBusy says that another command works on the same app.
	ErrBusy = errors.New("another command is working on this app")
	// ErrDeclined says that the user did not confirm.
	ErrDeclined = errors.New("not confirmed")
	// ErrEvidence says that a provider's evidence was not accepted; nothing was sent to it.
	ErrEvidence = errors.New("the provider's evidence was not accepted")
	// ErrOffer says that a provider's quote is not one to accept.
	ErrOffer = errors.New("the provider's quote is not acceptable")
	// ErrMoney says that the wallet has too little, or that a deposit is too small.
	ErrMoney = errors.New("not enough money")
	// ErrLocked says that a command failed while money is in a channel; the hint says how to go on or get it back.
	ErrLocked = errors.New("money is in the channel")
	// ErrBill says that a provider's bill is not usage × tariff, or that what was settled on chain does not add up.
	ErrBill = errors.New("the account does not add up")
	// ErrNotReady says that an app is deployed and did not become ready.
	ErrNotReady = errors.New("the app is not ready")
	// ErrUnreachable says that a provider does not answer.
	ErrUnreachable = errors.New("the provider does not answer")
)

// Chain reads the publisher's own chain.
type Chain interface {
	// Domain is the chain and contract that everything is signed for.
	Domain() eip712.Domain
	// State returns a channel's state, and the block's time.
	State(context.Context, channel.ID) (channel.State, time.Time, error)
	// Final returns a channel's state in a block that can't be taken back.
	Final(context.Context, channel.ID) (channel.State, error)
	// Exists reports whether a channel is there, open or closed. If the chain's word is that of several endpoints, more than half of them
	// have to say that it is not.
	Exists(context.Context, channel.ID) (bool, error)
	// Closing returns what was claimed and refunded when the channel was closed, looking from a block on.
	Closing(ctx context.Context, id channel.ID, from uint64) (Closing, error)
	// Balance returns what an account has of a token.
	Balance(ctx context.Context, token, account common.Address) (tariff.Amount, error)
	// Token returns how a token shows its amounts.
	Token(context.Context, common.Address) (Token, error)
	// Head returns the newest block's number.
	Head(context.Context) (uint64, error)
	// Credit returns what failed transfers of a token left for an account.
	Credit(ctx context.Context, token, account common.Address) (tariff.Amount, error)
	// Openings returns the channels that an account opened, oldest first, looking from a block on.
	Openings(ctx context.Context, account common.Address, from uint64) ([]Opening, error)
}

// Opening is a channel as the log of the chain has it.
type Opening struct {
	ID     channel.ID
	Payout common.Address
	Amount tariff.Amount
	Block  uint64
	Tx     string
	// Terms are nil if the opening transaction does not carry them in a form that is known.
	Terms *channel.Terms
}

// Closing is what the contract said when it closed a channel.
type Closing struct {
	Claimed, Refunded tariff.Amount
	Tx                string
}

// Wallet is the publisher's account. Whether it asks for a passphrase at the first signature is its own business.
type Wallet interface {
	Address() common.Address
	SignDelegation(delegation.Delegation, eip712.Domain) (*orderv1.SignedDelegation, error)
	// Settle waits until nothing that was sent before can still take effect.
	Settle(context.Context) error
	// The others return the hash of the mined transaction. A wallet that sends nothing returns ErrUnsent.
	Open(context.Context, channel.Terms, tariff.Amount) (string, error)
	Deposit(context.Context, channel.Terms, tariff.Amount) (string, error)
	Notice(context.Context, channel.Terms) (string, error)
	Withdraw(context.Context, channel.Terms) (string, error)
	Release(context.Context, channel.Terms, Release) (string, error)
	WithdrawCredit(ctx context.Context, token, to common.Address) (string, error)
}

// Peer is this machine's libp2p identity.
type Peer interface {
	delegation.PeerKey
	// Peer is the peer id in binary form.
	Peer() string
}

// Conn is a connection to a provider whose peer id was proved.
type Conn struct {
	// Peer is the provider's peer id in binary form.
	Peer string
	// RPC answers calls, Transport carries image pushes; both reach only this peer.
	RPC       providerv1connect.ProviderServiceClient
	Transport http.RoundTripper
	Close     func()
}

// Image is one that was found and can be pushed.
type Image struct {
	appfile.Image
	// Push sends it; progress is called with bytes done and in all.
	Push func(ctx context.Context, to PushTarget, progress func(done, total int64)) error
}

// PushTarget says where an image goes.
type PushTarget struct {
	Transport    http.RoundTripper
	App, Service string
	Header       http.Header
}

// Publisher does the verbs. Fields that a verb does not need may be nil.
type Publisher struct {
	Store  *Store
	Chain  Chain
	Wallet Wallet
	Peer   Peer
	// Dial connects to the multiaddr of a provider.
	Dial func(ctx context.Context, endpoint string) (*Conn, error)
	// Resolve finds an image by the name that an app file gives it.
	Resolve func(ctx context.Context, image string) (Image, error)
	// Trust says what evidence is accepted: Hardware, Measurements and Simulator are used.
	Trust evidence.Policy
	// Token is what the publisher pays in.
	Token common.Address
	// Now is the clock.
	Now func() time.Time
	// Report is told of progress; nil means nobody is.
	Report func(Event)
}

// Event is a step of a longer piece of work.
type Event struct {
	// Step is one word: images, evidence, quote, channel, push, apply, watch, stop, settle, notice.
	Step    string
	Message string
	// Done of Total bytes, while something is sent.
	Done  int64
	Total int64
	// Warning marks what people must not overlook.
	Warning bool
}

func (p *Publisher) report(step, message string) { p.tell(Event{Step: step, Message: message}) }

func (p *Publisher) tell(e Event) {
	if p.Report != nil {
		p.Report(e)
	}
}
