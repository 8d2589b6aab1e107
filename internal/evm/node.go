// SPDX-License-Identifier: Apache-2.0

package evm

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"net/url"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/ethclient"
	"github.com/ethereum/go-ethereum/rpc"

	"github.com/apocryph/apocryph/internal/gen/channels"
)

// node is one endpoint. It is dialled and checked when it is first needed, so one that is away at the start may come later; one that is
// of another chain is never used.
type node struct {
	name string // for people: a URL may hold a key
	url  string
	cfg  *Config

	dialling sync.Mutex // held while the endpoint is dialled and checked

	mu       sync.Mutex
	eth      *ethclient.Client
	ready    bool
	refused  error // for ever
	chain    uint64
	head     uint64
	failures int
	last     error
	rest     time.Time // until when others are preferred
}

// EndpointHealth is what is known of an endpoint from the requests it was sent.
type EndpointHealth struct {
	// Name is the endpoint's host, without what may be secret in its URL.
	Name string
	// Head is the newest block that it told of, Behind how many fewer that is than the newest that was seen anywhere.
	Head, Behind uint64
	// Failures is how many requests in a row failed, and Err why the last one did; nil after one that did not.
	Failures int
	Err      error
	// Refused says why the endpoint is never used, nil if it may be.
	Refused error
}

func newNode(raw string, cfg *Config) *node {
	n := &node{name: raw, url: raw, cfg: cfg}
	if u, err := url.Parse(raw); err == nil && u.Host != "" {
		n.name = u.Host
	}
	return n
}

// longest is how long an endpoint that keeps failing is left in peace.
const longest = 30 * time.Second

// ask makes one request to a node within its deadline, and learns from how it ends.
func ask[T any](ctx context.Context, n *node, do func(context.Context, *ethclient.Client) (T, error)) (T, error) {
	var v T
	within, cancel := context.WithTimeout(ctx, n.cfg.Timeout)
	defer cancel()
	eth, err := n.connect(within)
	if err == nil {
		v, err = do(within, eth)
	}
	err = decode(err)
	if ctx.Err() == nil { // else it was not given its time
		n.learn(err)
	}
	if err != nil && !answers(err) {
		err = fmt.Errorf("%s: %w", n.name, err)
	}
	return v, err
}

// answers reports whether an outcome is about our call, so that it is no use to ask elsewhere.
func answers(err error) bool {
	return !errors.Is(err, ErrUnavailable) && !errors.Is(err, context.Canceled) && !errors.As(err, new(unfit))
}

// unfit says that the endpoint itself is of another chain, or without the contract.
type unfit struct{ error }

func (u unfit) Unwrap() error { return u.error }

func (n *node) learn(err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if err == nil || answers(err) {
		n.failures, n.last, n.rest = 0, nil, time.Time{}
		return
	}
	n.last = err
	if complaint(err) {
		return // it is up, and may like the next question better
	}
	n.failures++
	n.rest = n.cfg.Now().Add(min(longest, time.Second<<min(n.failures-1, 5)))
}

// connect dials and checks the endpoint if that has not succeeded yet.
func (n *node) connect(ctx context.Context) (*ethclient.Client, error) {
	n.dialling.Lock()
	defer n.dialling.Unlock()
	n.mu.Lock()
	eth, ready, refused := n.eth, n.ready, n.refused
	n.mu.Unlock()
	if ready || refused != nil {
		return eth, refused
	}
	if eth == nil {
		var err error
		if eth, err = ethclient.DialContext(ctx, n.url); err != nil {
			return nil, fmt.Errorf("connecting: %w: %w", ErrUnavailable, hideURL(err))
		}
	}
	chain, err := check(ctx, eth, n.cfg)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.eth, n.ready, n.chain = eth, err == nil, chain
	if errors.Is(err, ErrWrongChain) {
		n.refused = unfit{err}
	}
	if errors.Is(err, ErrWrongChain) || errors.Is(err, ErrNoContract) {
		err = unfit{err}
	}
	return eth, err
}

