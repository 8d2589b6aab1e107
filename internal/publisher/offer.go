// SPDX-License-Identifier: Apache-2.0

package publisher

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"google.golang.org/protobuf/proto"

	"github.com/apocryph/apocryph/internal/channel"
	"github.com/apocryph/apocryph/internal/fault"
	manifestv1 "github.com/apocryph/apocryph/internal/gen/manifestv1"
	orderv1 "github.com/apocryph/apocryph/internal/gen/orderv1"
	providerv1 "github.com/apocryph/apocryph/internal/gen/providerv1"
	"github.com/apocryph/apocryph/internal/manifest"
	"github.com/apocryph/apocryph/internal/quote"
	"github.com/apocryph/apocryph/internal/tariff"
)

// capFactor bounds how far a quote's cap may lie above what the app costs when all of it runs twice, as in a rolling update, and sends as much as it may.
const capFactor = 4

// Offer is what a deploy will cost, computed here from the tariff and the manifest.
type Offer struct {
	Token    Token
	Provider common.Address
	// Awake and Asleep are the cost per hour with everything running and with only the volumes kept, rounded up.
	Awake, Asleep tariff.Amount
	// Cap is the most that can be claimed per hour, whatever happens.
	Cap tariff.Amount
	// Minimum is the least deposit that the provider starts the app for.
	Minimum tariff.Amount
	// Deposit is what goes into the channel; Runway how long it lasts awake.
	Deposit tariff.Amount
	Runway  time.Duration
	// Balance is what the wallet has.
	Balance tariff.Amount
	// Notice is how long the publisher's own exit takes.
	Notice time.Duration
	Host   string
	// ExpiresAt is when the offer ends.
	ExpiresAt time.Time
	// Follows is the channel that the new one follows on, because the app outgrows it; nil for a new app.
	Follows *channel.ID

	signed *orderv1.SignedQuote
	quote  *orderv1.Quote
}

// offer asks for a quote and checks every part of it. What is kept of earlier versions has its part in the price.
func (p *Publisher) offer(ctx context.Context, s *session, a *App, m *manifestv1.Manifest, kept []*manifestv1.Volume) (*Offer, error) {
	ctx, err := p.authorized(ctx, a, forUse())
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	answer, err := s.RPC.Quote(ctx, &providerv1.QuoteRequest{App: a.ID.AppID[:], AppSalt: a.Salt[:], Manifest: m})
	if err != nil {
		return nil, fmt.Errorf("asking for a quote: %w", refusal(err))
	}
	q, err := quote.Verify(answer.Quote, s.proved.Signer)
	if err != nil {
		return nil, refuse(err)
	}
	if err := p.checkQuote(s, a, m, q); err != nil {
		return nil, refuse(err)
	}
	return p.price(ctx, q, answer.Quote, withKept(m, kept))
}

func refuse(err error) error {
	return fault.Hint(fmt.Errorf("%w: %w", ErrOffer, err), "no money was moved; choose another provider, or check --rpc, --channels and --token")
}

// checkQuote returns nil if the quote is for this app, at this chain, contract and token, and its terms are whole.
func (p *Publisher) checkQuote(s *session, a *App, m *manifestv1.Manifest, q *orderv1.Quote) error {
	hash, err := manifest.HashOf(m)
	if err != nil {
		return err
	}
	prices, err := tariff.FromProto(q.Tariff)
	if err != nil {
		return err
	}
	id, err := prices.ID()
	if err != nil {
		return err
	}
	t := q.Terms
	for _, check := range []struct {
		what string
		ok   bool
	}{
		{"it is another provider's", bytes.Equal(q.Provider, a.Provider[:])},
		{"it is for another chain", q.ChainId == s.domain.ChainID},
		{"it is for another contract", bytes.Equal(q.Contract, s.domain.Contract[:])},
		{"it is in another token", bytes.Equal(t.Token, p.Token[:]) && prices.Token == p.Token},
		{"it is for another publisher", bytes.Equal(t.Publisher, a.Publisher[:])},
		{"it is for another app", bytes.Equal(t.App, a.ID.AppID[:])},
		{"it is for another workload", bytes.Equal(q.ManifestHash, hash[:])},
		{"its terms name another tariff", bytes.Equal(t.Tariff, id[:])},
	} {
		if !check.ok {
			return fmt.Errorf("%s", check.what)
		}
	}
	return quote.Expired(q, p.Now())
}

