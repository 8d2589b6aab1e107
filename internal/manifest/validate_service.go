// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"cmp"
	"net/netip"
	"path"
	"slices"
	"strings"
	"time"

	manifestv1 "github.com/apocryph/apocryph/internal/gen/manifestv1"
)

const (
	maxID         = 65535
	minMountBytes = 4 << 10
	maxHostName   = 253
)

// Signals are those that a service can ask to be stopped by.
func Signals() []string {
	return []string{"SIGHUP", "SIGINT", "SIGKILL", "SIGQUIT", "SIGTERM", "SIGUSR1", "SIGUSR2", "SIGWINCH"}
}

// IsPath reports whether something can be mounted at p: absolute, clean, and not the root.
func IsPath(p string) bool {
	return strings.HasPrefix(p, "/") && path.Clean(p) == p && p != "/" && !strings.ContainsAny(p, ":\x00")
}

func checkNetworks(m *manifestv1.Manifest) error {
	if len(m.Networks) > MaxNetworks {
		return invalid("%d networks, at most %d", len(m.Networks), MaxNetworks)
	}
	for _, n := range m.Networks {
		if !LooksLikeLabel(n.GetName()) {
			return invalid("network name %q is not a DNS label", n.GetName())
		}
	}
	return sorted("networks", m.Networks, func(a, b *manifestv1.Network) int { return cmp.Compare(a.Name, b.Name) })
}

func checkFiles(m *manifestv1.Manifest) error {
	if len(m.Files) > MaxFiles {
		return invalid("%d files, at most %d", len(m.Files), MaxFiles)
	}
	for _, f := range m.Files {
		switch {
		case !LooksLikeLabel(f.GetName()):
			return invalid("file name %q is not a DNS label", f.GetName())
		case len(f.Content) > MaxFileBytes:
			return invalid("file %s has %d bytes, at most %d", f.Name, len(f.Content), MaxFileBytes)
		case len(f.Salt) != saltSize || len(f.Commitment) != 0:
			return invalid("file %s needs a salt of %d bytes and no commitment", f.Name, saltSize)
		}
	}
	return sorted("files", m.Files, func(a, b *manifestv1.File) int { return cmp.Compare(a.Name, b.Name) })
}

// checkMounts makes sure that nothing is mounted twice at one path, whatever it is.
func checkMounts(m *manifestv1.Manifest, s *manifestv1.Service) error {
	var paths []string
	for _, mt := range s.Mounts {
		if !slices.ContainsFunc(m.Volumes, func(v *manifestv1.Volume) bool { return v.Name == mt.Volume }) {
			return invalid("service %s: volume %q is not in the manifest", s.Name, mt.Volume)
		}
		if p := mt.Subpath; p != "" && (path.IsAbs(p) || path.Clean(p) != p || p == "." || p == ".." || strings.HasPrefix(p, "../") || strings.ContainsRune(p, 0)) {
			return invalid("service %s: subpath %q is not relative and clean", s.Name, p)
		}
		paths = append(paths, mt.GetPath())
	}
	for _, f := range s.Files {
		if !slices.ContainsFunc(m.Files, func(v *manifestv1.File) bool { return v.Name == f.File }) {
			return invalid("service %s: file %q is not in the manifest", s.Name, f.File)
		}
		if f.Mode == 0 || f.Mode > 0o777 {
			return invalid("service %s: mode %o of file %s is not within 0001 and 0777", s.Name, f.Mode, f.File)
		}
		paths = append(paths, f.GetPath())
	}
	memory := s.Resources.GetMemoryBytes()
	inMemory := min(s.SharedMemoryBytes, memory) // more than that is refused below, and must not overflow
	for _, t := range s.MemoryMounts {
		if t.SizeBytes < minMountBytes || t.SizeBytes > memory {
			return invalid("service %s: %d bytes in memory at %s are not within 4 KiB and the service's memory", s.Name, t.SizeBytes, t.Path)
		}
		inMemory += t.SizeBytes // at most MaxBytes each, so as many as may be don't overflow
		paths = append(paths, t.GetPath())
	}
	if n := s.SharedMemoryBytes; n != 0 && (n < minMountBytes || n > memory) {
		return invalid("service %s: %d bytes of shared memory are not within 4 KiB and the service's memory", s.Name, n)
	} else if n != 0 {
		paths = append(paths, "/dev/shm")
	}
	// What is in memory outlives a container that ends, so one that may hold more than there is would never start again.
	if inMemory > memory {
		return invalid("service %s: %d bytes in memory and its shared memory, more than its memory of %d", s.Name, inMemory, memory)
	}
	if len(paths) > MaxMounts {
		return invalid("service %s: %d mounts, at most %d", s.Name, len(paths), MaxMounts)
	}
	for _, p := range paths {
		if !IsPath(p) {
			return invalid("service %s: mount path %q is not an absolute clean path", s.Name, p)
		}
	}
	slices.Sort(paths)
	if len(slices.Compact(slices.Clone(paths))) < len(paths) {
		return invalid("service %s: two mounts at one path", s.Name)
	}
	return cmp.Or(
		sorted("mounts of "+s.Name, s.Mounts, func(a, b *manifestv1.Mount) int { return cmp.Compare(a.Path, b.Path) }),
		sorted("files of "+s.Name, s.Files, func(a, b *manifestv1.FileMount) int { return cmp.Compare(a.Path, b.Path) }),
		sorted("memory mounts of "+s.Name, s.MemoryMounts, func(a, b *manifestv1.MemoryMount) int { return cmp.Compare(a.Path, b.Path) }),
	)
}

