// SPDX-License-Identifier: Apache-2.0

package install

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	"helm.sh/helm/v4/pkg/chart/loader"
	"helm.sh/helm/v4/pkg/engine"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/yaml"
)

// exceptions are what a pod of the provider's may have that no other may, each with its reason.
var exceptions = map[string][]string{
	"imagestore": {
		"may run as root",                 // it owns its directory on the machine; it has no capability
		"mounts a directory of a machine", // the images, which outlive its pods
		"takes a port of a machine",       // kubelet pulls from loopback
	},
	"egress": {
		"may run as root",                 // whose the files are that say which link is a pod's
		"mounts a directory of a machine", // those files, which it can't write to
		"is on the machine's network",     // whose packet filter counts
		"has capabilities",                // the one to change that
	},
	"logstore": {
		"may run as root",                 // whose the runtime's log files are; it has no capability
		"mounts a directory of a machine", // pods' logs, which it can't write to, and what it keeps
	},
}

// pod is one of the chart's.
type pod struct {
	name string
	spec corev1.PodSpec
	// account has rights.
	rights bool
}

// rendered are all pods of the chart.
func rendered(t *testing.T, values map[string]any) []pod {
	t.Helper()
	ch, err := loader.Load("../../deploy/chart")
	if err != nil {
		t.Fatal(err)
	}
	v, err := util.ToRenderValues(ch, values, common.ReleaseOptions{Name: release, Namespace: Namespace, IsInstall: true}, common.DefaultCapabilities)
	if err != nil {
		t.Fatal(err)
	}
	files, err := engine.Render(ch, v)
	if err != nil {
		t.Fatal(err)
	}
	var pods []pod
	accounts := map[string]bool{}
	for _, doc := range documents(files) {
		o := struct {
			appsv1.Deployment
			Subjects []rbacv1.Subject `json:"subjects"`
		}{}
		if err := yaml.Unmarshal([]byte(doc), &o); err != nil {
			continue // what has another shape holds no pod: said below
		}
		spec := o.Spec.Template.Spec
		switch o.Kind {
		case "Deployment", "DaemonSet":
		case "Pod":
			p := corev1.Pod{}
			if err := yaml.Unmarshal([]byte(doc), &p); err != nil {
				t.Fatal(err)
			}
			spec = p.Spec
		case "RoleBinding", "ClusterRoleBinding":
			for _, s := range o.Subjects {
				accounts[s.Name] = true
			}
			continue
		case "StatefulSet", "Job", "CronJob", "ReplicaSet", "ReplicationController":
			t.Fatalf("a %s, which this test does not know", o.Kind)
		default:
			continue
		}
		pods = append(pods, pod{name: o.Name, spec: spec})
	}
	for i := range pods {
		pods[i].rights = accounts[pods[i].spec.ServiceAccountName]
	}
	return pods
}

func documents(files map[string]string) (all []string) {
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if strings.HasSuffix(name, ".yaml") {
			all = append(all, strings.Split("\n"+files[name], "\n---")...)
		}
	}
	return all
}

