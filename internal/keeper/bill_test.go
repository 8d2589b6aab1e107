// SPDX-License-Identifier: Apache-2.0

package keeper

import (
	"fmt"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/apocryph/apocryph/api/v1alpha1"
	"github.com/apocryph/apocryph/internal/account"
	"github.com/apocryph/apocryph/internal/channel"
	"github.com/apocryph/apocryph/internal/delegation"
	orderv1 "github.com/apocryph/apocryph/internal/gen/orderv1"
	"github.com/apocryph/apocryph/internal/tariff"
)

// order replaces the app's spec, as the gateway does.
func (c *cluster) order(app *v1alpha1.App) {
	c.t.Helper()
	var stored v1alpha1.App
	if err := c.client.Get(c.t.Context(), c.key, &stored); err != nil {
		c.t.Fatal(err)
	}
	stored.Spec, stored.Generation = app.Spec, app.Generation
	if err := c.client.Update(c.t.Context(), &stored); err != nil {
		c.t.Fatal(err)
	}
}

// invoicer writes what the invoicer saw.
func (c *cluster) invoicer(change func(*v1alpha1.AppStatus)) {
	c.t.Helper()
	var stored v1alpha1.App
	if err := c.client.Get(c.t.Context(), c.key, &stored); err != nil {
		c.t.Fatal(err)
	}
	if stored.Status.Funds == nil {
		stored.Status.Funds = &v1alpha1.Funds{Deposited: "0", Claimed: "0", SeenAt: metav1.Now()}
	}
	change(&stored.Status)
	if err := c.client.Status().Update(c.t.Context(), &stored); err != nil {
		c.t.Fatal(err)
	}
}

func (c *cluster) sees(app *v1alpha1.App) {
	c.t.Helper()
	c.invoicer(func(s *v1alpha1.AppStatus) { s.Funds.Channel = app.Spec.Channel })
}

func (c *cluster) closed(app *v1alpha1.App, claimed string) {
	c.t.Helper()
	c.invoicer(func(s *v1alpha1.AppStatus) {
		s.Former = append(s.Former, v1alpha1.FormerFunds{Channel: app.Spec.Channel, Deposited: claimed, Claimed: claimed, Closed: true})
	})
}

func (c *cluster) used(seconds int) {
	c.t.Helper()
	c.meter(func(s *v1alpha1.UsageStatus) { s.Totals.CPUMilliSeconds = fmt.Sprint(seconds * 1000) })
}

// total is what a voucher or release is over, if its signature is good.
func (c *cluster) total(v *v1alpha1.Voucher, app *v1alpha1.App, what func(channel.ID) func(tariff.Amount) channel.Digester) string {
	c.t.Helper()
	id, err := channel.ParseID(app.Spec.Channel)
	if err != nil {
		c.t.Fatal(err)
	}
	total := signedTotal(v, id, what(id), c.r.cfg.Domain, c.r.cfg.Keys.Signer())
	if total == nil {
		return "none"
	}
	return total.String()
}

// started is a keeper that has signed for ten seconds on an app's first channel.
func started(t *testing.T) (*world, *cluster, *v1alpha1.App) {
	t.Helper()
	w := newWorld(t)
	app := w.app(t)
	c := newCluster(t, w, app, account0(app))
	c.sees(app)
	c.used(10)
	c.reconcile()
	if got := c.total(c.usage().Voucher, app, voucherOf); got != "10" {
		t.Fatalf("a voucher over %s", got)
	}
	return w, c, app
}

// restart forgets all that the keeper remembers.
func (c *cluster) restart() { c.r.forget(c.key.Name) }

