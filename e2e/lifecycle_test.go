// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/apocryph/apocryph/api/v1alpha1"
	"github.com/apocryph/apocryph/e2e/bed"
)

// An app from its order to its end, with an update, a crash of every part of the provider, and a deploy that was cut short.
func TestAnAppLives(t *testing.T) {
	d := bed.Connect(t)
	p := d.NewPerson(t, true)
	before := d.Balance(t, p.Address())
	file := p.Write("compose.yaml", bed.ProbeFile(""))
	var app bed.Deployed
	p.MustJSON(&app, "deploy", file, "--name", "life", "--for", "1h", "--yes")

	answers := func(t *testing.T) {
		t.Helper()
		bed.Eventually(t, "the app answers", func() error {
			code, body, err := d.Get(t.Context(), app.URL)
			if err != nil || code != 200 || !strings.Contains(body, "probe") {
				return fmt.Errorf("%d %w %s", code, err, body)
			}
			return nil
		})
	}
	uid := func(t *testing.T) string {
		t.Helper()
		var pods corev1.PodList
		if err := d.Kube.List(t.Context(), &pods, client.InNamespace(v1alpha1.Namespace(app.App))); err != nil {
			t.Fatal(err)
		}
		var ids []string
		for _, pod := range pods.Items {
			if pod.DeletionTimestamp.IsZero() { // else it is held for its last bytes
				ids = append(ids, string(pod.UID))
			}
		}
		return strings.Join(ids, " ")
	}

	t.Run("it answers by host name", answers)
	first := uid(t)
	t.Run("the same order again changes nothing", func(t *testing.T) {
		var again bed.Deployed
		p.MustJSON(&again, "deploy", file, "--name", "life", "--for", "1h", "--yes")
		if again != app || uid(t) != first {
			t.Errorf("%+v and pods %s, want %+v and %s", again, uid(t), app, first)
		}
	})
	t.Run("an update keeps id, URL and channel", func(t *testing.T) {
		p.Write("compose.yaml", strings.Replace(bed.ProbeFile(""), "    cpus: 0.1\n", "    cpus: 0.1\n    environment: {VERSION: \"2\"}\n", 1))
		var updated bed.Deployed
		p.MustJSON(&updated, "deploy", file, "--name", "life", "--for", "1h", "--yes")
		if updated != app {
			t.Errorf("%+v, want %+v", updated, app)
		}
		if uid(t) == first {
			t.Error("the pod is still the old one")
		}
		answers(t)
	})
	t.Run("it is listed, shown, and its lines are read", func(t *testing.T) {
		if out := p.Must("ls"); !strings.Contains(out, "life") {
			t.Errorf("ls does not list it:\n%s", out)
		}
		if out := p.Must("status", "life"); !strings.Contains(out, "Ready") {
			t.Errorf("status is not Ready:\n%s", out)
		}
		if out := p.Must("logs", "life"); !strings.Contains(out, "probe: listening") {
			t.Errorf("logs:\n%s", out)
		}
	})
	t.Run("any part of the provider can be killed and the app goes on", func(t *testing.T) {
		running := uid(t)
		var pods corev1.PodList
		if err := d.Kube.List(t.Context(), &pods, client.InNamespace(bed.SystemNamespace)); err != nil {
			t.Fatal(err)
		}
		for _, pod := range pods.Items {
			if err := d.Kube.Delete(t.Context(), &pod); err != nil {
				t.Fatal(err)
			}
		}
		answers(t)
		bed.Eventually(t, "the provider is back", func() error {
			if r := p.Run("status", "life"); r.Code != 0 {
				return fmt.Errorf("%s", r.Stderr)
			}
			return nil
		})
		if now := uid(t); now != running {
			t.Errorf("the app's pods changed: %s, now %s", running, now)
		}
	})
	t.Run("stopping returns the rest to the unit", func(t *testing.T) {
		var r bed.Receipt
		p.MustJSON(&r, "stop", "life", "--yes")
		after := d.Balance(t, p.Address())
		if err := r.Adds(); err != nil {
			t.Error(err)
		}
		spent, err := before.Sub(after)
		if err != nil || spent.String() != r.Claimed {
			t.Errorf("the wallet is short of %s (%v), claimed is %s", spent, err, r.Claimed)
		}
	})
	t.Run("nothing of it is left", func(t *testing.T) {
		bed.Eventually(t, "the namespace and the volumes are gone", func() error { return d.Left(t, app.App) })
		if code, _, err := d.Get(t.Context(), app.URL); err != nil || code == 200 {
			t.Errorf("its host still answers %d (%v)", code, err)
		}
	})
}

// Killed at any moment, the same command goes on: one app, one channel, one deposit.
func TestADeployCutShortGoesOn(t *testing.T) {
	d := bed.Connect(t)
	p := d.NewPerson(t, true)
	before := d.Balance(t, p.Address())
	file := p.Write("compose.yaml", bed.ProbeFile(""))
	args := []string{"deploy", file, "--name", "cut", "--for", "1h", "--yes", "--json"}
	for _, step := range []string{"open", "push", "apply"} {
		cmd := exec.CommandContext(t.Context(), filepath.Join(p.Root, "build", "bin", "apocryph"), args...)
		cmd.Env, cmd.Dir = p.Shell, p.Home
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		buf, seen := make([]byte, 1024), ""
		for !strings.Contains(seen, `"step":"`+step) {
			n, err := out.Read(buf)
			seen += string(buf[:n])
			if err != nil {
				break
			}
		}
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		t.Logf("killed at %s after\n%s", step, seen)
	}
	var app bed.Deployed
	p.MustJSON(&app, args[:len(args)-1]...)
	var r bed.Receipt
	p.MustJSON(&r, "stop", "cut", "--yes")
	spent, err := before.Sub(d.Balance(t, p.Address()))
	if err != nil || spent.String() != r.Claimed {
		t.Errorf("the wallet is short of %s (%v), claimed is %s: money is stuck somewhere", spent, err, r.Claimed)
	}
	n := 0
	for _, a := range d.Apps(t) {
		if strings.EqualFold(a.Spec.Publisher, p.Address().Hex()) {
			n++
		}
	}
	if n != 1 {
		t.Errorf("%d apps of this publisher, want 1", n)
	}
}
