// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/apocryph/apocryph/api/v1alpha1"
	manifestv1 "github.com/apocryph/apocryph/internal/gen/manifestv1"
)

func (w *world) ready() metav1.Condition {
	w.t.Helper()
	return *meta.FindStatusCondition(w.app().Status.Conditions, v1alpha1.ConditionReady)
}

// failFill has the one Job that fills volumes fail now.
func (w *world) failFill(reason string) string {
	w.t.Helper()
	j := w.fills()[0]
	j.Status.Conditions = []batchv1.JobCondition{{
		Type: batchv1.JobFailed, Status: corev1.ConditionTrue, Reason: reason, Message: "so it is", LastTransitionTime: metav1.NewTime(w.now),
	}}
	w.must(w.c.Status().Update(w.t.Context(), &j))
	return j.Name
}

func TestAFillThatFailedOverWhatMayPassIsTriedAgain(t *testing.T) {
	ended := func(reason string, c corev1.ContainerStateTerminated) *corev1.PodStatus {
		return &corev1.PodStatus{
			Phase: corev1.PodFailed, Reason: reason,
			ContainerStatuses: []corev1.ContainerStatus{{Name: "db", State: corev1.ContainerState{Terminated: &c}}},
		}
	}
	for name, c := range map[string]struct {
		pod   *corev1.PodStatus
		says  string
		again bool
	}{
		"its pods are gone":            {nil, "BackoffLimitExceeded: so it is", true},
		"it took too long":             {ended(reasonDeadline, corev1.ContainerStateTerminated{ExitCode: 137, Reason: "Error"}), "within an hour", true},
		"its machine was full":         {ended("Evicted", corev1.ContainerStateTerminated{ExitCode: 137, Reason: "Error"}), "Evicted", true},
		"it could not be started":      {ended("", corev1.ContainerStateTerminated{ExitCode: 128, Reason: "StartError"}), "StartError", true},
		"not if the volume is full":    {ended("", corev1.ContainerStateTerminated{ExitCode: exitFull, Reason: "Error"}), "x-apocryph: {size}", false},
		"not if it can't be read":      {ended("", corev1.ContainerStateTerminated{ExitCode: 1, Reason: "Error"}), "nocopy: true", false},
		"not if it needs more memory":  {ended("", corev1.ContainerStateTerminated{ExitCode: 137, Reason: reasonOOM}), "mem_limit", false},
		"not if it ends with a signal": {ended("", corev1.ContainerStateTerminated{ExitCode: 139, Reason: "Error"}), "nocopy: true", false},
	} {
		t.Run(name, func(t *testing.T) {
			w := slowWorld(t, service("db", "data"))
			job := w.failFill("BackoffLimitExceeded")
			if c.pod != nil {
				w.must(w.c.Create(t.Context(), &corev1.Pod{Status: *c.pod, ObjectMeta: metav1.ObjectMeta{
					Namespace: v1alpha1.Namespace(w.key.Name), Name: "fill", Labels: map[string]string{batchv1.JobNameLabel: job},
				}}))
			}
			w.now = w.now.Add(fillPause - 1)
			w.reconcile()
			if got := w.app().Status.Services[0].Blocked; !strings.Contains(got, c.says) || w.ready().Reason != ReasonBlocked {
				t.Errorf("it is %s: %q", w.ready().Reason, got)
			}
			failed := func() bool { return len(w.fills()) == 1 && len(w.fills()[0].Status.Conditions) == 1 }
			if !failed() {
				t.Fatal("it is tried again at once")
			}
			w.now = w.now.Add(1)
			w.reconcile()
			w.reconcile()
			if failed() == c.again || len(w.fills()) != 1 {
				t.Errorf("after the pause there is %v", w.fills())
			}
		})
	}
}

func TestAFillWithoutAPodIsSaid(t *testing.T) {
	w := slowWorld(t, service("db", "data"))
	j := w.fills()[0]
	j.Status.StartTime = &metav1.Time{Time: w.now}
	w.must(w.c.Status().Update(t.Context(), &j))
	w.reconcile()
	if got := w.app().Status.Services[0].Blocked; !strings.Contains(got, "no pod is made for it") {
		t.Errorf("status %q", got)
	}
}

func TestAnUpdateWhoseVolumeCanNotBeFilledIsBlocked(t *testing.T) {
	w := slowWorld(t, service("db"))
	w.settle("db")
	w.order(shop(service("db", "data")))
	w.verify()
	w.reconcile()
	if got := w.ready().Reason; got != ReasonStarting {
		t.Errorf("while it is filled the app is %s", got)
	}
	w.failFill("BackoffLimitExceeded")
	w.reconcile()
	if got := w.ready().Reason; got != ReasonBlocked || w.replicas("db") != 1 {
		t.Errorf("when it failed the app is %s, with %d replicas", got, w.replicas("db"))
	}
}

