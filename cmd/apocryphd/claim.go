// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/ethereum/go-ethereum/crypto"

	"github.com/apocryph/apocryph/internal/channel"
	"github.com/apocryph/apocryph/internal/daemon"
	"github.com/apocryph/apocryph/internal/fault"
	"github.com/apocryph/apocryph/internal/invoicer"
	"github.com/apocryph/apocryph/internal/tariff"
)

// claimCmd configures what is claimed by hand, without the cluster.
type claimCmd struct {
	ChainFlags
	EndpointFlags

	File string `arg:"" help:"File that apocryphd vouchers wrote, or several put together; - is standard input."`

	GasKeyFile string `help:"File with the private key that pays for gas; anybody's." default:"/var/run/secrets/apocryph/gas/key" type:"path"`
	MaxFee     uint64 `help:"Most wei that are paid per unit of gas; 0 means no ceiling." default:"0"`
	BatchMost  int    `help:"Most claims in a transaction." default:"50"`
	Release    bool   `help:"Also submit releases, which close their channels: what a release does not pay then is lost."`
	DryRun     bool   `help:"Only say what could be claimed."`
}

// Run claims what the file holds.
func (c *claimCmd) Run(ctx context.Context, _ *slog.Logger) error {
	chain, err := c.chain(ctx)
	if err != nil {
		return err
	}
	defer chain.close()
	in := os.Stdin
	if c.File != "-" {
		if in, err = os.Open(c.File); err != nil {
			return err
		}
		defer func() { _ = in.Close() }()
	}
	papers, err := invoicer.ReadPapers(in)
	if err != nil {
		return fault.Hint(fmt.Errorf("%s: %w", c.File, err), "name a file that apocryphd vouchers wrote")
	}
	return c.claim(ctx, chain, papers, os.Stdout)
}

func (c *claimCmd) chain(ctx context.Context) (*escrow, error) {
	chain := &escrow{urls: c.RPC, config: c.config(c.ChainFlags)}
	chain.config.MaxFee = c.MaxFee
	text, err := daemon.ReadSecret(c.GasKeyFile)
	if err != nil {
		return nil, err
	}
	if chain.key, err = crypto.HexToECDSA(strings.TrimPrefix(text, "0x")); err != nil {
		return nil, fmt.Errorf("%s does not hold a private key of 64 hex digits", c.GasKeyFile) // the cause could quote it
	}
	_, err = chain.connect(ctx)
	return chain, err
}

// claim sends what pays anything now, in batches, and says of each channel what came of it. A paper that is no good keeps no other from
// being paid.
func (c *claimCmd) claim(ctx context.Context, chain *escrow, papers []invoicer.Paper, out io.Writer) error {
	var claims, releases []invoicer.Claim
	var errs []error
	say := func(format string, args ...any) { _, _ = fmt.Fprintf(out, format+"\n", args...) }
	for _, p := range papers {
		voucher, release, err := p.Check(c.domain())
		var more bool
		if err == nil {
			more, err = c.pays(ctx, chain, p, voucher, say)
		}
		switch {
		case err != nil:
			errs = append(errs, err)
		case more:
			claims = append(claims, *voucher)
		}
		if err == nil && release != nil {
			releases = append(releases, *release)
		}
	}
	if c.DryRun {
		return errors.Join(errs...)
	}
	for batch := range slices.Chunk(claims, max(c.BatchMost, 1)) {
		spent, err := chain.Claim(ctx, batch)
		for _, claim := range batch {
			id := claim.Terms.ID(c.domain())
			say("%s  paid %s", id, spent.Paid[id])
		}
		errs = append(errs, err)
	}
	if c.Release {
		for _, r := range releases {
			errs = append(errs, c.release(ctx, chain, r, say))
		}
	}
	return errors.Join(errs...)
}

// pays reports whether a voucher pays anything now, and says how much.
func (c *claimCmd) pays(ctx context.Context, chain *escrow, p invoicer.Paper, voucher *invoicer.Claim, say func(string, ...any)) (bool, error) {
	if voucher == nil {
		return false, nil
	}
	id := voucher.Terms.ID(c.domain())
	seen, err := chain.State(ctx, id, false)
	if err != nil {
		return false, err
	}
	now := time.Now()
	if seen.Time.After(now) {
		now = seen.Time
	}
	amount := channel.Claimable(seen.State, voucher.Terms, voucher.Total, now)
	say("%s  %s: %s signed, %s claimed before, %s can be claimed now", id, seen.Status(now), voucher.Total, seen.Claimed, amount)
	if left, err := voucher.Total.Min(seen.Deposited).Sub(seen.Claimed.Add(amount)); err == nil && !left.IsZero() && !amount.IsZero() {
		say("%s  the cap lets no more be claimed now; claim again later: %s are left of app %s", id, left, p.App)
	}
	return !amount.IsZero(), nil
}

// release submits a release when all of it is paid by it; what waits for the cap is said.
func (c *claimCmd) release(ctx context.Context, chain *escrow, r invoicer.Claim, say func(string, ...any)) error {
	id := r.Terms.ID(c.domain())
	seen, err := chain.State(ctx, id, false)
	if err != nil {
		return err
	}
	if s := seen.Status(seen.Time); s != channel.Open && s != channel.Notice {
		say("%s  %s already", id, s)
		return nil
	}
	wanted, err := r.Total.Min(seen.Deposited).Sub(seen.Claimed)
	if err != nil {
		wanted = tariff.Amount{} // more was claimed already
	}
	if got := channel.Claimable(seen.State, r.Terms, r.Total, seen.Time); got.Cmp(wanted) < 0 {
		say("%s  its release would pay %s of %s now: submit it later", id, got, wanted)
		return nil
	}
	spent, err := chain.Release(ctx, r)
	if err != nil {
		return err
	}
	say("%s  released, paid %s", id, spent.Paid[id])
	return nil
}
