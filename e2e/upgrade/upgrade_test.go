// SPDX-License-Identifier: Apache-2.0

// Package upgrade tests a provider's change from one version to the next, and its end, on a devnet of its own: the version before this
// one is checked out beside this checkout and brought up, and then brought up to date under a running app.
package upgrade

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/apocryph/apocryph/api/v1alpha1"
	"github.com/apocryph/apocryph/e2e/bed"
)

// versions are a checkout that can be either version.
type versions struct {
	t    *testing.T
	root string
	to   string
}

// before checks out the version that is upgraded from: APOCRYPH_UPGRADE_FROM, or the last commit but one.
func before(t *testing.T) *versions {
	t.Helper()
	if os.Getenv("APOCRYPH_UPGRADE") == "" {
		t.Skip("brings up a devnet of its own: run make test")
	}
	from := os.Getenv("APOCRYPH_UPGRADE_FROM")
	if from == "" {
		from = "HEAD~1"
	}
	dir, err := os.MkdirTemp("", "upgrade")
	if err != nil {
		t.Fatal(err)
	}
	v := &versions{t: t, root: filepath.Join(dir, "main"), to: output(t, ".", "git", "rev-parse", "HEAD")}
	output(t, ".", "git", "worktree", "add", "--detach", v.root, from)
	t.Cleanup(func() {
		if _, err := os.Stat(filepath.Join(v.root, "build", "devnet")); err == nil {
			v.run("make", "devnet-down")
		}
		output(t, ".", "git", "worktree", "remove", "--force", v.root)
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return v
}

func (v *versions) run(name string, args ...string) {
	v.t.Helper()
	output(v.t, v.root, name, args...)
}

func output(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	// A cleanup runs it too, when the test's own context has ended.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 20*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

func TestAnUpgradeDisturbsNobodyAndTheEndLeavesNothing(t *testing.T) {
	v := before(t)
	v.run("make", "devnet", "build")
	d := bed.At(t, v.root)
	person := d.NewPerson(t, true)
	older := filepath.Join(person.Home, "apocryph-of-before")
	copyFile(t, filepath.Join(v.root, "build", "bin", "apocryph"), older)
	var app bed.Deployed
	person.MustJSON(&app, "deploy", person.Write("compose.yaml", bed.ProbeFile("")), "--name", "stays", "--for", "2h", "--yes")
	pod := podOf(t, d, app.App)

	asking := bed.Ask(t, d, app.URL)
	v.run("git", "checkout", "--quiet", "--detach", v.to)
	v.run("make", "devnet", "build")
	asked, failed := asking()

	t.Run("the app's pod is the same", func(t *testing.T) {
		if diff := cmp.Diff(pod, podOf(t, d, app.App)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
	t.Run("no request of its users failed", func(t *testing.T) {
		t.Logf("%d requests", asked)
		if len(failed) > 0 || asked < 100 {
			t.Errorf("%d of %d failed: %s", len(failed), asked, strings.Join(failed, "; "))
		}
	})
	t.Run("the kinds are this version's", func(t *testing.T) { kindsAre(t, d, v.root) })
	t.Run("the publisher's older client still manages its app", func(t *testing.T) {
		for _, args := range [][]string{{"status", "stays"}, {"bill", "stays"}, {"ls"}} {
			cmd := exec.CommandContext(t.Context(), older, args...)
			cmd.Env, cmd.Dir = person.Shell, person.Home
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("apocryph %s: %v\n%s", strings.Join(args, " "), err, out)
			}
		}
	})
	t.Run("and so does the newer one", func(*testing.T) { person.Must("status", "stays") })
	t.Run("an uninstall settles what runs and leaves nothing", func(t *testing.T) { uninstall(t, d, person, app) })
}

// podOf names the app's pods: UID and restarts.
func podOf(t *testing.T, d *bed.Devnet, app string) []string {
	t.Helper()
	var pods corev1.PodList
	if err := d.Kube.List(t.Context(), &pods, client.InNamespace(v1alpha1.Namespace(app)), client.HasLabels{v1alpha1.LabelService}); err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, p := range pods.Items {
		for _, c := range p.Status.ContainerStatuses {
			all = append(all, fmt.Sprintf("%s %s restarted %d times", p.UID, c.Name, c.RestartCount))
		}
	}
	return all
}

// kindsAre compares the kinds in the cluster with the chart's.
func kindsAre(t *testing.T, d *bed.Devnet, root string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, "deploy", "chart", "kinds", "*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no kinds in the chart: %v", err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		want, got := &unstructured.Unstructured{}, &unstructured.Unstructured{}
		if err := yaml.Unmarshal(data, &want.Object); err != nil {
			t.Fatal(err)
		}
		got.SetGroupVersionKind(schema.GroupVersionKind{Group: "apiextensions.k8s.io", Version: "v1", Kind: "CustomResourceDefinition"})
		if err := d.Kube.Get(t.Context(), client.ObjectKey{Name: want.GetName()}, got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(schemas(t, want), schemas(t, got)); diff != "" {
			t.Errorf("%s (-chart +cluster):\n%s", want.GetName(), diff)
		}
	}
}

// schemas are a kind's, by version, as JSON: numbers read from a file and from the API differ in type only.
func schemas(t *testing.T, kind *unstructured.Unstructured) map[string]string {
	t.Helper()
	list, found, err := unstructured.NestedSlice(kind.Object, "spec", "versions")
	if err != nil || !found {
		t.Fatalf("no versions: %v", err)
	}
	out := map[string]string{}
	for _, v := range list {
		m, ok := v.(map[string]any)
		if !ok {
			t.Fatalf("a version is a %T", v)
		}
		schema, err := json.MarshalIndent(m["schema"], "", " ")
		if err != nil {
			t.Fatal(err)
		}
		out[fmt.Sprint(m["name"])] = string(schema)
	}
	return out
}

// uninstall ends the provider and looks for what is left.
func uninstall(t *testing.T, d *bed.Devnet, person *bed.Person, app bed.Deployed) {
	t.Helper()
	said := output(t, d.Root, filepath.Join(d.Root, "build", "bin", "apocryphd"), "uninstall", "--kubeconfig", d.Env["KUBECONFIG"], "--timeout", "5m")
	t.Log(said)
	if !strings.Contains(said, "every channel is settled") {
		t.Errorf("it said:\n%s", said)
	}
	if left := d.Apps(t); len(left) > 0 {
		t.Errorf("%d apps are left", len(left))
	}
	ns := &corev1.Namespace{}
	if err := d.Kube.Get(t.Context(), client.ObjectKey{Name: v1alpha1.Namespace(app.App)}, ns); !apierrors.IsNotFound(err) {
		t.Errorf("the app's namespace: %v", err)
	}
	var volumes corev1.PersistentVolumeList
	if err := d.Kube.List(t.Context(), &volumes); err != nil {
		t.Fatal(err)
	}
	for _, v := range volumes.Items {
		if c := v.Spec.ClaimRef; c != nil && c.Namespace == v1alpha1.Namespace(app.App) && v.DeletionTimestamp.IsZero() {
			t.Errorf("volume %s is left", v.Name)
		}
	}
	// The channel, as the chain has it: the provider can't be asked any more.
	var channel struct {
		Status string `json:"status"`
	}
	person.MustJSON(&channel, "channel", "show", "stays")
	if channel.Status != "closed" {
		t.Errorf("the channel is %s", channel.Status)
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	data, err := os.ReadFile(from)
	if errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("make build left no %s", from)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, data, 0o700); err != nil {
		t.Fatal(err)
	}
}
