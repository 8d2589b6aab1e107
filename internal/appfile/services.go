// SPDX-License-Identifier: Apache-2.0

package appfile

import (
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

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
	// defaultTmpfsBytes is for directories in memory.
	defaultTmpfsBytes = 64 << 20
	resourcesHint     = "see the default sizes in docs/guide/compose.md"
	maxGrace          = time.Hour
	maxID             = 65535
	// maxImageName is of name, tag and digest together.
	maxImageName = 512
)

// serviceCheck builds one service's part of the manifest and collects what is wrong with it.
type serviceCheck struct {
	f    *File
	name string
	// http says that the service answers http.
	http bool
	// tell says that notes are wanted: they are the same each time.
	tell     bool
	problems Problems
}

func (c *serviceCheck) note(message string, below ...string) {
	if c.tell {
		c.f.note(c.path(below...), message)
	}
}

func (c *serviceCheck) problem(message, remedy string, below ...string) {
	c.problems = append(c.problems, c.f.doc.problem(append([]string{"services", c.name}, below...), message, remedy))
}

// checkServices checks what the rules can't: values, and how services and volumes fit together.
func (f *File) checkServices() Problems {
	var found Problems
	if len(f.project.Services) == 0 {
		return Problems{f.nothingRuns()}
	}
	h, httpProblems := f.httpOf()
	found = append(found, f.nameNetworks()...)
	for _, name := range f.serviceNames() {
		c := serviceCheck{f: f, name: name, http: h != nil && h.Service == f.label(name), tell: true}
		c.build(nil)
		found = append(found, c.problems...)
	}
	found = append(found, f.checkVolumeNames()...)
	if len(found) == 0 {
		found = httpProblems
		f.tellPorts(h)
	}
	return found
}

func (f *File) nothingRuns() Problem {
	for _, name := range slices.Sorted(maps.Keys(f.project.DisabledServices)) {
		for _, profile := range f.project.DisabledServices[name].Profiles {
			return f.doc.problem([]string{"services"}, "there is no service to run: all have profiles, and none is on", "name one: --profile "+profile)
		}
	}
	return f.doc.problem([]string{"services"}, "there is no service to run", "write at least one service with an image, and without profiles")
}

func (f *File) serviceNames() []string { return slices.Sorted(maps.Keys(f.project.Services)) }

// label is a service's name in the manifest.
func (f *File) label(name string) string { return cmpOr(f.labels[name], name) }

// nameServices gives services whose names can't be host names one that can, and writes that where others name them.
func (f *File) nameServices() Problems {
	f.labels = map[string]string{}
	var found Problems
	for _, name := range f.serviceNames() {
		if manifest.LooksLikeLabel(name) {
			continue
		}
		label := cmpOr(Label(name), "web")
		_, taken := f.project.Services[label]
		taken = taken || slices.ContainsFunc(f.serviceNames(), func(other string) bool { return f.labels[other] == label })
		f.labels[name] = label
		path := []string{"services", name}
		var changed, doubtful []string
		isSame := strings.EqualFold(label, name)
		if !isSame && !taken {
			changed, doubtful = f.rename(name, name, label)
		}
		const what = "the service's name is its host name, which has only lower-case letters, digits and inner hyphens, at most 63"
		remedy := fmt.Sprintf("call it %s, here and where others name it", label)
		switch {
		case taken:
			found = append(found, f.doc.problem(path, what, remedy))
		case len(doubtful) > 0:
			found = append(found, f.doc.problem(path, fmt.Sprintf("%s; whether it is meant in %s is not certain", what, listText(doubtful)), remedy))
		case len(changed) > 0:
			f.note(path, fmt.Sprintf("a host name has no such characters: others reach it as %s, and so it is called in %s", label, listText(changed)))
		case !isSame:
			f.note(path, fmt.Sprintf("a host name has no such characters: others reach it as %s; if an image looks for %s by itself, name %s in that service's variables", label, name, label))
		}
	}
	f.renameAliases()
	return found
}

