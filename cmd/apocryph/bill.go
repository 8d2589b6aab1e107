// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"io"

	"github.com/apocryph/apocryph/internal/publisher"
)

type billCmd struct {
	StateFlags
	ChainFlags
	WalletFlags
	TrustFlags
	OutputFlags
	AppArg
}

// Run shows an app's account.
func (c *billCmd) Run(ctx context.Context, a *publisher.App, chain *Chain, w *Wallet, p *publisher.Publisher, con *Console) error {
	chain.join(p, w)
	b, err := p.Bill(ctx, a)
	if err != nil {
		return err
	}
	token, err := chain.Token(ctx, a.Token)
	if err != nil {
		return err
	}
	return con.Result(billOf(a, b, token), func(out io.Writer) error { return writeBill(out, b, token) })
}
