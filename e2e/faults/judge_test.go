// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/apocryph/apocryph/e2e/bed"
)

// sound is a run as it should end: 100 m for 36 s at 40000 a vCPU-hour is 40.
func sound() facts {
	n := big.NewInt
	return facts{
		apps: []appFact{{
			id: "app", phase: "Ended", end: "StoppedByPublisher", settled: true, final: true,
			used:    quantities{n(3600), n(0), n(0), n(64 << 20), n(1 << 20)},
			prices:  quantities{n(40000), n(5000), n(100), n(200), n(0)},
			runtime: bed.Verdict{Used: bed.Quantities{CPU: n(3600), Memory: n(0), Ephemeral: n(0), Storage: n(64 << 20)}, Owed: "40"},
		}},
		channels: []channelFact{{id: "channel", closed: true, deposited: n(100), claimed: n(40), refunded: n(60)}},
		spent:    n(40), stages: []string{"ended"}, wall: time.Minute,
	}
}

func TestJudge(t *testing.T) {
	tests := map[string]struct {
		spoil func(*facts)
		want  string // empty: nothing is wrong
	}{
		"a sound end":                         {func(*facts) {}, ""},
		"a namespace stays":                   {func(f *facts) { f.orphans = []string{"namespace apocryph-app"} }, "orphan: namespace"},
		"no app":                              {func(f *facts) { f.apps = nil }, "0 apps"},
		"a second app":                        {func(f *facts) { f.apps = append(f.apps, f.apps[0]) }, "2 apps"},
		"an app that runs on":                 {func(f *facts) { f.apps[0].phase = "Ready" }, "phase Ready"},
		"an end that nobody ordered":          {func(f *facts) { f.apps[0].end = "ChannelClosed" }, `because of "ChannelClosed"`},
		"an interval that stays open":         {func(f *facts) { f.apps[0].open = 1 }, "1 open intervals"},
		"a second channel":                    {func(f *facts) { f.channels = append(f.channels, f.channels[0]) }, "2 channels"},
		"a channel that stays open":           {func(f *facts) { f.channels[0].closed = false }, "is not closed"},
		"money that is nowhere":               {func(f *facts) { f.channels[0].refunded = big.NewInt(59) }, "59 refunded"},
		"money that the wallet misses":        {func(f *facts) { f.spent = big.NewInt(41) }, "short of 41"},
		"a claim above the bill":              {func(f *facts) { f.channels[0].claimed = big.NewInt(41) }, "rounded down is 40"},
		"a claim below the bill":              {func(f *facts) { f.channels[0].claimed = big.NewInt(39) }, "rounded down is 40"},
		"nothing claimed":                     {func(f *facts) { f.channels[0].claimed = new(big.Int) }, "nothing was claimed"},
		"more time billed than there was":     {func(f *facts) { f.wall = 35 * time.Second }, "of cpu are billed"},
		"a volume billed twice":               {func(f *facts) { f.apps[0].used.storage = big.NewInt(2 * 60 * 64 << 20) }, "of volumes are billed"},
		"a second that did not run":           {func(f *facts) { f.apps[0].runtime.Used.CPU = big.NewInt(3500) }, "3600 of cpu is billed, by the runtime's records it is 3500"},
		"a volume's second that was not":      {func(f *facts) { f.apps[0].runtime.Used.Storage = big.NewInt(0) }, "of volumes is billed"},
		"other money for the same":            {func(f *facts) { f.apps[0].runtime.Owed = "39" }, "by the runtime's records 39"},
		"a runtime that was not listened to":  {func(f *facts) { f.apps[0].runtime.Void = []string{"missed"} }, "the oracle knows nothing: missed"},
		"another second than the runtime's":   {func(f *facts) { f.apps[0].runtime.Differs = []string{"the end of x"} }, "the end of x"},
		"a record that knows nothing of it":   {func(f *facts) { f.stages = []string{"stopping"} }, `say ["stopping"]`},
		"a transaction under way for nothing": {func(f *facts) { f.pending = true }, "under way"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			f := sound()
			test.spoil(&f)
			got := strings.Join(judge(f, reserved{100, 64 << 20}), "; ")
			if (got == "") != (test.want == "") || !strings.Contains(got, test.want) {
				t.Errorf("%q, want %q", got, test.want)
			}
		})
	}
}
