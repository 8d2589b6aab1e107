// SPDX-License-Identifier: Apache-2.0

// Package gateway is where publishers meet a provider: it answers their calls and takes their image pushes, both over libp2p.
//
// The model: the connection proves the caller's peer id, a wallet-signed delegation says for whom that peer may act, and both are checked
// for every call and again at every tick of a stream. What changes an app needs a statement besides, signed by the peer, which the
// gateway checks and keeps with the App for others to check again: nobody has to trust the gateway, and the keeper does not. The gateway
// writes App.spec, only after every check has passed, and never deletes anything. What it reads of the chain decides about money only
// in the publisher's disfavour: an order is refused, nothing is taken away.
//
// Whoever is not an app's publisher learns nothing about it, not even that it exists.
package gateway

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"sync"
	"time"

	"connectrpc.com/connect"
	"github.com/ethereum/go-ethereum/common"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/apocryph/apocryph/internal/channel"
	"github.com/apocryph/apocryph/internal/delegation"
	"github.com/apocryph/apocryph/internal/eip712"
	keeperv1 "github.com/apocryph/apocryph/internal/gen/keeperv1"
	"github.com/apocryph/apocryph/internal/gen/providerv1/providerv1connect"
	"github.com/apocryph/apocryph/internal/manifest"
	"github.com/apocryph/apocryph/internal/quote"
	"github.com/apocryph/apocryph/internal/tariff"
	"github.com/apocryph/apocryph/internal/usage"
)

// ErrConfig says that a gateway can't be made of a configuration.
var ErrConfig = errors.New("not a usable gateway configuration")

const (
	// minimumRun is how long the least deposit keeps an app awake.
	minimumRun = 10 * time.Minute
	// quoteGrace is how long after a quote's end an app may be ordered on a channel that was opened on it.
	quoteGrace = time.Hour
	// heartbeat is shorter than the 15 s that the wire promises.
	heartbeat = 10 * time.Second

	maxMessage = 1 << 20
)

// Config is who the provider is and what it offers.
type Config struct {
	// Namespace is the system namespace, where Apps live.
	Namespace string
	// Provider is the provider's address and peer id; Signer the enclave's voucher key, which signs quotes.
	Provider delegation.Provider
	Signer   common.Address
	// Domain is the chain and contract that everything is signed for.
	Domain eip712.Domain

	// Payout, Tariff, Window and Notice go into every quote. Window defaults to 24 h, Notice too.
	Payout common.Address
	Tariff tariff.Tariff
	Window time.Duration
	Notice time.Duration
	// QuoteLife is how long a quote is good for: 10 minutes unless given.
	QuoteLife time.Duration

	// HostDomain is the domain below which apps get their hosts.
	HostDomain string
	// PerApp is the most that one app may reserve; a zero means no limit beyond the manifest's own.
	PerApp usage.Rate
	// MaxCalls bounds the calls that run at once, MaxCallsPerPeer those of one peer: 512 and 32 unless given.
	MaxCalls        int
	MaxCallsPerPeer int
	// MaxApps bounds the apps that have not ended, MaxAppsPerPublisher those of one publisher: 4096 and 64 unless given.
	MaxApps             int
	MaxAppsPerPublisher int
}

// Parts are what a gateway works with. All are needed.
type Parts struct {
	Cluster client.WithWatch
	Pods    podLogs
	// LogStores have what apps' services wrote.
	LogStores logStores
	// Carriers move what is in apps' volumes.
	Carriers carriers
	Keeper   keeper
	Chain    channelReader
	// Images reaches the image store's push face at ImagesURL.
	Images    http.RoundTripper
	ImagesURL *url.URL
	// Sent is told what leaves for an app's publisher of what the app wrote.
	Sent sent
	// Peer returns the proven peer id of a request's sender in binary form; CheckPeer checks a peer's signature.
	Peer      func(context.Context) string
	CheckPeer delegation.CheckPeer
	Now       func() time.Time
	Log       *slog.Logger
}

// channelReader reads a channel's state and the time of the block that it is of. An error means that the chain can't be seen.
type channelReader interface {
	Channel(ctx context.Context, id channel.ID) (channel.State, time.Time, error)
}

// keeper is the part of the keeper's service that the gateway calls.
type keeper interface {
	Evidence(context.Context, *keeperv1.EvidenceRequest) (*keeperv1.EvidenceResponse, error)
	SignQuote(context.Context, *keeperv1.SignQuoteRequest) (*keeperv1.SignQuoteResponse, error)
	SignAccount(context.Context, *keeperv1.SignAccountRequest) (*keeperv1.SignAccountResponse, error)
}

