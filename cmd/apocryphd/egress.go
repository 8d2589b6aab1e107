// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/apocryph/apocryph/internal/daemon"
	"github.com/apocryph/apocryph/internal/egress"
	"github.com/apocryph/apocryph/internal/kube"
	"github.com/apocryph/apocryph/internal/outside"
)

// egressCmd configures the counter of one machine. It runs in the machine's own network namespace, and changes its packet filter.
type egressCmd struct {
	Machine string `help:"Name of this machine in the cluster." required:""`
	Results string `help:"Directory in which the container runtime's network library keeps what it made." default:"/var/lib/cni/results" type:"path"`
	// DenyEgress is the controller's: what apps may not reach is what does not count.
	DenyEgress []string      `help:"Further CIDRs that are the cluster's own: those that tenants may not reach."`
	Every      time.Duration `help:"How often what grew is reported." default:"10s"`

	Kubeconfig string `help:"Kubeconfig file; empty in a cluster." type:"path"`
	Namespace  string `help:"System namespace, where the report goes." default:"apocryph-system"`
	// Metrics is on the machine's own loopback by default, as the port is the machine's.
	Metrics string `help:"Endpoint of metrics and health." default:"127.0.0.1:7390"`
}

// Run counts until ctx ends.
func (c *egressCmd) Run(ctx context.Context, log *slog.Logger) error {
	own, err := outside.Parse(c.DenyEgress)
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
	agent, err := egress.New(egress.Config{
		Machine: c.Machine, Namespace: c.Namespace, Results: c.Results, Own: own, Every: c.Every,
	}, cluster, log)
	if err != nil {
		return err
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(agent)

	return daemon.Run(ctx, log,
		daemon.Status(c.Metrics, promhttp.HandlerFor(registry, promhttp.HandlerOpts{})),
		daemon.Task{Name: "egress", Run: agent.Run})
}
