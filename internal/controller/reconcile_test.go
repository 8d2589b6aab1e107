// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/apocryph/apocryph/api/v1alpha1"
	manifestv1 "github.com/apocryph/apocryph/internal/gen/manifestv1"
	"github.com/apocryph/apocryph/internal/kube"
	"github.com/apocryph/apocryph/internal/kube/kubetest"
	"github.com/apocryph/apocryph/internal/manifest"
)

// world is an API server without controllers, in which the test plays everybody else.
type world struct {
	t   *testing.T
	c   client.WithWatch
	r   *Reconciler
	now time.Time
	key client.ObjectKey
	// slow has new volumes await their content until the test provides it.
	slow bool
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, now: moment(0), key: client.ObjectKey{Namespace: "apocryph-system", Name: "theapp"}}
	w.c = fake.NewClientBuilder().WithScheme(kube.Scheme()).WithStatusSubresource(&v1alpha1.App{}).WithTypeConverters(kubetest.Converters(t, "App", "apocryph.network_apps.yaml")...).Build()
	w.r = &Reconciler{
		client: w.c, log: slog.New(slog.DiscardHandler), now: func() time.Time { return w.now },
		listen: func(string) {}, forget: func(string) {},
		cfg: Config{
			Namespace: "apocryph-system", ImagePrefix: "localhost:5100", Image: "apocryphd:1", PublicScheme: "http",
			ChainAllowance: time.Hour, Retention: 24 * time.Hour,
		},
	}
	return w
}

func service(name string, mounts ...string) *manifestv1.Service {
	s := &manifestv1.Service{
		Name: name, Digest: "sha256:" + strings.Repeat("0", 64),
		Resources: &manifestv1.Resources{MilliCpu: 100, MemoryBytes: 64 << 20, EphemeralBytes: 64 << 20},
	}
	for _, m := range mounts {
		s.Mounts = append(s.Mounts, &manifestv1.Mount{Volume: m, Path: "/" + m})
	}
	return s
}

func shop(services ...*manifestv1.Service) *manifestv1.Manifest {
	m := &manifestv1.Manifest{Name: "shop", Services: services}
	for _, s := range services {
		for _, mount := range s.GetMounts() {
			m.Volumes = append(m.Volumes, &manifestv1.Volume{Name: mount.GetVolume(), SizeBytes: 16 << 20})
		}
	}
	return m
}

// order creates or updates the App, as the gateway does.
func (w *world) order(m *manifestv1.Manifest, change ...func(*v1alpha1.App)) {
	w.t.Helper()
	b, err := manifest.Encode(m)
	if err != nil {
		w.t.Fatal(err)
	}
	hash, err := manifest.HashOf(m)
	if err != nil {
		w.t.Fatal(err)
	}
	app := &v1alpha1.App{ObjectMeta: metav1.ObjectMeta{
		Namespace: w.key.Namespace, Name: w.key.Name, Generation: 1, Finalizers: []string{v1alpha1.FinalizerChannel},
	}}
	err = w.c.Get(w.t.Context(), w.key, app)
	app.Spec.Manifest, app.Spec.ManifestHash = b, hash.String()
	if apierrors.IsNotFound(err) {
		w.must(w.c.Create(w.t.Context(), app))
		return
	}
	w.must(err)
	app.Generation++
	for _, c := range change {
		c(app)
	}
	w.must(w.c.Update(w.t.Context(), app))
}

// say applies another service's conditions.
func (w *world) say(owner string, conditions ...metav1.Condition) {
	w.t.Helper()
	for i := range conditions {
		conditions[i].ObservedGeneration = w.app().Generation
		conditions[i].LastTransitionTime = metav1.NewTime(w.now)
	}
	w.must(kube.ApplyStatus(w.t.Context(), w.c, &v1alpha1.App{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.key.Namespace, Name: w.key.Name},
		Status:     v1alpha1.AppStatus{Conditions: conditions},
	}, owner))
}