// price computes what the quote costs and that its cap and minimum are in proportion.
func (p *Publisher) price(ctx context.Context, q *orderv1.Quote, signed *orderv1.SignedQuote, m *manifestv1.Manifest) (*Offer, error) {
	prices, err := tariff.FromProto(q.Tariff)
	if err != nil {
		return nil, refuse(err)
	}
	// The salt and quote hash are ours to fill in; everything else is checked now, before anybody is asked to agree.
	terms, err := channel.FromProto(quote.Terms(signed, q, [32]byte{}))
	if err != nil {
		return nil, refuse(err)
	}
	minimum, err := tariff.AmountFromBytes(q.MinimumDeposit)
	if err != nil {
		return nil, refuse(err)
	}
	awake, asleep := hourly(prices, m)
	most := quote.Cap(prices, m).Add(tariff.Units(1)).Mul(capFactor)
	if terms.Cap.Cmp(most) > 0 {
		return nil, refuse(fmt.Errorf("its cap of %s base units per second is more than %d times what the app can cost", terms.Cap, capFactor))
	}
	token, err := p.Chain.Token(ctx, p.Token)
	if err != nil {
		return nil, err
	}
	balance, err := p.Chain.Balance(ctx, p.Token, p.Wallet.Address())
	if err != nil {
		return nil, err
	}
	return &Offer{
		Token: token, Provider: common.BytesToAddress(q.Provider), Awake: awake, Asleep: asleep, Cap: terms.Cap.Mul(3600), Minimum: minimum, Balance: balance,
		Notice: time.Duration(terms.Notice) * time.Second, Host: Clean(q.Host), ExpiresAt: time.Unix(int64(min(q.ExpiresAt, 1<<40)), 0),
		signed: signed, quote: q,
	}, nil
}

// hourly returns the cost per hour with everything running and with only the volumes kept, rounded up.
func hourly(prices tariff.Tariff, m *manifestv1.Manifest) (awake, asleep tariff.Amount) {
	pods, volumes := manifest.Rate(m)
	return prices.CostUp(pods.Add(volumes).For(3600)), prices.CostUp(volumes.For(3600))
}

// Budget says how much goes into a channel: an amount, or for how long the app is to run awake. One of them is set.
type Budget struct {
	// Deposit is in token units, as people write it.
	Deposit string
	For     time.Duration
}

// fund fills in the deposit and checks that it is enough and that the wallet has it.
func (o *Offer) fund(b Budget) error {
	if b.Deposit != "" {
		a, err := o.Token.Parse(b.Deposit)
		if err != nil {
			return err
		}
		o.Deposit = a
	} else {
		o.Deposit = ceilHour(o.Awake.Mul(uint64(max(0, b.For/time.Second))))
		if o.Deposit.Cmp(o.Minimum) < 0 {
			o.Deposit = o.Minimum
		}
	}
	o.Runway = runway(o.Deposit, o.Awake)
	switch {
	case o.Deposit.IsZero():
		return fault.Hint(fmt.Errorf("a deposit of nothing: %w", ErrMoney), "use --deposit AMOUNT or --for DURATION, as in --for 24h")
	case o.Deposit.Cmp(o.Minimum) < 0:
		return fault.Hint(fmt.Errorf("a deposit of %s is less than the %s that the provider starts the app for: %w", o.Token.Format(o.Deposit), o.Token.Format(o.Minimum), ErrMoney),
			"deposit at least that much, or leave --deposit out")
	case o.Deposit.Cmp(o.Balance) > 0:
		return fault.Hint(fmt.Errorf("the deposit of %s is more than the wallet's balance of %s: %w", o.Token.Format(o.Deposit), o.Token.Format(o.Balance), ErrMoney),
			"deposit less with --deposit or --for, or send tokens to the wallet (apocryph wallet show)")
	}
	return nil
}

// ceilHour divides an hourly price × seconds by the seconds of an hour, rounded up.
func ceilHour(perHourSeconds tariff.Amount) tariff.Amount {
	n := perHourSeconds.Add(tariff.Units(3599)).Big()
	n.Quo(n, tariff.Units(3600).Big())
	a, err := tariff.NewAmount(n)
	if err != nil {
		return tariff.Amount{} // refused as a deposit of nothing
	}
	return a
}

// channelOn completes the offer's terms with a fresh salt.
func (o *Offer) channelOn(domain func(channel.Terms) channel.ID, fromBlock uint64) (Channel, error) {
	var salt [32]byte
	if _, err := rand.Read(salt[:]); err != nil {
		return Channel{}, fmt.Errorf("making a salt: %w", err)
	}
	wire := quote.Terms(o.signed, o.quote, salt)
	terms, err := channel.FromProto(wire)
	if err != nil {
		return Channel{}, refuse(err)
	}
	t, err := proto.MarshalOptions{Deterministic: true}.Marshal(wire)
	if err != nil {
		return Channel{}, fmt.Errorf("encoding terms: %w", err)
	}
	q, err := proto.MarshalOptions{Deterministic: true}.Marshal(o.signed)
	if err != nil {
		return Channel{}, fmt.Errorf("encoding quote: %w", err)
	}
	return Channel{ID: domain(terms), Terms: t, Quote: q, Deposit: o.Deposit, FromBlock: fromBlock}, nil
}
