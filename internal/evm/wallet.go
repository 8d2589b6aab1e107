// SPDX-License-Identifier: Apache-2.0

package evm

import (
	"context"
	"crypto/ecdsa"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"

	"github.com/apocryph/apocryph/internal/channel"
)

// Wallet sends transactions of one key. One is under way at a time: a second caller waits until the first one's is mined.
type Wallet struct {
	*Client
	key *ecdsa.PrivateKey

	sending sync.Mutex
}

// NewWallet returns the wallet of a key.
func NewWallet(c *Client, key *ecdsa.PrivateKey) *Wallet { return &Wallet{Client: c, key: key} }

// Address is the wallet's account.
func (w *Wallet) Address() common.Address { return crypto.PubkeyToAddress(w.key.PublicKey) }

// LogValue implements slog.LogValuer: the address, never the key.
func (w *Wallet) LogValue() slog.Value { return slog.StringValue(w.Address().Hex()) }

// Sign signs a voucher, release or opening for the wallet's chain and contract.
func (w *Wallet) Sign(what channel.Digester) ([]byte, error) {
	return channel.Sign(what, w.Domain(), w.key)
}

// Receipt is a transaction that was mined and took effect.
type Receipt struct {
	Tx      common.Hash
	Block   uint64
	GasUsed uint64
	// Contract is the address of a contract that the transaction deployed.
	Contract common.Address
	// Events are those of the Channels contract, in order.
	Events []Event
}

// Call is a transaction to be: a nil To deploys Data.
type Call struct {
	To    *common.Address
	Data  []byte
	Value *big.Int
}

// Send sends a transaction and waits until it is mined. It is estimated first, so what the contract refuses is returned without
// costing anything. After ErrNotMined or ErrUnavailable the transaction may still take effect: look at the state before trying again.
func (w *Wallet) Send(ctx context.Context, what Call) (Receipt, error) {
	w.sending.Lock()
	defer w.sending.Unlock()

	tx, err := w.prepare(ctx, what)
	if err != nil {
		return Receipt{}, err
	}
	_, err = request(ctx, w.Client, func(ctx context.Context) (struct{}, error) { return struct{}{}, w.eth.SendTransaction(ctx, tx) })
	if err != nil {
		return Receipt{}, fmt.Errorf("sending transaction %s: %w", tx.Hash(), err)
	}
	return w.wait(ctx, tx)
}

// prepare makes and signs a transaction: next nonce, estimated gas with a margin, and a fee that survives a few full blocks.
func (w *Wallet) prepare(ctx context.Context, what Call) (*types.Transaction, error) {
	msg := ethereum.CallMsg{From: w.Address(), To: what.To, Data: what.Data, Value: what.Value}
	gas, err := request(ctx, w.Client, func(ctx context.Context) (uint64, error) { return w.eth.EstimateGas(ctx, msg) })
	if err != nil {
		return nil, err
	}
	gas += gas / 5 // state may change before the transaction is mined
	head, err := request(ctx, w.Client, func(ctx context.Context) (*types.Header, error) { return w.eth.HeaderByNumber(ctx, nil) })
	if err != nil {
		return nil, err
	}
	gas = min(gas, head.GasLimit)
	tip, err := request(ctx, w.Client, w.eth.SuggestGasTipCap)
	if err != nil {
		return nil, err
	}
	fee := new(big.Int).Set(tip)
	if head.BaseFee != nil {
		fee.Add(fee, new(big.Int).Lsh(head.BaseFee, 1))
	}
	if err := w.affords(ctx, what, new(big.Int).Mul(fee, new(big.Int).SetUint64(gas))); err != nil {
		return nil, err
	}
	nonce, err := request(ctx, w.Client, func(ctx context.Context) (uint64, error) { return w.eth.PendingNonceAt(ctx, w.Address()) })
	if err != nil {
		return nil, err
	}
	id := new(big.Int).SetUint64(w.cfg.ChainID)
	return types.SignNewTx(w.key, types.LatestSignerForChainID(id), &types.DynamicFeeTx{
		ChainID: id, Nonce: nonce, GasTipCap: tip, GasFeeCap: fee, Gas: gas, To: what.To, Value: what.Value, Data: what.Data,
	})
}

// affords returns ErrInsufficientGas unless the wallet can pay for gas and value.
func (w *Wallet) affords(ctx context.Context, what Call, gasCost *big.Int) error {
	have, err := w.GasBalance(ctx, w.Address())
	if err != nil {
		return err
	}
	need := gasCost
	if what.Value != nil {
		need = new(big.Int).Add(gasCost, what.Value)
	}
	if have.Big().Cmp(need) < 0 {
		return fmt.Errorf("%s has %s wei and may need %s: %w", w.Address(), have, need, ErrInsufficientGas)
	}
	return nil
}

// wait returns when tx is mined, or ErrNotMined. A request that fails meanwhile says nothing about tx, so it only waits on.
func (w *Wallet) wait(ctx context.Context, tx *types.Transaction) (Receipt, error) {
	deadline, cancel := context.WithTimeout(ctx, w.cfg.MineTimeout)
	defer cancel()
	tick := time.NewTicker(w.cfg.Poll)
	defer tick.Stop()
	for {
		r, err := request(deadline, w.Client, func(ctx context.Context) (*types.Receipt, error) { return w.eth.TransactionReceipt(ctx, tx.Hash()) })
		if err == nil {
			return w.receipt(r)
		}
		select {
		case <-deadline.Done():
			return Receipt{}, errors.Join(fmt.Errorf("transaction %s: %w", tx.Hash(), ErrNotMined), ctx.Err())
		case <-tick.C:
		}
	}
}

// receipt reads a mined transaction's outcome.
func (w *Wallet) receipt(r *types.Receipt) (Receipt, error) {
	out := Receipt{Tx: r.TxHash, Block: r.BlockNumber.Uint64(), GasUsed: r.GasUsed, Contract: r.ContractAddress}
	if r.Status != types.ReceiptStatusSuccessful {
		return out, fmt.Errorf("transaction %s: %w", r.TxHash, ErrReverted)
	}
	for _, l := range r.Logs {
		if e, ok := w.event(l); ok {
			out.Events = append(out.Events, e)
		}
	}
	return out, nil
}
