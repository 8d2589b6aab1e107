// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/apocryph/apocryph/internal/appfile"
	"github.com/apocryph/apocryph/internal/oci"
	"github.com/apocryph/apocryph/internal/publisher"
)

type deployCmd struct {
	StateFlags  // --state      → *publisher.Store
	ChainFlags  // --rpc …      → *Chain
	WalletFlags // --wallet …   → *Wallet
	TrustFlags  // --accept-…   → *publisher.Publisher
	OutputFlags // --json       → *Console
	FileFlags   // FILE -f …

	Provider   string        `help:"Multiaddr of the provider." env:"APOCRYPH_PROVIDER" placeholder:"MULTIADDR"`
	Images     []string      `help:"Directory of an OCI image layout to look for images in before registries; may be repeated." env:"APOCRYPH_IMAGES" placeholder:"DIR" type:"path"`
	Deposit    string        `help:"How much to deposit, in token units, as in 12 or 0.5." xor:"budget" placeholder:"AMOUNT"`
	For        time.Duration `help:"Deposit what the app costs for this long with everything running (24h)." xor:"budget" placeholder:"DURATION"`
	Wait       time.Duration `help:"How long to wait until the app is ready." default:"10m" placeholder:"DURATION"`
	NewChannel bool          `help:"Have an app that runs go on on a new channel, even if the one that it has is large enough: by the prices of now, with a deposit of its own."`
	DryRun     bool          `help:"Stop after the offer was shown: nothing is opened, sent or paid."`
	Yes        bool          `short:"y" help:"Accept the offer without asking."`
}

// defaultFor is how long a deposit lasts when nothing is said.
const defaultFor = 24 * time.Hour

// Run deploys or updates an app.
func (c *deployCmd) Run(ctx context.Context, chain *Chain, w *Wallet, p *publisher.Publisher, con *Console) error {
	file, err := c.load(ctx)
	if err != nil {
		return err
	}
	for _, n := range appfile.NotesForPeople(file.Notes) {
		con.Note("note      %s", n)
	}
	given := c.Deposit != "" || c.For != 0
	if !given {
		c.For = defaultFor
	}
	chain.join(p, w)
	p.Resolve = images{oci.Sources{Layouts: c.Images}}.resolve
	started := time.Now()
	d, err := p.Deploy(ctx, publisher.Order{
		File: file, Endpoint: c.Provider, Budget: publisher.Budget{Deposit: c.Deposit, For: c.For}, NewChannel: c.NewChannel, DryRun: c.DryRun, Wait: c.Wait,
		Confirm: func(ctx context.Context, o *publisher.Offer) error {
			con.Note("%s", offerText(o))
			question := "open the channel and deploy?"
			if o.Follows != nil {
				question = "open a new channel, update, and have the one before settled?"
			}
			return con.Confirm(ctx, question, c.Yes)
		},
	})
	if err != nil {
		return err
	}
	if d.Offer == nil && given {
		con.Note("note      the channel was open already, so --deposit and --for have no effect; add to it with: apocryph channel deposit %s AMOUNT", d.App.Name)
	}
	if c.DryRun {
		return con.Result(dryRunOf(d, file), func(out io.Writer) error {
			if d.Offer == nil {
				_, err := fmt.Fprintf(out, "app %s is deployed already; without --dry-run it is updated on its open channel\n", d.App.Name)
				return err
			}
			_, err := fmt.Fprintln(out, offerText(d.Offer))
			return err
		})
	}
	return con.deployed(d, started)
}
