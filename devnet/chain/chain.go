// SPDX-License-Identifier: Apache-2.0

// Package chain is an Ethereum chain of one node in this process, for development: blocks come as soon as there are transactions,
// and every period when there are none, so that time and confirmations go on. It keeps everything in memory.
package chain

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core"
	"github.com/ethereum/go-ethereum/core/txpool"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/eth"
	"github.com/ethereum/go-ethereum/eth/catalyst"
	"github.com/ethereum/go-ethereum/eth/ethconfig"
	"github.com/ethereum/go-ethereum/eth/filters"
	"github.com/ethereum/go-ethereum/node"
	"github.com/ethereum/go-ethereum/p2p"
	"github.com/ethereum/go-ethereum/params"
	"github.com/ethereum/go-ethereum/rpc"
)

// Config is what a chain is made of.
type Config struct {
	// Host and Port serve HTTP and WebSocket.
	Host string
	Port int
	// ID is the chain id.
	ID uint64
	// Period is the longest time between two blocks.
	Period time.Duration
	// Funded accounts have a million coins from the start.
	Funded []common.Address
}

// Chain is a running chain.
type Chain struct {
	node    *node.Node
	backend *eth.Ethereum
	log     *slog.Logger
	period  time.Duration

	mu     sync.Mutex // held while a block is made, so that a jump never meets another block's making
	beacon *catalyst.SimulatedBeacon
}

// New makes a chain and serves it. Blocks come once Run is called.
func New(c Config, log *slog.Logger) (*Chain, error) {
	stack, err := node.New(nodeConfig(c))
	if err != nil {
		return nil, fmt.Errorf("making the node: %w", err)
	}
	ethConfig := ethconfig.Defaults
	ethConfig.Genesis = genesis(c)
	ethConfig.NetworkId = c.ID
	ethConfig.SyncMode = ethconfig.FullSync
	ethConfig.StateScheme = "hash"
	ethConfig.NoPruning = true // every block can be asked for its state
	ethConfig.DatabaseCache, ethConfig.TrieCleanCache, ethConfig.TrieDirtyCache, ethConfig.SnapshotCache = 16, 16, 16, 16

	backend, err := eth.New(stack, &ethConfig)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("making the chain: %w", err), stack.Close())
	}
	ch := &Chain{node: stack, backend: backend, log: log, period: c.Period}
	stack.RegisterAPIs([]rpc.API{
		{Namespace: "eth", Service: filters.NewFilterAPI(filters.NewFilterSystem(backend.APIBackend, filters.Config{}))},
		{Namespace: "evm", Service: &timeAPI{ch}},
	})
	// Without a period of its own geth makes no block by itself: its loop does not share our lock.
	if ch.beacon, err = catalyst.NewSimulatedBeacon(0, common.Address{}, backend); err != nil {
		return nil, errors.Join(fmt.Errorf("making the chain: %w", err), stack.Close())
	}
	if err := stack.Start(); err != nil {
		return nil, fmt.Errorf("serving the chain: %w", err)
	}
	return ch, nil
}

func nodeConfig(c Config) *node.Config {
	modules := []string{"eth", "net", "web3", "txpool", "evm"}
	return &node.Config{
		Name:             "apocryph-devnet",
		P2P:              p2p.Config{NoDiscovery: true, NoDial: true, MaxPeers: 0, ListenAddr: ""},
		HTTPHost:         c.Host,
		HTTPPort:         c.Port,
		HTTPModules:      modules,
		HTTPCors:         []string{"*"},
		HTTPVirtualHosts: []string{"*"},
		HTTPTimeouts:     rpc.DefaultHTTPTimeouts,
		WSHost:           c.Host,
		WSPort:           c.Port,
		WSModules:        modules,
		WSOrigins:        []string{"*"},
	}
}

// genesis is the developers' genesis by today's main network rules.
func genesis(c Config) *core.Genesis {
	g := core.DeveloperGenesisBlock(ethconfig.Defaults.Miner.GasCeil, nil)
	rules := *g.Config
	rules.ChainID = new(big.Int).SetUint64(c.ID)
	rules.BogotaTime = nil // a fork of the future, with another gas schedule
	g.Config = &rules
	million := new(big.Int).Mul(big.NewInt(1_000_000), big.NewInt(params.Ether))
	for _, a := range c.Funded {
		g.Alloc[a] = types.Account{Balance: million}
	}
	return g
}

// Run makes blocks until ctx ends, then closes the chain.
func (c *Chain) Run(ctx context.Context) error {
	arrived := make(chan core.NewTxsEvent, 16)
	sub := c.backend.TxPool().SubscribeTransactions(arrived, true)
	defer sub.Unsubscribe()
	tick := time.NewTicker(c.period)
	defer tick.Stop()

	for {
		select {
		case <-ctx.Done():
			return errors.Join(c.beacon.Stop(), c.node.Close())
		case <-arrived:
			c.drain()
			tick.Reset(c.period)
		case <-tick.C:
			c.seal()
		}
	}
}

// drain makes blocks until no transaction waits that could be in one.
func (c *Chain) drain() {
	const most = 16 // transactions that nothing makes executable may not stop time
	for range most {
		if n, _ := c.backend.TxPool().Stats(); n == 0 {
			return
		}
		c.seal()
	}
}

func (c *Chain) seal() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.beacon.Commit()
}

// jump makes a block that is d later than the one before.
func (c *Chain) jump(d time.Duration) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.backend.TxPool().Sync(); err != nil {
		return err
	}
	if pending, _ := c.backend.TxPool().Pending(txpool.PendingFilter{}); len(pending) > 0 {
		c.beacon.Commit() // a jump refuses to take transactions along
	}
	return c.beacon.AdjustTime(d)
}

// timeAPI lets developers and tests move time, by the names that other development chains use.
type timeAPI struct{ chain *Chain }

// IncreaseTime makes a block that is so many seconds later than the one before. From then on every block adds a second to its
// parent's time until the wall clock has caught up.
func (a *timeAPI) IncreaseTime(seconds uint64) (uint64, error) {
	if err := a.chain.jump(time.Duration(seconds) * time.Second); err != nil {
		return 0, err
	}
	return a.chain.backend.BlockChain().CurrentBlock().Time, nil
}

// Mine makes a block.
func (a *timeAPI) Mine() uint64 {
	a.chain.seal()
	return a.chain.backend.BlockChain().CurrentBlock().Number.Uint64()
}
