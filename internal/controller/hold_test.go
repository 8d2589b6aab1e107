// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/apocryph/apocryph/api/v1alpha1"
	manifestv1 "github.com/apocryph/apocryph/internal/gen/manifestv1"
)

// migrated are a web server and the one-shot that it comes after, in one version.
func migrated(version string) (migrate, web *manifestv1.Service) {
	migrate, web = oneShot("migrate"), after(service("web"), manifestv1.Condition_CONDITION_COMPLETED, "migrate")
	migrate.Command, web.Command = []string{version}, []string{version}
	return migrate, web
}

// version is what runs or would run.
func (w *world) version(service string) string {
	w.t.Helper()
	return strings.Join(w.deployment(service).Spec.Template.Spec.Containers[0].Args, " ")
}

func (w *world) port(name string) int32 {
	w.t.Helper()
	s := &corev1.Service{}
	if !w.exists(s, name) || len(s.Spec.Ports) == 0 {
		return 0
	}
	return s.Spec.Ports[0].Port
}

func TestWhileAnUpdateIsHeldNothingOfTheOldVersionGoes(t *testing.T) {
	w := newWorld(t)
	order := func(version string, port uint32, others ...*manifestv1.Service) *manifestv1.Manifest {
		migrate, web := migrated(version)
		web.Ports = []*manifestv1.Port{{Number: port, Protocol: "tcp"}}
		web.Networks = []*manifestv1.Attachment{{Network: "front", Aliases: []string{"shop"}}}
		m := shop(append(others, migrate, web)...)
		m.Networks = []*manifestv1.Network{{Name: "front"}}
		return m
	}
	w.run(order("v1", 80, service("cache"), oneShot("feed")))
	w.end("migrate", batchv1.JobComplete)
	w.reconcile()
	w.settle("web")
	w.settle("cache")
	w.works("feed", true)

	old := w.job("migrate").Name
	w.run(order("v2", 8080))
	w.reconcile()
	if !w.exists(&appsv1.Deployment{}, "cache") || !w.exists(&corev1.Service{}, "cache") || w.job("feed") == nil {
		t.Error("something that the old version may need is gone")
	}
	if w.port("web") != 80 || w.port("shop") != 80 {
		t.Errorf("the old version's names lead to ports %d and %d", w.port("web"), w.port("shop"))
	}
	if w.job("migrate").Name == old {
		t.Error("the old version of a one-shot is still there")
	}

	w.end("migrate", batchv1.JobComplete)
	w.reconcile()
	if w.exists(&appsv1.Deployment{}, "cache") || w.exists(&corev1.Service{}, "cache") || w.job("feed") != nil {
		t.Error("what left the manifest is there after the update")
	}
	if w.port("web") != 8080 || w.port("shop") != 8080 {
		t.Errorf("the new version's names lead to ports %d and %d", w.port("web"), w.port("shop"))
	}
}

// New names are made before old ones go.
func TestAnUpdateHasRoomForEveryName(t *testing.T) {
	w := newWorld(t)
	room := func() int64 {
		q := &corev1.ResourceQuota{}
		w.exists(q, quotaName)
		n := q.Spec.Hard[corev1.ResourceServices]
		return n.Value()
	}
	w.run(shop(service("a"), service("b"), service("c")))
	for _, name := range []string{"a", "b", "c"} {
		w.settle(name)
	}
	if got := room(); got < 6 {
		t.Errorf("room for %d names, want it for three old ones and as many new", got)
	}
	w.run(shop(service("d")))
	if got := room(); got < 4 {
		t.Errorf("room for %d names during the update, want it for three old ones and one new", got)
	}
	w.settle("d")
	w.reconcile()
	if got := room(); got != 2 {
		t.Errorf("room for %d names after the update, want it for one and its successor", got)
	}
}

