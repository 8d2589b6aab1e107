// SPDX-License-Identifier: Apache-2.0

package appfile

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	manifestv1 "github.com/apocryph/apocryph/internal/gen/manifestv1"
)

// candidate is a port that may answer http.
type candidate struct {
	service string
	port    uint32
}

// otherProtocols are the ports of servers that do not speak http, by the numbers that they always have in their containers.
func otherProtocols() []uint32 {
	return []uint32{21, 22, 25, 53, 110, 143, 389, 465, 587, 636, 853, 993, 995, 1433, 1883, 2525, 3306, 3478, 5222, 5269, 5349, 5432, 5671, 5672, 6379, 6380, 8883, 9042, 11211, 27017}
}

// httpOf decides which service answers http: the one that x-apocryph names, or the only published TCP port that can, or else the one that
// labels for a proxy name. Ports are those in the container.
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
	} else if len(published) == 0 {
		published = f.proxied()
	}
	if h.Port == 0 {
		published = likeliest(published)
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
		a, b := published[0], published[1]
		return nil, Problems{f.doc.problem([]string{"services", b.service, "ports"}, fmt.Sprintf("more than one TCP port is published (%s:%d and %s:%d), and one is to answer http at the app's URL", a.service, a.port, b.service, b.port),
			fmt.Sprintf("say which at the top of the file: x-apocryph: {http: {service: %s, port: %d}}", a.service, a.port))}
	}
	h.Service = f.label(h.Service)
	return h, nil
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

// likeliest leaves out what certainly does not speak http, as long as something is left, and TLS where the same service speaks http without:
// the provider's end of TLS is before it.
func likeliest(all []candidate) []candidate {
	slices.SortFunc(all, func(a, b candidate) int {
		return strings.Compare(a.service, b.service)*65536 + int(a.port) - int(b.port)
	})
	all = slices.Compact(all)
	rest := slices.DeleteFunc(slices.Clone(all), func(c candidate) bool { return slices.Contains(otherProtocols(), c.port) })
	for plain, tls := range map[uint32]uint32{80: 443, 8080: 8443} {
		rest = slices.DeleteFunc(rest, func(c candidate) bool { return c.port == tls && slices.Contains(all, candidate{c.service, plain}) })
	}
	if len(rest) == 0 {
		return all
	}
	return rest
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

// tellPorts says what is not reached from outside: the app, or each published port that is not the one at the URL.
func (f *File) tellPorts(h *manifestv1.Http) {
	if h == nil {
		f.note([]string{"services"}, "nothing answers http: no TCP port is published; to have one answer, write x-apocryph: {http: {service: NAME, port: NUMBER}}")
	}
	for _, name := range f.serviceNames() {
		for i, p := range f.project.Services[name].Ports {
			isHTTP := h != nil && h.Service == f.label(name) && h.Port == p.Target && cmpOr(p.Protocol, "tcp") == "tcp"
			if !isHTTP && !isLoopback(p.HostIP) {
				f.note([]string{"services", name, "ports", strconv.Itoa(i)}, fmt.Sprintf("port %d/%s is reached by the app's own services only", p.Target, cmpOr(p.Protocol, "tcp")))
			}
		}
	}
}

func isLoopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "localhost" || (err == nil && a.IsLoopback())
}
