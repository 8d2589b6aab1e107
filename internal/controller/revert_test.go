// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"strconv"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/apocryph/apocryph/api/v1alpha1"
	manifestv1 "github.com/apocryph/apocryph/internal/gen/manifestv1"
)

const revisionAnnotation = "deployment.kubernetes.io/revision"

// replace plays the Deployment controller when a template is new: the old version's ReplicaSet and pods go, and the new one has a pod, which
// was started again some times.
func (w *world) replace(service string, restarts int32) {
	w.t.Helper()
	d := w.deployment(service)
	before, _ := strconv.Atoi(d.Annotations[revisionAnnotation])
	hash, revision := d.Annotations[annotationDigest][:8], strconv.Itoa(before+1)
	rs := &appsv1.ReplicaSet{ObjectMeta: metav1.ObjectMeta{
		Namespace: d.Namespace, Name: service + "-" + hash, Labels: map[string]string{v1alpha1.LabelApp: d.Labels[v1alpha1.LabelApp], v1alpha1.LabelService: service},
		Annotations: map[string]string{revisionAnnotation: revision, annotationDigest: d.Annotations[annotationDigest]},
	}}
	rs.Spec.Replicas, rs.Spec.Template = new(int32(0)), *d.Spec.Template.DeepCopy() // the pod below keeps what it needs
	for _, labels := range []map[string]string{rs.Labels, rs.Spec.Template.Labels} {
		labels[appsv1.DefaultDeploymentUniqueLabelKey] = hash
	}
	if old := (&appsv1.ReplicaSet{}); w.exists(old, rs.Name) {
		old.Annotations[revisionAnnotation] = revision
		w.must(w.c.Update(w.t.Context(), old))
	} else {
		w.must(w.c.Create(w.t.Context(), rs))
	}
	d.Annotations[revisionAnnotation] = revision
	w.must(w.c.Update(w.t.Context(), d))
	d.Status = appsv1.DeploymentStatus{ObservedGeneration: d.Generation, Replicas: 1, UpdatedReplicas: 1}
	w.must(w.c.Status().Update(w.t.Context(), d))
	w.must(client.IgnoreNotFound(w.c.DeleteAllOf(w.t.Context(), &corev1.Pod{}, client.InNamespace(d.Namespace), client.MatchingLabels{v1alpha1.LabelService: service})))
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: d.Namespace, Name: rs.Name, Labels: rs.Spec.Template.Labels},
		Status: corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{{
			Name: service, RestartCount: restarts, State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff"}},
			LastTerminationState: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 1, Message: "no such flag"}},
		}}},
	}
	w.must(w.c.Create(w.t.Context(), pod))
}

// store is a service that keeps data, in one version.
func store(version string, port uint32) *manifestv1.Manifest {
	db := service("db", "data")
	db.Command = []string{version}
	db.Ports = []*manifestv1.Port{{Number: port, Protocol: "tcp"}}
	db.Networks = []*manifestv1.Attachment{{Network: "back", Aliases: []string{"store"}}}
	m := shop(db)
	m.Networks = []*manifestv1.Network{{Name: "back"}}
	return m
}

// comesUp runs a first version of the store until it is known to have come up.
func (w *world) comesUp(m *manifestv1.Manifest) {
	w.t.Helper()
	w.run(m)
	w.reconcile()
	w.replace("db", 0)
	w.settle("db")
	w.reconcile()
	if d := w.deployment("db"); d.Annotations[annotationProved] != d.Annotations[annotationDigest] {
		w.t.Fatal("control: that it came up was not noted")
	}
}

// update orders another version, which nothing has acted on yet.
func (w *world) update(m *manifestv1.Manifest, sequence int64) {
	w.t.Helper()
	d := w.deployment("db")
	d.Status.ObservedGeneration = d.Generation - 1
	w.must(w.c.Status().Update(w.t.Context(), d))
	w.run(m, ordered(sequence))
	w.reconcile()
}

func ordered(sequence int64) func(*v1alpha1.App) {
	return func(a *v1alpha1.App) { a.Spec.Sequence = sequence }
}

