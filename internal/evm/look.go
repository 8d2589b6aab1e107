// SPDX-License-Identifier: Apache-2.0

package evm

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/ethclient"
	"github.com/ethereum/go-ethereum/rpc"

	"github.com/apocryph/apocryph/internal/channel"
	"github.com/apocryph/apocryph/internal/tariff"
)

// View is a channel as deep in the chain as each use of it needs.
type View struct {
	// Latest is the newest block's: what to claim next, and reason enough to refuse something for now.
	Latest Snapshot
	// Confirmed is Config.Confirmations blocks below, for good news.
	Confirmed Snapshot
	// Final can't be taken back, and most endpoints agree on it. It is there only if Latest or Confirmed hints at notice or closing.
	Final *Snapshot
}

// Look reads a channel. If there is reason to ask for Final and it can't be had, that is the error, ErrNoQuorum or ErrDisagree among
// others, and View still has the rest.
func (c *Client) Look(ctx context.Context, id channel.ID) (View, error) {
	v, err := fresh(ctx, c.pool, func(ctx context.Context, eth *ethclient.Client, head header) (View, error) {
		return c.lookAt(ctx, eth, head, id)
	})
	if err != nil {
		return View{}, fmt.Errorf("reading channel %s: %w", id, err)
	}
	if v.Latest.NoticeEnd == 0 && v.Confirmed.NoticeEnd == 0 {
		return v, nil
	}
	final, err := c.Final(ctx, id)
	if err != nil {
		return v, err
	}
	v.Final = &final
	return v, nil
}

func (c *Client) lookAt(ctx context.Context, eth *ethclient.Client, head header, id channel.ID) (View, error) {
	var v View
	var err error
	if v.Latest, err = c.stateAt(ctx, eth, head, id); err != nil {
		return View{}, err
	}
	if v.Confirmed = v.Latest; c.cfg.Confirmations == 0 {
		return v, nil
	}
	below, err := blockAt(ctx, eth, rpc.BlockNumber(uint64(head.Number)-min(c.cfg.Confirmations, uint64(head.Number))))
	if err != nil {
		return View{}, err
	}
	v.Confirmed, err = c.stateAt(ctx, eth, below, id)
	return v, err
}

// Final reads a channel in a block that can't be taken back: the newest that more than half of the endpoints call final. They have to
// agree on the block's hash and on the state there. It returns ErrNoQuorum or ErrDisagree if they don't.
func (c *Client) Final(ctx context.Context, id channel.ID) (Snapshot, error) {
	at, err := c.finalBlock(ctx)
	if err != nil {
		return Snapshot{}, fmt.Errorf("finding the final block: %w", err)
	}
	what := fmt.Sprintf("channel %s in block %d", id, at)
	state, err := agree(ctx, c.pool, what, func(ctx context.Context, n *node) (plainState, error) {
		return ask(ctx, n, func(ctx context.Context, eth *ethclient.Client) (plainState, error) {
			b, err := blockAt(ctx, eth, rpc.BlockNumber(at))
			if err != nil {
				return plainState{}, err
			}
			s, err := c.stateAt(ctx, eth, b, id)
			return plain(s), err
		})
	})
	if err != nil {
		return Snapshot{}, fmt.Errorf("reading channel %s: %w", id, err)
	}
	return state.snapshot()
}

// Exists reports whether a channel is there, open or closed, in the newest block of any endpoint. That it is not needs the word of more
// than half of them; ErrNoQuorum says that too few answered.
func (c *Client) Exists(ctx context.Context, id channel.ID) (bool, error) {
	there, answered := false, 0
	all := gather(ctx, c.pool, func(ctx context.Context, n *node) (channel.Status, error) {
		head, err := n.newest(ctx)
		if err == nil {
			err = c.pool.stale(n, uint64(head.Number))
		}
		if err != nil {
			return channel.None, err
		}
		s, err := ask(ctx, n, func(ctx context.Context, eth *ethclient.Client) (Snapshot, error) {
			return c.stateAt(ctx, eth, head, id)
		})
		return s.Status(), err
	}, nil)
	for _, s := range all {
		if s.err == nil {
			answered++
			there = there || s.value != channel.None
		}
	}
	if !there && answered < c.pool.quorum() {
		return false, fmt.Errorf("finding channel %s: %w", id, c.pool.split(failures(all), "its state", 1))
	}
	return there, nil
}

// plainState is a Snapshot that can be compared.
type plainState struct {
	number, time          uint64
	hash                  common.Hash
	deposited, claimed    string
	spentUntil, noticeEnd uint64
}

func plain(s Snapshot) plainState {
	return plainState{
		s.Block.Number, uint64(s.Block.Time.Unix()), s.Block.Hash,
		s.Deposited.String(), s.Claimed.String(), s.SpentUntil, s.NoticeEnd,
	}
}

func (p plainState) snapshot() (Snapshot, error) {
	s := Snapshot{
		State: channel.State{SpentUntil: p.spentUntil, NoticeEnd: p.noticeEnd},
		Block: Block{Number: p.number, Hash: p.hash, Time: time.Unix(int64(p.time), 0)},
	}
	var err1, err2 error
	s.Deposited, err1 = tariff.ParseAmount(p.deposited)
	s.Claimed, err2 = tariff.ParseAmount(p.claimed)
	return s, errors.Join(err1, err2)
}

// finalBlock is the number of the newest block that more than half of the endpoints call final: the lowest that they name, so a
// single one can only make it older.
func (c *Client) finalBlock(ctx context.Context) (uint64, error) {
	var numbers []uint64
	all := gather(ctx, c.pool, c.finalOf, func(so []said[uint64]) bool {
		numbers = nil
		for _, s := range so {
			if s.err == nil {
				numbers = append(numbers, s.value)
			}
		}
		return len(numbers) >= c.pool.quorum()
	})
	if len(numbers) < c.pool.quorum() {
		return 0, c.pool.split(failures(all), "the final block", 1)
	}
	return slices.Min(numbers), nil
}

// finalOf is the number of the block that a node calls final.
func (c *Client) finalOf(ctx context.Context, n *node) (uint64, error) {
	if c.cfg.FinalAfter > 0 {
		head, err := n.newest(ctx)
		return uint64(head.Number) - min(c.cfg.FinalAfter-1, uint64(head.Number)), err
	}
	return ask(ctx, n, func(ctx context.Context, eth *ethclient.Client) (uint64, error) {
		h, err := blockAt(ctx, eth, rpc.FinalizedBlockNumber)
		return uint64(h.Number), err
	})
}
