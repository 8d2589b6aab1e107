// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"cmp"
	"fmt"
	"regexp"
	"strings"
	"time"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/apocryph/apocryph/internal/fault"
	manifestv1 "github.com/apocryph/apocryph/internal/gen/manifestv1"
	"github.com/apocryph/apocryph/internal/usage"
)

// Limits of what one app may ask for. A provider may allow less.
const (
	MaxServices       = 32
	MaxVolumes        = 32
	MaxRemovedVolumes = 64
	MaxMilliCPU       = 1 << 20
	MaxBytes          = 1 << 50
	MinMemoryBytes    = 4 << 20
	MinEphemeralBytes = 1 << 20
	MinVolumeBytes    = 8 << 20
	MaxEnvValue       = 32 << 10
	MaxNetworks       = 16
	MaxFiles          = 64
	MaxFileBytes      = 128 << 10
	MaxMounts         = 64  // of one service: volumes, files and directories in memory
	MaxPorts          = 128 // of one service
	MaxAliases        = 16  // of one service: each is a name of the cluster's
	MaxAppAliases     = 64  // of all services of one app
	MaxHosts          = 32  // of one service
	MaxHealthTime     = 24 * time.Hour
	MaxRestarts       = 1000
	MaxExtended       = 16      // kinds of extended resources of one service
	MaxUnits          = 1024    // of one of them
	MaxEgress         = 1 << 40 // bytes per second
	MaxWebhook        = 2 << 10
)

// LooksLikeLabel reports whether s is a DNS label of lower-case letters, digits and inner hyphens, 1 to 63 long.
func LooksLikeLabel(s string) bool { return regexp.MustCompile(labelPattern).MatchString(s) }

const (
	labelPattern  = `^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`
	digestPattern = `^sha256:[0-9a-f]{64}$`
	envPattern    = `^[A-Za-z_][A-Za-z0-9_.-]*$`
)

// Validate checks every rule of the canonical form and returns the first that is broken, as ErrInvalid.
func Validate(m *manifestv1.Manifest) error {
	if m == nil {
		return fmt.Errorf("empty: %w", ErrInvalid)
	}
	for _, check := range []func(*manifestv1.Manifest) error{
		checkKnown, checkName, checkVolumes, checkRemoved, checkNetworks, checkFiles, checkServices, checkAliases, checkOrder, checkHTTP, checkEgress, checkNotify,
	} {
		if err := check(m); err != nil {
			return err
		}
	}
	return nil
}

// KeptLogBytes is how much of each service's log the provider keeps. It is part of what a service reserves, and so of every price.
const KeptLogBytes = 1 << 20

// Reserved returns what one replica of a service reserves that ordered r: that, and room for the log that is kept of it.
func Reserved(r *manifestv1.Resources) usage.Rate {
	reserved := usage.Rate{
		MilliCPU:       int64(r.GetMilliCpu()),
		MemoryBytes:    int64(r.GetMemoryBytes()),
		EphemeralBytes: int64(r.GetEphemeralBytes()) + KeptLogBytes,
	}
	for _, u := range r.GetExtended() {
		reserved = reserved.Add(usage.Rate{Extended: map[string]int64{u.GetResource(): int64(u.GetCount())}})
	}
	return reserved
}

// Rate returns what the running app reserves (one replica of each service) and what its volumes do.
func Rate(m *manifestv1.Manifest) (pods, volumes usage.Rate) {
	for _, s := range m.GetServices() {
		pods = pods.Add(Reserved(s.GetResources()))
	}
	for _, v := range m.GetVolumes() {
		volumes = volumes.Add(usage.Rate{StorageBytes: int64(v.GetSizeBytes())})
	}
	return pods, volumes
}

// Ordered returns what the manifest itself names of the same: what a channel's cap has to pay for at least. What the provider adds is part
// of the cap that it offers, but no order may be refused for what came to be added after its channel was opened.
func Ordered(m *manifestv1.Manifest) (pods, volumes usage.Rate) {
	pods, volumes = Rate(m)
	pods.EphemeralBytes -= int64(len(m.GetServices())) * KeptLogBytes
	return pods, volumes
}

func invalid(format string, args ...any) error {
	return fmt.Errorf("%s: %w", fmt.Sprintf(format, args...), ErrInvalid)
}

