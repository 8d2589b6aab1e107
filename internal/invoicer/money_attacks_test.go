// SPDX-License-Identifier: Apache-2.0

package invoicer

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/apocryph/apocryph/api/v1alpha1"
	"github.com/apocryph/apocryph/internal/channel"
	"github.com/apocryph/apocryph/internal/tariff"
)

// Ways to run an app without paying for it, tried where the money is collected.

// An app that owes far more than its deposit is stopped, and the whole deposit is claimed: a total that is too large is no reason to
// collect nothing.
func TestOwingMoreThanTheDepositStopsTheAppAndPays(t *testing.T) {
	for _, deposit := range []uint64{1, 40, 7000} {
		c, s := baseline()
		c.ClaimMin = tariff.Units(1)
		s.seen.Deposited, s.owed, s.voucher = tariff.Units(deposit), tariff.Units(1_000_000), units(1_000_000)
		s.deepen()
		if f := c.fund(s); f == nil || f.status != metav1.ConditionFalse || f.reason != v1alpha1.ReasonExhausted {
			t.Errorf("deposit %d: funded %+v", deposit, f)
		}
		if !c.collect(s).claim {
			t.Errorf("deposit %d: nothing is claimed", deposit)
		}
		after, paid := channel.Spend(s.seen.State, s.terms, *s.voucher, s.at())
		if paid.String() != tariff.Units(deposit).String() {
			t.Errorf("deposit %d: the claim pays %s", deposit, paid)
		}
		// Once it is paid out, nothing runs on what is no more there.
		s.seen.State = after
		s.deepen()
		s.deepen()
		if f := c.fund(s); f == nil || f.status != metav1.ConditionFalse {
			t.Errorf("deposit %d, claimed: funded %+v", deposit, f)
		}
	}
}

// A publisher gives notice between two claims and waits for it to end. Whenever the provider looks, what is due is collected before, or
// the app has stopped and nothing more becomes due.
func TestNoticeDoesNotOutrunTheNextClaim(t *testing.T) {
	c, s := baseline()
	s.voucher, s.owed = units(3), tariff.Units(3) // below what is worth a claim at other times
	s.lastClaim = s.now
	end := s.now.Add(channel.MinNotice)
	s.seen.NoticeEnd = uint64(end.Unix())
	s.deepen()
	claimed := false
	for s.now.Before(end) {
		s.seen.Time = s.now
		s.deepen()
		f := c.fund(s)
		if f == nil {
			t.Fatal("nothing said of the funds under notice")
		}
		stopped := f.status == metav1.ConditionFalse
		if left := end.Sub(s.now); left <= c.NoticeLead && !stopped {
			t.Errorf("%s before the notice's end the app runs on", left)
		}
		claimed = claimed || stopped && c.collect(s).claim
		s.now = s.now.Add(c.Poll)
	}
	if !claimed {
		t.Error("the notice ended, and nothing was claimed")
	}
}

// A channel on which the notice has ended counts for nothing, however much lies in it.
func TestAChannelWithAnEndedNoticeFundsNothing(t *testing.T) {
	for _, ago := range []time.Duration{0, time.Second, 365 * 24 * time.Hour} {
		c, s := baseline()
		s.seen.NoticeEnd, s.seen.Time = uint64(s.now.Add(-ago).Unix()), s.now
		s.deepen()
		if f := c.fund(s); f == nil || f.status != metav1.ConditionFalse || f.reason != v1alpha1.ReasonNotice {
			t.Errorf("ended %s ago: %+v", ago, f)
		}
	}
}

// Whoever holds the gas key signs vouchers and a release with it, and one for another channel with the right key: nothing is sent.
func TestTheGasKeySignsNoVouchers(t *testing.T) {
	w := newWorld(t)
	good := w.voucher(100)
	elsewhere := w.voucher(100)
	elsewhere.Channel = channel.ID{1}.String()
	for what, forged := range map[string]*v1alpha1.Voucher{
		"no signature":           {Channel: good.Channel, Total: "100"},
		"a signature of nothing": {Channel: good.Channel, Total: "100", Signature: make([]byte, 65)},
		"another total":          {Channel: good.Channel, Total: "101", Signature: good.Signature},
		"another channel":        elsewhere,
	} {
		w.signs(func(s *v1alpha1.UsageStatus) { s.Voucher, s.Release = forged, forged })
		w.reconcile()
		if len(w.calls) != 0 {
			t.Fatalf("%s: sent %v", what, w.calls)
		}
	}
	w.signs(func(s *v1alpha1.UsageStatus) { s.Voucher, s.Release = good, nil })
	w.reconcile()
	if len(w.calls) != 1 {
		t.Errorf("the right one: sent %v", w.calls)
	}
}
