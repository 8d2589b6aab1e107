// SPDX-License-Identifier: Apache-2.0

package stacks

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/apocryph/apocryph/api/v1alpha1"
	"github.com/apocryph/apocryph/e2e/bed"
)

// TestMain lets all stacks run at once, also on a machine of few processors: most of what they do is wait.
func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.parallel", "5"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

// App files that people have run as they are, with real servers, as many at once as the devnet has room for.
func TestAppFilesRun(t *testing.T) {
	d := bed.Connect(t)
	if _, err := exec.LookPath("apt-get"); err != nil {
		t.Skip("needs apt, which has the servers")
	}
	first, room := d.NewPerson(t, false, layout(t, d.Root)), roomOf(t, d)
	for _, s := range []struct {
		name     string
		quarters int
		uses     func(*testing.T, *stack)
	}{ // the first three fit beside each other on a machine of two processors, and two of them make room soon
		{"flask-postgres", 2, writesNotes},
		{"same-port-twice", 2, areTwo},
		{"static-site", 1, isRead},
		{"one-shot-migration", 2, isMigrated},
		{"redis-worker", 2, countsWords},
	} {
		t.Run(s.name, func(t *testing.T) {
			p := first.Another(t, true)
			place := room.queue()
			t.Parallel()
			room.take(place, s.quarters)
			defer room.give(s.quarters)
			run(t, p, s.name, s.uses)
		})
	}
}

// stack is an app file that runs.
type stack struct {
	*bed.Person

	app  bed.Deployed
	dir  string
	name string
}

func run(t *testing.T, p *bed.Person, name string, use func(*testing.T, *stack)) {
	t.Helper()
	s := &stack{Person: p, name: name, dir: filepath.Join(p.Home, name)}
	if err := os.CopyFS(s.dir, os.DirFS(filepath.Join(p.Root, "testdata", "corpus", name))); err != nil {
		t.Fatal(err)
	}
	stopped := false
	defer func() {
		if !stopped {
			p.Run("status", name)
			p.Run("logs", name)
			p.Run("stop", name, "--yes")
		}
	}()
	s.deploy()
	use(t, s)
	stopped = true
	var r bed.Receipt
	p.MustJSON(&r, "stop", name, "--yes")
	if err := r.Adds(); err != nil {
		t.Error(err)
	}
	bed.Eventually(t, "nothing of it is left", func() error { return p.Left(t, s.app.App) })
}

// deploy brings the file as it is now, and returns when all of it is ready.
func (s *stack) deploy() {
	s.MustJSON(&s.app, "deploy", s.dir, "--name", s.name, "--for", "1h", "--yes", "--wait", "150s")
}

// edit changes something in a file of the app's folder.
func (s *stack) edit(t *testing.T, name, old, now string) {
	t.Helper()
	path := filepath.Join(s.dir, name)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(b), old) {
		t.Fatalf("%s has no %q", name, old)
	}
	if err := os.WriteFile(path, []byte(strings.Replace(string(b), old, now, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
}

// answer is what came of a request.
type answer struct {
	code   int
	header http.Header
	body   string
}

// ask sends the app a request, whose header fields are pairs.
func (s *stack) ask(t *testing.T, method, path, body string, header ...string) (answer, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, s.app.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for pair := range slices.Chunk(header, 2) {
		req.Header.Set(pair[0], pair[1])
	}
	res, err := s.Web().Do(req)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = res.Body.Close() }()
	got, err := io.ReadAll(res.Body)
	return answer{res.StatusCode, res.Header, string(got)}, err
}

// must is ask for what has to be answered with a code below 300 at once.
func (s *stack) must(t *testing.T, method, path, body string, header ...string) answer {
	t.Helper()
	a, err := s.ask(t, method, path, body, header...)
	if err != nil || a.code >= 300 {
		t.Fatalf("%s %s: %d %v\n%s", method, path, a.code, err, a.body)
	}
	return a
}

// soon asks until a JSON answer is as wanted.
func soon[T any](t *testing.T, s *stack, path, what string, ok func(T) bool) (last T) {
	t.Helper()
	bed.Eventually(t, what, func() error {
		a, err := s.ask(t, http.MethodGet, path, "")
		if err != nil || a.code != http.StatusOK {
			return errors.Join(fmt.Errorf("%d %s", a.code, a.body), err)
		}
		var v T
		if err := json.Unmarshal([]byte(a.body), &v); err != nil {
			return err
		}
		if last = v; !ok(v) {
			return fmt.Errorf("it says %s", a.body)
		}
		return nil
	})
	return last
}

// lose deletes a service's pod, and returns when another is ready.
func (s *stack) lose(t *testing.T, service string) {
	t.Helper()
	old := s.pod(t, service)
	if err := s.Kube.Delete(t.Context(), &old); err != nil {
		t.Fatal(err)
	}
	bed.Eventually(t, "another pod of "+service, func() error {
		var pods corev1.PodList
		if err := s.Kube.List(t.Context(), &pods, s.in(), client.MatchingLabels{v1alpha1.LabelService: service}); err != nil {
			return err
		}
		for _, p := range pods.Items {
			if p.UID != old.UID && ready(&p) {
				return nil
			}
		}
		return fmt.Errorf("%d pods, none is another and ready", len(pods.Items))
	})
}

// pod is the only one that a service has.
func (s *stack) pod(t *testing.T, service string) corev1.Pod {
	t.Helper()
	var pods corev1.PodList
	if err := s.Kube.List(t.Context(), &pods, s.in(), client.MatchingLabels{v1alpha1.LabelService: service}); err != nil {
		t.Fatal(err)
	}
	if len(pods.Items) != 1 {
		t.Fatalf("service %s has %d pods", service, len(pods.Items))
	}
	return pods.Items[0]
}

func (s *stack) in() client.InNamespace { return client.InNamespace(v1alpha1.Namespace(s.app.App)) }

func ready(p *corev1.Pod) bool {
	return slices.ContainsFunc(p.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}
