// SPDX-License-Identifier: Apache-2.0

package invoicer

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/apocryph/apocryph/api/v1alpha1"
	"github.com/apocryph/apocryph/internal/account"
	"github.com/apocryph/apocryph/internal/channel"
	orderv1 "github.com/apocryph/apocryph/internal/gen/orderv1"
	"github.com/apocryph/apocryph/internal/ledger"
	"github.com/apocryph/apocryph/internal/metered"
	"github.com/apocryph/apocryph/internal/tariff"
	"github.com/apocryph/apocryph/internal/usage"
)

// row is a chain with several channels, each a contract of its own.
type row []*contract

func (r row) of(id channel.ID) *contract {
	i := slices.IndexFunc(r, func(c *contract) bool { return c.terms.ID(c.domain) == id })
	if i < 0 {
		return r[0]
	}
	return r[i]
}

func (r row) State(ctx context.Context, id channel.ID, final bool) (Seen, error) {
	return r.of(id).State(ctx, id, final)
}

func (r row) Claim(ctx context.Context, claims []Claim) (Spent, error) {
	all := Spent{Paid: map[channel.ID]tariff.Amount{}}
	for _, c := range claims {
		id := c.Terms.ID(r[0].domain)
		spent, err := r.of(id).Claim(ctx, []Claim{c})
		if err != nil {
			return all, err
		}
		all.Paid[id] = spent.Paid[id]
	}
	return all, nil
}

func (r row) Release(ctx context.Context, c Claim) (Spent, error) {
	return r.of(c.Terms.ID(r[0].domain)).Release(ctx, c)
}

// succeed orders the app on another channel, which is not open yet.
func (w *world) succeed() *contract {
	w.t.Helper()
	var app v1alpha1.App
	if err := w.client.Get(w.t.Context(), w.key, &app); err != nil {
		w.t.Fatal(err)
	}
	chain, ok := w.r.chain.(row)
	if !ok {
		chain = row{w.contract}
	}
	var p orderv1.Terms
	if err := proto.Unmarshal(app.Spec.Terms, &p); err != nil {
		w.t.Fatal(err)
	}
	p.Salt[0] += 7
	terms, err := channel.FromProto(&p)
	if err != nil {
		w.t.Fatal(err)
	}
	next := &contract{domain: w.domain, terms: terms, now: w.contract.now}
	chain = append(chain, next)
	w.r.chain = chain
	app.Spec.Former = append(app.Spec.Former, v1alpha1.FormerChannel{Channel: app.Spec.Channel, Terms: app.Spec.Terms, Quote: app.Spec.Quote})
	app.Spec.Channel = terms.ID(w.domain).String()
	if app.Spec.Terms, err = proto.Marshal(&p); err != nil {
		w.t.Fatal(err)
	}
	if err := w.client.Update(w.t.Context(), &app); err != nil {
		w.t.Fatal(err)
	}
	return next
}

func (c *contract) open(deposit uint64) {
	c.state = channel.State{Deposited: tariff.Units(deposit), SpentUntil: uint64(c.now().Unix())}
}

func (c *contract) id() string { return c.terms.ID(c.domain).String() }

// keeps is the keeper's part: it ends the bill of the channel that pays when the funds are another's, and writes down what was left unpaid.
func (w *world) keeps() {
	w.t.Helper()
	var app v1alpha1.App
	if err := w.client.Get(w.t.Context(), w.key, &app); err != nil {
		w.t.Fatal(err)
	}
	channels, err := metered.Row(app.Spec)
	if err != nil {
		w.t.Fatal(err)
	}
	w.signs(func(s *v1alpha1.UsageStatus) {
		book, err := metered.Book(channels, *s)
		if err != nil {
			w.t.Fatal(err)
		}
		used, err := metered.Accrued(*s)
		if err != nil {
			w.t.Fatal(err)
		}
		var payers []ledger.Payer
		place := book.Len()
		for i, c := range channels {
			payers = append(payers, c.Payer)
			if app.Status.Funds != nil && app.Status.Funds.Channel == c.Channel.String() {
				place = max(place, i)
			}
		}
		ends := map[channel.ID]ledger.Closing{}
		for _, f := range app.Status.Former {
			if claimed, err := tariff.ParseAmount(f.Claimed); err == nil && f.Closed {
				ends[idOf(f.Channel)] = ledger.Closing{Claimed: claimed, Most: tariff.Units(1 << 60)}
			}
		}
		book = book.Follow(payers, place, ledger.Moment{Used: used}).Settle(payers[max(place, book.Len())], ends)
		s.Former = nil
		for i, line := range book.Lines() {
			s.Former = append(s.Former, w.line(channels[i], line))
		}
		now := book.Now(payers[book.Len()], used, time.Time{})
		s.Voucher, s.Release = nil, nil
		if !now.Total.IsZero() {
			s.Voucher = w.paper(channel.Voucher{Channel: now.Channel, Total: now.Total}, now.Channel, now.Total)
		}
		if s.Final && book.Settled() {
			s.Release = w.paper(channel.Release{Channel: now.Channel, Total: now.Total}, now.Channel, now.Total)
		}
	})
}

