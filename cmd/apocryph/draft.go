// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"

	"github.com/apocryph/apocryph/internal/channel"
	"github.com/apocryph/apocryph/internal/delegation"
	"github.com/apocryph/apocryph/internal/eip712"
	"github.com/apocryph/apocryph/internal/evm"
	"github.com/apocryph/apocryph/internal/fault"
	orderv1 "github.com/apocryph/apocryph/internal/gen/orderv1"
	"github.com/apocryph/apocryph/internal/publisher"
	"github.com/apocryph/apocryph/internal/tariff"
)

// DraftFlags say whether transactions are sent or only printed.
type DraftFlags struct {
	PrintTx bool   `name:"print-tx" help:"Print the unsigned transactions as JSON and send nothing; this takes no passphrase. Sign them with: apocryph wallet sign."`
	From    string `help:"Address of the wallet, where its file is not at hand; only with --print-tx." placeholder:"ADDRESS"`

	draft *draft
}

// payer returns a publisher who talks to no provider. With --print-tx it only writes down what it would send.
func (f *DraftFlags) payer(from *WalletFlags, chain *Chain, s *publisher.Store, con *Console) (*publisher.Publisher, error) {
	p := &publisher.Publisher{Store: s, Report: con.Step}
	if !f.PrintTx {
		if f.From != "" {
			return nil, fault.Hint(usageError{errors.New("--from says whose transaction to print, and nothing is to be printed")}, "add --print-tx, or name the wallet with --wallet FILE")
		}
		w, err := from.open()
		if err != nil {
			return nil, err
		}
		p.Wallet = w
		chain.join(p, w)
		return p, nil
	}
	f.draft = &draft{client: chain.client}
	p.Chain, p.Token, p.Wallet = chain, chain.token, f.draft
	if f.From != "" {
		var err error
		f.draft.from, err = address(f.From, "--from", "--wallet FILE")
		return p, err
	}
	w, err := from.open()
	if err != nil {
		return nil, fault.Hint(err, "name the wallet's address with --from ADDRESS, or "+fault.HintOf(err))
	}
	f.draft.from = w.Address()
	return p, nil
}

// unsent prints what a verb would have sent, if that is why it ended; other errors it returns.
func (f *DraftFlags) unsent(err error, con *Console) error {
	if !errors.Is(err, publisher.ErrUnsent) || f.draft == nil {
		return err
	}
	doc := unsignedDoc{Event: "unsigned"}
	for i, u := range f.draft.txs {
		payload, err := u.Payload()
		if err != nil {
			return err
		}
		d := evm.Describe(u)
		doc.Transactions = append(doc.Transactions, unsignedTx{Does: d.Does, Tx: u, Unsigned: payload})
		con.Note("%d. %s", i+1, inWords(u, d))
	}
	con.Note("nothing was sent; sign with: apocryph wallet sign FILE, then send with: apocryph wallet send FILE")
	if con.json {
		return con.line(doc)
	}
	b, err := json.MarshalIndent(doc, "", "  ")
	if err != nil {
		return fmt.Errorf("encoding the transactions: %w", err)
	}
	_, err = fmt.Fprintf(con.std.out, "%s\n", b)
	return err
}

// unsignedDoc is what --print-tx prints and wallet sign reads.
type unsignedDoc struct {
	Event        string       `json:"event"`
	Transactions []unsignedTx `json:"transactions"`
}

type unsignedTx struct {
	// Does is for people who look at the file; who signs reads the transaction itself.
	Does string `json:"does"`
	// Tx is what eth_signTransaction takes, Unsigned the same as the bytes whose hash is signed.
	Tx       evm.Unsigned  `json:"tx"`
	Unsigned hexutil.Bytes `json:"unsigned"`
}

// inWords is a transaction with its place and its price.
func inWords(u evm.Unsigned, d evm.Described) string {
	return fmt.Sprintf("%s; contract %s, chain %d, nonce %d; at most %s in fees", d.Does, u.To, u.ChainID, u.Nonce, coins(u.MaxCost()))
}

// coins are an amount of the chain's own coin, whatever it is called there.
func coins(amount tariff.Amount) string {
	return strings.TrimSuffix(publisher.Token{Symbol: "x", Decimals: 18}.Format(amount), " x") + " of the chain's coin"
}

// draft is a wallet that writes transactions down. Every method returns publisher.ErrUnsent.
type draft struct {
	client *evm.Client
	from   common.Address
	txs    []evm.Unsigned
}

func (d *draft) add(txs []evm.Unsigned, err error) (string, error) {
	if err != nil {
		return "", err
	}
	d.txs = append(d.txs, txs...)
	return "", publisher.ErrUnsent
}

// Address implements publisher.Wallet.
func (d *draft) Address() common.Address { return d.from }

// SignDelegation implements publisher.Wallet.
func (d *draft) SignDelegation(delegation.Delegation, eip712.Domain) (*orderv1.SignedDelegation, error) {
	return nil, publisher.ErrUnsent
}

// Settle implements publisher.Wallet. A draft sends nothing.
func (d *draft) Settle(context.Context) error { return nil }

// Open implements publisher.Wallet. No command prints an opening: it needs a provider's quote, which does not wait.
func (d *draft) Open(context.Context, channel.Terms, tariff.Amount) (string, error) {
	return "", publisher.ErrUnsent
}

// Deposit implements publisher.Wallet.
func (d *draft) Deposit(ctx context.Context, t channel.Terms, amount tariff.Amount) (string, error) {
	return d.add(d.client.UnsignedDeposit(ctx, d.from, t, amount))
}

// Notice implements publisher.Wallet.
func (d *draft) Notice(ctx context.Context, t channel.Terms) (string, error) {
	return d.add(d.client.UnsignedNotice(ctx, d.from, t))
}

// Withdraw implements publisher.Wallet.
func (d *draft) Withdraw(ctx context.Context, t channel.Terms) (string, error) {
	return d.add(d.client.UnsignedWithdraw(ctx, d.from, t))
}

// Release implements publisher.Wallet.
func (d *draft) Release(ctx context.Context, t channel.Terms, r publisher.Release) (string, error) {
	return d.add(d.client.UnsignedRelease(ctx, d.from, claimOf(t, r)))
}

// WithdrawCredit implements publisher.Wallet.
func (d *draft) WithdrawCredit(ctx context.Context, token, to common.Address) (string, error) {
	return d.add(d.client.UnsignedWithdrawCredit(ctx, d.from, token, to))
}
