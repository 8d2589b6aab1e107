// SPDX-License-Identifier: Apache-2.0

package rights

import (
	"context"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/apocryph/apocryph/api/v1alpha1"
	"github.com/apocryph/apocryph/e2e/bed"
)

// scene is what there is to tamper with; every attempt is a dry run, so that one which is allowed does no harm.
type scene struct {
	d       *bed.Devnet
	app     *v1alpha1.App
	usage   *v1alpha1.Usage
	pod     *corev1.Pod
	foreign string
}

// attempt is something that an account must not do, and the control: what it may do that differs in that alone.
type attempt struct {
	account string
	do      func(context.Context, client.Client, *scene) error
	control func(context.Context, client.Client, *scene) error
}

// patch sends a merge patch, as a dry run.
func patch(ctx context.Context, c client.Client, obj client.Object, json string) error {
	return c.Patch(ctx, obj, client.RawPatch(types.MergePatchType, []byte(json)), client.DryRunAll)
}

func podPatch(json string) func(context.Context, client.Client, *scene) error {
	return func(ctx context.Context, c client.Client, s *scene) error {
		return patch(ctx, c, s.pod.DeepCopy(), json)
	}
}

// say applies one condition to the App's status, as its writer would.
func say(kind string) func(context.Context, client.Client, *scene) error {
	return func(ctx context.Context, c client.Client, s *scene) error {
		app := s.app.DeepCopy()
		meta.SetStatusCondition(&app.Status.Conditions, metav1.Condition{Type: kind, Status: metav1.ConditionFalse, Reason: "Tried", Message: "by a test"})
		return c.Status().Patch(ctx, app, client.MergeFrom(s.app), client.DryRunAll)
	}
}

func appStatus(json string) func(context.Context, client.Client, *scene) error {
	return func(ctx context.Context, c client.Client, s *scene) error {
		return c.Status().Patch(ctx, s.app.DeepCopy(), client.RawPatch(types.MergePatchType, []byte(json)), client.DryRunAll)
	}
}

func keeperUsage(json string) func(context.Context, client.Client, *scene) error {
	return func(ctx context.Context, c client.Client, s *scene) error {
		return c.Status().Patch(ctx, s.usage.DeepCopy(), client.RawPatch(types.MergePatchType, []byte(json)), client.DryRunAll)
	}
}

func meterUsage(change func(*v1alpha1.Usage)) func(context.Context, client.Client, *scene) error {
	return func(ctx context.Context, c client.Client, s *scene) error {
		u := &v1alpha1.Usage{}
		if err := c.Get(ctx, client.ObjectKeyFromObject(s.usage), u); err != nil {
			return err
		}
		change(u)
		return c.Status().Update(ctx, u, client.DryRunAll)
	}
}

func read(obj client.Object, namespace, name string) func(context.Context, client.Client, *scene) error {
	return func(ctx context.Context, c client.Client, _ *scene) error {
		return c.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, obj)
	}
}

func namespacePatch(name, json string) func(context.Context, client.Client, *scene) error {
	return func(ctx context.Context, c client.Client, s *scene) error {
		if name == "" {
			name = v1alpha1.Namespace(s.app.Name)
		}
		return patch(ctx, c, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}, json)
	}
}

func makeNamespace(name string, labels map[string]string) func(context.Context, client.Client, *scene) error {
	return func(ctx context.Context, c client.Client, _ *scene) error {
		return c.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}}, client.DryRunAll)
	}
}

// bind makes a binding in a namespace ("" is the tenant's).
func bind(namespace, role, account, of string) func(context.Context, client.Client, *scene) error {
	return func(ctx context.Context, c client.Client, s *scene) error {
		in := namespace
		if in == "" {
			in = v1alpha1.Namespace(s.app.Name)
		}
		return c.Create(ctx, &rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Namespace: in, Name: "e2e-tried"},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
			Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: of, Name: account}},
		}, client.DryRunAll)
	}
}

func tenantSecrets(ctx context.Context, c client.Client, s *scene) error {
	return c.List(ctx, &corev1.SecretList{}, client.InNamespace(v1alpha1.Namespace(s.app.Name)))
}