func is(kind string, status metav1.ConditionStatus, reason string) metav1.Condition {
	return metav1.Condition{Type: kind, Status: status, Reason: reason}
}

func (w *world) verify() {
	w.say("keeper", is(v1alpha1.ConditionVerified, metav1.ConditionTrue, "Verified"))
}

func (w *world) fund(status metav1.ConditionStatus, reason string) {
	w.say("invoicer", is(v1alpha1.ConditionFunded, status, reason))
}

func (w *world) app() *v1alpha1.App {
	w.t.Helper()
	app := &v1alpha1.App{}
	w.must(w.c.Get(w.t.Context(), w.key, app))
	return app
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) reconcile() reconcile.Result {
	w.t.Helper()
	for {
		result, err := w.r.Reconcile(w.t.Context(), reconcile.Request{NamespacedName: w.key})
		w.must(err)
		if w.slow || !w.fill(batchv1.JobComplete) {
			return result
		}
	}
}

// fill ends the Jobs at work that bring new volumes their content, and reports whether there were any.
func (w *world) fill(how batchv1.JobConditionType) bool {
	w.t.Helper()
	any := false
	for _, j := range w.fills() {
		if done, failed := outcome(&j); done || failed || suspended(&j) {
			continue
		}
		any = true
		j.Status.Conditions = append(j.Status.Conditions, batchv1.JobCondition{Type: how, Status: corev1.ConditionTrue})
		w.must(w.c.Status().Update(w.t.Context(), &j))
	}
	return any
}

func (w *world) fills() []batchv1.Job {
	w.t.Helper()
	var jobs batchv1.JobList
	w.must(w.c.List(w.t.Context(), &jobs, client.InNamespace(v1alpha1.Namespace(w.key.Name)), client.HasLabels{labelFill}))
	return jobs.Items
}

func (w *world) exists(obj client.Object, name string) bool {
	w.t.Helper()
	key := client.ObjectKey{Namespace: v1alpha1.Namespace(w.key.Name), Name: name}
	if _, ok := obj.(*corev1.Namespace); ok {
		key = client.ObjectKey{Name: v1alpha1.Namespace(w.key.Name)}
	}
	err := w.c.Get(w.t.Context(), key, obj)
	if apierrors.IsNotFound(err) {
		return false
	}
	w.must(err)
	return true
}

func (w *world) replicas(service string) int32 {
	w.t.Helper()
	d := &appsv1.Deployment{}
	if !w.exists(d, service) {
		return -1
	}
	return *d.Spec.Replicas
}

// settle plays the Deployment controller.
func (w *world) settle(service string) {
	w.t.Helper()
	d := &appsv1.Deployment{}
	w.exists(d, service)
	n := *d.Spec.Replicas
	d.Status = appsv1.DeploymentStatus{ObservedGeneration: d.Generation, Replicas: n, ReadyReplicas: n, AvailableReplicas: n, UpdatedReplicas: n}
	w.must(w.c.Status().Update(w.t.Context(), d))
}

func (w *world) phase(want v1alpha1.Phase) {
	w.t.Helper()
	if got := w.app().Status.Phase; got != want {
		w.t.Errorf("phase is %s, want %s", got, want)
	}
}

func TestNothingIsMadeBeforeItIsVerified(t *testing.T) {
	w := newWorld(t)
	w.order(shop(service("web")))
	w.fund(metav1.ConditionTrue, v1alpha1.ReasonFunded)
	w.reconcile()
	w.phase(v1alpha1.PhasePending)
	if w.exists(&corev1.Namespace{}, "") || made(w.app()) {
		t.Error("something was made")
	}
	w.say("keeper", is(v1alpha1.ConditionVerified, metav1.ConditionFalse, "Forged"))
	w.reconcile()
	if w.exists(&corev1.Namespace{}, "") {
		t.Error("something was made of a forged order")
	}
}

