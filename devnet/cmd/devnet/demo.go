// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/apocryph/apocryph/devnet/checkout"
	"github.com/apocryph/apocryph/devnet/progress"
	"github.com/apocryph/apocryph/devnet/sandbox"
)

// demoCmd runs the demo from nothing to nothing.
type demoCmd struct {
	Keep bool `help:"Leave devnet and app running."`
}

func (c *demoCmd) Run(ctx context.Context, co checkout.Checkout) (err error) {
	begin := time.Now()
	p := progress.New(os.Stdout)
	wasUp := sandbox.Running(co.State())
	if !c.Keep && !wasUp {
		defer func() { err = errors.Join(err, takeDown(context.WithoutCancel(ctx), co)) }()
	}
	if err := bringUp(ctx, co, p); err != nil {
		return err
	}
	up := time.Since(begin)
	p.Table(os.Stdout)

	args := []string{"--root", co.Root, "--build", p.Spent("build").String(), "--devnet-ready", up.String()}
	if c.Keep {
		args = append(args, "--keep")
	}
	script := `source "$1" && shift && exec "$@"`
	cmd := exec.CommandContext(ctx, "bash", append([]string{"-c", script, "-", filepath.Join(co.State(), "env"), filepath.Join(co.Bin(), "demo")}, args...)...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = co.Root, os.Stdout, os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("the demo: %w", err)
	}
	fmt.Printf("\nthe demo took %.0fs, %.0fs of it to bring the devnet up\n", time.Since(begin).Seconds(), up.Seconds())
	if c.Keep {
		fmt.Println("\nIt all still runs. Be the publisher:  source build/devnet/env; source build/demo/env; apocryph ls\n" +
			"End the app:                          apocryph stop pocketbase\nEnd the devnet:                       make devnet-down")
	}
	return nil
}
