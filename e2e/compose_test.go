// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/apocryph/apocryph/api/v1alpha1"
	"github.com/apocryph/apocryph/e2e/bed"
)

// composed is an app as people write them: a database that is healthy some time after it starts, a migration that runs once then, a web server
// that needs both, and somebody on the web server's network who must not see the database. MIGRATION is how the migration ends.
const composed = `
x-probe: &probe
  image: ` + bed.ProbeImage + `
  cpus: 0.1
  mem_limit: 64m
services:
  db:
    <<: *probe
    healthcheck: {test: [CMD, /probe, do, ask, "http://localhost:8080/"], interval: 2s, timeout: 2s, retries: 3}
    tmpfs: ["/scratch:size=1m"]
    networks: {back: {aliases: [store]}}
    expose: ["8080"]
  migrate:
    <<: *probe
    command: [do, end, MIGRATION]
    restart: "no"
    depends_on: {db: {condition: service_healthy}}
    networks: [back]
  web:
    <<: *probe
    ports: ["8080"]
    environment: {VERSION: "VERSION-OF-WEB"}
    configs: [{source: greeting, target: /etc/greeting, mode: 0444}]
    tmpfs: ["/scratch:size=1m"]
    init: true
    hostname: shopfront
    depends_on: {db: {condition: service_healthy}, migrate: {condition: service_completed_successfully}}
    networks: [back, front]
  outsider:
    <<: *probe
    command: [do, tell, "web:8080", "db:8080"]
    restart: "no"
    depends_on: {web: {condition: service_started}}
    networks: [front]
configs:
  greeting: {content: "hello from a file"}
networks:
  back: {internal: true}
  front: {}
`

func composeFile(version, migration string) string {
	return strings.NewReplacer("VERSION-OF-WEB", version, "MIGRATION", migration).Replace(composed)
}

// An app of several services, as in Compose: order, one-shots, networks, names, files, memory, sleep, and an update that fails.
func TestAnAppOfSeveralServices(t *testing.T) {
	d := bed.Connect(t)
	p := d.NewPerson(t, true)
	file := p.Write("compose.yaml", composeFile("1", `"0", migrated`))
	var app bed.Deployed
	p.MustJSON(&app, "deploy", file, "--name", "several", "--for", "1h", "--yes")
	defer p.Run("stop", "several", "--yes")
	w := &composedApp{d: d, app: app}

	t.Run("it answers", w.answers)
	t.Run("services started in their order", func(t *testing.T) {
		db, migrate, web := w.pod(t, "db"), w.pod(t, "migrate"), w.pod(t, "web")
		ready := readyAt(db)
		began, ended := ran(migrate)
		if ready.IsZero() || began.Before(ready) {
			t.Errorf("the database was ready at %s, the migration began at %s", ready, began)
		}
		if started, _ := ran(web); ended.IsZero() || started.Before(ended) {
			t.Errorf("the migration ended at %s, the web server started at %s", ended, started)
		}
	})
	t.Run("who is on another network does not see the database", func(t *testing.T) {
		bed.Eventually(t, "it tells the web server from the database", func() error {
			if !w.done(t, "outsider") {
				return fmt.Errorf("%+v", w.pod(t, "outsider").Status)
			}
			return nil
		})
		for _, name := range []string{"db:8080", "store:8080"} {
			if said := w.ask(t, "/dial?network=tcp&to="+url.QueryEscape(name)); said != "ok" {
				t.Errorf("control: from the network that they share, %s: %s", name, said)
			}
		}
	})
	t.Run("its file, its memory and its name are there", func(t *testing.T) {
		if said := w.ask(t, "/read?path=/etc/greeting"); said != "hello from a file" {
			t.Errorf("the file says %q", said)
		}
		if said := w.ask(t, "/write?path=/scratch/x&content=y"); said != "ok" {
			t.Errorf("writing to memory: %s", said)
		}
		if said := w.ask(t, "/write?path=/etc/greeting&content=y"); said == "ok" {
			t.Error("the file can be written to")
		}
		if pod := w.pod(t, "web"); pod.Spec.Hostname != "shopfront" {
			t.Errorf("it is called %q", pod.Spec.Hostname)
		}
	})
	t.Run("it sleeps and wakes, and what is done is not done again", func(t *testing.T) {
		first := w.pod(t, "migrate").UID
		w.scale(t, 0)
		bed.Eventually(t, "it sleeps", func() error { return w.running(t, 0) })
		w.scale(t, 1)
		w.answers(t)
		if again := w.pod(t, "migrate").UID; again != first {
			t.Error("waking ran the migration again")
		}
	})
	t.Run("an update whose migration fails leaves the old version and says why", func(t *testing.T) {
		p.Write("compose.yaml", composeFile("2", `"3", no such table`))
		r := p.Run("deploy", file, "--name", "several", "--for", "1h", "--yes", "--wait", "40s")
		if r.Code == 0 || !strings.Contains(r.Stderr, "exited with code 3") || !strings.Contains(r.Stderr, "no such table") {
			t.Errorf("exit %d, and it says\n%s", r.Code, r.Stderr)
		}
		w.answers(t)
		if v := version(w.pod(t, "web")); v != "1" {
			t.Errorf("version %s serves after a migration that failed", v)
		}
	})
	t.Run("the next update goes through", func(t *testing.T) {
		p.Write("compose.yaml", composeFile("3", `"0", migrated`))
		p.Must("deploy", file, "--name", "several", "--for", "1h", "--yes")
		w.answers(t)
		if v := version(w.pod(t, "web")); v != "3" {
			t.Errorf("version %s serves", v)
		}
	})
	t.Run("it is paid for and goes", func(t *testing.T) {
		var r bed.Receipt
		p.MustJSON(&r, "stop", "several", "--yes")
		if r.Claimed == "0" || r.Claimed == "" {
			t.Errorf("the receipt is %+v", r)
		}
	})
}