func checkKnown(m *manifestv1.Manifest) error {
	if hasUnknown(m.ProtoReflect()) {
		return fault.Hint(invalid("a field that this version does not know"), "the software that wrote it is newer than the one that refuses it: update that, or leave out what is new")
	}
	return nil
}

func hasUnknown(m protoreflect.Message) bool {
	if len(m.GetUnknown()) > 0 {
		return true
	}
	found := false
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case f.Message() == nil:
		case f.IsList():
			for i := range v.List().Len() {
				found = found || hasUnknown(v.List().Get(i).Message())
			}
		default:
			found = found || hasUnknown(v.Message())
		}
		return !found
	})
	return found
}

func checkName(m *manifestv1.Manifest) error {
	if !LooksLikeLabel(m.Name) {
		return invalid("name %q is not a DNS label", m.Name)
	}
	return nil
}

// checkRemoved: what is deleted is named once, and is not mounted.
func checkRemoved(m *manifestv1.Manifest) error {
	if len(m.RemovedVolumes) > MaxRemovedVolumes {
		return invalid("%d volumes to delete, at most %d", len(m.RemovedVolumes), MaxRemovedVolumes)
	}
	for i, name := range m.RemovedVolumes {
		if !LooksLikeLabel(name) {
			return invalid("volume name %q is not a DNS label", name)
		}
		if i > 0 && m.RemovedVolumes[i-1] >= name {
			return invalid("volumes to delete are not sorted or not unique")
		}
		for _, v := range m.Volumes {
			if v.GetName() == name {
				return invalid("volume %s is both ordered and to be deleted", name)
			}
		}
	}
	return nil
}

func checkVolumes(m *manifestv1.Manifest) error {
	if len(m.Volumes) > MaxVolumes {
		return invalid("%d volumes, at most %d", len(m.Volumes), MaxVolumes)
	}
	for _, v := range m.Volumes {
		if !LooksLikeLabel(v.GetName()) {
			return invalid("volume name %q is not a DNS label", v.GetName())
		}
		if v.SizeBytes < MinVolumeBytes || v.SizeBytes > MaxBytes {
			return invalid("volume %s: size %d is not within %d and %d bytes", v.Name, v.SizeBytes, MinVolumeBytes, MaxBytes)
		}
	}
	return sorted("volumes", m.Volumes, func(a, b *manifestv1.Volume) int { return cmp.Compare(a.Name, b.Name) })
}

func checkServices(m *manifestv1.Manifest) error {
	if n := len(m.Services); n == 0 || n > MaxServices {
		return invalid("%d services, want 1 to %d", n, MaxServices)
	}
	for _, s := range m.Services {
		if !LooksLikeLabel(s.GetName()) {
			return invalid("service name %q is not a DNS label", s.GetName())
		}
		if !regexp.MustCompile(digestPattern).MatchString(s.Digest) {
			return invalid("service %s: image digest %q is not sha256 and 64 hex digits", s.Name, s.Digest)
		}
		if s.StopGraceSeconds > 3600 {
			return invalid("service %s: stop grace of %d s, at most 3600", s.Name, s.StopGraceSeconds)
		}
		if s.GetUser() < 0 || s.GetGroup() < 0 || s.GetUser() > 65535 || s.GetGroup() > 65535 || (s.Group != nil && s.User == nil) {
			return invalid("service %s: user and group must be 0 to 65535, and a group needs a user", s.Name)
		}
		for _, check := range []func(*manifestv1.Manifest, *manifestv1.Service) error{
			checkResources, checkEnv, checkPorts, checkMounts, checkProcess, checkHealth, checkAttachments, checkHosts,
		} {
			if err := check(m, s); err != nil {
				return err
			}
		}
	}
	return sorted("services", m.Services, func(a, b *manifestv1.Service) int { return cmp.Compare(a.Name, b.Name) })
}

