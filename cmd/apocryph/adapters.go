// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/ecdsa"
	"errors"
	"fmt"
	"sync"
	"time"

	"connectrpc.com/connect"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/apocryph/apocryph/internal/appfile"
	"github.com/apocryph/apocryph/internal/channel"
	"github.com/apocryph/apocryph/internal/delegation"
	"github.com/apocryph/apocryph/internal/eip712"
	"github.com/apocryph/apocryph/internal/evm"
	manifestv1 "github.com/apocryph/apocryph/internal/gen/manifestv1"
	orderv1 "github.com/apocryph/apocryph/internal/gen/orderv1"
	"github.com/apocryph/apocryph/internal/gen/providerv1/providerv1connect"
	"github.com/apocryph/apocryph/internal/manifest"
	"github.com/apocryph/apocryph/internal/oci"
	"github.com/apocryph/apocryph/internal/p2p"
	"github.com/apocryph/apocryph/internal/publisher"
	"github.com/apocryph/apocryph/internal/tariff"
)

// Chain is the chain as package publisher wants it.
type Chain struct {
	client *evm.Client
	token  common.Address
}

// join gives a publisher the chain, its token, and a wallet that can send transactions.
func (c *Chain) join(p *publisher.Publisher, w *Wallet) {
	p.Chain, p.Token = c, c.token
	w.client = c.client
}

// Domain implements publisher.Chain.
func (c *Chain) Domain() eip712.Domain { return c.client.Domain() }

// State implements publisher.Chain.
func (c *Chain) State(ctx context.Context, id channel.ID) (channel.State, time.Time, error) {
	s, err := c.client.State(ctx, id)
	return s.State, s.Block.Time, err
}

// Exists implements publisher.Chain.
func (c *Chain) Exists(ctx context.Context, id channel.ID) (bool, error) {
	return c.client.Exists(ctx, id)
}

// Closing implements publisher.Chain.
func (c *Chain) Closing(ctx context.Context, id channel.ID, from uint64) (publisher.Closing, error) {
	events, err := c.client.Events(ctx, id, from)
	if err != nil {
		return publisher.Closing{}, err
	}
	for _, e := range events {
		if e.Kind == evm.Closed {
			return publisher.Closing{Claimed: e.Claimed, Refunded: e.Amount, Tx: e.Tx.Hex()}, nil
		}
	}
	return publisher.Closing{}, nil
}

// Balance implements publisher.Chain.
func (c *Chain) Balance(ctx context.Context, token, account common.Address) (tariff.Amount, error) {
	return c.client.Balance(ctx, token, account)
}

// Token implements publisher.Chain.
func (c *Chain) Token(ctx context.Context, token common.Address) (publisher.Token, error) {
	info, err := c.client.TokenInfo(ctx, token)
	return publisher.Token{Address: token, Symbol: info.Symbol, Decimals: info.Decimals}, err
}

// Head implements publisher.Chain.
func (c *Chain) Head(ctx context.Context) (uint64, error) {
	b, err := c.client.Head(ctx)
	return b.Number, err
}

// Credit implements publisher.Chain.
func (c *Chain) Credit(ctx context.Context, token, account common.Address) (tariff.Amount, error) {
	return c.client.Credit(ctx, token, account)
}

// Final implements publisher.Chain.
func (c *Chain) Final(ctx context.Context, id channel.ID) (channel.State, error) {
	s, err := c.client.Final(ctx, id)
	switch {
	case errors.Is(err, evm.ErrNoContract):
		return channel.State{}, nil // younger than the newest final block, so the channel is
	case errors.Is(err, evm.ErrDisagree):
		err = fmt.Errorf("%w: name more of them with --rpc", evm.ErrDisagree)
	case errors.Is(err, evm.ErrNoQuorum):
		err = fmt.Errorf("%w: name more of them with --rpc", evm.ErrNoQuorum)
	}
	return s.State, err
}

// Openings implements publisher.Chain.
func (c *Chain) Openings(ctx context.Context, account common.Address, from uint64) ([]publisher.Opening, error) {
	found, err := c.client.Openings(ctx, account, from)
	if err != nil {
		return nil, err
	}
	var out []publisher.Opening
	for _, o := range found {
		out = append(out, publisher.Opening{ID: o.ID, Payout: o.Payout, Amount: o.Amount, Block: o.Block, Tx: o.Tx.Hex(), Terms: o.Terms})
	}
	return out, nil
}

