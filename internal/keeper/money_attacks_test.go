// SPDX-License-Identifier: Apache-2.0

package keeper

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/apocryph/apocryph/api/v1alpha1"
	"github.com/apocryph/apocryph/internal/account"
	"github.com/apocryph/apocryph/internal/channel"
	orderv1 "github.com/apocryph/apocryph/internal/gen/orderv1"
	"github.com/apocryph/apocryph/internal/tariff"
)

// Whoever writes to etcd in the meter's place gets a signature for no more than the cap pays for by then, and nothing that grows after the
// account is put right: neither a voucher nor the release.
func TestInflatedUsageIsSignedUpToTheCap(t *testing.T) {
	w := newWorld(t)
	app := w.app(t)
	c := newCluster(t, w, app, account0(app))
	c.reconcile()
	// The quote is good for another minute, so it was signed an hour before that at the earliest.
	most := tariff.Units(w.cap * 59 * 60)
	c.meter(func(s *v1alpha1.UsageStatus) { s.Totals.CPUMilliSeconds = "1" + strings.Repeat("0", 50) })
	c.reconcile()
	if got := c.usage().Voucher; got == nil || got.Total != most.String() {
		t.Fatalf("voucher %+v, want a total of %s", got, most)
	}
	c.meter(func(s *v1alpha1.UsageStatus) { s.Totals.CPUMilliSeconds = "5000" })
	w.now = w.now.Add(time.Hour)
	c.reconcile()
	c.meter(func(s *v1alpha1.UsageStatus) { s.Final = true })
	c.reconcile()
	if got := c.usage(); got.Voucher.Total != most.String() || got.Release == nil || got.Release.Total != most.String() {
		t.Errorf("voucher %+v and release %+v, want totals of %s", got.Voucher, got.Release, most)
	}
}

// The gateway, or whoever writes to etcd, has another row of channels in the spec than the publisher ordered, after a restart of the keeper.
func TestARowOfChannelsThatNobodyOrderedIsNotBilled(t *testing.T) {
	for what, edit := range map[string]func(first, second *v1alpha1.App){
		"the channel before is left out":       func(_, second *v1alpha1.App) { second.Spec.Former = nil },
		"the order on the first channel again": func(first, second *v1alpha1.App) { second.Spec = first.Spec },
		"the two change places": func(first, second *v1alpha1.App) {
			before := v1alpha1.FormerChannel{Channel: second.Spec.Channel, Terms: second.Spec.Terms, Quote: second.Spec.Quote}
			second.Spec.Channel, second.Spec.Terms, second.Spec.Quote = first.Spec.Channel, first.Spec.Terms, first.Spec.Quote
			second.Spec.Former = []v1alpha1.FormerChannel{before}
		},
	} {
		t.Run(what, func(t *testing.T) {
			w, c, first := started(t)
			second := w.successor(t, first)
			c.order(second)
			c.sees(second)
			c.reconcile()
			w.now = w.now.Add(time.Minute)
			c.used(30)
			c.reconcile()
			before := c.usage()
			swapped := second.DeepCopy()
			edit(first, swapped)
			swapped.Generation++
			c.order(swapped)
			c.restart()
			w.now = w.now.Add(time.Minute)
			c.used(90)
			c.reconcile()
			if got := c.verdict(); got.Status != metav1.ConditionFalse {
				t.Errorf("verdict %+v", got)
			}
			if diff := cmp.Diff(before, c.usage(), cmpopts.IgnoreFields(v1alpha1.UsageStatus{}, "Totals")); diff != "" {
				t.Errorf("signed all the same (-before +after):\n%s", diff)
			}
		})
	}
}

// A publisher orders back to a channel that was followed by another: with an honest row, and with the row of before.
func TestNobodyOrdersBackToAFormerChannel(t *testing.T) {
	for what, row := range map[string]func(first, second *v1alpha1.App) []*v1alpha1.App{
		"as if there had been no other": func(_, _ *v1alpha1.App) []*v1alpha1.App { return nil },
		"as the successor of the other": func(_, second *v1alpha1.App) []*v1alpha1.App { return []*v1alpha1.App{second} },
	} {
		t.Run(what, func(t *testing.T) {
			w, c, first := started(t)
			second := w.successor(t, first)
			c.order(second)
			c.sees(second)
			c.reconcile()
			w.former, w.channelSalt, w.sequence = row(first, second), w.channelSalt-1, w.sequence+1
			back := w.app(t)
			if back.Spec.Channel != first.Spec.Channel {
				t.Fatal("this orders another channel")
			}
			back.Generation = 3
			c.order(back)
			c.reconcile()
			if got := c.verdict(); got.Reason != ReasonChannelChanged {
				t.Errorf("verdict %+v", got)
			}
			c.restart()
			c.reconcile()
			if got := c.verdict(); got.Status != metav1.ConditionFalse {
				t.Errorf("after a restart: %+v", got)
			}
		})
	}
}