func tenantPods(ctx context.Context, c client.Client, s *scene) error {
	return c.List(ctx, &corev1.PodList{}, client.InNamespace(v1alpha1.Namespace(s.app.Name)))
}

func deletePod(ctx context.Context, c client.Client, s *scene) error {
	return c.Delete(ctx, s.pod.DeepCopy(), client.DryRunAll)
}

func deleteForeign(ctx context.Context, c client.Client, s *scene) error {
	return c.Delete(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.foreign}}, client.DryRunAll)
}

func scaleDNS(ctx context.Context, c client.Client, _ *scene) error {
	return patch(ctx, c, &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: "coredns"}}, `{"spec":{"replicas":0}}`)
}

func appSpec(json string) func(context.Context, client.Client, *scene) error {
	return func(ctx context.Context, c client.Client, s *scene) error {
		return patch(ctx, c, s.app.DeepCopy(), json)
	}
}

// count reports traffic under a name, as the agent of a machine ("" is no machine's), from a source and, if it is one's, of a pod.
func count(name, machine, source, pod string) func(context.Context, client.Client, *scene) error {
	return func(ctx context.Context, c client.Client, s *scene) error {
		return c.Create(ctx, &v1alpha1.Traffic{
			ObjectMeta: metav1.ObjectMeta{Namespace: bed.SystemNamespace, Name: name}, Machine: machine, SeenAt: metav1.Now(),
			Counters: []v1alpha1.TrafficCounter{{App: s.app.Name, Source: source, PodUID: pod, Bytes: 1}},
		}, client.DryRunAll)
	}
}

const (
	tenantRole = "apocryph-tenant-meter"
	dropOurs   = `{"metadata":{"finalizers":null}}`
)

