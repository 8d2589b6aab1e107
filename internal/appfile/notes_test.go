// SPDX-License-Identifier: Apache-2.0

package appfile_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/apocryph/apocryph/internal/appfile"
	manifestv1 "github.com/apocryph/apocryph/internal/gen/manifestv1"
)

// What a file means here that it does not say is told, once each and at its place.
func TestWhatIsTold(t *testing.T) {
	service := func(line string) string { return "services:\n  web:\n    image: web\n    " + line + "\n" }
	cases := map[string]struct {
		content string
		files   map[string]string
		// want are the starts of all notes.
		want []string
	}{
		"a port of this machine that answers": {service("ports: ['127.0.0.1:3000:3000']"), nil, []string{"compose.yaml:4: services.web.ports.0: port 3000 is bound to this machine for a proxy"}},
		"ports of this machine": {
			service("ports: ['127.0.0.1:3000:3000', '127.1.1.1:4000:4000', '127.0.0.1:22:22']"), nil,
			[]string{
				"compose.yaml:4: services.web.ports.0: port 3000 of web is bound to this machine only; to have it answer write x-apocryph: {http: {service: web, port: 3000}}",
				"compose.yaml:4: services.web.ports.1: port 4000 of web",
				"compose.yaml:4: services.web.ports.2: port 22/tcp is reached by the app's own services only",
			},
		},
		"TLS alone": {service("ports: [443]"), nil, []string{"compose.yaml:4: services.web.ports.0: http without TLS is spoken to port 443"}},
		"names that nobody says": {
			"services:\n  my_db: {image: db, container_name: MyDB}\n  web: {image: web, container_name: my_web, links: ['my_db:the_db'], environment: {DATABASE: my_db, AT: /srv/my_db, IN: my_db_test}}\n", nil,
			[]string{
				"compose.yaml:1: services: nothing answers",
				"compose.yaml:2: services.my_db: a host name has no such characters: others reach it as my-db; if an image looks for my_db by itself, name my-db in that service's variables",
				"compose.yaml:3: services.web.container_name: no effect: my_web can't be a host name",
				"compose.yaml:3: services.web.links.0: no effect: the_db can't be a host name, which has only letters, digits and inner hyphens; others reach the service as my-db",
			},
		},
		"a name in capitals that somebody says": {"services:\n  MySQL: {image: db}\n  web: {image: web, environment: {AT: 'mysql://MySQL/x'}}\n", nil, []string{"compose.yaml:1: services: nothing answers"}},
		"servers that may end": {
			"services:\n  web: {image: web, ports: [80], depends_on: [db, job]}\n  db: {image: db, restart: on-failure}\n  old: {image: old, expose: [81], restart: 'no'}\n  job: {image: job, restart: on-failure}\n" +
				"  last: {image: job, restart: on-failure, depends_on: {job: {condition: service_completed_successfully}}}\n", nil,
			[]string{
				"compose.yaml:3: services.db.restart: the service is taken for a server, so it is always started again; if it is one that ends, write restart: \"no\"",
				"compose.yaml:4: services.old.restart: the service runs once, and while it runs the app does not fall asleep",
			},
		},
		"a worker or what runs once": {
			"services:\n  web: {image: web, ports: [80], depends_on: [db]}\n  db: {image: db}\n  worker: {image: web, depends_on: [db]}\n", nil,
			[]string{"compose.yaml:4: services.worker: nothing says restart, so it is started again whenever it ends; if it runs once write restart: \"no\""},
		},
		"directories with nothing to lose": {
			service("ports: [80]\n    volumes: ['./data:/data', './conf.v1:/conf', './etc:/etc/web', '/dev/urandom:/dev/random:ro']"), map[string]string{"data/.gitkeep": "", "etc/a.conf": "a", "etc/b.yml": "b"},
			[]string{
				"compose.yaml:5: services.web.volumes.0: data becomes a volume of 1GiB, dir-data; to choose its size mount a volume called dir-data instead",
				"compose.yaml:5: services.web.volumes.1: conf.v1 becomes a volume",
				"compose.yaml:5: services.web.volumes.2: the files in etc are sent with the app, and mounted read-only",
				"compose.yaml:5: services.web.volumes.3: no effect: containers have random numbers of their own",
			},
		},
		"only database": {service("ports: [5432]"), nil, []string{"compose.yaml:1: services: nothing answers http", "compose.yaml:4: services.web.ports.0: port 5432/tcp is reached"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			f, err := appfile.Load(t.Context(), tree(c.content, c.files))
			if err != nil {
				t.Fatal(err)
			}
			if !slices.EqualFunc(f.Notes, c.want, func(n appfile.Note, want string) bool { return strings.HasPrefix(n.String(), want) }) {
				t.Errorf("got  %v\nwant %q", f.Notes, c.want)
			}
		})
	}
}