// Wallet is a wallet file that is opened at the first signature.
type Wallet struct {
	path       string
	address    common.Address
	passphrase func() (string, error)
	client     *evm.Client
	note       func(format string, args ...any)

	mu     sync.Mutex
	key    *ecdsa.PrivateKey
	sender *evm.Wallet
}

// Address implements publisher.Wallet. It is what the file says until the key was used.
func (w *Wallet) Address() common.Address { return w.address }

func (w *Wallet) unlock() (*ecdsa.PrivateKey, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.key != nil {
		return w.key, nil
	}
	passphrase, err := w.passphrase()
	if err != nil {
		return nil, err
	}
	key, err := evm.OpenKeystore(w.path, passphrase)
	if err != nil {
		return nil, err
	}
	if crypto.PubkeyToAddress(key.PublicKey) != w.address {
		return nil, evm.ErrKeystore
	}
	w.key = key
	return key, nil
}

// SignDelegation implements publisher.Wallet.
func (w *Wallet) SignDelegation(d delegation.Delegation, domain eip712.Domain) (*orderv1.SignedDelegation, error) {
	key, err := w.unlock()
	if err != nil {
		return nil, err
	}
	return delegation.Sign(d, domain, key)
}

// sends returns what sends the wallet's transactions.
func (w *Wallet) sends() (*evm.Wallet, error) {
	key, err := w.unlock()
	if err != nil {
		return nil, err
	}
	if w.sender == nil {
		// What was sent is written down beside the key: a run that is killed goes on with it and never pays twice.
		journal := fmt.Sprintf("%s.%d.journal", w.path, w.client.Domain().ChainID)
		w.sender = evm.NewWalletWith(w.client, key, evm.Sending{Journal: evm.NewFileJournal(journal), Settled: w.settled})
	}
	return w.sender, nil
}

func (w *Wallet) send(do func(*evm.Wallet) (evm.Receipt, error)) (string, error) {
	sender, err := w.sends()
	if err != nil {
		return "", err
	}
	r, err := do(sender)
	if err != nil {
		return "", err
	}
	if r.Resumed {
		w.note("transaction %s is of an earlier command, which was cut short; nothing was sent again", r.Tx)
	}
	return r.Tx.Hex(), nil
}

// settled tells how a transaction ended that an earlier command left under way.
func (w *Wallet) settled(_ evm.Call, r evm.Receipt, err error) {
	if err != nil {
		w.note("a transaction of an earlier command had no effect: %v", err)
		return
	}
	w.note("transaction %s of an earlier command was mined", r.Tx)
}

// Settle implements publisher.Wallet.
func (w *Wallet) Settle(ctx context.Context) error {
	sender, err := w.sends()
	if err != nil {
		return err
	}
	return sender.Settle(ctx)
}

// acknowledge forgets what was sent, once its outcome was told.
func (w *Wallet) acknowledge() error {
	if w.sender == nil {
		return nil
	}
	return w.sender.Acknowledge()
}

// Open implements publisher.Wallet.
func (w *Wallet) Open(ctx context.Context, t channel.Terms, amount tariff.Amount) (string, error) {
	return w.send(func(e *evm.Wallet) (evm.Receipt, error) { return e.Open(ctx, t, amount) })
}

// Deposit implements publisher.Wallet.
func (w *Wallet) Deposit(ctx context.Context, t channel.Terms, amount tariff.Amount) (string, error) {
	return w.send(func(e *evm.Wallet) (evm.Receipt, error) { return e.Deposit(ctx, t, amount) })
}

// Notice implements publisher.Wallet.
func (w *Wallet) Notice(ctx context.Context, t channel.Terms) (string, error) {
	return w.send(func(e *evm.Wallet) (evm.Receipt, error) { return e.Notice(ctx, t) })
}

// Withdraw implements publisher.Wallet.
func (w *Wallet) Withdraw(ctx context.Context, t channel.Terms) (string, error) {
	return w.send(func(e *evm.Wallet) (evm.Receipt, error) { return e.Withdraw(ctx, t) })
}