// freedoms are what a pod has beyond what it needs.
func freedoms(p pod) (all []string) {
	add := func(has bool, what string) {
		if has && !slices.Contains(all, what) {
			all = append(all, what)
		}
	}
	set := func(b *bool) bool { return b != nil && *b }
	s := p.spec
	sec := s.SecurityContext
	if sec == nil {
		sec = &corev1.PodSecurityContext{}
	}
	add(!set(sec.RunAsNonRoot), "may run as root")
	add(sec.SeccompProfile == nil || sec.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault, "makes system calls without a filter")
	add(len(sec.Sysctls) > 0, "changes kernel settings")
	add(s.HostNetwork, "is on the machine's network")
	add(s.HostPID || s.HostIPC, "is among the machine's processes")
	add(s.ServiceAccountName == "", "has everybody's account")
	add(!p.rights && (s.AutomountServiceAccountToken == nil || *s.AutomountServiceAccountToken), "has a token that gives no rights")
	for _, v := range s.Volumes {
		add(v.HostPath != nil, "mounts a directory of a machine")
	}
	for _, c := range slices.Concat(s.InitContainers, s.Containers) {
		cs := c.SecurityContext
		if cs == nil {
			cs = &corev1.SecurityContext{}
		}
		add(!set(cs.ReadOnlyRootFilesystem), "writes to its root file system")
		add(cs.AllowPrivilegeEscalation == nil || *cs.AllowPrivilegeEscalation, "gains privileges")
		add(cs.Capabilities == nil || !slices.Equal(cs.Capabilities.Drop, []corev1.Capability{"ALL"}) || len(cs.Capabilities.Add) > 0, "has capabilities")
		add(set(cs.Privileged), "is privileged")
		add(cs.RunAsNonRoot != nil && !*cs.RunAsNonRoot || cs.RunAsUser != nil && *cs.RunAsUser == 0, "may run as root")
		add(cs.SeccompProfile != nil && cs.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault, "makes system calls without a filter")
		add(c.Resources.Limits.Memory().IsZero() || c.Resources.Limits.StorageEphemeral().IsZero(), "takes what memory or disk it likes")
		for _, port := range c.Ports {
			add(port.HostPort != 0, "takes a port of a machine")
			add(port.HostPort != 0 && port.HostIP != "127.0.0.1", "takes a port of a machine for everybody")
		}
	}
	slices.Sort(all)
	return all
}

func provider(more ...map[string]any) map[string]any {
	values := map[string]any{
		"image":    "registry.example/apocryph@sha256:" + strings.Repeat("0", 64),
		"provider": map[string]any{"address": "0x" + strings.Repeat("1", 40), "gasKeySecret": "gas-key"},
		"chain": map[string]any{
			"rpc": "http://chain.example:8545", "channels": "0x" + strings.Repeat("2", 40), "token": "0x" + strings.Repeat("3", 40),
		},
		"tee":    map[string]any{"simulatorSecret": "simulator"},
		"public": map[string]any{"domain": "apps.example"},
	}
	for _, m := range more {
		maps.Copy(values, m)
	}
	return values
}

func TestTheProvidersPodsHaveNoMoreThanTheyNeed(t *testing.T) {
	pods := rendered(t, provider(map[string]any{"egress": map[string]any{"enabled": true}}))
	var names []string
	for _, p := range pods {
		names = append(names, p.name)
		want := slices.Sorted(slices.Values(exceptions[p.name]))
		if got := freedoms(p); !slices.Equal(got, want) {
			t.Errorf("%s %q, may have %q", p.name, got, want)
		}
	}
	slices.Sort(names)
	if want := []string{"controller", "doctor", "doctor-test", "egress", "facade", "gateway", "imagestore", "invoicer", "keeper", "logstore", "meter", "notifier"}; !slices.Equal(names, want) {
		t.Errorf("pods %q, want %q", names, want)
	}
}

// Only who asks for it has a pod on the machine's network, and only the image store's.
func TestTheMachinesNetworkIsAskedFor(t *testing.T) {
	for _, p := range rendered(t, provider(map[string]any{"imagestore": map[string]any{"hostNetwork": true}})) {
		if on := slices.Contains(freedoms(p), "is on the machine's network"); on != (p.name == "imagestore") {
			t.Errorf("%s is on the machine's network: %t", p.name, on)
		}
	}
}

