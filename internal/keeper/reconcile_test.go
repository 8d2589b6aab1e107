// SPDX-License-Identifier: Apache-2.0

package keeper

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/apocryph/apocryph/api/v1alpha1"
	"github.com/apocryph/apocryph/internal/channel"
	"github.com/apocryph/apocryph/internal/kube"
	"github.com/apocryph/apocryph/internal/tariff"
)

// cluster is a fake API server that counts what the keeper writes.
type cluster struct {
	t       *testing.T
	client  client.Client
	r       *reconciler
	key     types.NamespacedName
	applies int
	// fail is what comes of every write, if it is set.
	fail error
}

func newCluster(t *testing.T, w *world, objects ...client.Object) *cluster {
	t.Helper()
	c := &cluster{t: t, key: client.ObjectKeyFromObject(objects[0])}
	c.client = fake.NewClientBuilder().WithScheme(kube.Scheme()).WithObjects(objects...).
		WithStatusSubresource(&v1alpha1.App{}, &v1alpha1.Usage{}).
		WithInterceptorFuncs(interceptor.Funcs{
			SubResourceApply: func(ctx context.Context, cl client.Client, sub string, obj runtime.ApplyConfiguration, opts ...client.SubResourceApplyOption) error {
				if c.fail != nil {
					return c.fail
				}
				c.applies++
				return cl.SubResource(sub).Apply(ctx, obj, opts...)
			},
		}).Build()
	c.r = &reconciler{Keeper: w.keeper, client: c.client}
	return c
}

func (c *cluster) reconcile() reconcile.Result {
	c.t.Helper()
	result, err := c.r.Reconcile(c.t.Context(), reconcile.Request{NamespacedName: c.key})
	if err != nil {
		c.t.Fatal(err)
	}
	return result
}

func (c *cluster) verdict() metav1.Condition {
	c.t.Helper()
	var app v1alpha1.App
	if err := c.client.Get(c.t.Context(), c.key, &app); err != nil {
		c.t.Fatal(err)
	}
	v := meta.FindStatusCondition(app.Status.Conditions, v1alpha1.ConditionVerified)
	if v == nil {
		c.t.Fatal("no condition Verified")
	}
	return *v
}

func (c *cluster) usage() v1alpha1.UsageStatus {
	c.t.Helper()
	var u v1alpha1.Usage
	if err := c.client.Get(c.t.Context(), c.key, &u); err != nil {
		c.t.Fatal(err)
	}
	return u.Status
}

// meter changes the account as the meter would.
func (c *cluster) meter(change func(*v1alpha1.UsageStatus)) {
	c.t.Helper()
	var u v1alpha1.Usage
	if err := c.client.Get(c.t.Context(), c.key, &u); err != nil {
		c.t.Fatal(err)
	}
	change(&u.Status)
	if err := c.client.Status().Update(c.t.Context(), &u); err != nil {
		c.t.Fatal(err)
	}
}

func account0(app *v1alpha1.App) *v1alpha1.Usage {
	return &v1alpha1.Usage{ObjectMeta: metav1.ObjectMeta{Namespace: app.Namespace, Name: app.Name}}
}

func TestReconcileSetsVerified(t *testing.T) {
	w := newWorld(t)
	app := w.app(t)
	c := newCluster(t, w, app)
	c.reconcile()
	want := metav1.Condition{
		Type: v1alpha1.ConditionVerified, Status: metav1.ConditionTrue, Reason: ReasonVerified, ObservedGeneration: 1,
		LastTransitionTime: metav1.NewTime(w.now),
	}
	if diff := cmp.Diff(want, c.verdict()); diff != "" {
		t.Errorf("condition (-want +got):\n%s", diff)
	}
	c.reconcile()
	if c.applies != 1 {
		t.Errorf("%d writes of the same verdict", c.applies)
	}
}

func TestReconcileRefusesAndSaysWhy(t *testing.T) {
	w := newWorld(t)
	w.cap = 1
	c := newCluster(t, w, w.app(t))
	c.reconcile()
	if got := c.verdict(); got.Status != metav1.ConditionFalse || got.Reason != ReasonCapTooSmall || got.Message == "" {
		t.Errorf("condition %+v", got)
	}
}

