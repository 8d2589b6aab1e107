// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strconv"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/apocryph/apocryph/api/v1alpha1"
	manifestv1 "github.com/apocryph/apocryph/internal/gen/manifestv1"
	"github.com/apocryph/apocryph/internal/kube"
	"github.com/apocryph/apocryph/internal/manifest"
)

// A new volume begins with what the image has where it is mounted, as with Docker. A Job brings it there, once, before the first start of
// whatever mounts the volume: see docs/adr/new-volumes-filled-by-a-job.md. Nothing that mounts a volume starts before that is done, so the
// Job's pod takes no room that its services use.

const (
	// annotationContent on a claim says whether a volume has yet to get what images have for it. A claim without it is older than that.
	annotationContent = "apocryph.network/content"
	contentAwaited    = "awaited"
	contentThere      = "there"
	// labelFill is on such Jobs and their pods. They are of no service, so no policy lets them reach anything, and nobody reads their logs.
	labelFill = "apocryph.network/fill"

	carrierProgram = "/usr/local/bin/carrier"
	carrierFolder  = "/.apocryph"
	fillAttempts   = 3
	// fillSeconds is for one attempt, from when a machine took it on: until then it waits as any pod does.
	fillSeconds = 3600
)

// carrierLeast is what the carrier needs, however little its service has.
func carrierLeast() *manifestv1.Resources {
	return &manifestv1.Resources{MilliCpu: 50, MemoryBytes: 16 << 20, EphemeralBytes: 8 << 20}
}

// carrierMost is what the carrier can make use of. It may run beside an old version of its service, on a machine that is nearly full.
func carrierMost() *manifestv1.Resources {
	return &manifestv1.Resources{MilliCpu: 500, MemoryBytes: 128 << 20, EphemeralBytes: 64 << 20}
}

// sharing are services and the new volumes that they mount, none of which is mounted by any other service.
type sharing struct {
	services []*manifestv1.Service
	volumes  []string
}

// sharings finds who has to wait for whom, the services of each in the order in which they start.
func (d *desired) sharings(awaited map[string]bool) []*sharing {
	var all []*sharing
	for _, s := range startOrder(d.manifest.GetServices()) {
		one := &sharing{}
		for _, m := range s.GetMounts() {
			if awaited[m.GetVolume()] && !slices.Contains(one.volumes, m.GetVolume()) {
				one.volumes = append(one.volumes, m.GetVolume())
			}
		}
		if len(one.volumes) == 0 {
			continue
		}
		all = slices.DeleteFunc(all, func(other *sharing) bool {
			if !slices.ContainsFunc(other.volumes, func(v string) bool { return slices.Contains(one.volumes, v) }) {
				return false
			}
			one.services, one.volumes = append(one.services, other.services...), append(one.volumes, other.volumes...)
			return true
		})
		one.services = append(one.services, s)
		all = append(all, one)
	}
	order := startOrder(d.manifest.GetServices())
	for _, one := range all {
		slices.Sort(one.volumes)
		one.volumes = slices.Compact(one.volumes)
		slices.SortFunc(one.services, func(a, b *manifestv1.Service) int { return slices.Index(order, a) - slices.Index(order, b) })
	}
	return all
}

// startOrder has each service after those that it depends on; there are no cycles.
func startOrder(services []*manifestv1.Service) []*manifestv1.Service {
	var order []*manifestv1.Service
	var add func(s *manifestv1.Service)
	add = func(s *manifestv1.Service) {
		if slices.Contains(order, s) {
			return
		}
		for _, d := range s.GetDependsOn() {
			if i := slices.IndexFunc(services, func(o *manifestv1.Service) bool { return o.GetName() == d.GetService() }); i >= 0 {
				add(services[i])
			}
		}
		order = append(order, s)
	}
	for _, s := range services {
		add(s)
	}
	return order
}

// fills are the Jobs that bring content into volumes that await it.
func (d *desired) fills(o *observed) ([]*batchv1.Job, error) {
	var jobs []*batchv1.Job
	for _, s := range d.sharings(o.awaited) {
		j, err := d.fill(s, o)
		if err != nil {
			return nil, err
		}
		jobs = append(jobs, j)
	}
	return jobs, nil
}

