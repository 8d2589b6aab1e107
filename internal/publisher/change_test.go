// SPDX-License-Identifier: Apache-2.0

package publisher_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/apocryph/apocryph/internal/fault"
	"github.com/apocryph/apocryph/internal/manifest"
	"github.com/apocryph/apocryph/internal/publisher"
)

const twoServices = "{services: {db: {image: db}, web: {image: web, environment: {A: secret}}}}"

func revisions(t *testing.T, a *publisher.App) map[string]uint64 {
	t.Helper()
	m, err := manifest.Decode(a.Manifest)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]uint64{}
	for _, s := range m.Services {
		all[s.Name] = s.Revision
	}
	return all
}

func TestRestart(t *testing.T) {
	w := newWorld(t)
	if _, err := w.start().Deploy(t.Context(), w.order(twoServices)); err != nil {
		t.Fatal(err)
	}
	w.calls = nil
	d, err := w.start().Restart(t.Context(), "notes", []string{"web"}, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]uint64{"db": 0, "web": 1}, revisions(t, d.App)); diff != "" {
		t.Errorf("revisions (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"evidence", "apply", "applied", "watch"}, w.calls); diff != "" {
		t.Errorf("steps (-want +got):\n%s", diff)
	}
	// The same file again is no restart, and undoes none.
	if d, err = w.start().Deploy(t.Context(), w.order(twoServices)); err != nil || revisions(t, d.App)["web"] != 1 {
		t.Errorf("deployed again: %v, %v", revisions(t, d.App), err)
	}
	if _, err := w.start().Restart(t.Context(), "notes", []string{"web", "cache"}, time.Minute); err == nil || !strings.Contains(err.Error(), `"cache"`) {
		t.Errorf("a service that is not there: %v", err)
	}
}

func TestRollback(t *testing.T) {
	w := newWorld(t)
	if _, err := w.start().Deploy(t.Context(), w.order(oneService)); err != nil {
		t.Fatal(err)
	}
	if _, err := w.start().Rollback(t.Context(), "notes", time.Minute); !errors.Is(err, publisher.ErrNothingBefore) || fault.HintOf(err) == "" {
		t.Errorf("got %v, want ErrNothingBefore with a hint", err)
	}
	first := mustFind(t, w, "notes").Manifest
	if _, err := w.start().Deploy(t.Context(), w.order(twoServices)); err != nil {
		t.Fatal(err)
	}
	second := mustFind(t, w, "notes").Manifest
	for _, want := range []publisher.Bytes{first, second} { // a rollback is taken back by another one
		d, err := w.start().Rollback(t.Context(), "notes", time.Minute)
		if err != nil || string(d.App.Manifest) != string(want) || string(mustFind(t, w, "notes").Manifest) != string(want) {
			t.Fatalf("rolled back to the wrong version, %v", err)
		}
	}
	if _, err := w.start().Restart(t.Context(), "notes", nil, time.Minute); err != nil || string(mustFind(t, w, "notes").Before) != string(first) {
		t.Errorf("a restart counts as a version, %v", err)
	}
	if len(w.opened) != 2 { // the second version outgrows the first one's, and no other step opens any
		t.Errorf("opened %d channels", len(w.opened))
	}
}

// An update that gateway or enclave refuse is not a version to go back to.
func TestRollbackAfterARefusedUpdate(t *testing.T) {
	const third = "services: {web: {image: other, environment: {B: c}}}"
	for name, refuse := range map[string]func(*world){
		"by the gateway": func(w *world) { w.refuse = errors.New("no") },
		"by the enclave": func(w *world) { w.forged = true },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			for _, file := range []string{oneService, twoServices} {
				if _, err := w.start().Deploy(t.Context(), w.order(file)); err != nil {
					t.Fatal(err)
				}
			}
			first, second := mustFind(t, w, "notes").Before, mustFind(t, w, "notes").Manifest
			refuse(w)
			if _, err := w.start().Deploy(t.Context(), w.order(third)); err == nil {
				t.Fatal("it was not refused")
			}
			w.refuse, w.forged = nil, false
			want := second // from what was refused, it goes to what runs
			if string(mustFind(t, w, "notes").Manifest) == string(second) {
				want = first
			}
			if d, err := w.start().Rollback(t.Context(), "notes", time.Minute); err != nil || string(d.App.Manifest) != string(want) {
				t.Errorf("rolled back to another version, %v", err)
			}
		})
	}
}

