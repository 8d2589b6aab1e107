// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/apocryph/apocryph/internal/appfile"
	manifestv1 "github.com/apocryph/apocryph/internal/gen/manifestv1"
	"github.com/apocryph/apocryph/internal/manifest"
)

// planView is what deploying a file would make.
type planView struct {
	App      string        `json:"app"`
	Services []plannedView `json:"services"`
	Volumes  []sizedView   `json:"volumes,omitempty"`
	Networks []networkView `json:"networks,omitempty"`
	Files    []fileView    `json:"files,omitempty"`
	HTTP     *httpView     `json:"http,omitempty"`
	// Notify is the host that is told what becomes of the app. The rest of its URL may be a secret.
	Notify string `json:"notify,omitempty"`
	// Reserved is what each hour of the app running is paid for.
	Reserved reservedView `json:"reserved"`
}

type plannedView struct {
	Name     string `json:"name"`
	Image    string `json:"image"`
	MilliCPU uint64 `json:"milli_cpu"`
	Memory   uint64 `json:"memory_bytes"`
	// Stated says that the memory is what the file says, and not the default.
	Stated bool   `json:"memory_stated"`
	Disk   uint64 `json:"ephemeral_bytes"`
	// Extended are pieces of extended resources by name.
	Extended map[string]uint64 `json:"extended,omitempty"`
	Restart  string            `json:"restart"`
	After    string            `json:"after,omitempty"`
	Health   string            `json:"health,omitempty"`
	Ports    []string          `json:"ports,omitempty"`
	Networks []string          `json:"networks,omitempty"`
	Mounts   []string          `json:"mounts,omitempty"`
}

type sizedView struct {
	Name string `json:"name"`
	Size uint64 `json:"size_bytes"`
}

type networkView struct {
	Name     string `json:"name"`
	Internal bool   `json:"internal,omitempty"`
}

type fileView struct {
	Name   string `json:"name"`
	Source string `json:"source"`
	Size   int    `json:"size_bytes"`
}

type httpView struct {
	Service string `json:"service"`
	Port    uint32 `json:"port"`
	// Host is the first part of the app's host, where the file says it; the provider's domain follows.
	Host string `json:"host,omitempty"`
}

type reservedView struct {
	MilliCPU uint64 `json:"milli_cpu"`
	Memory   uint64 `json:"memory_bytes"`
	Disk     uint64 `json:"ephemeral_bytes"`
	Volumes  uint64 `json:"volume_bytes"`
	// Extended are pieces of extended resources by name.
	Extended map[string]int64 `json:"extended,omitempty"`
	// Egress is what the cap has room for besides; 0 means what the provider offers.
	Egress uint64 `json:"egress_bytes_per_second,omitempty"`
}

// webhookHost is what may be shown of where an app's publisher is told what becomes of it; empty if that is nowhere.
func webhookHost(m *manifestv1.Manifest) string {
	w, err := manifest.ParseWebhook(m.GetNotify().GetWebhook())
	if err != nil {
		return ""
	}
	return w.Host
}

func planOf(m *manifestv1.Manifest, file *appfile.File) *planView {
	v := &planView{App: m.Name, Reserved: rateOf(m), Notify: webhookHost(m)}
	stated := file.StatesMemory()
	for _, s := range m.Services {
		p := plannedOf(s)
		p.Stated = stated[s.Name]
		v.Services = append(v.Services, p)
	}
	for _, o := range m.Volumes {
		v.Volumes = append(v.Volumes, sizedView{o.Name, o.SizeBytes})
	}
	for _, n := range m.Networks {
		v.Networks = append(v.Networks, networkView{n.Name, n.Internal})
	}
	from := file.Files()
	for _, f := range m.Files {
		v.Files = append(v.Files, fileView{f.Name, from[f.Name], len(f.Content)})
	}
	if m.Http != nil {
		v.HTTP = &httpView{m.Http.Service, m.Http.Port, m.Http.Host}
	}
	return v
}

