// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/apocryph/apocryph/api/v1alpha1"
	manifestv1 "github.com/apocryph/apocryph/internal/gen/manifestv1"
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

func (w *world) volumeStatus(name string) *v1alpha1.VolumeStatus {
	w.t.Helper()
	for _, v := range w.app().Status.Volumes {
		if v.Name == name {
			return &v
		}
	}
	return nil
}

// A volume is kept when it leaves the manifest, until a version of the app says that it is to go. It grows, and never shrinks.
func TestAVolumeIsKeptUntilItIsRemoved(t *testing.T) {
	w := newWorld(t)
	order := func(m *manifestv1.Manifest) {
		t.Helper()
		w.order(m)
		w.verify()
		w.reconcile()
	}
	w.order(shop(service("db", "data")))
	w.verify()
	w.fund(metav1.ConditionTrue, v1alpha1.ReasonFunded)
	w.reconcile()
	if v := w.volumeStatus("data"); v == nil || v.SizeBytes != 16<<20 || len(v.Services) != 1 || v.Services[0] != "db" {
		t.Errorf("status: %v", v)
	}
	bigger, smaller := shop(service("db", "data")), shop(service("db", "data"))
	bigger.Volumes[0].SizeBytes *= 4
	order(bigger)
	order(smaller)
	if v := w.volumeStatus("data"); v == nil || v.SizeBytes != 64<<20 {
		t.Errorf("after growth and shrinking: %v", v)
	}
	order(shop(service("db")))
	if v := w.volumeStatus("data"); v == nil || len(v.Services) != 0 {
		t.Errorf("after it left the manifest: %v", v)
	}
	// One that is named and mounted is not touched, whatever the manifest says of others.
	m := shop(service("db"))
	m.RemovedVolumes = []string{"other"}
	order(m)
	if !w.exists(&corev1.PersistentVolumeClaim{}, "data") {
		t.Fatal("it went with another")
	}
	m.RemovedVolumes = []string{"data"}
	order(m)
	c := &corev1.PersistentVolumeClaim{}
	if w.exists(c, "data") && c.DeletionTimestamp.IsZero() {
		t.Error("it stays although it was removed")
	}
	// The meter writes its end down first.
	c.Finalizers = nil
	w.must(w.c.Update(t.Context(), c))
	w.reconcile()
	if v := w.volumeStatus("data"); v != nil {
		t.Errorf("gone, and still there: %v", v)
	}
	order(shop(service("db", "data")))
	if !w.exists(&corev1.PersistentVolumeClaim{}, "data") {
		t.Error("a new one of its name does not come")
	}
}

// What is not verified removes nothing.
func TestAVolumeIsRemovedOnlyByASignedOrder(t *testing.T) {
	w := newWorld(t)
	w.order(shop(service("db", "data")))
	w.verify()
	w.fund(metav1.ConditionTrue, v1alpha1.ReasonFunded)
	w.reconcile()
	m := shop(service("db"))
	m.RemovedVolumes = []string{"data"}
	w.order(m)
	w.say("keeper", is(v1alpha1.ConditionVerified, metav1.ConditionFalse, "Forged"))
	w.reconcile()
	c := &corev1.PersistentVolumeClaim{}
	if !w.exists(c, "data") || !c.DeletionTimestamp.IsZero() {
		t.Error("it went by a forged order")
	}
	w.verify()
	w.reconcile()
	if w.exists(c, "data") && c.DeletionTimestamp.IsZero() {
		t.Error("control: it does not go by a good one")
	}
}
