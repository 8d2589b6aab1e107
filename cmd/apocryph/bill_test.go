// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/apocryph/apocryph/internal/account"
)

// Before the meter's first tick nothing is counted up to any time, and no bill says the year 1.
func TestABillThatNothingWasCountedOnNamesNoTime(t *testing.T) {
	for name, c := range map[string]struct {
		at   time.Time
		want bool
	}{"never": {time.Time{}, false}, "once": {time.Unix(1_800_000_000, 0), true}} {
		t.Run(name, func(t *testing.T) {
			v := account.Verified{Account: account.Account{AccruedTo: c.at}}
			shown, err := json.Marshal(verifiedOf(v))
			if err != nil {
				t.Fatal(err)
			}
			var out strings.Builder
			if err := writeVerified(&out, v); err != nil {
				t.Fatal(err)
			}
			if strings.Contains(string(shown), "accrued_to") != c.want || strings.Contains(out.String(), "counted to") != c.want {
				t.Errorf("%s\n%s", shown, out.String())
			}
		})
	}
}
