// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"github.com/go-logr/logr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/apocryph/apocryph/internal/daemon"
	"github.com/apocryph/apocryph/internal/gen/keeperv1/keeperv1connect"
	"github.com/apocryph/apocryph/internal/keeper"
	"github.com/apocryph/apocryph/internal/kube"
	"github.com/apocryph/apocryph/internal/p2p"
	"github.com/apocryph/apocryph/internal/tee/sim"
)

// keeperCmd configures the holder of the enclave's keys.
type keeperCmd struct {
	ChainFlags
	OfferFlags

	Kubeconfig string `help:"Kubeconfig file; empty in a cluster." type:"path"`
	Namespace  string `help:"System namespace, where Apps and Usages live." default:"apocryph-system"`
	Metrics    string `help:"Endpoint of metrics and health." default:":9090"`

	// Listen is for the gateway, with a token of Audience.
	Listen   string   `help:"Endpoint for the gateway." default:":7100"`
	Audience string   `help:"Audience of callers' tokens." default:"apocryph-keeper"`
	Allowed  []string `help:"Who may call, as the API server names them." default:"system:serviceaccount:apocryph-system:gateway"`
	// EvidenceAllowed may ask for evidence, which is no secret, and for nothing else.
	EvidenceAllowed []string `help:"Who may ask for evidence besides." default:"system:serviceaccount:apocryph-system:doctor"`

	// KeysDir must outlive the process: who loses the voucher key can't claim on its channels any more.
	KeysDir string `help:"Directory of the enclave's own keys, made at the first start." default:"/var/lib/apocryph/keys" type:"path"`
	// TEE is where hardware reports come from.
	TEE          string `name:"tee" help:"TEE device." enum:"simulator" default:"simulator"`
	SimulatorDir string `help:"Directory of the simulator's root and chip key." default:"/etc/apocryph/simulator" type:"path"`

	VoucherEvery time.Duration `help:"Least time between two vouchers of an app." default:"10s"`
}

// Run serves the gateway, verifies and signs until ctx ends.
func (c *keeperCmd) Run(ctx context.Context, log *slog.Logger) error {
	ctrllog.SetLogger(logr.FromSlogHandler(log.Handler()))
	device, err := sim.Open(c.SimulatorDir)
	if err != nil {
		return err
	}
	keys, err := keeper.LoadKeys(c.KeysDir)
	if err != nil {
		return err
	}
	config, err := kube.Config(c.Kubeconfig)
	if err != nil {
		return err
	}
	cluster, err := kube.Client(config)
	if err != nil {
		return err
	}
	k, err := keeper.New(keeper.Config{
		Namespace: c.Namespace, Provider: c.Provider, Payout: c.Payout, Domain: c.domain(), Tariff: c.tariff(),
		Keys: keys, Device: device, CheckPeer: p2p.CheckPeer, VoucherEvery: c.VoucherEvery,
	}, log)
	if err != nil {
		return err
	}
	log.Warn("evidence is a simulator's and protects nothing", "accept", device.Accept(c.ChainID).String())
	log.Info("keys loaded", "signer", keys.Signer(), "peer", p2p.Text(keys.Peer()))

	return daemon.Run(ctx, log,
		daemon.Status(c.Metrics, k.Metrics()),
		daemon.Task{Name: "keeper", Run: func(ctx context.Context) error { return k.Run(ctx, config) }},
		daemon.HTTP("gateway", c.Listen, c.guarded(cluster, k.Handler())))
}

// guarded lets some callers ask for everything, and others for evidence only.
func (c *keeperCmd) guarded(cluster client.Writer, h http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", kube.RequireToken(cluster, c.Audience, c.Allowed, h))
	mux.Handle(keeperv1connect.KeeperServiceEvidenceProcedure, kube.RequireToken(cluster, c.Audience, slices.Concat(c.Allowed, c.EvidenceAllowed), h))
	return mux
}
