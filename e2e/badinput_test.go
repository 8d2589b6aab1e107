// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/common"

	"github.com/apocryph/apocryph/internal/evm"
	"github.com/apocryph/apocryph/internal/tariff"
)

// balance is what an account has of the test token, asked of the chain itself.
func (d *devnet) balance(t *testing.T, account common.Address) tariff.Amount {
	t.Helper()
	c, err := evm.Dial(t.Context(), d.env["APOCRYPH_RPC"], evm.Config{Channels: common.HexToAddress(d.env["APOCRYPH_CHANNELS"])})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	b, err := c.Balance(t.Context(), common.HexToAddress(d.env["APOCRYPH_TOKEN"]), account)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (p *person) address() common.Address {
	p.t.Helper()
	a, err := evm.KeystoreAddress(p.home + "/wallet.json")
	if err != nil {
		p.t.Fatal(err)
	}
	return a
}

// Each bad order is refused with a clear error that says what to do; nothing is left behind and no money moves.
func TestBadOrdersAreRefusedAndLeaveNothing(t *testing.T) {
	d := connect(t)
	neighbour := d.newPerson(t, true)
	var taken deployed
	neighbour.mustJSON(&taken, "deploy", neighbour.write("compose.yaml", probeFile("taken")), "--name", "neighbour", "--for", "1h", "--yes")
	defer neighbour.run("stop", "neighbour", "--yes")

	cases := map[string]struct {
		file string
		args []string
		want []string // in what is said
	}{
		"a key that would be silently missing": {
			file: "services:\n  web:\n    image: " + probeImage + "\n    privileged: true\n    ports: [\"80\"]\n",
			want: []string{"compose.yaml:4", "privileged"},
		},
		"a key that Compose does not know": {
			file: "services:\n  web:\n    image: " + probeImage + "\n    prots: [\"80\"]\n",
			want: []string{"compose.yaml:4", "prots"},
		},
		"no YAML at all": {
			file: "{{{",
			want: []string{"compose.yaml"},
		},
		"an image that nobody has": {
			file: "services:\n  web:\n    image: 127.0.0.1:1/nobody/has:this\n    ports: [\"80\"]\n",
			want: []string{"127.0.0.1:1/nobody/has:this"},
		},
		"more memory than any machine has": {
			file: strings.Replace(probeFile(""), "mem_limit: 64m", "mem_limit: 4096g", 1),
			want: []string{"memory"},
		},
		"a malformed host name": {
			file: probeFile("no_such-"),
			want: []string{"host"},
		},
		"a host name that is taken": {
			file: probeFile("taken"),
			want: []string{"taken"},
		},
		"a deposit larger than the balance": {
			file: probeFile(""),
			args: []string{"--deposit", "999999999"},
			want: []string{"balance"},
		},
		"a deposit of nothing": {
			file: probeFile(""),
			args: []string{"--deposit", "0"},
			want: []string{"deposit"},
		},
		"a provider that is not there": {
			file: probeFile(""),
			args: []string{"--provider", "/ip4/127.0.0.1/tcp/1/p2p/12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN"},
			want: []string{"provider"},
		},
		"another peer than the one named": {
			file: probeFile(""),
			args: []string{"--provider", d.env["APOCRYPH_PROVIDER"][:strings.LastIndex(d.env["APOCRYPH_PROVIDER"], "/")] + "/12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN"},
			want: []string{"peer"},
		},
		"a simulator root that is not the provider's": {
			file: probeFile(""),
			args: []string{"--accept-simulator", strings.Repeat("00", 32) + d.env["APOCRYPH_SIMULATOR"][64:]},
			want: []string{"evidence"},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			p := d.newPerson(t, true)
			before, apps := d.balance(t, p.address()), d.apps(t)
			args := append([]string{"deploy", p.write("compose.yaml", c.file), "--name", "bad", "--yes"}, c.args...)
			if !strings.Contains(strings.Join(c.args, " "), "--deposit") {
				args = append(args, "--for", "1h")
			}
			r := p.run(args...)
			if r.code == 0 {
				t.Fatal("it was accepted")
			}
			for _, want := range append(c.want, "apocryph: error: ") {
				if !strings.Contains(r.stderr, want) {
					t.Errorf("it does not say %q", want)
				}
			}
			if !strings.Contains(r.stderr, "apocryph: hint: ") && !strings.Contains(r.stderr, ": ") {
				t.Error("it does not say what to do next")
			}
			if after := d.balance(t, p.address()); !after.Equal(before) {
				t.Errorf("the balance went from %s to %s", before, after)
			}
			if now := d.apps(t); len(now) != len(apps) {
				t.Errorf("%d apps before, %d after", len(apps), len(now))
			}
		})
	}
	t.Run("and the neighbour did not notice", func(t *testing.T) {
		if code, body, err := d.get(t.Context(), taken.URL); err != nil || code != 200 {
			t.Error(fmt.Errorf("%d %w: %s", code, err, body))
		}
	})
}
