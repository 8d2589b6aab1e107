// SPDX-License-Identifier: Apache-2.0

package manifest_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	manifestv1 "github.com/apocryph/apocryph/internal/gen/manifestv1"
	"github.com/apocryph/apocryph/internal/manifest"
)

func names(n int) (all []string) {
	for i := range n {
		all = append(all, fmt.Sprintf("x%03d", i))
	}
	return all
}

// One beyond each bound is refused, and the last within it is not.
func TestBounds(t *testing.T) {
	for name, c := range map[string]struct {
		most int
		set  func(m *manifestv1.Manifest, n int)
	}{
		"services": {manifest.MaxServices, func(m *manifestv1.Manifest, n int) {
			for i := len(m.Services); i < n; i++ {
				m.Services = append(m.Services, &manifestv1.Service{
					Name: fmt.Sprintf("x%03d", i), Digest: m.Services[0].Digest, Resources: m.Services[0].Resources,
				})
			}
		}},
		"volumes": {manifest.MaxVolumes, func(m *manifestv1.Manifest, n int) {
			for i := len(m.Volumes); i < n; i++ {
				m.Volumes = append(m.Volumes, &manifestv1.Volume{Name: fmt.Sprintf("x%03d", i), SizeBytes: 1 << 30})
			}
		}},
		"volumes to delete": {manifest.MaxRemovedVolumes, func(m *manifestv1.Manifest, n int) { m.RemovedVolumes = names(n) }},
		"networks": {manifest.MaxNetworks, func(m *manifestv1.Manifest, n int) {
			for i := len(m.Networks); i < n; i++ {
				m.Networks = append(m.Networks, &manifestv1.Network{Name: fmt.Sprintf("x%03d", i)})
			}
		}},
		"files": {manifest.MaxFiles, func(m *manifestv1.Manifest, n int) {
			for i := len(m.Files); i < n; i++ {
				m.Files = append(m.Files, &manifestv1.File{Name: fmt.Sprintf("x%03d", i), Salt: m.Files[0].Salt})
			}
		}},
		"mounts of a service": {manifest.MaxMounts, func(m *manifestv1.Manifest, n int) {
			db := m.Services[0]
			for i := len(db.Mounts); i < n; i++ {
				db.Mounts = append(db.Mounts, &manifestv1.Mount{Volume: db.Mounts[0].Volume, Path: fmt.Sprintf("/x%03d", i)})
			}
			slices.SortFunc(db.Mounts, func(a, b *manifestv1.Mount) int { return strings.Compare(a.Path, b.Path) })
		}},
		"ports of a service": {manifest.MaxPorts, func(m *manifestv1.Manifest, n int) {
			web := m.Services[2]
			for i := len(web.Ports); i < n; i++ {
				web.Ports = append(web.Ports, &manifestv1.Port{Number: uint32(8000 + i), Protocol: "tcp"})
			}
		}},
		// A name that a service has on two networks is one.
		"aliases of a service": {manifest.MaxAliases, func(m *manifestv1.Manifest, n int) {
			all := names(n)
			m.Services[2].Networks[0].Aliases, m.Services[2].Networks[1].Aliases = all[:n/2+1], all[n/2:]
		}},
		"aliases of an app": {manifest.MaxAppAliases, func(m *manifestv1.Manifest, n int) {
			m.Services[2].Networks[1].Aliases = nil
			for i, some := range slices.Collect(slices.Chunk(names(n), manifest.MaxAliases)) {
				m.Services = append(m.Services, &manifestv1.Service{
					Name: fmt.Sprintf("y%03d", i), Digest: m.Services[0].Digest, Resources: m.Services[0].Resources,
					Networks: []*manifestv1.Attachment{{Network: "back", Aliases: some}},
				})
			}
		}},
		"the value of a variable": {manifest.MaxEnvValue, func(m *manifestv1.Manifest, n int) { m.Services[0].Env[0].Value = strings.Repeat("x", n) }},
		"a file":                  {manifest.MaxFileBytes, func(m *manifestv1.Manifest, n int) { m.Files[0].Content = make([]byte, n) }},
	} {
		for _, n := range []int{c.most, c.most + 1} {
			m := valid()
			c.set(m, n)
			if err := manifest.Validate(m); errors.Is(err, manifest.ErrInvalid) != (n > c.most) {
				t.Errorf("%s of %d: %v", name, n, err)
			}
		}
	}
}
