// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"context"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/apocryph/apocryph/api/v1alpha1"
	"github.com/apocryph/apocryph/internal/delegation"
	"github.com/apocryph/apocryph/internal/fault"
	keeperv1 "github.com/apocryph/apocryph/internal/gen/keeperv1"
	manifestv1 "github.com/apocryph/apocryph/internal/gen/manifestv1"
	orderv1 "github.com/apocryph/apocryph/internal/gen/orderv1"
	providerv1 "github.com/apocryph/apocryph/internal/gen/providerv1"
	"github.com/apocryph/apocryph/internal/manifest"
	"github.com/apocryph/apocryph/internal/quote"
	"github.com/apocryph/apocryph/internal/tariff"
	"github.com/apocryph/apocryph/internal/usage"
)

const secondsPerHour = 3600

// Quote makes an offer for one workload and has the keeper sign it. It reserves nothing.
func (s server) Quote(ctx context.Context, r *providerv1.QuoteRequest) (*providerv1.QuoteResponse, error) {
	g := s.g
	c, id, err := g.allowedOn(ctx, orderv1.Operation_OPERATION_APPLY, r.App)
	if err != nil {
		return nil, err
	}
	if err := checkIdentity(c, id, r.AppSalt); err != nil {
		return nil, err
	}
	hash, err := checkManifestForm(r.Manifest)
	if err != nil {
		return nil, err
	}
	if err := checkSold(g.cfg.Tariff, r.Manifest); err != nil {
		return nil, err
	}
	if err := g.checkResources(ctx, r.Manifest); err != nil {
		return nil, err
	}
	app, err := g.existing(ctx, c, id)
	if err != nil {
		return nil, err
	}
	if app != nil && ending(app) {
		return nil, refuse(providerv1.Reason_REASON_APP_ENDED, "app %s has ended", id)
	}
	if app == nil {
		if err := g.checkFit(ctx); err != nil {
			return nil, err
		}
	}
	if err := g.checkRoom(ctx, c, app); err != nil {
		return nil, err
	}
	label := g.labelFor(r.Manifest, app, id)
	if err := g.checkHostFree(ctx, id, label); err != nil {
		return nil, err
	}
	signed, err := g.parts.Keeper.SignQuote(ctx, &keeperv1.SignQuoteRequest{Quote: g.offer(c, id, withKept(r.Manifest, app), offered{hash, g.fullHost(label)})})
	if err != nil {
		return nil, inside("having the quote signed", err)
	}
	return &providerv1.QuoteResponse{Quote: signed.Quote}, nil
}

type offered struct {
	hash manifest.Hash
	host string
}

// offer is for a manifest with what is kept of earlier versions, which has to be paid, too.
func (g *Gateway) offer(c *caller, id delegation.AppID, m *manifestv1.Manifest, o offered) *orderv1.Quote {
	pods, volumes := manifest.Rate(m)
	awake := pods.Add(volumes)
	// Copies: a message must not share the configuration's memory.
	cfg, tariffID, publisher := g.cfg, g.tariffID, c.delegation.Publisher
	// A free offer still needs a cap: a channel without one could not be opened.
	upTo := atLeastOne(quote.Cap(g.cfg.Tariff, m))
	return &orderv1.Quote{
		Provider: cfg.Provider.Address[:],
		Tariff:   g.cfg.Tariff.Proto(),
		Terms: &orderv1.Terms{
			Publisher: publisher[:],
			App:       id[:],
			Payout:    cfg.Payout[:],
			Token:     cfg.Tariff.Token[:],
			Tariff:    tariffID[:],
			Cap:       upTo.Bytes(),
			Window:    uint64(g.cfg.Window / time.Second),
			Notice:    uint64(g.cfg.Notice / time.Second),
		},
		ManifestHash:   o.hash[:],
		ExpiresAt:      uint64(g.parts.Now().Add(g.cfg.QuoteLife).Unix()),
		MinimumDeposit: atLeastOne(g.cfg.Tariff.CostUp(awake.For(int64(minimumRun / time.Second)))).Bytes(),
		HourlyAwake:    g.hourly(awake).Bytes(),
		HourlyAsleep:   g.hourly(volumes).Bytes(),
		Host:           o.host,
		ChainId:        g.cfg.Domain.ChainID,
		Contract:       cfg.Domain.Contract[:],
	}
}

func (g *Gateway) hourly(r usage.Rate) tariff.Amount {
	return g.cfg.Tariff.CostUp(r.For(secondsPerHour))
}

func atLeastOne(a tariff.Amount) tariff.Amount {
	if a.IsZero() {
		return tariff.Units(1)
	}
	return a
}

// checkIdentity: the app id is the caller's publisher's.
func checkIdentity(c *caller, id delegation.AppID, salt []byte) error {
	if len(salt) != 32 {
		return refuse(providerv1.Reason_REASON_BAD_REQUEST, "an app's salt has 32 bytes, not %d", len(salt))
	}
	if !c.owns(id, [32]byte(salt)) {
		return notTheirs(&caller{delegation: c.delegation}, id)
	}
	return nil
}

// checkManifestForm: the manifest is canonical and not too large, and its host could be given out.
func checkManifestForm(m *manifestv1.Manifest) (manifest.Hash, error) {
	if m == nil {
		return manifest.Hash{}, refuse(providerv1.Reason_REASON_MANIFEST_INVALID, "no manifest")
	}
	if n := proto.Size(m); n > manifest.MaxSize {
		return manifest.Hash{}, refuse(providerv1.Reason_REASON_MANIFEST_TOO_LARGE, "the manifest has %d bytes, at most %d", n, manifest.MaxSize)
	}
	if err := checkHostForm(m); err != nil {
		return manifest.Hash{}, err
	}
	if err := checkSupported(m); err != nil {
		return manifest.Hash{}, err
	}
	return manifest.HashOf(m)
}

// existing is own, and nil for an app that isn't there: the caller has shown that the id is theirs.
func (g *Gateway) existing(ctx context.Context, c *caller, id delegation.AppID) (*v1alpha1.App, error) {
	app, err := g.own(ctx, c, id)
	if fault.ReasonOf(err) == providerv1.Reason_REASON_APP_FOREIGN || fault.ReasonOf(err) == providerv1.Reason_REASON_APP_NOT_FOUND {
		return nil, nil
	}
	return app, err
}

// labelFor is the host's label of a manifest; an app keeps the host that it was given.
func (g *Gateway) labelFor(m *manifestv1.Manifest, app *v1alpha1.App, id delegation.AppID) string {
	if app != nil && app.Spec.Host != "" && m.GetHttp() != nil && m.Http.Host == "" {
		if label, domain, _ := cutLabel(app.Spec.Host); domain == g.cfg.HostDomain {
			return label
		}
	}
	return hostLabel(m, id)
}
