// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/apocryph/apocryph/api/v1alpha1"
)

// A volume that an update adds is made, and the quota has room for it.
func TestAVolumeThatAnUpdateAddsIsMade(t *testing.T) {
	w := newWorld(t)
	w.order(shop(service("db", "data")))
	w.verify()
	w.fund(metav1.ConditionTrue, v1alpha1.ReasonFunded)
	w.reconcile()
	if w.exists(&corev1.PersistentVolumeClaim{}, "more") {
		t.Fatal("control: it is there before")
	}
	w.order(shop(service("db", "data", "more")))
	w.verify()
	w.reconcile()
	for _, name := range []string{"data", "more"} {
		if !w.exists(&corev1.PersistentVolumeClaim{}, name) {
			t.Errorf("volume %s is not there", name)
		}
	}
	q := &corev1.ResourceQuota{}
	w.exists(q, quotaName)
	if n := q.Spec.Hard[corev1.ResourcePersistentVolumeClaims]; n.Value() != 2 {
		t.Errorf("the quota has room for %d claims, want 2", n.Value())
	}
}
