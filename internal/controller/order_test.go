// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/apocryph/apocryph/api/v1alpha1"
	manifestv1 "github.com/apocryph/apocryph/internal/gen/manifestv1"
)

// after makes a service depend on others.
func after(s *manifestv1.Service, condition manifestv1.Condition, services ...string) *manifestv1.Service {
	for _, name := range services {
		s.DependsOn = append(s.DependsOn, &manifestv1.Dependency{Service: name, Condition: condition})
	}
	return s
}

func oneShot(name string) *manifestv1.Service {
	s := service(name)
	s.Restart = manifestv1.Restart_RESTART_NEVER
	return s
}

// run orders, verifies and funds, and reconciles.
func (w *world) run(m *manifestv1.Manifest, change ...func(*v1alpha1.App)) {
	w.t.Helper()
	w.order(m, change...)
	w.verify()
	w.fund(metav1.ConditionTrue, v1alpha1.ReasonFunded)
	w.reconcile()
}

// job returns the Job of a service, or nil.
func (w *world) job(service string) *batchv1.Job {
	w.t.Helper()
	var all batchv1.JobList
	w.must(w.c.List(w.t.Context(), &all, client.InNamespace(v1alpha1.Namespace(w.key.Name)), client.MatchingLabels{v1alpha1.LabelService: service}))
	switch len(all.Items) {
	case 0:
		return nil
	case 1:
		return &all.Items[0]
	}
	w.t.Fatalf("%d Jobs of service %s", len(all.Items), service)
	return nil
}

// end plays the Job controller.
func (w *world) end(service string, how batchv1.JobConditionType) {
	w.t.Helper()
	j := w.job(service)
	j.Status.Conditions = []batchv1.JobCondition{{Type: how, Status: corev1.ConditionTrue}}
	w.must(w.c.Status().Update(w.t.Context(), j))
}

func (w *world) blocked(service string) string {
	w.t.Helper()
	for _, s := range w.app().Status.Services {
		if s.Name == service {
			return s.Blocked
		}
	}
	w.t.Fatalf("no status of service %s", service)
	return ""
}

func (w *world) works(service string, want bool) {
	w.t.Helper()
	j := w.job(service)
	if j == nil || suspended(j) == want {
		w.t.Errorf("Job of %s is %+v, want it to work: %t", service, j, want)
	}
}

func (w *world) deployment(service string) *appsv1.Deployment {
	w.t.Helper()
	d := &appsv1.Deployment{}
	w.exists(d, service)
	return d
}

func (w *world) wantReplicas(service string, want int32) {
	w.t.Helper()
	if got := w.replicas(service); got != want {
		w.t.Errorf("%d replicas of %s, want %d", got, service, want)
	}
}

func TestServicesStartInTheirOrder(t *testing.T) {
	w := newWorld(t)
	m := shop(service("db"), after(oneShot("migrate"), manifestv1.Condition_CONDITION_HEALTHY, "db"),
		after(service("web"), manifestv1.Condition_CONDITION_COMPLETED, "migrate"))
	w.run(m)
	w.wantReplicas("db", 1)
	w.wantReplicas("web", 0)
	w.works("migrate", false)
	if got := w.blocked("migrate"); got != "it waits for service db to be healthy" {
		t.Errorf("migrate: %q", got)
	}
	if c := meta.FindStatusCondition(w.app().Status.Conditions, v1alpha1.ConditionReady); c.Reason != ReasonStarting || !strings.Contains(c.Message, "web: it waits for service migrate to be done") {
		t.Errorf("waiting is told as %s: %s", c.Reason, c.Message)
	}

	w.settle("db")
	w.reconcile()
	w.works("migrate", true)
	w.wantReplicas("web", 0)
	w.end("migrate", batchv1.JobComplete)
	w.reconcile()
	w.wantReplicas("web", 1)
	w.settle("web")
	w.reconcile()
	w.phase(v1alpha1.PhaseReady)
	if !meta.IsStatusConditionTrue(w.app().Status.Conditions, v1alpha1.ConditionReady) {
		t.Errorf("not ready: %+v", w.app().Status)
	}

	// Awake again, what is done stays done, and the order is kept.
	zero, one := int32(0), int32(1)
	w.run(m, func(app *v1alpha1.App) { app.Spec.Replicas = &zero })
	w.wantReplicas("db", 0)
	w.wantReplicas("web", 0)
	w.settle("db")
	w.settle("web")
	w.run(m, func(app *v1alpha1.App) { app.Spec.Replicas = &one })
	w.wantReplicas("db", 1)
	w.wantReplicas("web", 1)
}

