// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/apocryph/apocryph/api/v1alpha1"
	"github.com/apocryph/apocryph/internal/kube"
	"github.com/apocryph/apocryph/internal/manifest"
)

// let has the keeper say which transfers may happen.
func (w *world) let(transfers ...v1alpha1.Transfer) {
	w.t.Helper()
	for i := range transfers {
		transfers[i].Until = metav1.NewTime(w.now.Add(time.Hour))
	}
	verified := is(v1alpha1.ConditionVerified, metav1.ConditionTrue, "Verified")
	verified.ObservedGeneration, verified.LastTransitionTime = w.app().Generation, metav1.NewTime(w.now)
	w.must(kube.ApplyStatus(w.t.Context(), w.c, &v1alpha1.App{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.key.Namespace, Name: w.key.Name},
		Status:     v1alpha1.AppStatus{Conditions: []metav1.Condition{verified}, Transfers: transfers},
	}, "keeper"))
	w.reconcile()
}

func carryOf(volume string) v1alpha1.Transfer { return v1alpha1.Transfer{Volume: volume, Sequence: 7} }

// carriers says what the app's status says of them.
func (w *world) carriers() string {
	w.t.Helper()
	var all []string
	for _, c := range w.app().Status.Carriers {
		all = append(all, strings.Join(strings.Fields(strings.Join([]string{c.Volume, c.Pod, c.Container, c.Path, c.Problem}, " ")), " "))
	}
	return strings.Join(all, ", ")
}

// open reports whether the gateway may run carriers.
func (w *world) open() bool {
	w.t.Helper()
	b := &rbacv1.RoleBinding{}
	return w.exists(b, RoleCarrying) && len(b.Subjects) == 1 && b.Subjects[0].Name == accountGateway
}

func (w *world) carries() []batchv1.Job {
	w.t.Helper()
	var jobs batchv1.JobList
	w.must(w.c.List(w.t.Context(), &jobs, client.InNamespace(v1alpha1.Namespace(w.key.Name)), client.HasLabels{labelCarry}))
	return jobs.Items
}

// bind plays the volumes' provisioner.
func (w *world) bind(volume string) {
	w.t.Helper()
	c := &corev1.PersistentVolumeClaim{}
	w.exists(c, volume)
	c.Status.Phase = corev1.ClaimBound
	w.must(w.c.Status().Update(w.t.Context(), c))
}

// mounted is a pod of a service that has a volume.
func (w *world) mounted(name, service, volume string) *corev1.Pod {
	w.t.Helper()
	p := w.pod(name, service, "")
	p.Spec.NodeName = "machine"
	p.Spec.Containers = []corev1.Container{{Name: service}}
	p.Spec.Volumes = []corev1.Volume{claimed("v-"+volume, volume)}
	w.must(w.c.Update(w.t.Context(), p))
	return p
}

// carrierIn sets the state of the newest carrier that was added to a pod.
func (w *world) carrierIn(pod string, state corev1.ContainerState) {
	w.t.Helper()
	p := &corev1.Pod{}
	w.exists(p, pod)
	n := len(p.Spec.EphemeralContainers)
	p.Status.EphemeralContainerStatuses = append(slices.Clone(p.Status.EphemeralContainerStatuses[:min(n-1, len(p.Status.EphemeralContainerStatuses))]),
		corev1.ContainerStatus{Name: p.Spec.EphemeralContainers[n-1].Name, State: state})
	w.must(w.c.Status().Update(w.t.Context(), p))
}

func running() corev1.ContainerState {
	return corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}
}

