// SPDX-License-Identifier: Apache-2.0

// Package rights tests what each of the provider's service accounts may do on a devnet that is up, as the API server sees it: the list of
// its rights is a golden file, and what RBAC can't forbid is tried.
package rights

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/apocryph/apocryph/api/v1alpha1"
	"github.com/apocryph/apocryph/e2e/bed"
	"github.com/apocryph/apocryph/internal/kube"
)

var update = flag.Bool("update", false, "write the golden file")

const golden = "testdata/rights.txt"

// places are where rights are asked for; the tenants' names differ from run to run.
type places struct {
	tenant, foreign string
}

func (p places) all() map[string]string {
	return map[string]string{
		"the system namespace": bed.SystemNamespace, "kube-system": "kube-system", "a tenant's namespace": p.tenant, "a foreign namespace": p.foreign,
	}
}

// A token that a pod has names the pod and its machine.
const (
	itsPod     = "e2e-pod"
	itsUID     = "e2e-uid"
	itsMachine = "e2e-machine"
)

// as is a client that the API server takes for a service account of the system namespace, in a pod.
func as(t *testing.T, d *bed.Devnet, account string) client.Client {
	t.Helper()
	cfg, err := kube.Config(d.Env["KUBECONFIG"])
	if err != nil {
		t.Fatal(err)
	}
	cfg.Impersonate = rest.ImpersonationConfig{
		UserName: "system:serviceaccount:" + bed.SystemNamespace + ":" + account,
		Groups:   []string{"system:serviceaccounts", "system:serviceaccounts:" + bed.SystemNamespace, "system:authenticated"},
		Extra: map[string][]string{
			"authentication.kubernetes.io/pod-name": {itsPod}, "authentication.kubernetes.io/pod-uid": {itsUID}, "authentication.kubernetes.io/node-name": {itsMachine},
		},
	}
	c, err := kube.Client(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// accounts are all that the chart made.
func accounts(t *testing.T, d *bed.Devnet) []string {
	t.Helper()
	var list corev1.ServiceAccountList
	if err := d.Kube.List(t.Context(), &list, client.InNamespace(bed.SystemNamespace)); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, a := range list.Items {
		names = append(names, a.Name)
	}
	slices.Sort(names)
	return names
}

func foreignNamespace(t *testing.T, d *bed.Devnet) string {
	t.Helper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "e2e-foreign-"}}
	if err := d.Kube.Create(t.Context(), ns); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Kube.Delete(t.Context(), ns) })
	return ns.Name
}

// rules lists what an account may do somewhere, a line for each kind of thing, without what everybody may.
func rules(t *testing.T, c client.Client, namespace string, everybody map[string]bool) []string {
	t.Helper()
	review := &authorizationv1.SelfSubjectRulesReview{Spec: authorizationv1.SelfSubjectRulesReviewSpec{Namespace: namespace}}
	if err := c.Create(t.Context(), review); err != nil {
		t.Fatal(err)
	}
	if review.Status.Incomplete {
		t.Fatalf("the API server can't tell all: %s", review.Status.EvaluationError)
	}
	verbs := map[string][]string{}
	for _, r := range review.Status.ResourceRules {
		for _, group := range r.APIGroups {
			for _, resource := range r.Resources {
				what := strings.TrimSuffix(resource+"."+group, ".")
				if len(r.ResourceNames) > 0 {
					what += " named " + strings.Join(slices.Sorted(slices.Values(r.ResourceNames)), ", ")
				}
				verbs[what] = append(verbs[what], r.Verbs...)
			}
		}
	}
	for _, r := range review.Status.NonResourceRules {
		for _, url := range r.NonResourceURLs {
			verbs[url] = append(verbs[url], r.Verbs...)
		}
	}
	var lines []string
	for what, v := range verbs {
		slices.Sort(v)
		if line := what + ": " + strings.Join(slices.Compact(v), ", "); !everybody[line] {
			lines = append(lines, line)
		}
	}
	slices.Sort(lines)
	return lines
}

func TestWhatEachAccountMayDo(t *testing.T) {
	d := bed.Connect(t)
	p := places{tenant: deploy(t, d), foreign: foreignNamespace(t, d)}
	var out strings.Builder
	for _, account := range accounts(t, d) {
		c, nobody := as(t, d, account), as(t, d, "e2e-nobody")
		for _, name := range slices.Sorted(maps.Keys(p.all())) {
			everybody := map[string]bool{}
			for _, line := range rules(t, nobody, p.all()[name], nil) {
				everybody[line] = true
			}
			for _, line := range rules(t, c, p.all()[name], everybody) {
				fmt.Fprintf(&out, "%s in %s: %s\n", account, name, line)
			}
		}
	}
	if *update {
		if err := os.WriteFile(golden, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), out.String()); diff != "" {
		t.Errorf("rights are not those of %s (-want +got); read each line that is new before you write it down with -update:\n%s", golden, diff)
	}
}

// deploy runs an app with a volume and returns its namespace.
func deploy(t *testing.T, d *bed.Devnet) string {
	t.Helper()
	person := d.NewPerson(t, true)
	var app bed.Deployed
	person.MustJSON(&app, "deploy", person.Write("compose.yaml", bed.ProbeFile("")), "--name", "rights", "--for", "1h", "--yes")
	t.Cleanup(func() { person.Run("stop", "rights", "--yes") })
	return v1alpha1.Namespace(app.App)
}
