// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/apocryph/apocryph/api/v1alpha1"
	"github.com/apocryph/apocryph/e2e/bed"
)

// What a service wrote stays readable when it has crashed, and when its pod is gone; each line is there once, and what happened is told.
func TestWhatWasWrittenStays(t *testing.T) {
	d := bed.Connect(t)
	p := d.NewPerson(t, true)
	var app bed.Deployed
	p.MustJSON(&app, "deploy", p.Write("compose.yaml", bed.ProbeFile("")), "--name", "seen", "--for", "1h", "--yes")
	defer p.Run("stop", "seen", "--yes")

	t.Log("it crashes, and starts again")
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, app.URL+"/exit", nil)
	if err != nil {
		t.Fatal(err)
	}
	if resp, err := d.Web().Do(r); err == nil {
		_ = resp.Body.Close()
	}
	lines := func(args ...string) int {
		return strings.Count(p.Must(append([]string{"logs", "seen"}, args...)...), "probe: listening")
	}
	written := func(runs, ended int) {
		t.Helper()
		bed.Eventually(t, fmt.Sprintf("the lines of %d runs", runs), func() error {
			all, previous := lines(), lines("--previous")
			if all != runs || previous != ended {
				return fmt.Errorf("%d lines, %d of runs that ended; want %d and %d", all, previous, runs, ended)
			}
			return nil
		})
	}
	written(2, 1)
	if events := p.Must("events", "seen"); !strings.Contains(events, "exited with code 3") {
		t.Errorf("no crash in the events:\n%s", events)
	}

	t.Log("its pod is deleted")
	err = d.Kube.DeleteAllOf(t.Context(), &corev1.Pod{}, client.InNamespace(v1alpha1.Namespace(app.App)), client.HasLabels{v1alpha1.LabelService})
	if err != nil {
		t.Fatal(err)
	}
	written(3, 2)

	t.Log("what happened is told, and nothing of the provider's machines")
	var events string
	bed.Eventually(t, "it is ready again, and all is told", func() error {
		events = p.Must("events", "seen")
		for _, want := range []string{" ordered ", " verified ", " pulled ", " started ", " ready "} {
			if !strings.Contains(events, want) {
				return fmt.Errorf("no %q in the events:\n%s", want, events)
			}
		}
		return nil
	})
	var machines corev1.NodeList
	if err := d.Kube.List(t.Context(), &machines); err != nil {
		t.Fatal(err)
	}
	for _, leak := range []string{machines.Items[0].Name, "localhost:", "containerd", "sha256:"} {
		if strings.Contains(events, leak) {
			t.Errorf("%q is in the events:\n%s", leak, events)
		}
	}
}