// fill has one container for each service, of its own image, one after the other: whichever image comes first that has something for a volume
// provides it. The provider's program is brought into them by a container of the provider's. Whatever changes makes it another Job, another
// image of the provider's too, for no policy lets the old one run.
func (d *desired) fill(s *sharing, o *observed) (*batchv1.Job, error) {
	spec := corev1.PodSpec{
		ActiveDeadlineSeconds:         new(int64(fillSeconds)),
		RestartPolicy:                 corev1.RestartPolicyNever,
		TerminationGracePeriodSeconds: new(int64(1)),
		SecurityContext:               &corev1.PodSecurityContext{RunAsUser: new(int64(0)), RunAsGroup: new(int64(0))},
		Volumes:                       []corev1.Volume{{Name: "carrier", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}},
	}
	kube.Confine(&spec, d.cfg.UserNamespaces)
	for i, v := range d.manifest.GetVolumes() {
		if slices.Contains(s.volumes, v.GetName()) {
			spec.Volumes = append(spec.Volumes, claimed(volumeAt(i), v.GetName()))
		}
	}
	d.beside(&spec, s, o)
	spec.InitContainers = []corev1.Container{d.install(s.services[0])}
	for _, service := range s.services {
		spec.InitContainers = append(spec.InitContainers, d.copier(service, s.volumes))
	}
	last := len(spec.InitContainers) - 1
	spec.InitContainers, spec.Containers = spec.InitContainers[:last:last], spec.InitContainers[last:]

	digest, err := d.fillDigest(s, &spec)
	if err != nil {
		return nil, err
	}
	meta := d.meta(jobName("fill", digest))
	meta.Annotations[annotationDigest], meta.Labels[labelFill] = digest, ""
	return &batchv1.Job{
		TypeMeta: kind("batch/v1", "Job"), ObjectMeta: meta,
		Spec: batchv1.JobSpec{
			Suspend: new(true), BackoffLimit: new(int32(fillAttempts)),
			PodReplacementPolicy: new(batchv1.Failed), PodFailurePolicy: disruptionIsNoFailure(),
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{
					Labels: map[string]string{labelFill: "", v1alpha1.LabelVolume: s.volumes[0]}, Finalizers: []string{v1alpha1.FinalizerMeter},
				},
				Spec: spec,
			},
		},
	}, nil
}

func (d *desired) fillDigest(s *sharing, spec *corev1.PodSpec) (string, error) {
	h := sha256.New()
	for _, service := range s.services {
		digest, err := d.serviceDigest(service)
		if err != nil {
			return "", fmt.Errorf("service %s: %w", service.GetName(), err)
		}
		_, _ = fmt.Fprintf(h, "%s\x00", digest)
	}
	for _, v := range d.manifest.GetVolumes() {
		if slices.Contains(s.volumes, v.GetName()) {
			_, _ = fmt.Fprintf(h, "%s\x00%d\x00", v.GetName(), v.GetSizeBytes())
		}
	}
	b, err := json.Marshal(spec)
	if err != nil {
		return "", err
	}
	_, _ = h.Write(b)
	return hex.EncodeToString(h.Sum(nil)), nil
}

func volumeAt(i int) string { return "volume-" + strconv.Itoa(i) }

func claimed(name, claim string) corev1.Volume {
	return corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{
		PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: claim},
	}}
}

// beside puts a pod where its services' other volumes are: a new volume may be made on the machine of the first pod that has it, and nothing
// could mount both if that were another one. Where such a volume is in use, the pod goes to who uses it; else it names the volume and does
// not mount it, for the scheduler to see.
func (d *desired) beside(spec *corev1.PodSpec, s *sharing, o *observed) {
	for i, v := range d.manifest.GetVolumes() {
		if slices.Contains(s.volumes, v.GetName()) || !slices.ContainsFunc(s.services, func(s *manifestv1.Service) bool { return mounts(s, v.GetName()) }) {
			continue
		}
		users := o.users(v.GetName())
		if len(users) == 0 {
			spec.Volumes = append(spec.Volumes, claimed("beside-"+strconv.Itoa(i), v.GetName()))
			continue
		}
		if spec.Affinity == nil {
			spec.Affinity = &corev1.Affinity{PodAffinity: &corev1.PodAffinity{}}
		}
		near := &spec.Affinity.PodAffinity.RequiredDuringSchedulingIgnoredDuringExecution
		*near = append(*near, corev1.PodAffinityTerm{
			TopologyKey: corev1.LabelHostname,
			LabelSelector: &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{
				{Key: v1alpha1.LabelService, Operator: metav1.LabelSelectorOpIn, Values: users},
			}},
		})
	}
}

func mounts(s *manifestv1.Service, volume string) bool {
	return slices.ContainsFunc(s.GetMounts(), func(m *manifestv1.Mount) bool { return m.GetVolume() == volume })
}

