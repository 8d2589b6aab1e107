// SPDX-License-Identifier: Apache-2.0

package evm

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/ethclient"
	"github.com/ethereum/go-ethereum/rlp"
	"github.com/ethereum/go-ethereum/rpc"

	"github.com/apocryph/apocryph/internal/fault"
)

const (
	// nonceTries is how often endpoints that disagree about a nonce are asked.
	nonceTries = 5
	// rebroadcastEvery is the time after which a transaction is sent out again when there are no new blocks.
	rebroadcastEvery = 15 * time.Second
	// patience is how many looks in a row have to miss a receipt of a used nonce: nodes find receipts a little after they have the state.
	patience = 10
	// slowest is the longest time between two looks for a receipt, unless Config.Poll is longer.
	slowest = 2 * time.Second
)

// nextNonce returns the nonce for a new transaction, on which most endpoints agree: else nothing is sent. If they don't know of the last
// one's any more, its block was taken back, and it is seen through once more.
func (w *Wallet) nextNonce(ctx context.Context, last *Entry) (uint64, error) {
	for try := 1; ; try++ {
		nonce, err := agree(ctx, w.pool, "the nonce of "+w.Address().Hex(), func(ctx context.Context, n *node) (uint64, error) {
			return ask(ctx, n, func(ctx context.Context, eth *ethclient.Client) (uint64, error) {
				if w.with.Exclusive {
					return eth.NonceAt(ctx, w.Address(), nil)
				}
				return eth.PendingNonceAt(ctx, w.Address())
			})
		})
		switch {
		case err == nil && last != nil && nonce <= last.Nonce:
			if _, err := w.settle(ctx, last, false); err != nil {
				return 0, fmt.Errorf("the transaction before: %w", err)
			}
			if try == nonceTries {
				return 0, fmt.Errorf("nonce %d comes after %d: %w", nonce, last.Nonce, ErrStale)
			}
		case !errors.Is(err, ErrDisagree) || try == nonceTries:
			return nonce, err
		}
		if err := w.cfg.Wait(ctx, w.cfg.Poll); err != nil {
			return 0, err
		}
	}
}

// broadcast gives a transaction to every endpoint. It returns an error only if every single one refused it, so that nobody has it.
func (w *Wallet) broadcast(ctx context.Context, tx *types.Transaction) error {
	all := gather(ctx, w.pool, func(ctx context.Context, n *node) (error, error) {
		return ask(ctx, n, func(ctx context.Context, eth *ethclient.Client) (error, error) {
			err := eth.SendTransaction(ctx, tx)
			switch {
			case err == nil || says(err, known()...):
				return nil, nil
			case says(err, noGasMoney):
				return fmt.Errorf("%w: %w", ErrInsufficientGas, err), nil
			case says(err, tooCheap) || says(err, refusals()...):
				return fmt.Errorf("%w: %w", ErrRefused, err), nil
			}
			// It may have it, also if it says that the nonce is too low: then what used it may be this very transaction, which a gateway
			// gave to one node and then to another.
			return nil, err
		})
	}, nil)
	var errs []error
	for _, s := range all {
		if s.err != nil || s.value == nil {
			return nil //nolint:nilerr // it may be there: that is what settling finds out
		}
		errs = append(errs, s.value)
	}
	return fault.Hint(fmt.Errorf("sending transaction %s: %w", tx.Hash(), errs[0]), "nothing was sent; if another program uses this wallet, wait until it is done")
}

// sight is what a node says about the versions of a transaction.
type sight struct {
	tx, block, content common.Hash
	number             uint64
	mined, ok, deep    bool
	// used says that none of them was mined, and that the account has used the nonce.
	used bool
}

// settling is a wait for a transaction.
type settling struct {
	*Wallet
	e *Entry

	mu       sync.Mutex
	receipts map[sight]*types.Receipt

	missed int // looks in a row that found the nonce used and no receipt
	head   uint64
	blocks uint64    // since it was priced
	priced time.Time // when it was
	sent   time.Time
	doubt  error // why nothing is known, at the last look
	dear   error // why no more was offered, when it was due
}

