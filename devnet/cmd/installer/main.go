// SPDX-License-Identifier: Apache-2.0

// Command installer fills a devnet that is up. It is a program of its own so that the devnet command, which links none of this,
// is built in a moment and can show how everything else is built.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"
	"github.com/ethereum/go-ethereum/common"

	"github.com/apocryph/apocryph/devnet/install"
	"github.com/apocryph/apocryph/devnet/progress"
)

type cli struct {
	Run    runCmd    `cmd:"" help:"Install contracts and provider, as the configuration on standard input says."`
	Faucet faucetCmd `cmd:"" help:"Give coins and test tokens to an address."`
	Test   testCmd   `cmd:"" help:"Run the tests of the chart that is installed."`
}

func main() {
	var c cli
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	k := kong.Parse(&c, kong.Name("installer"), kong.Description("Fills a devnet."))
	k.BindTo(ctx, (*context.Context)(nil))
	k.FatalIfErrorf(k.Run())
}

type runCmd struct {
	Timings string `help:"File for how long the steps took." required:""`
}

func (c *runCmd) Run(ctx context.Context) error {
	var config install.Config
	if err := json.NewDecoder(os.Stdin).Decode(&config); err != nil {
		return fmt.Errorf("reading the configuration: %w", err)
	}
	p := progress.New(os.Stdout)
	i := &install.Installer{Config: config, Progress: p, Log: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))}
	return errors.Join(i.Run(ctx), p.Write(c.Timings))
}

type testCmd struct {
	Kubeconfig string `help:"Kubeconfig of the cluster." required:"" type:"existingfile"`
}

func (c *testCmd) Run() error {
	i := &install.Installer{Config: install.Config{Kubeconfig: c.Kubeconfig}, Log: slog.New(slog.DiscardHandler)}
	return i.Test(os.Stdout)
}

type faucetCmd struct {
	RPC     string `name:"rpc" help:"URL of the chain." required:""`
	Coins   int64  `help:"Coins to give." default:"10"`
	Tokens  int64  `help:"Test tokens to give." default:"1000"`
	Address string `arg:"" help:"Who gets them."`
}

func (c *faucetCmd) Run(ctx context.Context) error {
	if !common.IsHexAddress(c.Address) {
		return fmt.Errorf("%q is not an address", c.Address)
	}
	to := common.HexToAddress(c.Address)
	gift := install.Gift{
		To:     to,
		Coins:  new(big.Int).Mul(big.NewInt(c.Coins), big.NewInt(1e18)),
		Tokens: new(big.Int).Mul(big.NewInt(c.Tokens), big.NewInt(1e6)),
	}
	if err := install.Give(ctx, c.RPC, gift); err != nil {
		return err
	}
	fmt.Printf("%s got %d coins and %d test tokens\n", to.Hex(), c.Coins, c.Tokens)
	return nil
}
