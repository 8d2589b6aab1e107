// SPDX-License-Identifier: Apache-2.0

package evm

import (
	"context"
	"errors"
	"fmt"
	"math/big"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/ethclient"
	"github.com/ethereum/go-ethereum/rpc"
)

// Inspection is what one endpoint says when it is asked alone. Nothing of it is believed: it is for telling endpoints apart.
type Inspection struct {
	ChainID uint64
	// Contract says that the Channels contract answers.
	Contract bool
	Head     Block
	// Fee is what a sender has to be able to pay for a unit of gas, in wei: twice the base fee, and the tip that the endpoint suggests.
	Fee *big.Int
}

// Inspect asks one endpoint. Unlike a Client it has no other to fall back on, and is of any chain. Errors don't quote the URL.
func Inspect(ctx context.Context, url string, contract common.Address) (Inspection, error) {
	return alone(ctx, url, func(eth *ethclient.Client) (i Inspection, err error) {
		id, err := eth.ChainID(ctx)
		if err != nil {
			return i, err
		}
		i.ChainID = id.Uint64()
		_, err = check(ctx, eth, &Config{Channels: contract})
		if err != nil && !errors.Is(err, ErrNoContract) {
			return i, err
		}
		i.Contract = err == nil
		head, err := blockAt(ctx, eth, rpc.LatestBlockNumber)
		if err != nil {
			return i, err
		}
		i.Head = head.block()
		tip, err := eth.SuggestGasTipCap(ctx)
		if err != nil {
			return i, err
		}
		base := orZero((*big.Int)(head.BaseFee))
		i.Fee = new(big.Int).Add(tip, base.Lsh(base, 1))
		if tip.Sign() < 0 || i.Fee.Sign() < 0 {
			return i, errors.New("a price below zero")
		}
		return i, nil
	})
}

// InspectHash asks one endpoint for a block's hash.
func InspectHash(ctx context.Context, url string, block uint64) (common.Hash, error) {
	return alone(ctx, url, func(eth *ethclient.Client) (common.Hash, error) {
		h, err := blockAt(ctx, eth, rpc.BlockNumber(block))
		return h.Hash, err
	})
}

// InspectBalance asks one endpoint for an account's coins, in wei.
func InspectBalance(ctx context.Context, url string, account common.Address) (*big.Int, error) {
	return alone(ctx, url, func(eth *ethclient.Client) (*big.Int, error) { return eth.BalanceAt(ctx, account, nil) })
}

// alone runs do with a connection of its own.
func alone[T any](ctx context.Context, url string, do func(*ethclient.Client) (T, error)) (T, error) {
	eth, err := ethclient.DialContext(ctx, url)
	if err != nil {
		var zero T
		return zero, fmt.Errorf("connecting: %w", hideURL(err))
	}
	defer eth.Close()
	v, err := do(eth)
	return v, hideURL(err)
}
