// SPDX-License-Identifier: Apache-2.0

package appfile

import (
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	manifestv1 "github.com/apocryph/apocryph/internal/gen/manifestv1"
	"github.com/apocryph/apocryph/internal/manifest"
)

// A service of several replicas is several services in the manifest, all of which answer to its name: see docs/adr/replicas-are-services.md.

// copies is how many replicas of a service there are to be.
func (f *File) copies(name string) int {
	s := f.project.Services[name]
	return s.GetScale()
}

// copyNames are the names in the manifest of a service's replicas, or its own of the one there is.
func (f *File) copyNames(name string) []string {
	label, n := f.label(name), f.copies(name)
	if n <= 1 {
		return []string{label}
	}
	var all []string
	for i := range min(n, manifest.MaxServices+1) {
		all = append(all, fmt.Sprintf("%s-%d", label, i+1))
	}
	return all
}

// hasCopies reports whether any service has more than one replica.
func (f *File) hasCopies() bool {
	return slices.ContainsFunc(f.serviceNames(), func(name string) bool { return f.copies(name) > 1 })
}

// checkCopies checks how many replicas a service is to have.
func (c *serviceCheck) checkCopies() {
	n, at := c.f.copies(c.name), []string{"scale"}
	if s := c.f.project.Services[c.name]; s.Scale == nil {
		at = []string{"deploy", "replicas"}
	}
	switch {
	case n == 1:
	case n < 1:
		c.problem(fmt.Sprintf("not supported: a service of %d replicas", n), "give it a profile that nobody names, as in profiles: [off]", at...)
	case c.http:
		c.problem("not supported: several replicas of the service that answers http", "remove it, and give the one what it needs with cpus and mem_limit", at...)
	default:
		names := c.f.copyNames(c.name)
		for _, name := range names {
			switch {
			case !manifest.LooksLikeLabel(name):
				c.problem(fmt.Sprintf("%s, which a replica would be called, is too long for a host name", name), "give the service a shorter name", at...)
				return
			case c.f.isService(name), c.f.isAlias(name):
				c.problem(fmt.Sprintf("%s, which a replica would be called, is another service's name", name), "give one of the two another name", at...)
				return
			}
		}
		c.note(fmt.Sprintf("they are the services %s, each with what %s has; all answer to %s, in turn", listText(names), c.name, c.f.label(c.name)), at...)
	}
}

func (f *File) isAlias(name string) bool {
	return slices.ContainsFunc(f.serviceNames(), func(service string) bool {
		return slices.ContainsFunc(f.aliases(service), func(a alias) bool { return a.name == name })
	})
}

// countCopies is how many services the manifest will have.
func (f *File) countCopies() int {
	n := 0
	for _, name := range f.serviceNames() {
		n += len(f.copyNames(name))
	}
	return n
}

// copy puts replicas into the place of each service that has several.
func (f *File) copy(m *manifestv1.Manifest) {
	names := map[string][]string{}
	for _, name := range f.serviceNames() {
		names[f.label(name)] = f.copyNames(name)
	}
	var all []*manifestv1.Service
	for _, s := range m.Services {
		var deps []*manifestv1.Dependency
		for _, d := range s.DependsOn {
			for _, name := range names[d.Service] {
				deps = append(deps, &manifestv1.Dependency{Service: name, Condition: d.Condition})
			}
		}
		slices.SortFunc(deps, func(a, b *manifestv1.Dependency) int { return strings.Compare(a.Service, b.Service) })
		s.DependsOn = deps
		if len(names[s.Name]) == 1 {
			all = append(all, s)
			continue
		}
		for _, a := range s.Networks {
			a.Aliases = append(a.Aliases, s.Name)
			slices.Sort(a.Aliases)
		}
		for _, name := range names[s.Name] {
			replica := proto.CloneOf(s)
			replica.Name = name
			all = append(all, replica)
		}
	}
	m.Services = all
}
