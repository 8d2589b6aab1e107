// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"

	"github.com/apocryph/apocryph/internal/evm"
	"github.com/apocryph/apocryph/internal/fault"
)

type walletSignCmd struct {
	WalletFlags
	OutputFlags

	File     string `arg:"" help:"File with what --print-tx printed, or one transaction in the form of eth_signTransaction; - is standard input." placeholder:"FILE"`
	Channels string `help:"Sign only what is about this Channels contract." env:"APOCRYPH_CHANNELS" placeholder:"ADDRESS"`
	ChainID  uint64 `name:"chain-id" help:"Sign only what is for this chain." env:"APOCRYPH_CHAIN_ID" placeholder:"NUMBER"`
	Unknown  bool   `help:"Sign calls that this program can't read, too."`
	Yes      bool   `short:"y" help:"Do not ask."`
}

// signedDoc is what wallet sign prints and wallet send reads.
type signedDoc struct {
	Event        string         `json:"event"`
	From         common.Address `json:"from"`
	Transactions []signedTx     `json:"transactions"`
}

type signedTx struct {
	Does string        `json:"does"`
	Hash common.Hash   `json:"hash"`
	Raw  hexutil.Bytes `json:"raw"`
}

// Run signs transactions. It makes no connection.
func (c *walletSignCmd) Run(ctx context.Context, w *Wallet, std stdio, con *Console) error {
	content, err := readInput(std, c.File)
	if err != nil {
		return err
	}
	txs, err := readUnsigned(content)
	if err != nil {
		return fault.Hint(err, "print it anew where the chain is seen, with --print-tx; nothing was signed")
	}
	for i, u := range txs {
		d := evm.Describe(u)
		con.Note("%d. %s", i+1, inWords(u, d))
		if err := c.check(u, d, w.Address()); err != nil {
			return err
		}
		if i > 0 && (u.Nonce != txs[i-1].Nonce+1 || u.ChainID != txs[i-1].ChainID) {
			return fault.Hint(fmt.Errorf("transaction %d does not follow the one before: %w", i+1, evm.ErrUnsigned), "print them anew; nothing was signed")
		}
	}
	if err := con.Confirm(ctx, fmt.Sprintf("sign with wallet %s?", w.Address()), c.Yes); err != nil {
		return err
	}
	doc := signedDoc{Event: "result", From: w.Address()}
	for _, u := range txs {
		s, err := w.sign(u)
		if err != nil {
			return err
		}
		doc.Transactions = append(doc.Transactions, s)
	}
	return con.Result(doc, func(out io.Writer) error {
		for _, t := range doc.Transactions {
			if _, err := fmt.Fprintln(out, t.Raw); err != nil {
				return err
			}
		}
		return nil
	})
}

// check returns an error unless the transaction is one that this wallet is to sign.
func (c *walletSignCmd) check(u evm.Unsigned, d evm.Described, own common.Address) error {
	if u.From != own {
		return fault.Hint(fmt.Errorf("the transaction is of wallet %s, this is %s", u.From, own), "name that wallet with --wallet FILE; nothing was signed")
	}
	if c.ChainID != 0 && u.ChainID != c.ChainID {
		return fault.Hint(fmt.Errorf("the transaction is for chain %d, not %d: %w", u.ChainID, c.ChainID, evm.ErrWrongChain), "print it anew with the --rpc of that chain; nothing was signed")
	}
	if !d.Known {
		if c.Unknown {
			return nil
		}
		return fault.Hint(errors.New("this program can't read the call, so it can't say what it does"), "if you know, add --unknown; nothing was signed")
	}
	if c.Channels == "" {
		return nil
	}
	want, err := address(c.Channels, "--channels", "APOCRYPH_CHANNELS")
	if err != nil {
		return err
	}
	if d.Contract != want {
		return fault.Hint(fmt.Errorf("the transaction is about contract %s, not %s", d.Contract, want), "don't sign it unless you know that contract; nothing was signed")
	}
	return nil
}

// readUnsigned reads what --print-tx wrote, or one transaction alone.
func readUnsigned(content []byte) ([]evm.Unsigned, error) {
	var doc unsignedDoc
	var alone evm.Unsigned
	if err := json.Unmarshal(content, &alone); err == nil {
		return []evm.Unsigned{alone}, nil
	}
	if err := json.Unmarshal(content, &doc); err != nil {
		if !errors.Is(err, evm.ErrUnsigned) {
			err = fmt.Errorf("%w: %w", evm.ErrUnsigned, err)
		}
		return nil, err
	}
	if len(doc.Transactions) == 0 {
		return nil, fmt.Errorf("%w: it has no transactions", evm.ErrUnsigned)
	}
	var out []evm.Unsigned
	for i, t := range doc.Transactions {
		if t.Tx.Value == nil {
			return nil, fmt.Errorf("%w: transaction %d has no tx", evm.ErrUnsigned, i+1)
		}
		payload, err := t.Tx.Payload()
		if err != nil {
			return nil, err
		}
		// Somebody looked at one of the two. Where they differ, one of them was changed.
		if !bytes.Equal(payload, t.Unsigned) {
			return nil, fmt.Errorf("%w: transaction %d: its fields and its unsigned bytes are two different transactions", evm.ErrUnsigned, i+1)
		}
		out = append(out, t.Tx)
	}
	return out, nil
}

// sign makes the raw transaction.
func (w *Wallet) sign(u evm.Unsigned) (signedTx, error) {
	key, err := w.unlock()
	if err != nil {
		return signedTx{}, err
	}
	tx, err := types.SignTx(u.Transaction(), types.LatestSignerForChainID(new(big.Int).SetUint64(u.ChainID)), key)
	if err != nil {
		return signedTx{}, fmt.Errorf("signing: %w", err)
	}
	raw, err := tx.MarshalBinary()
	if err != nil {
		return signedTx{}, fmt.Errorf("encoding the transaction: %w", err)
	}
	return signedTx{Does: evm.Describe(u).Does, Hash: tx.Hash(), Raw: raw}, nil
}