func TestAHeldVersionComesBackAfterFundsRanOut(t *testing.T) {
	w := newWorld(t)
	w.run(shop(migrated("v1")))
	w.end("migrate", batchv1.JobComplete)
	w.reconcile()
	w.settle("web")
	w.run(shop(migrated("v2")))
	w.reconcile()
	w.end("migrate", batchv1.JobFailed)
	w.reconcile()

	w.fund(metav1.ConditionFalse, v1alpha1.ReasonExhausted)
	for range 2 {
		w.reconcile()
	}
	w.wantReplicas("web", 0)
	w.settle("web")
	w.fund(metav1.ConditionTrue, v1alpha1.ReasonFunded)
	for range 2 {
		w.reconcile()
	}
	w.wantReplicas("web", 1)
	if got := w.version("web"); got != "v1" {
		t.Errorf("%s came back", got)
	}
	if got := w.blocked("web"); got != "service migrate has failed" {
		t.Errorf("it says %q", got)
	}

	w.run(shop(migrated("v3")))
	w.reconcile()
	w.end("migrate", batchv1.JobComplete)
	w.reconcile()
	if got := w.version("web"); got != "v3" {
		t.Errorf("after an update that goes through, %s runs", got)
	}
}

func TestAVersionThatNeverRanIsNotHeld(t *testing.T) {
	w := newWorld(t)
	migrate, web := migrated("v1")
	w.run(shop(migrate, web))
	w.end("migrate", batchv1.JobFailed)
	w.reconcile()
	web.Command = []string{"v2"}
	w.run(shop(migrate, web))
	w.reconcile()
	w.wantReplicas("web", 0)
	if got := w.version("web"); got != "v2" {
		t.Errorf("%s would start", got)
	}
}

// pod makes one of a service that runs; with a Job's name, one of that.
func (w *world) pod(name, service, job string) *corev1.Pod {
	w.t.Helper()
	p := podWith(corev1.ContainerStatus{State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}})
	p.Namespace, p.Name, p.Labels = v1alpha1.Namespace(w.key.Name), name, map[string]string{v1alpha1.LabelService: service}
	if job != "" {
		p.Labels[batchv1.JobNameLabel] = job
	}
	w.must(w.c.Create(w.t.Context(), &p))
	return &p
}

func TestAVersionOfAOneShotComesAfterTheOneBefore(t *testing.T) {
	w := newWorld(t)
	w.run(shop(oneShot("job")))
	old := w.job("job")
	p := w.pod("first", "job", old.Name)
	waits := func(why string) {
		t.Helper()
		if got := w.blocked("job"); got != "it waits for what ran before it to end" {
			t.Errorf("%s: it says %q", why, got)
		}
	}

	changed := oneShot("job")
	changed.Command = []string{"v2"}
	w.run(shop(changed))
	w.works("job", false)
	waits("another version's pod is there")
	w.must(w.c.Delete(t.Context(), p))
	w.reconcile()
	w.works("job", true)

	// What ended stays to be looked at, and is in nobody's way.
	p = w.pod("second", "job", w.job("job").Name)
	w.run(shop(service("job")))
	w.wantReplicas("job", 0)
	waits("a Job's pod is there")
	p.Status.Phase = corev1.PodFailed
	w.must(w.c.Status().Update(t.Context(), p))
	w.reconcile()
	w.wantReplicas("job", 1)

	rs := &appsv1.ReplicaSet{
		ObjectMeta: metav1.ObjectMeta{Namespace: p.Namespace, Name: "rs", Labels: map[string]string{v1alpha1.LabelService: "job"}},
		Spec:       appsv1.ReplicaSetSpec{Replicas: new(int32(1))},
	}
	w.must(w.c.Create(t.Context(), rs))
	w.run(shop(changed))
	w.works("job", false)
	waits("a pod of the Deployment may yet come")
	w.must(w.c.Delete(t.Context(), rs))
	w.reconcile()
	w.works("job", true)
}

func TestAJobThatIsThereTwiceDoesNotStart(t *testing.T) {
	job := func(name string, deleted bool) batchv1.Job {
		j := batchv1.Job{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{v1alpha1.LabelService: "job"}}}
		if deleted {
			j.DeletionTimestamp = &metav1.Time{Time: moment(0)}
		}
		return j
	}
	o := &observed{jobs: []batchv1.Job{job("new", false), job("old", true)}}
	if !o.preceded(&o.jobs[0]) {
		t.Error("it starts beside a Job that is not gone")
	}
	o.jobs = o.jobs[:1]
	if o.preceded(&o.jobs[0]) {
		t.Error("it waits for nothing")
	}
}
