// SPDX-License-Identifier: Apache-2.0

package chain

import (
	"context"
	"log/slog"
	"math/big"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/ethclient"
)

func TestJumpsBetweenTransactions(t *testing.T) {
	key, err := crypto.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	from := crypto.PubkeyToAddress(key.PublicKey)
	ch, err := New(Config{Host: "127.0.0.1", ID: 1337, Period: time.Hour, Funded: []common.Address{from}}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- ch.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("closing: %v", err)
		}
	})
	client := ethclient.NewClient(ch.node.Attach())
	api := &timeAPI{ch}

	last := uint64(0)
	for nonce := range uint64(20) {
		tx := types.MustSignNewTx(key, types.LatestSignerForChainID(big.NewInt(1337)), &types.DynamicFeeTx{
			ChainID: big.NewInt(1337), Nonce: nonce, GasTipCap: big.NewInt(1e9), GasFeeCap: big.NewInt(1e11), Gas: 21000, To: &from,
		})
		if err := client.SendTransaction(ctx, tx); err != nil {
			t.Fatal(err)
		}
		block := mined(ctx, t, client, tx.Hash())
		if block.Time <= last {
			t.Fatalf("transaction %d: time went from %d to %d", nonce, last, block.Time)
		}
		now, err := api.IncreaseTime(3600)
		if err != nil {
			t.Fatal(err)
		}
		if now < block.Time+3600 {
			t.Fatalf("jump %d: from %d to %d, less than an hour", nonce, block.Time, now)
		}
		last = now
	}
}

// mined waits for a transaction and returns its block's header.
func mined(ctx context.Context, t *testing.T, client *ethclient.Client, tx common.Hash) *types.Header {
	t.Helper()
	for ctx.Err() == nil {
		receipt, err := client.TransactionReceipt(ctx, tx)
		if err != nil {
			continue
		}
		header, err := client.HeaderByHash(ctx, receipt.BlockHash)
		if err != nil {
			t.Fatal(err)
		}
		return header
	}
	t.Fatal("never mined")
	return nil
}
