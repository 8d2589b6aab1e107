// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/apocryph/apocryph/internal/daemon"
	"github.com/apocryph/apocryph/internal/kube"
	"github.com/apocryph/apocryph/internal/logstore"
)

// logstoreCmd configures the log store of one machine.
type logstoreCmd struct {
	Root    string `help:"Directory of what is kept." default:"/var/lib/apocryph/logs" type:"path"`
	Pods    string `help:"Directory in which kubelet has pods' logs." default:"/var/log/pods" type:"path"`
	Machine string `help:"Name of this machine in the cluster." required:""`
	Listen  string `help:"Endpoint for the gateway." default:":7300"`
	// Allowed are service accounts, as the API server names them.
	Allowed []string `help:"Who may read." default:"system:serviceaccount:apocryph-system:gateway"`
	// Audience is that of the tokens.
	Audience string `help:"Audience of readers' tokens." default:"apocryph-logstore"`

	Kubeconfig string        `help:"Kubeconfig file; empty in a cluster." type:"path"`
	Namespace  string        `help:"System namespace, where Apps live." default:"apocryph-system"`
	Grace      time.Duration `help:"How long the logs of an app that is gone are kept." default:"1h"`
	Metrics    string        `help:"Endpoint of metrics and health." default:":9090"`
	MaxTotal   int64         `help:"Most that all apps' logs may take, in bytes." default:"17179869184"`
}

// Run serves until ctx ends.
func (c *logstoreCmd) Run(ctx context.Context, log *slog.Logger) error {
	store, err := logstore.Open(logstore.Config{
		Root: c.Root, Pods: c.Pods, Machine: c.Machine, TotalBytes: c.MaxTotal, Now: time.Now, Log: log,
	})
	if err != nil {
		return err
	}
	defer func() { _ = store.Close() }()
	config, err := kube.Config(c.Kubeconfig)
	if err != nil {
		return err
	}
	cluster, err := kube.Client(config)
	if err != nil {
		return err
	}
	cleaner := &logstore.Cleaner{Store: store, Gone: &kube.Gone{Apps: cluster, Namespace: c.Namespace, Grace: c.Grace}, Log: log}

	registry := prometheus.NewRegistry()
	registry.MustRegister(store)

	return daemon.Run(ctx, log,
		daemon.Status(c.Metrics, promhttp.HandlerFor(registry, promhttp.HandlerOpts{})),
		daemon.Every(logstore.SweepEvery, log, "cleaner", cleaner.Sweep),
		daemon.Task{Name: "logs", Run: store.Run},
		daemon.HTTP("read", c.Listen, kube.RequireToken(cluster, c.Audience, c.Allowed, store.Handler())))
}
