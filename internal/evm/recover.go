// SPDX-License-Identifier: Apache-2.0

package evm

import (
	"bytes"
	"context"
	"fmt"
	"math"

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

// Openings returns the channels that a publisher opened, oldest first, looking from a block on. There are few, so a node that allows it is
// asked for all blocks at once.
func (c *Client) Openings(ctx context.Context, publisher common.Address, from uint64) ([]Opening, error) {
	contract := c.channels.GetABI()
	topics := [][]common.Hash{{contract.Events[string(Opened)].ID}, nil, {common.BytesToHash(publisher[:])}}
	var out []Opening
	err := c.logs(ctx, topics, from, math.MaxInt64, func(l *types.Log) error {
		o, err := c.opening(ctx, l)
		if err == nil && o != nil && o.Publisher == publisher {
			out = append(out, *o)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("reading the channels that %s opened: %w", publisher, err)
	}
	return out, nil
}

// opening reads one log and the transaction that made it; nil if the log is not one of the contract's.
func (c *Client) opening(ctx context.Context, l *types.Log) (*Opening, error) {
	if l.Address != c.cfg.Channels || l.Removed || len(l.Data) == 0 {
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