func (w *world) paper(what channel.Digester, on channel.ID, total tariff.Amount) *v1alpha1.Voucher {
	v := w.signed(what, 0)
	v.Channel, v.Total = on.String(), total.String()
	return v
}

func (w *world) line(on metered.Channel, line ledger.Line) v1alpha1.FormerAccount {
	w.t.Helper()
	id, total := on.Channel, line.Account.Total
	signed, err := account.Sign(line.Account, w.signer)
	if err != nil {
		w.t.Fatal(err)
	}
	f := v1alpha1.FormerAccount{
		Channel: id.String(), Account: signed.Account, Signature: signed.Signature,
		Release: w.paper(channel.Release{Channel: id, Total: total}, id, total),
	}
	if !total.IsZero() {
		f.Voucher = w.paper(channel.Voucher{Channel: id, Total: total}, id, total)
	}
	if line.Arrears != nil {
		arrears, err := account.SignArrears(*line.Arrears, w.signer)
		if err != nil {
			w.t.Fatal(err)
		}
		if f.Arrears, err = proto.Marshal(arrears); err != nil {
			w.t.Fatal(err)
		}
	}
	return f
}

func (w *world) used(seconds int64) {
	w.t.Helper()
	w.signs(func(s *v1alpha1.UsageStatus) {
		s.Totals.CPUMilliSeconds = usage.Rate{MilliCPU: 1000}.For(seconds).CPU.String()
	})
}

// A successor is ordered, seen, followed; the one before is settled while the app goes on; the stop settles the rest. Each unit is claimed once.
func TestALifeOnTwoChannels(t *testing.T) {
	w := newWorld(t)
	w.used(100)
	w.keeps()
	w.reconcile()
	second := w.succeed()
	w.used(130)
	w.keeps()
	w.reconcile()
	// Nobody has seen it open: the first one pays on.
	w.wantCondition(v1alpha1.ConditionFunded, metav1.ConditionTrue, v1alpha1.ReasonFunded)
	if got := w.status(); got.Funds.Channel != w.id() || len(got.Former) != 0 {
		t.Fatalf("it follows a channel that is not open: %+v", got)
	}
	second.open(20_000)
	w.reconcile()
	w.wantCondition(v1alpha1.ConditionFunded, metav1.ConditionTrue, v1alpha1.ReasonFunded)
	if got := w.status(); got.Funds.Channel != second.id() || got.Funds.Deposited != "20000" || len(got.Former) != 1 || got.Former[0].Closed {
		t.Fatalf("it does not follow: %+v, %+v", got.Funds, got.Former)
	}
	if slices.Contains(w.calls, "release 130") {
		t.Fatal("released before the keeper signed")
	}
	w.keeps()
	w.used(180)
	w.keeps()
	w.now = w.now.Add(time.Hour)
	w.reconcile()
	w.wantCondition(v1alpha1.ConditionFunded, metav1.ConditionTrue, v1alpha1.ReasonFunded)
	want := []v1alpha1.FormerFunds{{Channel: w.id(), Deposited: "10000", Claimed: "130", Refunded: "9870", Closed: true}}
	if diff := cmp.Diff(want, w.status().Former); diff != "" {
		t.Errorf("the channel before (-want +got):\n%s", diff)
	}
	if meta.FindStatusCondition(w.status().Conditions, v1alpha1.ConditionSettled) != nil {
		t.Error("an app that runs is called settled, or settling")
	}
	w.signs(func(s *v1alpha1.UsageStatus) { s.Final = true })
	w.keeps()
	w.now = w.now.Add(time.Hour)
	if after := w.reconcile().RequeueAfter; after != 0 {
		t.Errorf("looks again after %s at closed channels", after)
	}
	w.wantCondition(v1alpha1.ConditionSettled, metav1.ConditionTrue, ReasonSettled)
	if got := meta.FindStatusCondition(w.status().Conditions, v1alpha1.ConditionSettled).Message; got != "180 claimed, 29820 refunded" {
		t.Errorf("settled: %s", got)
	}
	if first, second := w.state.Claimed.String(), second.state.Claimed.String(); first != "130" || second != "50" {
		t.Errorf("%s claimed on the first channel and %s on the second", first, second)
	}
}

