// SPDX-License-Identifier: Apache-2.0

package appfile

import (
	"fmt"
	"maps"
	"math/big"
	"net/netip"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/compose-spec/compose-go/v2/types"

	manifestv1 "github.com/apocryph/apocryph/internal/gen/manifestv1"
	"github.com/apocryph/apocryph/internal/manifest"
)

// What is reserved where the file says nothing.
const (
	DefaultMilliCPU       = 250
	DefaultMemoryBytes    = 256 << 20
	DefaultEphemeralBytes = 1 << 30
	DefaultVolumeBytes    = 1 << 30
)

const (
	resourcesHint = "see the default sizes in docs/guide/compose.md"
	maxGrace      = time.Hour
	maxID         = 65535
)

// serviceCheck builds one service's part of the manifest and collects what is wrong with it.
type serviceCheck struct {
	f        *File
	name     string
	problems Problems
}

func (c *serviceCheck) problem(message, remedy string, below ...string) {
	c.problems = append(c.problems, c.f.doc.problem(append([]string{"services", c.name}, below...), message, remedy))
}

// checkServices checks what the rules can't: values, and how services and volumes fit together.
func (f *File) checkServices() Problems {
	var found Problems
	if len(f.project.Services) == 0 {
		return Problems{f.doc.problem([]string{"services"}, "there is no service to run", "write at least one service with an image, and without profiles")}
	}
	if n := len(f.project.Services); n > manifest.MaxServices {
		found = append(found, f.doc.problem([]string{"services"}, fmt.Sprintf("%d services, at most %d", n, manifest.MaxServices), "deploy the app as several"))
	}
	for _, name := range f.serviceNames() {
		c := serviceCheck{f: f, name: name}
		c.build()
		found = append(found, c.problems...)
	}
	found = append(found, f.checkVolumeNames()...)
	if len(found) == 0 {
		_, found = f.httpOf()
	}
	return found
}

func (f *File) serviceNames() []string { return slices.Sorted(maps.Keys(f.project.Services)) }

// build makes all of the service but its image's digest and ports, and its env's salts.
func (c *serviceCheck) build() *manifestv1.Service {
	s := c.f.project.Services[c.name]
	if !manifest.LooksLikeLabel(c.name) {
		c.problem("the service's name is its host name, which has only lower-case letters, digits and inner hyphens, at most 63", fmt.Sprintf("call it %s", cmpOr(Label(c.name), "web")))
	}
	switch {
	case s.Image == "" && s.Build != nil:
		c.problem("not supported: building images", "build it (docker build -t NAME .), then write image: NAME beside build", "build")
	case s.Image == "":
		c.problem("the service has no image", "write image: NAME")
	}
	m := &manifestv1.Service{
		Name: c.name, Image: s.Image, Entrypoint: s.Entrypoint, Command: s.Command, WorkingDir: s.WorkingDir, ReadOnly: s.ReadOnly,
		Env: c.env(), Ports: c.ports(s), Mounts: c.mounts(s), Resources: c.resources(s),
	}
	if s.WorkingDir != "" && !path.IsAbs(s.WorkingDir) {
		c.problem("the path is not absolute", "begin it with /", "working_dir")
	}
	m.User, m.Group = c.user(s.User)
	if s.StopGracePeriod != nil {
		d := time.Duration(*s.StopGracePeriod)
		if d < 0 || d > maxGrace {
			c.problem("the period is not within 0 s and 1 h", "write a duration as in 30s", "stop_grace_period")
		}
		m.StopGraceSeconds = uint32(max(1, (d+time.Second-1)/time.Second))
	}
	return m
}

