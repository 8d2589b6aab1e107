// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/proto"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/apocryph/apocryph/api/v1alpha1"
	manifestv1 "github.com/apocryph/apocryph/internal/gen/manifestv1"
	"github.com/apocryph/apocryph/internal/kube"
	"github.com/apocryph/apocryph/internal/manifest"
)

// annotationRevision makes other pods of what is the same but for its number: a restart.
const annotationRevision = "apocryph.network/revision"

const (
	defaultGraceSeconds = 10
	provingSeconds      = 5
	// versionsKept of a service beside the present one, so that the last that came up is among them though others were ordered since.
	versionsKept = 3
	// sharedGroup owns volumes for which no image has an owner: every process of a pod that mounts one is in it, whatever user and group it
	// runs as now or after the next order.
	sharedGroup = 65532
)

// service is the name by which the others reach it.
func (d *desired) service(s *manifestv1.Service) client.Object {
	svc := d.serviceOf(s.GetName(), s.GetPorts())
	svc.Labels[v1alpha1.LabelService] = s.GetName()
	svc.Spec.Selector = map[string]string{v1alpha1.LabelApp: d.id, v1alpha1.LabelService: s.GetName()}
	return svc
}

// serviceOf is a name for pods that the caller selects. One without ports is found by its pods' addresses, on any port.
func (d *desired) serviceOf(name string, ports []*manifestv1.Port) *corev1.Service {
	svc := &corev1.Service{
		TypeMeta:   kind("v1", "Service"),
		ObjectMeta: d.meta(name),
		Spec:       corev1.ServiceSpec{Type: corev1.ServiceTypeClusterIP},
	}
	for _, p := range ports {
		svc.Spec.Ports = append(svc.Spec.Ports, corev1.ServicePort{
			Name:       portName(p),
			Protocol:   protocol(p),
			Port:       int32(p.GetNumber()),
			TargetPort: intstr.FromInt32(int32(p.GetNumber())),
		})
	}
	if len(svc.Spec.Ports) == 0 {
		svc.Spec.ClusterIP = corev1.ClusterIPNone
	}
	return svc
}

func (d *desired) deployment(s *manifestv1.Service, digest string) client.Object {
	meta := d.workloadMeta(s, s.GetName(), digest)
	return &appsv1.Deployment{
		TypeMeta:   kind("apps/v1", "Deployment"),
		ObjectMeta: meta,
		Spec: appsv1.DeploymentSpec{
			Replicas:             new(int32(0)),
			RevisionHistoryLimit: new(int32(versionsKept)),
			MinReadySeconds:      d.proving(s),
			Selector:             &metav1.LabelSelector{MatchLabels: meta.Labels},
			Strategy:             strategy(s),
			Template:             d.template(s),
		},
	}
}

// workloadMeta is of what makes a service's pods.
func (d *desired) workloadMeta(s *manifestv1.Service, name, digest string) metav1.ObjectMeta {
	meta := d.meta(name)
	meta.Labels[v1alpha1.LabelService] = s.GetName()
	meta.Annotations = map[string]string{annotationDigest: digest}
	if after := encodeAfter(s.GetDependsOn()); after != "" {
		meta.Annotations[annotationAfter] = after
	}
	return meta
}

func (d *desired) template(s *manifestv1.Service) corev1.PodTemplateSpec {
	labels := map[string]string{v1alpha1.LabelApp: d.id, v1alpha1.LabelService: s.GetName()}
	for _, name := range aliases(s) {
		labels[labelAlias+name] = ""
	}
	// No pod may vanish before the meter has written down its time.
	template := corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: labels, Finalizers: []string{v1alpha1.FinalizerMeter}},
		Spec:       d.pod(s),
	}
	if n := s.GetRevision(); n > 0 {
		template.Annotations = map[string]string{annotationRevision: strconv.FormatUint(n, 10)}
	}
	return template
}

// proving is how long a pod that nothing probes has to run before it counts and, in an update, the old one goes: one that crashes at its start
// is ready, too, until it does.
func (d *desired) proving(s *manifestv1.Service) int32 {
	if _, readiness := d.probes(s); readiness != nil {
		return 0
	}
	return provingSeconds
}

