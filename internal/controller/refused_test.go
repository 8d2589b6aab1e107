// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/apocryph/apocryph/api/v1alpha1"
)

// refusing takes no Deployment to be scaled.
type refusing struct {
	client.WithWatch

	err error
}

func (f refusing) Patch(ctx context.Context, obj client.Object, patch client.Patch, opts ...client.PatchOption) error {
	if _, ok := obj.(*appsv1.Deployment); ok {
		return f.err
	}
	return f.WithWatch.Patch(ctx, obj, patch, opts...)
}

func TestWhatTheClusterRefusesIsSaid(t *testing.T) {
	forbidden := apierrors.NewForbidden(schema.GroupResource{Resource: "deployments"}, "web", errors.New("exceeded quota"))
	policy := *forbidden.ErrStatus.DeepCopy()
	policy.Details.Causes = []metav1.StatusCause{{Message: "an app's pods are metered"}}
	for name, c := range map[string]struct {
		err  error
		old  time.Duration // of the namespace
		said bool
	}{
		"a policy's refusal at once":                   {&apierrors.StatusError{ErrStatus: policy}, 0, true},
		"an object that is not as it has to be":        {apierrors.NewBadRequest("no"), 0, true},
		"what may be rights that are not in force yet": {forbidden, rightsPatience - time.Second, false},
		"what can't be that any more":                  {forbidden, rightsPatience, true},
		"not that somebody else was quicker":           {apierrors.NewConflict(schema.GroupResource{}, "web", errors.New("x")), rightsPatience, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.order(shop(service("web")))
			w.verify()
			w.reconcile() // makes it, at zero
			ns := &corev1.Namespace{}
			w.exists(ns, "")
			ns.CreationTimestamp = metav1.NewTime(w.now.Add(-c.old))
			w.must(w.c.Update(t.Context(), ns))
			w.fund(metav1.ConditionTrue, v1alpha1.ReasonFunded)
			w.r.client = refusing{w.c, c.err}
			if after := w.reconcile().RequeueAfter; (after == resync) != c.said || after == 0 {
				t.Errorf("tried again after %s", after)
			}
			ready := meta.FindStatusCondition(w.app().Status.Conditions, v1alpha1.ConditionReady)
			if got := ready.Reason == ReasonRefused && strings.Contains(ready.Message, "ask the provider"); got != c.said {
				t.Errorf("Ready is %s: %s", ready.Reason, ready.Message)
			}
		})
	}
}

func TestWhatCanNotBeScaledDownIsNotOver(t *testing.T) {
	w := newWorld(t)
	w.order(shop(service("web")))
	w.verify()
	w.fund(metav1.ConditionTrue, v1alpha1.ReasonFunded)
	w.reconcile()
	w.order(shop(service("web")), stopOrdered)
	w.verify()
	w.r.client = refusing{w.c, apierrors.NewBadRequest("no")}
	if _, err := w.r.Reconcile(t.Context(), reconcile.Request{NamespacedName: w.key}); err == nil {
		t.Error("nobody is told")
	}
}

func TestOfEvictedPodsTheNewestStays(t *testing.T) {
	w := newWorld(t)
	w.order(shop(service("db"), service("web")))
	w.verify()
	w.fund(metav1.ConditionTrue, v1alpha1.ReasonFunded)
	w.reconcile()
	w.settle("web")
	w.settle("db")
	for minute, p := range []struct {
		name, service string
		phase         corev1.PodPhase
		finalizers    []string
	}{
		{"first", "web", corev1.PodFailed, nil},
		{"second", "web", corev1.PodFailed, nil},
		{"unmetered", "web", corev1.PodFailed, []string{v1alpha1.FinalizerMeter}},
		{"last", "web", corev1.PodFailed, nil},
		{"running", "web", corev1.PodRunning, []string{v1alpha1.FinalizerMeter}},
		{"its-only", "db", corev1.PodFailed, nil},
	} {
		w.must(w.c.Create(t.Context(), &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{
				Namespace: v1alpha1.Namespace(w.key.Name), Name: p.name, Finalizers: p.finalizers,
				CreationTimestamp: metav1.NewTime(moment(minute)), Labels: map[string]string{v1alpha1.LabelService: p.service},
			},
			Status: corev1.PodStatus{Phase: p.phase},
		}))
	}
	left := func() (names []string) {
		var pods corev1.PodList
		w.must(w.c.List(t.Context(), &pods))
		for _, p := range pods.Items {
			names = append(names, p.Name)
		}
		return names
	}
	for range 2 { // the second time there is nothing more to do
		w.reconcile()
		if got, want := left(), []string{"its-only", "last", "running", "unmetered"}; !slices.Equal(got, want) {
			t.Errorf("%q are left, want %q", got, want)
		}
	}
}
