// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/apocryph/apocryph/api/v1alpha1"
	"github.com/apocryph/apocryph/e2e/bed"
)

// Who can write to the cluster's API can stop an app, not change what runs or who is paid.
func TestAWriterOfTheClusterChangesNothingThatRuns(t *testing.T) {
	d := bed.Connect(t)
	p := d.NewPerson(t, true)
	before := d.Balance(t, p.Address())
	var app bed.Deployed
	p.MustJSON(&app, "deploy", p.Write("compose.yaml", bed.ProbeFile("")), "--name", "tampered", "--for", "1h", "--yes")
	defer p.Run("stop", "tampered", "--yes")
	pods := func() string {
		var list corev1.PodList
		if err := d.Kube.List(t.Context(), &list, client.InNamespace(v1alpha1.Namespace(app.App)), client.HasLabels{v1alpha1.LabelService}); err != nil || len(list.Items) != 1 {
			t.Fatalf("%d pods, %v", len(list.Items), err)
		}
		return string(list.Items[0].UID) + list.Items[0].Spec.Containers[0].Image
	}
	running, good := pods(), d.Apps(t)[app.App].Spec
	write := func(edit func(*v1alpha1.AppSpec)) (int64, error) {
		a := d.Apps(t)[app.App]
		from := client.MergeFrom(a.DeepCopy())
		edit(&a.Spec)
		err := d.Kube.Patch(t.Context(), &a, from)
		return a.Generation, err
	}
	verdict := func(t *testing.T, generation int64, want metav1.ConditionStatus) {
		t.Helper()
		bed.Eventually(t, "the keeper and the controller look at it", func() error {
			s := d.Apps(t)[app.App].Status
			v := meta.FindStatusCondition(s.Conditions, v1alpha1.ConditionVerified)
			if v == nil || v.ObservedGeneration < generation || s.ObservedGeneration < generation {
				return fmt.Errorf("%+v", v)
			}
			if v.Status != want {
				return fmt.Errorf("Verified is %s: %s", v.Status, v.Message)
			}
			return nil
		})
	}
	digest := []byte("sha256:")
	for name, edit := range map[string]func(*v1alpha1.AppSpec){
		"another image": func(s *v1alpha1.AppSpec) {
			i := bytes.Index(s.Manifest, digest) + len(digest)
			copy(s.Manifest[i:], strings.Repeat("ab", 32))
		},
		"another hash":    func(s *v1alpha1.AppSpec) { s.ManifestHash = strings.Repeat("ab", 32) },
		"another channel": func(s *v1alpha1.AppSpec) { s.Channel = "0x" + strings.Repeat("ab", 32) },
		"another payout":  func(s *v1alpha1.AppSpec) { s.Terms[len(s.Terms)/2] ^= 1 },
	} {
		t.Run(name, func(t *testing.T) {
			generation, err := write(edit)
			if err != nil {
				t.Fatal(err)
			}
			verdict(t, generation, metav1.ConditionFalse)
			if now := pods(); now != running {
				t.Errorf("%s runs now, %s ran before", now, running)
			}
			if generation, err = write(func(s *v1alpha1.AppSpec) { *s = *good.DeepCopy() }); err != nil {
				t.Fatal(err)
			}
			verdict(t, generation, metav1.ConditionTrue)
		})
	}
	for name, edit := range map[string]func(*v1alpha1.AppSpec){
		"another publisher": func(s *v1alpha1.AppSpec) { s.Publisher = "0x" + strings.Repeat("ab", 20) },
		"an older number":   func(s *v1alpha1.AppSpec) { s.Sequence-- },
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := write(edit); err == nil {
				t.Error("it was taken")
			}
		})
	}
	t.Run("deleting it settles", func(t *testing.T) {
		if now := pods(); now != running {
			t.Errorf("%s runs now, %s ran before", now, running)
		}
		if err := d.Kube.Delete(t.Context(), &v1alpha1.App{ObjectMeta: metav1.ObjectMeta{Namespace: bed.SystemNamespace, Name: app.App}}); err != nil {
			t.Fatal(err)
		}
		bed.Eventually(t, "the object is gone", func() error {
			if _, there := d.Apps(t)[app.App]; there {
				return fmt.Errorf("it is there")
			}
			return nil
		})
		var r bed.Receipt
		p.MustJSON(&r, "stop", "tampered", "--yes")
		spent, err := before.Sub(d.Balance(t, p.Address()))
		if err != nil || spent.String() != r.Claimed {
			t.Errorf("the wallet is short of %s (%v), claimed is %s", spent, err, r.Claimed)
		}
	})
}