func TestAnotherImageOfTheProvidersIsAnotherJob(t *testing.T) {
	w := newWorld(t)
	w.slow = true
	w.order(shop(service("db", "data")), func(a *v1alpha1.App) { a.Spec.Replicas = new(int32(0)) })
	w.verify()
	w.reconcile()
	if len(w.fills()) != 1 {
		t.Fatalf("control: %v", w.fills())
	}
	w.r.cfg.Image = "apocryphd:2"
	w.reconcile()
	if jobs := w.fills(); len(jobs) != 1 || jobs[0].Spec.Template.Spec.InitContainers[0].Image != "apocryphd:2" {
		t.Errorf("there is %v", jobs)
	}
}

// An app that could not be looked at may be using its volumes.
func TestWhatCouldNotBeReadIsNotTakenForNew(t *testing.T) {
	w := slowWorld(t, service("db", "data"))
	c := &corev1.PersistentVolumeClaim{}
	w.exists(c, "data")
	delete(c.Annotations, annotationContent)
	w.must(w.c.Update(t.Context(), c))
	w.reconcile()
	if len(w.fills()) != 0 {
		t.Fatalf("control: %v", w.fills())
	}
	w.settle("db")
	w.order(shop(service("db", "data", "more")))
	w.verify()
	blindly := true
	w.r.client = interceptor.NewClient(w.c, interceptor.Funcs{
		List: func(ctx context.Context, c client.WithWatch, l client.ObjectList, opts ...client.ListOption) error {
			if _, ok := l.(*appsv1.DeploymentList); ok && blindly {
				blindly = false // the right comes while it works
				return apierrors.NewForbidden(schema.GroupResource{}, "", nil)
			}
			return c.List(ctx, l, opts...)
		},
	})
	d := &appsv1.Deployment{}
	w.exists(d, "db")
	before := d.ResourceVersion
	if got := w.reconcile().RequeueAfter; got != rightsRetry {
		t.Errorf("it is looked at again after %s", got)
	}
	if w.exists(d, "db"); len(w.fills()) != 0 || d.ResourceVersion != before {
		t.Errorf("unseen, it was changed: %v", w.fills())
	}
	w.reconcile()
	if jobs := w.fills(); len(jobs) != 1 || !slices.Equal(filledBy(&jobs[0]), []string{"more"}) {
		t.Errorf("when it was seen there is %v", jobs)
	}
}

func TestOnlyVolumesThatAwaitTheirContentGetIt(t *testing.T) {
	w := newWorld(t)
	d := &desired{id: "theapp", manifest: shop(service("db", "data", "more")), cfg: w.r.cfg}
	jobs, err := d.fills(&observed{awaited: map[string]bool{"data": true, "more": true}})
	w.must(err)
	w.must(w.c.Create(t.Context(), jobs[0]))
	for _, c := range []struct {
		awaited map[string]bool
		starts  bool
	}{{map[string]bool{"data": true}, false}, {map[string]bool{"data": true, "more": true}, true}} {
		w.must(w.r.letFill(t.Context(), &observed{fills: w.fills(), awaited: c.awaited}, intent{replicas: 1}))
		if got := !suspended(&w.fills()[0]); got != c.starts {
			t.Errorf("if %v await it, it starts: %t", c.awaited, got)
		}
	}
}

