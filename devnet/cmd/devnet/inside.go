// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"log/slog"

	"github.com/apocryph/apocryph/devnet/checkout"
	"github.com/apocryph/apocryph/devnet/sandbox"
)

// superviseCmd is what up starts in the background.
type superviseCmd struct{}

func (*superviseCmd) Run(ctx context.Context, co checkout.Checkout, log *slog.Logger) error {
	return sandbox.Supervise(ctx, co.State(), []string{"init"}, log)
}

// initCmd is process 1 of the sandbox, which the supervisor starts.
type initCmd struct{}

func (*initCmd) Run(log *slog.Logger) error { return sandbox.Init(log) }
