// SPDX-License-Identifier: Apache-2.0

package evm

import (
	"context"
	"fmt"
	"math/big"

	"github.com/ethereum/go-ethereum"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/ethclient"

	"github.com/apocryph/apocryph/internal/channel"
	"github.com/apocryph/apocryph/internal/tariff"
)

// EventKind is what happened to a channel, named as in the contract.
type EventKind string

// The events of a channel.
const (
	Opened       EventKind = "Opened"
	Deposited    EventKind = "Deposited"
	Claimed      EventKind = "Claimed"
	ClaimSkipped EventKind = "ClaimSkipped"
	NoticeGiven  EventKind = "NoticeGiven"
	Closed       EventKind = "Closed"
)

// timeBits is how wide times are in the contract.
const timeBits = 40

// Event is something that happened to a channel.
type Event struct {
	Kind    EventKind
	Channel channel.ID
	// Amount is what was deposited (Opened, Deposited), claimed (Claimed) or refunded (Closed) this time.
	Amount tariff.Amount
	// Claimed is the claimed total after Claimed and Closed.
	Claimed tariff.Amount
	// NoticeEnd is the unix time of NoticeGiven.
	NoticeEnd uint64
	// Err says why a claim of a batch was skipped.
	Err   error
	Block uint64
	Tx    common.Hash
}

// Claimed returns what a transaction claimed on a channel.
func (r Receipt) Claimed(id channel.ID) tariff.Amount {
	var sum tariff.Amount
	for _, e := range r.Events {
		if e.Kind == Claimed && e.Channel == id {
			sum = sum.Add(e.Amount)
		}
	}
	return sum
}

// page is how many blocks are asked for at once where there are many logs.
const page = 50_000

// Events returns what happened to a channel since a block, in order. Skipped claims are left out: anyone can make those.
func (c *Client) Events(ctx context.Context, id channel.ID, from uint64) ([]Event, error) {
	abi := c.channels.GetABI()
	var kinds []common.Hash
	for _, k := range []EventKind{Opened, Deposited, Claimed, NoticeGiven, Closed} {
		kinds = append(kinds, abi.Events[string(k)].ID)
	}
	var out []Event
	err := c.logs(ctx, [][]common.Hash{kinds, {common.Hash(id)}}, from, page, func(l *types.Log) error {
		if e, ok := c.event(l); ok && e.Channel == id {
			out = append(out, e)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading the events of channel %s: %w", id, err)
	}
	return out, nil
}

// logs shows the contract's logs with some topics since a block, in order. Endpoints limit how much they look through at once, each in its
// own way, so the blocks are asked for in pages, at most so long, and shorter ones if an endpoint complains.
func (c *Client) logs(ctx context.Context, topics [][]common.Hash, from, most uint64, see func(*types.Log) error) error {
	head, err := c.Head(ctx)
	if err != nil {
		return err
	}
	for size := most; from <= head.Number; {
		to := min(from+size-1, head.Number)
		logs, err := c.logsIn(ctx, topics, from, to)
		if complaint(err) && from < to {
			size = (to - from + 1) / 2
			continue
		}
		if err != nil {
			return err
		}
		for i := range logs {
			if err := see(&logs[i]); err != nil {
				return err
			}
		}
		from, size = to+1, min(2*size, most)
	}
	return nil
}

// logsIn asks a node that has all of the blocks.
func (c *Client) logsIn(ctx context.Context, topics [][]common.Hash, from, to uint64) ([]types.Log, error) {
	query := ethereum.FilterQuery{FromBlock: number(from), ToBlock: number(to), Addresses: []common.Address{c.cfg.Channels}, Topics: topics}
	return fresh(ctx, c.pool, func(ctx context.Context, eth *ethclient.Client, head header) ([]types.Log, error) {
		if uint64(head.Number) < to {
			return nil, fmt.Errorf("it is at block %d of %d: %w", uint64(head.Number), to, ErrStale)
		}
		return eth.FilterLogs(ctx, query)
	})
}

// event reads one log; it reports false for logs that are not of a channel.
func (c *Client) event(l *types.Log) (Event, bool) {
	// All have data; the decoder leaves out fields of a log that has none.
	if l.Address != c.cfg.Channels || len(l.Topics) < 2 || len(l.Data) == 0 || l.Removed {
		return Event{}, false
	}
	abi := c.channels.GetABI()
	kind, err := abi.EventByID(l.Topics[0])
	if err != nil {
		return Event{}, false
	}
	out := Event{Kind: EventKind(kind.Name), Channel: channel.ID(l.Topics[1]), Block: l.BlockNumber, Tx: l.TxHash}
	switch out.Kind {
	case Opened:
		e, err := c.channels.UnpackOpenedEvent(l)
		return out.with(err, func() (*big.Int, *big.Int) { return e.Amount, nil })
	case Deposited:
		e, err := c.channels.UnpackDepositedEvent(l)
		return out.with(err, func() (*big.Int, *big.Int) { return e.Amount, nil })
	case Claimed:
		e, err := c.channels.UnpackClaimedEvent(l)
		return out.with(err, func() (*big.Int, *big.Int) { return e.Amount, e.Claimed })
	case Closed:
		e, err := c.channels.UnpackClosedEvent(l)
		return out.with(err, func() (*big.Int, *big.Int) { return e.Refunded, e.Claimed })
	case NoticeGiven:
		e, err := c.channels.UnpackNoticeGivenEvent(l)
		// A lying node may say any word; the contract keeps 40 bits.
		if err != nil || e.NoticeEnd == nil || e.NoticeEnd.BitLen() > timeBits {
			return Event{}, false
		}
		out.NoticeEnd = e.NoticeEnd.Uint64()
		return out, true
	case ClaimSkipped:
		e, err := c.channels.UnpackClaimSkippedEvent(l)
		if err == nil {
			out.Err = c.skipped(e.Reason)
		}
		return out, err == nil
	}
	return Event{}, false
}

// with fills in amount and claimed total, unless the log could not be read.
func (e Event) with(err error, amounts func() (amount, claimed *big.Int)) (Event, bool) {
	if err != nil {
		return Event{}, false
	}
	amount, claimed := amounts()
	if e.Amount, err = tariff.NewAmount(amount); err != nil {
		return Event{}, false
	}
	e.Claimed, err = tariff.NewAmount(claimed)
	return e, err == nil
}

func (c *Client) skipped(selector [4]byte) error {
	abi := c.channels.GetABI()
	if e, err := abi.ErrorByID(selector); err == nil {
		return refusal(e.Name)
	}
	return ErrReverted
}