func TestANewVolumeIsMadeWhereTheOthersAre(t *testing.T) {
	m := shop(service("db", "data", "wal"), service("web", "data"), service("other", "else"))
	m.Volumes = slices.DeleteFunc(m.Volumes, func(v *manifestv1.Volume) bool { return v == m.Volumes[2] }) // one is shared
	d := &desired{id: "theapp", manifest: m, cfg: newWorld(t).r.cfg}
	for name, c := range map[string]struct {
		running []string
		want    string
	}{
		"with what runs and has them":         {[]string{"db", "other"}, "near db, names wal"},
		"with any of what runs and has them":  {[]string{"web", "db", "other"}, "near db web, names wal"},
		"if nothing has, as the volumes want": {[]string{"other"}, "near , names wal data"},
	} {
		t.Run(name, func(t *testing.T) {
			o := &observed{awaited: map[string]bool{"wal": true}}
			for _, s := range m.GetServices() {
				n := int32(0)
				if slices.Contains(c.running, s.GetName()) {
					n = 1
				}
				o.deployments = append(o.deployments, appsv1.Deployment{
					ObjectMeta: metav1.ObjectMeta{Name: s.GetName()}, Spec: appsv1.DeploymentSpec{Replicas: &n, Template: d.template(s)},
				})
			}
			jobs, err := d.fills(o)
			if err != nil || len(jobs) != 1 {
				t.Fatal(jobs, err)
			}
			spec, near := jobs[0].Spec.Template.Spec, []string(nil)
			if a := spec.Affinity; a != nil {
				for _, term := range a.PodAffinity.RequiredDuringSchedulingIgnoredDuringExecution {
					near = append(near, term.LabelSelector.MatchExpressions[0].Values...)
				}
			}
			got := "near " + strings.Join(near, " ") + ", names " + strings.Join(claimsOf(&spec), " ")
			if got != c.want || !slices.Equal(filledBy(jobs[0]), []string{"wal"}) {
				t.Errorf("it goes %s, want %s; it mounts %v", got, c.want, filledBy(jobs[0]))
			}
		})
	}
}

// Beside every service there is room for one carrier, and it asks for no more than it can use.
func TestACarrierHasRoom(t *testing.T) {
	for _, size := range []uint64{0, 1 << 20, 5 << 20, 8 << 20, 100 << 20, 32 << 30} {
		for n := 1; n <= 4; n++ {
			m := shop()
			for i := range n {
				s := service(fmt.Sprint("s", i), fmt.Sprint("v", i))
				s.Resources = &manifestv1.Resources{MilliCpu: size >> 20, MemoryBytes: size, EphemeralBytes: size}
				m.Services, m.Volumes = append(m.Services, s), append(m.Volumes, shop(s).GetVolumes()...)
			}
			d := &desired{id: "theapp", manifest: m, cfg: newWorld(t).r.cfg}
			quota, ok := d.quota().(*corev1.ResourceQuota)
			jobs, err := d.fills(&observed{awaited: map[string]bool{"v0": true}})
			if err != nil || !ok {
				t.Fatal(err)
			}
			need := jobs[0].Spec.Template.Spec.Containers[0].Resources.Requests
			if most := resource.MustParse("128Mi"); need.Memory().Cmp(most) > 0 || need.Cpu().MilliValue() > 500 {
				t.Errorf("beside one of %d bytes it asks for %v", size, need)
			}
			for name, one := range need {
				sum := one.DeepCopy()
				for _, s := range m.GetServices() {
					sum.Add(reserved(s.GetResources()).Requests[name])
				}
				if have := quota.Spec.Hard["requests."+name]; have.Cmp(sum) < 0 {
					t.Errorf("%d services of %d bytes: %s %s, and together it is %s", n, size, name, have.String(), sum.String())
				}
			}
		}
	}
}

func TestAVolumeThatDoesNotGrowSaysWhatWould(t *testing.T) {
	w := slowWorld(t, service("db", "data"))
	w.r.client = interceptor.NewClient(w.c, interceptor.Funcs{
		Patch: func(ctx context.Context, c client.WithWatch, o client.Object, p client.Patch, opts ...client.PatchOption) error {
			if _, ok := o.(*corev1.PersistentVolumeClaim); ok {
				return apierrors.NewForbidden(schema.GroupResource{Resource: "persistentvolumeclaims"}, o.GetName(), errors.New("the class can't"))
			}
			return c.Patch(ctx, o, p, opts...)
		},
	})
	m := shop(service("db", "data"))
	m.Volumes[0].SizeBytes *= 2
	w.order(m)
	w.verify()
	w.now = w.now.Add(rightsPatience)
	w.reconcile()
	if got := w.ready(); got.Reason != ReasonRefused || !strings.Contains(got.Message, "volume of another name") {
		t.Errorf("the app is %s: %s", got.Reason, got.Message)
	}
}

func TestEachFailedFillKeepsItsLastWords(t *testing.T) {
	o := &observed{}
	for minute, job := range []string{"fill-a", "fill-b", "fill-a"} {
		o.pods = append(o.pods, corev1.Pod{
			Status: corev1.PodStatus{Phase: corev1.PodFailed},
			ObjectMeta: metav1.ObjectMeta{
				Name: fmt.Sprint(minute), CreationTimestamp: metav1.NewTime(moment(minute)), Labels: map[string]string{batchv1.JobNameLabel: job},
			},
		})
	}
	if got := o.superfluous(); len(got) != 1 || got[0].Name != "0" {
		t.Errorf("%v go", got)
	}
}