// Whoever writes to etcd changes where the bill of a channel ended. A keeper that runs writes it again as it was; one that has just started signs
// nothing, because it can't know.
func TestWhereABillEndedIsNotChangedByOthers(t *testing.T) {
	for what, edit := range map[string]func(w *world, s *v1alpha1.UsageStatus){
		"the account is gone": func(_ *world, s *v1alpha1.UsageStatus) { s.Former = nil },
		"another account":     func(_ *world, s *v1alpha1.UsageStatus) { s.Former[0].Account[5] ^= 1 },
		"another channel's account": func(w *world, s *v1alpha1.UsageStatus) {
			signed, err := account.Sign(account.Account{Channel: channel.ID{9}, Final: true}, w.keeper.cfg.Keys.voucher)
			if err != nil {
				panic(err)
			}
			s.Former[0].Account, s.Former[0].Signature = signed.Account, signed.Signature
		},
		"an account that was not final": func(w *world, s *v1alpha1.UsageStatus) {
			a, err := account.Parse(&orderv1.SignedAccount{Account: s.Former[0].Account, Signature: s.Former[0].Signature})
			if err != nil {
				panic(err)
			}
			a.Final = false
			signed, err := account.Sign(a, w.keeper.cfg.Keys.voucher) // as it was signed for somebody who asked
			if err != nil {
				panic(err)
			}
			s.Former[0].Account, s.Former[0].Signature = signed.Account, signed.Signature
		},
		"made-up arrears": func(_ *world, s *v1alpha1.UsageStatus) { s.Former[0].Arrears = []byte{1, 2} },
	} {
		t.Run(what, func(t *testing.T) {
			w, c, first := started(t)
			second := w.successor(t, first)
			c.order(second)
			c.sees(second)
			c.reconcile()
			w.now = w.now.Add(time.Minute)
			c.used(15)
			c.reconcile()
			good := c.usage()
			bad := func() { c.meter(func(s *v1alpha1.UsageStatus) { edit(w, s); s.Totals.CPUMilliSeconds = "90000" }) }
			bad()
			c.reconcile()
			if diff := cmp.Diff(good.Former, c.usage().Former); diff != "" {
				t.Errorf("it was not written again (-want +got):\n%s", diff)
			}
			before := c.usage().Voucher
			bad()
			c.restart()
			w.now = w.now.Add(time.Minute)
			c.used(200)
			c.reconcile()
			if got := c.verdict(); got.Reason != ReasonChannelChanged {
				t.Errorf("nobody is told: %+v", got)
			}
			if diff := cmp.Diff(before, c.usage().Voucher); diff != "" {
				t.Errorf("signed all the same (-before +after):\n%s", diff)
			}
		})
	}
}

// An invoicer that is taken over says that channels were closed and paid nothing: what is owed a second time by that is no more than was owed.
func TestMadeUpArrearsAreBounded(t *testing.T) {
	w, c, first := started(t)
	second := w.successor(t, first)
	c.order(second)
	c.sees(second)
	c.reconcile()
	c.closed(first, "0")
	c.closed(second, "0")
	w.now = w.now.Add(time.Minute)
	c.reconcile()
	if got := c.total(c.usage().Voucher, second, voucherOf); got != "10" {
		t.Errorf("a voucher over %s, and 10 were owed", got)
	}
}

// Usage that somebody made up before the switch is not owed on every channel that comes after it.
func TestInflatedUsageDoesNotFollow(t *testing.T) {
	w, c, first := started(t)
	second := w.successor(t, first)
	c.order(second)
	c.meter(func(s *v1alpha1.UsageStatus) { s.Totals.CPUMilliSeconds = "1" + strings.Repeat("0", 50) })
	c.sees(second)
	c.reconcile()
	most := tariff.Units(w.cap * 59 * 60).String()
	if u := c.usage(); u.Former[0].Release.Total != most {
		t.Fatalf("a release over %s", u.Former[0].Release.Total)
	}
	c.closed(first, most)
	w.now = w.now.Add(time.Minute)
	c.reconcile()
	allowed := tariff.Units(w.cap * 60) // what the cap lets through in the minute since
	if v := c.usage().Voucher; v != nil && v.Total != allowed.String() {
		t.Errorf("%s are owed on the second channel", v.Total)
	}
}
