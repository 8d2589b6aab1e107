// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/apocryph/apocryph/e2e/bed"
	"github.com/apocryph/apocryph/internal/tariff"
)

// growing is a web server with so many CPUS.
const growing = `
services:
  web:
    image: ` + bed.ProbeImage + `
    cpus: CPUS
    mem_limit: 64m
    ports: ["8080"]
`

// account is what apocryph bill --json says of one channel.
type account struct {
	Channel string        `json:"channel"`
	Owed    tariff.Amount `json:"owed"`
	Claimed tariff.Amount `json:"claimed"`
	Final   bool          `json:"final"`
	Signed  bool          `json:"signed"`
}

// ended is what apocryph stop --json says of an app with several channels.
type ended struct {
	bed.Receipt
	Former []struct {
		bed.Receipt
		Channel string `json:"channel"`
		Closed  bool   `json:"closed"`
	} `json:"former"`
}

// An update outgrows its channel, and another one is asked for by name: the app answers throughout, each channel is settled for its part, and
// what the wallet is short of is what was claimed on all of them, to the unit.
func TestAnAppOutgrowsItsChannel(t *testing.T) {
	d := bed.Connect(t)
	p := d.NewPerson(t, true)
	before := d.Balance(t, p.Address())
	file := func(cpus string) string {
		return p.Write("compose.yaml", strings.Replace(growing, "CPUS", cpus, 1))
	}
	var first, second, third bed.Deployed
	p.MustJSON(&first, "deploy", file("0.1"), "--name", "grows", "--for", "1h", "--yes")
	stop := bed.Ask(t, d, first.URL)
	// Usage is counted some seconds behind, and what is not counted yet when a bill ends is on the next one.
	owes := func() {
		t.Helper()
		bed.Eventually(t, "something is owed on the channel that pays", func() error {
			var a account
			p.MustJSON(&a, "bill", "grows")
			if a.Owed.IsZero() {
				return fmt.Errorf("%+v", a)
			}
			return nil
		})
	}
	owes()

	p.MustJSON(&second, "deploy", file("0.25"), "--name", "grows", "--for", "1h", "--yes")
	if second.App != first.App || second.URL != first.URL || second.Channel == first.Channel {
		t.Errorf("%+v after %+v", second, first)
	}
	settled := func(channel string) {
		t.Helper()
		bed.Eventually(t, "the channel before is settled while the app runs", func() error {
			out := p.Must("status", "grows")
			if !strings.Contains(out, channel+"  closed") || !strings.Contains(out, "ready") {
				return fmt.Errorf("%s", out)
			}
			return nil
		})
	}
	settled(first.Channel)
	owes()
	p.MustJSON(&third, "deploy", file("0.1"), "--name", "grows", "--for", "1h", "--new-channel", "--yes")
	settled(second.Channel)
	owes()
	if asked, failed := stop(); len(failed) > 0 || asked < 10 {
		t.Errorf("%d of %d requests failed: %q", len(failed), asked, failed)
	}

	for _, channel := range []string{first.Channel, second.Channel} {
		var a account
		kept := filepath.Join(p.Home, channel+".bill")
		p.MustJSON(&a, "bill", "grows", "--channel", channel, "-o", kept)
		if a.Channel != channel || !a.Final || !a.Signed || !a.Owed.Equal(a.Claimed) {
			t.Errorf("the account of a channel before: %+v", a)
		}
		p.Must("bill", "verify", kept, "--channel", channel)
	}
	var r ended
	p.MustJSON(&r, "stop", "grows", "--yes")
	if err := r.Adds(); err != nil || len(r.Former) != 2 {
		t.Fatalf("the receipt: %+v, %v", r, err)
	}
	sum, err := tariff.ParseAmount(r.Claimed)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range r.Former {
		claimed, err := tariff.ParseAmount(f.Claimed)
		if err := f.Adds(); err != nil || !f.Closed {
			t.Errorf("the receipt of a channel before: %+v, %v", f, err)
		}
		if err != nil {
			t.Fatal(err)
		}
		sum = sum.Add(claimed)
	}
	spent, err := before.Sub(d.Balance(t, p.Address()))
	if err != nil || !spent.Equal(sum) {
		t.Errorf("the wallet is short of %s (%v), and %s was claimed on three channels", spent, err, sum)
	}
}
