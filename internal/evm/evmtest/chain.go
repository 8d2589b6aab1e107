// SPDX-License-Identifier: Apache-2.0

// Package evmtest is a real chain in this process with as many bad endpoints as a test wants, for tests of whatever talks to a chain.
//
// A Chain is go-ethereum with today's main network rules; it makes blocks when it is told, or one for each transaction, and can take
// blocks back. A Proxy is a JSON-RPC endpoint of it on the loopback, of which any number can be had. By default it is honest. It can
// be put behind (Lag), moved to another chain (Route), given its own idea of finality (Final), and be told to misbehave for some requests
// (Inject): hang, fail, answer garbage or half an answer, do what it was told and lose the answer, swallow transactions, lie.
//
//	chain := evmtest.NewChain(t, evmtest.Options{Funded: []common.Address{a}})
//	good, bad := chain.Endpoint(t), chain.Endpoint(t)
//	bad.Inject(evmtest.Fault{Method: "eth_getTransactionReceipt", Times: 3, Do: evmtest.Hang()})
//	client, err := evm.Dial(ctx, []string{bad.URL, good.URL}, cfg)
//
// Faults are scripted, never random: what a test draws from a seed is the test's affair.
package evmtest

import (
	"context"
	"crypto/ecdsa"
	"errors"
	"math/big"
	"sync"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core"
	"github.com/ethereum/go-ethereum/core/txpool"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/eth"
	"github.com/ethereum/go-ethereum/eth/catalyst"
	"github.com/ethereum/go-ethereum/eth/ethconfig"
	"github.com/ethereum/go-ethereum/eth/filters"
	"github.com/ethereum/go-ethereum/ethclient"
	"github.com/ethereum/go-ethereum/node"
	"github.com/ethereum/go-ethereum/p2p"
	"github.com/ethereum/go-ethereum/params"
	"github.com/ethereum/go-ethereum/rpc"
)

// ID is the chain id of every Chain.
const ID = 1337

// Options are choices for a chain.
type Options struct {
	// Funded accounts have a million coins from the start.
	Funded []common.Address
	// Manual chains make blocks only when Mine, Pass or Reorg is called; others make one for every transaction too.
	Manual bool
}

// Chain is a chain of one node. It is safe for concurrent use.
type Chain struct {
	backend *eth.Ethereum
	beacon  *catalyst.SimulatedBeacon
	rpc     *rpc.Client

	mu     sync.Mutex // held while blocks are made or taken back
	manual bool
}

// NewChain starts a chain that ends with the test.
func NewChain(t testing.TB, o Options) *Chain {
	t.Helper()
	stack, err := node.New(&node.Config{Name: "evmtest", P2P: p2p.Config{NoDiscovery: true, NoDial: true, MaxPeers: 0}})
	if err != nil {
		t.Fatal(err)
	}
	cfg := ethconfig.Defaults
	cfg.Genesis = core.DeveloperGenesisBlock(cfg.Miner.GasCeil, nil)
	rules := *cfg.Genesis.Config
	rules.BogotaTime = nil // the gas schedule of a fork that is not out yet
	cfg.Genesis.Config = &rules
	for _, a := range o.Funded {
		cfg.Genesis.Alloc[a] = types.Account{Balance: new(big.Int).Mul(big.NewInt(1_000_000), big.NewInt(params.Ether))}
	}
	cfg.SyncMode = ethconfig.FullSync
	cfg.StateScheme, cfg.NoPruning = "hash", true // every block can be asked for its state, those that were taken back too
	cfg.TxPool.NoLocals = true
	cfg.LogNoHistory = true
	cfg.DatabaseCache, cfg.TrieCleanCache, cfg.TrieDirtyCache, cfg.SnapshotCache = 16, 16, 16, 0
	c := &Chain{manual: o.Manual}
	if c.backend, err = eth.New(stack, &cfg); err == nil {
		stack.RegisterAPIs([]rpc.API{{
			Namespace: "eth", Service: filters.NewFilterAPI(filters.NewFilterSystem(c.backend.APIBackend, filters.Config{})),
		}})
		err = stack.Start()
	}
	if err == nil {
		c.beacon, err = catalyst.NewSimulatedBeacon(0, common.Address{}, c.backend)
	}
	if err != nil {
		t.Fatal(errors.Join(err, stack.Close()))
	}
	c.rpc = stack.Attach()
	t.Cleanup(func() {
		c.rpc.Close()
		if err := errors.Join(c.beacon.Stop(), stack.Close()); err != nil {
			t.Error(err)
		}
	})
	return c
}

