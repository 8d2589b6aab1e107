// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/ethereum/go-ethereum/common"

	"github.com/apocryph/apocryph/internal/fault"
	"github.com/apocryph/apocryph/internal/publisher"
	"github.com/apocryph/apocryph/internal/tariff"
)

type channelCreditCmd struct {
	ChainFlags
	WalletFlags
	DraftFlags
	OutputFlags

	Address string `arg:"" optional:"" help:"Whose credit to show; the wallet's by default." placeholder:"ADDRESS"`
	To      string `help:"Withdraw the wallet's credit to this address." placeholder:"ADDRESS"`
}

type creditView struct {
	Event     string        `json:"event"`
	Account   string        `json:"account"`
	Token     tokenView     `json:"token"`
	Credit    tariff.Amount `json:"credit"`
	Withdrawn tariff.Amount `json:"withdrawn"`
	To        string        `json:"to,omitempty"`
}

// Run shows or withdraws a credit.
func (c *channelCreditCmd) Run(ctx context.Context, chain *Chain, con *Console) error {
	if c.To != "" {
		return c.withdraw(ctx, chain, con)
	}
	if c.PrintTx {
		return fault.Hint(usageError{errors.New("--print-tx prints what --to sends")}, "add --to ADDRESS")
	}
	account, err := c.account()
	if err != nil {
		return err
	}
	amount, token, err := (&publisher.Publisher{Chain: chain}).Credit(ctx, chain.token, account)
	if err != nil {
		return err
	}
	v := creditView{Event: "result", Account: account.Hex(), Token: tokenOf(token), Credit: amount}
	return con.Result(v, func(out io.Writer) error {
		w := table(out)
		row(w, "account", v.Account)
		row(w, "credit", token.Format(amount))
		if !amount.IsZero() {
			row(w, "withdraw it", "apocryph channel credit --to ADDRESS")
		}
		return w.Flush()
	})
}

func (c *channelCreditCmd) account() (common.Address, error) {
	if c.Address != "" {
		return address(c.Address, "ADDRESS", "the argument")
	}
	w, err := c.open()
	if err != nil {
		return common.Address{}, err
	}
	return w.Address(), nil
}

func (c *channelCreditCmd) withdraw(ctx context.Context, chain *Chain, con *Console) error {
	if c.Address != "" {
		return fault.Hint(usageError{errors.New("only the wallet's own credit can be withdrawn")}, "leave ADDRESS out, and name the wallet with --wallet FILE")
	}
	to, err := address(c.To, "--to", "the flag")
	if err != nil {
		return err
	}
	p, err := c.payer(&c.WalletFlags, chain, nil, con)
	if err != nil {
		return err
	}
	amount, token, err := p.WithdrawCredit(ctx, chain.token, to)
	if err != nil {
		return c.unsent(err, con)
	}
	v := creditView{Event: "result", Account: p.Wallet.Address().Hex(), Token: tokenOf(token), Withdrawn: amount, To: to.Hex()}
	return con.Result(v, func(out io.Writer) error {
		_, err := fmt.Fprintf(out, "%s went to %s\n", token.Format(amount), v.To)
		return err
	})
}
