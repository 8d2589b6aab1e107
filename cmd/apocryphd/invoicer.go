// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/ecdsa"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"strings"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum/crypto"
	"github.com/go-logr/logr"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/apocryph/apocryph/internal/channel"
	"github.com/apocryph/apocryph/internal/daemon"
	"github.com/apocryph/apocryph/internal/evm"
	"github.com/apocryph/apocryph/internal/invoicer"
	"github.com/apocryph/apocryph/internal/kube"
	"github.com/apocryph/apocryph/internal/tariff"
)

// invoicerCmd configures when vouchers are claimed and what counts as funded.
type invoicerCmd struct {
	ChainFlags
	EndpointFlags

	Kubeconfig string `help:"Kubeconfig file; empty in a cluster." type:"path"`
	Namespace  string `help:"System namespace, where Apps and Usages live." default:"apocryph-system"`
	Metrics    string `help:"Endpoint of metrics and health." default:":9090"`

	// MaxFee bounds what a liar or a busy chain can make of the gas account.
	MaxFee uint64 `help:"Most wei that are paid per unit of gas; 0 means no ceiling." default:"0"`
	// GasKeyFile holds 64 hex digits. The key pays for transactions and can do nothing else.
	GasKeyFile string `help:"File with the private key that pays for gas." default:"/var/run/secrets/apocryph/gas/key" type:"path"`

	Poll       time.Duration `help:"Time between two looks at a channel." default:"15s"`
	ClaimEvery time.Duration `help:"Time between two claims on a channel." default:"1h"`
	ClaimMin   tariff.Amount `help:"Least amount that is worth a claim, in base units." default:"1"`
	BatchEvery time.Duration `help:"How long claims that are due wait for others to go in the same transaction." default:"5s"`
	BatchMost  int           `help:"Most claims in a transaction." default:"50"`
	// CoinPrice and GasPercent keep gas from eating the income; nobody tells the price but the provider.
	CoinPrice  tariff.Amount `help:"What the chain's coin is worth, in base units of the token; 0 does not weigh gas." default:"0"`
	GasPercent uint64        `help:"Most percent of a claim that its gas may cost, with --coin-price." default:"5"`

	LowRunway    time.Duration `help:"Runway below which funds are called low." default:"1h"`
	StopMargin   time.Duration `help:"Running time kept back from the deposit." default:"1m"`
	VolumeGrace  time.Duration `help:"Time of volumes alone kept back from the deposit; an app that was exhausted for that long ends. 0 keeps nothing back and ends none." default:"24h"`
	CapSlack     time.Duration `help:"How much of the cap an app that reserves more than it may get ahead before it has to sleep." default:"10m"`
	ResumeRunway time.Duration `help:"Runway with which an exhausted app starts again." default:"10m"`
	NoticeLead   time.Duration `help:"How long before a notice ends the app stops." default:"10m"`
	UnseenAfter  time.Duration `help:"How long a channel may go unread before Funded becomes unknown." default:"1m"`
}

// Run claims and watches until ctx ends.
func (c *invoicerCmd) Run(ctx context.Context, log *slog.Logger) error {
	ctrllog.SetLogger(logr.FromSlogHandler(log.Handler()))
	text, err := daemon.ReadSecret(c.GasKeyFile)
	if err != nil {
		return err
	}
	key, err := crypto.HexToECDSA(strings.TrimPrefix(text, "0x"))
	if err != nil {
		return fmt.Errorf("%s does not hold a private key of 64 hex digits", c.GasKeyFile) // the cause could quote it
	}
	chain := &escrow{urls: c.RPC, config: c.config(c.ChainFlags), key: key}
	chain.config.MaxFee, chain.weigh = c.MaxFee, !c.CoinPrice.IsZero()
	// A wrong chain is a mistake to be told at once; one that is away may come back, and apps are told so meanwhile.
	if _, err := chain.connect(ctx); err != nil && !errors.Is(err, evm.ErrUnavailable) {
		return err
	}
	defer chain.close()
	config, err := kube.Config(c.Kubeconfig)
	if err != nil {
		return err
	}
	cluster, err := kube.Client(config)
	if err != nil {
		return err
	}
	i, err := invoicer.New(invoicer.Config{
		Namespace: c.Namespace, Domain: c.domain(),
		Poll: c.Poll, ClaimEvery: c.ClaimEvery, ClaimMin: c.ClaimMin, BatchEvery: c.BatchEvery, BatchMost: c.BatchMost,
		CoinPrice: c.CoinPrice, GasPercent: c.GasPercent,
		LowRunway: c.LowRunway, StopMargin: c.StopMargin, VolumeGrace: c.VolumeGrace, CapSlack: c.CapSlack, ResumeRunway: c.ResumeRunway,
		NoticeLead: c.NoticeLead, UnseenAfter: c.UnseenAfter,
	}, chain, log)
	if err != nil {
		return err
	}
	log.Info("gas key loaded", "address", crypto.PubkeyToAddress(key.PublicKey))

	return daemon.Run(ctx, log,
		daemon.Status(c.Metrics, i.Metrics()),
		daemon.Task{Name: "gas account", Run: func(ctx context.Context) error {
			return sayAccount(ctx, cluster, c.Namespace, crypto.PubkeyToAddress(key.PublicKey))
		}},
		daemon.Task{Name: "invoicer", Run: func(ctx context.Context) error { return i.Run(ctx, config) }})
}

