// SPDX-License-Identifier: Apache-2.0

// Package evm talks to the chain: it reads channels and tokens, and sends the transactions of a wallet.
//
// A Client is bound to one chain and one Channels contract, both checked at every endpoint before it is used, so that nothing that a
// provider says can lead to another. Endpoints are somebody else's computers: they hang, lag, err and may lie. So
//
//   - every request has a deadline, and what one endpoint does not answer another one is asked;
//   - a plain read is one endpoint's word about one block, named with the answer, that may be reorganised away;
//   - good news that somebody acts on counts some blocks below the newest (View.Confirmed);
//   - bad news that can't be taken back (a channel is closed, a notice has ended, a transaction failed or was replaced) counts only
//     when it is final, and when more than half of the endpoints agree on it (View.Final). No agreement is an error, never a state.
//
// An amount is never paid twice by not knowing. A Wallet has one transaction under way at a time. What it is to do, its nonce and its
// bytes are in a Journal before any endpoint sees them; the nonce is agreed on, or nothing is sent; a fee that turns out too low is
// raised under the same nonce, so that only one version can ever be mined; and nothing else is signed until one was, or until the
// account has used the nonce for good. The same call again, in this process or the next, goes on with that transaction.
//
// A Client and a Wallet are safe for concurrent use.
package evm

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/ethclient"

	"github.com/apocryph/apocryph/internal/channel"
	"github.com/apocryph/apocryph/internal/eip712"
	"github.com/apocryph/apocryph/internal/fault"
	"github.com/apocryph/apocryph/internal/gen/channels"
	"github.com/apocryph/apocryph/internal/gen/token"
	"github.com/apocryph/apocryph/internal/tariff"
)

// Client reads one Channels contract and the tokens on its chain.
type Client struct {
	pool     *pool
	cfg      Config
	channels *channels.Channels
	erc20    *token.TestToken

	mu     sync.Mutex
	tokens map[common.Address]Token
}

