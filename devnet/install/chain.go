// SPDX-License-Identifier: Apache-2.0

package install

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"time"

	"github.com/ethereum/go-ethereum/accounts/abi"
	"github.com/ethereum/go-ethereum/accounts/abi/bind/v2"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/ethclient"
	"github.com/ethereum/go-ethereum/params"

	"github.com/apocryph/apocryph/devnet/account"
	"github.com/apocryph/apocryph/internal/evidence"
	"github.com/apocryph/apocryph/internal/gen/channels"
	"github.com/apocryph/apocryph/internal/gen/token"
	"github.com/apocryph/apocryph/internal/tee/sim"
)

// deployContracts deploys Channels and the test token. A chain has one deployer, so their addresses are the same on every devnet.
func (i *Installer) deployContracts(ctx context.Context) (Contracts, error) {
	chain, opts, err := dialAs(ctx, i.RPC, account.Deployer)
	if err != nil {
		return Contracts{}, err
	}
	defer chain.Close()

	c := Contracts{Channels: crypto.CreateAddress(opts.From, 0), Token: crypto.CreateAddress(opts.From, 1)}
	nonce, err := chain.NonceAt(ctx, opts.From, nil)
	if err != nil {
		return Contracts{}, fmt.Errorf("reading the deployer's account: %w", err)
	}
	if nonce >= 2 {
		return c, nil
	}
	for n, contract := range []struct{ name, code string }{
		{"Channels", channels.ChannelsMetaData.Bin},
		{"TestToken", token.TestTokenMetaData.Bin},
	} {
		opts.Nonce = big.NewInt(int64(n))
		_, tx, err := bind.DeployContract(opts, common.FromHex(contract.code), chain, nil)
		if err != nil {
			return Contracts{}, fmt.Errorf("deploying %s: %w", contract.name, err)
		}
		if _, err := bind.WaitDeployed(ctx, chain, tx.Hash()); err != nil {
			return Contracts{}, fmt.Errorf("deploying %s: %w", contract.name, err)
		}
	}
	return c, nil
}

// dialAs connects to the chain in the name of a devnet account.
func dialAs(ctx context.Context, rpc, name string) (*ethclient.Client, *bind.TransactOpts, error) {
	key, err := account.Key(name)
	if err != nil {
		return nil, nil, err
	}
	chain, err := ethclient.DialContext(ctx, rpc)
	if err != nil {
		return nil, nil, fmt.Errorf("reaching the chain: %w", err)
	}
	id, err := chain.ChainID(ctx)
	if err != nil {
		chain.Close()
		return nil, nil, fmt.Errorf("reaching the chain: %w", err)
	}
	opts := bind.NewKeyedTransactor(key, id)
	opts.Context = ctx
	return chain, opts, nil
}

// Gift is what the faucet gives.
type Gift struct {
	To common.Address
	// Coins pay for gas, in wei; Tokens are base units of the test token.
	Coins, Tokens *big.Int
}

// Give sends coins and test tokens to somebody.
func Give(ctx context.Context, rpc string, g Gift) error {
	chain, opts, err := dialAs(ctx, rpc, account.Faucet)
	if err != nil {
		return err
	}
	defer chain.Close()
	deployer, err := account.Address(account.Deployer)
	if err != nil {
		return err
	}
	t := token.NewTestToken()
	mint, err := bind.Transact(t.Instance(chain, crypto.CreateAddress(deployer, 1)), opts, t.PackMint(g.To, g.Tokens))
	if err != nil {
		return fmt.Errorf("minting tokens: %w", err)
	}
	if err := mined(ctx, chain, mint); err != nil {
		return fmt.Errorf("minting tokens: %w", err)
	}
	opts.Value, opts.GasLimit = g.Coins, params.TxGas // a limit of its own, or it asks for code to estimate by
	tx, err := bind.Transact(bind.NewBoundContract(g.To, abi.ABI{}, chain, chain, chain), opts, nil)
	if err != nil {
		return fmt.Errorf("sending coins: %w", err)
	}
	if err := mined(ctx, chain, tx); err != nil {
		return fmt.Errorf("sending coins: %w", err)
	}
	return nil
}

func mined(ctx context.Context, chain *ethclient.Client, tx *types.Transaction) error {
	receipt, err := bind.WaitMined(ctx, chain, tx.Hash())
	if err != nil {
		return err
	}
	if receipt.Status != types.ReceiptStatusSuccessful {
		return errors.New("the transaction was reverted")
	}
	return nil
}

// simulatorDir is where the simulator's root and the chip's key lie.
func (i *Installer) simulatorDir() string { return filepath.Join(i.State, "simulator") }

// simulator makes the devnet's root of simulated evidence, and returns how clients name it.
func (i *Installer) simulator() (string, error) {
	device, err := sim.Open(i.simulatorDir())
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, sim.ErrFiles) {
		if err := os.RemoveAll(i.simulatorDir()); err != nil {
			return "", err
		}
		var measurement [evidence.MeasurementSize]byte
		copy(measurement[:], "apocryph devnet")
		device, err = sim.NewRoot(i.simulatorDir(), measurement, time.Now())
	}
	if err != nil {
		return "", err
	}
	return device.Accept(i.ChainID).String(), nil
}
