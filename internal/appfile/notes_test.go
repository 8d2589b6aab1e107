// SPDX-License-Identifier: Apache-2.0

package appfile_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/apocryph/apocryph/internal/appfile"
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
		"TLS alone":     {service("ports: [443]"), nil, []string{"compose.yaml:4: services.web.ports.0: http without TLS is spoken to port 443"}},
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
		// want is in the one problem and its remedy.
		want string
	}{
		"the port that people come for": {
			"services:\n  admin: {image: adminer, ports: [8080], depends_on: [db]}\n  api: {image: api, ports: [8090, 9100]}\n  web: {image: web, ports: [22, 3000], depends_on: [db]}\n  db: {image: db, ports: [5432]}\n",
			"(admin:8080, api:8090, api:9100, web:3000), and one is to answer http at the app's URL → say which at the top of the file: x-apocryph: {http: {service: web, port: 3000}}",
		},
		"the usual port of two": {service("ports: [9000, 80]"), "x-apocryph: {http: {service: web, port: 80}}"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := appfile.Load(t.Context(), tree(c.content, nil))
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