func checkProcess(_ *manifestv1.Manifest, s *manifestv1.Service) error {
	switch {
	case s.Restart < 0 || s.Restart > manifestv1.Restart_RESTART_ON_FAILURE:
		return invalid("service %s: restart %d", s.Name, s.Restart)
	case s.RestartAttempts > MaxRestarts || (s.RestartAttempts > 0 && s.Restart != manifestv1.Restart_RESTART_ON_FAILURE):
		return invalid("service %s: %d restarts, at most %d, and only on failure", s.Name, s.RestartAttempts, MaxRestarts)
	case s.StopSignal != "" && !slices.Contains(Signals(), s.StopSignal):
		return invalid("service %s: stop signal %q", s.Name, s.StopSignal)
	case s.Hostname != "" && !LooksLikeLabel(s.Hostname):
		return invalid("service %s: host name %q is not a DNS label", s.Name, s.Hostname)
	}
	for _, g := range s.Groups {
		if g < 0 || g > maxID {
			return invalid("service %s: group %d is not within 0 and %d", s.Name, g, maxID)
		}
	}
	return sorted("groups of "+s.Name, s.Groups, cmp.Compare)
}

func checkHealth(_ *manifestv1.Manifest, s *manifestv1.Service) error {
	h := s.Health
	if h == nil {
		return nil
	}
	day := uint64(MaxHealthTime / time.Millisecond)
	within := func(ms, least uint64) bool { return ms >= least && ms <= day }
	switch {
	case len(h.Command) == 0 || h.Command[0] == "":
		return invalid("service %s: a health check without a command", s.Name)
	case !within(h.IntervalMs, 1) || !within(h.TimeoutMs, 1) || !within(h.StartPeriodMs, 0):
		return invalid("service %s: a time of the health check is not within a millisecond and a day", s.Name)
	case h.Retries == 0 || h.Retries > MaxRestarts:
		return invalid("service %s: %d retries of the health check, want 1 to %d", s.Name, h.Retries, MaxRestarts)
	}
	return nil
}

