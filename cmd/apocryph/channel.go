// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"

	"github.com/apocryph/apocryph/internal/publisher"
)

type channelCmd struct {
	Show     channelShowCmd     `cmd:"" help:"Show the channel as the chain has it."`
	Deposit  channelDepositCmd  `cmd:"" help:"Add to the deposit."`
	Notice   channelNoticeCmd   `cmd:"" help:"Start leaving without the provider: the notice runs once."`
	Withdraw channelWithdrawCmd `cmd:"" help:"Take back what is left, after the notice."`
}

type channelShowCmd struct {
	StateFlags
	ChainFlags
	OutputFlags
	AppArg
}

// Run shows an app's channel.
func (c *channelShowCmd) Run(ctx context.Context, a *publisher.App, chain *Chain, con *Console) error {
	v, err := (&publisher.Publisher{Chain: chain}).Channel(ctx, a)
	if err != nil {
		return err
	}
	return con.Result(channelOf(v), func(out io.Writer) error { return writeChannel(out, v) })
}

type channelDepositCmd struct {
	StateFlags
	ChainFlags
	WalletFlags
	OutputFlags
	AppArg

	Amount string `arg:"" help:"How much to add, in token units, as in 12 or 0.5." placeholder:"AMOUNT"`
}

// Run adds to an app's deposit.
func (c *channelDepositCmd) Run(ctx context.Context, a *publisher.App, chain *Chain, w *Wallet, con *Console) error {
	v, _, err := payer(chain, w, nil, con).Deposit(ctx, a, c.Amount)
	if err != nil {
		return err
	}
	return con.Result(channelOf(v), func(out io.Writer) error { return writeChannel(out, v) })
}

type channelNoticeCmd struct {
	StateFlags
	ChainFlags
	WalletFlags
	OutputFlags
	AppArg

	Yes bool `short:"y" help:"Do not ask."`
}

// Run gives notice.
func (c *channelNoticeCmd) Run(ctx context.Context, a *publisher.App, chain *Chain, w *Wallet, con *Console) error {
	question := fmt.Sprintf("give notice on the channel of %s? It can't be taken back, and the app ends with it", a.Name)
	if err := con.Confirm(ctx, question, c.Yes); err != nil {
		return err
	}
	v, err := payer(chain, w, nil, con).Notice(ctx, a)
	if err != nil {
		return err
	}
	return con.Result(channelOf(v), func(out io.Writer) error { return writeChannel(out, v) })
}

type channelWithdrawCmd struct {
	StateFlags
	ChainFlags
	WalletFlags
	OutputFlags
	AppArg
}

// Run takes back what is left.
func (c *channelWithdrawCmd) Run(ctx context.Context, a *publisher.App, s *publisher.Store, chain *Chain, w *Wallet, con *Console) error {
	r, err := payer(chain, w, s, con).Withdraw(ctx, a)
	if err != nil {
		return err
	}
	return con.Result(receiptOf(r), func(out io.Writer) error { return writeReceipt(out, r) })
}

// payer is a publisher who talks to no provider.
func payer(chain *Chain, w *Wallet, s *publisher.Store, con *Console) *publisher.Publisher {
	p := &publisher.Publisher{Store: s, Wallet: w, Report: con.Step}
	chain.join(p, w)
	return p
}
