// SPDX-License-Identifier: Apache-2.0

// Command devnet brings up everything that Apocryph needs on one machine: a Kubernetes node, an Ethereum chain, the contracts and
// the provider's services. Everything it makes lies below build/ of the checkout, or ends with it.
package main

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/apocryph/apocryph/devnet/checkout"
)

type cli struct {
	Up         upCmd         `cmd:"" help:"Build what is needed and bring the devnet up."`
	Down       downCmd       `cmd:"" help:"End the devnet and remove everything that it made but its logs."`
	Status     statusCmd     `cmd:"" help:"Show what runs."`
	Build      buildCmd      `cmd:"" help:"Build the devnet's programs and images."`
	Kubeconfig kubeconfigCmd `cmd:"" help:"Print the path of the administrator's kubeconfig."`
	Faucet     faucetCmd     `cmd:"" help:"Give coins and test tokens to an address."`
	Kill       killCmd       `cmd:"" help:"Kill one of the parts (-9); what a machine's init would start again is started again."`
	Demo       demoCmd       `cmd:"" help:"Bring the devnet up, run the demo on it, and take it down."`
	Supervise  superviseCmd  `cmd:"" hidden:""`
	Init       initCmd       `cmd:"" hidden:""`
}

func main() {
	var c cli
	// Ending the devnet while it comes up undoes what was done, which takes a moment: only the second signal is final.
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)

	k := kong.Parse(&c, kong.Name("devnet"), kong.Description("Apocryph on one machine."), kong.UsageOnError())
	k.BindTo(ctx, (*context.Context)(nil))
	k.Bind(slog.New(slog.NewTextHandler(os.Stderr, nil)))
	k.FatalIfErrorf(k.BindToProvider(checkout.Find))
	k.FatalIfErrorf(k.Run())
}
