// SPDX-License-Identifier: Apache-2.0

// Package controller turns App objects into what runs, and takes it down again in an order that loses neither money nor data.
//
// Its model: an App is acted on only when the keeper has verified this very generation, so what runs is what the publisher signed. What
// is made is frozen: a Deployment is rendered again only when its service's part of the manifest changed, so a new version of this
// package restarts nobody; everything else when the manifest changed. The controller is the only writer of replicas.
//
// Its invariants: the finalizer is on the App before anything is made for it; nothing is taken down because something can't be seen,
// only because of a verified stop, a deletion, or a channel that is known to have closed; a namespace goes only after every pod is gone
// and the channel is settled; an end, once it has a reason, is not taken back. Decisions are pure functions (Desired, decide, report);
// Reconcile fetches, asks them and applies.
package controller

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/apocryph/apocryph/api/v1alpha1"
	"github.com/apocryph/apocryph/internal/outside"
)

// ErrConfig says that the configuration can't be used.
var ErrConfig = errors.New("not a usable controller configuration")

// Names that the chart and this package share: the ClusterRoles that bindings in tenants' namespaces refer to, the service accounts
// that get them, and the label of the facade's pods.
const (
	RoleController = "apocryph-tenant-controller"
	RoleMeter      = "apocryph-tenant-meter"
	RoleGateway    = "apocryph-tenant-gateway"
	RoleCarrying   = "apocryph-tenant-carrying"

	accountController = "controller"
	accountMeter      = "meter"
	accountGateway    = "gateway"

	labelComponent  = "app.kubernetes.io/component"
	componentFacade = "facade"
)

// Config is what a provider decides about the apps it runs.
type Config struct {
	// Namespace is the system namespace, where Apps live and facade runs.
	Namespace string
	// ImagePrefix is where kubelet pulls from: <prefix>/<app>/<service>@<digest>.
	ImagePrefix string
	// Image is the provider's own, with its digest, and PullPolicy how machines get it: the carrier is in it, see the package of that name.
	Image      string
	PullPolicy corev1.PullPolicy
	// StorageClass of volumes; empty means the cluster's default.
	StorageClass string
	// AccessMode of volumes; empty means ReadWriteOncePod, or ReadWriteOnce for a volume that several services mount.
	AccessMode corev1.PersistentVolumeAccessMode
	// UserNamespaces runs tenants' pods in user namespaces of their own (hostUsers: false).
	UserNamespaces bool
	// DenyEgress are further CIDRs that tenants may not reach: the cluster's own, when they are public addresses.
	DenyEgress []string

	// PublicScheme and PublicPort are how app users reach the facade; port 0 means the scheme's own.
	PublicScheme string
	PublicPort   int

	// ChainAllowance is how long apps go on running while the chain can't be read.
	ChainAllowance time.Duration
	// Retention is how long the App object stays after its end, so that its bill can be read.
	Retention time.Duration
}

func (c Config) check() error {
	switch {
	case c.Namespace == "":
		return fmt.Errorf("no system namespace: %w", ErrConfig)
	case c.ImagePrefix == "":
		return fmt.Errorf("no image prefix: %w", ErrConfig)
	case c.Image == "":
		return fmt.Errorf("no image of the provider's: %w", ErrConfig)
	case c.PublicScheme != "http" && c.PublicScheme != "https":
		return fmt.Errorf("public scheme %q is neither http nor https: %w", c.PublicScheme, ErrConfig)
	}
	if _, err := outside.Parse(c.DenyEgress); err != nil {
		return fmt.Errorf("denied egress: %w: %w", err, ErrConfig)
	}
	return nil
}

// url is where app users find an app; empty for one that doesn't answer HTTP.
func (c Config) url(app *v1alpha1.App) string {
	if app.Spec.Host == "" {
		return ""
	}
	standard := map[string]int{"http": 80, "https": 443}[c.PublicScheme]
	if c.PublicPort == 0 || c.PublicPort == standard {
		return c.PublicScheme + "://" + app.Spec.Host
	}
	return c.PublicScheme + "://" + net.JoinHostPort(app.Spec.Host, strconv.Itoa(c.PublicPort))
}