// hideURL keeps keys that are part of a URL out of messages.
func hideURL(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

// check returns ErrWrongChain, or ErrNoContract unless the contract answers as Channels does for the domain that everything is signed for.
func check(ctx context.Context, eth *ethclient.Client, cfg *Config) (uint64, error) {
	id, err := eth.ChainID(ctx)
	if err != nil {
		return 0, fmt.Errorf("asking for the chain's id: %w", decode(err))
	}
	if !id.IsUint64() || (cfg.ChainID != 0 && id.Uint64() != cfg.ChainID) {
		return 0, fmt.Errorf("chain %s, not %d: %w", id, cfg.ChainID, ErrWrongChain)
	}
	if cfg.Channels == (common.Address{}) {
		return id.Uint64(), nil
	}
	code, err := eth.CodeAt(ctx, cfg.Channels, nil)
	if err != nil {
		return 0, fmt.Errorf("reading the contract at %s: %w", cfg.Channels, decode(err))
	}
	if len(code) == 0 {
		return 0, fmt.Errorf("no code at %s on chain %s: %w", cfg.Channels, id, ErrNoContract)
	}
	contract := channels.NewChannels()
	out, err := eth.CallContract(ctx, ethereum.CallMsg{To: &cfg.Channels, Data: contract.PackEip712Domain()}, nil)
	if err = decode(err); errors.Is(err, ErrUnavailable) {
		return 0, err
	}
	d, unpackErr := contract.UnpackEip712Domain(out)
	if err != nil || unpackErr != nil || d.Name != "Apocryph" || d.Version != "1" || d.ChainId.Cmp(id) != 0 {
		return 0, fmt.Errorf("the contract at %s is another one: %w", cfg.Channels, ErrNoContract)
	}
	return id.Uint64(), nil
}

// header is a block by its number and by the hash that the node calls it by: hashing it here would break with the next fork's fields.
type header struct {
	Number   hexutil.Uint64 `json:"number"`
	Hash     common.Hash    `json:"hash"`
	Time     hexutil.Uint64 `json:"timestamp"`
	BaseFee  *hexutil.Big   `json:"baseFeePerGas"`
	GasLimit hexutil.Uint64 `json:"gasLimit"`
}

func (h header) block() Block {
	return Block{Number: uint64(h.Number), Hash: h.Hash, Time: time.Unix(int64(h.Time), 0)}
}

// blockAt asks for a block by number or by a tag of package rpc.
func blockAt(ctx context.Context, eth *ethclient.Client, at rpc.BlockNumber) (header, error) {
	var h *header
	if err := eth.Client().CallContext(ctx, &h, "eth_getBlockByNumber", at, false); err != nil {
		return header{}, err
	}
	switch {
	case h == nil:
		return header{}, fmt.Errorf("no block %s: %w", at, ErrUnavailable)
	case at >= 0 && uint64(h.Number) != uint64(at), h.Hash == (common.Hash{}):
		return header{}, fmt.Errorf("another block than %s: %w", at, ErrUnavailable)
	}
	return *h, nil
}

// newest asks a node for its newest block and remembers how far it is.
func (n *node) newest(ctx context.Context) (header, error) {
	h, err := ask(ctx, n, func(ctx context.Context, eth *ethclient.Client) (header, error) {
		return blockAt(ctx, eth, rpc.LatestBlockNumber)
	})
	if err == nil {
		n.mu.Lock()
		n.head = uint64(h.Number)
		n.mu.Unlock()
	}
	return h, err
}

func (n *node) state() (head uint64, failures int, rest time.Time, refused error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.head, n.failures, n.rest, n.refused
}

func (n *node) close() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.eth != nil {
		n.eth.Close()
	}
}

// callAt is eth_call in the block of a hash.
func callAt(ctx context.Context, eth *ethclient.Client, block common.Hash, to common.Address, data []byte) ([]byte, error) {
	return eth.CallContractAtHash(ctx, ethereum.CallMsg{To: &to, Data: data}, block)
}

func number(n uint64) *big.Int { return new(big.Int).SetUint64(n) }
