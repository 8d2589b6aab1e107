// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/crypto"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/apocryph/apocryph/api/v1alpha1"
	"github.com/apocryph/apocryph/e2e/bed"
	"github.com/apocryph/apocryph/internal/evm"
)

const probesNamespace = bed.SystemNamespace + "-doctor"

// verdict is a row of apocryphd doctor --json.
type verdict struct {
	Check, Result, Saw string
	Required           bool
}

// doctor is the doctor as its operator asks it.
type doctor struct{ *bed.Devnet }

// run runs a program and returns what it wrote and how it ended.
func (d doctor) run(t *testing.T, program string, args ...string) (out []byte, code int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), filepath.Join(d.Root, "build", "bin", program), args...)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+d.Env["KUBECONFIG"])
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if exit := new(exec.ExitError); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	t.Logf("%s %s (%v)\n%s%s", program, strings.Join(args, " "), err, out, &stderr)
	return out, cmd.ProcessState.ExitCode()
}

// ask runs the doctor in its pod, with flags over its configuration.
func (d doctor) ask(t *testing.T, flags ...string) (map[string]verdict, int) {
	t.Helper()
	args := []string{"-n", bed.SystemNamespace, "exec", "deploy/doctor", "--", "apocryphd", "doctor", "--json"}
	out, code := d.run(t, "cluster", append([]string{"kubectl"}, append(args, flags...)...)...)
	return rows(t, out), code
}

// askHere runs the doctor on this machine, where the chain can be anything.
func (d doctor) askHere(t *testing.T, flags ...string) (map[string]verdict, int) {
	t.Helper()
	args := []string{
		"doctor", "--json", "--quiet", "--kubeconfig=" + d.Env["KUBECONFIG"], "--image=none", "--provider=0x0000000000000000000000000000000000000001",
		"--chain-id=" + d.Env["APOCRYPH_CHAIN_ID"], "--channels=" + d.Env["APOCRYPH_CHANNELS"],
	}
	out, code := d.run(t, "apocryphd", append(args, flags...)...)
	return rows(t, out), code
}

func rows(t *testing.T, out []byte) map[string]verdict {
	t.Helper()
	var got struct{ Checks []verdict }
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatalf("the doctor wrote %q: %v", out, err)
	}
	by := map[string]verdict{}
	for _, v := range got.Checks {
		by[v.Check] = v
	}
	return by
}

// broken asks for one check, quietly, and wants it to fail with words.
func (d doctor) broken(t *testing.T, check, says string, flags ...string) {
	t.Helper()
	got, code := d.ask(t, append([]string{"--quiet", "--only=" + check}, flags...)...)
	want(t, got[check], "FAIL", says)
	if code != 1 {
		t.Errorf("exit code %d, want 1", code)
	}
}

func want(t *testing.T, got verdict, result, says string) {
	t.Helper()
	if got.Result != result || !strings.Contains(got.Saw, says) {
		t.Errorf("%s is %s (%s), want %s with %q", got.Check, got.Result, got.Saw, result, says)
	}
}

// withPolicy changes a policy of the probes' namespace for one test.
func (d doctor) withPolicy(t *testing.T, name string, edit func(*networkingv1.NetworkPolicySpec)) {
	t.Helper()
	key := client.ObjectKey{Namespace: probesNamespace, Name: name}
	var p networkingv1.NetworkPolicy
	ctx := context.WithoutCancel(t.Context()) // restoring happens after the test's end
	change := func(to func(*networkingv1.NetworkPolicySpec)) error {
		if err := d.Kube.Get(ctx, key, &p); err != nil {
			return err
		}
		to(&p.Spec)
		return d.Kube.Update(ctx, &p)
	}
	var before networkingv1.NetworkPolicySpec
	if err := change(func(s *networkingv1.NetworkPolicySpec) { before = *s.DeepCopy(); edit(s) }); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := change(func(s *networkingv1.NetworkPolicySpec) { *s = before }); err != nil {
			t.Errorf("restoring policy %s: %v", name, err)
		}
	})
}