// settle waits until a version of a transaction is mined deep enough and says how it ended, keeping it in the endpoints' pools and
// raising its price meanwhile. A block that is taken back makes it wait again. A new one is in the pools already.
func (w *Wallet) settle(ctx context.Context, e *Entry, sent bool) (Receipt, error) {
	began := w.cfg.Now()
	s := &settling{Wallet: w, e: e, priced: began, receipts: map[sight]*types.Receipt{}}
	if sent {
		s.sent = began
	}
	for pause := w.cfg.Poll; ; pause = min(pause+pause/4, max(w.cfg.Poll, slowest)) {
		saw, err := s.look(ctx)
		s.doubt = err
		if s.missed++; err != nil || !saw.used {
			s.missed = 0
		}
		switch {
		case err != nil:
		case saw.mined && saw.deep && saw.ok:
			return s.took(s.receipts[saw])
		case saw.mined && saw.deep:
			final, err := s.isFinal(ctx, saw.number)
			if final {
				return s.failed(s.receipts[saw])
			}
			s.doubt = errors.Join(ErrReverted, err)
		case saw.used && s.missed < patience:
		case saw.used:
			gone, err := s.replaced(ctx)
			if gone {
				return Receipt{}, errors.Join(fmt.Errorf("transaction %s: %w", s.newest(), ErrReplaced), w.with.Journal.Save(nil))
			}
			s.doubt = err
		case !saw.mined:
			s.doubt = s.push(ctx)
		}
		if err := ctx.Err(); err == nil && w.cfg.Now().Sub(began) >= w.cfg.MineTimeout {
			return Receipt{}, s.notMined(nil)
		}
		if err := w.cfg.Wait(ctx, pause); err != nil {
			return Receipt{}, s.notMined(err)
		}
	}
}

func (s *settling) newest() common.Hash { return crypto.Keccak256Hash(s.e.Signed[len(s.e.Signed)-1]) }

func (s *settling) notMined(err error) error {
	err = errors.Join(fmt.Errorf("transaction %s: %w", s.newest(), ErrNotMined), s.doubt, s.dear, err)
	return fault.Hint(err, "the same command again goes on waiting for it, and pays nothing twice")
}

// look returns what most nodes say.
func (s *settling) look(ctx context.Context) (sight, error) {
	versions, err := s.e.versions()
	if err != nil {
		return sight{}, err
	}
	return agree(ctx, s.pool, "transaction "+s.newest().Hex(), func(ctx context.Context, n *node) (sight, error) {
		return ask(ctx, n, func(ctx context.Context, eth *ethclient.Client) (sight, error) {
			for _, tx := range versions {
				saw, err := s.sight(ctx, eth, tx.Hash())
				if err != nil || saw.mined {
					return saw, err
				}
			}
			nonce, err := eth.NonceAt(ctx, s.e.From, nil)
			return sight{used: nonce > s.e.Nonce}, err
		})
	})
}

