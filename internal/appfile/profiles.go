// SPDX-License-Identifier: Apache-2.0

package appfile

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// profiles are those whose services run too.
func (s Source) profiles() []string {
	return append(slices.Clip(s.Profiles), strings.FieldsFunc(s.Env["COMPOSE_PROFILES"], func(c rune) bool { return c == ',' || c == ' ' })...)
}

// findIdle finds the services that no profile selects and that no other in the file is made of: nobody has to set their variables.
func (d *document) findIdle(active []string) {
	d.idle, d.later = map[string]bool{}, map[string]Problems{}
	selected, extended := map[string]bool{}, map[string]bool{}
	d.scalars(func(path []string, n *yaml.Node) {
		if len(path) < 3 || path[0] != "services" {
			return
		}
		switch name := path[1]; {
		case path[2] == "profiles" && len(path) == 4:
			d.idle[name] = true
			selected[name] = selected[name] || slices.Contains(active, "*") || slices.Contains(active, n.Value) || strings.Contains(n.Value, "$")
		case path[2] == "extends":
			extended[n.Value] = true
		}
	})
	for name := range d.idle {
		if selected[name] || extended[name] {
			delete(d.idle, name)
		}
	}
}
