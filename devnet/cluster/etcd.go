// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"net/url"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
	"go.etcd.io/etcd/server/v3/embed"
)

// etcdCommand returns a command that serves one etcd member on a loopback address.
func etcdCommand() *cobra.Command {
	var dir, listen string
	cmd := &cobra.Command{
		Use:          "etcd",
		Short:        "Serve a single etcd member without fsync",
		SilenceUsage: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return serveEtcd(cmd.Context(), dir, listen)
		},
	}
	cmd.SetContext(context.Background())
	cmd.Flags().StringVar(&dir, "data-dir", "", "where the data lies")
	cmd.Flags().StringVar(&listen, "listen", "http://127.0.0.1:2379", "client URL")
	return cmd
}

func serveEtcd(ctx context.Context, dir, listen string) error {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT)
	defer stop()

	client, err := url.Parse(listen)
	if err != nil {
		return fmt.Errorf("reading --listen: %w", err)
	}

	cfg := embed.NewConfig()
	cfg.Dir = dir
	cfg.LogLevel = "warn"
	cfg.WarningUnaryRequestDuration = embed.DefaultWarningUnaryRequestDuration // else every request is worth a warning
	cfg.UnsafeNoFsync = true                                                   // a devnet's state need not outlive the machine
	cfg.ListenClientUrls, cfg.AdvertiseClientUrls = []url.URL{*client}, []url.URL{*client}
	peer := url.URL{Scheme: "http", Host: "127.0.0.1:2380"}
	cfg.ListenPeerUrls, cfg.AdvertisePeerUrls = []url.URL{peer}, []url.URL{peer}
	cfg.InitialCluster = cfg.InitialClusterFromName(cfg.Name)

	e, err := embed.StartEtcd(cfg)
	if err != nil {
		return fmt.Errorf("starting etcd: %w", err)
	}
	defer e.Close()

	select {
	case <-ctx.Done():
		return nil
	case err := <-e.Err():
		return fmt.Errorf("serving etcd: %w", err)
	}
}