func TestASuccessorPaysOnceItIsSeen(t *testing.T) {
	w, c, first := started(t)
	second := w.successor(t, first)
	c.order(second)
	w.now = w.now.Add(time.Minute)
	c.used(20)
	c.reconcile()
	if got := c.verdict(); got.Reason != ReasonVerified || got.ObservedGeneration != 2 {
		t.Fatalf("verdict %+v", got)
	}
	// It is ordered, but nobody has seen it: the first one pays on, and is not released.
	if u := c.usage(); len(u.Former) != 0 || u.Release != nil || c.total(u.Voucher, first, voucherOf) != "20" {
		t.Fatalf("before it was seen: %+v", u)
	}
	c.sees(second)
	writes := c.applies
	c.used(25)
	c.reconcile()
	u := c.usage()
	if len(u.Former) != 1 || c.total(u.Former[0].Voucher, first, voucherOf) != "25" || c.total(u.Former[0].Release, first, releaseOf) != "25" || u.Voucher != nil || u.Release != nil {
		t.Fatalf("when it was seen: %+v", u)
	}
	if c.applies != writes+1 {
		t.Errorf("it took %d writes", c.applies-writes)
	}
	final, err := account.Verify(&orderv1.SignedAccount{Account: u.Former[0].Account, Signature: u.Former[0].Signature}, w.keeper.cfg.Keys.Signer())
	if err != nil || !final.Final || final.Total.String() != "25" {
		t.Errorf("the first channel's account is %+v, %v", final, err)
	}
	for range 2 { // also by a keeper that has just started
		w.now = w.now.Add(time.Minute)
		c.used(32)
		c.reconcile()
		if got := c.total(c.usage().Voucher, second, voucherOf); got != "7" {
			t.Fatalf("a voucher over %s on the second channel, want 7", got)
		}
		c.restart()
	}
	if u := c.usage(); c.total(u.Former[0].Release, first, releaseOf) != "25" {
		t.Errorf("the release changed: %+v", u.Former[0])
	}
}

// What the first channel could not pay is due on the second one, and its release waits until that is known.
func TestArrearsAreDueOnTheSuccessor(t *testing.T) {
	w, c, first := started(t)
	second := w.successor(t, first)
	c.order(second)
	c.sees(second)
	c.reconcile()
	w.now = w.now.Add(time.Minute)
	c.used(14)
	c.meter(func(s *v1alpha1.UsageStatus) { s.Final = true })
	c.reconcile()
	if u := c.usage(); u.Release != nil || c.total(u.Voucher, second, voucherOf) != "4" {
		t.Fatalf("before the first one is closed: %+v", u)
	}
	c.closed(first, "3")
	w.now = w.now.Add(time.Minute)
	c.reconcile()
	u := c.usage()
	if c.total(u.Voucher, second, voucherOf) != "11" || c.total(u.Release, second, releaseOf) != "11" {
		t.Errorf("after it was closed: voucher %+v, release %+v", u.Voucher, u.Release)
	}
	// What was once fixed is not changed by other words.
	c.invoicer(func(s *v1alpha1.AppStatus) { s.Former[0].Claimed = "0" })
	c.restart()
	c.reconcile()
	if got := c.total(c.usage().Release, second, releaseOf); got != "11" {
		t.Errorf("a release over %s", got)
	}
}

func TestASuccessorOfASuccessor(t *testing.T) {
	w, c, first := started(t)
	second := w.successor(t, first)
	c.order(second)
	c.sees(second)
	c.reconcile()
	w.now = w.now.Add(time.Minute)
	c.used(15)
	c.reconcile()
	third := w.successor(t, second)
	c.order(third)
	c.sees(third)
	c.used(18)
	c.reconcile()
	c.closed(first, "10")
	c.closed(second, "6")
	w.now = w.now.Add(time.Minute)
	c.used(20)
	c.meter(func(s *v1alpha1.UsageStatus) { s.Final = true })
	c.reconcile()
	u := c.usage()
	if len(u.Former) != 2 || c.total(u.Former[0].Release, first, releaseOf) != "10" || c.total(u.Former[1].Release, second, releaseOf) != "8" {
		t.Fatalf("former %+v", u.Former)
	}
	if got := c.total(u.Release, third, releaseOf); got != "4" { // 2 of its own, 2 that the second left
		t.Errorf("a release over %s on the third channel", got)
	}
}

// A stop comes before the successor was ever seen: both are released, the second at nothing.
func TestAStopReleasesASuccessorThatWasNeverSeen(t *testing.T) {
	w, c, first := started(t)
	second := w.successor(t, first)
	c.order(second)
	c.used(12)
	c.meter(func(s *v1alpha1.UsageStatus) { s.Final = true })
	c.reconcile()
	c.closed(first, "12")
	c.reconcile()
	u := c.usage()
	if c.total(u.Former[0].Release, first, releaseOf) != "12" || c.total(u.Release, second, releaseOf) != "0" {
		t.Errorf("former %+v, release %+v", u.Former, u.Release)
	}
}

