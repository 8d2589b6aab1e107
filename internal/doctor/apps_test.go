// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/apocryph/apocryph/api/v1alpha1"
	"github.com/apocryph/apocryph/internal/controller"
	manifestv1 "github.com/apocryph/apocryph/internal/gen/manifestv1"
)

// desired is what the controller makes of an app with a volume: its pod, and its policies by name.
func desired(t *testing.T, userNamespaces bool) (corev1.PodSpec, map[string]networkingv1.NetworkPolicySpec) {
	t.Helper()
	m := &manifestv1.Manifest{
		Name: "shop", Volumes: []*manifestv1.Volume{{Name: probeVolume, SizeBytes: 16 << 20}},
		Services: []*manifestv1.Service{{
			Name: "web", Digest: "sha256:" + strings.Repeat("0", 64), Mounts: []*manifestv1.Mount{{Volume: probeVolume, Path: mountPoint}},
			Resources: &manifestv1.Resources{MilliCpu: 100, MemoryBytes: 64 << 20, EphemeralBytes: 64 << 20},
		}},
	}
	app := &v1alpha1.App{ObjectMeta: metav1.ObjectMeta{Namespace: system, Name: strings.Repeat("a", 40)}}
	objects, err := controller.Desired(app, m, controller.Config{
		Namespace: system, Image: "apocryphd:1", ImagePrefix: "localhost:5100", PublicScheme: "http", UserNamespaces: userNamespaces,
	})
	if err != nil {
		t.Fatal(err)
	}
	var pod corev1.PodSpec
	policies := map[string]networkingv1.NetworkPolicySpec{}
	for _, o := range objects {
		switch o := o.(type) {
		case *appsv1.Deployment:
			pod = o.Spec.Template.Spec
		case *networkingv1.NetworkPolicy:
			policies[o.Name] = o.Spec
		}
	}
	return pod, policies
}

// A probe that is not what an app's pod is tries something else. So all that the controller gives to pods is compared, but for what is named here.
func TestProbesAreWhatAppsAre(t *testing.T) {
	for _, userNamespaces := range []bool{true, false} {
		w := newWorld(t, func(c *Config) { c.UserNamespaces = userNamespaces })
		app, _ := desired(t, userNamespaces)
		probe := w.d.look().site("0", "").volumePod().Spec
		for _, p := range []*corev1.PodSpec{&app, &probe} {
			// What an app chooses: whose its processes are, how it ends; its volumes' names.
			p.SecurityContext.RunAsUser, p.SecurityContext.RunAsGroup, p.SecurityContext.RunAsNonRoot = nil, nil, nil
			// How they come to write to a new volume: the carrier has given an app's to them, kubelet gives the probe's.
			p.SecurityContext.SupplementalGroups, p.SecurityContext.FSGroup, p.SecurityContext.FSGroupChangePolicy = nil, nil, nil
			p.TerminationGracePeriodSeconds, p.Volumes[0].PersistentVolumeClaim.ClaimName = nil, ""
			// A probe ends, and says something when it does.
			p.RestartPolicy, p.ActiveDeadlineSeconds = "", nil
			c := &p.Containers[0]
			c.Name, c.Image, c.ImagePullPolicy, c.Args, c.Resources = "", "", "", nil, corev1.ResourceRequirements{}
			c.TerminationMessagePath, c.TerminationMessagePolicy = "", ""
			// A probe can do without what many images need.
			c.SecurityContext.ReadOnlyRootFilesystem, c.SecurityContext.Capabilities.Add = nil, nil
		}
		if diff := cmp.Diff(app, probe); diff != "" {
			t.Errorf("user namespaces %t (-app +probe):\n%s", userNamespaces, diff)
		}
	}
}

// What apps may ask of DNS is what the probes may.
func TestProbesHaveTheAppsPolicies(t *testing.T) {
	_, policies := desired(t, true)
	template, err := os.ReadFile("../../deploy/chart/templates/doctor-probes.yaml")
	if err != nil {
		t.Fatal(err)
	}
	compared := 0
	for document := range bytes.SplitSeq(template, []byte("\n---\n")) {
		var p networkingv1.NetworkPolicy
		document = bytes.ReplaceAll(document, []byte("{{ $probes }}"), []byte("probes"))
		if !bytes.Contains(document, []byte("kind: NetworkPolicy")) || bytes.Contains(document, []byte("{{")) {
			continue // those of the dialer and the listener, whose labels only they have
		}
		if err := yaml.Unmarshal(document, &p); err != nil {
			t.Fatal(err)
		}
		of := policies[p.Name]
		of.PodSelector, p.Spec.PodSelector = metav1.LabelSelector{}, metav1.LabelSelector{} // all services of an app, all probes
		if diff := cmp.Diff(of, p.Spec); diff != "" {
			t.Errorf("%s (-apps +probes):\n%s", p.Name, diff)
		}
		compared++
	}
	if compared != 2 {
		t.Errorf("compared %d policies, want default-deny and dns", compared)
	}
}
