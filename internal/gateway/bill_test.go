// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/apocryph/apocryph/api/v1alpha1"
	"github.com/apocryph/apocryph/internal/account"
	"github.com/apocryph/apocryph/internal/channel"
	providerv1 "github.com/apocryph/apocryph/internal/gen/providerv1"
	"github.com/apocryph/apocryph/internal/ledger"
	"github.com/apocryph/apocryph/internal/metered"
	"github.com/apocryph/apocryph/internal/tariff"
	"github.com/apocryph/apocryph/internal/usage"
)

func TestBill(t *testing.T) {
	at := func(s int64) *metav1.Time { v := metav1.NewTime(time.Unix(1_800_000_000+s, 0)); return &v }
	half := v1alpha1.Interval{UID: "a", Kind: "Pod", MilliCPU: 500, Start: *at(0), AccruedTo: at(10)}
	type essence struct{ CPU, Owed, Vouchered, Claimed, Deposited, Hourly string }
	seconds := func(n uint64) *uint64 { return &n }
	for what, c := range map[string]struct {
		usage  v1alpha1.UsageStatus
		funds  *v1alpha1.Funds
		want   essence
		runway *uint64
	}{
		"nothing used":                {v1alpha1.UsageStatus{}, nil, essence{"0", "0", "0", "0", "0", "0"}, nil},
		"closed and open up to where": {v1alpha1.UsageStatus{Totals: v1alpha1.Totals{CPUMilliSeconds: "1000"}, Open: []v1alpha1.Interval{half}}, nil, essence{"6000", "6000", "0", "0", "0", "1800000"}, nil},
		"with funds": {
			v1alpha1.UsageStatus{Open: []v1alpha1.Interval{half}, Voucher: &v1alpha1.Voucher{Total: "4000"}},
			&v1alpha1.Funds{Deposited: "10000", Claimed: "3000"}, essence{"5000", "5000", "4000", "3000", "10000", "1800000"}, seconds(10),
		},
		"a reserve is not there to be used": {
			v1alpha1.UsageStatus{Open: []v1alpha1.Interval{half}},
			&v1alpha1.Funds{Deposited: "10000", Claimed: "3000", Reserve: "2500"}, essence{"5000", "5000", "0", "3000", "10000", "1800000"}, seconds(5),
		},
		"nothing left": {
			v1alpha1.UsageStatus{Totals: v1alpha1.Totals{CPUMilliSeconds: "20000"}, Open: []v1alpha1.Interval{half}},
			&v1alpha1.Funds{Deposited: "10000", Claimed: "3000"}, essence{"25000", "25000", "0", "3000", "10000", "1800000"}, seconds(0),
		},
		"not started to accrue": {v1alpha1.UsageStatus{Open: []v1alpha1.Interval{{MilliCPU: 1}}}, nil, essence{"0", "0", "0", "0", "0", "3600"}, nil},
	} {
		t.Run(what, func(t *testing.T) {
			w := newWorld(t)
			app := w.accept(nil)
			app.Status.Funds = c.funds
			if c.usage.Voucher != nil {
				c.usage.Voucher.Channel = app.Spec.Channel
			}
			b, err := w.bill(app, c.usage)
			if err != nil {
				t.Fatal(err)
			}
			got := essence{b.CpuMilliSeconds, b.Owed, b.Vouchered, b.Claimed, b.Deposited, b.Hourly}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(c.runway, b.RunwaySeconds); diff != "" {
				t.Errorf("runway (-want +got):\n%s", diff)
			}
		})
	}
}

func (w *world) bill(app *v1alpha1.App, u v1alpha1.UsageStatus) (*providerv1.BillResponse, error) {
	row, err := metered.Row(app.Spec)
	if err != nil {
		return nil, err
	}
	return bill(app, row[len(row)-1], ledger.Ledger{}, u)
}

func TestBillBeforeTheMeter(t *testing.T) {
	w := newWorld(t)
	w.accept(nil)
	id := w.app(w.publisher)
	b, err := (server{w.g}).Bill(w.as(w.publisher), &providerv1.BillRequest{App: id[:]})
	if err != nil || b.Owed != "0" || b.Final || !bytes.Equal(b.Account.GetAccount(), id[:]) {
		t.Errorf("got %v, %v", b, err)
	}
}

// A keeper that can't be asked leaves the bill without its account, and no more.
func TestBillWithoutTheKeeper(t *testing.T) {
	w := newWorld(t)
	w.accept(nil)
	w.keeperDown = true
	id := w.app(w.publisher)
	b, err := (server{w.g}).Bill(w.as(w.publisher), &providerv1.BillRequest{App: id[:]})
	if err != nil || b.Owed != "0" || b.Account != nil {
		t.Errorf("got %v, %v", b, err)
	}
}

