// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/apocryph/apocryph/e2e/bed"
)

// keeping is a service with a volume, and OTHER for its command.
const keeping = `
services:
  web:
    image: ` + bed.ProbeImage + `
    OTHER
    cpus: 0.1
    mem_limit: 64m
    ports: ["8080"]
    volumes: [data:/data]
volumes:
  data: {x-apocryph: {size: 16MiB}}
`

// An update of a service with a volume, which has to stop first, does not leave the app down when the new version does not come up.
func TestABrokenUpdateIsTakenBack(t *testing.T) {
	d := bed.Connect(t)
	p := d.NewPerson(t, true)
	file := func(other string) string {
		return p.Write("compose.yaml", strings.Replace(keeping, "OTHER", other, 1))
	}
	var app bed.Deployed
	p.MustJSON(&app, "deploy", file("init: true"), "--name", "kept", "--for", "1h", "--yes")
	defer p.Run("stop", "kept", "--yes")
	answers := func(path, want string) {
		t.Helper()
		bed.Eventually(t, "it answers", func() error {
			code, body, err := d.Get(t.Context(), app.URL+path)
			if err != nil || code != 200 || !strings.Contains(body, want) {
				return fmt.Errorf("%d %w %s", code, err, body)
			}
			return nil
		})
	}
	answers("/write?path=/data/note&content=written-by-the-first", "ok")

	r := p.Run("deploy", file(`command: [do, end, "3", "no such table"]`), "--name", "kept", "--yes", "--wait", "2m")
	for _, want := range []string{"its last version is back", "exited with code 3", "no such table", "apocryph logs --previous kept"} {
		if r.Code == 0 || !strings.Contains(r.Stderr, want) {
			t.Errorf("exit %d, and it does not say %q\n%s", r.Code, want, r.Stderr)
		}
	}
	answers("/read?path=/data/note", "written-by-the-first")

	p.Must("deploy", file("init: false"), "--name", "kept", "--yes")
	answers("/read?path=/data/note", "written-by-the-first")
}

// changing is a web server in a VERSION, with MOUNTS, and a service that no update concerns.
const changing = `
x-probe: &probe
  image: ` + bed.ProbeImage + `
  cpus: 0.1
  mem_limit: 64m
services:
  web:
    <<: *probe
    ports: ["8080"]
    environment: {VERSION: "VERSION-OF-WEB"}
    volumes: MOUNTS
  other: *probe
volumes:
  data: {x-apocryph: {size: 16MiB}}
`

// No request fails while a service is updated: one without volumes is replaced by its new version, and for one with a volume requests wait.
// What did not change is not touched.
func TestAnUpdateFailsNoRequest(t *testing.T) {
	d := bed.Connect(t)
	p := d.NewPerson(t, true)
	deploy := func(version, mounts string) bed.Deployed {
		t.Helper()
		var app bed.Deployed
		file := p.Write("compose.yaml", strings.NewReplacer("VERSION-OF-WEB", version, "MOUNTS", mounts).Replace(changing))
		p.MustJSON(&app, "deploy", file, "--name", "changing", "--for", "1h", "--yes")
		return app
	}
	w := &composedApp{d: d, app: deploy("1", "[]")}
	defer p.Run("stop", "changing", "--yes")
	other := w.pod(t, "other").UID
	for _, update := range []struct{ name, version, mounts string }{
		{"one without volumes", "2", "[]"},
		{"one that gets a volume", "3", "[data:/data]"},
		{"one with a volume", "4", "[data:/data]"},
	} {
		t.Run(update.name, func(t *testing.T) {
			asking := bed.Ask(t, d, w.app.URL)
			deploy(update.version, update.mounts)
			asked, failed := asking()
			if v := version(w.pod(t, "web")); v != update.version {
				t.Errorf("version %s runs", v)
			}
			if asked == 0 || len(failed) > 0 {
				t.Errorf("of %d requests %d failed: %v", asked, len(failed), failed)
			}
			if w.pod(t, "other").UID != other {
				t.Error("a service that did not change has another pod")
			}
		})
	}
}
