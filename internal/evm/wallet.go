// SPDX-License-Identifier: Apache-2.0

package evm

import (
	"context"
	"crypto/ecdsa"
	"errors"
	"fmt"
	"log/slog"
	"math/big"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"

	"github.com/apocryph/apocryph/internal/channel"
	"github.com/apocryph/apocryph/internal/fault"
)

// Wallet sends transactions of one key. One is under way at a time: a second caller waits until the first one's has ended.
type Wallet struct {
	*Client
	key  *ecdsa.PrivateKey
	with Sending

	// sending holds a token while a transaction is under way. What follows is its holder's.
	sending chan struct{}
	// told is the first version of the transaction whose receipt this process has handed out.
	told common.Hash
}

// Sending is how a wallet sends. Its zero value is for one process at a time that need not survive.
type Sending struct {
	// Journal remembers what is under way; nil remembers it as long as the Wallet lives.
	Journal Journal
	// Exclusive says that nobody else uses the key, and that what it does may be done again: what another process left waiting is
	// replaced. Without it, the wallet queues behind what its owner sent elsewhere.
	Exclusive bool
	// Settled, if any, is told how a transaction of an earlier call ended that nobody was told of, before another one is sent.
	Settled func(Call, Receipt, error)
}

// NewWallet returns the wallet of a key.
func NewWallet(c *Client, key *ecdsa.PrivateKey) *Wallet { return NewWalletWith(c, key, Sending{}) }

// NewWalletWith is NewWallet with choices.
func NewWalletWith(c *Client, key *ecdsa.PrivateKey, s Sending) *Wallet {
	if s.Journal == nil {
		s.Journal = new(memory)
	}
	return &Wallet{Client: c, key: key, with: s, sending: make(chan struct{}, 1)}
}

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
	// GasPrice is what a unit of it cost, in wei.
	GasPrice *big.Int
	// Contract is the address of a contract that the transaction deployed.
	Contract common.Address
	// Events are those of the Channels contract, in order.
	Events []Event
	// Resumed says that the transaction is of an earlier call: this one found it under way, or mined and not acknowledged.
	Resumed bool
}

// Call is a transaction to be: a nil To deploys Data.
type Call struct {
	To    *common.Address
	Data  []byte
	Value *big.Int
}

// Send sends a transaction and waits until it is mined, Config.Confirmations deep. It is estimated first, so what the contract refuses
// is returned without costing anything.
//
// After ErrNotMined, and after the process was killed at any point, the transaction may still take effect. The same call again goes on
// with it and returns its receipt; any other call waits for it first. A transaction that was mined is the answer to the same call of
// later processes until Acknowledge; within a process it is once returned, and then the same call is a new one.
func (w *Wallet) Send(ctx context.Context, what Call) (Receipt, error) {
	unlock, err := w.lock(ctx)
	if err != nil {
		return Receipt{}, err
	}
	defer unlock()
	last, err := w.load()
	if err != nil {
		return Receipt{}, err
	}
	if last == nil || w.knows(last) {
		return w.submit(ctx, what, last)
	}
	if last.is(what) {
		r, err := w.settle(ctx, last, false)
		r.Resumed = true
		return r, err
	}
	if err := w.finish(ctx, last); err != nil {
		return Receipt{}, err
	}
	if last, err = w.load(); err != nil {
		return Receipt{}, err
	}
	return w.submit(ctx, what, last)
}

// Settle waits for what an earlier call left under way, if anything, and tells Sending.Settled how it ended. Afterwards nothing that this
// wallet ever sent can still take effect. It sends nothing new; ErrNotMined says that the transaction may still take effect.
func (w *Wallet) Settle(ctx context.Context) error {
	unlock, err := w.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	last, err := w.load()
	if err != nil || last == nil || w.knows(last) {
		return err
	}
	return w.finish(ctx, last)
}

// finish sees through a transaction whose caller is gone. How it ended is no error, only that it has not.
func (w *Wallet) finish(ctx context.Context, last *Entry) error {
	r, err := w.settle(ctx, last, false)
	if errors.Is(err, ErrNotMined) || (err != nil && !errors.Is(err, ErrReverted) && !errors.Is(err, ErrReplaced)) {
		return fault.Hint(fmt.Errorf("an earlier transaction of the wallet: %w", err), "it has to end before another one is sent: try again in a while")
	}
	if r.Resumed = true; w.with.Settled != nil {
		w.with.Settled(last.call(), r, err)
	}
	return nil
}

// knows reports whether this process has handed out the receipt of an entry.
func (w *Wallet) knows(e *Entry) bool { return e.Done && crypto.Keccak256Hash(e.Signed[0]) == w.told }

