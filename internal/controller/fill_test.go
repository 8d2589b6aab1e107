// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/apocryph/apocryph/api/v1alpha1"
	manifestv1 "github.com/apocryph/apocryph/internal/gen/manifestv1"
)

// content says of a volume whether it has what images have for it.
func (w *world) content(volume string) string {
	w.t.Helper()
	c := &corev1.PersistentVolumeClaim{}
	w.exists(c, volume)
	return c.Annotations[annotationContent]
}

func slowWorld(t *testing.T, services ...*manifestv1.Service) *world {
	t.Helper()
	w := newWorld(t)
	w.slow = true
	w.order(shop(services...))
	w.verify()
	w.fund(metav1.ConditionTrue, v1alpha1.ReasonFunded)
	w.reconcile()
	return w
}

func TestAServiceStartsWhenItsNewVolumeHasItsContent(t *testing.T) {
	w := slowWorld(t, service("db", "data"), service("web"))
	if got := []int32{w.replicas("db"), w.replicas("web")}; got[0] != 0 || got[1] != 1 {
		t.Errorf("replicas of db and web are %v, want 0 and 1", got)
	}
	if got := w.content("data"); got != contentAwaited {
		t.Errorf("content of the volume is %q", got)
	}
	if b := w.app().Status.Services[0].Blocked; !strings.Contains(b, "volume data") {
		t.Errorf("the database's status is %q", b)
	}
	if len(w.fills()) != 1 || suspended(&w.fills()[0]) {
		t.Fatalf("Jobs: %v", w.fills())
	}
	w.fill(batchv1.JobComplete)
	w.reconcile()
	if got := w.replicas("db"); got != 1 || w.content("data") != contentThere {
		t.Errorf("afterwards: %d replicas, content %q", got, w.content("data"))
	}
	w.reconcile()
	if len(w.fills()) != 0 {
		t.Error("the Job stays although it is done")
	}
	// Whatever comes, it is never made again.
	m := shop(service("db", "data"), service("web"))
	m.Services[1].Mounts = m.Services[0].Mounts
	w.order(m)
	w.verify()
	w.reconcile()
	if len(w.fills()) != 0 || w.content("data") != contentThere {
		t.Errorf("an update makes it again: %v", w.fills())
	}
}

func TestAnUpdateThatAddsAVolumeTakesNothingAwayBeforeItIsFilled(t *testing.T) {
	w := slowWorld(t, service("db"))
	w.settle("db")
	w.order(shop(service("db", "data")))
	w.verify()
	w.reconcile()
	mounts := func() bool {
		d := &appsv1.Deployment{}
		w.exists(d, "db")
		return len(d.Spec.Template.Spec.Volumes) > 0
	}
	if mounts() || w.replicas("db") != 1 {
		t.Error("the old version is gone before the new one can start")
	}
	w.fill(batchv1.JobComplete)
	w.reconcile()
	w.reconcile()
	if !mounts() {
		t.Error("the new version does not come")
	}
}

func TestAVolumeThatCanNotBeFilledIsSaid(t *testing.T) {
	w := slowWorld(t, service("db", "data"))
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{
		Namespace: v1alpha1.Namespace(w.key.Name), Name: "fill", Labels: map[string]string{batchv1.JobNameLabel: w.fills()[0].Name},
	}}
	w.must(w.c.Create(t.Context(), pod))
	pod.Status.Phase = corev1.PodFailed
	pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "db", State: corev1.ContainerState{
		Terminated: &corev1.ContainerStateTerminated{ExitCode: exitFull, Reason: "Error", Message: "copying /data: the volume is full\n"},
	}}}
	w.must(w.c.Status().Update(t.Context(), pod))
	w.fill(batchv1.JobFailed)
	w.reconcile()
	if w.replicas("db") != 0 {
		t.Error("it starts nevertheless")
	}
	app := w.app()
	blocked := app.Status.Services[0].Blocked
	for _, part := range []string{"volume data", "the volume is full", "x-apocryph: {size}"} {
		if !strings.Contains(blocked, part) {
			t.Errorf("status %q does not say %q", blocked, part)
		}
	}
	i := slices.IndexFunc(app.Status.Conditions, func(c metav1.Condition) bool { return c.Type == v1alpha1.ConditionReady })
	if app.Status.Conditions[i].Reason != ReasonBlocked {
		t.Errorf("the app is %v", app.Status.Conditions[i])
	}
	// More room is another try.
	m := shop(service("db", "data"))
	m.Volumes[0].SizeBytes *= 2
	w.order(m)
	w.verify()
	w.reconcile()
	w.reconcile()
	if jobs := w.fills(); len(jobs) != 1 || suspended(&jobs[0]) || len(jobs[0].Status.Conditions) > 0 {
		t.Errorf("with more room: %v", jobs)
	}
}

