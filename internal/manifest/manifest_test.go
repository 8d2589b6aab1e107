// SPDX-License-Identifier: Apache-2.0

package manifest_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	manifestv1 "github.com/apocryph/apocryph/internal/gen/manifestv1"
	"github.com/apocryph/apocryph/internal/manifest"
)

func valid() *manifestv1.Manifest {
	return &manifestv1.Manifest{
		Name: "shop",
		Services: []*manifestv1.Service{
			{
				Name: "db", Image: "postgres:18", Digest: "sha256:" + strings.Repeat("a", 64),
				Env:       []*manifestv1.Env{{Name: "PASSWORD", Value: "hunter2", Salt: bytes.Repeat([]byte{7}, 16)}},
				Ports:     []*manifestv1.Port{{Number: 5432, Protocol: "tcp"}},
				Mounts:    []*manifestv1.Mount{{Volume: "data", Path: "/var/lib/postgresql"}},
				Resources: &manifestv1.Resources{MilliCpu: 250, MemoryBytes: 256 << 20, EphemeralBytes: 1 << 30},
			},
			{
				Name: "migrate", Digest: "sha256:" + strings.Repeat("b", 64), Restart: manifestv1.Restart_RESTART_ON_FAILURE, RestartAttempts: 3,
				Resources: &manifestv1.Resources{MilliCpu: 100, MemoryBytes: 64 << 20, EphemeralBytes: 1 << 30},
			},
			{
				Name: "web", Digest: "sha256:" + strings.Repeat("b", 64), Command: []string{"serve"},
				Ports:     []*manifestv1.Port{{Number: 80, Protocol: "tcp"}, {Number: 443, Protocol: "tcp"}, {Number: 443, Protocol: "udp"}},
				Resources: &manifestv1.Resources{MilliCpu: 100, MemoryBytes: 64 << 20, EphemeralBytes: 1 << 30},
				DependsOn: []*manifestv1.Dependency{
					{Service: "db", Condition: manifestv1.Condition_CONDITION_HEALTHY}, {Service: "migrate", Condition: manifestv1.Condition_CONDITION_COMPLETED},
				},
				Health: &manifestv1.Health{Command: []string{"true"}, IntervalMs: 30_000, TimeoutMs: 1, Retries: 3},
				Networks: []*manifestv1.Attachment{
					{Network: "back"}, {Network: "front", Aliases: []string{"shop", "web"}},
				},
				Files:        []*manifestv1.FileMount{{File: "web-conf", Path: "/etc/web.conf", Mode: 0o444}},
				MemoryMounts: []*manifestv1.MemoryMount{{Path: "/tmp", SizeBytes: 1 << 20}}, SharedMemoryBytes: 1 << 20,
				StopSignal: "SIGINT", Groups: []int64{5, 20}, Hostname: "shop", Hosts: []*manifestv1.Host{{Name: "mail.example.com", Address: "192.0.2.1"}},
			},
		},
		Volumes:  []*manifestv1.Volume{{Name: "data", SizeBytes: 1 << 30}},
		Networks: []*manifestv1.Network{{Name: "back", Internal: true}, {Name: "front"}},
		Files:    []*manifestv1.File{{Name: "web-conf", Content: []byte("key=hunter3"), Salt: bytes.Repeat([]byte{9}, 16)}},
		Http:     &manifestv1.Http{Service: "web", Port: 80},
	}
}