func TestWhatRunsOutlivesWhatItCameAfter(t *testing.T) {
	w := newWorld(t)
	w.run(shop(service("db"), after(service("web"), manifestv1.Condition_CONDITION_HEALTHY, "db")))
	w.settle("db")
	w.reconcile()
	w.wantReplicas("web", 1)
	db := w.deployment("db")
	db.Status.ReadyReplicas, db.Status.AvailableReplicas = 0, 0
	w.must(w.c.Status().Update(t.Context(), db))
	w.reconcile()
	w.wantReplicas("web", 1)
}

func TestAnUpdateWaitsForItsDependencies(t *testing.T) {
	w := newWorld(t)
	w.run(shop(oneShot("migrate"), after(service("web"), manifestv1.Condition_CONDITION_COMPLETED, "migrate")))
	w.end("migrate", batchv1.JobComplete)
	w.reconcile()
	w.settle("web")
	old := w.job("migrate").Name

	migrate, web := oneShot("migrate"), after(service("web"), manifestv1.Condition_CONDITION_COMPLETED, "migrate")
	migrate.Command, web.Command = []string{"v2"}, []string{"v2"}
	w.run(shop(migrate, web))
	w.reconcile()
	if w.job("migrate").Name == old {
		t.Error("the changed one-shot is the old Job")
	}
	w.works("migrate", true)
	command := func() string {
		return strings.Join(w.deployment("web").Spec.Template.Spec.Containers[0].Args, " ")
	}
	if command() != "" {
		t.Error("the new version did not wait for its migration")
	}
	w.phase(v1alpha1.PhaseReady)
	w.end("migrate", batchv1.JobFailed)
	w.reconcile()
	if got := w.blocked("web"); command() != "" || got != "service migrate has failed" {
		t.Errorf("after a failed migration the service runs %q and says %q", command(), got)
	}
	w.phase(v1alpha1.PhaseReady)
	if meta.IsStatusConditionTrue(w.app().Status.Conditions, v1alpha1.ConditionReady) {
		t.Error("a broken update counts as ready")
	}

	migrate.Command = []string{"v3"}
	w.run(shop(migrate, web))
	w.reconcile()
	w.end("migrate", batchv1.JobComplete)
	w.reconcile()
	if command() != "v2" {
		t.Errorf("after its migration the service runs %q", command())
	}
}

func TestAOneShotRunsOnceAndIsNotPutToSleep(t *testing.T) {
	w := newWorld(t)
	m := shop(oneShot("job"), service("web"))
	w.run(m)
	w.works("job", true)
	first := w.job("job").UID
	w.settle("web")
	zero, one := int32(0), int32(1)
	// What can't start, for want of its image, say, keeps nobody awake.
	p := w.pod("first", "job", w.job("job").Name)
	running := p.Status.ContainerStatuses
	p.Status.ContainerStatuses = []corev1.ContainerStatus{{State: waiting("ImagePullBackOff", "not found")}}
	w.must(w.c.Status().Update(t.Context(), p))
	w.run(m, func(app *v1alpha1.App) { app.Spec.Replicas = &zero })
	w.works("job", false)
	w.wantReplicas("web", 0)
	w.run(m, func(app *v1alpha1.App) { app.Spec.Replicas = &one })
	w.works("job", true)
	w.wantReplicas("web", 1)
	p.Status.ContainerStatuses = running
	w.must(w.c.Status().Update(t.Context(), p))
	w.run(m, func(app *v1alpha1.App) { app.Spec.Replicas = &zero })
	w.works("job", true)
	w.wantReplicas("web", 1)
	// An order that nobody has verified yet changes nothing of that.
	w.order(m)
	w.reconcile()
	w.works("job", true)
	w.verify()
	p.Status.Phase = corev1.PodSucceeded
	w.must(w.c.Status().Update(t.Context(), p))
	w.end("job", batchv1.JobComplete)
	w.reconcile()
	w.wantReplicas("web", 0)
	w.phase(v1alpha1.PhaseSuspended)
	if j := w.job("job"); j.UID != first || suspended(j) {
		t.Error("sleep touched a one-shot that was done")
	}

	w.fund(metav1.ConditionFalse, v1alpha1.ReasonExhausted)
	changed := oneShot("job")
	changed.Command = []string{"again"}
	w.order(shop(changed, service("web")), func(app *v1alpha1.App) { app.Spec.Replicas = nil })
	w.verify()
	w.reconcile()
	w.works("job", false)
	w.run(shop(changed, service("web")))
	w.works("job", true)
	w.fund(metav1.ConditionFalse, v1alpha1.ReasonExhausted)
	w.reconcile()
	w.works("job", false)
}

