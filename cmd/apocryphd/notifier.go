// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/go-logr/logr"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/apocryph/apocryph/internal/daemon"
	"github.com/apocryph/apocryph/internal/kube"
	"github.com/apocryph/apocryph/internal/notify"
	"github.com/apocryph/apocryph/internal/outside"
)

// notifierCmd configures which webhooks are called.
type notifierCmd struct {
	Kubeconfig string `help:"Kubeconfig file; empty in a cluster." type:"path"`
	Namespace  string `help:"System namespace, where Apps live." default:"apocryph-system"`
	Metrics    string `help:"Endpoint of metrics and health." default:":9090"`

	// Allow is for clouds of one's own. Whoever can order an app can have a request sent to every address in it.
	Allow []string `help:"CIDRs that webhooks are called at although they are not public; whoever orders an app can have requests sent there."`
	// Deny is for clusters whose own addresses are public.
	Deny []string `help:"Further CIDRs that webhooks are not called at."`
	// Port is where they listen: what publishers name is called at no other.
	Port []uint16 `help:"Ports that webhooks are called at." default:"443"`
	// Roots is for webhooks whose certificates no public authority has signed.
	Roots string `help:"PEM file of certificate authorities that are trusted besides the system's; it may be missing." type:"path"`
}

// Run tells webhooks until ctx ends.
func (c *notifierCmd) Run(ctx context.Context, log *slog.Logger) error {
	ctrllog.SetLogger(logr.FromSlogHandler(log.Handler()))
	allow, err := outside.Parse(c.Allow)
	if err != nil {
		return fmt.Errorf("--allow: %w", err)
	}
	deny, err := outside.Parse(c.Deny)
	if err != nil {
		return fmt.Errorf("--deny: %w", err)
	}
	config, err := kube.Config(c.Kubeconfig)
	if err != nil {
		return err
	}
	n, err := notify.New(notify.Config{Namespace: c.Namespace, Allow: allow, Deny: deny, Ports: c.Port, Roots: c.Roots}, log)
	if err != nil {
		return err
	}

	return daemon.Run(ctx, log,
		daemon.Status(c.Metrics, n.Metrics()),
		daemon.Task{Name: "notifier", Run: func(ctx context.Context) error { return n.Run(ctx, config) }})
}
