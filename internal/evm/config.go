// SPDX-License-Identifier: Apache-2.0

package evm

import (
	"cmp"
	"context"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"github.com/apocryph/apocryph/internal/span"
)

// Config says where the money is, and how sure one wants to be. It comes from a user's or operator's own configuration, never from
// a peer.
type Config struct {
	// ChainID is the chain that the endpoints must be of; 0 accepts any, but the same of all.
	ChainID uint64
	// Channels is the contract; the zero address leaves only what needs no contract, such as deploying one.
	Channels common.Address

	// Timeout bounds each request to one endpoint; 0 means 10 s.
	Timeout time.Duration
	// Confirmations is how many blocks have to follow the one with good news, such as a deposit or a transaction's success; 0 takes the
	// newest block at its word.
	Confirmations uint64
	// FinalAfter is for chains that don't say which block is final: n means the block n−1 below the newest, so 1 the newest itself. 0
	// asks for the chain's own finalized block.
	FinalAfter uint64
	// MaxLag is how many blocks an endpoint may be behind what was seen before it is called stale; 0 means 5.
	MaxLag uint64

	// MineTimeout bounds how long a call waits for its transaction; 0 means 2 min.
	MineTimeout time.Duration
	// Poll is the time between the first looks for a receipt; 0 means 200 ms. Later looks are up to 2 s apart.
	Poll time.Duration
	// MaxFee is the most that is paid per unit of gas, in wei; 0 means no ceiling.
	MaxFee uint64
	// BumpAfter and BumpEvery are the blocks, or else the time, after which a transaction that waits is offered more; 0 means 3 and 45 s.
	BumpAfter uint64
	BumpEvery time.Duration
	// MaxBumps bounds how often; 0 means 10, which is 3.2 times the first fee.
	MaxBumps int

	// Wait waits for d or ctx, and Now is the clock. Nil means real ones.
	Wait func(ctx context.Context, d time.Duration) error
	Now  func() time.Time
}

// filled is c with its defaults.
func (c Config) filled() Config {
	c.Timeout = cmp.Or(c.Timeout, 10*time.Second)
	c.MaxLag = cmp.Or(c.MaxLag, 5)
	c.MineTimeout = cmp.Or(c.MineTimeout, 2*time.Minute)
	c.Poll = cmp.Or(c.Poll, 200*time.Millisecond)
	c.BumpAfter = cmp.Or(c.BumpAfter, 3)
	c.BumpEvery = cmp.Or(c.BumpEvery, 45*time.Second)
	c.MaxBumps = cmp.Or(c.MaxBumps, 10)
	if c.Wait == nil {
		c.Wait = span.Wait
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}
