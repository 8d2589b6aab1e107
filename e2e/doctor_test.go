// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/apocryph/apocryph/e2e/bed"
	"github.com/apocryph/apocryph/internal/evm/evmtest"
)

// Every check passes on a sound devnet, and each that can be broken here is seen failing for what was broken, and nothing else.
func TestTheDoctorSees(t *testing.T) {
	d := doctor{bed.Connect(t)}
	t.Run("a sound provider, with a warning where a devnet is not", func(t *testing.T) {
		got, code := d.ask(t)
		if code != 0 {
			t.Errorf("exit code %d", code)
		}
		for _, check := range []string{"NetworkPolicies", "UserNamespaces", "VolumeSizes", "ImagePath", "PIDLimits", "DNS", "MachineClocks", "EgressCounters", "Gas", "Endpoints", "Clock"} {
			want(t, got[check], "ok", "")
		}
		want(t, got["TEE"], "warn", "simulator")
		d.nothingLeft(t)
	})
	t.Run("the same by helm test", func(t *testing.T) {
		out, code := d.run(t, "installer", "test", "--kubeconfig="+d.Env["KUBECONFIG"])
		if code != 0 || !strings.Contains(string(out), "NetworkPolicies") {
			t.Errorf("exit code %d", code)
		}
	})
	everywhere := []networkingv1.NetworkPolicyEgressRule{{}}
	for _, test := range []struct {
		name, policy, check, says string
		edit                      func(*networkingv1.NetworkPolicySpec)
	}{
		{"a network in which receivers are not held back", "listener", "NetworkPolicies", "into the receiver", func(s *networkingv1.NetworkPolicySpec) { s.Ingress = []networkingv1.NetworkPolicyIngressRule{{}} }},
		{"a network in which senders are not held back", "dialer", "NetworkPolicies", "out of the sender", func(s *networkingv1.NetworkPolicySpec) { s.Egress = everywhere }},
		{"a network in which nothing comes through", "listener", "NetworkPolicies", "did not come through", func(s *networkingv1.NetworkPolicySpec) { s.Ingress = nil }},
		{"cluster DNS where policies don't expect it", "dns", "DNS", "looking up", func(s *networkingv1.NetworkPolicySpec) {
			s.Egress[0].Ports = []networkingv1.NetworkPolicyPort{{Port: new(intstr.FromInt32(54))}}
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			d.withPolicy(t, test.policy, test.edit)
			d.broken(t, test.check, test.says)
		})
	}
	t.Run("a cluster that ignores hostUsers", func(t *testing.T) {
		d.hostUsers(t)
		bed.Eventually(t, "the policy is in force", func() error {
			if got, _ := d.ask(t, "--quiet", "--only=UserNamespaces"); got["UserNamespaces"].Result == "ok" {
				return errors.New("not yet")
			}
			return nil
		})
		d.broken(t, "UserNamespaces", "machine's own")
	})
	t.Run("an image store that is not where kubelet is sent", func(t *testing.T) {
		d.broken(t, "ImagePath", "nothing answers", "--image-prefix=localhost:5999")
	})
	t.Run("something else where kubelet is sent", func(t *testing.T) {
		// Kubelet's own health endpoint: it speaks HTTP on the machine's loopback and finds no path at all.
		d.broken(t, "ImagePath", "another registry", "--image-prefix=localhost:10248")
	})
	t.Run("a storage class that does not enforce sizes", func(t *testing.T) {
		d.looseVolume(t)
		d.broken(t, "VolumeSizes", "took 96.0 MiB", "--storage-class=loose", "--access-mode=ReadWriteOnce")
	})
	t.Run("pods with more processes than they should have", func(t *testing.T) {
		d.broken(t, "PIDLimits", "none was refused", "--max-pids=256")
	})
	t.Run("evidence of another provider", func(t *testing.T) {
		d.broken(t, "TEE", "another provider", "--provider=0x0000000000000000000000000000000000000001")
	})
	t.Run("a chain whose newest block is further from the clock than configured", func(t *testing.T) {
		d.broken(t, "Clock", "newest block", "--max-drift=1ns")
	})
	t.Run("a gas account that can't pay for what it should", func(t *testing.T) {
		d.broken(t, "Gas", "the least is", "--least-claims=18446744073709551615")
	})
	t.Run("nothing of all this is left", d.nothingLeft)
}

func TestTheDoctorComparesEndpoints(t *testing.T) {
	d := doctor{bed.Connect(t)}
	rpc := d.Env["APOCRYPH_RPC"]
	twin := strings.Replace(rpc, "127.0.0.1", "localhost", 1)
	stranger := evmtest.NewChain(t, evmtest.Options{}).Endpoint(t)
	stranger.Inject(evmtest.Fault{Method: "eth_chainId", Do: evmtest.Say("0x5")})
	fork := evmtest.NewChain(t, evmtest.Options{}).Endpoint(t) // of the same chain id
	for name, test := range map[string]struct {
		second, result, says string
		code                 int
	}{
		"two that agree":        {twin, "ok", "2 endpoints of chain", 0},
		"a second that is away": {"http://127.0.0.1:1/a-secret", "warn", "127.0.0.1:1 does not answer", 0},
		"one of another chain":  {stranger.URL, "FAIL", "is of chain 5", 1},
		"one of a fork":         {fork.URL, "FAIL", "does not have the contract", 1},
	} {
		t.Run(name, func(t *testing.T) {
			got, code := d.askHere(t, "--only=Endpoints", "--rpc="+rpc, "--rpc="+test.second)
			want(t, got["Endpoints"], test.result, test.says)
			if code != test.code || strings.Contains(got["Endpoints"].Saw, "secret") {
				t.Errorf("exit code %d, want %d; saw %s", code, test.code, got["Endpoints"].Saw)
			}
		})
	}
}

