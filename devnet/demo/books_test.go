// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"math/big"
	"strings"
	"testing"
)

func TestBooksBalanceToTheUnit(t *testing.T) {
	n := big.NewInt
	good := func() books {
		return books{
			Usage:     map[string]*big.Int{"cpu": n(250 * 60), "memory": n(60 << 28), "ephemeral": n(60 << 30), "storage": n(60 << 30), "egress": n(1 << 30)},
			Prices:    map[string]*big.Int{"cpu": n(40_000), "memory": n(5_000), "ephemeral": n(100), "storage": n(200), "egress": n(0)},
			Owed:      n(192),
			Deposited: n(1000), Claimed: n(192), Refunded: n(808), ProviderReceived: n(192), PublisherReturned: n(808),
		}
	}
	if err := good().check(); err != nil {
		t.Fatalf("balanced books: %v", err)
	}
	for name, c := range map[string]struct {
		spoil func(b *books)
		want  string
	}{
		"one unit less refunded": {func(b *books) { b.Refunded = n(807); b.PublisherReturned = n(807) }, "deposited 1000"},
		"one unit more claimed": {func(b *books) {
			b.Claimed, b.ProviderReceived, b.Owed = n(193), n(193), n(193)
			b.Refunded, b.PublisherReturned = n(807), n(807)
		}, "rounded down is 192"},
		"a payout that fell short":     {func(b *books) { b.ProviderReceived = n(191) }, "received 191"},
		"a bill that says other":       {func(b *books) { b.Owed = n(191) }, "the bill says 191"},
		"a wallet that did not get it": {func(b *books) { b.PublisherReturned = n(0) }, "got back 0"},
	} {
		b := good()
		c.spoil(&b)
		if err := b.check(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: check = %v, want %q", name, err, c.want)
		}
	}
}