// While a service has a volume, the carrier is added to its pod, once; the gateway may run it for as long as a transfer lasts.
func TestAVolumeInUseIsCarriedInItsServicesPod(t *testing.T) {
	w := newWorld(t)
	w.run(shop(service("db", "data")))
	w.bind("data")
	w.let()
	if w.open() {
		t.Error("the gateway may run something, and nobody asked")
	}
	w.let(carryOf("data"))
	if got := w.carriers(); got != "" || len(w.carries()) != 0 || w.open() {
		t.Errorf("while the service starts: %q, %d Jobs", got, len(w.carries()))
	}
	w.mounted("db-1", "db", "data")
	w.reconcile()
	p := &corev1.Pod{}
	w.exists(p, "db-1")
	if len(p.Spec.EphemeralContainers) != 1 || w.carriers() != "" {
		t.Fatalf("%d carriers, and it says %q", len(p.Spec.EphemeralContainers), w.carriers())
	}
	c := p.Spec.EphemeralContainers[0]
	if diff := cmp.Diff([]corev1.VolumeMount{{Name: "v-data", MountPath: "/.apocryph/v-data"}}, c.VolumeMounts); diff != "" || c.Image != w.r.cfg.Image {
		t.Errorf("image %s, mounts (-want +got):\n%s", c.Image, diff)
	}
	w.reconcile() // it starts
	w.carrierIn("db-1", running())
	w.reconcile()
	if got := w.carriers(); got != "data db-1 apocryph-carrier-0 /.apocryph/v-data" || !w.open() {
		t.Errorf("it says %q, open %t", got, w.open())
	}
	w.let()
	if got := w.carriers(); got != "" || w.open() {
		t.Errorf("afterwards it says %q, open %t", got, w.open())
	}
	w.let(v1alpha1.Transfer{Volume: "data", Sequence: 8, Put: true})
	w.exists(p, "db-1")
	if got := w.carriers(); got != "data db-1 apocryph-carrier-0 /.apocryph/v-data" || len(p.Spec.EphemeralContainers) != 1 {
		t.Errorf("the next one: %q, %d carriers", got, len(p.Spec.EphemeralContainers))
	}
	w.carrierIn("db-1", corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 137}})
	w.reconcile()
	if w.exists(p, "db-1"); len(p.Spec.EphemeralContainers) != 2 || p.Spec.EphemeralContainers[1].Name != "apocryph-carrier-1" {
		t.Errorf("after it was killed: %v", p.Spec.EphemeralContainers)
	}
}

// A pod's record does not grow without end.
func TestAPodHasOnlySoManyCarriers(t *testing.T) {
	w := newWorld(t)
	w.run(shop(service("db", "data")))
	w.bind("data")
	w.mounted("db-1", "db", "data")
	for range maxCarriers {
		w.let(carryOf("data"))
		w.carrierIn("db-1", corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 137}})
	}
	w.reconcile()
	p := &corev1.Pod{}
	if w.exists(p, "db-1"); len(p.Spec.EphemeralContainers) != maxCarriers || !strings.Contains(w.carriers(), "runs out of memory") {
		t.Errorf("%d carriers, and it says %q", len(p.Spec.EphemeralContainers), w.carriers())
	}
}

// A volume that nobody has is carried by a pod of its own, until the service wants it.
func TestAVolumeThatNobodyHasIsCarriedByAPodOfItsOwn(t *testing.T) {
	w := newWorld(t)
	w.run(shop(service("db", "data")))
	w.bind("data")
	w.fund(metav1.ConditionFalse, v1alpha1.ReasonExhausted)
	w.reconcile()
	w.let(carryOf("data"))
	jobs := w.carries()
	if len(jobs) != 1 || w.carriers() != "" {
		t.Fatalf("%d Jobs, and it says %q", len(jobs), w.carriers())
	}
	w.reconcile()
	template := jobs[0].Spec.Template
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: jobs[0].Namespace, Name: "carry-1", Labels: map[string]string{labelCarry: "", batchv1.JobNameLabel: jobs[0].Name}}, Spec: template.Spec}
	p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: carrierName, State: running()}}
	w.must(w.c.Create(t.Context(), p))
	w.reconcile()
	if got := w.carriers(); got != "data carry-1 apocryph-carrier /.apocryph/data" || !w.open() || len(w.carries()) != 1 {
		t.Errorf("it says %q, open %t", got, w.open())
	}
	if w.fund(metav1.ConditionTrue, v1alpha1.ReasonFunded); w.replicas("db") != 0 {
		t.Error("it runs already")
	}
	w.reconcile()
	if got := w.carriers(); len(w.carries()) != 0 || got != "" || w.open() {
		t.Errorf("when the service wants it: %d Jobs, %q", len(w.carries()), got)
	}
}

// What is left of a transfer that is over goes: the pod of its own, and the right to run something in it.
func TestWhatATransferNeededGoesWithIt(t *testing.T) {
	for name, after := range map[string]func(*world){
		"it is done":             func(w *world) { w.let() },
		"it is refused":          func(w *world) { w.let(v1alpha1.Transfer{Volume: "data", Sequence: 7, Refused: "no"}) },
		"it takes too long":      func(w *world) { w.now = w.now.Add(2 * time.Hour); w.reconcile() },
		"another comes after it": func(w *world) { w.let(v1alpha1.Transfer{Volume: "data", Sequence: 8}) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.run(shop(service("db", "data")))
			w.bind("data")
			w.fund(metav1.ConditionFalse, v1alpha1.ReasonExhausted)
			w.let(carryOf("data"))
			after(w)
			if slices.ContainsFunc(w.carries(), func(j batchv1.Job) bool { return j.Annotations[annotationSequence] == "7" }) || w.open() {
				t.Errorf("left are %d Jobs, open %t", len(w.carries()), w.open())
			}
		})
	}
}

