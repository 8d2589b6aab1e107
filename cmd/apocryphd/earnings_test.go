// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/apocryph/apocryph/internal/invoicer"
	"github.com/apocryph/apocryph/internal/tariff"
)

func TestEarningsAreWritten(t *testing.T) {
	all := []invoicer.Earning{
		{App: "a", Name: "web", Token: "0x4", Funded: "Low", Owed: tariff.Units(100), Claimed: tariff.Units(60), Due: tariff.Units(40), Hourly: tariff.Units(7)},
		{App: "b", Name: "db", Token: "0x4", Funded: "GraceOver", Ended: "FundsExhausted", Owed: tariff.Units(11), Uncovered: tariff.Units(11)},
	}
	var out strings.Builder
	if err := writeEarnings(&out, all); err != nil {
		t.Fatal(err)
	}
	var rows []string
	for line := range strings.Lines(out.String()) {
		rows = append(rows, strings.Join(strings.Fields(line), " "))
	}
	want := []string{
		"APP NAME FUNDED OWED VOUCHERED CLAIMED DUE UNCOVERED HOURLY",
		"a web Low 100 0 60 40 0 7", "b db FundsExhausted 11 0 0 0 11 0", "all 0x4 111 0 60 40 11 7",
	}
	if got := strings.Join(rows, "\n"); got != strings.Join(want, "\n") {
		t.Errorf("got\n%s", got)
	}
	out.Reset()
	if err := writeEarningLines(&out, all); err != nil {
		t.Fatal(err)
	}
	var first invoicer.Earning
	if err := json.Unmarshal([]byte(strings.SplitN(out.String(), "\n", 2)[0]), &first); err != nil || first.Due.String() != "40" || strings.Count(out.String(), "\n") != 2 {
		t.Errorf("%+v, %v of\n%s", first, err, out.String())
	}
}