func TestValidateRefuses(t *testing.T) {
	web := func(m *manifestv1.Manifest) *manifestv1.Service { return m.Services[2] }
	db := func(m *manifestv1.Manifest) *manifestv1.Service { return m.Services[0] }
	cases := map[string]func(m *manifestv1.Manifest){
		"a name that is no DNS label":      func(m *manifestv1.Manifest) { m.Name = "My Shop" },
		"no services":                      func(m *manifestv1.Manifest) { m.Services = nil },
		"a volume ordered and deleted":     func(m *manifestv1.Manifest) { m.RemovedVolumes = []string{m.Volumes[0].Name} },
		"a volume deleted twice":           func(m *manifestv1.Manifest) { m.RemovedVolumes = []string{"old", "old"} },
		"deleted volumes out of order":     func(m *manifestv1.Manifest) { m.RemovedVolumes = []string{"old", "new"} },
		"a deleted volume that is no name": func(m *manifestv1.Manifest) { m.RemovedVolumes = []string{"../x"} },
		"an image without a digest":        func(m *manifestv1.Manifest) { web(m).Digest = "latest" },
		"a digest in capitals":             func(m *manifestv1.Manifest) { web(m).Digest = "sha256:" + strings.Repeat("B", 64) },
		"services out of order":            func(m *manifestv1.Manifest) { m.Services[0], m.Services[1] = m.Services[1], m.Services[0] },
		"two services of one name":         func(m *manifestv1.Manifest) { db(m).Name = "web" },
		"missing resources":                func(m *manifestv1.Manifest) { web(m).Resources = nil },
		"no cpu":                           func(m *manifestv1.Manifest) { web(m).Resources.MilliCpu = 0 },
		"more memory than any machine":     func(m *manifestv1.Manifest) { web(m).Resources.MemoryBytes = 1 << 60 },
		"a resource without a domain": func(m *manifestv1.Manifest) {
			web(m).Resources.Extended = []*manifestv1.Units{{Resource: "gpu", Count: 1}}
		},
		"none of a resource": func(m *manifestv1.Manifest) {
			web(m).Resources.Extended = []*manifestv1.Units{{Resource: "nvidia.com/gpu"}}
		},
		"more of a resource than can be": func(m *manifestv1.Manifest) {
			web(m).Resources.Extended = []*manifestv1.Units{{Resource: "nvidia.com/gpu", Count: manifest.MaxUnits + 1}}
		},
		"a resource twice": func(m *manifestv1.Manifest) {
			web(m).Resources.Extended = []*manifestv1.Units{{Resource: "nvidia.com/gpu", Count: 1}, {Resource: "nvidia.com/gpu", Count: 1}}
		},
		"more kinds of resources than can be": func(m *manifestv1.Manifest) {
			for i := range manifest.MaxExtended + 1 {
				web(m).Resources.Extended = append(web(m).Resources.Extended, &manifestv1.Units{Resource: fmt.Sprintf("x/%02d", i), Count: 1})
			}
		},
		"more egress than any machine's": func(m *manifestv1.Manifest) { m.EgressBytesPerSecond = manifest.MaxEgress + 1 },
		"a webhook without a salt":       func(m *manifestv1.Manifest) { m.Notify = &manifestv1.Notify{Webhook: "https://a.example/"} },
		"a webhook with a commitment": func(m *manifestv1.Manifest) {
			m.Notify = &manifestv1.Notify{Webhook: "https://a.example/", Salt: make([]byte, 16), Commitment: make([]byte, 32)}
		},
		"a webhook without TLS": func(m *manifestv1.Manifest) {
			m.Notify = &manifestv1.Notify{Webhook: "http://a.example/", Salt: make([]byte, 16)}
		},
		"a webhook that is nowhere":          func(m *manifestv1.Manifest) { m.Notify = &manifestv1.Notify{} },
		"an env without a salt":              func(m *manifestv1.Manifest) { db(m).Env[0].Salt = nil },
		"an env with a commitment":           func(m *manifestv1.Manifest) { db(m).Env[0].Commitment = make([]byte, 32) },
		"an env name with a space":           func(m *manifestv1.Manifest) { db(m).Env[0].Name = "A B" },
		"a mount of a volume not there":      func(m *manifestv1.Manifest) { db(m).Mounts[0].Volume = "other" },
		"a mount with dots":                  func(m *manifestv1.Manifest) { db(m).Mounts[0].Path = "/data/../etc" },
		"a mount over the root":              func(m *manifestv1.Manifest) { db(m).Mounts[0].Path = "/" },
		"a relative mount":                   func(m *manifestv1.Manifest) { db(m).Mounts[0].Path = "data" },
		"port zero":                          func(m *manifestv1.Manifest) { web(m).Ports[0].Number = 0 },
		"the same port twice":                func(m *manifestv1.Manifest) { web(m).Ports[1] = web(m).Ports[0] },
		"an unknown protocol":                func(m *manifestv1.Manifest) { web(m).Ports[0].Protocol = "sctp" },
		"http at a port that isn't declared": func(m *manifestv1.Manifest) { m.Http.Port = 8080 },
		"http at a udp port":                 func(m *manifestv1.Manifest) { m.Http.Port = 443; web(m).Ports = web(m).Ports[2:] },
		"a host with a dot":                  func(m *manifestv1.Manifest) { m.Http.Host = "a.b" },
		"a group without a user":             func(m *manifestv1.Manifest) { web(m).Group = proto.Int64(1) },
		"a negative user":                    func(m *manifestv1.Manifest) { web(m).User = proto.Int64(-1) },
		"a volume of no size":                func(m *manifestv1.Manifest) { m.Volumes[0].SizeBytes = 0 },
		"a file without a salt":              func(m *manifestv1.Manifest) { m.Files[0].Salt = nil },
		"a file that is too large":           func(m *manifestv1.Manifest) { m.Files[0].Content = make([]byte, manifest.MaxFileBytes+1) },
		"a file that is not there":           func(m *manifestv1.Manifest) { web(m).Files[0].File = "other" },
		"a file nobody may read":             func(m *manifestv1.Manifest) { web(m).Files[0].Mode = 0 },
		"a file with a sticky bit":           func(m *manifestv1.Manifest) { web(m).Files[0].Mode = 0o1777 },
		"a file where memory is mounted":     func(m *manifestv1.Manifest) { web(m).Files[0].Path = "/tmp" },
		"memory where shared memory is":      func(m *manifestv1.Manifest) { web(m).MemoryMounts[0].Path = "/dev/shm" },
		"more in memory than there is":       func(m *manifestv1.Manifest) { web(m).MemoryMounts[0].SizeBytes = 65 << 20 },
		"more in memory all in all": func(m *manifestv1.Manifest) {
			web(m).MemoryMounts[0].SizeBytes, web(m).SharedMemoryBytes = 32<<20, 32<<20+1
		},
		"more in memory than can be counted": func(m *manifestv1.Manifest) {
			web(m).MemoryMounts[0].SizeBytes, web(m).SharedMemoryBytes = 1<<63, 1<<63
		},
		"more shared memory than there is":  func(m *manifestv1.Manifest) { web(m).SharedMemoryBytes = 65 << 20 },
		"a subpath that climbs":             func(m *manifestv1.Manifest) { db(m).Mounts[0].Subpath = "../x" },
		"an absolute subpath":               func(m *manifestv1.Manifest) { db(m).Mounts[0].Subpath = "/x" },
		"a network that is not there":       func(m *manifestv1.Manifest) { web(m).Networks[0].Network = "away" },
		"the same network twice":            func(m *manifestv1.Manifest) { web(m).Networks[1].Network = "back" },
		"an alias that is another service":  func(m *manifestv1.Manifest) { web(m).Networks[1].Aliases[0] = "db" },
		"an alias with a dot":               func(m *manifestv1.Manifest) { web(m).Networks[1].Aliases[0] = "a.b" },
		"a signal that stops nothing":       func(m *manifestv1.Manifest) { web(m).StopSignal = "SIGFOO" },
		"a group twice":                     func(m *manifestv1.Manifest) { web(m).Groups[0] = 20 },
		"a negative group":                  func(m *manifestv1.Manifest) { web(m).Groups[0] = -1 },
		"a host name with a space":          func(m *manifestv1.Manifest) { web(m).Hosts[0].Name = "a b" },
		"a host name with an empty label":   func(m *manifestv1.Manifest) { web(m).Hosts[0].Name = "a..b" },
		"a host name with a leading hyphen": func(m *manifestv1.Manifest) { web(m).Hosts[0].Name = "a.-b" },
		"a host name with a final hyphen":   func(m *manifestv1.Manifest) { web(m).Hosts[0].Name = "a-.b" },
		"a host name with a final dot":      func(m *manifestv1.Manifest) { web(m).Hosts[0].Name = "a.b." },
		"a host name with a long label":     func(m *manifestv1.Manifest) { web(m).Hosts[0].Name = strings.Repeat("a", 64) + ".b" },
		"a host name of 254 characters":     func(m *manifestv1.Manifest) { web(m).Hosts[0].Name = strings.Repeat("a.", 126) + "bb" },
		"a host at no address":              func(m *manifestv1.Manifest) { web(m).Hosts[0].Address = "example.com" },
		"an address written otherwise":      func(m *manifestv1.Manifest) { web(m).Hosts[0].Address = "2001:0db8::1" },
		"a check without a command":         func(m *manifestv1.Manifest) { web(m).Health.Command = nil },
		"a check without an interval":       func(m *manifestv1.Manifest) { web(m).Health.IntervalMs = 0 },
		"a check that never fails":          func(m *manifestv1.Manifest) { web(m).Health.Retries = 0 },
		"a check every other day":           func(m *manifestv1.Manifest) { web(m).Health.IntervalMs = 48 * 3600_000 },
		"a dependency that is not there":    func(m *manifestv1.Manifest) { web(m).DependsOn[0].Service = "away" },
		"a dependency on itself":            func(m *manifestv1.Manifest) { web(m).DependsOn[1] = &manifestv1.Dependency{Service: "web"} },
		"a circle of dependencies":          func(m *manifestv1.Manifest) { db(m).DependsOn = []*manifestv1.Dependency{{Service: "web"}} },
		"the end of what never ends": func(m *manifestv1.Manifest) {
			web(m).DependsOn[0].Condition = manifestv1.Condition_CONDITION_COMPLETED
		},
		"a condition nobody knows":      func(m *manifestv1.Manifest) { web(m).DependsOn[0].Condition = 9 },
		"restarts of what is restarted": func(m *manifestv1.Manifest) { db(m).RestartAttempts = 1 },
		"a restart nobody knows":        func(m *manifestv1.Manifest) { db(m).Restart = -1 },
		"http by what ends":             func(m *manifestv1.Manifest) { web(m).Restart = manifestv1.Restart_RESTART_NEVER },
		"an unknown field deep inside": func(m *manifestv1.Manifest) {
			web(m).Ports[0].ProtoReflect().SetUnknown([]byte{0xf8, 0x01, 0x01})
		},
	}
	if _, err := manifest.Encode(valid()); err != nil {
		t.Fatalf("the valid one: %v", err)
	}
	for name, spoil := range cases {
		t.Run(name, func(t *testing.T) {
			m := valid()
			spoil(m)
			if _, err := manifest.Encode(m); !errors.Is(err, manifest.ErrInvalid) {
				t.Errorf("Encode = %v, want ErrInvalid", err)
			}
			raw, err := proto.Marshal(m)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := manifest.Decode(raw); err == nil {
				t.Error("Decode accepted it")
			}
		})
	}
}

