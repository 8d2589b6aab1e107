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
	// The first good version began with no pods, the second one took over from a failed update.
	for _, versions := range [][2]string{{"v1", "v2"}, {"v3", "v4"}} {
		good, bad := versions[0], versions[1]
		w.run(shop(migrated(good)))
		w.reconcile()
		w.end("migrate", batchv1.JobComplete)
		w.reconcile()
		w.settle("web")
		if got := w.version("web"); got != good {
			t.Fatalf("after an order of %s that goes through, %s runs", good, got)
		}
		w.run(shop(migrated(bad)))
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
		if got := w.version("web"); got != good {
			t.Errorf("%s came back, want %s", got, good)
		}
		if got := w.blocked("web"); got != "service migrate has failed" {
			t.Errorf("it says %q", got)
		}
	}
}

// Those that are held come back in the order of their old versions.
func TestHeldVersionsComeBackInTheirOrder(t *testing.T) {
	w := newWorld(t)
	order := func(version string) *manifestv1.Manifest {
		migrate, web := migrated(version)
		db := after(service("db"), manifestv1.Condition_CONDITION_COMPLETED, "migrate")
		db.Command = web.Command
		web.DependsOn = nil
		return shop(db, migrate, after(after(web, manifestv1.Condition_CONDITION_HEALTHY, "db"), manifestv1.Condition_CONDITION_COMPLETED, "migrate"))
	}
	w.run(order("v1"))
	w.end("migrate", batchv1.JobComplete)
	w.reconcile()
	w.settle("db")
	w.reconcile()
	w.settle("web")
	w.run(order("v2"))
	w.reconcile()
	w.end("migrate", batchv1.JobFailed)
	w.reconcile()
	w.fund(metav1.ConditionFalse, v1alpha1.ReasonExhausted)
	w.reconcile()
	w.settle("db")
	w.settle("web")
	w.fund(metav1.ConditionTrue, v1alpha1.ReasonFunded)
	w.reconcile()
	w.wantReplicas("db", 1)
	w.wantReplicas("web", 0)
	w.settle("db")
	w.reconcile()
	w.wantReplicas("web", 1)
	if db, web := w.version("db"), w.version("web"); db != "v1" || web != "v1" {
		t.Errorf("%s and %s came back", db, web)
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

func TestWhatIsAtWorkBeforeAService(t *testing.T) {
	labels := func(more ...string) metav1.ObjectMeta {
		m := metav1.ObjectMeta{Name: "old", Labels: map[string]string{v1alpha1.LabelService: "job"}}
		for _, name := range more {
			m.Labels[batchv1.JobNameLabel] = name
		}
		return m
	}
	job := batchv1.Job{ObjectMeta: labels()}
	job.DeletionTimestamp = &metav1.Time{Time: moment(0)}
	next, deployment := &batchv1.Job{ObjectMeta: labels()}, &appsv1.Deployment{ObjectMeta: labels()}
	next.Name, deployment.Name = "new", "job"
	for name, c := range map[string]struct {
		o               observed
		job, deployment bool // would begin beside it
	}{
		"nothing":                        {observed{}, false, false},
		"a Job that is on its way out":   {observed{jobs: []batchv1.Job{job}}, true, true},
		"the Job itself":                 {observed{jobs: []batchv1.Job{*next}}, false, true},
		"a Deployment":                   {observed{deployments: []appsv1.Deployment{*deployment}}, true, false},
		"a pod of another Job":           {observed{pods: []corev1.Pod{{ObjectMeta: labels("old")}}}, true, true},
		"a pod of the Job itself":        {observed{pods: []corev1.Pod{{ObjectMeta: labels("new")}}}, false, true},
		"a pod of a Deployment":          {observed{pods: []corev1.Pod{{ObjectMeta: labels()}}}, true, false},
		"a pod that is over":             {observed{pods: []corev1.Pod{{ObjectMeta: labels("old"), Status: corev1.PodStatus{Phase: corev1.PodSucceeded}}}}, false, false},
		"what may make a Deployment's":   {observed{replicaSets: []appsv1.ReplicaSet{{ObjectMeta: labels()}}}, true, false},
		"what makes no pod any more":     {observed{replicaSets: []appsv1.ReplicaSet{{ObjectMeta: labels(), Spec: appsv1.ReplicaSetSpec{Replicas: new(int32)}}}}, false, false},
		"a pod of another service's Job": {observed{pods: []corev1.Pod{{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{batchv1.JobNameLabel: "old"}}}}}, false, false},
	} {
		if got := c.o.preceded(next); got != c.job {
			t.Errorf("%s is before a Job: %t", name, got)
		}
		if got := c.o.preceded(deployment); got != c.deployment {
			t.Errorf("%s is before a Deployment: %t", name, got)
		}
	}
}