// Dial connects to the JSON-RPC endpoints (http, https, ws, wss) of one chain, in the order of preference. One that does not answer now
// is tried again when it is needed. It returns ErrUnavailable if none does, and ErrWrongChain or ErrNoContract if any is of
// another chain or has another contract.
func Dial(ctx context.Context, urls []string, cfg Config) (*Client, error) {
	cfg = cfg.filled()
	c := &Client{cfg: cfg, channels: channels.NewChannels(), erc20: token.NewTestToken(), tokens: map[common.Address]Token{}}
	c.pool = &pool{cfg: &c.cfg}
	for i, u := range urls {
		if !slices.Contains(urls[:i], u) { // the same twice would agree with itself
			c.pool.nodes = append(c.pool.nodes, newNode(u, &c.cfg))
		}
	}
	if err := c.meet(ctx); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// meet checks all endpoints that answer.
func (c *Client) meet(ctx context.Context) error {
	if len(c.pool.nodes) == 0 {
		return fault.Hint(fmt.Errorf("no endpoint: %w", ErrUnavailable), "name one with --rpc")
	}
	all := gather(ctx, c.pool, func(ctx context.Context, n *node) (uint64, error) {
		return ask(ctx, n, func(context.Context, *ethclient.Client) (uint64, error) { return n.chain, nil })
	}, nil)
	var errs []error
	for _, a := range all {
		switch {
		case errors.Is(a.err, ErrWrongChain), errors.Is(a.err, ErrNoContract):
			return a.err
		case a.err != nil:
			errs = append(errs, a.err)
		case c.cfg.ChainID != 0 && a.value != c.cfg.ChainID:
			return fmt.Errorf("chains %d and %d: %w", c.cfg.ChainID, a.value, ErrWrongChain)
		default:
			c.cfg.ChainID = a.value // from now on all have to be of it
		}
	}
	if len(errs) == len(all) {
		return c.pool.nobody(errs)
	}
	return nil
}

// Close ends the connections.
func (c *Client) Close() {
	for _, n := range c.pool.nodes {
		n.close()
	}
}

// Endpoints tells what is known of each endpoint, in the order of configuration.
func (c *Client) Endpoints() []EndpointHealth { return c.pool.health() }

// Domain is what signatures about this contract hold for.
func (c *Client) Domain() eip712.Domain {
	return eip712.Domain{ChainID: c.cfg.ChainID, Contract: c.cfg.Channels}
}

// Block is where a read was made.
type Block struct {
	Number uint64
	Hash   common.Hash
	Time   time.Time
}

// Head returns the newest block.
func (c *Client) Head(ctx context.Context) (Block, error) {
	b, err := fresh(ctx, c.pool, func(_ context.Context, _ *ethclient.Client, head header) (Block, error) { return head.block(), nil })
	if err != nil {
		return Block{}, fmt.Errorf("reading the newest block: %w", err)
	}
	return b, nil
}

// BlockTime returns the newest block's time: what the contract takes for now.
func (c *Client) BlockTime(ctx context.Context) (time.Time, error) {
	b, err := c.Head(ctx)
	return b.Time, err
}

// Snapshot is a channel's state in one block.
type Snapshot struct {
	channel.State
	Block Block
}

// Status returns where the channel is in its life, by the block's time.
func (s Snapshot) Status() channel.Status { return s.State.Status(s.Block.Time) }

// State returns a channel's state in the newest block; after closing it still tells what was deposited, claimed and so refunded.
func (c *Client) State(ctx context.Context, id channel.ID) (Snapshot, error) {
	s, err := fresh(ctx, c.pool, func(ctx context.Context, eth *ethclient.Client, head header) (Snapshot, error) {
		return c.stateAt(ctx, eth, head, id)
	})
	if err != nil {
		return Snapshot{}, fmt.Errorf("reading channel %s: %w", id, err)
	}
	return s, nil
}

// stateAt reads a channel in a block of a node.
func (c *Client) stateAt(ctx context.Context, eth *ethclient.Client, at header, id channel.ID) (Snapshot, error) {
	out, err := callAt(ctx, eth, at.Hash, c.cfg.Channels, c.channels.PackState(id))
	if err != nil {
		return Snapshot{}, err
	}
	s, err := unpacked(c.cfg.Channels, out, c.channels.UnpackState)
	if err != nil {
		return Snapshot{}, err
	}
	state := channel.State{SpentUntil: s.SpentUntil.Uint64(), NoticeEnd: s.NoticeEnd.Uint64()}
	if state.Deposited, err = tariff.NewAmount(s.Deposited); err != nil {
		return Snapshot{}, err
	}
	if state.Claimed, err = tariff.NewAmount(s.Claimed); err != nil {
		return Snapshot{}, err
	}
	return Snapshot{State: state, Block: at.block()}, nil
}

// Credit returns what failed transfers left for account.
func (c *Client) Credit(ctx context.Context, tok, account common.Address) (tariff.Amount, error) {
	n, err := call(ctx, c, callOpts{to: c.cfg.Channels, data: c.channels.PackCredit(tok, account)}, c.channels.UnpackCredit)
	if err != nil {
		return tariff.Amount{}, fmt.Errorf("reading the credit of %s: %w", account, err)
	}
	return tariff.NewAmount(n)
}

// Balance returns what account has of a token.
func (c *Client) Balance(ctx context.Context, tok, account common.Address) (tariff.Amount, error) {
	n, err := call(ctx, c, callOpts{to: tok, data: c.erc20.PackBalanceOf(account)}, c.erc20.UnpackBalanceOf)
	if err != nil {
		return tariff.Amount{}, fmt.Errorf("reading the balance of %s: %w", account, err)
	}
	return tariff.NewAmount(n)
}

// GasBalance returns what account has of the chain's own coin, in wei.
func (c *Client) GasBalance(ctx context.Context, account common.Address) (tariff.Amount, error) {
	n, err := fresh(ctx, c.pool, func(ctx context.Context, eth *ethclient.Client, head header) (*big.Int, error) {
		return eth.BalanceAtHash(ctx, account, head.Hash)
	})
	if err != nil {
		return tariff.Amount{}, fmt.Errorf("reading the balance of %s: %w", account, err)
	}
	return tariff.NewAmount(n)
}

// Token is how a token shows its amounts. It is what the token itself says, so good for display only.
type Token struct {
	Symbol   string
	Decimals uint8
}

// TokenInfo returns a token's symbol and decimals; they are asked for once.
func (c *Client) TokenInfo(ctx context.Context, tok common.Address) (Token, error) {
	c.mu.Lock()
	info, ok := c.tokens[tok]
	c.mu.Unlock()
	if ok {
		return info, nil
	}
	symbol, err := call(ctx, c, callOpts{to: tok, data: c.erc20.PackSymbol()}, c.erc20.UnpackSymbol)
	if err != nil {
		return Token{}, fmt.Errorf("asking token %s for its symbol: %w", tok, err)
	}
	decimals, err := call(ctx, c, callOpts{to: tok, data: c.erc20.PackDecimals()}, c.erc20.UnpackDecimals)
	if err != nil {
		return Token{}, fmt.Errorf("asking token %s for its decimals: %w", tok, err)
	}
	info = Token{Symbol: symbol, Decimals: decimals}
	c.mu.Lock()
	c.tokens[tok] = info
	c.mu.Unlock()
	return info, nil
}

// callOpts is an eth_call; a nil block is the newest.
type callOpts struct {
	to    common.Address
	data  []byte
	block *big.Int
}

// call calls a view of a contract.
func call[T any](ctx context.Context, c *Client, o callOpts, unpack func([]byte) (T, error)) (T, error) {
	return fresh(ctx, c.pool, func(ctx context.Context, eth *ethclient.Client, head header) (T, error) {
		var zero T
		var out []byte
		var err error
		if o.block == nil {
			out, err = callAt(ctx, eth, head.Hash, o.to, o.data)
		} else {
			out, err = eth.CallContract(ctx, ethereum.CallMsg{To: &o.to, Data: o.data}, o.block)
		}
		if err != nil {
			return zero, err
		}
		return unpacked(o.to, out, unpack)
	})
}

// unpacked reads what a contract answered.
func unpacked[T any](who common.Address, out []byte, unpack func([]byte) (T, error)) (T, error) {
	var zero T
	if len(out) == 0 {
		return zero, fmt.Errorf("nothing answers at %s: %w", who, ErrNoContract)
	}
	v, err := unpack(out)
	if err != nil {
		return zero, fmt.Errorf("the answer of %s: %w: %w", who, ErrNoContract, err)
	}
	return v, nil
}
