// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/apocryph/apocryph/api/v1alpha1"
)

// An update never writes fewer replicas than run, not even for a moment.
func TestAnUpdateStopsNothing(t *testing.T) {
	w := newWorld(t)
	w.order(shop(service("web")))
	w.verify()
	w.fund(metav1.ConditionTrue, v1alpha1.ReasonFunded)
	w.reconcile()
	if got := w.replicas("web"); got != 1 {
		t.Fatalf("control: %d replicas", got)
	}
	writes := 0
	look := func() {
		writes++
		if got := w.replicas("web"); got != 1 {
			t.Errorf("after write %d there are %d replicas", writes, got)
		}
	}
	w.r.client = interceptor.NewClient(w.c, interceptor.Funcs{
		Patch: func(ctx context.Context, c client.WithWatch, o client.Object, p client.Patch, opts ...client.PatchOption) error {
			defer look()
			return c.Patch(ctx, o, p, opts...)
		},
		Update: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.UpdateOption) error {
			defer look()
			return c.Update(ctx, o, opts...)
		},
		Apply: func(ctx context.Context, c client.WithWatch, o runtime.ApplyConfiguration, opts ...client.ApplyOption) error {
			defer look()
			return c.Apply(ctx, o, opts...)
		},
	})
	changed := service("web")
	changed.Command = []string{"serve"}
	w.order(shop(changed))
	w.verify()
	w.reconcile()
	if writes == 0 {
		t.Error("control: nothing was written")
	}
}
