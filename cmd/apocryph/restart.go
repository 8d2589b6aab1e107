// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"time"

	"github.com/apocryph/apocryph/internal/publisher"
)

type restartCmd struct {
	StateFlags
	ChainFlags
	WalletFlags
	TrustFlags
	OutputFlags
	AppArg

	Services []string      `arg:"" optional:"" help:"Services to start anew; without any, all of them." placeholder:"SERVICE"`
	Wait     time.Duration `help:"How long to wait until the app is ready." default:"10m" placeholder:"DURATION"`
}

// Run starts services anew.
func (c *restartCmd) Run(ctx context.Context, chain *Chain, w *Wallet, p *publisher.Publisher, con *Console) error {
	chain.join(p, w)
	started := time.Now()
	d, err := p.Restart(ctx, c.App, c.Services, c.Wait)
	if err != nil {
		return err
	}
	return con.deployed(d, started)
}

type rollbackCmd struct {
	StateFlags
	ChainFlags
	WalletFlags
	TrustFlags
	OutputFlags
	AppArg

	Wait time.Duration `help:"How long to wait until the app is ready." default:"10m" placeholder:"DURATION"`
	Yes  bool          `short:"y" help:"Do not ask."`
}

// Run goes back to the version before.
func (c *rollbackCmd) Run(ctx context.Context, chain *Chain, w *Wallet, p *publisher.Publisher, con *Console) error {
	chain.join(p, w)
	changes, err := p.Undone(c.App)
	if err != nil {
		return err
	}
	for _, change := range changes {
		con.Note("%s", change)
	}
	if err := con.Confirm(ctx, "go back to this version? Volumes stay as they are.", c.Yes); err != nil {
		return err
	}
	started := time.Now()
	d, err := p.Rollback(ctx, c.App, c.Wait)
	if err != nil {
		return err
	}
	return con.deployed(d, started)
}
