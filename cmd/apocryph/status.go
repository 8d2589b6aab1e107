// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"

	"github.com/apocryph/apocryph/internal/publisher"
)

type statusCmd struct {
	StateFlags
	WalletFlags
	TrustFlags
	OutputFlags
	AppArg
}

// Run shows an app's status.
func (c *statusCmd) Run(ctx context.Context, a *publisher.App, p *publisher.Publisher, con *Console) error {
	st, err := p.Status(ctx, a)
	if err != nil {
		return err
	}
	v := statusOf(a, st)
	return con.Result(v, v.write)
}