// hostUsers has every pod of the probes' namespace run in the machine's user namespace, whatever it asks for.
func (d doctor) hostUsers(t *testing.T) {
	t.Helper()
	name := metav1.ObjectMeta{Name: "e2e-host-users"}
	fail, never := admissionv1.Fail, admissionv1.NeverReinvocationPolicy
	for _, o := range []client.Object{
		&admissionv1.MutatingAdmissionPolicy{ObjectMeta: name, Spec: admissionv1.MutatingAdmissionPolicySpec{
			FailurePolicy: &fail, ReinvocationPolicy: never,
			MatchConstraints: &admissionv1.MatchResources{
				NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: probesNamespace}},
				ResourceRules: []admissionv1.NamedRuleWithOperations{{RuleWithOperations: admissionv1.RuleWithOperations{
					Operations: []admissionv1.OperationType{admissionv1.Create},
					Rule:       admissionv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"pods"}},
				}}},
			},
			Mutations: []admissionv1.Mutation{{
				PatchType:          admissionv1.PatchTypeApplyConfiguration,
				ApplyConfiguration: &admissionv1.ApplyConfiguration{Expression: "Object{spec: Object.spec{hostUsers: true}}"},
			}},
		}},
		&admissionv1.MutatingAdmissionPolicyBinding{ObjectMeta: name, Spec: admissionv1.MutatingAdmissionPolicyBindingSpec{PolicyName: name.Name}},
	} {
		if err := d.Kube.Create(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := d.Kube.Delete(context.WithoutCancel(t.Context()), o); err != nil {
				t.Errorf("restoring: %v", err)
			}
		})
	}
}

// looseVolume makes one volume of the class loose: a plain folder of the machine, as hostPath provisioners give them.
func (d doctor) looseVolume(t *testing.T) {
	t.Helper()
	const folder = "/var/tmp/apocryph-e2e-loose"
	var pods corev1.PodList
	if err := d.Kube.List(t.Context(), &pods, client.InNamespace(bed.SystemNamespace), client.MatchingLabels{"app.kubernetes.io/component": "doctor"}); err != nil || len(pods.Items) == 0 {
		t.Fatalf("looking for the image: %v", err)
	}
	either := corev1.HostPathDirectoryOrCreate
	maker := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceDefault, GenerateName: "e2e-folder-"},
		Spec: corev1.PodSpec{
			RestartPolicy: corev1.RestartPolicyNever,
			Containers: []corev1.Container{{
				Name: "maker", Image: pods.Items[0].Spec.Containers[0].Image, Args: []string{"--help"},
				VolumeMounts: []corev1.VolumeMount{{Name: "folder", MountPath: "/folder"}},
			}},
			Volumes: []corev1.Volume{{Name: "folder", VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: folder, Type: &either}}}},
		},
	}
	volume := &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "e2e-loose-"},
		Spec: corev1.PersistentVolumeSpec{
			StorageClassName: "loose", AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			Capacity:                      corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("16Mi")},
			PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimRetain,
			PersistentVolumeSource:        corev1.PersistentVolumeSource{Local: &corev1.LocalVolumeSource{Path: folder}},
			NodeAffinity: &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
				MatchExpressions: []corev1.NodeSelectorRequirement{{Key: corev1.LabelHostname, Operator: corev1.NodeSelectorOpExists}},
			}}}},
		},
	}
	for _, o := range []client.Object{maker, volume} {
		if err := d.Kube.Create(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = d.Kube.Delete(context.WithoutCancel(t.Context()), o) })
	}
	bed.Eventually(t, "the folder is made", func() error {
		if err := d.Kube.Get(t.Context(), client.ObjectKeyFromObject(maker), maker); err != nil || maker.Status.Phase != corev1.PodSucceeded {
			return fmt.Errorf("%s %w", maker.Status.Phase, err)
		}
		return nil
	})
}

