// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	psapi "k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"

	"github.com/apocryph/apocryph/api/v1alpha1"
	manifestv1 "github.com/apocryph/apocryph/internal/gen/manifestv1"
	"github.com/apocryph/apocryph/internal/manifest"
)

// Kubernetes' own rules, at the level that the app's namespace enforces, let every pod run that any valid manifest makes, those that fill
// and carry volumes, too: see docs/adr/pod-security-is-proved-once.md. Every field that a manifest has occurs among those that are tried.
func TestPodSecurityLetsAllRun(t *testing.T) {
	random := rand.NewChaCha8([32]byte{1})
	data := make([]byte, 600)
	seen := map[string]bool{}
	const tries = 600
	valid := 0
	for range tries {
		_, _ = random.Read(data)
		m := anyManifest(&dice{data})
		if manifest.Validate(m) != nil {
			continue
		}
		valid++
		note(seen, "", m.ProtoReflect())
		checkPods(t, m)
		if t.Failed() {
			return
		}
	}
	if valid < tries/2 {
		t.Errorf("only %d of %d manifests are valid", valid, tries)
	}
	for _, path := range fieldsOf("", (&manifestv1.Manifest{}).ProtoReflect().Descriptor()) {
		if !seen[path] && !strings.HasSuffix(path, ".commitment") { // which only the public form has
			t.Errorf("no manifest that was tried has %s", path)
		}
	}
}

// FuzzPodSecurity looks for a manifest whose pods would not be let run.
func FuzzPodSecurity(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte(strings.Repeat("\xff\x01", 300)))
	f.Fuzz(func(t *testing.T, data []byte) {
		if m := anyManifest(&dice{data}); manifest.Validate(m) == nil {
			checkPods(t, m)
		}
	})
}

