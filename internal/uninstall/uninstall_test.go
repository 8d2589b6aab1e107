// SPDX-License-Identifier: Apache-2.0

package uninstall

import (
	"context"
	"errors"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/apocryph/apocryph/api/v1alpha1"
	"github.com/apocryph/apocryph/internal/fault"
	"github.com/apocryph/apocryph/internal/kube"
)

const system = "apocryph-system"

func app(name string) *v1alpha1.App {
	return &v1alpha1.App{
		ObjectMeta: metav1.ObjectMeta{Namespace: system, Name: name, Finalizers: []string{v1alpha1.FinalizerChannel}},
		Spec:       v1alpha1.AppSpec{Name: "shop"},
	}
}

func gateway() *appsv1.Deployment {
	two := int32(2)
	return &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: system, Name: "gateway"}, Spec: appsv1.DeploymentSpec{Replicas: &two}}
}

// world is a cluster whose other services settle one app at each look.
type world struct {
	*Uninstaller
	said []string
}

func newWorld(t *testing.T, settling bool, objects ...client.Object) *world {
	t.Helper()
	c := fake.NewClientBuilder().WithScheme(kube.Scheme()).WithStatusSubresource(&v1alpha1.App{}).WithObjects(objects...).Build()
	w := &world{}
	looks := 0
	w.Uninstaller = &Uninstaller{Client: c, Namespace: system, Say: func(line string) { w.said = append(w.said, line) }, Wait: func(ctx context.Context) error {
		if looks++; looks > 10 {
			return context.DeadlineExceeded
		}
		if settling {
			settle(ctx, t, c)
		}
		return nil
	}}
	return w
}

func settle(ctx context.Context, t *testing.T, c client.Client) {
	t.Helper()
	var apps v1alpha1.AppList
	if err := c.List(ctx, &apps); err != nil {
		t.Fatal(err)
	}
	a := &apps.Items[0]
	if a.DeletionTimestamp.IsZero() {
		t.Errorf("app %s was not asked to end", a.Name)
	}
	if meta.SetStatusCondition(&a.Status.Conditions, metav1.Condition{
		Type: v1alpha1.ConditionSettled, Status: metav1.ConditionTrue, Reason: "Settled", Message: "7 claimed, 3 refunded",
	}) {
		if err := c.Status().Update(ctx, a); err != nil {
			t.Fatal(err)
		}
		return
	}
	a.Finalizers = nil
	if err := c.Update(ctx, a); err != nil {
		t.Fatal(err)
	}
}

func TestEverythingIsSettledAndGone(t *testing.T) {
	w := newWorld(t, true, app("a"), app("b"), gateway())
	if err := w.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	var apps v1alpha1.AppList
	if err := w.Client.List(t.Context(), &apps); err != nil || len(apps.Items) != 0 {
		t.Errorf("%d apps are left, %v", len(apps.Items), err)
	}
	door := gateway()
	if err := w.Client.Get(t.Context(), client.ObjectKeyFromObject(door), door); err != nil || *door.Spec.Replicas != 0 {
		t.Errorf("the gateway has %d replicas, %v", *door.Spec.Replicas, err)
	}
	if got := strings.Join(w.said, "\n"); strings.Count(got, "7 claimed, 3 refunded") != 2 || strings.Count(got, "no orders") != 1 {
		t.Errorf("it said:\n%s", got)
	}
	if err := w.Run(t.Context()); err != nil {
		t.Errorf("again: %v", err)
	}
}

func TestWhatIsNotSettledStays(t *testing.T) {
	w := newWorld(t, false, app("a"), gateway())
	err := w.Run(t.Context())
	if !errors.Is(err, ErrLeft) || !strings.Contains(err.Error(), "app a (shop)") || fault.HintOf(err) == "" {
		t.Errorf("got %v", err)
	}
	a := app("a")
	if err := w.Client.Get(t.Context(), client.ObjectKeyFromObject(a), a); err != nil || len(a.Finalizers) != 1 {
		t.Errorf("its finalizers are %v, %v", a.Finalizers, err)
	}
}

func TestLeftoversAreNamed(t *testing.T) {
	labels := map[string]string{v1alpha1.LabelApp: "x"}
	for name, c := range map[string]struct {
		left client.Object
		want string
	}{
		"a namespace":     {&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "app-x", Labels: labels}}, "namespace app-x"},
		"a held pod":      {&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "app-x", Name: "p", Labels: labels, Finalizers: []string{v1alpha1.FinalizerMeter}}}, "pod app-x/p"},
		"a held volume":   {&corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "app-x", Name: "v", Labels: labels, Finalizers: []string{v1alpha1.FinalizerMeter}}}, "volume app-x/v"},
		"somebody else's": {&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "theirs"}}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			err := newWorld(t, true, c.left).Run(t.Context())
			if errors.Is(err, ErrLeft) != (c.want != "") || (err != nil && !strings.Contains(err.Error(), c.want)) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}