// forbidden are the attempts. Without a control of the account's own, the cluster's admin must be able to do it.
func forbidden() map[string]attempt {
	secret := func(namespace, name string) func(context.Context, client.Client, *scene) error {
		return read(&corev1.Secret{}, namespace, name)
	}
	label := map[string]string{v1alpha1.LabelApp: "x"}
	return map[string]attempt{
		"the meter changes what a pod runs":            {"meter", podPatch(`{"spec":{"containers":[{"name":"probe","image":"localhost:5100/evil"}]}}`), podPatch(dropOurs)},
		"the meter changes a pod's labels":             {"meter", podPatch(`{"metadata":{"labels":{"a":"b"}}}`), podPatch(dropOurs)},
		"the meter puts a finalizer on a pod":          {"meter", podPatch(`{"metadata":{"finalizers":["apocryph.network/meter","example.org/stay"]}}`), podPatch(dropOurs)},
		"the meter deletes a pod":                      {"meter", deletePod, nil},
		"the meter signs a voucher":                    {"meter", meterUsage(func(u *v1alpha1.Usage) { u.Status.Voucher = voucher() }), meterUsage(func(u *v1alpha1.Usage) { u.Status.Totals.CPUMilliSeconds = "99999999" })},
		"the meter reads a secret of the system":       {"meter", secret(bed.SystemNamespace, "invoicer-gas"), nil},
		"the keeper invents usage":                     {"keeper", keeperUsage(`{"status":{"totals":{"cpuMilliSeconds":"99999999"}}}`), keeperUsage(`{"status":{"voucher":{"channel":"0x01","total":"1","signature":"AA=="}}}`)},
		"the keeper says that an app is funded":        {"keeper", say(v1alpha1.ConditionFunded), say(v1alpha1.ConditionVerified)},
		"the keeper ends an app":                       {"keeper", appStatus(`{"status":{"endReason":"StoppedByPublisher"}}`), say(v1alpha1.ConditionVerified)},
		"the keeper orders something":                  {"keeper", appSpec(`{"spec":{"host":"evil.example"}}`), nil},
		"the invoicer verifies an order":               {"invoicer", say(v1alpha1.ConditionVerified), say(v1alpha1.ConditionFunded)},
		"the invoicer says that an app has stopped":    {"invoicer", say(v1alpha1.ConditionStopped), say(v1alpha1.ConditionSettled)},
		"the invoicer ends an app":                     {"invoicer", appStatus(`{"status":{"phase":"Ended"}}`), appStatus(`{"status":{"funds":{"block":1}}}`)},
		"the invoicer reads the simulator's secret":    {"invoicer", secret(bed.SystemNamespace, "simulator"), nil},
		"the controller verifies an order":             {"controller", say(v1alpha1.ConditionVerified), say(v1alpha1.ConditionReady)},
		"the controller says that an app is settled":   {"controller", say(v1alpha1.ConditionSettled), say(v1alpha1.ConditionStopped)},
		"the controller changes an order":              {"controller", appSpec(`{"spec":{"host":"evil.example"}}`), appSpec(`{"metadata":{"annotations":{"a":"b"}}}`)},
		"the controller makes kube-system an app's":    {"controller", namespacePatch("kube-system", `{"metadata":{"labels":{"apocryph.network/app":"kube-system"}}}`), namespacePatch("", `{"metadata":{"annotations":{"a":"b"}}}`)},
		"the controller makes a namespace of no app":   {"controller", makeNamespace("e2e-tried", nil), makeNamespace("app-x", label)},
		"the controller makes one under another name":  {"controller", makeNamespace("e2e-tried", label), makeNamespace("app-x", label)},
		"the controller deletes a namespace of no app": {"controller", deleteForeign, nil},
		"the controller binds a role in kube-system":   {"controller", bind("kube-system", tenantRole, "meter", bed.SystemNamespace), bind("", tenantRole, "meter", bed.SystemNamespace)},
		"the controller binds cluster-admin":           {"controller", bind("", "cluster-admin", "meter", bed.SystemNamespace), bind("", tenantRole, "meter", bed.SystemNamespace)},
		"the controller binds a role to somebody else": {"controller", bind("", tenantRole, "default", "default"), bind("", tenantRole, "meter", bed.SystemNamespace)},
		"the controller reads the secrets of a tenant": {"controller", tenantSecrets, nil},
		"the gateway reads a secret of the system":     {"gateway", secret(bed.SystemNamespace, "simulator"), nil},
		"the gateway says that an app is verified":     {"gateway", say(v1alpha1.ConditionVerified), nil},
		"the gateway deletes a tenant's pod":           {"gateway", deletePod, nil},
		"the invoicer says what was told":              {"invoicer", appStatus(`{"status":{"notify":{"webhook":"00"}}}`), appStatus(`{"status":{"funds":{"block":1}}}`)},
		"the notifier says that an app is funded":      {"notifier", say(v1alpha1.ConditionFunded), say(v1alpha1.ConditionNotified)},
		"the notifier says that an app is verified":    {"notifier", say(v1alpha1.ConditionVerified), say(v1alpha1.ConditionNotified)},
		"the notifier ends an app":                     {"notifier", appStatus(`{"status":{"endReason":"StoppedByPublisher"}}`), appStatus(`{"status":{"notify":{"webhook":"00"}}}`)},
		"the notifier changes an app":                  {"notifier", appSpec(`{"spec":{"host":"evil.example"}}`), nil},
		"the notifier reads a secret":                  {"notifier", secret(bed.SystemNamespace, "invoicer-gas"), nil},
		"the notifier reads a tenant's pods":           {"notifier", tenantPods, nil},
		"the doctor reads a secret":                    {"doctor", secret(bed.SystemNamespace, "simulator"), nil},
		"the doctor changes an app":                    {"doctor", appSpec(`{"spec":{"host":"evil.example"}}`), nil},
		"the doctor says that an app is funded":        {"doctor", say(v1alpha1.ConditionFunded), nil},
		"the facade scales the cluster's DNS":          {"facade", scaleDNS, nil},
		"the facade reads a secret":                    {"facade", secret(bed.SystemNamespace, "simulator"), nil},
		"the facade changes an app":                    {"facade", appSpec(`{"spec":{"host":"evil.example"}}`), nil},
		"the facade counts under another's name":       {"facade", count("another", "", itsUID, ""), count(itsPod, "", itsUID, "")},
		"the facade counts for a machine":              {"facade", count(itsPod, itsMachine, itsUID, ""), count(itsPod, "", itsUID, "")},
		"the facade counts from another's source":      {"facade", count(itsPod, "", "another", ""), count(itsPod, "", itsUID, "")},
		"the facade counts for a pod":                  {"facade", count(itsPod, "", itsUID, "pod"), count(itsPod, "", itsUID, "")},
		"the gateway counts under another's name":      {"gateway", count("another", "", itsUID, ""), count(itsPod, "", itsUID, "")},
		"a machine's agent counts for another machine": {"egress", count("machine-other", "other", "net", "pod"), count("machine-"+itsMachine, itsMachine, "net", "pod")},
		"a machine's agent counts under another name":  {"egress", count("machine-other", itsMachine, "net", "pod"), count("machine-"+itsMachine, itsMachine, "net", "pod")},
		"a machine's agent counts for no pod":          {"egress", count("machine-"+itsMachine, itsMachine, "net", ""), count("machine-"+itsMachine, itsMachine, "net", "pod")},
		"a machine's agent reads a secret":             {"egress", secret(bed.SystemNamespace, "simulator"), nil},
		"the meter counts by itself":                   {"meter", count(itsPod, "", itsUID, ""), nil},
		"the image store reads a secret":               {"imagestore", secret(bed.SystemNamespace, "simulator"), nil},
		"the image store changes an app":               {"imagestore", appSpec(`{"spec":{"host":"evil.example"}}`), nil},
		"the log store reads a secret":                 {"logstore", secret(bed.SystemNamespace, "simulator"), nil},
		"the log store reads a tenant's pods":          {"logstore", tenantPods, nil},
		"the log store changes an app":                 {"logstore", appSpec(`{"spec":{"host":"evil.example"}}`), nil},
		"the gateway deletes an app": {"gateway", func(ctx context.Context, c client.Client, s *scene) error {
			return c.Delete(ctx, s.app.DeepCopy(), client.DryRunAll)
		}, nil},
		"whoever it is, a tenant's namespace is not deleted": {"gateway", func(ctx context.Context, c client.Client, s *scene) error {
			return c.Delete(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: v1alpha1.Namespace(s.app.Name)}}, client.DryRunAll)
		}, namespacePatchNobody},
	}
}

