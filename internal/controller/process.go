// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"fmt"
	"math"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/intstr"

	manifestv1 "github.com/apocryph/apocryph/internal/gen/manifestv1"
)

// sharedMemory is where programs look for memory that they share.
const sharedMemory = "/dev/shm"

const (
	// minHealthSeconds is how often a health check is run at most, once it has passed.
	minHealthSeconds = 5
	// maxStartupSeconds is how long is waited between two at most, before it has.
	maxStartupSeconds = 5
)

// process gives a pod what its manifest says of the process's surroundings.
func (d *desired) process(spec *corev1.PodSpec, s *manifestv1.Service) {
	spec.Hostname = s.GetHostname()
	spec.HostAliases = hostAliases(s.GetHosts())
	if s.GetInit() {
		// The pause process is number 1 then, and reaps whatever loses its parent.
		spec.ShareProcessNamespace = new(true)
	}
	for _, m := range s.GetMemoryMounts() {
		inMemory(spec, m.GetPath(), m.GetSizeBytes())
	}
	if n := s.GetSharedMemoryBytes(); n > 0 {
		inMemory(spec, sharedMemory, n)
	}
	d.mountFiles(spec, s)
}

// inMemory mounts a directory whose pages count as the container's memory.
func inMemory(spec *corev1.PodSpec, path string, size uint64) {
	addVolume(spec, "memory", corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{
		Medium: corev1.StorageMediumMemory, SizeLimit: resource.NewQuantity(int64(size), resource.BinarySI),
	}}, corev1.VolumeMount{MountPath: path})
}

// addVolume adds a volume that is the pod's own and mounts it. Its name is one that no volume of the manifest has.
func addVolume(spec *corev1.PodSpec, base string, source corev1.VolumeSource, mounts ...corev1.VolumeMount) {
	name := base
	for i := 2; slices.ContainsFunc(spec.Volumes, func(v corev1.Volume) bool { return v.Name == name }); i++ {
		name = fmt.Sprintf("%s-%d", base, i)
	}
	spec.Volumes = append(spec.Volumes, corev1.Volume{Name: name, VolumeSource: source})
	for _, m := range mounts {
		m.Name = name
		spec.Containers[0].VolumeMounts = append(spec.Containers[0].VolumeMounts, m)
	}
}

// hostAliases are sorted by name already, and stay so within each address.
func hostAliases(hosts []*manifestv1.Host) []corev1.HostAlias {
	var all []corev1.HostAlias
	for _, h := range hosts {
		i := slices.IndexFunc(all, func(a corev1.HostAlias) bool { return a.IP == h.GetAddress() })
		if i < 0 {
			all, i = append(all, corev1.HostAlias{IP: h.GetAddress()}), len(all)
		}
		// Names mean the same in either case, and the API takes only one.
		all[i].Hostnames = append(all[i].Hostnames, strings.ToLower(h.GetName()))
	}
	return all
}

// probes say when a service is ready, and never end it: a health check of Compose restarts nobody. One that has not passed yet is asked
// more often, for dependents and the first request wait for it; its failures count only once it has passed, which is what a start
// period is for. From then on it is asked as often as it says, within bounds: each ask starts a process for which nobody pays.
func (d *desired) probes(s *manifestv1.Service) (startup, readiness *corev1.Probe) {
	if h := s.GetHealth(); h != nil {
		exec := corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: literal(h.GetCommand())}}
		startup = &corev1.Probe{ProbeHandler: exec, PeriodSeconds: min(seconds(h.GetIntervalMs()), maxStartupSeconds), TimeoutSeconds: seconds(h.GetTimeoutMs()), FailureThreshold: math.MaxInt32}
		readiness = &corev1.Probe{
			ProbeHandler:     exec,
			PeriodSeconds:    max(seconds(h.GetIntervalMs()), minHealthSeconds),
			TimeoutSeconds:   seconds(h.GetTimeoutMs()),
			FailureThreshold: int32(h.GetRetries()),
		}
		return startup, readiness
	}
	if n := d.httpPort(s); n != 0 {
		readiness = &corev1.Probe{
			ProbeHandler:     corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{Port: intstr.FromInt32(int32(n))}},
			PeriodSeconds:    1,
			TimeoutSeconds:   1,
			FailureThreshold: 3,
		}
	}
	return nil, readiness
}

// seconds rounds up: Kubernetes knows no shorter time than one.
func seconds(ms uint64) int32 { return int32(max(1, (ms+999)/1000)) }