// composedApp is the app as the cluster and its users see it.
type composedApp struct {
	d   *bed.Devnet
	app bed.Deployed
}

func (w *composedApp) answers(t *testing.T) {
	t.Helper()
	bed.Eventually(t, "the app answers", func() error {
		code, body, err := w.d.Get(t.Context(), w.app.URL)
		if err != nil || code != 200 {
			return fmt.Errorf("%d %w %s", code, err, body)
		}
		return nil
	})
}

// ask has the web server try something, and returns what it said, or its error.
func (w *composedApp) ask(t *testing.T, path string) string {
	t.Helper()
	code, body, err := w.d.Get(t.Context(), w.app.URL+path)
	if err != nil || code != 200 {
		t.Fatalf("asking for %s: %d %v\n%s", path, code, err, body)
	}
	var went struct{ Said, Error string }
	if err := json.Unmarshal([]byte(body), &went); err != nil {
		t.Fatal(err)
	}
	return went.Said + went.Error
}

func (w *composedApp) pods(t *testing.T) []corev1.Pod {
	t.Helper()
	var all corev1.PodList
	if err := w.d.Kube.List(t.Context(), &all, client.InNamespace(v1alpha1.Namespace(w.app.App))); err != nil {
		t.Fatal(err)
	}
	return all.Items
}

// pod returns a service's newest one.
func (w *composedApp) pod(t *testing.T, service string) corev1.Pod {
	t.Helper()
	var newest corev1.Pod
	for _, p := range w.pods(t) {
		if p.Labels[v1alpha1.LabelService] == service && p.DeletionTimestamp.IsZero() && !p.CreationTimestamp.Before(&newest.CreationTimestamp) {
			newest = p
		}
	}
	if newest.Name == "" {
		t.Fatalf("service %s has no pod", service)
	}
	return newest
}

// running is nil when so many pods are left that are not over.
func (w *composedApp) running(t *testing.T, want int) error {
	t.Helper()
	var names []string
	for _, p := range w.pods(t) {
		if p.Status.Phase != corev1.PodSucceeded && p.Status.Phase != corev1.PodFailed {
			names = append(names, p.Name)
		}
	}
	if len(names) != want {
		return fmt.Errorf("there are %v", names)
	}
	return nil
}

// done reports whether a one-shot is done.
func (w *composedApp) done(t *testing.T, service string) bool {
	t.Helper()
	var all batchv1.JobList
	err := w.d.Kube.List(t.Context(), &all, client.InNamespace(v1alpha1.Namespace(w.app.App)), client.MatchingLabels{v1alpha1.LabelService: service})
	if err != nil {
		t.Fatal(err)
	}
	return len(all.Items) == 1 && all.Items[0].Status.Succeeded == 1
}

// scale is what puts an app to sleep and wakes it: its one number.
func (w *composedApp) scale(t *testing.T, n int32) {
	t.Helper()
	app := &v1alpha1.App{ObjectMeta: metav1.ObjectMeta{Namespace: bed.SystemNamespace, Name: w.app.App}}
	s := &autoscalingv1.Scale{Spec: autoscalingv1.ScaleSpec{Replicas: n}}
	if err := w.d.Kube.SubResource("scale").Update(t.Context(), app, client.WithSubResourceBody(s)); err != nil {
		t.Fatal(errors.Join(fmt.Errorf("scaling to %d", n), err))
	}
}

func version(p corev1.Pod) string {
	for _, e := range p.Spec.Containers[0].Env {
		if e.Name == "VERSION" {
			return e.Value
		}
	}
	return "none"
}

func readyAt(p corev1.Pod) time.Time {
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue {
			return c.LastTransitionTime.Time
		}
	}
	return time.Time{}
}

// ran is when a pod's container began and, if it did, ended.
func ran(p corev1.Pod) (began, ended time.Time) {
	for _, c := range p.Status.ContainerStatuses {
		switch {
		case c.State.Terminated != nil:
			return c.State.Terminated.StartedAt.Time, c.State.Terminated.FinishedAt.Time
		case c.State.Running != nil:
			return c.State.Running.StartedAt.Time, time.Time{}
		}
	}
	return time.Time{}, time.Time{}
}
