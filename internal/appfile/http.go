// SPDX-License-Identifier: Apache-2.0

package appfile

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"

	manifestv1 "github.com/apocryph/apocryph/internal/gen/manifestv1"
)

// candidate is a port that may answer http.
type candidate struct {
	service string
	port    uint32
}

// otherProtocols are the ports of servers that do not speak http, by the numbers that they always have in their containers.
func otherProtocols() []uint32 {
	return []uint32{
		21, 22, 23, 25, 53, 110, 143, 389, 465, 587, 636, 853, 993, 995, 1025, 1433, 1521, 1883, 2181, 2222, 2525, 3306, 3389, 3478, 4222, 5222, 5269, 5349, 5432, 5671, 5672,
		5900, 6379, 6380, 7687, 8883, 9042, 9092, 11211, 27017,
	}
}

// withTLS are the ports where servers speak http without and with TLS.
func withTLS() map[uint32]uint32 {
	return map[uint32]uint32{80: 443, 8008: 8448, 8080: 8443, 9000: 9443}
}

// httpOf decides which service answers http: the one that x-apocryph names, or else the only TCP port that can, of those that are
// published, then of those that labels for a proxy name, then of those that a proxy on the machine itself would speak to.
func (f *File) httpOf() (*manifestv1.Http, Problems) {
	published, open := f.tcpPorts()
	h := &manifestv1.Http{}
	if f.http != nil {
		h.Service, h.Port, h.Host = f.http.service, f.http.port, f.http.host
		ofOthers := func(c candidate) bool { return c.service != h.Service }
		published, open = slices.DeleteFunc(published, ofOthers), slices.DeleteFunc(open, ofOthers)
		if len(published) == 0 {
			published = open
		}
		// Who names the service means it: a port that looks like another protocol's is better than none.
		if able := likeliest(published); len(able) > 0 {
			published = able
		}
	} else {
		published = f.guess(published)
	}
	switch {
	case h.Port != 0:
	case len(published) == 1:
		h.Service, h.Port = published[0].service, published[0].port
	case len(published) == 0 && f.http == nil:
		return nil, nil
	case len(published) == 0:
		return nil, Problems{f.doc.problem([]string{extension, "http"}, fmt.Sprintf("service %s has no TCP port in this file", h.Service), "add port: NUMBER under x-apocryph.http")}
	default:
		return nil, Problems{f.ambiguous(published)}
	}
	h.Service = f.label(h.Service)
	return h, nil
}

// guess returns the ports that may answer http, where the file does not say which does.
func (f *File) guess(published []candidate) []candidate {
	if able := likeliest(published); len(able) > 0 {
		return able
	}
	if named := sortCandidates(f.proxied()); len(named) > 0 {
		return named
	}
	if local := likeliest(f.localPorts()); len(local) == 1 {
		return local
	}
	return nil
}

// ambiguous says that several ports may answer http, and proposes the one that people most likely come for.
func (f *File) ambiguous(all []candidate) Problem {
	var names []string
	for _, c := range all {
		names = append(names, fmt.Sprintf("%s:%d", c.service, c.port))
	}
	best := slices.MinFunc(all, func(a, b candidate) int { return slices.Compare(f.rank(a), f.rank(b)) })
	return f.doc.problem([]string{"services", all[1].service, "ports"}, fmt.Sprintf("more than one TCP port is published (%s), and one is to answer http at the app's URL", strings.Join(names, ", ")),
		fmt.Sprintf("say which at the top of the file: x-apocryph: {http: {service: %s, port: %d}}", best.service, best.port))
}

// rank orders candidates: tools beside an app last, what stands on other services first, then by the ports that web servers have.
func (f *File) rank(c candidate) []int {
	s := f.project.Services[c.service]
	rank := []int{0, 1, 0}
	if slices.ContainsFunc([]string{"adminer", "admin", "mailhog", "mailpit", "mailcatcher", "mongo-express", "redis-commander", "traefik"}, func(tool string) bool { return strings.Contains(s.Image, tool) }) {
		rank[0] = 1
	}
	if len(s.DependsOn) > 0 {
		rank[1] = 0
	}
	usual := []uint32{80, 8080, 3000, 8000, 5000}
	if rank[2] = slices.Index(usual, c.port); rank[2] < 0 {
		rank[2] = len(usual)
	}
	return rank
}