// A deploy that was cut short after the provider had it, or one from another machine, is not taken back by a restart.
func TestARestartIsOfWhatTheProviderHas(t *testing.T) {
	w := newWorld(t)
	if _, err := w.start().Deploy(t.Context(), w.order(oneService)); err != nil {
		t.Fatal(err)
	}
	w.crash = "applied"
	if _, err := w.start().Deploy(t.Context(), w.order(twoServices)); err == nil {
		t.Fatal("it was not cut short")
	}
	w.calls = nil
	for name, do := range map[string]func() error{
		"restart":  func() error { _, err := w.start().Restart(t.Context(), "notes", nil, time.Minute); return err },
		"rollback": func() error { _, err := w.start().Rollback(t.Context(), "notes", time.Minute); return err },
	} {
		if err := do(); err == nil || fault.HintOf(err) == "" || slices.Contains(w.calls, "apply") {
			t.Errorf("%s: %v, calls %v", name, err, w.calls)
		}
	}
	if _, err := w.start().Deploy(t.Context(), w.order(twoServices)); err != nil {
		t.Fatal(err)
	}
	w.crash = "applied" // the same restart again goes on
	for range 2 {
		_, _ = w.start().Restart(t.Context(), "notes", nil, time.Minute)
	}
	if got := revisions(t, mustFind(t, w, "notes")); got["web"] != 1 {
		t.Errorf("revisions %v", got)
	}
}

func TestCompare(t *testing.T) {
	w := newWorld(t)
	old := `{services: {db: {image: db, volumes: ["data:/data"]}, gone: {image: web}, web: {image: web, environment: {A: secret, B: b}, ports: ["80:80"]}}, volumes: {data: {}}, x-apocryph: {notify: "https://a.example/secret"}}`
	if _, err := w.start().Deploy(t.Context(), w.order(old)); err != nil {
		t.Fatal(err)
	}
	changed := `{services: {db: {image: db, volumes: ["data:/data"]}, new: {image: web}, web: {image: web, command: [serve], environment: {A: hidden, C: c}, ports: ["80:80"], mem_limit: 512m}},
		volumes: {data: {x-apocryph: {size: 2GiB}}}, x-apocryph: {notify: "https://b.example/hidden"}}`
	w.calls = nil
	app, changes, err := w.start().Compare(t.Context(), file(t, changed))
	if err != nil || app.Name != "notes" {
		t.Fatalf("%v, %v", app, err)
	}
	var lines []string
	for _, c := range changes {
		lines = append(lines, c.String())
	}
	want := []string{
		"~ notify: a webhook at a.example → a webhook at b.example", "~ volumes.data: 1GiB → 2GiB", "- gone: removed, of image web", "+ new: new, of image web",
		`+ web.command: "serve"`, "~ web.environment.A: (6 bytes) → (6 bytes)", "- web.environment.B: (1 bytes)", "+ web.environment.C: (1 bytes)",
		`~ web.resources: {"ephemeralBytes":"1073741824","memoryBytes":"268435456","milliCpu":"250"} → {"ephemeralBytes":"1073741824","memoryBytes":"536870912","milliCpu":"250"}`,
	}
	if diff := cmp.Diff(want, lines); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
	if all := strings.Join(lines, "\n"); strings.Contains(all, "secret") || strings.Contains(all, "hidden") {
		t.Error("a value is shown")
	}
	if _, same, err := w.start().Compare(t.Context(), file(t, old)); err != nil || len(same) > 0 || len(w.calls) > 0 {
		t.Errorf("the same file: %v, %v, calls %v", same, err, w.calls)
	}
}
