// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"maps"
	"os/exec"
	"slices"
	"strings"

	"github.com/cloudnativelabs/kube-router/v2/pkg/utils"
)

// gate publishes who has policies in the node's table of nftables: governed are the addresses of pods whose chains are in place, tenants those
// of them that are a tenant's. A sync restores its sets before it changes a chain, and saves them after it has changed the last one; whatever
// goes wrong in between leaves the gate shut for who is new.
type gate struct {
	utils.IPSetHandler

	moment *moment
	nft    func(script string) error
	// open is what was published, by address: whether it is a tenant's. Nil is nothing known, as after a start.
	open map[string]bool
}

// Restore comes before the chains change: it shuts the gate for who is gone.
func (g *gate) Restore() error {
	stay := g.now()
	maps.DeleteFunc(stay, func(a string, tenant bool) bool { was, open := g.open[a]; return !open || was != tenant })
	if err := g.publish(stay); err != nil {
		return err
	}
	return g.IPSetHandler.Restore()
}

// Save comes after the chains changed: it opens the gate for who is new.
func (g *gate) Save() error {
	if err := g.publish(g.now()); err != nil {
		return err
	}
	return g.IPSetHandler.Save()
}

func (g *gate) now() map[string]bool {
	all, tenants := g.moment.addresses()
	now := make(map[string]bool, len(all))
	for _, a := range all {
		now[a] = slices.Contains(tenants, a)
	}
	return now
}

// publish replaces the sets, both at once.
func (g *gate) publish(open map[string]bool) error {
	if g.open != nil && maps.Equal(g.open, open) {
		return nil
	}
	if err := g.nft(script(open)); err != nil {
		return err
	}
	g.open = open
	return nil
}

func script(open map[string]bool) string {
	var b strings.Builder
	fmt.Fprintln(&b, "flush set inet devnet governed\nflush set inet devnet tenants")
	for _, a := range slices.Sorted(maps.Keys(open)) {
		fmt.Fprintf(&b, "add element inet devnet governed { %s }\n", a)
		if open[a] {
			fmt.Fprintf(&b, "add element inet devnet tenants { %s }\n", a)
		}
	}
	return b.String()
}

func nft(script string) error {
	cmd := exec.Command("nft", "-f", "-") //nolint:noctx // it takes milliseconds, and half of it is worse than none
	cmd.Stdin = strings.NewReader(script)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("nft: %w: %s", err, out)
	}
	return nil
}
