// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/apocryph/apocryph/api/v1alpha1"
	manifestv1 "github.com/apocryph/apocryph/internal/gen/manifestv1"
	"github.com/apocryph/apocryph/internal/kube"
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
	fillSeconds    = 3600
)

// carrierLeast is what the carrier needs, however little its service has.
func carrierLeast() *manifestv1.Resources {
	return &manifestv1.Resources{MilliCpu: 50, MemoryBytes: 16 << 20, EphemeralBytes: 8 << 20}
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
func (d *desired) fills(awaited map[string]bool) ([]*batchv1.Job, error) {
	var jobs []*batchv1.Job
	for _, s := range d.sharings(awaited) {
		j, err := d.fill(s)
		if err != nil {
			return nil, err
		}
		jobs = append(jobs, j)
	}
	return jobs, nil
}

// fill has one container for each service, of its own image, one after the other: whichever image comes first that has something for a volume
// provides it. The provider's program is brought into them by a container of the provider's.
func (d *desired) fill(s *sharing) (*batchv1.Job, error) {
	h := sha256.New()
	for _, service := range s.services {
		digest, err := d.serviceDigest(service)
		if err != nil {
			return nil, fmt.Errorf("service %s: %w", service.GetName(), err)
		}
		_, _ = fmt.Fprintf(h, "%s\x00", digest)
	}
	spec := corev1.PodSpec{
		RestartPolicy:                 corev1.RestartPolicyNever,
		TerminationGracePeriodSeconds: new(int64(1)),
		SecurityContext:               &corev1.PodSecurityContext{RunAsUser: new(int64(0)), RunAsGroup: new(int64(0))},
		Volumes:                       []corev1.Volume{{Name: "carrier", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}},
	}
	kube.Confine(&spec, d.cfg.UserNamespaces)
	for i, v := range d.manifest.GetVolumes() {
		if slices.Contains(s.volumes, v.GetName()) {
			_, _ = fmt.Fprintf(h, "%s\x00%d\x00", v.GetName(), v.GetSizeBytes())
			spec.Volumes = append(spec.Volumes, corev1.Volume{Name: volumeAt(i), VolumeSource: corev1.VolumeSource{
				PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: v.GetName()},
			}})
		}
	}
	spec.InitContainers = []corev1.Container{d.install(s.services[0])}
	for _, service := range s.services {
		spec.InitContainers = append(spec.InitContainers, d.copier(service, s.volumes))
	}
	last := len(spec.InitContainers) - 1
	spec.InitContainers, spec.Containers = spec.InitContainers[:last:last], spec.InitContainers[last:]

	digest := hex.EncodeToString(h.Sum(nil))
	meta := d.meta(jobName("fill", digest))
	meta.Annotations[annotationDigest], meta.Labels[labelFill] = digest, ""
	return &batchv1.Job{
		TypeMeta: kind("batch/v1", "Job"), ObjectMeta: meta,
		Spec: batchv1.JobSpec{
			Suspend: new(true), BackoffLimit: new(int32(fillAttempts)), ActiveDeadlineSeconds: new(int64(fillSeconds)),
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

func volumeAt(i int) string { return "volume-" + strconv.Itoa(i) }

// install copies the carrier to where containers of other images can run it.
func (d *desired) install(s *manifestv1.Service) corev1.Container {
	folder := path.Join(carrierFolder, "bin")
	return corev1.Container{
		Name: "carrier", Image: d.cfg.Image, ImagePullPolicy: d.cfg.PullPolicy,
		Command: []string{carrierProgram}, Args: []string{"install", path.Join(folder, "carrier")},
		Resources: atLeast(s.GetResources(), carrierLeast()), SecurityContext: confined(),
		VolumeMounts:             []corev1.VolumeMount{{Name: "carrier", MountPath: folder}},
		TerminationMessagePolicy: corev1.TerminationMessageFallbackToLogsOnError,
	}
}

// copier is the carrier in a service's own image. It has what it takes to give files away, and no more than the service itself.
func (d *desired) copier(s *manifestv1.Service, volumes []string) corev1.Container {
	folder := path.Join(carrierFolder, "bin")
	group := int64(sharedGroup)
	if s.Group != nil {
		group = s.GetGroup()
	}
	c := corev1.Container{
		Name: s.GetName(), Image: d.image(s), ImagePullPolicy: corev1.PullAlways, WorkingDir: "/",
		Command:                  []string{path.Join(folder, "carrier")},
		Args:                     []string{"fill", strconv.FormatInt(group, 10)},
		Resources:                atLeast(s.GetResources(), carrierLeast()),
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

// atLeast reserves what is more of each.
func atLeast(a, b *manifestv1.Resources) corev1.ResourceRequirements {
	return reserved(&manifestv1.Resources{
		MilliCpu: max(a.GetMilliCpu(), b.GetMilliCpu()), MemoryBytes: max(a.GetMemoryBytes(), b.GetMemoryBytes()), EphemeralBytes: max(a.GetEphemeralBytes(), b.GetEphemeralBytes()),
	})
}

// roomForCarrier widens a quota that is too small for services and one carrier: what is so small costs next to nothing.
func (d *desired) roomForCarrier(hard corev1.ResourceList) {
	var pods manifestv1.Resources
	for _, s := range d.manifest.GetServices() {
		pods.MilliCpu += s.GetResources().GetMilliCpu()
		pods.MemoryBytes += s.GetResources().GetMemoryBytes()
		pods.EphemeralBytes += s.GetResources().GetEphemeralBytes()
	}
	least := carrierLeast()
	for name, q := range map[corev1.ResourceName]*resource.Quantity{
		"cpu":               resource.NewMilliQuantity(int64(pods.MilliCpu+least.MilliCpu), resource.DecimalSI),
		"memory":            resource.NewQuantity(int64(pods.MemoryBytes+least.MemoryBytes), resource.BinarySI),
		"ephemeral-storage": resource.NewQuantity(int64(pods.EphemeralBytes+least.EphemeralBytes), resource.BinarySI),
	} {
		if have := hard["requests."+name]; have.Cmp(*q) < 0 {
			hard["requests."+name], hard["limits."+name] = *q, *q
		}
	}
}

// awaiting are the volumes among claims that have yet to get their content.
func awaiting(claims []corev1.PersistentVolumeClaim) map[string]bool {
	all := map[string]bool{}
	for _, c := range claims {
		if c.Annotations[annotationContent] == contentAwaited {
			all[c.Name] = true
		}
	}
	return all
}

// expect adds the claims that are yet to be made to those that await their content.
func (o *observed) expect(objects []client.Object) {
	o.awaited = awaiting(o.claims)
	for _, obj := range objects {
		if c, ok := obj.(*corev1.PersistentVolumeClaim); ok && !slices.ContainsFunc(o.claims, func(have corev1.PersistentVolumeClaim) bool { return have.Name == c.Name }) {
			o.awaited[c.Name] = true
		}
	}
}

// unfilled says which of the volumes that a pod would mount have yet to get their content.
func (o *observed) unfilled(spec *corev1.PodSpec) lack {
	var names []string
	for _, name := range claimsOf(spec) {
		if o.awaited[name] {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return lack{}
	}
	slices.Sort(names)
	what := "it waits for what the image has for volume " + strings.Join(names, ", ")
	i := slices.IndexFunc(o.fills, func(j batchv1.Job) bool {
		return j.DeletionTimestamp.IsZero() && slices.Contains(claimsOf(&j.Spec.Template.Spec), names[0])
	})
	if i < 0 {
		return lack{pending: []string{what}}
	}
	if why := o.fillBlocked(&o.fills[i]).String(); why != "" {
		what += ": " + why
	}
	if _, failed := outcome(&o.fills[i]); failed {
		return lack{failed: []string{what}}
	}
	return lack{pending: []string{what}}
}

func claimsOf(spec *corev1.PodSpec) []string {
	var names []string
	for _, v := range spec.Volumes {
		if v.PersistentVolumeClaim != nil {
			names = append(names, v.PersistentVolumeClaim.ClaimName)
		}
	}
	return names
}

const remedyFill = "give the volume more room (x-apocryph: {size}), or keep what the image has out of it (volume: {nocopy: true})"

// fillBlocked is what keeps a volume from getting its content.
func (o *observed) fillBlocked(j *batchv1.Job) cause {
	var newest *corev1.Pod
	for i := range o.pods {
		if p := &o.pods[i]; p.Labels[batchv1.JobNameLabel] == j.Name && (newest == nil || newest.CreationTimestamp.Before(&p.CreationTimestamp)) {
			newest = p
		}
	}
	if newest == nil {
		return cause{}
	}
	for _, c := range slices.Concat(newest.Status.InitContainerStatuses, newest.Status.ContainerStatuses) {
		if t := c.State.Terminated; t != nil && t.ExitCode == 0 || c.State.Waiting != nil && c.State.Waiting.Reason == "PodInitializing" {
			continue
		}
		why := containerBlocked(c, 0, false)
		if c.State.Terminated != nil {
			why.remedy = remedyFill
		}
		if why.what != "" {
			return why
		}
	}
	newest = newest.DeepCopy()
	newest.Status.ContainerStatuses = nil
	return podBlocked(newest, nil, nil)
}

// settle remembers of the volumes that have their content that they do, so that they never get it again.
func (r *Reconciler) settle(ctx context.Context, o *observed) error {
	for i := range o.fills {
		if done, _ := outcome(&o.fills[i]); !done {
			continue
		}
		for _, name := range claimsOf(&o.fills[i].Spec.Template.Spec) {
			k := slices.IndexFunc(o.claims, func(c corev1.PersistentVolumeClaim) bool { return c.Name == name })
			if k < 0 || !o.awaited[name] {
				continue
			}
			c := &o.claims[k]
			patch := client.MergeFrom(c.DeepCopy())
			c.Annotations[annotationContent] = contentThere
			if err := r.client.Patch(ctx, c, patch, client.FieldOwner(fieldOwner)); err != nil {
				return fmt.Errorf("noting that volume %s has its content: %w", name, err)
			}
			delete(o.awaited, name)
		}
	}
	return nil
}

// letFill starts and stops the Jobs that bring content. One waits for what is on its way out: two must not write to one volume.
func (r *Reconciler) letFill(ctx context.Context, o *observed, in intent) error {
	leaving := slices.ContainsFunc(o.fills, func(j batchv1.Job) bool { return !j.DeletionTimestamp.IsZero() })
	for i := range o.fills {
		if suspended(&o.fills[i]) && (leaving || in.replicas == 0) {
			continue
		}
		if err := r.refuse(ctx, &o.fills[i], r.suspend(ctx, &o.fills[i], in.replicas == 0), o); err != nil {
			return err
		}
	}
	return nil
}