func TestBillCarriesTheRelease(t *testing.T) {
	w := newWorld(t)
	app := w.accept(nil)
	of := func(id string) *v1alpha1.Voucher {
		return &v1alpha1.Voucher{Channel: id, Total: "44", Signature: []byte{1, 2}}
	}
	for what, c := range map[string]struct {
		release *v1alpha1.Voucher
		want    string
	}{
		"none is signed":           {nil, ""},
		"of the app's channel":     {of(app.Spec.Channel), "44"},
		"of a channel from before": {of("0x" + strings.Repeat("0", 64)), ""},
	} {
		t.Run(what, func(t *testing.T) {
			b, err := w.bill(app, v1alpha1.UsageStatus{Release: c.release})
			if err != nil {
				t.Fatal(err)
			}
			if got := b.Release.GetTotal(); got != c.want {
				t.Errorf("got a release of %q, want %q", got, c.want)
			}
			if c.want != "" && (!bytes.Equal(b.Release.Signature, []byte{1, 2}) || !bytes.Equal(b.Release.Channel, b.Channel)) {
				t.Errorf("got %v", b.Release)
			}
		})
	}
}

// An app with two channels: each has a bill of its own, and the second one's has what the first one left.
func TestBillOfEachChannel(t *testing.T) {
	w := newWorld(t)
	first := w.accept(nil)
	app := w.accept(func(d *draft) { w.succeed(d, first) })
	row, err := metered.Row(app.Spec)
	if err != nil {
		t.Fatal(err)
	}
	payers := []ledger.Payer{row[0].Payer, row[1].Payer}
	seconds := func(n int64) usage.Totals { return usage.Rate{MilliCPU: 1000}.For(n) }
	book := ledger.Ledger{}.Follow(payers, 1, ledger.Moment{Used: seconds(10), Sequence: 4})
	book = book.Settle(payers[1], map[channel.ID]ledger.Closing{row[0].Channel: {Claimed: tariff.Units(9000), Most: tariff.Units(1 << 40)}})
	line := book.Lines()[0]
	final, err := account.Sign(line.Account, w.voucher)
	if err != nil {
		t.Fatal(err)
	}
	arrears, err := account.SignArrears(*line.Arrears, w.voucher)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := proto.Marshal(arrears)
	if err != nil {
		t.Fatal(err)
	}
	u := &v1alpha1.Usage{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: app.Name}, Status: v1alpha1.UsageStatus{
		Totals: v1alpha1.Totals{CPUMilliSeconds: "12000"},
		Former: []v1alpha1.FormerAccount{{
			Channel: first.Spec.Channel, Account: final.Account, Signature: final.Signature, Arrears: encoded,
			Voucher: &v1alpha1.Voucher{Channel: first.Spec.Channel, Total: "10000"}, Release: &v1alpha1.Voucher{Channel: first.Spec.Channel, Total: "10000"},
		}},
	}}
	if err := w.cluster.Create(t.Context(), u); err != nil {
		t.Fatal(err)
	}
	app.Status.Former = []v1alpha1.FormerFunds{{Channel: first.Spec.Channel, Deposited: "9000", Claimed: "9000", Closed: true}}
	if err := w.cluster.Status().Update(t.Context(), app); err != nil {
		t.Fatal(err)
	}
	id := w.app(w.publisher)
	now, err := (server{w.g}).Bill(w.as(w.publisher), &providerv1.BillRequest{App: id[:]})
	if err != nil {
		t.Fatal(err)
	}
	if now.CpuMilliSeconds != "2000" || now.Owed != "3000" || now.Arrears != "1000" || len(now.TakenOver) != 1 || now.Final || !bytes.Equal(now.Channel, row[1].Channel[:]) {
		t.Errorf("the present bill is %v", now)
	}
	was, err := (server{w.g}).Bill(w.as(w.publisher), &providerv1.BillRequest{App: id[:], Channel: row[0].Channel[:]})
	if err != nil {
		t.Fatal(err)
	}
	if was.CpuMilliSeconds != "10000" || was.Owed != "10000" || was.Claimed != "9000" || was.Vouchered != "10000" || !was.Final || was.Release.GetTotal() != "10000" || !proto.Equal(was.Account, final) {
		t.Errorf("the bill before is %v", was)
	}
	if _, err := (server{w.g}).Bill(w.as(w.publisher), &providerv1.BillRequest{App: id[:], Channel: []byte{1}}); reasonOf(err) != providerv1.Reason_REASON_CHANNEL_NOT_FOUND {
		t.Errorf("a channel of nobody's: %v", err)
	}
}
