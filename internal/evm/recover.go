// SPDX-License-Identifier: Apache-2.0

package evm

import (
	"bytes"
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

// Opening is a channel that an account opened, as the chain's log has it.
type Opening struct {
	ID        channel.ID
	Publisher common.Address
	Payout    common.Address
	Amount    tariff.Amount
	Block     uint64
	Tx        common.Hash
	// Terms are read back from the opening transaction and proved by the id; nil if it does not carry them in a form that is known.
	Terms *channel.Terms
}

// smallestSpan is the fewest blocks that a node is asked for at once when it refuses more.
const smallestSpan = 1000

// Openings returns the channels that a publisher opened, oldest first, looking from a block on.
func (c *Client) Openings(ctx context.Context, publisher common.Address, from uint64) ([]Opening, error) {
	head, err := c.Head(ctx)
	if err != nil {
		return nil, err
	}
	contract := c.channels.GetABI()
	query := ethereum.FilterQuery{
		Addresses: []common.Address{c.cfg.Channels},
		Topics:    [][]common.Hash{{contract.Events[string(Opened)].ID}, nil, {common.BytesToHash(publisher[:])}},
	}
	var out []Opening
	// Public nodes bound how many blocks a query may cover: ask for all, then for less and less.
	for span := head.Number; from <= head.Number; {
		to := min(from+span, head.Number)
		query.FromBlock, query.ToBlock = new(big.Int).SetUint64(from), new(big.Int).SetUint64(to)
		logs, err := read(ctx, c.pool, func(ctx context.Context, eth *ethclient.Client) ([]types.Log, error) {
			return eth.FilterLogs(ctx, query)
		})
		if err != nil && span > smallestSpan && ctx.Err() == nil {
			span /= 8
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("reading the channels that %s opened: %w", publisher, err)
		}
		for i := range logs {
			o, err := c.opening(ctx, &logs[i])
			if err != nil {
				return nil, err
			}
			if o != nil && o.Publisher == publisher {
				out = append(out, *o)
			}
		}
		from = to + 1
	}
	return out, nil
}

// opening reads one log and the transaction that made it; nil if the log is not one of the contract's.
func (c *Client) opening(ctx context.Context, l *types.Log) (*Opening, error) {
	if l.Address != c.cfg.Channels || l.Removed {
		return nil, nil
	}
	e, err := c.channels.UnpackOpenedEvent(l)
	if err != nil {
		return nil, nil //nolint:nilerr // another event: a node that does not filter
	}
	o := &Opening{ID: e.Id, Publisher: e.Publisher, Payout: e.Payout, Block: l.BlockNumber, Tx: l.TxHash}
	if o.Amount, err = tariff.NewAmount(e.Amount); err != nil {
		return nil, err
	}
	tx, err := read(ctx, c.pool, func(ctx context.Context, eth *ethclient.Client) (*types.Transaction, error) {
		tx, _, err := eth.TransactionByHash(ctx, l.TxHash)
		return tx, err
	})
	if err != nil {
		return nil, fmt.Errorf("reading transaction %s, which opened channel %s: %w", l.TxHash, o.ID, err)
	}
	o.Terms = c.termsIn(tx.Data(), o.ID)
	return o, nil
}

// termsIn finds the terms of a channel in the data of a transaction. An opening may be wrapped in the call of a contract wallet or of somebody
// who paid the gas, so it is looked for at every byte; only terms with the channel's own id count, so nothing can be taken for them.
func (c *Client) termsIn(data []byte, id channel.ID) *channel.Terms {
	contract := c.channels.GetABI()
	for _, name := range []string{"open", "openWithPermit", "openFor"} {
		method := contract.Methods[name]
		for at := 0; at+len(method.ID) <= len(data); at++ {
			next := bytes.Index(data[at:], method.ID)
			if next < 0 {
				break
			}
			at += next
			args, err := method.Inputs.Unpack(data[at+len(method.ID):])
			if err != nil || len(args) == 0 {
				continue
			}
			if t, ok := termsOf(args[0]); ok && t.ID(c.Domain()) == id {
				return &t
			}
		}
	}
	return nil
}
