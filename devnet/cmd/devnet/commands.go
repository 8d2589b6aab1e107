// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/apocryph/apocryph/devnet/builder"
	"github.com/apocryph/apocryph/devnet/checkout"
	"github.com/apocryph/apocryph/devnet/progress"
	"github.com/apocryph/apocryph/devnet/sandbox"
)

// downCmd ends the devnet.
type downCmd struct{}

func (*downCmd) Run(ctx context.Context, co checkout.Checkout) error {
	begin := time.Now()
	if err := takeDown(ctx, co); err != nil {
		return err
	}
	fmt.Printf("the devnet is down after %.1fs, its logs are in %s\n", time.Since(begin).Seconds(), co.Logs())
	return nil
}

// takeDown ends the devnet and looks whether anything is left of it.
func takeDown(ctx context.Context, co checkout.Checkout) error {
	spec, specErr := sandbox.ReadSpec(co.State())
	if err := sandbox.Stop(ctx, co.State()); err != nil {
		return err
	}
	if errors.Is(specErr, fs.ErrNotExist) { // none came that far
		return nil
	}
	if specErr != nil {
		return specErr
	}
	left, err := sandbox.Leftovers(spec)
	if err != nil {
		return err
	}
	if len(left) > 0 {
		return fmt.Errorf("the devnet left behind: %q", left)
	}
	fmt.Println("no process, mount, interface, cgroup or loop device of the devnet is left")
	return nil
}

// statusCmd shows the parts, and fails when one of them does not run.
type statusCmd struct{}

func (*statusCmd) Run(co checkout.Checkout) error {
	if !sandbox.Running(co.State()) {
		return errors.New("the devnet is down")
	}
	status, err := sandbox.ReadStatus(co.State())
	if err != nil {
		return err
	}
	for _, p := range status.Parts {
		again := ""
		if p.Restarts > 0 {
			again = fmt.Sprintf("started again %d times, last after: ", p.Restarts)
		}
		fmt.Printf("%-24s %-9s %s%s\n", p.Name, p.Phase, again, p.Exit)
	}
	if p := status.Failed(); p != nil {
		return fmt.Errorf("%s ended (%s), see %s", p.Name, p.Exit, filepath.Join(co.Logs(), p.Name+".log"))
	}
	return nil
}

// killCmd kills a part, for tests of what survives it.
type killCmd struct {
	Part string `arg:"" help:"The part's name, see status."`
}

func (c *killCmd) Run(co checkout.Checkout) error { return sandbox.Kill(co.State(), c.Part) }

// buildCmd builds without starting anything.
type buildCmd struct{}

func (*buildCmd) Run(ctx context.Context, co checkout.Checkout) error {
	p := progress.New(os.Stdout)
	b := &builder.Builder{Checkout: co, Progress: p}
	if err := builder.InstallMissing(ctx, p); err != nil {
		return err
	}
	if err := buildMachine(ctx, b); err != nil {
		return err
	}
	if err := buildApocryph(ctx, b); err != nil {
		return err
	}
	p.Table(os.Stdout)
	return nil
}

// kubeconfigCmd prints where the administrator's kubeconfig lies.
type kubeconfigCmd struct{}

func (*kubeconfigCmd) Run(co checkout.Checkout) error { //nolint:unparam // what kong calls has an error
	fmt.Println(kubeconfig(co))
	return nil
}

// faucetCmd gives money to a wallet. It is worth nothing elsewhere.
type faucetCmd struct {
	Coins   int64  `help:"Coins to give." default:"10"`
	Tokens  int64  `help:"Test tokens to give." default:"1000"`
	Address string `arg:"" optional:"" help:"Who gets them; this user's own wallet if nothing is said."`
}

func (c *faucetCmd) Run(ctx context.Context, co checkout.Checkout) error {
	spec, err := sandbox.ReadSpec(co.State())
	if err != nil || !sandbox.Running(co.State()) {
		return errors.New("the devnet is down")
	}
	if c.Address == "" {
		if c.Address, err = ownAddress(ctx, co); err != nil {
			return err
		}
	}
	cmd := exec.CommandContext(ctx, filepath.Join(co.Bin(), "installer"), "faucet", "--rpc", rpc(spec),
		"--coins", fmt.Sprint(c.Coins), "--tokens", fmt.Sprint(c.Tokens), c.Address)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	return cmd.Run()
}

// ownAddress asks the client whose wallet it would use.
func ownAddress(ctx context.Context, co checkout.Checkout) (string, error) {
	cmd := exec.CommandContext(ctx, filepath.Join(co.Bin(), "apocryph"), "wallet", "show", "--json")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("apocryph wallet show: %w", err)
	}
	var wallet struct {
		Address string `json:"address"`
	}
	if err := json.Unmarshal(out, &wallet); err != nil {
		return "", fmt.Errorf("apocryph wallet show: %w", err)
	}
	return wallet.Address, nil
}