// users are the services that run, in whatever version, and mount a volume.
func (o *observed) users(volume string) []string {
	var names []string
	for i := range o.deployments {
		d := &o.deployments[i]
		if replicas(d.Spec.Replicas) > 0 && slices.Contains(claimsOf(&d.Spec.Template.Spec), volume) {
			names = append(names, d.Name)
		}
	}
	slices.Sort(names)
	return names
}

// install copies the carrier to where containers of other images can run it.
func (d *desired) install(s *manifestv1.Service) corev1.Container {
	folder := path.Join(carrierFolder, "bin")
	return corev1.Container{
		Name: "carrier", Image: d.cfg.Image, ImagePullPolicy: d.cfg.PullPolicy,
		Command: []string{carrierProgram}, Args: []string{"install", path.Join(folder, "carrier")},
		Resources: carrierNeeds(s.GetResources()), SecurityContext: confined(),
		VolumeMounts:             []corev1.VolumeMount{{Name: "carrier", MountPath: folder}},
		TerminationMessagePolicy: corev1.TerminationMessageFallbackToLogsOnError,
	}
}

// copier is the carrier in a service's own image. It has what it takes to give files away, and no more than the service itself.
func (d *desired) copier(s *manifestv1.Service, volumes []string) corev1.Container {
	folder := path.Join(carrierFolder, "bin")
	c := corev1.Container{
		Name: s.GetName(), Image: d.image(s), ImagePullPolicy: corev1.PullAlways, WorkingDir: "/",
		Command:                  []string{path.Join(folder, "carrier")},
		Args:                     []string{"fill", strconv.Itoa(sharedGroup)},
		Resources:                carrierNeeds(s.GetResources()),
		SecurityContext:          confined("CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID"),
		VolumeMounts:             []corev1.VolumeMount{{Name: "carrier", MountPath: folder, ReadOnly: true}},
		TerminationMessagePolicy: corev1.TerminationMessageFallbackToLogsOnError,
	}
	for i, v := range d.manifest.GetVolumes() {
		mounts := slices.DeleteFunc(slices.Clone(s.GetMounts()), func(m *manifestv1.Mount) bool { return m.GetVolume() != v.GetName() })
		if len(mounts) == 0 || !slices.Contains(volumes, v.GetName()) {
			continue
		}
		at, from := path.Join(carrierFolder, volumeAt(i)), ""
		for _, m := range mounts {
			if from == "" && !m.GetNoCopy() && m.GetSubpath() == "" {
				from = m.GetPath()
			}
		}
		c.Args = append(c.Args, at, escape(from))
		c.VolumeMounts = append(c.VolumeMounts, corev1.VolumeMount{Name: volumeAt(i), MountPath: at})
	}
	return c
}

func confined(capabilities ...corev1.Capability) *corev1.SecurityContext {
	return &corev1.SecurityContext{
		AllowPrivilegeEscalation: new(false), ReadOnlyRootFilesystem: new(true),
		Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}, Add: capabilities},
	}
}

// carrierNeeds is what its service has, within what the carrier needs and what it can make use of.
func carrierNeeds(of *manifestv1.Resources) corev1.ResourceRequirements {
	least, most := carrierLeast(), carrierMost()
	within := func(get func(*manifestv1.Resources) uint64) uint64 { return max(get(least), min(get(of), get(most))) }
	return reserved(&manifestv1.Resources{
		MilliCpu:       within((*manifestv1.Resources).GetMilliCpu),
		MemoryBytes:    within((*manifestv1.Resources).GetMemoryBytes),
		EphemeralBytes: within((*manifestv1.Resources).GetEphemeralBytes),
	})
}

// roomForCarrier widens a quota that is too small for services and one carrier: what is so small costs next to nothing.
func (d *desired) roomForCarrier(hard corev1.ResourceList) {
	pods, _ := manifest.Rate(d.manifest)
	all := pods.Add(manifest.Reserved(carrierLeast()))
	for name, q := range map[corev1.ResourceName]*resource.Quantity{
		"cpu":               resource.NewMilliQuantity(all.MilliCPU, resource.DecimalSI),
		"memory":            resource.NewQuantity(all.MemoryBytes, resource.BinarySI),
		"ephemeral-storage": resource.NewQuantity(all.EphemeralBytes, resource.BinarySI),
	} {
		if have := hard["requests."+name]; have.Cmp(*q) < 0 {
			hard["requests."+name], hard["limits."+name] = *q, *q
		}
	}
}
