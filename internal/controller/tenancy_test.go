// SPDX-License-Identifier: Apache-2.0

package controller_test

import (
	"path/filepath"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"golang.org/x/tools/txtar"

	"github.com/apocryph/apocryph/api/v1alpha1"
	"github.com/apocryph/apocryph/internal/controller"
)

// Whatever an app is like, all that is made for it is in its own namespace, where nothing runs but the images that its manifest names: no
// policy or other object of the whole cluster has a tenant's words in it, and no part of the provider's answers from a tenant's pod.
func TestAllOfAnAppIsInItsNamespace(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) < 3 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	pods := 0
	for _, file := range files {
		archive, err := txtar.ParseFile(file)
		if err != nil {
			t.Fatal(err)
		}
		app := &v1alpha1.App{Spec: v1alpha1.AppSpec{ManifestHash: strings.Repeat("ab", 32)}}
		app.Name = "the-app-id"
		for _, f := range archive.Files {
			if f.Name != "manifest.yaml" {
				continue
			}
			m := parse(t, f.Data)
			digests := map[string]bool{}
			for _, s := range m.Services {
				digests[s.Digest] = true
			}
			objects, err := controller.Desired(app, m, config())
			if err != nil {
				t.Fatal(err)
			}
			own := ""
			for _, o := range objects {
				if n, is := o.(*corev1.Namespace); is {
					own = n.Name
				}
			}
			for _, o := range objects {
				if _, is := o.(*corev1.Namespace); own == "" || !is && o.GetNamespace() != own {
					t.Errorf("%s: %T %s/%s is outside of namespace %q", file, o, o.GetNamespace(), o.GetName(), own)
				}
				var pod *corev1.PodSpec
				switch o := o.(type) {
				case *appsv1.Deployment:
					pod = &o.Spec.Template.Spec
				case *batchv1.Job:
					pod = &o.Spec.Template.Spec
				default:
					continue
				}
				pods++
				for _, c := range append(pod.InitContainers, pod.Containers...) {
					_, digest, _ := strings.Cut(c.Image, "@")
					if !strings.HasPrefix(c.Image, config().ImagePrefix+"/"+app.Name+"/") || !digests[digest] {
						t.Errorf("%s: %s runs %s", file, o.GetName(), c.Image)
					}
				}
			}
		}
	}
	if pods < 5 {
		t.Errorf("only %d pods were looked at", pods)
	}
}
