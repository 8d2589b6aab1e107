// SPDX-License-Identifier: Apache-2.0

package keeper

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"time"

	"connectrpc.com/connect"

	"github.com/apocryph/apocryph/internal/evidence"
	keeperv1 "github.com/apocryph/apocryph/internal/gen/keeperv1"
	"github.com/apocryph/apocryph/internal/gen/keeperv1/keeperv1connect"
	"github.com/apocryph/apocryph/internal/quote"
)

const (
	// sessionLife is how long one hardware report serves.
	sessionLife = time.Minute
	maxRequest  = 64 << 10
)

// Handler serves the gateway. Who may call it is its caller's business: wrap it in a check of the gateway's token.
func (k *Keeper) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle(keeperv1connect.NewKeeperServiceHandler(service{k}, connect.WithReadMaxBytes(maxRequest)))
	return mux
}

type service struct{ k *Keeper }

// Evidence answers a nonce.
func (s service) Evidence(ctx context.Context, r *keeperv1.EvidenceRequest) (*keeperv1.EvidenceResponse, error) {
	session, err := s.k.currentSession(ctx)
	if err != nil {
		return nil, s.fail(ctx, "evidence", err)
	}
	b, err := session.Answer(r.Nonce)
	if err != nil {
		return nil, s.fail(ctx, "evidence", err)
	}
	s.k.count.answers.Inc()
	return &keeperv1.EvidenceResponse{Evidence: b}, nil
}

// SignQuote signs an offer of this provider.
func (s service) SignQuote(ctx context.Context, r *keeperv1.SignQuoteRequest) (*keeperv1.SignQuoteResponse, error) {
	q, err := s.k.offer(r.Quote, s.k.now())
	if err != nil {
		s.k.count.quotes.WithLabelValues("refused").Inc()
		return nil, s.fail(ctx, "quote", err)
	}
	signed, err := quote.Sign(q, s.k.cfg.Keys.voucher)
	if err != nil {
		return nil, s.fail(ctx, "quote", err)
	}
	s.k.count.quotes.WithLabelValues("signed").Inc()
	return &keeperv1.SignQuoteResponse{Quote: signed}, nil
}

// PeerKey hands out the libp2p identity, and which voucher key signs.
func (s service) PeerKey(context.Context, *keeperv1.PeerKeyRequest) (*keeperv1.PeerKeyResponse, error) {
	return &keeperv1.PeerKeyResponse{PrivateKey: bytes.Clone(s.k.cfg.Keys.peer), Signer: s.k.cfg.Keys.Signer().Bytes()}, nil
}

// fail maps errors to codes. What is not the caller's fault leaves as internal, with an id under which the log has its text.
func (s service) fail(ctx context.Context, what string, err error) error {
	if c := code(err); c != connect.CodeInternal {
		return connect.NewError(c, err)
	}
	id := rand.Text()
	s.k.log.ErrorContext(ctx, "request failed", "request", what, "request_id", id, "error", err)
	return connect.NewError(connect.CodeInternal, fmt.Errorf("request %s failed inside", id))
}

func code(err error) connect.Code {
	switch {
	case errors.Is(err, evidence.ErrNonce), errors.Is(err, ErrOffer):
		return connect.CodeInvalidArgument
	case errors.Is(err, ErrNoAccount):
		return connect.CodeNotFound
	case errors.Is(err, context.Canceled):
		return connect.CodeCanceled
	case errors.Is(err, context.DeadlineExceeded):
		return connect.CodeDeadlineExceeded
	}
	return connect.CodeInternal
}

// currentSession returns the session, making a new one when the last is a minute old. Who asks meanwhile waits: the hardware is asked once.
func (k *Keeper) currentSession(ctx context.Context) (*evidence.Session, error) {
	k.evidence.Lock()
	defer k.evidence.Unlock()
	now := k.now()
	if age := now.Sub(sessionStart(k.session)); k.session != nil && age >= 0 && age < sessionLife {
		return k.session, nil
	}
	// Not the caller's context: a caller who gives up must not cost the next ones their report.
	s, err := evidence.NewSession(context.WithoutCancel(ctx), k.cfg.Device, evidence.Claims{
		Role:     evidence.RoleProvider,
		Provider: k.cfg.Provider,
		ChainID:  k.cfg.Domain.ChainID,
		Contract: k.cfg.Domain.Contract,
		Peer:     k.cfg.Keys.Peer(),
		Signer:   k.cfg.Keys.Signer(),
	}, now)
	if err != nil {
		return nil, err
	}
	k.count.reports.Inc()
	k.session = s
	return s, nil
}

func sessionStart(s *evidence.Session) time.Time {
	if s == nil {
		return time.Time{}
	}
	return s.IssuedAt()
}
