// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/apocryph/apocryph/internal/daemon"
	"github.com/apocryph/apocryph/internal/kube"
	"github.com/apocryph/apocryph/internal/meter"
)

// meterCmd configures the meter.
type meterCmd struct {
	Kubeconfig string `help:"Kubeconfig file; empty in a cluster." type:"path"`
	Namespace  string `help:"System namespace, where Apps and Usages live." default:"apocryph-system"`
	Metrics    string `help:"Endpoint of metrics and health." default:":9090"`

	// Tick bounds how far behind a bill is.
	Tick time.Duration `help:"How often open intervals accrue." default:"30s"`
}

// Run keeps accounts until ctx ends.
func (c *meterCmd) Run(ctx context.Context, log *slog.Logger) error {
	config, err := kube.Config(c.Kubeconfig)
	if err != nil {
		return err
	}
	config.QPS = -1 // how many apps it looks at together is its limit
	cluster, err := kube.Client(config)
	if err != nil {
		return err
	}
	m := meter.New(cluster, c.Namespace, c.Tick, log)

	return daemon.Run(ctx, log,
		daemon.Status(c.Metrics, m.Metrics()),
		daemon.Task{Name: "meter", Run: m.Run})
}
