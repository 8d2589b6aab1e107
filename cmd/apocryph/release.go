// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"

	"github.com/apocryph/apocryph/internal/publisher"
)

type channelReleaseCmd struct {
	StateFlags
	ChainFlags
	WalletFlags
	TrustFlags
	DraftFlags
	OutputFlags
	ChannelArg

	Release string `help:"File with the release, as the provider's operator can hand it out: {\"channel\":…,\"total\":…,\"signature\":…}. Without it: what this machine saw before, or else what the provider answers." placeholder:"FILE"`
	Yes     bool   `short:"y" help:"Do not ask."`
}

// Run submits a release.
func (c *channelReleaseCmd) Run(ctx context.Context, a *publisher.App, s *publisher.Store, chain *Chain, std stdio, con *Console) error {
	p, err := c.payer(&c.WalletFlags, chain, s, con)
	if err != nil {
		return err
	}
	// A provider is asked in the wallet's name, so not by who only prints.
	if w, ok := p.Wallet.(*Wallet); ok {
		asking, err := c.publisher(s, w, con)
		if err != nil {
			return err
		}
		p.Dial, p.Peer, p.Trust, p.Now = asking.Dial, asking.Peer, asking.Trust, asking.Now
	}
	o := publisher.ReleaseOrder{Confirm: func(ctx context.Context, st *publisher.Settlement) error {
		f := st.View.Token.Format
		con.Note("release   the provider and further payees get %s in all, %s come back", f(st.Paid), f(st.Back))
		if st.Paid.Cmp(st.Release.Total) < 0 {
			con.Note("note      %s were signed for: the cap or the deposit lets no more be paid now, and the provider loses the rest", f(st.Release.Total))
		}
		return con.Confirm(ctx, fmt.Sprintf("close the channel of %s for ever?", a.Name), c.Yes || c.PrintTx)
	}}
	if c.Release != "" {
		content, err := readInput(std, c.Release)
		if err != nil {
			return err
		}
		if o.Release, err = publisher.ReadRelease(content); err != nil {
			return err
		}
	}
	r, err := p.Release(ctx, a, o)
	if err != nil {
		return c.unsent(err, con)
	}
	return con.receipt(r)
}