// probes are what lies in the probes' namespace.
func (d doctor) probes(t *testing.T) []string {
	t.Helper()
	var pods corev1.PodList
	var claims corev1.PersistentVolumeClaimList
	in := client.InNamespace(probesNamespace)
	if err := errors.Join(d.Kube.List(t.Context(), &pods, in), d.Kube.List(t.Context(), &claims, in)); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, p := range pods.Items {
		names = append(names, "pod "+p.Name)
	}
	for _, c := range claims.Items {
		names = append(names, "claim "+c.Name)
	}
	return names
}

// nothingLeft waits, because the doctor of the Deployment may be looking too.
func (d doctor) nothingLeft(t *testing.T) {
	t.Helper()
	bed.Eventually(t, "nothing is left", func() error {
		if left := d.probes(t); len(left) > 0 {
			return fmt.Errorf("left: %v", left)
		}
		return nil
	})
}

// fit says whether the provider takes new apps.
func (d doctor) fit(t *testing.T) bool {
	t.Helper()
	var p v1alpha1.Provider
	if err := d.Kube.Get(t.Context(), client.ObjectKey{Namespace: bed.SystemNamespace, Name: v1alpha1.ProviderName}, &p); err != nil {
		t.Fatal(err)
	}
	return apimeta.IsStatusConditionTrue(p.Status.Conditions, v1alpha1.ConditionFit)
}

// podOf is the UID of an app's only pod.
func (d doctor) podOf(t *testing.T, app string) string {
	t.Helper()
	var pods corev1.PodList
	if err := d.Kube.List(t.Context(), &pods, client.InNamespace(v1alpha1.Namespace(app)), client.HasLabels{v1alpha1.LabelService}); err != nil || len(pods.Items) != 1 {
		t.Fatalf("%d pods, %v", len(pods.Items), err)
	}
	return string(pods.Items[0].UID)
}

// loan is what was taken from the gas account, whose key everybody knows on a devnet.
type loan struct {
	owner, holder *evm.Wallet
	amount        *big.Int
	returned      *bool
}

func (d doctor) drain(t *testing.T) loan {
	t.Helper()
	c, err := evm.Dial(t.Context(), []string{d.Env["APOCRYPH_RPC"]}, evm.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	key := func(name string) *ecdsa.PrivateKey {
		k, err := crypto.ToECDSA(crypto.Keccak256([]byte(name)))
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	l := loan{
		owner:  evm.NewWalletWith(c, key("apocryph devnet account invoicer"), evm.Sending{Exclusive: true}),
		holder: evm.NewWallet(c, key("apocryph e2e holder of the gas")), returned: new(bool),
	}
	has, err := c.GasBalance(t.Context(), l.owner.Address())
	if err != nil {
		t.Fatal(err)
	}
	// What is left is less than a claim, and more than this transfer's fee.
	l.amount = new(big.Int).Sub(has.Big(), big.NewInt(1e11))
	to := l.holder.Address()
	bed.Eventually(t, "the gas account is empty", func() error { // the invoicer may be sending with the same key
		_, err := l.owner.Send(t.Context(), evm.Call{To: &to, Value: l.amount})
		return err
	})
	t.Cleanup(func() { l.back(t) })
	return l
}

// back returns all but the fee of the transfer. What is missing after many runs is nothing to a million coins.
func (l loan) back(t *testing.T) {
	t.Helper()
	if *l.returned {
		return
	}
	*l.returned = true
	to := l.owner.Address()
	amount := new(big.Int).Sub(l.amount, big.NewInt(5e13))
	if _, err := l.holder.Send(context.WithoutCancel(t.Context()), evm.Call{To: &to, Value: amount}); err != nil {
		t.Errorf("returning the gas: %v", err)
	}
}
