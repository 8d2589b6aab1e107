// SPDX-License-Identifier: Apache-2.0

package evm

import (
	"bytes"
	"context"
	"fmt"
	"math/big"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
)

// Journal remembers the one transaction of a wallet that is under way, so that the next process goes on with it instead of paying again.
type Journal interface {
	// Lock makes the wallet this caller's alone until unlock. It waits for another one as long as ctx lets it, and then returns ErrBusy.
	Lock(ctx context.Context) (unlock func(), err error)
	// Load returns what was saved last, nil if that was nothing.
	Load() (*Entry, error)
	// Save keeps an entry in place of the one before, durably before it returns; nil forgets it.
	Save(*Entry) error
}

// Entry is a transaction with all that is needed to go on with it.
type Entry struct {
	ChainID uint64         `json:"chain_id"`
	From    common.Address `json:"from"`
	Nonce   uint64         `json:"nonce"`
	// To, Data and Value are what it does; they tell a call from another one.
	To    *common.Address `json:"to"`
	Data  hexutil.Bytes   `json:"data"`
	Value *hexutil.Big    `json:"value"`
	// Signed are its versions, the newest last. They have the same nonce, so at most one can be mined.
	Signed []hexutil.Bytes `json:"signed"`
	// Since is when the first was signed.
	Since time.Time `json:"since"`
	// Done says that one was mined and took effect, and that the program may not have told its user yet.
	Done bool `json:"done"`
}

// is reports whether the entry is of a call.
func (e *Entry) is(what Call) bool {
	sameTo := (e.To == nil) == (what.To == nil) && (e.To == nil || *e.To == *what.To)
	return sameTo && bytes.Equal(e.Data, what.Data) && orZero((*big.Int)(e.Value)).Cmp(orZero(what.Value)) == 0
}

func (e *Entry) call() Call { return Call{To: e.To, Data: e.Data, Value: (*big.Int)(e.Value)} }

func orZero(n *big.Int) *big.Int {
	if n == nil {
		return new(big.Int)
	}
	return n
}

// versions are the signed transactions, the newest first.
func (e *Entry) versions() ([]*types.Transaction, error) {
	out := make([]*types.Transaction, len(e.Signed))
	for i, raw := range e.Signed {
		tx := new(types.Transaction)
		if err := tx.UnmarshalBinary(raw); err != nil {
			return nil, fmt.Errorf("version %d: %w: %w", i, ErrJournal, err)
		}
		if tx.Nonce() != e.Nonce {
			return nil, fmt.Errorf("version %d has nonce %d, not %d: %w", i, tx.Nonce(), e.Nonce, ErrJournal)
		}
		out[len(out)-1-i] = tx
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("no version: %w", ErrJournal)
	}
	return out, nil
}

// memory is a journal for keys that are used by one process only, and for what may be done twice.
type memory struct{ entry *Entry }

// Lock implements Journal. The wallet's own lock does.
func (m *memory) Lock(context.Context) (func(), error) { return func() {}, nil }

// Load implements Journal.
func (m *memory) Load() (*Entry, error) { return m.entry, nil }

// Save implements Journal.
func (m *memory) Save(e *Entry) error {
	m.entry = e
	return nil
}
