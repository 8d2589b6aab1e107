// SPDX-License-Identifier: Apache-2.0

// Package evm talks to the chain: it reads channels and tokens, and sends the transactions of a wallet.
//
// A Client is bound to one chain and one Channels contract, both checked when it is made, so that nothing that a provider says can
// lead to another. What it reads is the state of one block and may be reorganised away; it says which block. Every call has a
// deadline. A Client is safe for concurrent use; a Wallet sends one transaction at a time and returns when it is mined, so an amount
// is never sent twice by not knowing.
package evm

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/ethclient"

	"github.com/apocryph/apocryph/internal/channel"
	"github.com/apocryph/apocryph/internal/eip712"
	"github.com/apocryph/apocryph/internal/gen/channels"
	"github.com/apocryph/apocryph/internal/gen/token"
	"github.com/apocryph/apocryph/internal/tariff"
)

// Config says where the money is. It comes from a user's or operator's own configuration, never from a peer.
type Config struct {
	// ChainID is the chain that the endpoint must be of; 0 accepts any.
	ChainID uint64
	// Channels is the contract; the zero address leaves only what needs no contract, such as deploying one.
	Channels common.Address
	// Timeout bounds each request; 0 means 10 s.
	Timeout time.Duration
	// MineTimeout bounds how long a transaction may take to be mined; 0 means 2 min.
	MineTimeout time.Duration
	// Poll is the time between looks for a receipt; 0 means 200 ms.
	Poll time.Duration
}

// backend is what a Client needs of a node; ethclient.Client has it, and so has the simulated one.
type backend interface {
	ethereum.ChainIDReader
	ethereum.ContractCaller
	ethereum.GasEstimator
	ethereum.GasPricer1559
	ethereum.LogFilterer
	ethereum.PendingStateReader
	ethereum.TransactionSender
	BalanceAt(ctx context.Context, account common.Address, block *big.Int) (*big.Int, error)
	CodeAt(ctx context.Context, account common.Address, block *big.Int) ([]byte, error)
	HeaderByNumber(ctx context.Context, number *big.Int) (*types.Header, error)
	TransactionReceipt(ctx context.Context, tx common.Hash) (*types.Receipt, error)
}

// Client reads one Channels contract and the tokens on its chain.
type Client struct {
	eth      backend
	cfg      Config
	channels *channels.Channels
	erc20    *token.TestToken

	mu     sync.Mutex
	tokens map[common.Address]Token
}

// Dial connects to a JSON-RPC endpoint (http, https, ws, wss). It returns ErrUnavailable, ErrWrongChain or ErrNoContract.
func Dial(ctx context.Context, url string, cfg Config) (*Client, error) {
	eth, err := ethclient.DialContext(ctx, url)
	if err != nil {
		return nil, fmt.Errorf("connecting to the chain: %w: %w", ErrUnavailable, err)
	}
	c, err := New(ctx, eth, cfg)
	if err != nil {
		eth.Close()
		return nil, err
	}
	return c, nil
}

// New is Dial for a connection that is already there.
func New(ctx context.Context, eth backend, cfg Config) (*Client, error) {
	if cfg.Timeout == 0 {
		cfg.Timeout = 10 * time.Second
	}
	if cfg.MineTimeout == 0 {
		cfg.MineTimeout = 2 * time.Minute
	}
	if cfg.Poll == 0 {
		cfg.Poll = 200 * time.Millisecond
	}
	c := &Client{eth: eth, cfg: cfg, channels: channels.NewChannels(), erc20: token.NewTestToken(), tokens: map[common.Address]Token{}}

	id, err := request(ctx, c, eth.ChainID)
	if err != nil {
		return nil, fmt.Errorf("asking for the chain's id: %w", err)
	}
	if !id.IsUint64() || (cfg.ChainID != 0 && id.Uint64() != cfg.ChainID) {
		return nil, fmt.Errorf("chain %s, not %d: %w", id, cfg.ChainID, ErrWrongChain)
	}
	c.cfg.ChainID = id.Uint64()
	if cfg.Channels == (common.Address{}) {
		return c, nil
	}
	if err := c.checkContract(ctx); err != nil {
		return nil, err
	}
	return c, nil
}