// underWay reports whether an earlier call was the same, and its outcome has not been told.
func (w *Wallet) underWay(ctx context.Context, what Call) (bool, error) {
	unlock, err := w.lock(ctx)
	if err != nil {
		return false, err
	}
	defer unlock()
	last, err := w.load()
	return err == nil && last != nil && !w.knows(last) && last.is(what), err
}

// Acknowledge forgets the last transaction if it is done. A program calls it when it has told its user.
func (w *Wallet) Acknowledge() error {
	unlock, err := w.lock(context.Background())
	if err != nil {
		return err
	}
	defer unlock()
	if last, err := w.load(); err != nil || last == nil || !last.Done {
		return err
	}
	return w.with.Journal.Save(nil)
}

// lock makes the wallet this call's alone.
func (w *Wallet) lock(ctx context.Context) (unlock func(), err error) {
	select {
	case w.sending <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	free, err := w.with.Journal.Lock(ctx)
	if err != nil {
		<-w.sending
		return nil, err
	}
	return func() { free(); <-w.sending }, nil
}

// load returns the journal's entry, or ErrJournal if it is of another wallet.
func (w *Wallet) load() (*Entry, error) {
	e, err := w.with.Journal.Load()
	if err != nil || e == nil {
		return nil, fault.Hint(err, "if no transaction of this wallet is under way, remove the file")
	}
	if e.From != w.Address() || e.ChainID != w.cfg.ChainID {
		return nil, fmt.Errorf("it is of %s on chain %d: %w", e.From, e.ChainID, ErrJournal)
	}
	_, err = e.versions()
	return e, err
}

// submit makes a transaction and sees it through. The last one is done, or nil.
func (w *Wallet) submit(ctx context.Context, what Call, last *Entry) (Receipt, error) {
	gas, err := w.estimate(ctx, what)
	if err != nil {
		return Receipt{}, err
	}
	price, err := w.suggest(ctx)
	if err != nil {
		return Receipt{}, err
	}
	nonce, err := w.nextNonce(ctx, last)
	if err != nil {
		return Receipt{}, fmt.Errorf("finding the account's next nonce: %w", err)
	}
	e := &Entry{
		ChainID: w.cfg.ChainID, From: w.Address(), Nonce: nonce, To: what.To, Data: what.Data, Value: (*hexutil.Big)(what.Value), Since: w.cfg.Now(),
	}
	for {
		if err := w.affords(ctx, what, price.of(gas)); err != nil {
			return Receipt{}, errors.Join(err, w.with.Journal.Save(last))
		}
		tx, err := w.sign(nonce, gas, price, what)
		if err != nil {
			return Receipt{}, err
		}
		if err := w.note(e, tx); err != nil {
			return Receipt{}, err
		}
		refusal := w.broadcast(ctx, tx)
		if refusal == nil {
			return w.settle(ctx, e, true)
		}
		price = price.outbid()
		if !w.with.Exclusive || !says(refusal, tooCheap) || len(e.Signed) > w.cfg.MaxBumps || w.tooDear(price) != nil {
			// No endpoint has it, so it is as if it had never been signed: the next one gets the same nonce.
			return Receipt{}, errors.Join(refusal, w.with.Journal.Save(last))
		}
	}
}

// sign makes a version of a transaction.
func (w *Wallet) sign(nonce, gas uint64, p price, what Call) (*types.Transaction, error) {
	id := number(w.cfg.ChainID)
	return types.SignNewTx(w.key, types.LatestSignerForChainID(id), &types.DynamicFeeTx{
		ChainID: id, Nonce: nonce, GasTipCap: p.tip, GasFeeCap: p.fee, Gas: gas, To: what.To, Value: what.Value, Data: what.Data,
	})
}

// note adds a version to an entry and saves it. Nothing may be broadcast before.
func (w *Wallet) note(e *Entry, tx *types.Transaction) error {
	raw, err := tx.MarshalBinary()
	if err != nil {
		return err
	}
	e.Signed = append(e.Signed, raw)
	return w.with.Journal.Save(e)
}

// Submit sends a transaction that was signed elsewhere and waits for it as Send does. Its price can't be raised here.
func (c *Client) Submit(ctx context.Context, tx *types.Transaction) (Receipt, error) {
	from, err := types.Sender(types.LatestSignerForChainID(number(c.cfg.ChainID)), tx)
	if err != nil {
		return Receipt{}, fmt.Errorf("whose transaction it is: %w", err)
	}
	w := NewWallet(c, nil)
	e := &Entry{
		ChainID: c.cfg.ChainID, From: from, Nonce: tx.Nonce(), To: tx.To(), Data: tx.Data(), Value: (*hexutil.Big)(tx.Value()), Since: c.cfg.Now(),
	}
	if err := w.note(e, tx); err != nil {
		return Receipt{}, err
	}
	if refusal := w.broadcast(ctx, tx); refusal != nil {
		return Receipt{}, refusal
	}
	return w.settle(ctx, e, true)
}
