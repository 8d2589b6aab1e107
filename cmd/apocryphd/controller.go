// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	corev1 "k8s.io/api/core/v1"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/apocryph/apocryph/internal/controller"
	"github.com/apocryph/apocryph/internal/daemon"
	"github.com/apocryph/apocryph/internal/kube"
)

// controllerCmd configures what a provider decides about the apps it runs.
type controllerCmd struct {
	Kubeconfig string `help:"Kubeconfig file; empty in a cluster." type:"path"`
	Namespace  string `help:"System namespace, where Apps live." default:"apocryph-system"`
	Metrics    string `help:"Endpoint of metrics and health." default:":9090"`

	// ImagePrefix is the image store on each machine's loopback.
	ImagePrefix string `help:"Where kubelet pulls tenants' images from." default:"localhost:5100"`
	// Image is this program's own, which has the carrier in it; what apps' pods get of it they get by the same policy.
	Image           string `help:"The provider's image, with its digest." required:""`
	ImagePullPolicy string `help:"How machines get the provider's image." default:"IfNotPresent" enum:"Always,IfNotPresent,Never"`
	// StorageClass and AccessMode are of tenants' volumes.
	StorageClass string `help:"Storage class of volumes; empty is the cluster's default."`
	AccessMode   string `help:"Access mode of volumes; empty is ReadWriteOncePod, or ReadWriteOnce for a shared one." enum:",ReadWriteOnce,ReadWriteOncePod,ReadWriteMany" default:""`
	// UserNamespaces needs a kernel and a runtime with idmapped mounts.
	UserNamespaces bool `help:"Run tenants' pods in user namespaces." default:"true" negatable:""`
	// DenyEgress is for clusters whose own addresses are public.
	DenyEgress []string `help:"Further CIDRs that tenants may not reach."`

	// PublicScheme and PublicPort make the URL that publishers are shown.
	PublicScheme string `help:"Scheme at which app users reach the facade." default:"http" enum:"http,https"`
	PublicPort   int    `help:"Port at which app users reach the facade; 0 is the scheme's own." default:"0"`

	ChainAllowance time.Duration `help:"How long apps go on while the chain can't be read." default:"1h"`
	Retention      time.Duration `help:"How long an ended App is kept for its bill." default:"24h"`
}

// Run reconciles until ctx ends.
func (c *controllerCmd) Run(ctx context.Context, log *slog.Logger) error {
	ctrllog.SetLogger(logr.FromSlogHandler(log.Handler()))
	config, err := kube.Config(c.Kubeconfig)
	if err != nil {
		return err
	}
	r, err := controller.New(config, controller.Config{
		Namespace: c.Namespace, ImagePrefix: c.ImagePrefix,
		Image: c.Image, PullPolicy: corev1.PullPolicy(c.ImagePullPolicy),
		StorageClass: c.StorageClass, AccessMode: corev1.PersistentVolumeAccessMode(c.AccessMode),
		UserNamespaces: c.UserNamespaces, DenyEgress: c.DenyEgress,
		PublicScheme: c.PublicScheme, PublicPort: c.PublicPort,
		ChainAllowance: c.ChainAllowance, Retention: c.Retention,
	}, log)
	if err != nil {
		return err
	}

	return daemon.Run(ctx, log,
		daemon.Status(c.Metrics, promhttp.HandlerFor(metrics.Registry, promhttp.HandlerOpts{})),
		daemon.Task{Name: "controller", Run: r.Run})
}