func TestAnAppsLife(t *testing.T) {
	w := newWorld(t)
	w.order(shop(service("db", "data"), service("web")))
	w.verify()
	w.reconcile()
	if got := w.replicas("web"); got != 0 {
		t.Errorf("%d replicas before the channel was seen, want 0", got)
	}
	w.phase(v1alpha1.PhasePending)

	w.fund(metav1.ConditionTrue, v1alpha1.ReasonFunded)
	w.reconcile()
	if got := w.replicas("web"); got != 1 {
		t.Errorf("%d replicas when funded, want 1", got)
	}
	w.phase(v1alpha1.PhaseStarting)
	w.settle("web")
	w.settle("db")
	w.reconcile()
	w.phase(v1alpha1.PhaseReady)
	if !meta.IsStatusConditionTrue(w.app().Status.Conditions, v1alpha1.ConditionVerified) {
		t.Error("the controller's status took the keeper's condition away")
	}

	w.fund(metav1.ConditionFalse, v1alpha1.ReasonExhausted)
	w.reconcile()
	if got := w.replicas("db"); got != 0 {
		t.Errorf("%d replicas when exhausted, want 0", got)
	}
	w.phase(v1alpha1.PhaseSuspended)
	if !w.exists(&corev1.PersistentVolumeClaim{}, "data") {
		t.Error("the volume is gone")
	}
	w.fund(metav1.ConditionTrue, v1alpha1.ReasonFunded)
	w.reconcile()
	if got := w.replicas("db"); got != 1 {
		t.Errorf("%d replicas when funded again, want 1", got)
	}
}

func TestAnUpdateTouchesOnlyWhatChanged(t *testing.T) {
	w := newWorld(t)
	w.order(shop(service("db", "data"), service("old"), service("web")))
	w.verify()
	w.fund(metav1.ConditionTrue, v1alpha1.ReasonFunded)
	w.reconcile()
	version := func(name string) string {
		d := &appsv1.Deployment{}
		w.exists(d, name)
		return d.ResourceVersion
	}
	db, web := version("db"), version("web")

	// A new controller that would render everything otherwise restarts nobody.
	w.r.cfg.ImagePrefix = "elsewhere:1"
	w.reconcile()
	if version("db") != db || version("web") != web {
		t.Error("a running app was touched without an order")
	}

	changed := service("web")
	changed.Command = []string{"serve"}
	next := shop(service("db"), changed)
	w.order(next)
	w.reconcile()
	if version("web") != web || !w.exists(&appsv1.Deployment{}, "old") {
		t.Error("an order took effect before it was verified")
	}
	w.verify()
	w.reconcile()
	if version("web") == web {
		t.Error("the changed service was not updated")
	}
	if w.exists(&appsv1.Deployment{}, "old") || w.exists(&corev1.Service{}, "old") {
		t.Error("a service that left the manifest is still there")
	}
	if !w.exists(&corev1.PersistentVolumeClaim{}, "data") {
		t.Error("the data of a volume that left the manifest is gone")
	}
	q := &corev1.ResourceQuota{}
	w.exists(q, quotaName)
	if n := q.Spec.Hard[corev1.ResourcePersistentVolumeClaims]; n.Value() != 1 {
		t.Errorf("the quota has room for %d claims, want 1 for the one that is kept", n.Value())
	}
	if got := w.replicas("web"); got != 1 {
		t.Errorf("the update left %d replicas, want 1", got)
	}
}

func TestAQuotaShrinksOnlyAfterTheUpdate(t *testing.T) {
	w := newWorld(t)
	big := service("web")
	big.Resources.MemoryBytes = 1 << 30
	w.order(shop(big))
	w.verify()
	w.fund(metav1.ConditionTrue, v1alpha1.ReasonFunded)
	w.reconcile()
	memory := func() int64 {
		q := &corev1.ResourceQuota{}
		w.exists(q, quotaName)
		n := q.Spec.Hard["requests.memory"]
		return n.Value()
	}
	w.settle("web")
	w.order(shop(service("web")))
	w.verify()
	d := &appsv1.Deployment{}
	w.exists(d, "web")
	d.Status.UpdatedReplicas = 0
	w.must(w.c.Status().Update(t.Context(), d))
	w.reconcile()
	if got := memory(); got != 2<<30 {
		t.Errorf("quota of %d bytes during the update, want the old one", got)
	}
	w.settle("web")
	w.reconcile()
	if got := memory(); got != 2*64<<20 {
		t.Errorf("quota of %d bytes after the update, want the new one", got)
	}
}