func TestWhyAVolumeIsNotCarried(t *testing.T) {
	t.Run("there is none", func(t *testing.T) {
		w := newWorld(t)
		w.run(shop(service("db", "data")))
		if w.let(carryOf("more")); w.carriers() != "more there is no such volume" {
			t.Errorf("it says %q", w.carriers())
		}
	})
	t.Run("it was never used", func(t *testing.T) {
		w := newWorld(t)
		w.run(shop(service("db", "data")))
		w.fund(metav1.ConditionFalse, v1alpha1.ReasonExhausted)
		w.reconcile()
		if w.let(carryOf("data")); !strings.Contains(w.carriers(), "nothing has ever used it") || len(w.carries()) != 0 {
			t.Errorf("it says %q", w.carriers())
		}
	})
	t.Run("it awaits what the image has", func(t *testing.T) {
		w := slowWorld(t, service("db", "data"))
		if w.let(carryOf("data")); !strings.Contains(w.carriers(), "no content yet") || len(w.carries()) != 0 {
			t.Errorf("it says %q", w.carriers())
		}
	})
}

// A volume that left the manifest is carried while the app runs, and nothing of the app is touched.
func TestAKeptVolumeIsCarriedBesideTheApp(t *testing.T) {
	w := newWorld(t)
	w.run(shop(service("db", "data")))
	w.bind("data")
	w.run(shop(service("db")))
	if w.let(carryOf("data")); len(w.carries()) != 1 || w.replicas("db") != 1 {
		t.Errorf("%d Jobs, %d replicas", len(w.carries()), w.replicas("db"))
	}
}

// An app that ends does not wait for a transfer.
func TestATransferEndsWithItsApp(t *testing.T) {
	w := newWorld(t)
	w.run(shop(service("db", "data")))
	w.bind("data")
	w.fund(metav1.ConditionFalse, v1alpha1.ReasonExhausted)
	w.let(carryOf("data"))
	if len(w.carries()) != 1 {
		t.Fatal("nothing carries")
	}
	w.fund(metav1.ConditionFalse, v1alpha1.ReasonClosed)
	w.reconcile()
	if len(w.carries()) != 0 {
		t.Error("it goes on")
	}
}

// What carries is paid for, confined, and reached by nothing, and has no more rights than any service.
func TestWhatCarriesAVolumeMayDoNoMoreThanTheApp(t *testing.T) {
	m := shop(service("db", "data"))
	d := &desired{id: "theapp", manifest: m, cfg: newWorld(t).r.cfg}
	d.cfg.UserNamespaces = true
	app := d.pod(m.Services[0])
	own := app.Containers[0].SecurityContext
	job := d.carry(carryOf("data"))
	template := job.Spec.Template
	if template.Labels[v1alpha1.LabelService] != "" || template.Labels[v1alpha1.LabelApp] != "" || !slices.Contains(template.Finalizers, v1alpha1.FinalizerMeter) {
		t.Errorf("labels %v, finalizers %v", template.Labels, template.Finalizers)
	}
	if *template.Spec.AutomountServiceAccountToken || *template.Spec.HostUsers {
		t.Error("it is not confined")
	}
	beside := d.companion(&app)
	for _, c := range []corev1.Container{template.Spec.Containers[0], corev1.Container(beside.EphemeralContainerCommon)} {
		s := c.SecurityContext
		if *s.AllowPrivilegeEscalation || s.Privileged != nil || !*s.ReadOnlyRootFilesystem || !slices.Equal(s.Capabilities.Drop, own.Capabilities.Drop) {
			t.Errorf("container %s: %v", c.Name, s)
		}
		for _, k := range s.Capabilities.Add {
			if !slices.Contains(own.Capabilities.Add, k) {
				t.Errorf("container %s has %s, which no service has", c.Name, k)
			}
		}
	}
	need := template.Spec.Containers[0].Resources
	if !cmp.Equal(need.Limits, need.Requests) || need.Limits.Memory().Value() < int64(carrierLeast().GetMemoryBytes()) || need.Limits.Memory().Value() > manifest.Reserved(carrierMost()).MemoryBytes {
		t.Errorf("it needs %v", need)
	}
	if len(beside.Resources.Requests) > 0 {
		t.Error("nothing can be reserved in a pod that runs")
	}
}
