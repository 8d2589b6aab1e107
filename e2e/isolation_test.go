// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/apocryph/apocryph/api/v1alpha1"
	"github.com/apocryph/apocryph/e2e/bed"
)

// A tenant is confined from its first pod on, as seen from inside: each attempt below must fail, and a control shows that the
// attempt itself works.
func TestATenantIsConfined(t *testing.T) {
	d := bed.Connect(t)
	one, two := d.NewPerson(t, true), d.NewPerson(t, true)
	var a, b bed.Deployed
	one.MustJSON(&a, "deploy", one.Write("compose.yaml", bed.ProbeFile("")), "--name", "one", "--for", "1h", "--yes")
	defer one.Run("stop", "one", "--yes")
	two.MustJSON(&b, "deploy", two.Write("compose.yaml", bed.ProbeFile("")), "--name", "two", "--for", "1h", "--yes")
	defer two.Run("stop", "two", "--yes")

	ask := func(path string) string {
		t.Helper()
		code, body, err := d.Get(t.Context(), a.URL+path)
		if err != nil || code != 200 {
			t.Fatalf("asking the probe for %s: %d %v\n%s", path, code, err, body)
		}
		return body
	}
	dial := func(to string) string {
		t.Helper()
		var went struct{ Said, Error string }
		if err := json.Unmarshal([]byte(ask("/dial?network=tcp&to="+url.QueryEscape(to))), &went); err != nil {
			t.Fatal(err)
		}
		return went.Said + went.Error
	}

	t.Run("it reaches its own services", func(t *testing.T) {
		if said := dial("probe:8080"); said != "ok" {
			t.Errorf("dialing its own service by name: %s", said)
		}
	})
	t.Run("it reaches nobody else", func(t *testing.T) {
		var pods corev1.PodList
		if err := d.Kube.List(t.Context(), &pods, client.InNamespace(v1alpha1.Namespace(b.App)), client.HasLabels{v1alpha1.LabelService}); err != nil || len(pods.Items) != 1 {
			t.Fatalf("listing the other tenant's pods: %v, %d pods", err, len(pods.Items))
		}
		targets := map[string]string{
			"the other tenant's pod":     pods.Items[0].Status.PodIP + ":8080",
			"the other tenant's service": "probe." + v1alpha1.Namespace(b.App) + ".svc.cluster.local:8080",
			"the API server":             "kubernetes.default.svc.cluster.local:443",
			"the machine's kubelet":      pods.Items[0].Status.HostIP + ":10250",
			"the machine's API server":   pods.Items[0].Status.HostIP + ":6443",
			"the metadata service":       "169.254.169.254:80",
		}
		var services corev1.ServiceList
		if err := d.Kube.List(t.Context(), &services, client.InNamespace(bed.SystemNamespace)); err != nil {
			t.Fatal(err)
		}
		for _, s := range services.Items {
			// The facade's and the gateway's public ports are for everybody, tenants included; their Services' addresses are not needed.
			if s.Spec.Type == corev1.ServiceTypeClusterIP && s.Spec.ClusterIP != corev1.ClusterIPNone {
				targets["the system's "+s.Name] = fmt.Sprintf("%s:%d", s.Spec.ClusterIP, s.Spec.Ports[0].Port)
			}
		}
		for what, to := range targets {
			if said := dial(to); said == "ok" {
				t.Errorf("%s (%s) answered", what, to)
			}
		}
	})
	t.Run("it holds nothing that helps", func(t *testing.T) {
		var s struct {
			UIDMap   string
			Status   map[string]string
			Token    bool
			Writable []string
		}
		if err := json.Unmarshal([]byte(ask("/self")), &s); err != nil {
			t.Fatal(err)
		}
		if s.UIDMap == "0 0 4294967295" || s.UIDMap == "" {
			t.Errorf("no user namespace: uid_map is %q", s.UIDMap)
		}
		if s.Token {
			t.Error("a service-account token is mounted")
		}
		if s.Status["NoNewPrivs"] != "1" || s.Status["Seccomp"] != "2" {
			t.Errorf("NoNewPrivs %s, Seccomp %s, want 1 and 2", s.Status["NoNewPrivs"], s.Status["Seccomp"])
		}
		// CAP_NET_RAW (13), CAP_SYS_ADMIN (21), CAP_SYS_PTRACE (19), CAP_NET_ADMIN (12), CAP_MKNOD (27).
		var caps uint64
		if _, err := fmt.Sscanf(s.Status["CapBnd"], "%x", &caps); err != nil {
			t.Fatalf("CapBnd %q: %v", s.Status["CapBnd"], err)
		}
		for _, bit := range []int{12, 13, 19, 21, 27} {
			if caps&(1<<bit) != 0 {
				t.Errorf("capability %d is in the bounding set %x", bit, caps)
			}
		}
		if !slices.Contains(s.Writable, "/data/x") {
			t.Errorf("control: its own volume is not writable, only %v", s.Writable)
		}
		for _, path := range s.Writable {
			if strings.HasPrefix(path, "/proc") || strings.HasPrefix(path, "/sys") {
				t.Errorf("%s is writable", path)
			}
		}
	})
	t.Run("its namespace says so", func(t *testing.T) {
		ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: v1alpha1.Namespace(a.App)}}
		if err := d.Kube.Get(t.Context(), client.ObjectKeyFromObject(ns), ns); err != nil {
			t.Fatal(err)
		}
		if got := ns.Labels["pod-security.kubernetes.io/enforce"]; got != "baseline" && got != "restricted" {
			t.Errorf("Pod Security enforces %q", got)
		}
		var quotas corev1.ResourceQuotaList
		var policies networkingv1.NetworkPolicyList
		if err := d.Kube.List(t.Context(), &quotas, client.InNamespace(ns.Name)); err != nil || len(quotas.Items) == 0 {
			t.Errorf("no ResourceQuota: %v", err)
		}
		if err := d.Kube.List(t.Context(), &policies, client.InNamespace(ns.Name)); err != nil || len(policies.Items) == 0 {
			t.Errorf("no NetworkPolicy: %v", err)
		}
		var pods corev1.PodList
		if err := d.Kube.List(t.Context(), &pods, client.InNamespace(ns.Name)); err != nil {
			t.Fatal(err)
		}
		for _, p := range pods.Items {
			for _, c := range p.Spec.Containers {
				for _, r := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory, corev1.ResourceEphemeralStorage} {
					req, lim := c.Resources.Requests[r], c.Resources.Limits[r]
					if req.IsZero() || req.Cmp(lim) != 0 {
						t.Errorf("%s of %s: request %s, limit %s", r, c.Name, &req, &lim)
					}
				}
			}
		}
	})
	t.Run("its namespace can't be deleted under it, by anyone", func(t *testing.T) {
		ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: v1alpha1.Namespace(a.App)}}
		if err := d.Kube.Delete(t.Context(), ns); !apierrors.IsForbidden(err) && !apierrors.IsInvalid(err) {
			t.Errorf("deleting it as the cluster's admin: %v", err)
		}
		other := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "e2e-control-"}}
		if err := errors.Join(d.Kube.Create(t.Context(), other), d.Kube.Delete(t.Context(), other)); err != nil {
			t.Errorf("control: deleting another namespace: %v", err)
		}
	})
	t.Run("another publisher's app is none of its business", func(t *testing.T) {
		for _, args := range [][]string{{"status", b.App}, {"logs", b.App}, {"bill", b.App}, {"stop", b.App, "--yes"}} {
			if r := one.Run(args...); r.Code == 0 {
				t.Errorf("apocryph %s worked", strings.Join(args, " "))
			}
		}
		if phase := d.Apps(t)[b.App].Status.Phase; phase != v1alpha1.PhaseReady {
			t.Errorf("the other app is %s after that", phase)
		}
	})
}
