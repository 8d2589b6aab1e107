// SPDX-License-Identifier: Apache-2.0

package publisher

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"connectrpc.com/connect"
	"github.com/ethereum/go-ethereum/common"

	"github.com/apocryph/apocryph/internal/channel"
	"github.com/apocryph/apocryph/internal/delegation"
	"github.com/apocryph/apocryph/internal/eip712"
	"github.com/apocryph/apocryph/internal/evidence"
	"github.com/apocryph/apocryph/internal/fault"
	orderv1 "github.com/apocryph/apocryph/internal/gen/orderv1"
	providerv1 "github.com/apocryph/apocryph/internal/gen/providerv1"
	"github.com/apocryph/apocryph/internal/span"
)

const (
	dialTime = 20 * time.Second
	callTime = 60 * time.Second
	// connectAttempts bridge a provider's gateway that starts anew.
	connectAttempts = 3

	// useLife is how long the delegation for everyday work lasts, stopLife that for ending an app.
	useLife  = 24 * time.Hour
	stopLife = time.Hour
	// leftover is how much of its life a cached delegation must still have.
	leftover = 5 * time.Minute
)

// session is a connection to a provider whose evidence was verified.
type session struct {
	*Conn
	// proved is what the evidence proved.
	proved evidence.Verified
	domain eip712.Domain
}

// provider says where a provider is and what it has to prove.
type provider struct {
	endpoint string
	domain   eip712.Domain
	// address, if known, is the provider's.
	address common.Address
	trust   evidence.Policy
}

// connect dials a provider and verifies its evidence. Until that is done only a nonce is sent. It returns ErrUnreachable, after a few
// attempts, or ErrEvidence.
func (p *Publisher) connect(ctx context.Context, to provider) (*session, error) {
	for attempt := 1; ; attempt++ {
		s, err := p.connectOnce(ctx, to)
		if !errors.Is(err, ErrUnreachable) || attempt == connectAttempts {
			return s, err
		}
		p.report("connect", "the provider does not answer, trying again")
		if err := span.Wait(ctx, watchPause); err != nil {
			return nil, err
		}
	}
}

func (p *Publisher) connectOnce(ctx context.Context, to provider) (*session, error) {
	dial, cancel := context.WithTimeout(ctx, dialTime)
	defer cancel()
	conn, err := p.Dial(dial, to.endpoint)
	if err != nil {
		return nil, err
	}
	s := &session{Conn: conn, domain: to.domain}
	if s.proved, err = p.evidence(ctx, conn, to); err != nil {
		conn.Close()
		return nil, err
	}
	return s, nil
}