// tcpPorts are those that the file publishes, and those that are open.
func (f *File) tcpPorts() (published, open []candidate) {
	for _, name := range f.serviceNames() {
		s := f.project.Services[name]
		for _, p := range s.Ports {
			if cmpOr(p.Protocol, "tcp") == "tcp" && !isLoopback(p.HostIP) {
				published = append(published, candidate{name, p.Target})
			}
		}
		c := serviceCheck{f: f, name: name}
		for _, p := range c.ports(s) {
			if p.Protocol == "tcp" {
				open = append(open, candidate{name, p.Number})
			}
		}
	}
	return published, open
}

// localPorts are those that are published on the machine itself, where a proxy outside of the file would reach them.
func (f *File) localPorts() []candidate {
	var found []candidate
	for _, name := range f.serviceNames() {
		for _, p := range f.project.Services[name].Ports {
			if cmpOr(p.Protocol, "tcp") == "tcp" && isLoopback(p.HostIP) {
				found = append(found, candidate{name, p.Target})
			}
		}
	}
	return found
}

// likeliest leaves out what certainly does not speak http, and TLS where the same service speaks http without: the provider's end of TLS
// is before it.
func likeliest(all []candidate) []candidate {
	all = sortCandidates(all)
	rest := slices.DeleteFunc(slices.Clone(all), func(c candidate) bool { return slices.Contains(otherProtocols(), c.port) })
	for plain, tls := range withTLS() {
		rest = slices.DeleteFunc(rest, func(c candidate) bool { return c.port == tls && slices.Contains(all, candidate{c.service, plain}) })
	}
	return rest
}

func sortCandidates(all []candidate) []candidate {
	slices.SortFunc(all, func(a, b candidate) int {
		return cmp.Or(strings.Compare(a.service, b.service), cmp.Compare(a.port, b.port))
	})
	return slices.Compact(all)
}

// proxied are the ports that labels or variables give to a proxy that watches containers.
func (f *File) proxied() []candidate {
	var found []candidate
	for _, name := range f.serviceNames() {
		s := f.project.Services[name]
		for _, key := range []string{".loadbalancer.server.port", "caddy.reverse_proxy"} {
			for label, value := range s.Labels {
				value = strings.TrimSuffix(strings.TrimPrefix(value, "{{upstreams "), "}}")
				if n, ok := asPort(strings.TrimSpace(value)); ok && strings.HasSuffix(label, key) {
					found = append(found, candidate{name, n})
				}
			}
		}
		for _, v := range f.env[name] {
			if n, ok := asPort(v.value); ok && v.name == "VIRTUAL_PORT" {
				found = append(found, candidate{name, n})
			}
		}
	}
	return found
}

// tellPorts says what is not reached from outside: the app, or each port that is not the one at the URL.
func (f *File) tellPorts(h *manifestv1.Http) {
	if h == nil && len(likeliest(f.localPorts())) == 0 {
		f.note([]string{"services"}, "nothing answers http: no TCP port that may speak it is published; to have one answer, write x-apocryph: {http: {service: NAME, port: NUMBER}}")
	}
	for _, name := range f.serviceNames() {
		for i, p := range f.project.Services[name].Ports {
			path := []string{"services", name, "ports", strconv.Itoa(i)}
			protocol := cmpOr(p.Protocol, "tcp")
			able := protocol == "tcp" && len(likeliest([]candidate{{name, p.Target}})) > 0
			switch {
			case h != nil && h.Service == f.label(name) && h.Port == p.Target && protocol == "tcp":
				f.tellHTTP(path, name, p)
			case h == nil && isLoopback(p.HostIP) && able:
				f.note(path, fmt.Sprintf("port %d of %s is bound to this machine only; to have it answer write x-apocryph: {http: {service: %s, port: %d}}", p.Target, name, name, p.Target))
			default:
				f.note(path, fmt.Sprintf("port %d/%s is reached by the app's own services only", p.Target, protocol))
			}
		}
	}
}

// tellHTTP says what is not plain of the port that answers http.
func (f *File) tellHTTP(path []string, name string, p types.ServicePortConfig) {
	if isLoopback(p.HostIP) && f.http == nil {
		f.note(path, fmt.Sprintf("port %d is bound to this machine for a proxy in front of it: the provider is that proxy, and the port answers at the app's URL", p.Target))
	}
	for _, tls := range withTLS() {
		if p.Target == tls {
			f.note(path, fmt.Sprintf("http without TLS is spoken to port %d, for TLS ends at the provider; if %s wants TLS there, name a port without: x-apocryph: {http: {service: %s, port: NUMBER}}", tls, name, name))
		}
	}
}

func isLoopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "localhost" || (err == nil && a.IsLoopback())
}