// Release implements publisher.Wallet.
func (w *Wallet) Release(ctx context.Context, t channel.Terms, r publisher.Release) (string, error) {
	return w.send(func(e *evm.Wallet) (evm.Receipt, error) { return e.Release(ctx, claimOf(t, r)) })
}

// WithdrawCredit implements publisher.Wallet.
func (w *Wallet) WithdrawCredit(ctx context.Context, token, to common.Address) (string, error) {
	return w.send(func(e *evm.Wallet) (evm.Receipt, error) { return e.WithdrawCredit(ctx, token, to) })
}

func claimOf(t channel.Terms, r publisher.Release) evm.Claim {
	return evm.Claim{Terms: t, Total: r.Total, Signature: r.Signature}
}

// remote is this machine's libp2p peer, started at the first dial.
type remote struct {
	keyFile string

	mu   sync.Mutex
	host *p2p.Host
}

func (r *remote) peer() (p2p.Key, error) { return p2p.LoadOrCreateKey(r.keyFile) }

func (r *remote) start() (*p2p.Host, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.host != nil {
		return r.host, nil
	}
	key, err := r.peer()
	if err != nil {
		return nil, err
	}
	r.host, err = p2p.NewHost(p2p.Config{Key: key})
	return r.host, err
}

func (r *remote) dial(ctx context.Context, endpoint string) (*publisher.Conn, error) {
	host, err := r.start()
	if err != nil {
		return nil, err
	}
	c, err := host.Dial(ctx, endpoint)
	if errors.Is(err, p2p.ErrUnreachable) {
		err = fmt.Errorf("%w: %w", publisher.ErrUnreachable, err)
	}
	if err != nil {
		return nil, err
	}
	return &publisher.Conn{
		Peer: c.Peer(), RPC: providerv1connect.NewProviderServiceClient(c, c.URL(), connect.WithReadMaxBytes(maxMessage)),
		Transport: c.Transport, Close: c.Close,
	}, nil
}

// maxMessage bounds what a provider can make this program hold, in bytes.
const maxMessage = 4 << 20

func (r *remote) close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.host == nil {
		return nil
	}
	return r.host.Close()
}

// images finds images in layouts and registries.
type images struct{ from oci.Sources }

func (i images) resolve(ctx context.Context, name string) (publisher.Image, error) {
	img, err := oci.Resolve(ctx, name, i.from)
	if err != nil {
		return publisher.Image{}, err
	}
	config, err := img.ConfigFile()
	if err != nil {
		return publisher.Image{}, err
	}
	out := publisher.Image{
		Image: appfile.Image{
			Digest: img.Digest, Entrypoint: config.Config.Entrypoint, Cmd: config.Config.Cmd, Health: healthOf(config.Config.Healthcheck),
			StopSignal: config.Config.StopSignal,
			ReadAccounts: func(ctx context.Context) (appfile.Accounts, error) {
				files, err := img.Files(ctx, "/etc/passwd", "/etc/group")
				return appfile.Accounts{Passwd: files["/etc/passwd"], Group: files["/etc/group"]}, err
			},
		},
		Push: func(ctx context.Context, to publisher.PushTarget, progress func(done, total int64)) error {
			return oci.Push(ctx, oci.Target{Transport: to.Transport, App: to.App, Service: to.Service, Header: to.Header}, img.Image, progress)
		},
	}
	for text := range config.Config.ExposedPorts {
		// What an image says wrongly about its ports is no reason not to run it.
		if ports, ok := appfile.Ports(text); ok {
			out.Ports = append(out.Ports, ports...)
		}
	}
	return out, nil
}

// healthOf is an image's own check, or nil. What it says beyond what a manifest holds is left out, as are its ports.
func healthOf(h *v1.HealthConfig) *manifestv1.Health {
	if h == nil || len(appfile.HealthCommand(h.Test)) == 0 || appfile.HealthCommand(h.Test)[0] == "" {
		return nil
	}
	within := func(d time.Duration) uint64 { return uint64(min(max(d, 0), manifest.MaxHealthTime) / time.Millisecond) }
	return &manifestv1.Health{
		Command: appfile.HealthCommand(h.Test), IntervalMs: within(h.Interval), TimeoutMs: within(h.Timeout), StartPeriodMs: within(h.StartPeriod),
		Retries: uint32(min(max(h.Retries, 0), manifest.MaxRestarts)),
	}
}
