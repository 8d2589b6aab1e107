// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"

	"github.com/apocryph/apocryph/internal/evm"
	"github.com/apocryph/apocryph/internal/fault"
)

type walletSendCmd struct {
	WalletFlags
	OutputFlags

	RPC  []string `name:"rpc" help:"Endpoint of the chain (http, https, ws, wss). May be repeated." env:"APOCRYPH_RPC" placeholder:"URL"`
	Raw  string   `arg:"" help:"A signed transaction in hex, or a file with what wallet sign printed; - is standard input." placeholder:"RAW|FILE"`
	From string   `help:"Send only what this wallet signed. Without it: the wallet that the file names, else the one of the wallet file, if there is one." placeholder:"ADDRESS"`
}

type sentView struct {
	Event        string   `json:"event"`
	Transactions []sentTx `json:"transactions"`
}

type sentTx struct {
	Does  string      `json:"does"`
	Hash  common.Hash `json:"hash"`
	Block uint64      `json:"block"`
}

// errSigned says that something is no signed transaction of the wallet.
var errSigned = errors.New("not a signed transaction")

// Run sends transactions that were signed elsewhere.
func (c *walletSendCmd) Run(ctx context.Context, std stdio, con *Console) error {
	if len(c.RPC) == 0 {
		return noChain()
	}
	signed, err := c.read(std)
	if err != nil {
		return fault.Hint(err, "nothing was sent; take the file as wallet sign wrote it, or sign again")
	}
	client, err := evm.Dial(ctx, c.RPC, evm.Config{ChainID: signed[0].u.ChainID})
	if errors.Is(err, evm.ErrWrongChain) {
		return fault.Hint(fmt.Errorf("the transaction is for chain %d: %w", signed[0].u.ChainID, err), "name an endpoint of that chain with --rpc; nothing was sent")
	}
	if err != nil {
		return err
	}
	defer client.Close()
	if err := fits(ctx, client, signed[0]); err != nil {
		return err
	}
	v := sentView{Event: "result"}
	for i, s := range signed {
		d := evm.Describe(s.u)
		con.Note("sending   %s", d.Does)
		r, err := client.Submit(ctx, s.tx)
		if err != nil {
			return fault.Hint(fmt.Errorf("transaction %d of %d: %w", i+1, len(signed), err), sendHint(err))
		}
		v.Transactions = append(v.Transactions, sentTx{d.Does, r.Tx, r.Block})
	}
	return con.Result(v, func(out io.Writer) error {
		for _, t := range v.Transactions {
			if _, err := fmt.Fprintf(out, "mined in block %d: %s\n  %s\n", t.Block, t.Hash, t.Does); err != nil {
				return err
			}
		}
		return nil
	})
}

func sendHint(err error) string {
	switch hint := fault.HintOf(err); {
	case hint != "":
		return hint
	case errors.Is(err, evm.ErrNotMined):
		return "run the same command again: a signed transaction can be mined only once"
	case errors.Is(err, evm.ErrReverted):
		return "it was mined and had no effect: see how things are with apocryph channel show, then print it anew"
	}
	return "those before it stand; see how things are with apocryph channel show, then print the rest anew"
}

// fits returns an error if the account's nonce tells that the transaction can't be the next one.
func fits(ctx context.Context, client *evm.Client, s signedFor) error {
	next, err := client.Nonce(ctx, s.u.From)
	if err != nil {
		return err
	}
	if s.u.Nonce > next {
		return fault.Hint(fmt.Errorf("the transaction has nonce %d, and the wallet's next one is %d", s.u.Nonce, next), "send those before it first, or print it anew; nothing was sent")
	}
	return nil // a nonce that was used may be of this very transaction, sent before
}

// signedFor is a signed transaction, and what was signed.
type signedFor struct {
	tx *types.Transaction
	u  evm.Unsigned
}

// read returns the transactions that the argument names, all of one chain and of the wallet that is expected.
func (c *walletSendCmd) read(std stdio) ([]signedFor, error) {
	raws, from, err := c.raws(std)
	if err != nil {
		return nil, err
	}
	if c.From != "" {
		if from, err = address(c.From, "--from", "the flag"); err != nil {
			return nil, err
		}
	} else if path, err := c.file(); err == nil && from == (common.Address{}) {
		if own, err := evm.KeystoreAddress(path); err == nil {
			from = own
		}
	}
	var out []signedFor
	for i, raw := range raws {
		var tx types.Transaction
		if err := tx.UnmarshalBinary(raw); err != nil {
			return nil, fmt.Errorf("%w: transaction %d: %w", errSigned, i+1, err)
		}
		// One that is of no chain could be sent on any, and there is no signer for it.
		if tx.ChainId().Sign() <= 0 {
			return nil, fmt.Errorf("%w: transaction %d is for no chain", errSigned, i+1)
		}
		who, err := types.Sender(types.LatestSignerForChainID(tx.ChainId()), &tx)
		if err != nil || tx.To() == nil || !tx.ChainId().IsUint64() {
			return nil, fmt.Errorf("%w: transaction %d", errSigned, i+1)
		}
		if from != (common.Address{}) && who != from {
			return nil, fmt.Errorf("%w of wallet %s: transaction %d is signed by %s, or was changed after it was signed", errSigned, from, i+1, who)
		}
		u := evm.Unsigned{ChainID: tx.ChainId().Uint64(), From: who, To: *tx.To(), Data: tx.Data(), Value: tx.Value(), Nonce: tx.Nonce(), Gas: tx.Gas(), MaxFee: tx.GasFeeCap(), MaxTip: tx.GasTipCap()}
		if i > 0 && u.ChainID != out[0].u.ChainID {
			return nil, fmt.Errorf("%w: transactions of more than one chain", errSigned)
		}
		out = append(out, signedFor{&tx, u})
	}
	return out, nil
}

// raws returns the bytes of the transactions, and the wallet that the file says they are of.
func (c *walletSendCmd) raws(std stdio) ([][]byte, common.Address, error) {
	text := c.Raw
	if !strings.HasPrefix(text, "0x") {
		content, err := readInput(std, c.Raw)
		if err != nil {
			return nil, common.Address{}, err
		}
		text = strings.TrimSpace(string(content))
	}
	var raws [][]byte
	if strings.HasPrefix(text, "{") {
		var doc signedDoc
		if err := json.Unmarshal([]byte(text), &doc); err != nil || len(doc.Transactions) == 0 {
			return nil, common.Address{}, fmt.Errorf("%w: the file has none", errSigned)
		}
		for _, t := range doc.Transactions {
			raws = append(raws, t.Raw)
		}
		return raws, doc.From, nil
	}
	for _, line := range strings.Fields(text) {
		raw, err := hexutil.Decode(line)
		if err != nil {
			return nil, common.Address{}, fmt.Errorf("%w: %w", errSigned, err)
		}
		raws = append(raws, raw)
	}
	if len(raws) == 0 {
		return nil, common.Address{}, fmt.Errorf("%w: nothing is there", errSigned)
	}
	return raws, common.Address{}, nil
}
