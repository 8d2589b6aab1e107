// SPDX-License-Identifier: Apache-2.0

package keeper

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/apocryph/apocryph/api/v1alpha1"
	"github.com/apocryph/apocryph/internal/ledger"
	"github.com/apocryph/apocryph/internal/metered"
	"github.com/apocryph/apocryph/internal/tariff"
)

func TestOwed(t *testing.T) {
	prices := tariff.Tariff{CPUHour: tariff.Units(3600), StorageGiBHour: tariff.Units(3600)}
	at := func(s int64) *metav1.Time { v := metav1.Unix(s, 0); return &v }
	tests := map[string]struct {
		status v1alpha1.UsageStatus
		want   uint64
	}{
		"nothing used": {v1alpha1.UsageStatus{}, 0},
		"closed intervals": {
			v1alpha1.UsageStatus{Totals: v1alpha1.Totals{CPUMilliSeconds: "5000", StorageByteSeconds: "1073741824"}}, 6,
		},
		"open intervals up to what may be billed": {v1alpha1.UsageStatus{Open: []v1alpha1.Interval{
			{MilliCPU: 1000, Start: *at(100), AccruedTo: at(110)},
			{StorageBytes: 1 << 30, Start: *at(100), AccruedTo: at(103)},
			{MilliCPU: 1000, Start: *at(100)},
			{MilliCPU: 1000, Start: *at(100), AccruedTo: at(90)},
		}}, 13},
		"fractions of all together, rounded down once": {v1alpha1.UsageStatus{
			Totals: v1alpha1.Totals{CPUMilliSeconds: "600"},
			Open:   []v1alpha1.Interval{{MilliCPU: 1300, Start: *at(0), AccruedTo: at(1)}},
		}, 1},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			used, err := metered.Accrued(tt.status)
			if err != nil {
				t.Fatal(err)
			}
			got := ledger.Ledger{}.Now(ledger.Payer{Prices: prices}, used, time.Time{}).Total
			if want := tariff.Units(tt.want); !got.Equal(want) {
				t.Errorf("owed %s, want %s", got, want)
			}
		})
	}
	for _, bad := range []string{"-1", "1.5", "x"} {
		if _, err := metered.Accrued(v1alpha1.UsageStatus{Totals: v1alpha1.Totals{MemoryByteSeconds: bad}}); err == nil {
			t.Errorf("a total of %q counts", bad)
		}
	}
}

func TestDecide(t *testing.T) {
	now := time.Unix(1000, 0)
	amount := func(n uint64) *tariff.Amount { a := tariff.Units(n); return &a }
	capped := func(a standing, most uint64) standing { a.most = tariff.Units(most); return a }
	tests := map[string]struct {
		standing standing
		want     due
	}{
		"nothing owed":                      {standing{}, due{}},
		"the first voucher":                 {standing{owed: tariff.Units(5)}, due{voucher: amount(5)}},
		"no more owed than signed":          {standing{owed: tariff.Units(5), voucher: amount(5)}, due{}},
		"more owed, in time":                {standing{owed: tariff.Units(6), voucher: amount(5), signedAt: now.Add(-10 * time.Second)}, due{voucher: amount(6)}},
		"more owed, too soon":               {standing{owed: tariff.Units(6), voucher: amount(5), signedAt: now.Add(-7 * time.Second)}, due{wait: 3 * time.Second}},
		"less owed than signed":             {standing{owed: tariff.Units(4), voucher: amount(5)}, due{}},
		"less owed than remembered":         {standing{owed: tariff.Units(4), signed: tariff.Units(6), signedAt: now.Add(-time.Hour)}, due{voucher: amount(6)}},
		"remembered more than the object":   {standing{owed: tariff.Units(6), signed: tariff.Units(6), voucher: amount(5), signedAt: now.Add(-time.Hour)}, due{voucher: amount(6)}},
		"final does not wait":               {standing{owed: tariff.Units(6), voucher: amount(5), signedAt: now, final: true}, due{voucher: amount(6), release: amount(6)}},
		"final, and the voucher is there":   {standing{owed: tariff.Units(5), voucher: amount(5), final: true}, due{release: amount(5)}},
		"final, and nothing was used":       {standing{final: true}, due{release: amount(0)}},
		"final below what was signed":       {standing{owed: tariff.Units(4), voucher: amount(5), final: true}, due{release: amount(5)}},
		"nothing after a release":           {standing{owed: tariff.Units(9), voucher: amount(5), release: amount(5), final: true}, due{}},
		"nothing after a release, reopened": {standing{owed: tariff.Units(9), voucher: amount(5), release: amount(5)}, due{}},
		"more owed than the cap pays":       {capped(standing{owed: tariff.Units(9), voucher: amount(5)}, 7), due{voucher: amount(7)}},
		"final above what the cap pays":     {capped(standing{owed: tariff.Units(9), voucher: amount(5), final: true}, 7), due{voucher: amount(7), release: amount(7)}},
		"the cap never takes back":          {capped(standing{owed: tariff.Units(9), voucher: amount(5)}, 4), due{}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if tt.standing.most.IsZero() {
				tt.standing.most = tariff.Units(1000)
			}
			got := decide(tt.standing, 10*time.Second, now)
			if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(due{})); diff != "" {
				t.Errorf("due (-want +got):\n%s", diff)
			}
		})
	}
}