// Client talks to the chain itself, without a proxy.
func (c *Chain) Client() *ethclient.Client { return ethclient.NewClient(c.rpc) }

// Head is the newest block.
func (c *Chain) Head() *types.Header { return c.backend.BlockChain().CurrentBlock() }

// Mine makes n blocks, the first of them with what is pending.
func (c *Chain) Mine(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for range n {
		c.beacon.Commit()
	}
}

// Pass makes a block that is d later than the one before. What is pending goes into one before.
func (c *Chain) Pass(t testing.TB, d time.Duration) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.backend.TxPool().Sync(); err != nil {
		t.Fatal(err)
	}
	if pending, _ := c.backend.TxPool().Pending(txpool.PendingFilter{}); len(pending) > 0 {
		c.beacon.Commit()
	}
	c.beacon.Rollback() // the pool may still hold what was just mined
	if err := c.beacon.AdjustTime(d); err != nil {
		t.Fatal(err)
	}
}

// Drop empties the pool, as nodes do that restart or are full.
func (c *Chain) Drop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.beacon.Rollback()
}

// Pending is how many transactions wait for a block.
func (c *Chain) Pending() int {
	n, _ := c.backend.TxPool().Stats()
	return n
}

// Reorg takes the newest depth blocks back and makes length new ones. Their transactions wait for a block again, and the first new one
// has them; with drop they are gone.
func (c *Chain) Reorg(t testing.TB, depth, length int, drop bool) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	head := c.backend.BlockChain().CurrentBlock().Number.Uint64()
	parent := c.backend.BlockChain().GetBlockByNumber(head - min(uint64(depth), head))
	c.beacon.Rollback() // a fork is refused while transactions wait
	if err := c.beacon.Fork(parent.Hash()); err != nil {
		t.Fatal(err)
	}
	if err := c.backend.TxPool().Sync(); err != nil {
		t.Fatal(err)
	}
	if drop {
		c.beacon.Rollback()
	}
	for range length {
		c.beacon.Commit()
	}
}

// Do sends a transaction of a key, mines it and returns its receipt: a test's own doing, past all proxies. A nil to deploys data.
func (c *Chain) Do(t testing.TB, key *ecdsa.PrivateKey, to *common.Address, data []byte, value *big.Int) *types.Receipt {
	t.Helper()
	tx := c.Send(t, key, to, data, value)
	c.Mine(1)
	r, err := c.Client().TransactionReceipt(context.Background(), tx.Hash())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Send is Do without a block.
func (c *Chain) Send(t testing.TB, key *ecdsa.PrivateKey, to *common.Address, data []byte, value *big.Int) *types.Transaction {
	t.Helper()
	ctx, client := context.Background(), c.Client()
	nonce, err := client.PendingNonceAt(ctx, crypto.PubkeyToAddress(key.PublicKey))
	if err != nil {
		t.Fatal(err)
	}
	tx, err := types.SignNewTx(key, types.LatestSignerForChainID(big.NewInt(ID)), &types.DynamicFeeTx{
		ChainID: big.NewInt(ID), Nonce: nonce, To: to, Data: data, Value: value, Gas: 5_000_000,
		GasTipCap: big.NewInt(params.GWei), GasFeeCap: big.NewInt(20 * params.GWei),
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := client.SendTransaction(ctx, tx); err != nil {
		t.Fatal(err)
	}
	return tx
}

// Deploy deploys a contract from its code.
func (c *Chain) Deploy(t testing.TB, key *ecdsa.PrivateKey, code string) common.Address {
	t.Helper()
	r := c.Do(t, key, nil, common.FromHex(code), nil)
	if r.Status != types.ReceiptStatusSuccessful {
		t.Fatal("the contract was not deployed")
	}
	return r.ContractAddress
}

// sent makes a block after a transaction came through a proxy, unless blocks are made by hand.
func (c *Chain) sent() {
	if !c.manual {
		c.Mine(1)
	}
}
