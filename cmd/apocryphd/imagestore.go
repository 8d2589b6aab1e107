// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/apocryph/apocryph/internal/daemon"
	"github.com/apocryph/apocryph/internal/imagestore"
	"github.com/apocryph/apocryph/internal/kube"
)

// imagestoreCmd configures the image store of one machine.
type imagestoreCmd struct {
	Root string `help:"Directory of the images." default:"/var/lib/apocryph/images" type:"path"`
	// Push is for the gateway, with a token; Pull for kubelet on this machine, without.
	Push string `help:"Endpoint for pushes." default:":7200"`
	Pull string `help:"Endpoint for kubelet." default:":5000"`
	// Allowed are service accounts, as the API server names them.
	Allowed []string `help:"Who may push." default:"system:serviceaccount:apocryph-system:gateway"`
	// Audience is that of the tokens.
	Audience string `help:"Audience of pushers' tokens." default:"apocryph-imagestore"`

	Kubeconfig string        `help:"Kubeconfig file; empty in a cluster." type:"path"`
	Namespace  string        `help:"System namespace, where Apps live." default:"apocryph-system"`
	Grace      time.Duration `help:"How long the images of an app that is gone are kept." default:"1h"`
	Metrics    string        `help:"Endpoint of metrics and health." default:":9090"`

	// Bounds in bytes.
	MaxBlob     int64 `help:"Largest blob, in bytes." default:"4294967296"`
	MaxApp      int64 `help:"Most that one app's images may take, in bytes." default:"8589934592"`
	MaxTotal    int64 `help:"Most that all images may take, in bytes." default:"68719476736"`
	MaxUnpacked int64 `help:"Most that one image may unpack to, in bytes." default:"17179869184"`
}

// Run serves until ctx ends.
func (c *imagestoreCmd) Run(ctx context.Context, log *slog.Logger) error {
	store, err := imagestore.Open(c.Root, imagestore.Limits{
		BlobBytes: c.MaxBlob, AppBytes: c.MaxApp, TotalBytes: c.MaxTotal, UnpackedBytes: c.MaxUnpacked,
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
	cleaner := &imagestore.Cleaner{Store: store, Apps: cluster, Namespace: c.Namespace, Grace: c.Grace, Log: log}
	store.Orders(cleaner)

	registry := prometheus.NewRegistry()
	registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "apocryph_imagestore_bytes", Help: "Bytes that images and unfinished uploads take.",
	}, func() float64 { return float64(store.Bytes()) }))

	return daemon.Run(ctx, log,
		daemon.Status(c.Metrics, promhttp.HandlerFor(registry, promhttp.HandlerOpts{})),
		daemon.Every(imagestore.SweepEvery, log, "cleaner", cleaner.Sweep),
		daemon.HTTP("pull", c.Pull, store.Pull(log)),
		daemon.HTTP("push", c.Push, kube.RequireToken(cluster, c.Audience, c.Allowed, store.Push(log))))
}