func TestAnEndTakesOneShotsDown(t *testing.T) {
	w := newWorld(t)
	w.run(shop(oneShot("job")))
	j := w.job("job")
	j.Finalizers = []string{metav1.FinalizerDeleteDependents}
	w.must(w.c.Update(t.Context(), j))
	w.order(shop(oneShot("job")), stopOrdered)
	w.verify()
	for range 3 {
		w.reconcile()
	}
	if meta.IsStatusConditionTrue(w.app().Status.Conditions, v1alpha1.ConditionStopped) {
		t.Error("stopped before the Job's pods were gone")
	}
	j = w.job("job")
	if j.DeletionTimestamp.IsZero() {
		t.Fatal("the Job is not deleted")
	}
	j.Finalizers = nil
	w.must(w.c.Update(t.Context(), j))
	w.reconcile()
	if !meta.IsStatusConditionTrue(w.app().Status.Conditions, v1alpha1.ConditionStopped) {
		t.Error("not stopped although nothing is left")
	}
}

func TestWhatLeavesTheManifestIsPruned(t *testing.T) {
	w := newWorld(t)
	full := service("web")
	full.Files = []*manifestv1.FileMount{{File: "conf", Path: "/etc/conf", Mode: 0o444}}
	full.Networks = []*manifestv1.Attachment{{Network: "back", Aliases: []string{"www"}}}
	m := shop(oneShot("job"), full)
	m.Files = []*manifestv1.File{{Name: "conf", Content: []byte("a"), Salt: make([]byte, 16)}}
	m.Networks = []*manifestv1.Network{{Name: "back", Internal: true}}
	w.run(m)
	files := func() (names []string) {
		var all corev1.ConfigMapList
		w.must(w.c.List(t.Context(), &all))
		for _, c := range all.Items {
			names = append(names, c.Name)
		}
		return names
	}
	if len(files()) != 1 || !w.exists(&networkingv1.NetworkPolicy{}, "network-back") || !w.exists(&corev1.Service{}, "www") {
		t.Fatalf("not everything was made: %v", files())
	}
	// Content that changed comes under another name, and the old one stays for as long as something mounts it.
	m.Files[0].Content = []byte("b")
	w.run(m)
	if len(files()) != 2 {
		t.Errorf("files during the update: %v", files())
	}
	w.reconcile()
	if len(files()) != 1 {
		t.Errorf("files after the update: %v", files())
	}
	version := w.deployment("web").ResourceVersion
	m.Files[0].Salt = []byte(strings.Repeat("s", 16))
	w.run(m)
	if w.deployment("web").ResourceVersion != version {
		t.Error("another salt touched the service")
	}

	w.now = w.now.Add(time.Minute)
	w.run(shop(service("web")))
	w.reconcile()
	if len(files()) != 0 || w.exists(&networkingv1.NetworkPolicy{}, "network-back") || w.exists(&corev1.Service{}, "www") || w.job("job") != nil {
		t.Errorf("something is left: %v", files())
	}
	if !w.exists(&networkingv1.NetworkPolicy{}, "within-app") || !w.exists(&networkingv1.NetworkPolicy{}, "internet") {
		t.Error("what every app has is gone")
	}
}