func (p *Publisher) evidence(ctx context.Context, conn *Conn, to provider) (evidence.Verified, error) {
	nonce := make([]byte, evidence.NonceSize)
	if _, err := rand.Read(nonce); err != nil {
		return evidence.Verified{}, fmt.Errorf("making a nonce: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	answer, err := conn.RPC.Evidence(ctx, &providerv1.EvidenceRequest{Nonce: nonce})
	if err != nil {
		return evidence.Verified{}, fmt.Errorf("asking the provider for evidence: %w", refusal(err))
	}
	policy := to.trust
	policy.ChainID, policy.Contract, policy.Peer, policy.Provider = to.domain.ChainID, to.domain.Contract, conn.Peer, to.address
	v, err := evidence.Verify(answer.Evidence, nonce, policy, p.Now())
	if err != nil {
		return evidence.Verified{}, fault.Hint(fmt.Errorf("%w: %w", ErrEvidence, err), evidenceHint(err))
	}
	return v, nil
}

func evidenceHint(err error) string {
	switch {
	case errors.Is(err, evidence.ErrSimulator):
		return "its operator can read and change everything; if you trust them (a devnet of your own), accept exactly this one with --accept-simulator"
	case errors.Is(err, evidence.ErrMeasurement):
		return "name the measurements that you trust with --measurement, or choose another provider"
	case errors.Is(err, evidence.ErrChain):
		return "this provider works on another chain or contract: check --rpc and --channels"
	case errors.Is(err, evidence.ErrStale):
		return "check this machine's clock, then try again"
	}
	return "nothing was sent to this provider; choose another one"
}

// toApp says how to reach the provider of a known app.
func (p *Publisher) toApp(a *App) (provider, error) {
	trust := p.Trust
	if trust.Simulator == nil && a.Simulator != "" {
		sim, err := evidence.ParseSimulator(a.Simulator)
		if err != nil {
			return provider{}, fmt.Errorf("the state of %s: %w", a.Name, err)
		}
		trust.Simulator = &sim
	}
	return provider{endpoint: a.Endpoint, domain: a.Domain(), address: a.Provider, trust: trust}, nil
}

// reach connects to the provider of a known app.
func (p *Publisher) reach(ctx context.Context, a *App) (*session, error) {
	if !a.reachable() {
		return nil, fault.Hint(fmt.Errorf("app %s was recovered from the chain, which does not say how to reach its provider", a.Name), "see how to leave it with: apocryph channel show "+a.Ref())
	}
	to, err := p.toApp(a)
	if err != nil {
		return nil, err
	}
	return p.connect(ctx, to)
}

// purpose is what a delegation is for.
type purpose struct {
	kind       string
	life       time.Duration
	operations []orderv1.Operation
}

func forUse() purpose {
	return purpose{"use", useLife, []orderv1.Operation{orderv1.Operation_OPERATION_READ, orderv1.Operation_OPERATION_LOGS, orderv1.Operation_OPERATION_APPLY}}
}

// forStop is apart: what ends an app and deletes its volumes is never lent for a day.
func forStop() purpose {
	return purpose{"stop", stopLife, []orderv1.Operation{orderv1.Operation_OPERATION_READ, orderv1.Operation_OPERATION_STOP}}
}

// delegate returns a delegation of this machine's key for one app, from the cache while it lasts, else signed by the wallet.
func (p *Publisher) delegate(a *App, what purpose) (*orderv1.SignedDelegation, error) {
	now := p.Now()
	cached, err := p.Store.cachedDelegation(a.ID.AppID, what.kind)
	if err != nil {
		return nil, err
	}
	if cached != nil {
		d, err := delegation.Verify(cached, a.Domain(), p.Peer.Peer(), a.at(), now.Add(leftover))
		if err == nil && d.Publisher == a.Publisher {
			return cached, nil
		}
	}
	signed, err := p.Wallet.SignDelegation(delegation.Delegation{
		Publisher: a.Publisher, Peer: p.Peer.Peer(), Provider: a.at(), Operations: what.operations,
		Apps: []delegation.AppID{a.ID.AppID}, IssuedAt: now, ExpiresAt: now.Add(what.life),
	}, a.Domain())
	if err != nil {
		return nil, fmt.Errorf("delegating to this machine: %w", err)
	}
	if _, err := delegation.VerifySignature(signed, a.Domain()); err != nil {
		return nil, fault.Hint(err, fmt.Sprintf("use the wallet that deployed the app: %s", a.Publisher))
	}
	return signed, p.Store.saveDelegation(a.ID.AppID, what.kind, signed)
}

// authorized returns a context whose calls carry a delegation.
func (p *Publisher) authorized(ctx context.Context, a *App, what purpose) (context.Context, error) {
	d, err := p.delegate(a, what)
	if err != nil {
		return nil, err
	}
	header, err := delegation.EncodeHeader(d)
	if err != nil {
		return nil, err
	}
	ctx, info := connect.NewClientContext(ctx)
	info.RequestHeader().Set(delegation.Header, header)
	// Without the salt a provider does not tell an app that is gone from somebody else's.
	info.RequestHeader().Set(delegation.HeaderSalt, delegation.EncodeSalt(a.Salt))
	return ctx, nil
}

// statement signs an instruction with this machine's key and the next sequence number, which the caller saves before it is sent. An order that
// names no channel is on the present one.
func (p *Publisher) statement(a *App, s delegation.Statement, under *orderv1.SignedDelegation) (*orderv1.SignedStatement, error) {
	now := p.Now()
	a.Sequence = max(a.Sequence+1, uint64(max(0, now.UnixMilli())))
	s.App, s.Sequence, s.IssuedAt = a.ID.AppID, a.Sequence, now
	if s.Channel == [32]byte(channel.ID{}) {
		s.Channel = a.Channel.ID
		if s.Action == orderv1.Action_ACTION_APPLY {
			s.Former = a.former()
		}
	}
	return delegation.SignStatement(s, p.Peer, under)
}

// refusal turns the error of a call into one with the provider's reason and hint, or ErrUnreachable.
func refusal(err error) error {
	var e *connect.Error
	if !errors.As(err, &e) {
		return err
	}
	for _, detail := range e.Details() {
		v, derr := detail.Value()
		info, ok := v.(*providerv1.ErrorInfo)
		if derr != nil || !ok {
			continue
		}
		out := fault.As(fmt.Errorf("the provider refused: %s", Clean(e.Message())), info.Reason)
		if info.RequestId != "" {
			out = fault.As(fmt.Errorf("the provider failed (request %s): %s", Clean(info.RequestId), Clean(e.Message())), info.Reason)
		}
		if info.Hint != "" {
			out = fault.Hint(out, Clean(info.Hint))
		}
		return out
	}
	if e.Code() == connect.CodeUnimplemented {
		return fault.Hint(fmt.Errorf("the provider does not know this call: %s", Clean(e.Message())), "its software is older than this program, or newer by a version that left the call out: update the older of the two")
	}
	if cutOff(e) {
		return fault.Hint(fmt.Errorf("%w: %s", ErrUnreachable, Clean(e.Message())), "check the provider's address and this machine's network, then run the command again")
	}
	return err
}

// cutOff reports whether an error is about the way to the provider.
func cutOff(e *connect.Error) bool {
	switch e.Code() {
	case connect.CodeUnavailable, connect.CodeDeadlineExceeded:
		return true
	case connect.CodeInternal, connect.CodeUnknown, connect.CodeCanceled:
		// Not the provider's word: the connection broke in the middle of an answer, or was given up while it was made. Callers see by their
		// own context whether it was they who gave up.
		return !connect.IsWireError(e)
	default:
		return false
	}
}

// Clean keeps a provider's words from writing on the terminal what they should not.
func Clean(s string) string {
	const longest = 500
	if len(s) > longest {
		s = s[:longest] + "…"
	}
	out := make([]rune, 0, len(s))
	for _, r := range s {
		if r < ' ' || r == 0x7f || (r >= 0x80 && r < 0xa0) || (r >= 0x202a && r <= 0x202e) || (r >= 0x2066 && r <= 0x2069) {
			r = ' '
		}
		out = append(out, r)
	}
	return string(out)
}

// retryable reports whether the same command may work when it is run again.
func retryable(err error) bool {
	switch fault.ReasonOf(err) {
	case providerv1.Reason_REASON_UNSPECIFIED, providerv1.Reason_REASON_INTERNAL, providerv1.Reason_REASON_CHAIN_UNSEEN,
		providerv1.Reason_REASON_TOO_MANY_REQUESTS, providerv1.Reason_REASON_CHANNEL_NOT_FOUND, providerv1.Reason_REASON_IMAGE_MISSING,
		providerv1.Reason_REASON_DELEGATION_EXPIRED, providerv1.Reason_REASON_STATEMENT_STALE, providerv1.Reason_REASON_PROVIDER_UNFIT:
		return true
	default:
		return false
	}
}