func checkResources(_ *manifestv1.Manifest, s *manifestv1.Service) error {
	r := s.Resources
	switch {
	case r == nil:
		return invalid("service %s: resources are missing", s.Name)
	case r.MilliCpu == 0 || r.MilliCpu > MaxMilliCPU:
		return invalid("service %s: %d milli-vCPU, want 1 to %d", s.Name, r.MilliCpu, MaxMilliCPU)
	case r.MemoryBytes < MinMemoryBytes || r.MemoryBytes > MaxBytes:
		return invalid("service %s: %d bytes of memory, want %d to %d", s.Name, r.MemoryBytes, MinMemoryBytes, int64(MaxBytes))
	case r.EphemeralBytes < MinEphemeralBytes || r.EphemeralBytes > MaxBytes:
		return invalid("service %s: %d bytes of ephemeral storage, want %d to %d", s.Name, r.EphemeralBytes, MinEphemeralBytes, int64(MaxBytes))
	case len(r.Extended) > MaxExtended:
		return invalid("service %s: %d kinds of extended resources, at most %d", s.Name, len(r.Extended), MaxExtended)
	}
	for _, u := range r.Extended {
		if !usage.IsExtended(u.GetResource()) || u.Count == 0 || u.Count > MaxUnits {
			return invalid("service %s: %d of resource %q, want 1 to %d of a name as in nvidia.com/gpu", s.Name, u.GetCount(), u.GetResource(), MaxUnits)
		}
	}
	return sorted("extended resources of "+s.Name, r.Extended, func(a, b *manifestv1.Units) int { return cmp.Compare(a.Resource, b.Resource) })
}

func checkEgress(m *manifestv1.Manifest) error {
	if m.EgressBytesPerSecond > MaxEgress {
		return invalid("%d bytes of egress per second, at most %d", m.EgressBytesPerSecond, int64(MaxEgress))
	}
	return nil
}

func checkNotify(m *manifestv1.Manifest) error {
	n := m.Notify
	if n == nil {
		return nil
	}
	if _, err := ParseWebhook(n.Webhook); err != nil {
		return invalid("webhook: %v", err)
	}
	if len(n.Salt) != saltSize || len(n.Commitment) != 0 {
		return invalid("the webhook needs a salt of %d bytes and no commitment", saltSize)
	}
	return nil
}

func checkEnv(_ *manifestv1.Manifest, s *manifestv1.Service) error {
	for _, e := range s.Env {
		switch {
		case !regexp.MustCompile(envPattern).MatchString(e.GetName()):
			return invalid("service %s: env name %q", s.Name, e.GetName())
		case len(e.Value) > MaxEnvValue || strings.ContainsRune(e.Value, 0):
			return invalid("service %s: env %s is too long or holds a zero byte", s.Name, e.Name)
		case len(e.Salt) != saltSize || len(e.Commitment) != 0:
			return invalid("service %s: env %s needs a salt of %d bytes and no commitment", s.Name, e.Name, saltSize)
		}
	}
	return sorted("env of "+s.Name, s.Env, func(a, b *manifestv1.Env) int { return cmp.Compare(a.Name, b.Name) })
}

func checkPorts(_ *manifestv1.Manifest, s *manifestv1.Service) error {
	if len(s.Ports) > MaxPorts {
		return invalid("service %s: %d ports, at most %d", s.Name, len(s.Ports), MaxPorts)
	}
	for _, p := range s.Ports {
		if n := p.GetNumber(); n == 0 || n > 65535 || (p.Protocol != "tcp" && p.Protocol != "udp") {
			return invalid("service %s: port %d/%s", s.Name, n, p.GetProtocol())
		}
	}
	return sorted("ports of "+s.Name, s.Ports, func(a, b *manifestv1.Port) int {
		return cmp.Or(cmp.Compare(a.Number, b.Number), cmp.Compare(a.Protocol, b.Protocol))
	})
}

func checkHTTP(m *manifestv1.Manifest) error {
	if m.Http == nil {
		return nil
	}
	if m.Http.Host != "" && !LooksLikeLabel(m.Http.Host) {
		return invalid("host %q is not a DNS label", m.Http.Host)
	}
	for _, s := range m.Services {
		if s.Name != m.Http.Service {
			continue
		}
		if s.Restart != manifestv1.Restart_RESTART_UNSPECIFIED {
			return invalid("http: service %q ends, and is not started again", s.Name)
		}
		for _, p := range s.Ports {
			if p.Number == m.Http.Port && p.Protocol == "tcp" {
				return nil
			}
		}
	}
	return invalid("http: service %q has no tcp port %d", m.Http.Service, m.Http.Port)
}

// sorted checks strict order, which also rules out duplicates.
func sorted[T any](what string, list []T, order func(a, b T) int) error {
	for i := 1; i < len(list); i++ {
		if order(list[i-1], list[i]) >= 0 {
			return invalid("%s are not sorted or not unique", what)
		}
	}
	return nil
}