func checkAttachments(m *manifestv1.Manifest, s *manifestv1.Service) error {
	for _, a := range s.Networks {
		if !slices.ContainsFunc(m.Networks, func(n *manifestv1.Network) bool { return n.Name == a.Network }) {
			return invalid("service %s: network %q is not in the manifest", s.Name, a.Network)
		}
		for _, alias := range a.Aliases {
			if !LooksLikeLabel(alias) {
				return invalid("service %s: alias %q is not a DNS label", s.Name, alias)
			}
			if alias != s.Name && slices.ContainsFunc(m.Services, func(o *manifestv1.Service) bool { return o.Name == alias }) {
				return invalid("service %s: alias %q is another service's name", s.Name, alias)
			}
		}
		if err := sorted("aliases of "+s.Name, a.Aliases, strings.Compare); err != nil {
			return err
		}
	}
	return sorted("networks of "+s.Name, s.Networks, func(a, b *manifestv1.Attachment) int { return cmp.Compare(a.Network, b.Network) })
}

// checkAliases bounds the names of each service, on however many networks it has them, and those of all.
func checkAliases(m *manifestv1.Manifest) error {
	total := 0
	for _, s := range m.Services {
		names := map[string]bool{}
		for _, a := range s.Networks {
			for _, alias := range a.Aliases {
				names[alias] = true
			}
		}
		if len(names) > MaxAliases {
			return invalid("service %s: %d aliases, at most %d", s.Name, len(names), MaxAliases)
		}
		total += len(names)
	}
	if total > MaxAppAliases {
		return invalid("%d aliases, at most %d", total, MaxAppAliases)
	}
	return nil
}

// isHostName reports whether name is a DNS name of labels, in either case: both mean the same.
func isHostName(name string) bool {
	labels := strings.Split(strings.ToLower(name), ".")
	return len(name) <= maxHostName && !slices.ContainsFunc(labels, func(l string) bool { return !LooksLikeLabel(l) })
}

func checkHosts(_ *manifestv1.Manifest, s *manifestv1.Service) error {
	if len(s.Hosts) > MaxHosts {
		return invalid("service %s: %d hosts, at most %d", s.Name, len(s.Hosts), MaxHosts)
	}
	for _, h := range s.Hosts {
		if a, err := netip.ParseAddr(h.GetAddress()); err != nil || a.Zone() != "" || a.String() != h.Address || !isHostName(h.Name) {
			return invalid("service %s: host %q at %q", s.Name, h.GetName(), h.GetAddress())
		}
	}
	return sorted("hosts of "+s.Name, s.Hosts, func(a, b *manifestv1.Host) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Address, b.Address))
	})
}

// checkOrder makes sure that services can start in the order that their dependencies ask for.
func checkOrder(m *manifestv1.Manifest) error {
	waits := map[string][]*manifestv1.Dependency{}
	restart := map[string]manifestv1.Restart{}
	for _, s := range m.Services {
		waits[s.Name], restart[s.Name] = s.DependsOn, s.Restart
	}
	for _, s := range m.Services {
		for _, d := range s.DependsOn {
			ends, there := restart[d.GetService()]
			switch {
			case !there:
				return invalid("service %s: it depends on %q, which is not in the manifest", s.Name, d.GetService())
			case d.Condition < 0 || d.Condition > manifestv1.Condition_CONDITION_COMPLETED:
				return invalid("service %s: condition %d", s.Name, d.Condition)
			case d.Condition == manifestv1.Condition_CONDITION_COMPLETED && ends == manifestv1.Restart_RESTART_UNSPECIFIED:
				return invalid("service %s: it waits for the end of service %s, which is always started again", s.Name, d.Service)
			}
		}
		if err := sorted("dependencies of "+s.Name, s.DependsOn, func(a, b *manifestv1.Dependency) int { return cmp.Compare(a.Service, b.Service) }); err != nil {
			return err
		}
		if reaches(waits, s.Name, s.Name, map[string]bool{}) {
			return invalid("service %s depends on itself", s.Name)
		}
	}
	return nil
}

func reaches(waits map[string][]*manifestv1.Dependency, from, to string, seen map[string]bool) bool {
	for _, d := range waits[from] {
		if d.Service == to {
			return true
		}
		if !seen[d.Service] {
			seen[d.Service] = true
			if reaches(waits, d.Service, to, seen) {
				return true
			}
		}
	}
	return false
}