// sent is told how many bytes left for an app's publisher.
type sent interface {
	Add(app string, bytes int64)
}

// podLogs opens the log of a pod's container.
type podLogs interface {
	Stream(ctx context.Context, namespace, pod string, o *corev1.PodLogOptions) (io.ReadCloser, error)
}

// Gateway answers publishers. It is safe for concurrent use. Only one may write a namespace's Apps: hosts are given out under its mutex.
type Gateway struct {
	cfg      Config
	parts    Parts
	tariffID tariff.ID
	count    *metrics
	limiter  *limiter
	// reopenAfter is how long to wait before a log store that went away is looked for again; each time it is not there, twice as long.
	reopenAfter time.Duration

	// hosts is held from the check that a host is free until an App has it.
	hosts sync.Mutex

	// transfers are the volumes whose content is being moved, by app.
	transferring sync.Mutex
	transfers    map[string][]string
}

// New returns ErrConfig for a configuration that it can't offer anything with.
func New(c Config, p Parts) (*Gateway, error) {
	bad := func(what string) (*Gateway, error) { return nil, fmt.Errorf("%s: %w", what, ErrConfig) }
	zero := common.Address{}
	c.Window, c.Notice = cmp.Or(c.Window, 24*time.Hour), cmp.Or(c.Notice, 24*time.Hour)
	c.QuoteLife = cmp.Or(c.QuoteLife, 10*time.Minute)
	c.MaxCalls, c.MaxCallsPerPeer = cmp.Or(c.MaxCalls, defaultCalls), cmp.Or(c.MaxCallsPerPeer, defaultCallsPerPeer)
	c.MaxApps, c.MaxAppsPerPublisher = cmp.Or(c.MaxApps, defaultApps), cmp.Or(c.MaxAppsPerPublisher, defaultAppsPerPublisher)
	switch {
	case c.Namespace == "":
		return bad("no namespace")
	case c.Provider.Address == zero || c.Provider.Peer == "":
		return bad("no provider address or peer id")
	case c.Signer == zero || c.Payout == zero || c.Domain.Contract == zero || c.Tariff.Token == zero:
		return bad("no voucher signer, payout address, contract or token")
	case c.Domain.ChainID == 0:
		return bad("no chain id")
	case !looksLikeDomain(c.HostDomain):
		return bad(fmt.Sprintf("domain %q", c.HostDomain))
	case c.QuoteLife < 0 || c.QuoteLife > quote.MaxLife:
		return bad(fmt.Sprintf("quotes good for %s, at most %s", c.QuoteLife, quote.MaxLife))
	case c.Notice < channel.MinNotice || c.Notice > channel.MaxNotice:
		return bad(fmt.Sprintf("a notice of %s, not within %s and %s", c.Notice, channel.MinNotice, channel.MaxNotice))
	case p.Cluster == nil || p.Pods == nil || p.LogStores == nil || p.Carriers == nil || p.Keeper == nil || p.Chain == nil || p.Images == nil || p.ImagesURL == nil ||
		p.Sent == nil || p.Peer == nil || p.CheckPeer == nil || p.Now == nil || p.Log == nil:
		return bad("a part is missing")
	}
	if err := c.Tariff.Check(); err != nil {
		return bad(err.Error())
	}
	id, err := c.Tariff.ID()
	if err != nil {
		return nil, err
	}
	return &Gateway{cfg: c, parts: p, tariffID: id, count: newMetrics(), limiter: newLimiter(c.MaxCalls, c.MaxCallsPerPeer), reopenAfter: reopenAfter, transfers: map[string][]string{}}, nil
}

// Handler serves calls and image pushes. The context of each request must be one that Parts.Peer understands.
func (g *Gateway) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle(providerv1connect.NewProviderServiceHandler(server{g},
		connect.WithInterceptors(guard{g}),
		connect.WithReadMaxBytes(maxMessage),
		connect.WithRecover(func(_ context.Context, _ connect.Spec, _ http.Header, what any) error {
			return fmt.Errorf("panic: %v", what)
		}),
	))
	mux.Handle("/v2/", g.images())
	return g.limited(mux)
}

func (g *Gateway) key(id delegation.AppID) client.ObjectKey {
	return client.ObjectKey{Namespace: g.cfg.Namespace, Name: id.String()}
}

func looksLikeDomain(s string) bool {
	if len(s) > 180 {
		return false
	}
	rest, ok := s, true
	for ok {
		var label string
		label, rest, ok = cutLabel(rest)
		if !manifest.LooksLikeLabel(label) {
			return false
		}
	}
	return true
}