func plannedOf(s *manifestv1.Service) plannedView {
	v := plannedView{
		Name: s.Name, Image: s.Image, MilliCPU: s.Resources.MilliCpu, Memory: s.Resources.MemoryBytes, Disk: s.Resources.EphemeralBytes,
		Restart: restartText(s), After: afterText(s.DependsOn), Health: healthText(s.Health),
	}
	for _, u := range s.Resources.Extended {
		if v.Extended == nil {
			v.Extended = map[string]uint64{}
		}
		v.Extended[u.Resource] = u.Count
	}
	for _, p := range s.Ports {
		v.Ports = append(v.Ports, fmt.Sprintf("%d/%s", p.Number, p.Protocol))
	}
	for _, a := range s.Networks {
		v.Networks = append(v.Networks, strings.Join(append([]string{a.Network}, a.Aliases...), " as "))
	}
	for _, m := range s.Mounts {
		v.Mounts = append(v.Mounts, fmt.Sprintf("volume %s at %s", m.Volume, m.Path))
	}
	for _, f := range s.Files {
		v.Mounts = append(v.Mounts, fmt.Sprintf("file %s at %s", f.File, f.Path))
	}
	for _, t := range s.MemoryMounts {
		v.Mounts = append(v.Mounts, fmt.Sprintf("%s of memory at %s", bytesText(t.SizeBytes), t.Path))
	}
	if s.SharedMemoryBytes > 0 {
		v.Mounts = append(v.Mounts, fmt.Sprintf("%s of memory at /dev/shm", bytesText(s.SharedMemoryBytes)))
	}
	return v
}

// lines writes the plan, each thing by its kind.
func (v *planView) lines(line func(kind, format string, args ...any)) {
	line("app", "%s", v.App)
	for _, s := range v.Services {
		line("service", "%s of image %s: %s, %s memory%s, %s disk%s", s.Name, s.Image, cpuText(s.MilliCPU), bytesText(s.Memory), map[bool]string{false: " (nothing said)"}[s.Stated], bytesText(s.Disk), unitsText(s.Extended))
		for _, detail := range []struct{ what, text string }{
			{"runs", s.Restart}, {"after", s.After}, {"ready", s.Health}, {"ports", strings.Join(s.Ports, ", ")},
			{"networks", strings.Join(s.Networks, ", ")}, {"mounts", strings.Join(s.Mounts, ", ")},
		} {
			if detail.text != "" {
				line("", "%-8s %s", detail.what, detail.text)
			}
		}
	}
	for _, o := range v.Volumes {
		line("volume", "%s of %s", o.Name, bytesText(o.Size))
	}
	for _, n := range v.Networks {
		line("network", "%s%s", n.Name, map[bool]string{true: ", nothing outside of the app is reached from it"}[n.Internal])
	}
	for _, f := range v.Files {
		line("file", "%s from %s, %s", f.Name, f.Source, bytesText(uint64(f.Size)))
	}
	if v.HTTP != nil {
		i := slices.IndexFunc(v.Services, func(s plannedView) bool { return s.Name == v.HTTP.Service })
		host := v.HTTP.Host
		if host == "" {
			host = v.App + "-<part of its id>"
		}
		line("http", "%s answers at port %d, as %s.<the provider's domain>", v.Services[i].Name, v.HTTP.Port, host)
	}
	line("reserves", "%s, %s memory, %s disk, %s volumes%s", cpuText(v.Reserved.MilliCPU), bytesText(v.Reserved.Memory), bytesText(v.Reserved.Disk), bytesText(v.Reserved.Volumes), unitsText(v.Reserved.Extended))
	if v.Notify != "" {
		line("notifies", "a webhook at %s", v.Notify)
	}
	if v.Reserved.Egress > 0 {
		line("sends", "up to %s a second out of the cluster, on average", bytesText(v.Reserved.Egress))
	}
}

// unitsText is the end of a list of what is reserved.
func unitsText[N int64 | uint64](extended map[string]N) string {
	var text strings.Builder
	for _, name := range slices.Sorted(maps.Keys(extended)) {
		fmt.Fprintf(&text, ", %d %s", extended[name], name)
	}
	return text.String()
}

// portless says which services have no ports before anybody has looked at their images, or nothing.
func (v *planView) portless() string {
	var names []string
	for _, s := range v.Services {
		if len(s.Ports) == 0 {
			names = append(names, s.Name)
		}
	}
	if len(names) == 0 {
		return ""
	}
	return "images are looked at when the file is deployed: the ports that they expose are opened then, of " + strings.Join(names, ", ")
}

// unstated says how many services have memory by default, or nothing: too little of it is found out late.
func (v *planView) unstated() string {
	n := 0
	for _, s := range v.Services {
		if !s.Stated {
			n++
		}
	}
	switch n {
	case 0:
		return ""
	case 1:
		return fmt.Sprintf("one service states no memory: %s; set mem_limit", bytesText(appfile.DefaultMemoryBytes))
	}
	return fmt.Sprintf("%d services state no memory: %s each; set mem_limit", n, bytesText(appfile.DefaultMemoryBytes))
}