func (c *serviceCheck) env() []*manifestv1.Env {
	var out []*manifestv1.Env
	for _, v := range c.f.env[c.name] {
		switch {
		case !regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.-]*$`).MatchString(v.name):
			c.problem(fmt.Sprintf("%.80q is no name for an environment variable", v.name), "use letters, digits and underscores, not beginning with a digit", "environment", v.name)
		case len(v.value) > manifest.MaxEnvValue || strings.ContainsRune(v.value, 0):
			c.problem(fmt.Sprintf("the value of %s is longer than %d bytes or holds a zero byte", v.name, manifest.MaxEnvValue), "put it into the image or a volume", "environment", v.name)
		}
		out = append(out, &manifestv1.Env{Name: v.name, Value: v.value})
	}
	return out
}

func (c *serviceCheck) ports(s types.ServiceConfig) []*manifestv1.Port {
	var out []*manifestv1.Port
	for i, p := range s.Ports {
		protocol := cmpOr(p.Protocol, "tcp")
		if p.Target < 1 || p.Target > 65535 || (protocol != "tcp" && protocol != "udp") {
			c.problem(fmt.Sprintf("%d/%s is no port that can be served", p.Target, protocol), "use 1 to 65535 with tcp or udp", "ports", strconv.Itoa(i))
			continue
		}
		out = append(out, &manifestv1.Port{Number: p.Target, Protocol: protocol})
	}
	for i, e := range s.Expose {
		ps, ok := Ports(e)
		if !ok {
			c.problem(fmt.Sprintf("%q is no port", e), "write a number from 1 to 65535, a range, and /udp if it is", "expose", strconv.Itoa(i))
		}
		out = append(out, ps...)
	}
	return sortPorts(out)
}

// Ports reads 80, 80/udp, 80-82 or 80-82/tcp, as Compose and images write the ports that they expose.
func Ports(text string) ([]*manifestv1.Port, bool) {
	numbers, protocol, given := strings.Cut(text, "/")
	if !given {
		protocol = "tcp"
	}
	from, to, ranged := strings.Cut(numbers, "-")
	if !ranged {
		to = from
	}
	a, okA := asPort(from)
	b, okB := asPort(to)
	if !okA || !okB || a > b || b-a > 1000 || (protocol != "tcp" && protocol != "udp") {
		return nil, false
	}
	var out []*manifestv1.Port
	for n := a; n <= b; n++ {
		out = append(out, &manifestv1.Port{Number: n, Protocol: protocol})
	}
	return out, true
}

func sortPorts(ps []*manifestv1.Port) []*manifestv1.Port {
	slices.SortFunc(ps, func(a, b *manifestv1.Port) int {
		if a.Number != b.Number {
			return int(a.Number) - int(b.Number)
		}
		return strings.Compare(a.Protocol, b.Protocol)
	})
	return slices.CompactFunc(ps, func(a, b *manifestv1.Port) bool { return a.Number == b.Number && a.Protocol == b.Protocol })
}

func (c *serviceCheck) mounts(s types.ServiceConfig) []*manifestv1.Mount {
	var out []*manifestv1.Mount
	for i, v := range s.Volumes {
		at := []string{"volumes", strconv.Itoa(i)}
		switch {
		case v.Bind != nil || v.Tmpfs != nil || v.Image != nil: // the rules have said so
		case v.Type != types.VolumeTypeVolume:
			c.problem(fmt.Sprintf("not supported: a mount of type %s", v.Type), "use a named volume", at...)
		case v.Source == "":
			c.problem("not supported: a volume without a name", "name it (data:"+v.Target+") and list the name under volumes: at the top", at...)
		case !path.IsAbs(v.Target) || path.Clean(v.Target) != strings.TrimRight(v.Target, "/") || strings.ContainsAny(v.Target, ":\x00"):
			c.problem(fmt.Sprintf("%q is no absolute path to mount at", v.Target), "write an absolute path below /, without .. and :", at...)
		}
		out = append(out, &manifestv1.Mount{Volume: Label(v.Source), Path: path.Clean("/" + v.Target), ReadOnly: v.ReadOnly})
	}
	slices.SortFunc(out, func(a, b *manifestv1.Mount) int { return strings.Compare(a.Path, b.Path) })
	for i := 1; i < len(out); i++ {
		if out[i].Path == out[i-1].Path {
			c.problem(fmt.Sprintf("two volumes are mounted at %s", out[i].Path), "mount each at a path of its own", "volumes")
		}
	}
	return out
}

// checkVolumeNames makes sure that no two volumes become one when their names are made labels.
func (f *File) checkVolumeNames() Problems {
	var found Problems
	seen := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(f.project.Volumes)) {
		label := Label(name)
		if other, dup := seen[label]; dup || label == "" {
			found = append(found, f.doc.problem([]string{"volumes", name}, fmt.Sprintf("the name can't be told from %q: only letters and digits count", other), "give the volumes names that differ in letters or digits"))
		}
		seen[label] = name
	}
	return found
}

func (c *serviceCheck) user(text string) (user, group *int64) {
	if text == "" {
		return nil, nil
	}
	id := func(s string) *int64 {
		if s == "root" {
			s = "0"
		}
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil || n < 0 || n > maxID {
			c.problem(fmt.Sprintf("%q is no number from 0 to %d", s, maxID), "write user: UID or UID:GID in numbers: the names are known only inside the image", "user")
			return nil
		}
		return &n
	}
	u, g, both := strings.Cut(text, ":")
	user = id(u)
	if both {
		group = id(g)
	}
	return user, group
}

func (c *serviceCheck) resources(s types.ServiceConfig) *manifestv1.Resources {
	r := &manifestv1.Resources{MilliCpu: DefaultMilliCPU, MemoryBytes: DefaultMemoryBytes, EphemeralBytes: DefaultEphemeralBytes}
	cpus, memory, at := s.CPUS, s.MemLimit, ""
	if s.Deploy != nil && s.Deploy.Resources.Limits != nil {
		cpus = max(cpus, float32(s.Deploy.Resources.Limits.NanoCPUs))
		memory = max(memory, s.Deploy.Resources.Limits.MemoryBytes)
		at = "deploy"
	}
	if s.Deploy != nil && s.Deploy.Resources.Reservations != nil {
		if cpus == 0 {
			cpus = float32(s.Deploy.Resources.Reservations.NanoCPUs)
		}
		if memory == 0 {
			memory = s.Deploy.Resources.Reservations.MemoryBytes
		}
		at = "deploy"
	}
	if memory == 0 {
		memory = s.MemReservation
	}
	if cpus != 0 {
		n, ok := milliCPU(cpus)
		if !ok {
			c.problem(fmt.Sprintf("%v CPUs can't be reserved", cpus), fmt.Sprintf("write a number from 0.001 to %d; %s", manifest.MaxMilliCPU/1000, resourcesHint), cmpOr(at, "cpus"))
		}
		r.MilliCpu = n
	}
	if memory != 0 {
		if memory < manifest.MinMemoryBytes || memory > manifest.MaxBytes {
			c.problem(fmt.Sprintf("%d bytes of memory can't be reserved", memory), "write a size from 4MiB to 1PiB, as in 512m; "+resourcesHint, cmpOr(at, "mem_limit"))
		}
		r.MemoryBytes = uint64(max(0, memory))
	}
	if n, ok := c.f.rootSize[c.name]; ok {
		r.EphemeralBytes = n
	}
	return r
}

// milliCPU rounds up to thousandths, from the shortest decimal that the loader's 32-bit number stands for.
func milliCPU(cpus float32) (uint64, bool) {
	exact, ok := new(big.Rat).SetString(strconv.FormatFloat(float64(cpus), 'f', -1, 32))
	if !ok || exact.Sign() <= 0 {
		return 0, false
	}
	exact.Mul(exact, big.NewRat(1000, 1))
	q, r := new(big.Int).QuoRem(exact.Num(), exact.Denom(), new(big.Int))
	if r.Sign() > 0 {
		q.Add(q, big.NewInt(1))
	}
	return q.Uint64(), q.IsUint64() && q.Uint64() <= manifest.MaxMilliCPU
}

// httpOf decides which service answers http: the one that x-apocryph names, or the only published TCP port.
func (f *File) httpOf() (*manifestv1.Http, Problems) {
	type candidate struct {
		service string
		port    uint32
	}
	var published, open []candidate
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
	h := &manifestv1.Http{}
	if f.http != nil {
		h.Service, h.Port, h.Host = f.http.service, f.http.port, f.http.host
		ofService := func(c candidate) bool { return c.service != h.Service }
		published, open = slices.DeleteFunc(published, ofService), slices.DeleteFunc(open, ofService)
		if len(published) == 0 {
			published = open
		}
	}
	published = slices.Compact(published)
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
	return h, nil
}

func isLoopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "localhost" || (err == nil && a.IsLoopback())
}