// namespacePatchNobody is the control of what nobody but the controller may do: reading works.
func namespacePatchNobody(ctx context.Context, _ client.Client, s *scene) error {
	return s.d.Kube.Get(ctx, client.ObjectKey{Name: v1alpha1.Namespace(s.app.Name)}, &corev1.Namespace{})
}

func voucher() *v1alpha1.Voucher {
	return &v1alpha1.Voucher{Channel: "0x01", Total: "1", Signature: []byte{0}}
}

func TestNoAccountDoesAnothersWork(t *testing.T) {
	d := bed.Connect(t)
	s := sceneOf(t, d)
	tried := map[string]bool{}
	for name, a := range forbidden() {
		t.Run(name, func(t *testing.T) {
			tried[a.account] = true
			err := a.do(t.Context(), as(t, d, a.account), s)
			if !apierrors.IsForbidden(err) && !apierrors.IsInvalid(err) {
				t.Errorf("it may: %v", err)
			}
			control, who := a.control, as(t, d, a.account)
			if control == nil {
				control, who = a.do, d.Kube
			}
			if err := control(t.Context(), who, s); err != nil {
				t.Errorf("control: %v", err)
			}
		})
	}
	for _, account := range accounts(t, d) {
		if account != "default" && !tried[account] {
			t.Errorf("nothing was tried as %s", account)
		}
	}
}

// sceneOf deploys an app and finds what belongs to it.
func sceneOf(t *testing.T, d *bed.Devnet) *scene {
	t.Helper()
	s := &scene{d: d, foreign: foreignNamespace(t, d)}
	namespace := deploy(t, d)
	id, _ := v1alpha1.AppOf(namespace)
	app := d.Apps(t)[id]
	s.app = &app
	s.usage = &v1alpha1.Usage{ObjectMeta: metav1.ObjectMeta{Namespace: app.Namespace, Name: app.Name}}
	bed.Eventually(t, "the app has an account", func() error { return d.Kube.Get(t.Context(), client.ObjectKeyFromObject(s.usage), s.usage) })
	var pods corev1.PodList
	if err := d.Kube.List(t.Context(), &pods, client.InNamespace(namespace)); err != nil || len(pods.Items) == 0 {
		t.Fatalf("its pods: %v", err)
	}
	s.pod = &pods.Items[0]
	return s
}