func TestANewVersionThatDoesNotComeUpIsTakenBack(t *testing.T) {
	w := newWorld(t)
	w.comesUp(store("v1", 80))
	w.update(store("v2", 8080), 2)
	if w.version("db") != "v2" || w.port("db") != 8080 {
		t.Fatalf("control: %s runs at port %d", w.version("db"), w.port("db"))
	}
	w.replace("db", brokenAfter-1)
	w.reconcile()
	if w.version("db") != "v2" {
		t.Error("it was given up too soon")
	}
	w.replace("db", brokenAfter)
	for range 2 {
		w.reconcile()
	}
	if w.version("db") != "v1" || w.port("db") != 80 || w.port("store") != 80 {
		t.Errorf("%s runs, at ports %d and %d; want the old version and its names", w.version("db"), w.port("db"), w.port("store"))
	}
	if hash := w.deployment("db").Spec.Template.Labels[appsv1.DefaultDeploymentUniqueLabelKey]; hash != "" {
		t.Errorf("the template has the hash %s of another", hash)
	}
	said := w.blocked("db")
	for _, word := range []string{"its last version is back", "exited with code 1", "no such flag", "apocryph logs"} {
		if !strings.Contains(said, word) {
			t.Errorf("%q does not say %q", said, word)
		}
	}
	if r := w.ready(); r.Status != metav1.ConditionFalse || r.Reason != ReasonTakenBack {
		t.Errorf("Ready is %s %s", r.Status, r.Reason)
	}
	w.replace("db", 0)
	w.settle("db")
	w.reconcile()
	w.phase(v1alpha1.PhaseReady) // it serves, though not as ordered
	w.wantReplicas("db", 1)

	t.Run("it stays so while asleep and unfunded, and wakes as that", func(t *testing.T) {
		w.fund(metav1.ConditionFalse, v1alpha1.ReasonExhausted)
		w.reconcile()
		w.wantReplicas("db", 0)
		w.settle("db")
		w.fund(metav1.ConditionTrue, v1alpha1.ReasonFunded)
		for range 2 {
			w.reconcile()
		}
		w.wantReplicas("db", 1)
		if w.version("db") != "v1" {
			t.Errorf("%s woke", w.version("db"))
		}
	})
	t.Run("the same order once more tries it once more", func(t *testing.T) {
		w.update(store("v2", 8080), 3)
		if w.version("db") != "v2" || w.port("store") != 8080 {
			t.Errorf("%s runs at port %d", w.version("db"), w.port("store"))
		}
		w.replace("db", 0)
		w.settle("db")
		w.reconcile()
		if r := w.ready(); r.Status != metav1.ConditionTrue {
			t.Errorf("it came up, and Ready is %s: %s", r.Status, r.Message)
		}
	})
}

func TestWhatIsNotTakenBack(t *testing.T) {
	w := newWorld(t)
	t.Run("a first version: there is no other", func(t *testing.T) {
		w.run(store("v1", 80))
		w.reconcile()
		w.replace("db", brokenAfter)
		w.reconcile()
		if w.version("db") != "v1" || strings.Contains(w.blocked("db"), "its last version") {
			t.Errorf("%s runs, %q", w.version("db"), w.blocked("db"))
		}
	})
	w = newWorld(t)
	w.comesUp(store("v1", 80))
	w.update(store("v2", 80), 2)
	w.replace("db", 0)
	w.settle("db")
	w.reconcile()
	t.Run("one that was ready once, however it crashes later", func(t *testing.T) {
		w.replace("db", brokenAfter)
		w.reconcile()
		if w.version("db") != "v2" {
			t.Errorf("%s runs", w.version("db"))
		}
	})
	t.Run("anything, while the newest order is not verified", func(t *testing.T) {
		w.update(store("v3", 80), 3)
		w.replace("db", brokenAfter)
		w.order(store("v4", 80), ordered(4))
		w.reconcile()
		if w.version("db") != "v3" {
			t.Errorf("%s runs", w.version("db"))
		}
		w.verify()
		w.reconcile()
		if w.version("db") != "v4" {
			t.Errorf("%s runs after the next order", w.version("db"))
		}
	})
}

// Until a new version has come up, the old one's room and files are kept.
func TestTheOldVersionCanComeBack(t *testing.T) {
	w := newWorld(t)
	with := func(version string, memory uint64) *manifestv1.Manifest {
		m := store(version, 80)
		m.Services[0].Resources.MemoryBytes = memory
		m.Files = []*manifestv1.File{{Name: "conf", Content: []byte(version), Salt: make([]byte, 16)}}
		m.Services[0].Files = []*manifestv1.FileMount{{File: "conf", Path: "/etc/conf", Mode: 0o444}}
		return m
	}
	w.comesUp(with("v1", 1<<30))
	conf := w.deployment("db").Spec.Template.Spec.Volumes
	var file string
	for _, v := range conf {
		if v.ConfigMap != nil {
			file = v.ConfigMap.Name
		}
	}
	if file == "" {
		t.Fatal("control: it has no file")
	}
	w.update(with("v2", 64<<20), 2)
	for range 2 {
		w.reconcile()
		w.replace("db", 0)
	}
	room := func() int64 {
		q := &corev1.ResourceQuota{}
		w.exists(q, quotaName)
		n := q.Spec.Hard[corev1.ResourceRequestsMemory]
		return n.Value()
	}
	least := resource.MustParse("1Gi")
	if !w.exists(&corev1.ConfigMap{}, file) || room() < least.Value() {
		t.Errorf("its file is there: %v; there is room for %d bytes", w.exists(&corev1.ConfigMap{}, file), room())
	}
	w.settle("db")
	for range 2 {
		w.reconcile()
	}
	if w.exists(&corev1.ConfigMap{}, file) || room() >= least.Value() {
		t.Errorf("after the update its file is there: %v; there is room for %d bytes", w.exists(&corev1.ConfigMap{}, file), room())
	}
}