// checkContract returns ErrNoContract unless the contract answers as Channels does for the domain that everything is signed for.
func (c *Client) checkContract(ctx context.Context) error {
	code, err := request(ctx, c, func(ctx context.Context) ([]byte, error) { return c.eth.CodeAt(ctx, c.cfg.Channels, nil) })
	if err != nil {
		return fmt.Errorf("reading the contract at %s: %w", c.cfg.Channels, err)
	}
	if len(code) == 0 {
		return fmt.Errorf("no code at %s on chain %d: %w", c.cfg.Channels, c.cfg.ChainID, ErrNoContract)
	}
	d, err := call(ctx, c, callOpts{to: c.cfg.Channels, data: c.channels.PackEip712Domain()}, c.channels.UnpackEip712Domain)
	if errors.Is(err, ErrUnavailable) {
		return err
	}
	if err != nil || d.Name != "Apocryph" || d.Version != "1" || d.ChainId.Cmp(new(big.Int).SetUint64(c.cfg.ChainID)) != 0 {
		return fmt.Errorf("the contract at %s is another one: %w", c.cfg.Channels, ErrNoContract)
	}
	return nil
}

// Close ends the connection.
func (c *Client) Close() {
	if eth, ok := c.eth.(*ethclient.Client); ok {
		eth.Close()
	}
}

// Domain is what signatures about this contract hold for.
func (c *Client) Domain() eip712.Domain {
	return eip712.Domain{ChainID: c.cfg.ChainID, Contract: c.cfg.Channels}
}

// Block is where a read was made.
type Block struct {
	Number uint64
	Time   time.Time
}

// Head returns the newest block.
func (c *Client) Head(ctx context.Context) (Block, error) {
	h, err := request(ctx, c, func(ctx context.Context) (*types.Header, error) { return c.eth.HeaderByNumber(ctx, nil) })
	if err != nil {
		return Block{}, fmt.Errorf("reading the newest block: %w", err)
	}
	return Block{Number: h.Number.Uint64(), Time: time.Unix(int64(h.Time), 0)}, nil
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
	block, err := c.Head(ctx)
	if err != nil {
		return Snapshot{}, err
	}
	o := callOpts{to: c.cfg.Channels, data: c.channels.PackState(id), block: new(big.Int).SetUint64(block.Number)}
	s, err := call(ctx, c, o, c.channels.UnpackState)
	if err != nil {
		return Snapshot{}, fmt.Errorf("reading channel %s: %w", id, err)
	}
	state := channel.State{SpentUntil: s.SpentUntil.Uint64(), NoticeEnd: s.NoticeEnd.Uint64()}
	if state.Deposited, err = tariff.NewAmount(s.Deposited); err != nil {
		return Snapshot{}, err
	}
	if state.Claimed, err = tariff.NewAmount(s.Claimed); err != nil {
		return Snapshot{}, err
	}
	return Snapshot{State: state, Block: block}, nil
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
	n, err := request(ctx, c, func(ctx context.Context) (*big.Int, error) { return c.eth.BalanceAt(ctx, account, nil) })
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

// request makes one request to the node, with the Client's deadline and errors.
func request[T any](ctx context.Context, c *Client, do func(context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	v, err := do(ctx)
	return v, c.decode(err)
}

// callOpts is an eth_call; a nil block is the newest.
type callOpts struct {
	to    common.Address
	data  []byte
	block *big.Int
}

// call calls a view of a contract.
func call[T any](ctx context.Context, c *Client, o callOpts, unpack func([]byte) (T, error)) (T, error) {
	var zero T
	out, err := request(ctx, c, func(ctx context.Context) ([]byte, error) {
		return c.eth.CallContract(ctx, ethereum.CallMsg{To: &o.to, Data: o.data}, o.block)
	})
	if err != nil {
		return zero, err
	}
	if len(out) == 0 {
		return zero, fmt.Errorf("nothing answers at %s: %w", o.to, ErrNoContract)
	}
	v, err := unpack(out)
	if err != nil {
		return zero, fmt.Errorf("the answer of %s: %w: %w", o.to, ErrNoContract, err)
	}
	return v, nil
}
