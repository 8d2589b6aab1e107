// SPDX-License-Identifier: Apache-2.0

package appfile_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/apocryph/apocryph/internal/appfile"
)

// Where a host is certainly meant, a name that no host can have is written as one that can.
func TestNamesThatNoHostCanHave(t *testing.T) {
	const db = "  my_db: {image: postgres}\n"
	cases := map[string]struct{ web, want, doubt string }{
		"a URL":                                {"environment: {X: 'postgres://u:my_db@my_db:5432/my_db'}", "postgres://u:my_db@my-db:5432/my_db", ""},
		"a user of that name elsewhere":        {"environment: {X: '//my_db:5ecret@other/ my_db@a'}", "//my_db:5ecret@other/ my_db@a", ""},
		"a URL without a port":                 {"environment: {X: 'redis://my_db/0'}", "redis://my-db/0", ""},
		"a host of a host's variable":          {"environment: {DB_HOST: my_db}", "my-db", ""},
		"capitals":                             {"environment: {DB_HOST: My_DB}", "my-db", ""},
		"a host before a port":                 {"environment: {X: 'my_db:5432,other_my_db:1,my_db:$$PORT'}", "my-db:5432,other_my_db:1,my-db:$PORT", ""},
		"a connection in words":                {"environment: {X: 'Server=my_db;Database=x;User=my_dbs'}", "Server=my-db;Database=x;User=my_dbs", ""},
		"an argument after -h":                 {"command: [pg_isready, -h, my_db]", "my-db", ""},
		"an argument after --db-host":          {"command: [run, --db-host, my_db]", "my-db", ""},
		"a command in one text":                {"command: sh -c 'until pg_isready -h my_db; do sleep 1; done'", "until pg_isready -h my-db; do sleep 1; done", ""},
		"a program that takes a host":          {"command: sh -c 'until nc -z -w 1 my_db 5432; do :; done'", "until nc -z -w 1 my-db 5432; do :; done", ""},
		"a health check":                       {"healthcheck: {test: 'curl http://my_db/'}", "curl http://my-db/", ""},
		"a database that is called so":         {"environment: {POSTGRES_DB: my_db, X: '//my_db'}", "//my-db", ""},
		"a path that is called so":             {"environment: {X: '/srv/my_db'}", "/srv/my_db", ""},
		"a host that only begins so":           {"environment: {X: 'http://my_db.example.com/my_db_2'}", "http://my_db.example.com/my_db_2", ""},
		"a word that may be anything":          {"environment: {X: my_db}", "", "X of web"},
		"one of several that may be anything":  {"environment: {X: '//my_db my_db'}", "", "X of web"},
		"an argument that may be anything":     {"command: [run, my_db]", "", "command of web"},
		"a user who has a mail address, maybe": {"environment: {X: 'to: a @my_db'}", "", "X of web"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			f, err := appfile.Load(t.Context(), source("services:\n"+db+"  web:\n    image: a\n    ports: ['80']\n    "+c.web))
			var ps appfile.Problems
			if errors.As(err, &ps) {
				if len(ps) != 1 || !strings.HasPrefix(ps[0].String(), "compose.yaml:2:3: services.my_db: the service's name is its host name") ||
					c.doubt == "" || !strings.Contains(ps[0].Message, "whether it is meant in "+c.doubt+" is not certain") {
					t.Fatalf("got %v, want doubt about %q", ps, c.doubt)
				}
				return
			}
			if err != nil || c.doubt != "" {
				t.Fatalf("got %v, want doubt about %q", err, c.doubt)
			}
			m, err := f.Manifest(t.Context(), pins())
			if err != nil {
				t.Fatal(err)
			}
			web := m.Services[1]
			words := append(append([]string{}, web.Command...), web.Health.GetCommand()...)
			for _, e := range web.Env {
				words = append(words, e.Value)
			}
			if all := strings.Join(words, "\n"); !strings.HasSuffix(all, c.want) || m.Services[0].Name != "my-db" {
				t.Errorf("got %q, want %q", all, c.want)
			}
		})
	}
}

// Further names of a service are replaced likewise, and in files.
func TestFurtherNamesThatNoHostCanHave(t *testing.T) {
	const content = `services:
  db: {image: postgres, container_name: my_db_1, networks: {default: {aliases: [data_base]}}}
  web:
    image: a
    ports: ['80']
    links: ['db:the_db']
    environment: {A: 'my_db_1:1', B: '//the_db/'}
    volumes: ['./a.conf:/a.conf:ro']
`
	f, err := appfile.Load(t.Context(), tree(content, map[string]string{"a.conf": "upstream x {\n  server data_base;\n  server my_db_1:80;\n}\nmy_db_12\xff"}))
	if err != nil {
		t.Fatal(err)
	}
	m, err := f.Manifest(t.Context(), pins())
	if err != nil {
		t.Fatal(err)
	}
	if got, want := string(m.Files[0].Content), "upstream x {\n  server db;\n  server db:80;\n}\nmy_db_12\xff"; got != want {
		t.Errorf("the file is %q, want %q", got, want)
	}
	if env := m.Services[1].Env; env[0].Value != "db:1" || env[1].Value != "//db/" {
		t.Errorf("the variables are %v", env)
	}
	var told []string
	for _, n := range f.Notes {
		if strings.Contains(n.Message, "is written in its place in") {
			told = append(told, n.String())
		}
	}
	want := `compose.yaml:2: services.db: data_base can't be a host name: db is written in its place in file a.conf
compose.yaml:2: services.db: my_db_1 can't be a host name: db is written in its place in A of web, file a.conf
compose.yaml:2: services.db: the_db can't be a host name: db is written in its place in B of web`
	sorted := strings.Join(told, "\n")
	for line := range strings.SplitSeq(want, "\n") {
		if !strings.Contains(sorted, line) {
			t.Errorf("not told: %s\ntold: %s", line, sorted)
		}
	}
}
