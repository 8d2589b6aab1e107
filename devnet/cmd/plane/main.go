// SPDX-License-Identifier: Apache-2.0

// Command plane starts a Kubernetes API server without machines, and with it kwok if there is something for it to play, builds both if need be,
// says on standard output where they are as one line of JSON, and ends them when it is interrupted or its standard input ends.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/apocryph/apocryph/devnet/builder"
	"github.com/apocryph/apocryph/devnet/checkout"
	"github.com/apocryph/apocryph/devnet/plane"
	"github.com/apocryph/apocryph/devnet/progress"
)

type cli struct {
	Dir     string `help:"Empty folder that holds everything." required:"" type:"existingdir"`
	Stages  string `help:"What kwok's machines and pods do; none starts no kwok." type:"existingfile"`
	Account string `help:"The provider's service whose kubeconfig is written." default:"meter"`
}

func main() {
	var c cli
	kong.Parse(&c, kong.Name("plane"), kong.Description("A Kubernetes API server without machines.")).FatalIfErrorf(c.run())
}

func (c *cli) run() error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	co, err := checkout.Find()
	if err != nil {
		return err
	}
	b := &builder.Builder{Checkout: co, Progress: progress.New(os.Stderr)}
	if err := b.Build(ctx, builder.Plane()); err != nil {
		return err
	}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		stop()
	}()
	p, err := plane.Start(ctx, plane.Config{
		Dir: c.Dir, Bin: co.Bin(), Chart: filepath.Join(co.Root, "deploy", "chart"), Stages: c.Stages, Account: c.Account,
	})
	if err != nil {
		stop()
		if p != nil {
			err = errors.Join(err, p.Wait(ctx, stop))
		}
		return err
	}
	if err := json.NewEncoder(os.Stdout).Encode(p); err != nil {
		return fmt.Errorf("saying what runs: %w", err)
	}
	return p.Wait(ctx, stop)
}
