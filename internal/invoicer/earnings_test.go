// SPDX-License-Identifier: Apache-2.0

package invoicer

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/apocryph/apocryph/api/v1alpha1"
	"github.com/apocryph/apocryph/internal/tariff"
)

func TestEarnings(t *testing.T) {
	w := newWorld(t)
	all := func() []Earning {
		t.Helper()
		all, err := Earnings(t.Context(), w.client, w.key.Namespace)
		if err != nil || len(all) != 1 {
			t.Fatalf("%+v, %v", all, err)
		}
		return all
	}
	if got := all()[0]; !got.Owed.IsZero() || got.Funded != "" || !got.SeenAt.IsZero() {
		t.Errorf("before anything: %+v", got)
	}
	to := metav1.NewTime(w.now)
	w.signs(func(s *v1alpha1.UsageStatus) {
		s.Totals.CPUMilliSeconds = "90000" // 90 at 3600 an hour
		s.Open = []v1alpha1.Interval{{UID: "a", Kind: "Pod", Name: "web", MilliCPU: 1000, Start: metav1.NewTime(w.now.Add(-10 * time.Second)), AccruedTo: &to}}
		s.Voucher = w.voucher(95)
	})
	w.reconcile()
	got := all()[0]
	want := Earning{
		App: "app", Channel: w.terms.ID(w.domain).String(), Token: w.terms.Token.Hex(), Funded: "Funded", Owed: tariff.Units(100), Vouchered: tariff.Units(95), Claimed: tariff.Units(95),
		Due: tariff.Units(5), Deposited: tariff.Units(10_000), Hourly: tariff.Units(3600), SeenAt: w.now.UTC(),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("earning (-want +got):\n%s", diff)
	}
}

func TestWhatIsDueAndWhatIsLost(t *testing.T) {
	for name, c := range map[string]struct {
		owed  uint64
		funds *v1alpha1.Funds
		want  string // due and uncovered
	}{
		"never seen":                         {50, nil, "0 50"},
		"nothing claimed":                    {50, &v1alpha1.Funds{Deposited: "100", Claimed: "0"}, "50 0"},
		"all claimed":                        {50, &v1alpha1.Funds{Deposited: "100", Claimed: "50"}, "0 0"},
		"more owed than deposited":           {150, &v1alpha1.Funds{Deposited: "100", Claimed: "60"}, "40 50"},
		"closed, and all was paid":           {50, &v1alpha1.Funds{Deposited: "100", Claimed: "50", Closed: true}, "0 0"},
		"closed before all was paid":         {50, &v1alpha1.Funds{Deposited: "100", Claimed: "45", Closed: true}, "0 5"},
		"more was claimed than is owed here": {50, &v1alpha1.Funds{Deposited: "100", Claimed: "55"}, "0 0"},
	} {
		e, err := Earning{Owed: tariff.Units(c.owed)}.with(c.funds)
		if got := fmt.Sprint(e.Due, " ", e.Uncovered); err != nil || got != c.want {
			t.Errorf("%s: due and uncovered are %s, %v, want %s", name, got, err, c.want)
		}
	}
	if _, err := (Earning{}).with(&v1alpha1.Funds{Deposited: "x", Claimed: "0"}); err == nil {
		t.Error("a deposit of x counts")
	}
}

func TestSums(t *testing.T) {
	got := Sums([]Earning{
		{App: "a", Token: "t", Owed: tariff.Units(1), Due: tariff.Units(2)}, {App: "b", Token: "s", Claimed: tariff.Units(5)}, {App: "c", Token: "t", Owed: tariff.Units(3)},
	})
	want := []Earning{{Token: "s", Claimed: tariff.Units(5)}, {Token: "t", Owed: tariff.Units(4), Due: tariff.Units(2)}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("sums (-want +got):\n%s", diff)
	}
}
