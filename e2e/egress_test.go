// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/apocryph/apocryph/api/v1alpha1"
	"github.com/apocryph/apocryph/e2e/bed"
	"github.com/apocryph/apocryph/internal/egress"
)

// away is an address of a documentation range: to policies and counters it is as public as any, and it lies on this machine.
const away = "198.51.100.77"

// What an app's pod sends outside is on its bill, to the byte: whatever becomes of the counter meanwhile, and up to the pod's last packet.
func TestWhatLeavesIsBilledToTheByte(t *testing.T) {
	d := bed.Connect(t)
	if !kept(t, d) {
		t.Fatal("no egress counter runs on this devnet")
	}
	devnet := d.Init(t)
	outside := exec.CommandContext(t.Context(), "sleep", "600")
	outside.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	if err := outside.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = outside.Process.Kill()
		_ = outside.Wait()
	})
	d.Outside(t, outside.Process.Pid, away)
	p := d.NewPerson(t, true)
	file := p.Write("compose.yaml", bed.ProbeFile(""))
	var app bed.Deployed
	p.MustJSON(&app, "deploy", file, "--name", "egress", "--for", "1h", "--yes")

	// Asked from the machine itself, as what the facade carries is counted too.
	probe := "http://" + net.JoinHostPort(podAddress(t, d, app.App), "8080")
	ask := func(t *testing.T, what string, query url.Values) string {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, probe+"/"+what+"?"+query.Encode(), nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := d.FromMachine(t).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = res.Body.Close() }()
		var said struct{ Error string }
		if err := json.NewDecoder(res.Body).Decode(&said); err != nil {
			t.Fatal(err)
		}
		return said.Error
	}
	sent := int64(0)
	const count, size, headers = 100, 1000, 20 + 8
	send := func(t *testing.T, host, port string) {
		t.Helper()
		if err := ask(t, "send", url.Values{"to": {net.JoinHostPort(host, port)}, "count": {strconv.Itoa(count)}, "bytes": {strconv.Itoa(size)}}); err != "" {
			t.Fatalf("sending to %s: %s", host, err)
		}
		if host == away {
			sent += count * (size + headers)
		}
	}
	billed := func(t *testing.T) {
		t.Helper()
		bed.Eventually(t, "the account has it", func() error {
			if got := egressOf(t, d, app.App); got != sent {
				return fmt.Errorf("%d bytes, want %d", got, sent)
			}
			return nil
		})
	}

	t.Run("what is sent outside counts", func(t *testing.T) {
		send(t, away, "9")
		billed(t)
	})
	t.Run("what is sent inside does not", func(t *testing.T) {
		send(t, "10.96.0.10", "53")
		send(t, "10.244.0.1", "9")
		send(t, away, "9")
		billed(t)
	})
	t.Run("mail, which policies drop, does not", func(t *testing.T) {
		if err := ask(t, "dial", url.Values{"network": {"tcp"}, "to": {away + ":25"}}); err == "" {
			t.Fatal("mail goes out")
		}
		send(t, away, "9")
		billed(t)
	})
	t.Run("a table that somebody removed goes on", func(t *testing.T) {
		bed.Within(t, devnet, "nft", "delete", "table", "inet", egress.Table)
		bed.Eventually(t, "it counts again", func() error {
			out, err := exec.CommandContext(t.Context(), "nsenter", fmt.Sprintf("--net=/proc/%d/ns/net", devnet), "nft", "list", "table", "inet", egress.Table).CombinedOutput() //nolint:gosec // the test's own
			if err != nil || !strings.Contains(string(out), app.App) {
				return fmt.Errorf("%w\n%s", err, out)
			}
			return nil
		})
		send(t, away, "9")
		billed(t)
	})
	t.Run("an agent that is replaced loses nothing", func(t *testing.T) {
		if err := d.Kube.DeleteAllOf(t.Context(), &corev1.Pod{}, client.InNamespace(bed.SystemNamespace), client.MatchingLabels{"app.kubernetes.io/component": "egress"}); err != nil {
			t.Fatal(err)
		}
		send(t, away, "9")
		billed(t)
	})
	t.Run("the last bytes of a pod are billed", func(t *testing.T) {
		send(t, away, "9")
		var r bed.Receipt
		p.MustJSON(&r, "stop", "egress", "--yes")
		if err := r.Adds(); err != nil {
			t.Error(err)
		}
		if got := egressOf(t, d, app.App); got != sent {
			t.Errorf("at the end it is %d bytes, want %d", got, sent)
		}
	})
	t.Run("nothing of it is left", func(t *testing.T) {
		bed.Eventually(t, "the report and the kernel have no more of it", func() error {
			for _, c := range reported(t, d) {
				if c.App == app.App {
					return fmt.Errorf("reported: %+v", c)
				}
			}
			if rules := bed.Within(t, devnet, "nft", "list", "ruleset"); strings.Contains(rules, app.App) {
				return fmt.Errorf("the kernel has it: %s", rules)
			}
			return nil
		})
	})
}

// kept reports whether a machine's agent lives.
func kept(t *testing.T, d *bed.Devnet) bool {
	t.Helper()
	var all v1alpha1.TrafficList
	if err := d.Kube.List(t.Context(), &all, client.InNamespace(bed.SystemNamespace)); err != nil {
		t.Fatal(err)
	}
	for _, one := range all.Items {
		if one.Machine != "" && time.Since(one.SeenAt.Time) < time.Minute {
			return true
		}
	}
	return false
}

// podAddress is that of an app's only pod.
func podAddress(t *testing.T, d *bed.Devnet, app string) string {
	t.Helper()
	var pods corev1.PodList
	if err := d.Kube.List(t.Context(), &pods, client.InNamespace(v1alpha1.Namespace(app)), client.HasLabels{v1alpha1.LabelService}); err != nil {
		t.Fatal(err)
	}
	for _, p := range pods.Items {
		if p.Status.Phase == corev1.PodRunning {
			return p.Status.PodIP
		}
	}
	t.Fatalf("no pod of %d runs", len(pods.Items))
	return ""
}

// reported are the counters of all machines.
func reported(t *testing.T, d *bed.Devnet) []v1alpha1.TrafficCounter {
	t.Helper()
	var all v1alpha1.TrafficList
	if err := d.Kube.List(t.Context(), &all, client.InNamespace(bed.SystemNamespace)); err != nil {
		t.Fatal(err)
	}
	var counters []v1alpha1.TrafficCounter
	for _, one := range all.Items {
		if one.Machine != "" {
			counters = append(counters, one.Counters...)
		}
	}
	return counters
}

// egressOf is what an app's account has of bytes that left.
func egressOf(t *testing.T, d *bed.Devnet, app string) int64 {
	t.Helper()
	var u v1alpha1.Usage
	if err := d.Kube.Get(t.Context(), client.ObjectKey{Namespace: bed.SystemNamespace, Name: app}, &u); err != nil {
		t.Fatal(err)
	}
	if u.Status.Totals.EgressBytes == "" {
		return 0
	}
	n, err := strconv.ParseInt(u.Status.Totals.EgressBytes, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
