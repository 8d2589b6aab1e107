// SPDX-License-Identifier: Apache-2.0

package stacks

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/apocryph/apocryph/e2e/bed"
)

// writesNotes: gunicorn and Flask write rows into PostgreSQL, which keeps them when its pod is lost and when both are updated.
func writesNotes(t *testing.T, s *stack) {
	t.Helper()
	type notebook struct {
		Title string
		Notes []string
	}
	s.must(t, http.MethodPost, "/notes", "water the plants")
	has := func(notes ...string) func(notebook) bool {
		return func(n notebook) bool { return slices.Equal(n.Notes, notes) }
	}
	soon(t, s, "/notes", "the note is read back", has("water the plants"))
	if said := s.must(t, http.MethodGet, "/server", "").body; !strings.Contains(said, "PostgreSQL") {
		t.Errorf("the database says it is %s", said)
	}
	s.lose(t, "db")
	soon(t, s, "/notes", "the note outlives the database's pod", has("water the plants"))

	// Another title concerns the web server, more patience the database.
	s.edit(t, ".env.prod", "FLASK_DEBUG=0", "TITLE=garden")
	s.edit(t, "compose.yaml", "retries: 5", "retries: 6")
	before := s.pod(t, "db").UID
	s.deploy()
	if n := soon(t, s, "/notes", "the note outlives an update", has("water the plants")); n.Title != "garden" {
		t.Errorf("after the update the title is %q", n.Title)
	}
	if s.pod(t, "db").UID == before {
		t.Error("the update left the database's pod alone, so that it shows nothing")
	}
	s.must(t, http.MethodPost, "/notes", "feed the cat")
	soon(t, s, "/notes", "it can still be written to", has("water the plants", "feed the cat"))

	// PostgreSQL cuts its connections at the image's own signal only; at any other it waits for them.
	for _, said := range []string{"received fast shutdown request", "database system is ready to accept connections"} {
		if logs := s.Must("logs", s.name, "db"); !strings.Contains(logs, said) {
			t.Errorf("the database's log does not say %q:\n%s", said, logs)
		}
	}
	if logs := s.Must("logs", s.name, "web"); !strings.Contains(logs, "a note was added") || !strings.Contains(logs, "gunicorn") {
		t.Errorf("the web server's log is\n%s", logs)
	}
}

// isMigrated: tables are made once, then filled once, then served; none of it happens again when the server is updated.
func isMigrated(t *testing.T, s *stack) {
	t.Helper()
	runs := func(want ...string) func([]string) bool {
		return func(got []string) bool { return slices.Equal(got, want) }
	}
	soon(t, s, "/runs", "each ran once, in order", runs("migrate up", "seed --if-empty", "serve"))
	soon(t, s, "/articles", "what was seeded is there", runs("teapot"))
	if n := s.pod(t, "store").Status.ContainerStatuses[0].RestartCount; n != 0 {
		t.Errorf("the server had to be started %d times more until it found its tables", n)
	}
	s.must(t, http.MethodPut, "/articles/cup", "")
	s.edit(t, "compose.yaml", "working_dir: /srv", "working_dir: /")
	s.deploy()
	soon(t, s, "/runs", "only the server began anew", runs("migrate up", "seed --if-empty", "serve", "serve"))
	soon(t, s, "/articles", "what was added is there", runs("cup", "teapot"))
	for service, said := range map[string]string{"migrate": "store: migrate up", "seed": "store: seed --if-empty"} {
		if logs := s.Must("logs", s.name, service); !strings.Contains(logs, said) {
			t.Errorf("the log of %s is\n%s", service, logs)
		}
	}
}

// countsWords: a text goes through the queue to the worker, whose user owns its volume, and its result comes back; both volumes stay.
func countsWords(t *testing.T, s *stack) {
	t.Helper()
	type result struct{ Text, Words, Results string }
	count := func(text, words, results string) string {
		id := s.must(t, http.MethodPost, "/texts", text).body
		want := result{text, words, results}
		got := soon(t, s, "/texts/"+id, "the worker counts", func(r result) bool { return r.Words != "" })
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
		return id
	}
	first := count("the cat and the hat", "2", "1")
	s.lose(t, "redis")
	soon(t, s, "/texts/"+first, "the result outlives the pod of Redis", func(r result) bool { return r.Words == "2" })
	count("a second text", "2", "2")
	s.edit(t, "compose.yaml", "stop_grace_period: 30s", "stop_grace_period: 20s")
	s.deploy()
	count("a third text", "2", "3")
	if logs := s.Must("logs", s.name, "redis"); !strings.Contains(logs, "Ready to accept connections") {
		t.Errorf("the log of Redis is\n%s", logs)
	}
}

// areTwo: each is reached by the other by its name, at the same port.
func areTwo(t *testing.T, s *stack) {
	t.Helper()
	type who struct{ Name, Host, Other string }
	got := soon(t, s, "/api/who", "the backend answers through the frontend", func(who) bool { return true })
	if diff := cmp.Diff(who{"backend", "backend:3000", "frontend"}, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	for _, name := range []string{"/name.txt", "/same.txt"} { // one file, linked
		if said := s.must(t, http.MethodGet, name, "").body; said != "frontend" {
			t.Errorf("%s at the app's URL is %q", name, said)
		}
	}
	if a, err := s.ask(t, http.MethodGet, "/index.html", ""); err != nil || a.code != http.StatusNotFound {
		t.Errorf("the page that a later layer deleted: %d %v\n%s", a.code, err, a.body)
	}
}

// isRead: nginx serves the folder that lies beside the app file, as browsers expect it.
func isRead(t *testing.T, s *stack) {
	t.Helper()
	page := s.must(t, http.MethodGet, "/", "")
	if !strings.Contains(page.body, "<h1>Hello</h1>") || page.header.Get("Content-Type") != "text/html" || !strings.HasPrefix(page.header.Get("Server"), "nginx") {
		t.Errorf("%v\n%s", page.header, page.body)
	}
	css := s.must(t, http.MethodGet, "/css/site.css", "")
	if css.header.Get("Content-Type") != "text/css" {
		t.Errorf("the style sheet: %v", css.header)
	}
	if a, err := s.ask(t, http.MethodGet, "/css/site.css", "", "If-None-Match", css.header.Get("ETag")); err != nil || a.code != http.StatusNotModified {
		t.Errorf("what is known by its ETag %q: %d %v", css.header.Get("ETag"), a.code, err)
	}
	part := s.must(t, http.MethodGet, "/css/site.css", "", "Range", "bytes=2-5")
	if part.code != http.StatusPartialContent || part.body != css.body[2:6] {
		t.Errorf("a range: %d %q of %q", part.code, part.body, css.body)
	}
	if a, err := s.ask(t, http.MethodGet, "/nothing", ""); err != nil || a.code != http.StatusNotFound {
		t.Errorf("what is not there: %d %v", a.code, err)
	}
	if logs := s.Must("logs", s.name); !strings.Contains(logs, "GET /css/site.css") {
		t.Errorf("the log is\n%s", logs)
	}
	s.edit(t, "html/index.html", "<h1>Hello</h1>", "<h1>Good evening</h1>")
	s.deploy()
	bed.Eventually(t, "the page is the new one", func() error { // the old server may have the last word on a connection that it has
		if now := s.must(t, http.MethodGet, "/", "").body; !strings.Contains(now, "Good evening") {
			return errors.New(now)
		}
		return nil
	})
}