// sight is what a node says about one version.
func (s *settling) sight(ctx context.Context, eth *ethclient.Client, tx common.Hash) (sight, error) {
	r, err := eth.TransactionReceipt(ctx, tx)
	if errors.Is(err, ethereum.NotFound) {
		return sight{}, nil
	}
	if err != nil {
		return sight{}, err
	}
	if r.TxHash != tx || r.BlockNumber == nil || !r.BlockNumber.IsInt64() {
		return sight{}, fmt.Errorf("a receipt of something else: %w", ErrUnavailable)
	}
	in, err := blockAt(ctx, eth, rpc.BlockNumber(r.BlockNumber.Int64()))
	if err != nil {
		return sight{}, err
	}
	head, err := blockAt(ctx, eth, rpc.LatestBlockNumber)
	if err != nil || in.Hash != r.BlockHash {
		return sight{}, err // a block that was taken back
	}
	logs, err := rlp.EncodeToBytes(r.Logs)
	if err != nil {
		return sight{}, err
	}
	saw := sight{
		tx: tx, block: in.Hash, content: crypto.Keccak256Hash(r.ContractAddress[:], logs, number(r.GasUsed).Bytes()), number: uint64(in.Number),
		mined: true, ok: r.Status == types.ReceiptStatusSuccessful, deep: uint64(head.Number) >= uint64(in.Number)+s.cfg.Confirmations,
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.receipts[saw] = r
	return saw, nil
}

// isFinal reports whether a block can't be taken back. What may be done again need not wait for that.
func (s *settling) isFinal(ctx context.Context, block uint64) (bool, error) {
	if s.with.Exclusive {
		return true, nil
	}
	at, err := s.finalBlock(ctx)
	return err == nil && at >= block, err
}

// replaced reports whether the nonce is used for good, and none of the versions was mined.
func (s *settling) replaced(ctx context.Context) (bool, error) {
	if s.with.Exclusive {
		return true, nil
	}
	at, err := s.finalBlock(ctx)
	if err != nil {
		return false, err
	}
	nonce, err := agree(ctx, s.pool, "the nonce of "+s.e.From.Hex(), func(ctx context.Context, n *node) (uint64, error) {
		return ask(ctx, n, func(ctx context.Context, eth *ethclient.Client) (uint64, error) {
			return eth.NonceAt(ctx, s.e.From, number(at))
		})
	})
	if err != nil || nonce <= s.e.Nonce {
		return false, err
	}
	saw, err := s.look(ctx) // whatever used it is there by now
	return err == nil && saw.used, err
}

// push keeps the transaction in the pools. In new blocks without it, its price was too low, or the pools have dropped it.
func (s *settling) push(ctx context.Context) error {
	head, err := s.Head(ctx)
	if err != nil {
		return err
	}
	now, moved := s.cfg.Now(), s.head != 0 && head.Number > s.head
	if moved {
		s.blocks += head.Number - s.head
	}
	s.head = max(s.head, head.Number)
	if s.blocks >= s.cfg.BumpAfter || now.Sub(s.priced) >= s.cfg.BumpEvery {
		s.blocks, s.priced, moved = 0, now, true
		if s.dear = s.bump(ctx, s.e); s.dear != nil && !errors.Is(s.dear, ErrFeeTooHigh) {
			return s.dear
		}
	}
	if !moved && !s.sent.IsZero() && now.Sub(s.sent) < rebroadcastEvery {
		return nil
	}
	s.sent = now
	versions, err := s.e.versions()
	if err != nil {
		return err
	}
	taken := false
	for _, tx := range versions { // the newest first, so that the others don't stand in its way
		refusal := s.broadcast(ctx, tx)
		taken, err = taken || refusal == nil, refusal
	}
	if taken {
		err = nil
	}
	return err
}

// failed forgets a transaction that had no effect: the same call is a new one then.
func (s *settling) failed(r *types.Receipt) (Receipt, error) {
	out := Receipt{Tx: r.TxHash, Block: r.BlockNumber.Uint64(), GasUsed: r.GasUsed, GasPrice: orZero(r.EffectiveGasPrice)}
	s.pool.act(out.Block)
	return out, errors.Join(fmt.Errorf("transaction %s: %w", r.TxHash, ErrReverted), s.with.Journal.Save(nil))
}

// took keeps what took effect, until the program has told its user.
func (s *settling) took(r *types.Receipt) (Receipt, error) {
	out := Receipt{Tx: r.TxHash, Block: r.BlockNumber.Uint64(), GasUsed: r.GasUsed, GasPrice: orZero(r.EffectiveGasPrice), Contract: r.ContractAddress}
	s.pool.act(out.Block)
	for _, l := range r.Logs {
		if e, ok := s.event(l); ok {
			out.Events = append(out.Events, e)
		}
	}
	done := *s.e
	done.Done = true
	if err := s.with.Journal.Save(&done); err != nil {
		return out, err
	}
	s.told = crypto.Keccak256Hash(done.Signed[0])
	return out, nil
}
