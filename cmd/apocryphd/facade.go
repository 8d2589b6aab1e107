// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"k8s.io/apimachinery/pkg/types"

	"github.com/apocryph/apocryph/internal/daemon"
	"github.com/apocryph/apocryph/internal/facade"
	"github.com/apocryph/apocryph/internal/kube"
	"github.com/apocryph/apocryph/internal/traffic"
)

// facadeCmd configures the entry for app users.
type facadeCmd struct {
	Kubeconfig string `help:"Kubeconfig file; empty in a cluster." type:"path"`
	Namespace  string `help:"System namespace, where Apps live." default:"apocryph-system"`
	Metrics    string `help:"Endpoint of metrics and health." default:":9090"`

	Pod    string `help:"Name of the pod that this runs in; without it nobody pays for what it sends."`
	PodUID string `name:"pod-uid" help:"UID of that pod."`

	Listen string `help:"Endpoint for app users." default:":8080"`
	// PublicScheme is what apps are told their users came by.
	PublicScheme string `help:"Scheme at which app users reach the facade." default:"http" enum:"http,https"`
}

// linger is how long kube-proxy may take to send no more users to a pod that is going.
const linger = 3 * time.Second

// Run serves until ctx ends.
func (c *facadeCmd) Run(ctx context.Context, log *slog.Logger) error {
	config, err := kube.Config(c.Kubeconfig)
	if err != nil {
		return err
	}
	cluster, err := kube.Client(config)
	if err != nil {
		return err
	}
	reporter := traffic.New(cluster, traffic.Pod{Namespace: c.Namespace, Name: c.Pod, UID: types.UID(c.PodUID)}, log)
	table := facade.NewTable()
	defer context.AfterFunc(ctx, table.Drain)()
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector())
	status := http.NewServeMux()
	status.Handle("/healthz", table.Health())
	status.Handle("/metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))

	return daemon.Run(ctx, log,
		daemon.HTTP("metrics", c.Metrics, status),
		daemon.Task{Name: "apps", Run: func(ctx context.Context) error { return facade.Watch(ctx, config, c.Namespace, table) }},
		daemon.Task{Name: "traffic", Run: reporter.Run},
		daemon.Linger(linger, daemon.HTTP("facade", c.Listen, facade.Handler(table, c.PublicScheme, reporter, log))))
}
