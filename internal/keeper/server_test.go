// SPDX-License-Identifier: Apache-2.0

package keeper

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/ethereum/go-ethereum/common"
	"github.com/libp2p/go-libp2p/core/crypto"

	"github.com/apocryph/apocryph/internal/delegation"
	"github.com/apocryph/apocryph/internal/evidence"
	keeperv1 "github.com/apocryph/apocryph/internal/gen/keeperv1"
	"github.com/apocryph/apocryph/internal/gen/keeperv1/keeperv1connect"
	orderv1 "github.com/apocryph/apocryph/internal/gen/orderv1"
	"github.com/apocryph/apocryph/internal/quote"
)

func serve(t *testing.T, k *Keeper) keeperv1connect.KeeperServiceClient {
	t.Helper()
	s := httptest.NewServer(k.Handler())
	t.Cleanup(s.Close)
	return keeperv1connect.NewKeeperServiceClient(s.Client(), s.URL)
}

func TestEvidenceAsksTheHardwareOnceAMinute(t *testing.T) {
	w := newWorld(t)
	c := serve(t, w.keeper)
	nonce := bytes.Repeat([]byte{1}, evidence.NonceSize)
	ask := func() evidence.Encoded {
		t.Helper()
		r, err := c.Evidence(t.Context(), &keeperv1.EvidenceRequest{Nonce: nonce})
		if err != nil {
			t.Fatal(err)
		}
		e, err := evidence.Decode(r.Evidence)
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	first := ask()
	if first.Says.Peer != w.keeper.cfg.Keys.Peer() || first.Says.Signer != w.keeper.cfg.Keys.Signer() ||
		first.Says.Provider != w.keeper.cfg.Provider || first.Says.ChainID != 1337 || first.Says.Contract != w.keeper.cfg.Domain.Contract {
		t.Errorf("claims %+v", first.Says)
	}
	w.now = w.now.Add(sessionLife - time.Second)
	if second := ask(); w.device.reports != 1 || !bytes.Equal(first.Claims, second.Claims) {
		t.Errorf("%d reports within a minute", w.device.reports)
	}
	w.now = w.now.Add(time.Second)
	if third := ask(); w.device.reports != 2 || bytes.Equal(first.Says.Session, third.Says.Session) {
		t.Errorf("%d reports, the session key is the old one", w.device.reports)
	}
	if _, err := c.Evidence(t.Context(), &keeperv1.EvidenceRequest{Nonce: nonce[1:]}); connect.CodeOf(err) != connect.CodeInvalidArgument {
		t.Errorf("a short nonce: %v", err)
	}
}

func TestPeerKeyIsTheOneInEvidence(t *testing.T) {
	w := newWorld(t)
	r, err := serve(t, w.keeper).PeerKey(t.Context(), &keeperv1.PeerKeyRequest{})
	if err != nil {
		t.Fatal(err)
	}
	key, err := crypto.UnmarshalPrivateKey(r.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	if peerOf(t, key) != w.keeper.cfg.Keys.Peer() {
		t.Error("another peer's key")
	}
	if common.BytesToAddress(r.Signer) != w.keeper.cfg.Keys.Signer() {
		t.Error("another voucher key")
	}
}

func TestSignQuote(t *testing.T) {
	tests := map[string]struct {
		change func(*orderv1.Quote)
		good   bool
	}{
		"as the gateway asks":        {func(*orderv1.Quote) {}, true},
		"another provider":           {func(q *orderv1.Quote) { q.Provider[0]++ }, false},
		"another chain":              {func(q *orderv1.Quote) { q.ChainId++ }, false},
		"another contract":           {func(q *orderv1.Quote) { q.Contract[0]++ }, false},
		"cheaper":                    {func(q *orderv1.Quote) { q.Tariff.CpuHour = nil }, false},
		"another token":              {func(q *orderv1.Quote) { q.Terms.Token[0]++ }, false},
		"tariff id of another":       {func(q *orderv1.Quote) { q.Terms.Tariff[0]++ }, false},
		"another payout":             {func(q *orderv1.Quote) { q.Terms.Payout[0]++ }, false},
		"a share for somebody":       {func(q *orderv1.Quote) { q.Terms.Payees = []*orderv1.Payee{{Account: q.Provider, SharePpm: 1}} }, false},
		"a signer":                   {func(q *orderv1.Quote) { q.Terms.Signer = q.Provider }, false},
		"a quote hash":               {func(q *orderv1.Quote) { q.Terms.Quote = make([]byte, 32) }, false},
		"a salt":                     {func(q *orderv1.Quote) { q.Terms.Salt = make([]byte, 32) }, false},
		"no manifest hash":           {func(q *orderv1.Quote) { q.ManifestHash = nil }, false},
		"no publisher":               {func(q *orderv1.Quote) { q.Terms.Publisher = nil }, false},
		"no app":                     {func(q *orderv1.Quote) { q.Terms.App = nil }, false},
		"no cap":                     {func(q *orderv1.Quote) { q.Terms.Cap = nil }, false},
		"a notice that is too short": {func(q *orderv1.Quote) { q.Terms.Notice = 1 }, false},
		"expired":                    {func(q *orderv1.Quote) { q.ExpiresAt = 1_800_000_000 }, false},
		"good for ever":              {func(q *orderv1.Quote) { q.ExpiresAt = 1 << 62 }, false},
		"no terms":                   {func(q *orderv1.Quote) { q.Terms = nil }, false},
	}
	w := newWorld(t)
	c := serve(t, w.keeper)
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			q := cloneAsked(w.keeper, w.now)
			tt.change(q)
			r, err := c.SignQuote(t.Context(), &keeperv1.SignQuoteRequest{Quote: q})
			if !tt.good {
				if connect.CodeOf(err) != connect.CodeInvalidArgument || !strings.Contains(err.Error(), ErrOffer.Error()) {
					t.Errorf("error %v, want %v", err, ErrOffer)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if _, err := quote.Verify(r.Quote, w.keeper.cfg.Keys.Signer()); err != nil {
				t.Error(err)
			}
		})
	}
	if _, err := c.SignQuote(t.Context(), &keeperv1.SignQuoteRequest{}); connect.CodeOf(err) != connect.CodeInvalidArgument {
		t.Errorf("no quote: %v", err)
	}
}

func cloneAsked(k *Keeper, now time.Time) *orderv1.Quote {
	q := k.asked(common.Address{7}, delegation.AppID{7}, [32]byte{7})
	for _, b := range []*[]byte{&q.Provider, &q.Contract, &q.Terms.Payout, &q.Terms.Token, &q.Terms.Tariff} {
		*b = bytes.Clone(*b) // they lie in the keeper's own configuration
	}
	q.ExpiresAt = uint64(now.Add(quote.MaxLife).Unix())
	return q
}

func TestCode(t *testing.T) {
	for name, tt := range map[string]struct {
		err  error
		want connect.Code
	}{
		"bad nonce":   {fmt.Errorf("x: %w", evidence.ErrNonce), connect.CodeInvalidArgument},
		"bad quote":   {fmt.Errorf("x: %w", ErrOffer), connect.CodeInvalidArgument},
		"no account":  {fmt.Errorf("x: %w", ErrNoAccount), connect.CodeNotFound},
		"gave up":     {context.Canceled, connect.CodeCanceled},
		"too slow":    {context.DeadlineExceeded, connect.CodeDeadlineExceeded},
		"all else":    {errors.New("the device is gone"), connect.CodeInternal},
		"other claim": {evidence.ErrReport, connect.CodeInternal},
	} {
		if got := code(tt.err); got != tt.want {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
	}
}

func TestMetricsAreServed(t *testing.T) {
	r := httptest.NewRecorder()
	newWorld(t).keeper.Metrics().ServeHTTP(r, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if !strings.Contains(r.Body.String(), "apocryph_keeper_vouchers_total 0") {
		t.Errorf("metrics:\n%s", r.Body)
	}
}