func TestTheEnd(t *testing.T) {
	w := newWorld(t)
	w.order(shop(service("db", "data")))
	w.verify()
	w.fund(metav1.ConditionTrue, v1alpha1.ReasonFunded)
	w.reconcile()
	w.settle("db")
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: v1alpha1.Namespace(w.key.Name), Name: "p"}}
	w.must(w.c.Create(t.Context(), pod))
	stopped := func() bool {
		return meta.IsStatusConditionTrue(w.app().Status.Conditions, v1alpha1.ConditionStopped)
	}

	w.order(shop(service("db", "data")), stopOrdered)
	w.reconcile()
	if w.app().Status.EndReason != "" || w.replicas("db") != 1 {
		t.Fatal("a stop took effect before it was verified")
	}
	w.verify()
	w.reconcile()
	if diff := cmp.Diff(v1alpha1.EndStoppedByPublisher, w.app().Status.EndReason); diff != "" || w.replicas("db") != 0 {
		t.Errorf("%d replicas, reason (-want +got):\n%s", w.replicas("db"), diff)
	}
	w.settle("db")
	w.reconcile()
	if stopped() || !w.exists(&corev1.PersistentVolumeClaim{}, "data") {
		t.Error("stopped while there is a pod")
	}

	w.must(w.c.Delete(t.Context(), pod))
	w.reconcile()
	claim := &corev1.PersistentVolumeClaim{}
	if !stopped() || !w.exists(claim, "data") || claim.DeletionTimestamp.IsZero() {
		t.Error("without pods: not stopped, or the volume is not being deleted")
	}
	w.say("invoicer", is(v1alpha1.ConditionFunded, metav1.ConditionFalse, v1alpha1.ReasonClosed), is(v1alpha1.ConditionSettled, metav1.ConditionTrue, "Released"))
	w.reconcile()
	if !w.exists(&corev1.Namespace{}, "") {
		t.Error("the namespace went before the meter let the volume go")
	}
	claim.Finalizers = nil
	w.must(w.c.Update(t.Context(), claim))
	w.reconcile()
	if w.exists(&corev1.Namespace{}, "") {
		t.Error("the namespace is still there")
	}
	w.phase(v1alpha1.PhaseEnding)
	w.reconcile()
	w.phase(v1alpha1.PhaseEnded)

	w.now = w.now.Add(23 * time.Hour)
	if result := w.reconcile(); result.RequeueAfter != time.Hour {
		t.Errorf("looks again after %s, want in an hour", result.RequeueAfter)
	}
	w.now = w.now.Add(time.Hour)
	w.reconcile()
	if err := w.c.Get(t.Context(), w.key, &v1alpha1.App{}); !apierrors.IsNotFound(err) {
		t.Errorf("the App is still there: %v", err)
	}
	w.reconcile()
}

func TestATerminatingNamespaceIsWaitedFor(t *testing.T) {
	w := newWorld(t)
	w.order(shop(service("web")))
	w.verify()
	w.fund(metav1.ConditionTrue, v1alpha1.ReasonFunded)
	w.reconcile()
	w.settle("web")
	w.order(shop(service("web")), stopOrdered)
	w.verify()
	w.reconcile()
	w.settle("web")
	w.reconcile()
	ns := &corev1.Namespace{}
	w.exists(ns, "")
	ns.Finalizers = []string{"example.org/slow"}
	w.must(w.c.Update(t.Context(), ns))
	w.say("invoicer", is(v1alpha1.ConditionSettled, metav1.ConditionTrue, "Released"))
	w.reconcile()
	// From here on the bindings are gone: whoever looks into the namespace is refused.
	w.r.client = blind{w.c}
	if got := w.reconcile().RequeueAfter; got != endingRetry {
		t.Errorf("looks again after %s", got)
	}
	w.phase(v1alpha1.PhaseEnding)
	w.exists(ns, "")
	ns.Finalizers = nil
	w.must(w.c.Update(t.Context(), ns))
	w.reconcile()
	w.phase(v1alpha1.PhaseEnded)
}