func TestHostNamesThatKubernetesTakes(t *testing.T) {
	for _, name := range []string{"a", "a-b.c", "1.2", "Mail.Example.com", strings.Repeat("a", 63) + ".b", strings.Repeat("a.", 126) + "b"} {
		m := valid()
		m.Services[2].Hosts[0].Name = name
		if err := manifest.Validate(m); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestHashChangesWithEverythingThatRuns(t *testing.T) {
	base, err := manifest.HashOf(valid())
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(m *manifestv1.Manifest){
		"image":     func(m *manifestv1.Manifest) { m.Services[1].Digest = "sha256:" + strings.Repeat("c", 64) },
		"command":   func(m *manifestv1.Manifest) { m.Services[1].Command = []string{"serve", "-v"} },
		"split":     func(m *manifestv1.Manifest) { m.Services[1].Command = []string{"ser", "ve"} },
		"env value": func(m *manifestv1.Manifest) { m.Services[0].Env[0].Value = "hunter3" },
		"env salt":  func(m *manifestv1.Manifest) { m.Services[0].Env[0].Salt = bytes.Repeat([]byte{8}, 16) },
		"mount":     func(m *manifestv1.Manifest) { m.Services[0].Mounts[0].Path = "/data" },
		"read only": func(m *manifestv1.Manifest) { m.Services[0].ReadOnly = true },
		"user":      func(m *manifestv1.Manifest) { m.Services[0].User = proto.Int64(0) },
		"resources": func(m *manifestv1.Manifest) { m.Services[0].Resources.MilliCpu++ },
		"file":      func(m *manifestv1.Manifest) { m.Files[0].Content = []byte("key=hunter4") },
		"file salt": func(m *manifestv1.Manifest) { m.Files[0].Salt = bytes.Repeat([]byte{8}, 16) },
		"network":   func(m *manifestv1.Manifest) { m.Networks[0].Internal = false },
	} {
		m := valid()
		change(m)
		h, err := manifest.HashOf(m)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if h == base {
			t.Errorf("changing the %s left the hash as it was", name)
		}
	}
}

func TestPublicFormHidesValuesAndKeepsTheOriginal(t *testing.T) {
	m := valid()
	p, err := proto.Marshal(manifest.Public(m))
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(p, []byte("hunter")) {
		t.Error("the public form shows an env value or a file")
	}
	if m.Services[0].Env[0].Value != "hunter2" || string(m.Files[0].Content) != "key=hunter3" {
		t.Error("Public changed its argument")
	}
}

func TestDecodeRefusesASecondEncoding(t *testing.T) {
	b, err := manifest.Encode(valid())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := manifest.Decode(b); err != nil {
		t.Fatal(err)
	}
	// Field 1 again: decoders take the last, so this means the same manifest.
	again := append(bytes.Clone(b), append([]byte{0x0a, 4}, "shop"...)...)
	if _, err := manifest.Decode(again); !errors.Is(err, manifest.ErrNotCanonical) {
		t.Errorf("Decode = %v, want ErrNotCanonical", err)
	}
}

func FuzzDecode(f *testing.F) {
	b, err := manifest.Encode(valid())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := manifest.Decode(b)
		if err != nil {
			return
		}
		again, err := manifest.Encode(m)
		if err != nil || !bytes.Equal(again, b) {
			t.Fatalf("accepted bytes are not the encoding of what they decode to: %v", err)
		}
	})
}
