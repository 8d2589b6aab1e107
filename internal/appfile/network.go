// SPDX-License-Identifier: Apache-2.0

package appfile

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"

	manifestv1 "github.com/apocryph/apocryph/internal/gen/manifestv1"
	"github.com/apocryph/apocryph/internal/manifest"
)

// defaultNetwork is the one of services that name none.
const defaultNetwork = "default"

// isolate gives a service of no network one of its own, on which nobody else is and which leads nowhere.
func (f *File) isolate() {
	for _, name := range f.serviceNames() {
		s := f.project.Services[name]
		if s.NetworkMode != "none" {
			continue
		}
		own := "none-" + name
		if f.project.Networks == nil {
			f.project.Networks = types.Networks{}
		}
		f.project.Networks[own] = types.NetworkConfig{Internal: true}
		s.Networks = map[string]*types.ServiceNetworkConfig{own: nil}
		f.project.Services[name] = s
	}
}

// nameNetworks makes sure that no two networks become one when their names are made labels, and that no name stands for two services.
func (f *File) nameNetworks() Problems {
	var found Problems
	seen := map[string]string{}
	used := f.usedNetworks()
	if len(used) > manifest.MaxNetworks {
		found = append(found, f.doc.problem([]string{"networks"}, fmt.Sprintf("%d networks, at most %d", len(used), manifest.MaxNetworks), "use fewer"))
	}
	for _, name := range used {
		label := Label(name)
		if other, dup := seen[label]; dup || label == "" {
			found = append(found, f.doc.problem([]string{"networks", name}, fmt.Sprintf("the name can't be told from %q: only letters and digits count", other), "give the networks names that differ in letters or digits"))
		}
		seen[label] = name
	}
	owner := map[string]string{}
	for _, name := range f.serviceNames() {
		for _, alias := range f.aliases(name) {
			path := []string{"services", name, "networks"}
			if other, dup := owner[alias.name]; dup && other != name {
				found = append(found, f.doc.problem(path, fmt.Sprintf("services %s and %s are both called %s", other, name, alias.name), "give each alias to one service"))
			}
			owner[alias.name] = name
		}
	}
	return found
}

// usedNetworks are those that services are on, if it matters: without any, all share one.
func (f *File) usedNetworks() []string {
	used := map[string]bool{}
	all := false
	for _, name := range f.serviceNames() {
		s := f.project.Services[name]
		for n := range s.Networks {
			used[n] = true
		}
		all = all || len(f.aliases(name)) > 0
	}
	all = all || f.hasCopies() || len(used) > 0 || f.project.Networks[defaultNetwork].Internal
	if !all {
		return nil
	}
	for _, s := range f.project.Services {
		if len(s.Networks) == 0 {
			used[defaultNetwork] = true
		}
	}
	return slices.Sorted(maps.Keys(used))
}