// blind may list nothing.
type blind struct{ client.WithWatch }

func (blind) List(context.Context, client.ObjectList, ...client.ListOption) error {
	return apierrors.NewForbidden(schema.GroupResource{}, "", nil)
}

func TestADeletedAppIsSettledFirst(t *testing.T) {
	w := newWorld(t)
	w.order(shop(service("web")))
	w.verify()
	w.fund(metav1.ConditionTrue, v1alpha1.ReasonFunded)
	w.reconcile()
	w.must(w.c.Delete(t.Context(), w.app()))
	w.reconcile()
	w.settle("web")
	w.reconcile()
	w.phase(v1alpha1.PhaseEnding)
	if !w.exists(&corev1.Namespace{}, "") {
		t.Error("the namespace went before it was settled")
	}
	w.say("invoicer", is(v1alpha1.ConditionSettled, metav1.ConditionTrue, "Released"))
	for range 3 {
		w.reconcile()
	}
	if err := w.c.Get(t.Context(), w.key, &v1alpha1.App{}); !apierrors.IsNotFound(err) {
		t.Errorf("the App is still there: %v", err)
	}
}

func TestAnAppThatNeverRanIsSettledBeforeItGoes(t *testing.T) {
	w := newWorld(t)
	w.order(shop(service("web")))
	w.must(w.c.Delete(t.Context(), w.app()))
	w.reconcile()
	if got := w.app().Status.EndReason; got != v1alpha1.EndDeletedByProvider {
		t.Fatalf("its end is %q", got)
	}
	w.reconcile()
	w.phase(v1alpha1.PhaseEnding)
	w.say("invoicer", is(v1alpha1.ConditionSettled, metav1.ConditionTrue, "Released"))
	for range 3 {
		w.reconcile()
	}
	if err := w.c.Get(t.Context(), w.key, &v1alpha1.App{}); !apierrors.IsNotFound(err) {
		t.Errorf("the App is still there: %v", err)
	}
}

func TestAnUnreachableAPIServerTakesNothingDown(t *testing.T) {
	w := newWorld(t)
	w.order(shop(service("web")))
	w.verify()
	w.fund(metav1.ConditionTrue, v1alpha1.ReasonFunded)
	w.reconcile()
	w.order(shop(service("web")), stopOrdered)
	w.verify()
	w.say("invoicer", is(v1alpha1.ConditionSettled, metav1.ConditionTrue, "Released"))
	away := errors.New("away")
	w.r.client = failing{w.c, away}
	_, err := w.r.Reconcile(t.Context(), reconcile.Request{NamespacedName: w.key})
	if !errors.Is(err, away) {
		t.Errorf("error is %v, want that the API server is away", err)
	}
	if !w.exists(&corev1.Namespace{}, "") || w.app().Status.Phase == v1alpha1.PhaseEnded {
		t.Error("taken down because it could not be seen")
	}
}

// failing can read Apps only.
type failing struct {
	client.WithWatch

	err error
}

func (f failing) Get(ctx context.Context, key client.ObjectKey, obj client.Object, opts ...client.GetOption) error {
	if _, ok := obj.(*v1alpha1.App); ok {
		return f.WithWatch.Get(ctx, key, obj, opts...)
	}
	return f.err
}

func (f failing) List(context.Context, client.ObjectList, ...client.ListOption) error { return f.err }
