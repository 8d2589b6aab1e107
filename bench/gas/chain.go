// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/ecdsa"
	"errors"
	"fmt"
	"math/big"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/eth/ethconfig"
	"github.com/ethereum/go-ethereum/ethclient/simulated"
	"github.com/ethereum/go-ethereum/node"
	"github.com/ethereum/go-ethereum/params"
	"github.com/ethereum/go-ethereum/rpc"
)

// chainID is that of every simulated chain.
const chainID = 1337

// fork is a set of gas rules.
type fork struct {
	name string
	set  func(*params.ChainConfig)
	is   func(params.Rules) bool
	// limit is what a transaction may spend.
	limit uint64
	// probe is what a transaction costs under these rules that creates a contract without code whose constructor fills one storage slot.
	// The chain's configuration could name one fork and its gas table be another's; this would show.
	probe uint64
}

// forks are today's rules of mainnet and those of the next fork, in go-ethereum's terms. Each says of every later fork that it is off: the
// default development chain has one on whose predecessor is off, and then counts by no fork's rules.
func forks() []fork {
	zero := new(uint64)
	return []fork{
		{
			name: "Osaka", limit: params.MaxTxGas, probe: 75_175,
			set: func(c *params.ChainConfig) { c.OsakaTime, c.AmsterdamTime, c.BogotaTime = zero, nil, nil },
			is:  func(r params.Rules) bool { return r.IsOsaka && !r.IsAmsterdam && !r.IsBogota },
		},
		{
			name: "Amsterdam", limit: 40_000_000, probe: 317_695,
			set: func(c *params.ChainConfig) { c.OsakaTime, c.AmsterdamTime, c.BogotaTime = zero, zero, nil },
			is:  func(r params.Rules) bool { return r.IsOsaka && r.IsAmsterdam && !r.IsBogota },
		},
	}
}

// chain is a simulated chain that mines a block for every transaction.
type chain struct {
	sim   *simulated.Backend
	limit uint64
}

// newChain starts a chain under a fork's rules, with money for the keys, and makes sure that it keeps those rules.
func newChain(ctx context.Context, f fork, rich ...*ecdsa.PrivateKey) (*chain, error) {
	var rules params.ChainConfig
	alloc := types.GenesisAlloc{}
	for _, key := range rich {
		alloc[crypto.PubkeyToAddress(key.PublicKey)] = types.Account{Balance: big.NewInt(1e18)}
	}
	c := &chain{limit: f.limit, sim: simulated.NewBackend(alloc, func(_ *node.Config, c *ethconfig.Config) {
		rules = *c.Genesis.Config
		f.set(&rules)
		c.Genesis.Config = &rules
	})}
	head, err := c.sim.Client().HeaderByNumber(ctx, nil)
	if err != nil {
		return nil, errors.Join(err, c.sim.Close())
	}
	if !f.is(rules.Rules(head.Number, true, head.Time)) {
		return nil, errors.Join(fmt.Errorf("the chain's rules are not those of %s: %s", f.name, &rules), c.sim.Close())
	}
	storeOne := []byte{0x60, 1, 0x5f, 0x55, 0} // PUSH1 1, PUSH0, SSTORE, STOP
	probe, err := c.send(ctx, rich[0], call{data: storeOne})
	if err != nil {
		return nil, errors.Join(err, c.sim.Close())
	}
	if probe.GasUsed != f.probe {
		return nil, errors.Join(fmt.Errorf("a new slot costs %d gas, not %d as under %s", probe.GasUsed, f.probe, f.name), c.sim.Close())
	}
	return c, nil
}

// call is what a transaction does: at an address, or creating a contract.
type call struct {
	to   *common.Address
	data []byte
}

// send mines a transaction, and returns an error unless it succeeds.
func (c *chain) send(ctx context.Context, key *ecdsa.PrivateKey, what call) (*types.Receipt, error) {
	client := c.sim.Client()
	nonce, err := client.NonceAt(ctx, crypto.PubkeyToAddress(key.PublicKey), nil)
	if err != nil {
		return nil, err
	}
	head, err := client.HeaderByNumber(ctx, nil)
	if err != nil {
		return nil, err
	}
	tx, err := types.SignNewTx(key, types.LatestSignerForChainID(big.NewInt(chainID)), &types.DynamicFeeTx{
		ChainID: big.NewInt(chainID), Nonce: nonce, To: what.to, Data: what.data, Gas: c.limit,
		GasFeeCap: new(big.Int).Add(head.BaseFee, big.NewInt(params.GWei)), GasTipCap: big.NewInt(params.GWei),
	})
	if err != nil {
		return nil, err
	}
	if err := client.SendTransaction(ctx, tx); err != nil {
		return nil, err
	}
	// By the block: transactions can be asked for only once the chain has indexed them, a moment later.
	blocks, ok := client.(interface {
		BlockReceipts(context.Context, rpc.BlockNumberOrHash) ([]*types.Receipt, error)
	})
	if !ok {
		return nil, errors.New("the simulated chain gives no receipts of a block")
	}
	receipts, err := blocks.BlockReceipts(ctx, rpc.BlockNumberOrHashWithHash(c.sim.Commit(), true))
	if err != nil {
		return nil, err
	}
	if len(receipts) != 1 {
		return nil, fmt.Errorf("%d transactions in a block that is for one", len(receipts))
	}
	receipt := receipts[0]
	if receipt.Status != types.ReceiptStatusSuccessful {
		return nil, fmt.Errorf("reverted: %d bytes of calldata, %d gas used", len(what.data), receipt.GasUsed)
	}
	return receipt, nil
}

// pass lets time pass.
func (c *chain) pass(d time.Duration) error {
	c.sim.Rollback() // the pool may still hold what was just mined, and time only moves past an empty one
	return c.sim.AdjustTime(d)
}

func (c *chain) close() error { return c.sim.Close() }