// The first channel holds too little for what is owed on it. The second one counts that from the start, and pays it.
func TestArrearsFollowTheApp(t *testing.T) {
	w := newWorld(t)
	w.state.Deposited = tariff.Units(1000)
	w.used(1300)
	w.keeps()
	w.reconcile()
	w.wantCondition(v1alpha1.ConditionFunded, metav1.ConditionFalse, v1alpha1.ReasonExhausted)
	second := w.succeed()
	second.open(301)
	w.reconcile()
	// One unit beyond the arrears brings nobody back.
	w.wantCondition(v1alpha1.ConditionFunded, metav1.ConditionFalse, v1alpha1.ReasonExhausted)
	second.state.Deposited = tariff.Units(20_000)
	w.reconcile()
	w.wantCondition(v1alpha1.ConditionFunded, metav1.ConditionTrue, v1alpha1.ReasonFunded)
	for range 3 {
		w.keeps()
		w.now = w.now.Add(time.Hour)
		w.reconcile()
	}
	if first, second := w.state.Claimed.String(), second.state.Claimed.String(); first != "1000" || second != "300" {
		t.Errorf("%s claimed on the first channel and %s on the second", first, second)
	}
	all, err := Earnings(t.Context(), w.client, w.key.Namespace)
	if err != nil {
		t.Fatal(err)
	}
	var said []string
	for _, e := range all {
		said = append(said, fmt.Sprintf("%t owed %s claimed %s due %s uncovered %s", e.Former, e.Owed, e.Claimed, e.Due, e.Uncovered))
	}
	if diff := cmp.Diff([]string{"true owed 1000 claimed 1000 due 0 uncovered 0", "false owed 300 claimed 300 due 0 uncovered 0"}, said); diff != "" {
		t.Errorf("earnings (-want +got):\n%s", diff)
	}
}

// The successor goes away again by a fork of the chain, before or after it was followed: nothing is torn down, and what is owed stays owed.
func TestASuccessorThatAForkTakesAway(t *testing.T) {
	for what, followed := range map[string]bool{"before it was followed": false, "after it was followed": true} {
		t.Run(what, func(t *testing.T) {
			w := newWorld(t)
			w.used(100)
			w.keeps()
			w.reconcile()
			second := w.succeed()
			second.open(20_000)
			was := second.state
			if followed {
				w.reconcile()
				w.keeps()
			}
			second.state = channel.State{}
			w.reconcile()
			w.wantCondition(v1alpha1.ConditionFunded, metav1.ConditionTrue, v1alpha1.ReasonFunded)
			if got := w.status().Funds.Channel == second.id(); got != followed {
				t.Errorf("it follows the second channel: %t", got)
			}
			if followed {
				w.now = w.now.Add(time.Hour)
				w.reconcile()
				w.wantCondition(v1alpha1.ConditionFunded, metav1.ConditionUnknown, v1alpha1.ReasonChainUnseen)
			}
			second.state = was
			w.used(150)
			w.reconcile()
			w.keeps()
			w.now = w.now.Add(time.Hour)
			w.reconcile()
			w.wantCondition(v1alpha1.ConditionFunded, metav1.ConditionTrue, v1alpha1.ReasonFunded)
			if sum := w.state.Claimed.Add(second.state.Claimed); sum.String() != "150" {
				t.Errorf("%s claimed in all", sum)
			}
		})
	}
}

// What was signed on each channel that is open is exported, so that it can be claimed without the enclave.
func TestPapersOfEachChannel(t *testing.T) {
	w := newWorld(t)
	w.used(100)
	w.keeps()
	w.reconcile()
	second := w.succeed()
	papers := func() (said []string) {
		t.Helper()
		all, err := Papers(t.Context(), w.client, w.key.Namespace, w.domain)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range all {
			if _, _, err := p.Check(w.domain); err != nil {
				t.Error(err)
			}
			n := 1
			if p.Channel == second.id() {
				n = 2
			}
			line := fmt.Sprintf("channel %d", n)
			if p.Voucher != nil {
				line += " voucher " + p.Voucher.Total.String()
			}
			if p.Release != nil {
				line += " release " + p.Release.Total.String()
			}
			said = append(said, line)
		}
		return said
	}
	if diff := cmp.Diff([]string{"channel 1 voucher 100"}, papers()); diff != "" {
		t.Errorf("before it is followed (-want +got):\n%s", diff)
	}
	second.open(20_000)
	w.reconcile()
	w.keeps()
	w.used(120)
	w.keeps()
	if diff := cmp.Diff([]string{"channel 1 voucher 100 release 100", "channel 2 voucher 20"}, papers()); diff != "" {
		t.Errorf("after (-want +got):\n%s", diff)
	}
	w.reconcile()
	if diff := cmp.Diff([]string{"channel 2 voucher 20"}, papers()); diff != "" {
		t.Errorf("after the first is closed (-want +got):\n%s", diff)
	}
}
