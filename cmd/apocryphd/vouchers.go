// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"os"

	"github.com/apocryph/apocryph/internal/invoicer"
	"github.com/apocryph/apocryph/internal/kube"
)

// vouchersCmd configures the export of what the keeper signed.
type vouchersCmd struct {
	ChainFlags

	Kubeconfig string `help:"Kubeconfig file; empty in a cluster." type:"path"`
	Namespace  string `help:"System namespace, where Apps and Usages live." default:"apocryph-system"`
}

// Run writes the newest voucher of each channel to standard output, a line each.
func (c *vouchersCmd) Run(ctx context.Context) error {
	config, err := kube.Config(c.Kubeconfig)
	if err != nil {
		return err
	}
	cluster, err := kube.Client(config)
	if err != nil {
		return err
	}
	papers, err := invoicer.Papers(ctx, cluster, c.Namespace, c.domain())
	if err != nil {
		return err
	}
	return invoicer.WritePapers(os.Stdout, papers)
}