// renameAliases writes a service's host name where others call it by a further name that can't be one.
func (f *File) renameAliases() {
	for _, service := range f.serviceNames() {
		s := f.project.Services[service]
		names := []string{s.ContainerName}
		for _, n := range slices.Sorted(maps.Keys(s.Networks)) {
			if s.Networks[n] != nil {
				names = append(names, s.Networks[n].Aliases...)
			}
		}
		for _, other := range f.serviceNames() {
			for _, link := range f.project.Services[other].Links {
				if target, alias, ok := strings.Cut(link, ":"); ok && target == service {
					names = append(names, alias)
				}
			}
		}
		for _, name := range names {
			_, isHost := hostName(name)
			if _, isService := f.project.Services[name]; name == "" || isHost || isService {
				continue
			}
			if changed, _ := f.rename(service, name, f.label(service)); len(changed) > 0 {
				f.note([]string{"services", service}, fmt.Sprintf("%s can't be a host name: %s is written in its place in %s", name, f.label(service), listText(changed)))
			}
		}
	}
}

// build makes all of the service but its image's digest and its env's salts. Without an image, what depends on it is left out.
func (c *serviceCheck) build(img *Image) *manifestv1.Service {
	s := c.f.project.Services[c.name]
	switch {
	case s.Image == "" && s.Build != nil:
		c.problem("not supported: building images", "build it (docker build -t NAME .), then write image: NAME beside build", "build")
	case s.Image == "":
		c.problem("the service has no image", "write image: NAME")
	}
	c.checkImage(s.Image)
	st := c.f.storage[c.name]
	m := &manifestv1.Service{
		Name: c.f.label(c.name), Image: s.Image, WorkingDir: s.WorkingDir, ReadOnly: s.ReadOnly,
		Env: c.env(), Ports: c.ports(s), Mounts: st.mounts, Files: st.files, MemoryMounts: st.memory, Resources: c.resources(s),
		SharedMemoryBytes: uint64(max(0, s.ShmSize)), DependsOn: c.dependencies(s), Health: c.health(s, img), Networks: c.attachments(s),
		Init: s.Init != nil && *s.Init, Hostname: c.hostname(s), Hosts: c.hosts(s),
	}
	m.Entrypoint, m.Command = c.program(s, img)
	m.User, m.Group, m.Groups = c.identity(s, img)
	m.Restart, m.RestartAttempts = c.restart(s)
	m.StopGraceSeconds = c.grace(s)
	c.checkCopies()
	if c.http && s.NetworkMode == "none" {
		c.problem("the service answers http, and is to have no network", "remove it, or say that another service answers: x-apocryph: {http: {service: NAME, port: NUMBER}}", "network_mode")
	}
	c.stopSignal(s, img)
	c.checkNames(s)
	if s.WorkingDir != "" && !path.IsAbs(s.WorkingDir) {
		c.problem("the path is not absolute", "begin it with /", "working_dir")
	}
	return m
}

// checkImage refuses what no registry can have, which would be found out only when it is asked.
func (c *serviceCheck) checkImage(name string) {
	const part = `[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*`
	isImage := regexp.MustCompile(`^(?:[A-Za-z0-9.-]+(?::[0-9]+)?/)?` + part + `(?:/` + part + `)*(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(?:@sha256:[0-9a-f]{64})?$`).MatchString
	base, _, _ := strings.Cut(name, ":")
	switch {
	case len(name) > maxImageName:
		c.problem(fmt.Sprintf("an image's name of %d bytes, at most %d", len(name), maxImageName), "write NAME:TAG, as in nginx:1.29", "image")
	case name == "" || isImage(name):
	case strings.HasSuffix(name, ":"):
		c.problem(fmt.Sprintf("the tag of %s is empty", name), "write one after the colon, or remove the colon", "image")
	case isImage(strings.ToLower(name)):
		c.problem(fmt.Sprintf("%s is no image's name, which has no capitals", name), "write "+strings.Replace(name, base, strings.ToLower(base), 1), "image")
	default:
		c.problem(fmt.Sprintf("%.200q is no image's name", name), "write NAME:TAG, as in nginx:1.29", "image")
	}
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
