// SPDX-License-Identifier: Apache-2.0

package appfile

import (
	"fmt"
	"maps"
	"slices"

	"github.com/docker/go-units"

	"github.com/apocryph/apocryph/internal/manifest"
)

// httpRequest is x-apocryph.http.
type httpRequest struct {
	service string
	port    uint32
	host    string
}

// readOwn reads every x-apocryph in the model.
func (f *File) readOwn(model map[string]any) Problems {
	var found Problems
	f.sizes, f.rootSize, f.pieces = map[string]uint64{}, map[string]uint64{}, map[string]map[string]uint64{}
	own, ps := f.ownMap([]string{extension}, model[extension])
	found = append(found, ps...)
	if v, ok := own["http"]; ok {
		ps := f.readHTTP(v)
		found = append(found, ps...)
	}
	if v, ok := own["egress"]; ok {
		found = append(found, f.readEgress(v)...)
	}
	if v, ok := own["notify"]; ok {
		found = append(found, f.readNotify(v)...)
	}
	services, _ := model["services"].(map[string]any)
	for _, name := range slices.Sorted(maps.Keys(f.project.Services)) {
		s, _ := services[name].(map[string]any)
		p := f.readSize([]string{"services", name, extension, "ephemeral"}, s[extension], f.rootSize)
		found = append(found, p...)
		if len(p) == 0 {
			found = append(found, f.readPieces(name, s[extension])...)
		}
	}
	volumes, _ := model["volumes"].(map[string]any)
	for _, name := range slices.Sorted(maps.Keys(volumes)) {
		v, _ := volumes[name].(map[string]any)
		p := f.readSize([]string{"volumes", name, extension, "size"}, v[extension], f.sizes)
		found = append(found, p...)
	}
	return found
}

func (f *File) ownMap(path []string, v any) (map[string]any, Problems) {
	if v == nil {
		return nil, nil
	}
	m, ok := v.(map[string]any)
	if !ok {
		return nil, Problems{f.doc.problem(path, "must be a mapping", "see docs/guide/compose.md for what it holds")}
	}
	return m, nil
}

func (f *File) readHTTP(v any) Problems {
	path := []string{extension, "http"}
	m, ps := f.ownMap(path, v)
	if len(ps) > 0 || m == nil {
		return ps
	}
	r := &httpRequest{}
	r.service, _ = m["service"].(string)
	if r.service == "" {
		return Problems{f.doc.problem(path, "service is missing or no name", "say which service answers http: {service: NAME, port: NUMBER}")}
	}
	if _, ok := f.project.Services[r.service]; !ok {
		return Problems{f.doc.problem(append(path, "service"), fmt.Sprintf("there is no service %q", r.service), "name a service of this file")}
	}
	if p, given := m["port"]; given {
		n, ok := asPort(p)
		if !ok {
			return Problems{f.doc.problem(append(path, "port"), "not a port", "write a number from 1 to 65535")}
		}
		r.port = n
	}
	if h, given := m["host"]; given {
		var ok bool
		if r.host, ok = h.(string); !ok || !manifest.LooksLikeLabel(r.host) {
			return Problems{f.doc.problem(append(path, "host"), fmt.Sprintf("%v is no DNS label", h), "write lower-case letters, digits and inner hyphens, at most 63; the provider's domain is added")}
		}
	}
	f.http = r
	return nil
}

func asPort(v any) (uint32, bool) {
	var n int64
	if _, err := fmt.Sscanf(fmt.Sprint(v), "%d", &n); err != nil || fmt.Sprint(n) != fmt.Sprint(v) {
		return 0, false
	}
	return uint32(n), n >= 1 && n <= 65535
}

// readSize reads the one size that an x-apocryph below a service or volume holds.
func (f *File) readSize(path []string, v any, into map[string]uint64) Problems {
	own, ps := f.ownMap(path[:3], v)
	size, given := own[path[3]]
	if len(ps) > 0 || !given {
		return ps
	}
	n, err := units.RAMInBytes(fmt.Sprint(size))
	if err != nil || n < manifest.MinVolumeBytes || n > manifest.MaxBytes {
		return Problems{f.doc.problem(path, fmt.Sprintf("%v is no size", size), "write a number with a unit, as in 2GiB; at least 8MiB")}
	}
	into[path[1]] = uint64(n)
	return nil
}
