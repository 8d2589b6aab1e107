// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/apocryph/apocryph/internal/publisher"
)

type stopCmd struct {
	StateFlags
	ChainFlags
	WalletFlags
	TrustFlags
	OutputFlags
	AppArg

	Wait time.Duration `help:"How long to wait until the provider has settled." default:"10m" placeholder:"DURATION"`
	Yes  bool          `short:"y" help:"Do not ask."`
}

// Run ends an app and shows the receipt.
func (c *stopCmd) Run(ctx context.Context, chain *Chain, w *Wallet, p *publisher.Publisher, con *Console) error {
	chain.join(p, w)
	r, err := p.Stop(ctx, publisher.StopOrder{App: c.App, Wait: c.Wait, Confirm: func(ctx context.Context, a *publisher.App) error {
		return con.Confirm(ctx, fmt.Sprintf("stop %s and delete its volumes for ever?", a.Name), c.Yes)
	}})
	if err != nil {
		return err
	}
	return con.Result(receiptOf(r), func(out io.Writer) error { return writeReceipt(out, r) })
}
