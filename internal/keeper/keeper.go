// SPDX-License-Identifier: Apache-2.0

// Package keeper holds the enclave's keys and decides what they sign.
//
// It has the TEE device, the voucher key and the peer key. It makes all keys itself, at its first start, in a directory that only it
// can read, and they never leave it but for the peer key, which the gateway gets at start. Evidence names no other keys.
//
// It believes neither the gateway nor what lies in etcd: an App's spec counts only if the chain wallet → delegation → statement →
// manifest, quote, terms, channel holds, all for this provider, contract and voucher key; the condition Verified says so, and
// the controller makes nothing without it. Vouchers are signed only on the channel of an order that was verified, with totals that never shrink, computed
// from Usage and the tariff of the signed quote, and never above cap × time. A quote is signed only for this provider's own prices. What a
// compromised meter could still do is bounded by the cap, and on chain by the deposit.
//
// An app may have several channels, one after another. Where the bill of one ends is fixed once, by a final account that is written together with
// the last voucher and the release, and only after the invoicer has seen its successor confirmed; from then on the successor pays for what is
// used beyond that. The publisher signs the whole row of channels with each order, so nobody else can put one in or leave one out. What a channel
// had left unpaid when it was closed is owed on the one that pays then: that it is closed, and what was claimed, is the invoicer's word, which is
// worth at most what was owed, within the cap.
//
// It remembers the newest sequence number and total of each app while it runs; after a restart it knows them from what it signed and from
// what the API server holds.
package keeper

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/apocryph/apocryph/internal/account"
	"github.com/apocryph/apocryph/internal/channel"
	"github.com/apocryph/apocryph/internal/delegation"
	"github.com/apocryph/apocryph/internal/eip712"
	"github.com/apocryph/apocryph/internal/evidence"
	"github.com/apocryph/apocryph/internal/ledger"
	"github.com/apocryph/apocryph/internal/tariff"
)

// ErrConfig says that a Config can't be used.
var ErrConfig = errors.New("bad configuration of the keeper")

// device is the TEE's; packages below internal/tee have one.
type device interface {
	Attest(ctx context.Context, data [evidence.ReportDataSize]byte) (evidence.Attestation, error)
}

// Config is who the provider is and what it sells, from its own flags.
type Config struct {
	// Namespace is where App and Usage objects live.
	Namespace string
	// Provider names the provider, Payout gets the money.
	Provider, Payout common.Address
	// Domain is the chain and the Channels contract.
	Domain eip712.Domain
	// Tariff is the only one that quotes are signed for.
	Tariff tariff.Tariff
	// Keys are the enclave's.
	Keys Keys
	// Device is the TEE's.
	Device device
	// CheckPeer checks signatures of libp2p peers.
	CheckPeer delegation.CheckPeer
	// VoucherEvery is the least time between two vouchers of one app.
	VoucherEvery time.Duration
}

func (c Config) check() error {
	zero := common.Address{}
	switch {
	case c.Namespace == "":
		return fmt.Errorf("no namespace: %w", ErrConfig)
	case c.Provider == zero || c.Payout == zero:
		return fmt.Errorf("no address of the provider or of its payout: %w", ErrConfig)
	case c.Domain.ChainID == 0 || c.Domain.Contract == zero:
		return fmt.Errorf("no chain or contract: %w", ErrConfig)
	case c.Tariff.Check() != nil:
		return fmt.Errorf("the tariff: %w", c.Tariff.Check())
	case c.Tariff.Token == zero:
		return fmt.Errorf("no token: %w", ErrConfig)
	case c.Keys.voucher == nil || c.Device == nil || c.CheckPeer == nil:
		return fmt.Errorf("no keys, TEE device or peer check: %w", ErrConfig)
	case c.VoucherEvery < 0:
		return fmt.Errorf("vouchers every %s: %w", c.VoucherEvery, ErrConfig)
	}
	return nil
}

// Keeper signs. It is safe for concurrent use.
type Keeper struct {
	cfg      Config
	log      *slog.Logger
	now      func() time.Time
	tariffID tariff.ID
	count    counters

	evidence sync.Mutex
	session  *evidence.Session

	mu   sync.Mutex
	apps map[string]memory
}

// memory is what the keeper knows of an app beside the objects.
type memory struct {
	// uid and generation are those of the last verdict; refused is that verdict if it was no.
	uid        types.UID
	generation int64
	refused    error
	// order is the newest that was verified; its sequence number is the highest seen.
	order *order
	// signed is the highest total on signedOn, and signedAt when that was.
	signed   tariff.Amount
	signedOn channel.ID
	signedAt time.Time
	// stated is the account as it was last read, for whoever asks; its sequence is that of the last one that was signed.
	stated *account.Account
	// book is what was fixed of channels that paid before, written or about to be.
	book ledger.Ledger
	// transfers are the last ones of each volume.
	transfers map[string]transferred
}

// New returns a keeper, or ErrConfig.
func New(cfg Config, log *slog.Logger) (*Keeper, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	id, err := cfg.Tariff.ID()
	if err != nil {
		return nil, err
	}
	return &Keeper{
		cfg: cfg, log: log, now: time.Now, tariffID: id, count: newCounters(), apps: map[string]memory{},
	}, nil
}

// Metrics serves the keeper's metrics and those of its reconciler.
func (k *Keeper) Metrics() http.Handler {
	return promhttp.HandlerFor(prometheus.Gatherers{k.count.registry, metrics.Registry}, promhttp.HandlerOpts{})
}

// own is what an order has to be for.
func (k *Keeper) own() own {
	return own{
		provider: delegation.Provider{Address: k.cfg.Provider, Peer: k.cfg.Keys.Peer()},
		domain:   k.cfg.Domain,
		signer:   k.cfg.Keys.Signer(),
		check:    k.cfg.CheckPeer,
	}
}

func (k *Keeper) recall(app string) memory {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.apps[app]
}

func (k *Keeper) remember(app string, change func(*memory)) {
	k.mu.Lock()
	defer k.mu.Unlock()
	m := k.apps[app]
	change(&m)
	k.apps[app] = m
}

func (k *Keeper) forget(app string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.apps, app)
}