// escrow is the Channels contract for the invoicer. It connects when it is first needed and the chain is there.
type escrow struct {
	urls   []string
	config evm.Config
	key    *ecdsa.PrivateKey
	// weigh says that the price of gas matters.
	weigh bool

	mu     sync.Mutex
	wallet *evm.Wallet

	// The price has a lock of its own, so that a slow answer keeps nobody from the wallet.
	feeMu sync.Mutex
	fee   *big.Int
	feeAt time.Time
}

// feeFor is how long a price of gas is good for.
const feeFor = 15 * time.Second

// price is about what gas costs now, nil if that can't be known: then claims are not weighed, and fail by themselves where it is the trouble.
func (e *escrow) price(ctx context.Context, w *evm.Wallet) *big.Int {
	e.feeMu.Lock()
	defer e.feeMu.Unlock()
	if !e.weigh || time.Since(e.feeAt) < feeFor {
		return e.fee
	}
	fee, err := w.Fee(ctx)
	if err != nil {
		fee = nil
	}
	e.fee, e.feeAt = fee, time.Now()
	return fee
}

func (e *escrow) connect(ctx context.Context) (*evm.Wallet, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.wallet != nil {
		return e.wallet, nil
	}
	client, err := evm.Dial(ctx, e.urls, e.config)
	if err != nil {
		return nil, err
	}
	// Claims are totals, so one that is sent again pays nothing more, and nobody else has the key.
	e.wallet = evm.NewWalletWith(client, e.key, evm.Sending{Exclusive: true})
	return e.wallet, nil
}

func (e *escrow) close() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.wallet != nil {
		e.wallet.Client.Close()
	}
}

// State reads a channel.
func (e *escrow) State(ctx context.Context, id channel.ID, final bool) (invoicer.Seen, error) {
	w, err := e.connect(ctx)
	if err != nil {
		return invoicer.Seen{}, err
	}
	v, err := w.Look(ctx, id)
	if v.Latest.Block.Number == 0 {
		return invoicer.Seen{}, err
	}
	seen := invoicer.Seen{
		State: v.Latest.State, Block: v.Latest.Block.Number, Time: v.Latest.Block.Time, Confirmed: v.Confirmed.State, Doubt: err,
	}
	if final && v.Final == nil && err == nil {
		if s, err := w.Final(ctx, id); err == nil { // else it is asked for again at the next look
			v.Final = &s
		}
	}
	seen.Fee = e.price(ctx, w)
	if v.Final != nil {
		seen.Final, seen.FinalTime = &v.Final.State, v.Final.Block.Time
	}
	return seen, nil
}

// Claim claims vouchers. One alone is cheaper outside of a batch, and refused at no cost if it would pay nothing.
func (e *escrow) Claim(ctx context.Context, claims []invoicer.Claim) (invoicer.Spent, error) {
	w, err := e.connect(ctx)
	if err != nil {
		return invoicer.Spent{}, err
	}
	if len(claims) == 1 {
		r, err := w.Claim(ctx, evm.Claim(claims[0]))
		return spent(r), err
	}
	batch := make([]evm.Claim, 0, len(claims))
	for _, c := range claims {
		batch = append(batch, evm.Claim(c))
	}
	receipts, err := w.ClaimBatch(ctx, batch)
	return spent(receipts...), err
}

// Release submits a release.
func (e *escrow) Release(ctx context.Context, release invoicer.Claim) (invoicer.Spent, error) {
	w, err := e.connect(ctx)
	if err != nil {
		return invoicer.Spent{}, err
	}
	r, err := w.Release(ctx, evm.Claim(release))
	return spent(r), err
}

// spent sums up what transactions cost and paid.
func spent(receipts ...evm.Receipt) invoicer.Spent {
	s := invoicer.Spent{Wei: new(big.Int), Paid: map[channel.ID]tariff.Amount{}}
	for _, r := range receipts {
		if len(r.Events) > 0 { // else nothing took effect
			s.Transactions++
		}
		s.Gas += r.GasUsed
		if r.GasPrice != nil {
			s.Wei.Add(s.Wei, new(big.Int).Mul(r.GasPrice, new(big.Int).SetUint64(r.GasUsed)))
		}
		for _, e := range r.Events {
			switch e.Kind {
			case evm.Claimed:
				s.Paid[e.Channel] = s.Paid[e.Channel].Add(e.Amount)
			case evm.ClaimSkipped:
				s.Paid[e.Channel] = s.Paid[e.Channel].Add(tariff.Amount{})
			default:
			}
		}
	}
	return s
}