// A remedy is what a person would write in the end.
func TestRemedies(t *testing.T) {
	service := func(line string) string { return "services:\n  web:\n    image: web\n    " + line + "\n" }
	cases := map[string]struct {
		content string
		files   map[string]string
		// want is in the one problem and its remedy.
		want string
	}{
		"the port that people come for": {
			"services:\n  admin: {image: adminer, ports: [8080], depends_on: [db]}\n  api: {image: api, ports: [8090, 9100]}\n  web: {image: web, ports: [22, 3000], depends_on: [db]}\n  db: {image: db, ports: [5432]}\n", nil,
			"(admin:8080, api:8090, api:9100, web:3000), and one is to answer http at the app's URL → say which at the top of the file: x-apocryph: {http: {service: web, port: 3000}}",
		},
		"a container's name that somebody says": {
			"services:\n  db: {image: db, container_name: my_db}\n  web: {image: web, environment: {AT: 'on My_DB'}}\n", nil,
			"compose.yaml:2:19: services.db.container_name: my_db can't be a host name, which has only letters, digits and inner hyphens, and it is said here → replace my_db by db where others name it",
		},
		"a link's name that is said": {
			"services:\n  db: {image: db}\n  web: {image: web, links: ['db:my_db'], command: run --db my_db}\n", nil,
			"compose.yaml:3:29: services.web.links.0: my_db can't be a host name",
		},
		"data below /etc":              {service("volumes: ['./etc:/etc/web/data']"), map[string]string{"etc/web.db": "x"}, "add :ro if it only reads them; else mount a volume named dir-etc, and bring in what the directory has, once it is deployed, with: apocryph volume put"},
		"a proxy's view of containers": {"services: {p: {image: 'traefik:v3', volumes: ['/var/run/docker.sock:/var/run/docker.sock:ro']}}", nil, "remove the proxy: http comes in by itself"},
		"a view of the machine":        {service("volumes: ['/proc:/host/proc:ro']"), nil, "remove the service: it watches the machine"},
		"an empty tag":                 {"services: {web: {image: 'nginx:'}}", nil, "compose.yaml:1:18: services.web.image: the tag of nginx: is empty"},
		"an image in capitals":         {"services: {web: {image: 'Team/Web:V1'}}", nil, "write team/web:V1"},
		"an image that is none":        {"services: {web: {image: 'a b'}}", nil, "\"a b\" is no image's name"},
		"a file of the first kind":     {"web: {image: a}", nil, "compose.yaml:1:1: web: Compose has no such key → put it below services:"},
		"a key of other letters":       {service("prots: [80]"), nil, "did you mean ports?"},
		"a key like no other":          {service("memory: 5"), nil, "remove it, or begin its name with x-"},
		"services of profiles":         {service("profiles: [dev]"), nil, "all have profiles, and none is on → name one: --profile dev"},
		"the usual port of two":        {service("ports: [9000, 80]"), nil, "x-apocryph: {http: {service: web, port: 80}}"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := appfile.Load(t.Context(), tree(c.content, c.files))
			var ps appfile.Problems
			if !errors.As(err, &ps) || len(ps) != 1 {
				t.Fatalf("got %v, want one problem", err)
			}
			if got := ps[0].String() + " → " + ps[0].Remedy; !strings.Contains(got, c.want) {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

// DNS knows no capitals, so neither do the names that services are given.
func TestNamesInCapitals(t *testing.T) {
	m := mustManifest(t, "services:\n  db: {image: db, container_name: MyDB, networks: {default: {aliases: [DATA]}}}\n  web: {image: web, links: ['db:Store'], environment: {AT: 'http://mydb'}}\n")
	if got := m.Services[0].Networks[0].Aliases; !slices.Equal(got, []string{"data", "mydb", "store"}) {
		t.Errorf("the aliases are %q", got)
	}
}

// A policy that lets a server end is not meant that way.
func TestRestartOfServers(t *testing.T) {
	m := mustManifest(t, "services:\n  a: {image: a, expose: [80], restart: on-failure}\n  b: {image: b, restart: on-failure:3}\n  c: {image: c, expose: [80], restart: 'no'}\n")
	var got []manifestv1.Restart
	for _, s := range m.Services {
		got = append(got, s.Restart)
	}
	if want := []manifestv1.Restart{manifestv1.Restart_RESTART_UNSPECIFIED, manifestv1.Restart_RESTART_ON_FAILURE, manifestv1.Restart_RESTART_NEVER}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// A reservation is what a service needs at least, not the most that it may have.
func TestReservationsOfMemory(t *testing.T) {
	f, err := appfile.Load(t.Context(), source("services:\n  a: {image: a, mem_reservation: 64m}\n  b: {image: b, deploy: {resources: {reservations: {memory: 1g}}}}\n  c: {image: c, mem_limit: 64m, mem_reservation: 32m}\n  d: {image: d, shm_size: 64m}\n"))
	if err != nil {
		t.Fatal(err)
	}
	m, err := f.Manifest(t.Context(), pins())
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]uint64{"a": 256 << 20, "b": 1 << 30, "c": 64 << 20, "d": 320 << 20}
	for _, s := range m.Services {
		if s.Resources.MemoryBytes != want[s.Name] {
			t.Errorf("%s has %d bytes, want %d", s.Name, s.Resources.MemoryBytes, want[s.Name])
		}
	}
	if got := f.StatesMemory(); got["a"] || !got["b"] || !got["c"] || got["d"] {
		t.Errorf("stated: %v", got)
	}
}

// People are told once what many keys have in common, and nothing of what is done anyway.
func TestNotesForPeople(t *testing.T) {
	f, err := appfile.Load(t.Context(), source("version: '3'\nservices:\n  web: {image: a, platform: linux/amd64, labels: {a: b}, tty: true, logging: {driver: none}, ports: [80]}\n  db: {image: b, labels: [c], pull_policy: always}\nnetworks: {default: {driver: bridge}}\nvolumes: {v: {driver: local}}\n"))
	if err != nil {
		t.Fatal(err)
	}
	got := appfile.NotesForPeople(f.Notes)
	want := []string{
		"compose.yaml:3: services.web.logging: no effect: logs are read with apocryph logs",
		"no effect, 2 keys: services.web.labels, services.db.labels: nothing reads them at the provider",
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if len(f.Notes) < 8 {
		t.Errorf("all notes: %v", f.Notes)
	}
}
