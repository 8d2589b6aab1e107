// SPDX-License-Identifier: Apache-2.0

// Package install fills a cluster and a chain that are up: it deploys the contracts, makes a simulator's root, installs the chart as a
// provider would, and writes what users of the devnet have to know. Every step leaves alone what an earlier run did.
package install

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/ethereum/go-ethereum/common"

	"github.com/apocryph/apocryph/devnet/progress"
)

// Namespace is the provider's.
const Namespace = "apocryph-system"

// Config is what the steps need to know.
type Config struct {
	// State is the devnet's folder on this machine, Chart the chart's, Images the layout with the apps' images, Bin the programs'.
	State, Chart, Images, Bin string
	// Kubeconfig reaches the cluster from this machine, RPC the chain.
	Kubeconfig, RPC string
	// ClusterRPC are endpoints of the chain from pods.
	ClusterRPC []string
	// NodeIP is the address of the Kubernetes node, APINodePort the API server's port there.
	NodeIP      string
	APINodePort int
	// ChainID is the chain's.
	ChainID uint64
	// Image is the name of the image of the provider's services.
	Image string
	// FacadePort and GatewayPort are this machine's ports that lead to the node ports.
	FacadePort, GatewayPort int
	// FacadeNodePort and GatewayNodePort are the node ports.
	FacadeNodePort, GatewayNodePort int
}

// Installer runs the steps.
type Installer struct {
	Config

	Progress *progress.Progress
	Log      *slog.Logger
}

// Contracts are where the chain has what the devnet deployed.
type Contracts struct {
	Channels, Token common.Address
}

// Run runs all steps.
func (i *Installer) Run(ctx context.Context) error {
	var contracts Contracts
	var simulator string
	err := progress.Together(
		func() error {
			return i.Progress.Do("install", "contracts", func() (err error) {
				contracts, err = i.deployContracts(ctx)
				return err
			})
		},
		func() error {
			return i.Progress.Do("install", "simulator's root", func() (err error) {
				simulator, err = i.simulator()
				return err
			})
		},
	)
	if err != nil {
		return err
	}

	cluster, err := i.connect()
	if err != nil {
		return err
	}
	err = i.Progress.Do("install", "provider", func() error {
		if err := i.secrets(ctx, cluster); err != nil {
			return err
		}
		return i.chart(ctx, contracts)
	})
	if err != nil {
		return err
	}
	var peer string
	err = i.Progress.Do("install", "gateway's peer id", func() (err error) {
		peer, err = gatewayPeer(ctx, cluster)
		return err
	})
	if err != nil {
		return err
	}
	return i.writeEnv(i.environment(contracts, simulator, peer))
}

// variable is a line of the environment file.
type variable struct{ name, value string }

// environment is what a user of the devnet has to know, in the order of the file.
func (i *Installer) environment(c Contracts, simulator, peer string) []variable {
	return []variable{
		{"KUBECONFIG", i.Kubeconfig},
		{"APOCRYPH_RPC", i.RPC},
		{"APOCRYPH_CHAIN_ID", fmt.Sprint(i.ChainID)},
		{"APOCRYPH_CHANNELS", c.Channels.Hex()},
		{"APOCRYPH_TOKEN", c.Token.Hex()},
		// Every block of a chain that mines at once, and by itself, is final.
		{"APOCRYPH_FINAL_AFTER", "1"},
		{"APOCRYPH_PROVIDER", fmt.Sprintf("/ip4/127.0.0.1/tcp/%d/p2p/%s", i.GatewayPort, peer)},
		{"APOCRYPH_SIMULATOR", simulator},
		{"APOCRYPH_IMAGES", i.Images},
		{"APOCRYPH_FACADE", fmt.Sprintf("127.0.0.1:%d", i.FacadePort)},
	}
}

// writeEnv stores the environment as a file to source.
func (i *Installer) writeEnv(vars []variable) error {
	path := filepath.Join(i.State, "env")
	f, err := os.CreateTemp(i.State, "env")
	if err != nil {
		return err
	}
	err = printEnv(f, vars, i.Bin)
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return os.Rename(f.Name(), path)
}

func printEnv(w io.Writer, vars []variable, bin string) error {
	_, err := fmt.Fprintln(w, "# What a user of this devnet has to know. Read it by: source build/devnet/env")
	for _, v := range vars {
		_, e := fmt.Fprintf(w, "export %s=%s\n", v.name, quote(v.value))
		err = errors.Join(err, e)
	}
	_, e := fmt.Fprintf(w, "export PATH=%s:\"$PATH\"\n", quote(bin))
	return errors.Join(err, e)
}