// The write that ends a bill is lost, and it is not known whether it was: the same bill is written again, not another one.
func TestALostWriteEndsTheBillAtTheSamePlace(t *testing.T) {
	w, c, first := started(t)
	second := w.successor(t, first)
	c.order(second)
	c.reconcile()
	c.sees(second)
	c.fail = apierrors.NewTimeoutError("lost", 1)
	if _, err := c.r.Reconcile(t.Context(), reconcile.Request{NamespacedName: c.key}); err == nil {
		t.Fatal("the lost write went unnoticed")
	}
	c.fail = nil
	c.used(40)
	c.reconcile()
	if u := c.usage(); c.total(u.Former[0].Release, first, releaseOf) != "10" {
		t.Errorf("the bill ends elsewhere: %+v", u.Former[0].Release)
	}
	w.now = w.now.Add(time.Minute)
	c.reconcile()
	if got := c.total(c.usage().Voucher, second, voucherOf); got != "30" {
		t.Errorf("a voucher over %s on the second channel", got)
	}
}

// Somebody else has written the object meanwhile: nothing was let out, so the bill may end later.
func TestAConflictEndsTheBillAnew(t *testing.T) {
	w, c, first := started(t)
	second := w.successor(t, first)
	c.order(second)
	c.reconcile()
	c.sees(second)
	c.fail = apierrors.NewConflict(v1alpha1.SchemeGroupVersion().WithResource("usages").GroupResource(), c.key.Name, nil)
	if _, err := c.r.Reconcile(t.Context(), reconcile.Request{NamespacedName: c.key}); !apierrors.IsConflict(err) {
		t.Fatal(err)
	}
	c.fail = nil
	c.used(12)
	c.reconcile()
	if u := c.usage(); c.total(u.Former[0].Release, first, releaseOf) != "12" {
		t.Errorf("the bill ends at %+v", u.Former[0].Release)
	}
}

func TestVerifyFormer(t *testing.T) {
	for name, tt := range map[string]struct {
		with func(*world, *v1alpha1.App)
		want string
	}{
		"as ordered": {func(*world, *v1alpha1.App) {}, ""},
		"a channel that was not ordered as one before": {func(w *world, _ *v1alpha1.App) {
			w.onOrder = func(s *delegation.Statement) { s.Former = nil }
		}, ReasonFormerInvalid},
		"one that was ordered is left out": {func(w *world, _ *v1alpha1.App) {
			w.onApp = func(a *v1alpha1.App) { a.Spec.Former = nil }
		}, ReasonFormerInvalid},
		"another one in its place": {func(w *world, _ *v1alpha1.App) {
			w.onOrder = func(s *delegation.Statement) { s.Former[0][3] ^= 1 }
		}, ReasonFormerInvalid},
		"terms that are not those of its quote": {func(w *world, _ *v1alpha1.App) {
			w.onApp = func(a *v1alpha1.App) {
				var p orderv1.Terms
				if err := proto.Unmarshal(a.Spec.Former[0].Terms, &p); err != nil {
					panic(err)
				}
				p.Cap = []byte{200}
				a.Spec.Former[0].Terms, _ = proto.Marshal(&p)
			}
		}, ReasonFormerInvalid},
		"a quote of another enclave": {func(w *world, _ *v1alpha1.App) {
			other := newWorld(t)
			w.onApp = func(a *v1alpha1.App) { a.Spec.Former[0].Quote = other.app(t).Spec.Quote }
		}, ReasonFormerInvalid},
		"a name beside it that is another's": {func(w *world, _ *v1alpha1.App) {
			w.onApp = func(a *v1alpha1.App) { a.Spec.Former[0].Channel = a.Spec.Channel }
		}, ReasonFormerInvalid},
		"the present channel before itself": {func(w *world, _ *v1alpha1.App) {
			w.onOrder = func(s *delegation.Statement) { s.Former[0] = s.Channel }
		}, ReasonStatementInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			first := w.app(t)
			tt.with(w, first)
			app := w.successor(t, first)
			_, err := verify(w.keeper.own(), app)
			got := ""
			if err != nil {
				got = reasonOf(err)
			}
			if got != tt.want {
				t.Errorf("reason %q (%v), want %q", got, err, tt.want)
			}
		})
	}
}
