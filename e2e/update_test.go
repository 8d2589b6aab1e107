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
