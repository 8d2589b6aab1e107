// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/apocryph/apocryph/devnet/builder"
	"github.com/apocryph/apocryph/devnet/checkout"
	"github.com/apocryph/apocryph/devnet/progress"
	"github.com/apocryph/apocryph/devnet/sandbox"
)

// upCmd brings the devnet up. A devnet that is up already gets what changed.
type upCmd struct {
	KeepFailed bool `help:"Leave what came up if the rest fails."`
}

func (c *upCmd) Run(ctx context.Context, co checkout.Checkout) error {
	p := progress.New(os.Stdout)
	fresh := !sandbox.Running(co.State())
	if err := bringUp(ctx, co, p); err != nil {
		if fresh && !c.KeepFailed {
			err = errors.Join(err, sandbox.Stop(context.WithoutCancel(ctx), co.State()))
		}
		return err
	}
	p.Table(os.Stdout)
	fmt.Printf("\nThe devnet is up. Use it by: source %s\nEnd it by:    make devnet-down\n", filepath.Join("build", "devnet", "env"))
	return nil
}

// bringUp returns when everything answers.
func bringUp(ctx context.Context, co checkout.Checkout, p *progress.Progress) error {
	b := &builder.Builder{Checkout: co, Progress: p}
	if err := builder.InstallMissing(ctx, p); err != nil {
		return err
	}
	if err := buildMachine(ctx, b); err != nil {
		return err
	}
	err := progress.Together(
		func() error { return startCluster(ctx, co, b) },
		func() error { return buildApocryph(ctx, b) },
	)
	if err != nil {
		return err
	}
	return fill(ctx, co, b)
}

func buildMachine(ctx context.Context, b *builder.Builder) error {
	if err := b.Build(ctx, builder.Machine()); err != nil {
		return err
	}
	return b.Pack(ctx, b.Checkout.SystemImages(), b.SystemImages()...)
}

// buildApocryph builds and packs what runs in the cluster.
func buildApocryph(ctx context.Context, b *builder.Builder) error {
	if err := b.Build(ctx, builder.Apocryph(version(ctx, b.Checkout))); err != nil {
		return err
	}
	provider, err := b.ProviderImage()
	if err != nil {
		return err
	}
	if err := b.Pack(ctx, b.Checkout.SystemImages(), provider); err != nil {
		return err
	}
	return b.Pack(ctx, b.Checkout.Images(), b.AppImages()...)
}

// version is how git names what is built.
func version(ctx context.Context, co checkout.Checkout) string {
	cmd := exec.CommandContext(ctx, "git", "describe", "--tags", "--always", "--dirty")
	cmd.Dir = co.Root
	out, err := cmd.Output()
	if err != nil {
		return "unknown" // not a clone
	}
	return strings.TrimSpace(string(out))
}