// networks is the manifest's part.
func (f *File) networks() []*manifestv1.Network {
	var out []*manifestv1.Network
	for _, name := range f.usedNetworks() {
		out = append(out, &manifestv1.Network{Name: Label(name), Internal: f.project.Networks[name].Internal})
	}
	slices.SortFunc(out, func(a, b *manifestv1.Network) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// attachments are the networks that a service is on, with its further names there.
func (c *serviceCheck) attachments(s types.ServiceConfig) []*manifestv1.Attachment {
	if len(c.f.usedNetworks()) == 0 {
		return nil
	}
	names := slices.Collect(maps.Keys(s.Networks))
	if len(names) == 0 {
		names = []string{defaultNetwork}
	}
	var out []*manifestv1.Attachment
	for _, n := range names {
		a := &manifestv1.Attachment{Network: Label(n)}
		for _, alias := range c.f.aliases(c.name) {
			if alias.network == "" || alias.network == n {
				a.Aliases = append(a.Aliases, alias.name)
			}
		}
		slices.Sort(a.Aliases)
		a.Aliases = slices.Compact(a.Aliases)
		if len(a.Aliases) > manifest.MaxAliases {
			c.problem(fmt.Sprintf("%d aliases, at most %d", len(a.Aliases), manifest.MaxAliases), "use fewer", "networks", n)
		}
		out = append(out, a)
	}
	slices.SortFunc(out, func(a, b *manifestv1.Attachment) int { return strings.Compare(a.Network, b.Network) })
	return out
}

// checkNames says of every further name that can't be one why that is: refused only where somebody here would look for it.
func (c *serviceCheck) checkNames(s types.ServiceConfig) {
	if s.ContainerName != "" && s.ContainerName != c.name {
		c.checkName(s.ContainerName, c.f.label(c.name), c.f.isSaid(c.name, s.ContainerName), "container_name")
	}
	for i, link := range s.Links {
		target, alias, ok := strings.Cut(link, ":")
		if _, runs := c.f.project.Services[target]; !runs {
			c.problem(fmt.Sprintf("there is no service %s here, or its profile is not on", target), "name a service that runs, or remove it from links", "links", strconv.Itoa(i))
			continue
		}
		if ok && alias != target {
			c.checkName(alias, c.f.label(target), c.f.says(c.name, alias) || c.f.filesSay(alias), "links", strconv.Itoa(i))
		}
	}
	for _, network := range slices.Sorted(maps.Keys(s.Networks)) {
		if s.Networks[network] == nil {
			continue
		}
		for _, alias := range s.Networks[network].Aliases {
			at := []string{"networks", network, "aliases"}
			if name, _ := hostName(alias); name != c.f.label(c.name) && c.f.isService(name) {
				c.problem(fmt.Sprintf("the alias %s is another service's name", alias), "use another alias", at...)
				continue
			}
			c.checkName(alias, c.f.label(c.name), c.f.isSaid(c.name, alias), at...)
		}
	}
}

func (c *serviceCheck) checkName(name, label string, said bool, at ...string) {
	if _, ok := hostName(name); ok {
		return
	}
	if said {
		c.problem(fmt.Sprintf("%s can't be a host name, which has only letters, digits and inner hyphens, and it is said here", name), fmt.Sprintf("replace %s by %s where others name it", name, label), at...)
		return
	}
	c.note(fmt.Sprintf("no effect: %s can't be a host name, which has only letters, digits and inner hyphens; others reach the service as %s", name, label), at...)
}

// hostName is a name as hosts are called, and whether it can be one. To DNS capitals are the same as small letters.
func hostName(text string) (string, bool) {
	text = strings.ToLower(text)
	return text, manifest.LooksLikeLabel(text)
}

func (f *File) isService(name string) bool {
	return slices.ContainsFunc(f.serviceNames(), func(s string) bool { return f.label(s) == name })
}

// alias is a further name of a service, on one network or on all of its own.
type alias struct{ network, name string }

// aliases are a service's further names: those that it says, those that others link to it by, and its container's, if anybody says that.
func (f *File) aliases(name string) []alias {
	var out []alias
	add := func(network, text string) {
		if host, ok := hostName(text); ok && host != f.label(name) && !f.isService(host) {
			out = append(out, alias{network, host})
		}
	}
	s := f.project.Services[name]
	for network, config := range s.Networks {
		if config != nil {
			for _, a := range config.Aliases {
				add(network, a)
			}
		}
	}
	if s.ContainerName != "" && f.isMentioned(name, s.ContainerName) {
		add("", s.ContainerName)
	}
	for _, other := range f.serviceNames() {
		for _, link := range f.project.Services[other].Links {
			if target, alias, ok := strings.Cut(link, ":"); ok && target == name {
				add("", alias)
			}
		}
	}
	slices.SortFunc(out, func(a, b alias) int { return strings.Compare(a.name+" "+a.network, b.name+" "+b.network) })
	return slices.Compact(out)
}
