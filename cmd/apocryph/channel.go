// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"

	"github.com/apocryph/apocryph/internal/channel"
	"github.com/apocryph/apocryph/internal/publisher"
)

type channelCmd struct {
	Show     channelShowCmd     `cmd:"" help:"Show the channel as the chain has it, and the ways out of it that are open now."`
	Deposit  channelDepositCmd  `cmd:"" help:"Add to the deposit."`
	Release  channelReleaseCmd  `cmd:"" help:"Close at the final total that the provider has signed, when the provider does not submit it."`
	Notice   channelNoticeCmd   `cmd:"" help:"Start leaving without the provider: the notice runs once."`
	Withdraw channelWithdrawCmd `cmd:"" help:"Take back what is left, after the notice."`
	Credit   channelCreditCmd   `cmd:"" help:"Show, or with --to withdraw, what the contract keeps for a wallet because a transfer to it failed."`
	Recover  channelRecoverCmd  `cmd:"" help:"Find the wallet's channels on the chain, and write down those that this machine does not know."`
}

type channelShowCmd struct {
	StateFlags
	ChainFlags
	OutputFlags
	ChannelArg
}

// Run shows a channel.
func (c *channelShowCmd) Run(ctx context.Context, a *publisher.App, chain *Chain, con *Console) error {
	v, err := (&publisher.Publisher{Chain: chain}).Finality(ctx, a)
	if err != nil {
		return err
	}
	return con.channel(v)
}

// channel writes a channel as a command's result.
func (c *Console) channel(v *publisher.ChannelView) error {
	return c.Result(channelOf(v), func(out io.Writer) error { return writeChannel(out, v) })
}

// receipt writes a receipt as a command's result.
func (c *Console) receipt(r *publisher.Receipt) error {
	return c.Result(receiptOf(r), func(out io.Writer) error { return writeReceipt(out, r) })
}

type channelDepositCmd struct {
	StateFlags
	ChainFlags
	WalletFlags
	DraftFlags
	OutputFlags
	AppArg

	Amount string `arg:"" help:"How much to add, in token units, as in 12 or 0.5." placeholder:"AMOUNT"`
}

// Run adds to an app's deposit.
func (c *channelDepositCmd) Run(ctx context.Context, a *publisher.App, chain *Chain, con *Console) error {
	p, err := c.payer(&c.WalletFlags, chain, nil, con)
	if err != nil {
		return err
	}
	v, _, err := p.Deposit(ctx, a, c.Amount)
	if err != nil {
		return c.unsent(err, con)
	}
	return con.channel(v)
}

type channelNoticeCmd struct {
	StateFlags
	ChainFlags
	WalletFlags
	DraftFlags
	OutputFlags
	ChannelArg

	Wait bool `help:"Wait until the notice is over, and say what is left of it meanwhile."`
	Yes  bool `short:"y" help:"Do not ask."`
}

// Run gives notice.
func (c *channelNoticeCmd) Run(ctx context.Context, a *publisher.App, chain *Chain, con *Console) error {
	p, err := c.payer(&c.WalletFlags, chain, nil, con)
	if err != nil {
		return err
	}
	question := fmt.Sprintf("give notice on the channel of %s? It can't be taken back, and the app ends with it", a.Name)
	if err := con.Confirm(ctx, question, c.Yes || c.PrintTx); err != nil {
		return err
	}
	v, err := p.Notice(ctx, a)
	if err != nil {
		return c.unsent(err, con)
	}
	if c.Wait && v.Status == channel.Notice {
		if v, err = p.AwaitNotice(ctx, a); err != nil {
			return err
		}
	}
	return con.channel(v)
}

type channelWithdrawCmd struct {
	StateFlags
	ChainFlags
	WalletFlags
	DraftFlags
	OutputFlags
	ChannelArg

	Wait bool `help:"Wait for the end of the notice first, and say what is left of it meanwhile."`
}

// Run takes back what is left.
func (c *channelWithdrawCmd) Run(ctx context.Context, a *publisher.App, s *publisher.Store, chain *Chain, con *Console) error {
	p, err := c.payer(&c.WalletFlags, chain, s, con)
	if err != nil {
		return err
	}
	if c.Wait {
		if _, err := p.AwaitNotice(ctx, a); err != nil {
			return err
		}
	}
	r, err := p.Withdraw(ctx, a)
	if err != nil {
		return c.unsent(err, con)
	}
	return con.receipt(r)
}
