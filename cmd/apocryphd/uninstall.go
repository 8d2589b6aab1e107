// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/apocryph/apocryph/internal/kube"
	"github.com/apocryph/apocryph/internal/uninstall"
)

// uninstallCmd configures how a provider ends all apps.
type uninstallCmd struct {
	Kubeconfig string        `help:"Kubeconfig file of the cluster's admin; empty in a cluster." type:"path"`
	Namespace  string        `help:"System namespace, where Apps live." default:"apocryph-system"`
	Timeout    time.Duration `help:"How long to wait for the apps to be settled." default:"30m"`
}

// Run ends and settles every app, and says what to run next.
func (c *uninstallCmd) Run(ctx context.Context, _ *slog.Logger) error {
	config, err := kube.Config(c.Kubeconfig)
	if err != nil {
		return err
	}
	cluster, err := kube.Client(config)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	var out io.Writer = os.Stdout
	u := &uninstall.Uninstaller{Client: cluster, Namespace: c.Namespace, Say: func(line string) { _, _ = fmt.Fprintln(out, line) }}
	if err := u.Run(ctx); err != nil {
		return err
	}
	_, err = fmt.Fprintln(out, "every channel is settled and nothing of an app is left; now: helm uninstall apocryph -n "+c.Namespace)
	return err
}
