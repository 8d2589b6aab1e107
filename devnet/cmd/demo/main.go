// SPDX-License-Identifier: Apache-2.0

// Command demo runs the demo on a devnet that is up; `devnet demo` brings one up for it and takes it down after.
package main

import (
	"context"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/alecthomas/kong"
	"github.com/ethereum/go-ethereum"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/ethclient"

	"github.com/apocryph/apocryph/devnet/account"
	"github.com/apocryph/apocryph/devnet/demo"
	"github.com/apocryph/apocryph/internal/channel"
	"github.com/apocryph/apocryph/internal/evm"
	"github.com/apocryph/apocryph/internal/gen/channels"
)

type cli struct {
	Root        string        `help:"The checkout." default:"." type:"path"`
	RPC         string        `name:"rpc" help:"URL of the chain." env:"APOCRYPH_RPC" required:""`
	Channels    string        `help:"Address of the Channels contract." env:"APOCRYPH_CHANNELS" required:""`
	Token       string        `help:"Address of the test token." env:"APOCRYPH_TOKEN" required:""`
	Keep        bool          `help:"Leave the app running."`
	Build       time.Duration `help:"How long building took, for the receipt."`
	DevnetReady time.Duration `help:"How long the devnet took to come up, for the receipt."`
}

func main() {
	var c cli
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	k := kong.Parse(&c, kong.Name("demo"), kong.Description("Deploys a real app on a devnet, pays for it, and checks every unit."))
	k.BindTo(ctx, (*context.Context)(nil))
	k.FatalIfErrorf(k.Run())
}

// Run runs the demo.
func (c *cli) Run(ctx context.Context) error {
	client, err := evm.Dial(ctx, []string{c.RPC}, evm.Config{Channels: common.HexToAddress(c.Channels)})
	if err != nil {
		return err
	}
	defer client.Close()
	eth, err := ethclient.DialContext(ctx, c.RPC)
	if err != nil {
		return err
	}
	defer eth.Close()
	provider, err := account.Address(account.Provider)
	if err != nil {
		return err
	}
	bin := filepath.Join(c.Root, "build", "bin")
	return demo.Run(ctx, demo.Config{
		Root: c.Root, Bin: filepath.Join(bin, "apocryph"), EnvFile: filepath.Join(c.Root, "build", "devnet", "env"),
		Fund: func(ctx context.Context, address string) error {
			cmd := exec.CommandContext(ctx, filepath.Join(bin, "devnet"), "faucet", address)
			cmd.Dir, cmd.Stdout, cmd.Stderr = c.Root, os.Stdout, os.Stderr
			return cmd.Run()
		},
		Chain: chain{client, eth, common.HexToAddress(c.Channels), common.HexToAddress(c.Token), provider},
		Out:   os.Stdout, Keep: c.Keep, Build: c.Build, DevnetReady: c.DevnetReady,
	})
}

// chain satisfies demo.Chain.
type chain struct {
	*evm.Client
	eth                       *ethclient.Client
	contract, token, provider common.Address
}

func (c chain) Head(ctx context.Context) (uint64, error) { return c.eth.BlockNumber(ctx) }

func (c chain) ClaimedBeside(ctx context.Context, id string, since uint64) (*big.Int, error) {
	contract := channels.NewChannels()
	logs, err := c.eth.FilterLogs(ctx, ethereum.FilterQuery{
		FromBlock: new(big.Int).SetUint64(since),
		Addresses: []common.Address{c.contract},
		Topics:    [][]common.Hash{{contract.GetABI().Events[channels.ChannelsClaimedEventName].ID}},
	})
	if err != nil {
		return nil, err
	}
	sum := new(big.Int)
	for i := range logs {
		e, err := contract.UnpackClaimedEvent(&logs[i])
		if err != nil {
			return nil, err
		}
		if channel.ID(e.Id).String() != id {
			sum.Add(sum, e.Amount)
		}
	}
	return sum, nil
}

func (c chain) Provider() string { return c.provider.Hex() }

func (c chain) Balance(ctx context.Context, account string) (*big.Int, error) {
	b, err := c.Client.Balance(ctx, c.token, common.HexToAddress(account))
	return b.Big(), err
}

func (c chain) Channel(ctx context.Context, id string) (deposited, claimed *big.Int, closed bool, err error) {
	parsed, err := channel.ParseID(id)
	if err != nil {
		return nil, nil, false, err
	}
	s, err := c.State(ctx, parsed)
	return s.Deposited.Big(), s.Claimed.Big(), s.Status() == channel.Closed, err
}

func (c chain) Refunded(ctx context.Context, id string) (*big.Int, error) {
	parsed, err := channel.ParseID(id)
	if err != nil {
		return nil, err
	}
	events, err := c.Events(ctx, parsed, 0)
	if err != nil {
		return nil, err
	}
	for _, e := range events {
		if e.Kind == evm.Closed {
			return e.Amount.Big(), nil
		}
	}
	return nil, fmt.Errorf("channel %s has no Closed event", id)
}