// While a required check fails there are no quotes for new apps. What runs is not touched; and who can't see changes nothing.
func TestQuotesAreWithdrawn(t *testing.T) {
	d := doctor{bed.Connect(t)}
	one, two := d.NewPerson(t, true), d.NewPerson(t, true)
	var app bed.Deployed
	one.MustJSON(&app, "deploy", one.Write("compose.yaml", bed.ProbeFile("")), "--name", "stays", "--for", "1h", "--yes")
	defer one.Run("stop", "stays", "--yes")
	pod := d.podOf(t, app.App)
	file := two.Write("compose.yaml", bed.ProbeFile(""))
	offer := func() bed.Result { return two.Run("deploy", file, "--name", "new", "--for", "1h", "--dry-run") }
	if r := offer(); r.Code != 0 {
		t.Fatalf("control: no offer from a sound provider: %s", r.Stderr)
	}

	t.Run("a doctor that can't see changes nothing", func(t *testing.T) {
		got, code := d.ask(t, "--only=Gas,TEE", "--rpc=http://127.0.0.1:1", "--keeper=http://127.0.0.1:1")
		want(t, got["Gas"], "unseen", "")
		want(t, got["TEE"], "unseen", "")
		if r := offer(); code != 2 || r.Code != 0 || !d.fit(t) {
			t.Errorf("exit code %d; an offer: %d %s", code, r.Code, r.Stderr)
		}
	})
	drained := d.drain(t)
	t.Run("an empty gas account withdraws quotes", func(t *testing.T) {
		got, code := d.ask(t, "--only=Gas")
		want(t, got["Gas"], "FAIL", "0 claims")
		if code != 1 || d.fit(t) {
			t.Errorf("exit code %d, fit %t", code, d.fit(t))
		}
		if r := offer(); r.Code == 0 || !strings.Contains(r.Stderr, "Gas") || !strings.Contains(r.Stderr, "no new apps") {
			t.Errorf("an offer: %d %s", r.Code, r.Stderr)
		}
	})
	t.Run("and still when the doctor loses sight of it", func(t *testing.T) {
		if _, code := d.ask(t, "--only=Gas", "--rpc=http://127.0.0.1:1"); code != 2 || d.fit(t) {
			t.Errorf("exit code %d, fit %t", code, d.fit(t))
		}
	})
	t.Run("what runs goes on", func(t *testing.T) {
		if code, _, err := d.Get(t.Context(), app.URL); err != nil || code != 200 {
			t.Errorf("the app answers %d, %v", code, err)
		}
		if now := d.podOf(t, app.App); now != pod {
			t.Errorf("its pod was %s and is %s", pod, now)
		}
		one.Must("status", "stays")
		one.Must("logs", "stays")
		one.Must("deploy", one.Write("compose.yaml", bed.ProbeFile("")+"\n# the same, ordered again\n"), "--name", "stays", "--yes")
		if now := d.podOf(t, app.App); now != pod {
			t.Errorf("an update of what runs: its pod was %s and is %s", pod, now)
		}
	})
	t.Run("with gas again there are quotes again", func(t *testing.T) {
		drained.back(t)
		if got, code := d.ask(t, "--only=Gas"); code != 0 || got["Gas"].Result != "ok" || !d.fit(t) {
			t.Errorf("exit code %d, %+v", code, got)
		}
		if r := offer(); r.Code != 0 {
			t.Errorf("no offer: %s", r.Stderr)
		}
	})
}

// A doctor that dies in the middle of a look leaves probes, which the next look removes.
func TestADoctorThatDies(t *testing.T) {
	d := doctor{bed.Connect(t)}
	looking := make(chan struct{})
	go func() {
		defer close(looking)
		// It is cut off: how it ends is of no interest.
		_ = exec.CommandContext(t.Context(), filepath.Join(d.Root, "build", "bin", "cluster"), "kubectl", "--kubeconfig="+d.Env["KUBECONFIG"],
			"-n", bed.SystemNamespace, "exec", "deploy/doctor", "--", "apocryphd", "doctor", "--quiet").Run()
	}()
	var left []string
	bed.Eventually(t, "it makes probes", func() error {
		if left = d.probes(t); len(left) < 3 {
			return fmt.Errorf("only %v so far", left)
		}
		return nil
	})
	if err := d.Kube.DeleteAllOf(t.Context(), &corev1.Pod{}, client.InNamespace(bed.SystemNamespace),
		client.MatchingLabels{"app.kubernetes.io/component": "doctor"}, client.GracePeriodSeconds(0)); err != nil {
		t.Fatal(err)
	}
	<-looking
	bed.Eventually(t, "the next one removes them", func() error {
		for _, p := range d.probes(t) {
			if slices.Contains(left, p) {
				return fmt.Errorf("%s is left", p)
			}
		}
		return nil
	})
}
