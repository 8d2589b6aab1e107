// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/apocryph/apocryph/api/v1alpha1"
	"github.com/apocryph/apocryph/internal/delegation"
	"github.com/apocryph/apocryph/internal/doctor/probe"
	"github.com/apocryph/apocryph/internal/kube"
)

// LabelProbe is on everything that a run makes: which probe it is. The chart's policies and its Service choose by it.
const LabelProbe = v1alpha1.Group + "/probe"

// The probes. ServiceListener is the chart's Service in front of the listener.
const (
	probeListener = "listener"
	probeDialer   = "dialer"
	probeUsers    = "users"
	probeVolume   = "volume"
	probeImage    = "image"
	probeTasks    = "tasks"

	ServiceListener = "listener"
)

const (
	// user is no one's on the machine, and the image's own.
	user       = 65532
	mountPoint = "/volume"
	mebibyte   = 1 << 20
	// Dead processes take some 10 KiB each of the pod's memory.
	probeMemory, taskMemory = 64 * mebibyte, 256 * mebibyte
)

// newRun names what a run makes.
func newRun() string { return strings.ToLower(rand.Text()[:8]) }

// pod is a probe: the provider's own image on the machine, confined as an app's pod is, and with nothing that it does not need. It ends by
// itself.
func (s *site) pod(name string, args ...string) *corev1.Pod {
	grace, deadline := int64(1), int64(s.cfg.Limit/time.Second)+1
	p := &corev1.Pod{
		ObjectMeta: s.meta(name),
		Spec: corev1.PodSpec{
			RestartPolicy:                 corev1.RestartPolicyNever,
			ActiveDeadlineSeconds:         &deadline,
			TerminationGracePeriodSeconds: &grace,
			SecurityContext: &corev1.PodSecurityContext{
				RunAsNonRoot: new(true), RunAsUser: new(int64(user)), RunAsGroup: new(int64(user)), FSGroup: new(int64(user)),
				FSGroupChangePolicy: new(corev1.FSGroupChangeOnRootMismatch),
			},
			Containers: []corev1.Container{s.container(name, s.cfg.Image, args...)},
		},
	}
	kube.Confine(&p.Spec, s.cfg.UserNamespaces)
	if s.machine != "" {
		s.bind(&p.Spec)
	}
	return p
}

// bind has the scheduler put a pod on the site's machine, with everything else that the scheduler looks at; but where apps' pods would not be put
// a machine was asked for by name.
func (s *site) bind(p *corev1.PodSpec) {
	p.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{
		RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
			MatchFields: []corev1.NodeSelectorRequirement{{
				Key: metav1.ObjectNameField, Operator: corev1.NodeSelectorOpIn, Values: []string{s.machine},
			}},
		}}},
	}}
	if !slices.Contains(s.machines.open, s.machine) {
		p.Tolerations = []corev1.Toleration{{Operator: corev1.TolerationOpExists}}
	}
}

func (s *site) meta(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Namespace: s.cfg.Probes, Name: name + "-" + s.run + "-" + s.id,
		Labels: map[string]string{LabelProbe: name, "app.kubernetes.io/part-of": "apocryph"},
	}
}

func (s *site) container(name, image string, args ...string) corev1.Container {
	memory := int64(probeMemory)
	if name == probeTasks {
		memory = taskMemory
	}
	return corev1.Container{
		Name: name, Image: image, ImagePullPolicy: s.cfg.PullPolicy, Args: append([]string{"probe"}, args...),
		Resources: corev1.ResourceRequirements{
			Requests: corev1.ResourceList{
				corev1.ResourceCPU:              *resource.NewMilliQuantity(10, resource.DecimalSI),
				corev1.ResourceMemory:           *resource.NewQuantity(32*mebibyte, resource.BinarySI),
				corev1.ResourceEphemeralStorage: *resource.NewQuantity(mebibyte, resource.BinarySI),
			},
			Limits: corev1.ResourceList{
				corev1.ResourceCPU:              *resource.NewMilliQuantity(1000, resource.DecimalSI),
				corev1.ResourceMemory:           *resource.NewQuantity(memory, resource.BinarySI),
				corev1.ResourceEphemeralStorage: *resource.NewQuantity(16*mebibyte, resource.BinarySI),
			},
		},
		SecurityContext: &corev1.SecurityContext{
			AllowPrivilegeEscalation: new(false), ReadOnlyRootFilesystem: new(true),
			Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
		},
		TerminationMessagePath: probe.ReportFile,
	}
}

// dialer tries the listener at ip by its ports, and the Service's name.
func (s *site) dialer(which, ip string) *corev1.Pod {
	at := func(port int) string { return fmt.Sprintf("%s:%d", bracketed(ip), port) }
	p := s.pod(probeDialer, "network",
		"--allowed="+at(probe.PortAllowed), "--egress-denied="+at(probe.PortEgressDenied), "--ingress-denied="+at(probe.PortIngressDenied),
		"--name="+ServiceListener)
	p.Name = which + "-" + p.Name
	return p
}

func bracketed(ip string) string {
	if strings.Contains(ip, ":") {
		return "[" + ip + "]"
	}
	return ip
}

// userPod is made as the pods of apps are when user namespaces are on, whether or not they are: what the cluster can do is worth knowing.
func (s *site) userPod() *corev1.Pod {
	p := s.pod(probeUsers, "self")
	p.Spec.HostUsers = new(false)
	return p
}

// claim is as an app's volume.
func (s *site) claim() *corev1.PersistentVolumeClaim {
	mode := s.cfg.AccessMode
	if mode == "" {
		mode = corev1.ReadWriteOncePod
	}
	c := &corev1.PersistentVolumeClaim{
		ObjectMeta: s.meta(probeVolume),
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes: []corev1.PersistentVolumeAccessMode{mode},
			Resources: corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{
				corev1.ResourceStorage: *resource.NewQuantity(s.cfg.VolumeBytes, resource.BinarySI),
			}},
		},
	}
	if s.cfg.StorageClass != "" {
		c.Spec.StorageClassName = &s.cfg.StorageClass
	}
	return c
}

// volumePod fills the claim: up to twice what it asked for and some, for classes that round up.
func (s *site) volumePod() *corev1.Pod {
	p := s.pod(probeVolume, "volume", fmt.Sprintf("--most=%d", 2*s.cfg.VolumeBytes+64*mebibyte), mountPoint)
	p.Spec.Volumes = []corev1.Volume{{Name: probeVolume, VolumeSource: corev1.VolumeSource{
		PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: p.Name},
	}}}
	p.Spec.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: probeVolume, MountPath: mountPoint}}
	return p
}

// imagePod asks for an image of an app that is not there, and for a name that no app can have (see judgeImage). Both are new each time, so that
// no cache has an answer.
func (s *site) imagePod() *corev1.Pod {
	p := s.pod(probeImage)
	absent := s.cfg.ImagePrefix + "/" + delegation.AppID(randomBytes()).String() + "/" + probeImage + "@" + randomDigest()
	refused := s.cfg.ImagePrefix + "/" + probeImage + "-" + s.run + "/" + probeImage + "@" + randomDigest()
	p.Spec.Containers = []corev1.Container{s.container(containerAbsent, absent), s.container(containerRefused, refused)}
	for i := range p.Spec.Containers {
		p.Spec.Containers[i].ImagePullPolicy = corev1.PullAlways
	}
	return p
}

const containerAbsent, containerRefused = "absent", "refused"

func randomDigest() string { return fmt.Sprintf("sha256:%x", randomBytes()) }

func randomBytes() (b [32]byte) {
	_, _ = rand.Read(b[:]) // never fails
	return b
}
