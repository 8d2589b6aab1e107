// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/params"
	"github.com/google/go-cmp/cmp"

	"github.com/apocryph/apocryph/internal/gen/channels"
)

// What each thing costs, to the unit. A change that makes something dearer, or cheaper, is to be seen in its review: put the new numbers here,
// and the aims of main.go still hold.
func TestWhatChannelsCost(t *testing.T) {
	want := map[string]map[string]uint64{
		"Osaka": {
			rowDeploy: 3_580_542, rowOpen: 74_804, rowPermit: 89_894, rowGasless: 98_687, rowDeposit: 55_815, rowClaim: 59_313,
			rowClaimThree: 81_928, rowBatch10: 22_239, rowBatch50: 18_868, rowNotice: 37_188, rowWithdraw: 53_515, rowClose: 53_431,
			rowRelease: 73_217,
		},
		"Amsterdam": {
			rowDeploy: 25_450_458, rowOpen: 171_624, rowPermit: 193_914, rowGasless: 202_707, rowDeposit: 71_815, rowClaim: 75_313,
			rowClaimThree: 112_328, rowBatch10: 30_319, rowBatch50: 26_244, rowNotice: 45_976, rowWithdraw: 69_515, rowClose: 69_431,
			rowRelease: 96_417,
		},
	}
	for _, f := range forks() {
		t.Run(f.name, func(t *testing.T) {
			got, err := measure(t.Context(), f, &ours{bin: channels.ChannelsMetaData.Bin})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want[f.name], got); diff != "" {
				t.Errorf("gas (-pinned +measured):\n%s", diff)
			}
			for row, aim := range aims() {
				if f.name == "Osaka" && got[row] > aim {
					t.Errorf("%s: %d gas, %d is the aim", row, got[row], aim)
				}
			}
		})
	}
}

// A chain that counts by other rules than it should is noticed, also if only its gas table is another's.
func TestTheRulesAreChecked(t *testing.T) {
	zero := new(uint64)
	today := forks()[0]
	for name, tc := range map[string]struct {
		set  func(*params.ChainConfig)
		is   func(params.Rules) bool
		want string
	}{
		"the development chain's own": {
			set: func(c *params.ChainConfig) { c.AmsterdamTime, c.BogotaTime = nil, zero },
			is:  today.is, want: "rules are not those of Osaka",
		},
		"the same, undetected by name": {
			set: func(c *params.ChainConfig) { c.AmsterdamTime, c.BogotaTime = nil, zero },
			is:  func(params.Rules) bool { return true }, want: "a new slot costs",
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := today
			f.set, f.is = tc.set, tc.is
			c, err := newChain(t.Context(), f, key("relayer"))
			if err == nil {
				_ = c.close()
			}
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("newChain = %v, want %q", err, tc.want)
			}
		})
	}
}

// Every other design runs through the same life, so that the comparison can't rot.
func TestTheOthersWork(t *testing.T) {
	all, err := contestants()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range all[1:] {
		t.Run(c.name, func(t *testing.T) {
			got, err := measure(t.Context(), forks()[0], c.design)
			if err != nil {
				t.Fatal(err)
			}
			for _, row := range rows() {
				if got[row] == 0 {
					t.Errorf("%s was not measured", row)
				}
			}
		})
	}
}