func TestReconcileSignsVouchersAndTheRelease(t *testing.T) {
	w := newWorld(t)
	app := w.app(t)
	c := newCluster(t, w, app, account0(app))
	id, err := channel.ParseID(app.Spec.Channel)
	if err != nil {
		t.Fatal(err)
	}
	check := func(v *v1alpha1.Voucher, total uint64, what func(tariff.Amount) channel.Digester) {
		t.Helper()
		if got := signedTotal(v, id, what, w.keeper.cfg.Domain, w.keeper.cfg.Keys.Signer()); got == nil || !got.Equal(tariff.Units(total)) {
			t.Errorf("signed %+v, want a total of %d", v, total)
		}
	}

	c.reconcile()
	if got := c.usage().Voucher; got != nil {
		t.Errorf("a voucher for nothing: %+v", got)
	}
	c.meter(func(s *v1alpha1.UsageStatus) { s.Totals.CPUMilliSeconds = "5000" })
	c.reconcile()
	check(c.usage().Voucher, 5, voucherOf(id))

	// Soon after, it waits.
	w.now = w.now.Add(time.Second)
	c.meter(func(s *v1alpha1.UsageStatus) { s.Totals.CPUMilliSeconds = "6000" })
	if after := c.reconcile().RequeueAfter; after != time.Second {
		t.Errorf("looks again after %s", after)
	}
	check(c.usage().Voucher, 5, voucherOf(id))
	w.now = w.now.Add(time.Second)
	c.reconcile()
	check(c.usage().Voucher, 6, voucherOf(id))

	// An account that shrinks brings no lower voucher, not even when the last one was taken away.
	w.now = w.now.Add(time.Minute)
	c.meter(func(s *v1alpha1.UsageStatus) { s.Totals.CPUMilliSeconds, s.Voucher = "1000", nil })
	c.reconcile()
	check(c.usage().Voucher, 6, voucherOf(id))

	c.meter(func(s *v1alpha1.UsageStatus) { s.Totals.CPUMilliSeconds, s.Final = "7999", true })
	c.reconcile()
	check(c.usage().Voucher, 7, voucherOf(id))
	check(c.usage().Release, 7, releaseOf(id))
	before, writes := c.usage(), c.applies
	c.meter(func(s *v1alpha1.UsageStatus) { s.Totals.CPUMilliSeconds = "9000" })
	w.now = w.now.Add(time.Minute)
	c.reconcile()
	if diff := cmp.Diff(before, c.usage(), cmpopts.IgnoreFields(v1alpha1.UsageStatus{}, "Totals")); diff != "" || c.applies != writes {
		t.Errorf("signed after the release (-before +after):\n%s", diff)
	}
}

func TestReconcileSignsNothingForARefusedApp(t *testing.T) {
	w := newWorld(t)
	w.cap = 1
	app := w.app(t)
	u := account0(app)
	u.Status = v1alpha1.UsageStatus{Totals: v1alpha1.Totals{CPUMilliSeconds: "5000"}, Final: true}
	c := newCluster(t, w, app, u)
	c.reconcile()
	if got := c.usage(); got.Voucher != nil || got.Release != nil {
		t.Errorf("signed %+v, %+v", got.Voucher, got.Release)
	}
}

func TestReconcileBillsOnWhenALaterSpecIsRefused(t *testing.T) {
	w := newWorld(t)
	app := w.app(t)
	c := newCluster(t, w, app, account0(app))
	c.reconcile()
	var stored v1alpha1.App
	if err := c.client.Get(t.Context(), c.key, &stored); err != nil {
		t.Fatal(err)
	}
	stored.Spec.Manifest, stored.Generation = []byte("rubbish"), 2
	if err := c.client.Update(t.Context(), &stored); err != nil {
		t.Fatal(err)
	}
	c.meter(func(s *v1alpha1.UsageStatus) { s.Totals.CPUMilliSeconds = "5000" })
	c.reconcile()
	if got := c.verdict(); got.Status != metav1.ConditionFalse || got.ObservedGeneration != 2 {
		t.Errorf("condition %+v", got)
	}
	if got := c.usage().Voucher; got == nil || got.Total != "5" {
		t.Errorf("voucher %+v", got)
	}
}

func TestReconcileRefusesAnOlderOrder(t *testing.T) {
	w := newWorld(t)
	c := newCluster(t, w, w.app(t))
	c.reconcile()
	w.sequence--
	older := w.app(t)
	var stored v1alpha1.App
	if err := c.client.Get(t.Context(), c.key, &stored); err != nil {
		t.Fatal(err)
	}
	older.Generation, older.ResourceVersion = 2, stored.ResourceVersion
	if err := c.client.Update(t.Context(), older); err != nil {
		t.Fatal(err)
	}
	c.reconcile()
	if got := c.verdict(); got.Reason != ReasonReplayed {
		t.Errorf("condition %+v", got)
	}
}

func TestReconcileForgetsWhatIsGone(t *testing.T) {
	w := newWorld(t)
	app := w.app(t)
	c := newCluster(t, w, app)
	c.reconcile()
	if err := c.client.Delete(t.Context(), app); err != nil {
		t.Fatal(err)
	}
	c.reconcile()
	if m := w.keeper.recall(app.Name); m.order != nil {
		t.Error("still remembered")
	}
}