// serviceDigest is of everything in the manifest that shapes the service's pods. Salts don't: they are new in each order.
func (d *desired) serviceDigest(s *manifestv1.Service) (string, error) {
	c := proto.CloneOf(s)
	for _, e := range c.GetEnv() {
		e.Salt = nil
	}
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(c)
	if err != nil {
		return "", fmt.Errorf("encoding service: %w", err)
	}
	h := sha256.New()
	_, _ = fmt.Fprintf(h, "%d\x00", d.httpPort(s))
	_, _ = h.Write(b)
	if c := d.files(s); c != nil {
		hashFiles(h, c.BinaryData)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

func (d *desired) httpPort(s *manifestv1.Service) uint32 {
	if h := d.manifest.GetHttp(); h.GetService() == s.GetName() {
		return h.GetPort()
	}
	return 0
}

// strategy: two pods must not write to one volume; without volumes there is no gap between old and new.
func strategy(s *manifestv1.Service) appsv1.DeploymentStrategy {
	if len(s.GetMounts()) > 0 {
		return appsv1.DeploymentStrategy{Type: appsv1.RecreateDeploymentStrategyType}
	}
	return appsv1.DeploymentStrategy{
		Type: appsv1.RollingUpdateDeploymentStrategyType,
		RollingUpdate: &appsv1.RollingUpdateDeployment{
			MaxSurge: new(intstr.FromInt32(surge)), MaxUnavailable: new(intstr.FromInt32(0)),
		},
	}
}

func (d *desired) pod(s *manifestv1.Service) corev1.PodSpec {
	grace := int64(s.GetStopGraceSeconds())
	if grace == 0 {
		grace = defaultGraceSeconds
	}
	spec := corev1.PodSpec{
		Containers:                    []corev1.Container{d.container(s)},
		TerminationGracePeriodSeconds: &grace,
		SecurityContext:               &corev1.PodSecurityContext{RunAsUser: s.User, RunAsGroup: s.Group},
	}
	kube.Confine(&spec, d.cfg.UserNamespaces)
	seen := map[string]bool{}
	for _, m := range s.GetMounts() {
		if seen[m.GetVolume()] {
			continue
		}
		seen[m.GetVolume()] = true
		spec.Volumes = append(spec.Volumes, corev1.Volume{
			Name: m.GetVolume(),
			VolumeSource: corev1.VolumeSource{
				PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: m.GetVolume()},
			},
		})
	}
	spec.SecurityContext.SupplementalGroups = slices.Clone(s.GetGroups())
	if len(spec.Volumes) > 0 && !slices.Contains(s.GetGroups(), sharedGroup) { // so far those that keep data
		// An fsGroup would have kubelet change owners and modes that the image or the app gave to what is in there.
		spec.SecurityContext.SupplementalGroups = append(spec.SecurityContext.SupplementalGroups, sharedGroup)
	}
	d.process(&spec, s)
	return spec
}

func (d *desired) container(s *manifestv1.Service) corev1.Container {
	c := corev1.Container{
		Name:            s.GetName(),
		Image:           d.image(s),
		ImagePullPolicy: corev1.PullAlways,
		Command:         literal(s.GetEntrypoint()),
		Args:            literal(s.GetCommand()),
		WorkingDir:      s.GetWorkingDir(),
		Resources:       reserved(s.GetResources()),
		SecurityContext: &corev1.SecurityContext{
			AllowPrivilegeEscalation: new(false),
			ReadOnlyRootFilesystem:   new(s.GetReadOnly()),
			Capabilities:             capabilities(),
		},
		// What a crashed service last said is the best hint there is.
		TerminationMessagePolicy: corev1.TerminationMessageFallbackToLogsOnError,
	}
	for _, e := range s.GetEnv() {
		c.Env = append(c.Env, corev1.EnvVar{Name: e.GetName(), Value: escape(e.GetValue())})
	}
	for _, p := range s.GetPorts() {
		c.Ports = append(c.Ports, corev1.ContainerPort{Name: portName(p), Protocol: protocol(p), ContainerPort: int32(p.GetNumber())})
	}
	for _, m := range s.GetMounts() {
		c.VolumeMounts = append(c.VolumeMounts, corev1.VolumeMount{Name: m.GetVolume(), MountPath: m.GetPath(), SubPath: m.GetSubpath(), ReadOnly: m.GetReadOnly()})
	}
	c.StartupProbe, c.ReadinessProbe = d.probes(s)
	return c
}

// image is where kubelet finds a service's.
func (d *desired) image(s *manifestv1.Service) string {
	return d.cfg.ImagePrefix + "/" + d.id + "/" + s.GetName() + "@" + s.GetDigest()
}

// reserved is request and limit alike: what is not limited can't be priced.
func reserved(ordered *manifestv1.Resources) corev1.ResourceRequirements {
	r := manifest.Reserved(ordered)
	list := corev1.ResourceList{
		corev1.ResourceCPU:              *resource.NewMilliQuantity(r.MilliCPU, resource.DecimalSI),
		corev1.ResourceMemory:           *resource.NewQuantity(r.MemoryBytes, resource.BinarySI),
		corev1.ResourceEphemeralStorage: *resource.NewQuantity(r.EphemeralBytes, resource.BinarySI),
	}
	for name, n := range r.Extended {
		list[corev1.ResourceName(name)] = *resource.NewQuantity(n, resource.DecimalSI)
	}
	return corev1.ResourceRequirements{Requests: list, Limits: list.DeepCopy()}
}

// capabilities are what images need that start as root, take over their data directory and step down to a user of their own. All are within
// Pod Security's baseline.
func capabilities() *corev1.Capabilities {
	return &corev1.Capabilities{
		Drop: []corev1.Capability{"ALL"},
		Add:  []corev1.Capability{"CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "NET_BIND_SERVICE", "SETGID", "SETUID"},
	}
}

func literal(words []string) []string {
	var out []string
	for _, w := range words {
		out = append(out, escape(w))
	}
	return out
}

// escape keeps Kubernetes from expanding $(NAME), which the publisher did not ask for.
func escape(s string) string { return strings.ReplaceAll(s, "$", "$$") }

func portName(p *manifestv1.Port) string { return fmt.Sprintf("%s-%d", p.GetProtocol(), p.GetNumber()) }

func protocol(p *manifestv1.Port) corev1.Protocol {
	if p.GetProtocol() == "udp" {
		return corev1.ProtocolUDP
	}
	return corev1.ProtocolTCP
}
