// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/apocryph/apocryph/e2e/bed"
)

// Each bad order is refused with a clear error that says what to do; nothing is left behind and no money moves.
func TestBadOrdersAreRefusedAndLeaveNothing(t *testing.T) {
	d := bed.Connect(t)
	neighbour := d.NewPerson(t, true)
	var taken bed.Deployed
	neighbour.MustJSON(&taken, "deploy", neighbour.Write("compose.yaml", bed.ProbeFile("taken")), "--name", "neighbour", "--for", "1h", "--yes")
	defer neighbour.Run("stop", "neighbour", "--yes")

	cases := map[string]struct {
		file string
		args []string
		want []string // in what is said
	}{
		"a key that would be silently missing": {
			file: "services:\n  web:\n    image: " + bed.ProbeImage + "\n    privileged: true\n    ports: [\"80\"]\n",
			want: []string{"compose.yaml:4", "privileged"},
		},
		"a key that Compose does not know": {
			file: "services:\n  web:\n    image: " + bed.ProbeImage + "\n    prots: [\"80\"]\n",
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
			file: strings.Replace(bed.ProbeFile(""), "mem_limit: 64m", "mem_limit: 4096g", 1),
			want: []string{"memory"},
		},
		"a malformed host name": {
			file: bed.ProbeFile("no_such-"),
			want: []string{"host"},
		},
		"a host name that is taken": {
			file: bed.ProbeFile("taken"),
			want: []string{"taken"},
		},
		"a deposit larger than the balance": {
			file: bed.ProbeFile(""),
			args: []string{"--deposit", "999999999"},
			want: []string{"balance"},
		},
		"a deposit of nothing": {
			file: bed.ProbeFile(""),
			args: []string{"--deposit", "0"},
			want: []string{"deposit"},
		},
		"a provider that is not there": {
			file: bed.ProbeFile(""),
			args: []string{"--provider", "/ip4/127.0.0.1/tcp/1/p2p/12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN"},
			want: []string{"provider"},
		},
		"another peer than the one named": {
			file: bed.ProbeFile(""),
			args: []string{"--provider", d.Env["APOCRYPH_PROVIDER"][:strings.LastIndex(d.Env["APOCRYPH_PROVIDER"], "/")] + "/12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN"},
			want: []string{"peer"},
		},
		"a simulator root that is not the provider's": {
			file: bed.ProbeFile(""),
			args: []string{"--accept-simulator", strings.Repeat("00", 32) + d.Env["APOCRYPH_SIMULATOR"][64:]},
			want: []string{"evidence"},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			p := d.NewPerson(t, true)
			before, apps := d.Balance(t, p.Address()), d.Apps(t)
			args := append([]string{"deploy", p.Write("compose.yaml", c.file), "--name", "bad", "--yes"}, c.args...)
			if !strings.Contains(strings.Join(c.args, " "), "--deposit") {
				args = append(args, "--for", "1h")
			}
			r := p.Run(args...)
			if r.Code == 0 {
				t.Fatal("it was accepted")
			}
			for _, want := range append(c.want, "apocryph: error: ") {
				if !strings.Contains(r.Stderr, want) {
					t.Errorf("it does not say %q", want)
				}
			}
			if !strings.Contains(r.Stderr, "apocryph: hint: ") && !strings.Contains(r.Stderr, ": ") {
				t.Error("it does not say what to do next")
			}
			if after := d.Balance(t, p.Address()); !after.Equal(before) {
				t.Errorf("the balance went from %s to %s", before, after)
			}
			if now := d.Apps(t); len(now) != len(apps) {
				t.Errorf("%d apps before, %d after", len(apps), len(now))
			}
		})
	}
	t.Run("and the neighbour did not notice", func(t *testing.T) {
		if code, body, err := d.Get(t.Context(), taken.URL); err != nil || code != 200 {
			t.Error(fmt.Errorf("%d %w: %s", code, err, body))
		}
	})
}