// The rules do refuse.
func TestPodSecurityRefuses(t *testing.T) {
	for name, change := range map[string]func(*corev1.PodSpec){
		"the machine's network": func(p *corev1.PodSpec) { p.HostNetwork = true },
		"the machine's files": func(p *corev1.PodSpec) {
			p.Volumes = append(p.Volumes, corev1.Volume{Name: "x", VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/"}}})
		},
		"a capability": func(p *corev1.PodSpec) {
			p.Containers[0].SecurityContext.Capabilities.Add = append(p.Containers[0].SecurityContext.Capabilities.Add, "SYS_ADMIN")
		},
		"privileges": func(p *corev1.PodSpec) { p.Containers[0].SecurityContext.Privileged = new(true) },
	} {
		namespace, templates := podsOf(t, anyManifest(&dice{}))
		change(&templates[0].Spec)
		if r := evaluate(t, namespace, templates[0]); r.Allowed {
			t.Errorf("%s: allowed", name)
		}
	}
}

func checkPods(t *testing.T, m *manifestv1.Manifest) {
	t.Helper()
	namespace, templates := podsOf(t, m)
	if len(templates) < len(m.GetServices()) {
		t.Fatalf("%d pods of %d services", len(templates), len(m.GetServices()))
	}
	for _, p := range templates {
		if r := evaluate(t, namespace, p); !r.Allowed {
			t.Errorf("%s\nmanifest: %v", r.ForbiddenDetail(), m)
		}
	}
}

// podsOf are the pods that a manifest makes.
func podsOf(t *testing.T, m *manifestv1.Manifest) (namespace *corev1.Namespace, pods []corev1.PodTemplateSpec) {
	t.Helper()
	app := &v1alpha1.App{Spec: v1alpha1.AppSpec{ManifestHash: strings.Repeat("ab", 32)}}
	app.Name = "the-app-id"
	cfg := Config{Namespace: "apocryph-system", Image: "apocryphd:1", ImagePrefix: "localhost:5100", PublicScheme: "https", UserNamespaces: len(m.GetServices())%2 == 1}
	objects, err := Desired(app, m, cfg)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range objects {
		switch o := o.(type) {
		case *corev1.Namespace:
			namespace = o
		case *appsv1.Deployment:
			pods = append(pods, o.Spec.Template)
		case *batchv1.Job:
			pods = append(pods, o.Spec.Template)
		}
	}
	awaited := map[string]bool{}
	for _, v := range m.GetVolumes() {
		awaited[v.GetName()] = true
	}
	fills, err := (&desired{id: app.Name, manifest: m, cfg: cfg}).fills(&observed{awaited: awaited})
	if err != nil {
		t.Fatal(err)
	}
	for _, j := range fills {
		pods = append(pods, j.Spec.Template)
	}
	d := &desired{id: app.Name, manifest: m, cfg: cfg}
	for i := range pods {
		pods[i].Spec.EphemeralContainers = []corev1.EphemeralContainer{d.companion(&pods[i].Spec)}
	}
	pods = append(pods, d.carry(v1alpha1.Transfer{Volume: "any", Sequence: 1}).Spec.Template)
	return namespace, pods
}

// evaluate asks as the API server does: the level is what the namespace says.
func evaluate(t *testing.T, namespace *corev1.Namespace, p corev1.PodTemplateSpec) policy.AggregateCheckResult {
	t.Helper()
	privileged := psapi.LevelVersion{Level: psapi.LevelPrivileged, Version: psapi.LatestVersion()}
	wanted, errs := psapi.PolicyToEvaluate(namespace.Labels, psapi.Policy{Enforce: privileged, Audit: privileged, Warn: privileged})
	if len(errs) > 0 || wanted.Enforce.Level != psapi.LevelBaseline {
		t.Fatalf("the namespace enforces %v, %v", wanted.Enforce, errs)
	}
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return policy.AggregateCheckResults(evaluator.EvaluatePod(wanted.Enforce, &p.ObjectMeta, &p.Spec))
}

// dice makes choices of bytes; when they are used up, always the first.
type dice struct{ data []byte }

func (d *dice) below(n int) int {
	var b [2]byte
	k := copy(b[:], d.data)
	d.data = d.data[k:]
	return int(binary.LittleEndian.Uint16(b[:])) % n
}

func (d *dice) yes() bool { return d.below(2) == 1 }

func pick[T any](d *dice, of ...T) T { return of[d.below(len(of))] }

// some picks at most n, in order.
func some(d *dice, n int, of ...string) []string {
	var out []string
	for range d.below(n + 1) {
		out = append(out, pick(d, of...))
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func anyManifest(d *dice) *manifestv1.Manifest {
	salt := make([]byte, 16)
	m := &manifestv1.Manifest{Name: pick(d, "app", "kube-system", "0")}
	for _, n := range some(d, 3, "data", "host", "root", "proc") {
		m.Volumes = append(m.Volumes, &manifestv1.Volume{Name: n, SizeBytes: pick[uint64](d, manifest.MinVolumeBytes, manifest.MaxBytes)})
	}
	for _, n := range some(d, 2, "front", "back", "host") {
		m.Networks = append(m.Networks, &manifestv1.Network{Name: n, Internal: d.yes()})
	}
	for _, n := range some(d, 2, "conf", "sh", "data") {
		m.Files = append(m.Files, &manifestv1.File{Name: n, Content: []byte(pick(d, "x", "", "#!/bin/sh\n")), Salt: salt})
	}
	names := append([]string{"web"}, some(d, 3, "db", "host", "default", "worker-1")...)
	slices.Sort(names)
	for i, n := range names {
		m.Services = append(m.Services, anyService(d, m, n, names[:i]))
	}
	if d.yes() {
		m.Http = &manifestv1.Http{Service: names[0], Port: 80, Host: pick(d, "", "shop")}
		m.Services[0].Ports = []*manifestv1.Port{{Number: 80, Protocol: "tcp"}}
	}
	m.RemovedVolumes = some(d, 2, "old", "older")
	m.EgressBytesPerSecond = pick[uint64](d, 0, 1, manifest.MaxEgress)
	m.Notify = pick(d, nil, &manifestv1.Notify{Webhook: "https://a.example/", Salt: salt})
	return m
}

func anyService(d *dice, m *manifestv1.Manifest, name string, before []string) *manifestv1.Service {
	s := &manifestv1.Service{
		Name: name, Image: pick(d, "", "nginx"), Digest: "sha256:" + strings.Repeat("0", 64), WorkingDir: pick(d, "", "/", "/proc/1/root"),
		Entrypoint: some(d, 2, "/bin/sh", "$(HOME)", ""), Command: some(d, 2, "-c", "nsenter", "--privileged"), ReadOnly: d.yes(),
		StopGraceSeconds: pick[uint32](d, 0, 1, 3600), Init: d.yes(), Hostname: pick(d, "", "localhost"), Revision: pick[uint64](d, 0, 7),
		StopSignal: pick(d, "", "SIGKILL"), Groups: pick(d, nil, []int64{0}, []int64{0, 65535}), Restart: pick(d, manifestv1.Restart_RESTART_UNSPECIFIED, manifestv1.Restart_RESTART_NEVER, manifestv1.Restart_RESTART_ON_FAILURE),
		Resources: &manifestv1.Resources{
			MilliCpu: pick[uint64](d, 1, manifest.MaxMilliCPU), MemoryBytes: pick[uint64](d, manifest.MinMemoryBytes, manifest.MaxBytes), EphemeralBytes: pick[uint64](d, manifest.MinEphemeralBytes, manifest.MaxBytes),
		},
	}
	for _, n := range some(d, 2, "amd.com/gpu", "nvidia.com/gpu") {
		s.Resources.Extended = append(s.Resources.Extended, &manifestv1.Units{Resource: n, Count: pick[uint64](d, 1, manifest.MaxUnits)})
	}
	if d.yes() {
		s.User = new(pick[int64](d, 0, 1, 65535))
		if d.yes() {
			s.Group = new(pick[int64](d, 0, 1, 65535))
		}
	}
	if s.Restart == manifestv1.Restart_RESTART_ON_FAILURE {
		s.RestartAttempts = pick[uint32](d, 0, 1, manifest.MaxRestarts)
	}
	for _, n := range some(d, 2, "KUBERNETES_SERVICE_HOST", "A", "LD_PRELOAD") {
		s.Env = append(s.Env, &manifestv1.Env{Name: n, Value: pick(d, "", "$(A)", "/"), Salt: make([]byte, 16)})
	}
	for _, n := range []uint32{1, 53, 65535}[:d.below(4)] {
		s.Ports = append(s.Ports, &manifestv1.Port{Number: n, Protocol: pick(d, "tcp", "udp")})
	}
	for _, n := range before[:d.below(len(before)+1)] {
		s.DependsOn = append(s.DependsOn, &manifestv1.Dependency{Service: n, Condition: pick(d, manifestv1.Condition_CONDITION_UNSPECIFIED, manifestv1.Condition_CONDITION_HEALTHY)})
	}
	if d.yes() {
		s.Health = &manifestv1.Health{Command: []string{"true"}, IntervalMs: pick[uint64](d, 1, 86_400_000), TimeoutMs: 1, StartPeriodMs: pick[uint64](d, 0, 5), Retries: 1}
	}
	for _, n := range m.GetNetworks()[:d.below(len(m.GetNetworks())+1)] {
		s.Networks = append(s.Networks, &manifestv1.Attachment{Network: n.GetName(), Aliases: some(d, 2, "x-1", "y")})
	}
	if d.yes() {
		s.Hosts = []*manifestv1.Host{{Name: pick(d, "a", "kubernetes.default.svc"), Address: pick(d, "127.0.0.1", "2001:db8::1")}}
	}
	anyMounts(d, m, s)
	return s
}

func anyMounts(d *dice, m *manifestv1.Manifest, s *manifestv1.Service) {
	paths := []string{"/dev", "/etc", "/host", "/proc", "/run/secrets/kubernetes.io", "/sys", "/var/run/docker.sock"}
	for _, p := range paths[d.below(len(paths)):] {
		switch kind := d.below(4); {
		case kind == 1 && len(m.GetVolumes()) > 0:
			s.Mounts = append(s.Mounts, &manifestv1.Mount{Volume: pick(d, m.GetVolumes()...).GetName(), Path: p, ReadOnly: d.yes(), NoCopy: d.yes(), Subpath: pick(d, "", "a/b")})
		case kind == 2 && len(m.GetFiles()) > 0:
			s.Files = append(s.Files, &manifestv1.FileMount{File: pick(d, m.GetFiles()...).GetName(), Path: p, Mode: pick[uint32](d, 0o1, 0o777)})
		case kind == 3 && len(s.MemoryMounts) == 0:
			s.MemoryMounts = append(s.MemoryMounts, &manifestv1.MemoryMount{Path: p, SizeBytes: 4 << 10})
		}
	}
	s.SharedMemoryBytes = pick[uint64](d, 0, 4<<10)
}

// note remembers which fields are set.
func note(seen map[string]bool, at string, m protoreflect.Message) {
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		path := at + "." + string(f.Name())
		seen[path] = true
		switch {
		case f.Message() == nil:
		case f.IsList():
			for i := range v.List().Len() {
				note(seen, path, v.List().Get(i).Message())
			}
		default:
			note(seen, path, v.Message())
		}
		return true
	})
}

// fieldsOf are all fields that there are.
func fieldsOf(at string, m protoreflect.MessageDescriptor) []string {
	var all []string
	for i := range m.Fields().Len() {
		f := m.Fields().Get(i)
		path := at + "." + string(f.Name())
		all = append(all, path)
		if f.Message() != nil {
			all = append(all, fieldsOf(path, f.Message())...)
		}
	}
	return all
}