func TestNothingIsFilledWhileAnAppIsAsleep(t *testing.T) {
	w := newWorld(t)
	w.slow = true
	w.order(shop(service("db", "data")), func(a *v1alpha1.App) { a.Spec.Replicas = new(int32(0)) })
	w.verify()
	w.fund(metav1.ConditionFalse, v1alpha1.ReasonExhausted)
	w.reconcile()
	w.reconcile()
	for _, j := range w.fills() {
		if !suspended(&j) {
			t.Error("it works without money")
		}
	}
}

// Claims that an older controller made have what they have.
func TestAnOldVolumeIsNotFilled(t *testing.T) {
	w := slowWorld(t, service("db", "data"))
	c := &corev1.PersistentVolumeClaim{}
	w.exists(c, "data")
	delete(c.Annotations, annotationContent)
	w.must(w.c.Update(t.Context(), c))
	w.reconcile()
	if len(w.fills()) != 0 || w.replicas("db") != 1 {
		t.Errorf("%d Jobs, %d replicas", len(w.fills()), w.replicas("db"))
	}
}

func TestWhoFillsWhat(t *testing.T) {
	mount := func(s *manifestv1.Service, edit func(*manifestv1.Mount)) *manifestv1.Service {
		edit(s.Mounts[0])
		return s
	}
	grouped := func(s *manifestv1.Service) *manifestv1.Service {
		s.Group = new(int64(70))
		return s
	}
	after := func(s *manifestv1.Service, on string) *manifestv1.Service {
		s.DependsOn = []*manifestv1.Dependency{{Service: on}}
		return s
	}
	for name, c := range map[string]struct {
		services []*manifestv1.Service
		awaited  []string
		want     []string
	}{
		"nothing that is not new": {[]*manifestv1.Service{service("db", "data")}, nil, nil},
		"one service, one Job for all of its volumes": {
			[]*manifestv1.Service{service("db", "data", "more")}, []string{"data", "more"}, []string{"db: fill 65532 data /data more /more"},
		},
		"only the new one of two": {[]*manifestv1.Service{service("db", "data", "more")}, []string{"more"}, []string{"db: fill 65532 more /more"}},
		"for a service with a group of its own, which may be another tomorrow": {
			[]*manifestv1.Service{grouped(service("db", "data"))}, []string{"data"}, []string{"db: fill 65532 data /data"},
		},
		"services apart": {
			[]*manifestv1.Service{service("a", "one"), service("b", "two")}, []string{"one", "two"}, []string{"a: fill 65532 one /one", "b: fill 65532 two /two"},
		},
		"services that share, in the order in which they start": {
			[]*manifestv1.Service{after(service("a", "one"), "b"), service("b", "one", "two"), service("c", "two")}, []string{"one", "two"},
			[]string{"b: fill 65532 one /one two /two | a: fill 65532 one /one | c: fill 65532 two /two"},
		},
		"what is not to be copied": {
			[]*manifestv1.Service{mount(service("db", "data"), func(m *manifestv1.Mount) { m.NoCopy = true })}, []string{"data"}, []string{"db: fill 65532 data -"},
		},
		"a folder of the volume": {
			[]*manifestv1.Service{mount(service("db", "data"), func(m *manifestv1.Mount) { m.Subpath = "x" })}, []string{"data"}, []string{"db: fill 65532 data -"},
		},
		"a name that Kubernetes would expand": {
			[]*manifestv1.Service{mount(service("db", "data"), func(m *manifestv1.Mount) { m.Path = "/$(HOME)" })}, []string{"data"}, []string{"db: fill 65532 data /$$(HOME)"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := shop(c.services...)
			slices.SortFunc(m.Volumes, func(a, b *manifestv1.Volume) int { return strings.Compare(a.Name, b.Name) })
			m.Volumes = slices.CompactFunc(m.Volumes, func(a, b *manifestv1.Volume) bool { return a.Name == b.Name })
			d := &desired{id: "theapp", manifest: m, cfg: newWorld(t).r.cfg}
			awaited := map[string]bool{}
			for _, v := range c.awaited {
				awaited[v] = true
			}
			jobs, err := d.fills(&observed{awaited: awaited})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, j := range jobs {
				got = append(got, said(&j.Spec.Template.Spec, m))
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// said is what a Job's containers do, but for the one that brings the program.
func said(p *corev1.PodSpec, m *manifestv1.Manifest) string {
	var all []string
	for _, c := range append(p.InitContainers[1:len(p.InitContainers):len(p.InitContainers)], p.Containers...) {
		line := c.Name + ":"
		for _, a := range c.Args {
			for i, v := range m.Volumes {
				if a == carrierFolder+"/"+volumeAt(i) {
					a = v.Name
				}
			}
			if a == "" {
				a = "-"
			}
			line += " " + a
		}
		all = append(all, line)
	}
	return strings.Join(all, " | ")
}

// What fills a volume gains nothing that the app has not: a hostile image may make of it what it likes.
func TestWhatFillsAVolumeMayDoNoMoreThanTheApp(t *testing.T) {
	m := shop(service("db", "data"))
	d := &desired{id: "theapp", manifest: m, cfg: newWorld(t).r.cfg}
	d.cfg.UserNamespaces = true
	jobs, err := d.fills(&observed{awaited: map[string]bool{"data": true}})
	if err != nil || len(jobs) != 1 {
		t.Fatal(jobs, err)
	}
	template := jobs[0].Spec.Template
	app := d.pod(m.Services[0])
	if template.Labels[v1alpha1.LabelService] != "" || template.Labels[v1alpha1.LabelApp] != "" {
		t.Errorf("labels %v have it reached by the app's policies and names", template.Labels)
	}
	if !slices.Contains(template.Finalizers, v1alpha1.FinalizerMeter) {
		t.Error("nobody pays for it")
	}
	if template.Spec.AutomountServiceAccountToken == nil || *template.Spec.AutomountServiceAccountToken || *template.Spec.HostUsers {
		t.Error("it is not confined")
	}
	own := app.Containers[0].SecurityContext
	for _, c := range slices.Concat(template.Spec.InitContainers, template.Spec.Containers) {
		if *c.SecurityContext.AllowPrivilegeEscalation || c.SecurityContext.Privileged != nil || !slices.Equal(c.SecurityContext.Capabilities.Drop, own.Capabilities.Drop) {
			t.Errorf("container %s: %v", c.Name, c.SecurityContext)
		}
		for _, k := range c.SecurityContext.Capabilities.Add {
			if !slices.Contains(own.Capabilities.Add, k) {
				t.Errorf("container %s has %s, which no service has", c.Name, k)
			}
		}
		if c.Image == d.cfg.Image && len(c.SecurityContext.Capabilities.Add) > 0 {
			t.Errorf("container %s has capabilities and needs none", c.Name)
		}
		if !cmp.Equal(c.Resources.Limits, c.Resources.Requests) || c.Resources.Limits.Memory().IsZero() {
			t.Errorf("container %s: %v", c.Name, c.Resources)
		}
	}
}