// Whatever a template loses is seen: each of these takes one thing from a pod that has all of them.
func TestWhatATemplateLosesIsSeen(t *testing.T) {
	for name, c := range map[string]struct {
		lose func(*corev1.PodSpec, *corev1.Container)
		want string
	}{
		"a read-only root":       {func(_ *corev1.PodSpec, c *corev1.Container) { c.SecurityContext.ReadOnlyRootFilesystem = nil }, "writes to its root file system"},
		"a user of its own":      {func(s *corev1.PodSpec, _ *corev1.Container) { s.SecurityContext.RunAsNonRoot = nil }, "may run as root"},
		"that, by its container": {func(_ *corev1.PodSpec, c *corev1.Container) { c.SecurityContext.RunAsUser = new(int64) }, "may run as root"},
		"its filter":             {func(s *corev1.PodSpec, _ *corev1.Container) { s.SecurityContext.SeccompProfile = nil }, "makes system calls without a filter"},
		"all its confinement":    {func(s *corev1.PodSpec, _ *corev1.Container) { s.SecurityContext = nil }, "may run as root"},
		"its container's":        {func(_ *corev1.PodSpec, c *corev1.Container) { c.SecurityContext = nil }, "gains privileges"},
		"a network of its own":   {func(s *corev1.PodSpec, _ *corev1.Container) { s.HostNetwork = true }, "is on the machine's network"},
		"processes of its own":   {func(s *corev1.PodSpec, _ *corev1.Container) { s.HostPID = true }, "is among the machine's processes"},
		"an account of its own":  {func(s *corev1.PodSpec, _ *corev1.Container) { s.ServiceAccountName = "" }, "has everybody's account"},
		"no way to privileges":   {func(_ *corev1.PodSpec, c *corev1.Container) { c.SecurityContext.AllowPrivilegeEscalation = new(true) }, "gains privileges"},
		"nothing but one more": {func(_ *corev1.PodSpec, c *corev1.Container) {
			c.SecurityContext.Capabilities.Add = []corev1.Capability{"NET_RAW"}
		}, "has capabilities"},
		"no capabilities":         {func(_ *corev1.PodSpec, c *corev1.Container) { c.SecurityContext.Capabilities = nil }, "has capabilities"},
		"being unprivileged":      {func(_ *corev1.PodSpec, c *corev1.Container) { c.SecurityContext.Privileged = new(true) }, "is privileged"},
		"a bound":                 {func(_ *corev1.PodSpec, c *corev1.Container) { delete(c.Resources.Limits, corev1.ResourceMemory) }, "takes what memory or disk it likes"},
		"directories of its own":  {func(s *corev1.PodSpec, _ *corev1.Container) { s.Volumes = append(s.Volumes, onMachine()) }, "mounts a directory of a machine"},
		"ports of its own":        {func(_ *corev1.PodSpec, c *corev1.Container) { c.Ports[0].HostPort = 1 }, "takes a port of a machine for everybody"},
		"an init container, bare": {func(s *corev1.PodSpec, _ *corev1.Container) { s.InitContainers = make([]corev1.Container, 1) }, "writes to its root file system"},
	} {
		t.Run(name, func(t *testing.T) {
			p := rendered(t, provider())[0]
			if had := freedoms(p); len(had) > 0 {
				t.Fatalf("%s has %q to begin with", p.name, had)
			}
			c.lose(&p.spec, &p.spec.Containers[0])
			if got := freedoms(p); !slices.Contains(got, c.want) {
				t.Errorf("seen: %q, want %q among it", got, c.want)
			}
		})
	}
	p := rendered(t, provider())[0]
	p.rights = false
	if got := fmt.Sprint(freedoms(p)); got != "[has a token that gives no rights]" {
		t.Errorf("seen: %s", got)
	}
}

// What counts in the machine's packet filter has the one capability that this takes, and its directory for reading only.
func TestTheCounterHasOneCapability(t *testing.T) {
	for _, p := range rendered(t, provider(map[string]any{"egress": map[string]any{"enabled": true}})) {
		if p.name != "egress" {
			continue
		}
		c := p.spec.Containers[0]
		if got := c.SecurityContext.Capabilities; !slices.Equal(got.Add, []corev1.Capability{"NET_ADMIN"}) || !slices.Equal(got.Drop, []corev1.Capability{"ALL"}) {
			t.Errorf("capabilities %v", got)
		}
		for _, m := range c.VolumeMounts {
			if !m.ReadOnly {
				t.Errorf("it may write to %s", m.MountPath)
			}
		}
		return
	}
	t.Error("there is no counter")
}

func onMachine() corev1.Volume {
	return corev1.Volume{Name: "x", VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/"}}}
}
