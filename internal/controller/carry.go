// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"maps"
	"path"
	"slices"
	"strconv"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/apocryph/apocryph/api/v1alpha1"
	manifestv1 "github.com/apocryph/apocryph/internal/gen/manifestv1"
	"github.com/apocryph/apocryph/internal/kube"
)

// What a publisher moves into and out of volumes goes through the carrier, where the volume is mounted: beside the service that has it, in the same pod,
// or, while nobody has it, in a pod of its own. See docs/adr/volumes-are-carried-where-they-are-mounted.md. A service comes first: when it wants the volume,
// that pod goes.

const (
	// labelCarry is on such Jobs and their pods. They are of no service, so no policy lets them reach anything, and nobody reads their logs.
	labelCarry = "apocryph.network/carry"
	// annotationSequence on such a Job is that of the transfer that it is for.
	annotationSequence = "apocryph.network/sequence"

	carrierName = "apocryph-carrier"
	// maxCarriers is how many carriers a pod may have had in its life: what was added to one stays in its record.
	maxCarriers = 16
	// carrierIdle is how long a carrier in a pod of its own stays without work.
	carrierIdle = "120"
)

// spot is what is to be done for one transfer: a carrier is there, is to be added to a pod, or is to have a pod of its own. Nothing of it is said while
// that can only be waited for.
type spot struct {
	v1alpha1.Carrier
	addTo *corev1.Pod
	job   bool
}

// spot decides where a transfer takes place.
func (o *observed) spot(t v1alpha1.Transfer, image string) spot {
	s := spot{Carrier: v1alpha1.Carrier{Volume: t.Volume, Sequence: t.Sequence}}
	i := slices.IndexFunc(o.claims, func(c corev1.PersistentVolumeClaim) bool { return c.Name == t.Volume })
	switch {
	case i < 0 || !o.claims[i].DeletionTimestamp.IsZero():
		s.Problem = "there is no such volume"
	case o.awaited[t.Volume]:
		s.Problem = "it has no content yet: it gets what the image has when its service starts for the first time"
	case o.wanted(t.Volume):
		o.beside(&s, image)
	case o.claims[i].Status.Phase != corev1.ClaimBound:
		s.Problem = "it has no content yet: nothing has ever used it"
	default:
		o.apart(&s)
	}
	return s
}

// wanted reports whether a service has a volume or is about to.
func (o *observed) wanted(volume string) bool {
	return len(o.mounting(volume)) > 0 ||
		slices.ContainsFunc(o.deployments, func(d appsv1.Deployment) bool {
			return replicas(d.Spec.Replicas) > 0 && slices.Contains(claimsOf(&d.Spec.Template.Spec), volume)
		}) ||
		slices.ContainsFunc(slices.Concat(o.jobs, o.fills), func(j batchv1.Job) bool {
			done, failed := outcome(&j)
			return !done && !failed && !suspended(&j) && slices.Contains(claimsOf(&j.Spec.Template.Spec), volume)
		})
}

// mounting are the pods that have a volume, carriers' own left out.
func (o *observed) mounting(volume string) []*corev1.Pod {
	var all []*corev1.Pod
	for i := range o.pods {
		p := &o.pods[i]
		if _, carries := p.Labels[labelCarry]; !carries && !over(p) && slices.Contains(claimsOf(&p.Spec), volume) {
			all = append(all, p)
		}
	}
	return all
}

// beside finds the carrier in a service's pod, or one that needs it. What starts or goes is waited for.
func (o *observed) beside(s *spot, image string) {
	for _, p := range o.mounting(s.Volume) {
		if !p.DeletionTimestamp.IsZero() || p.Spec.NodeName == "" || p.Labels[v1alpha1.LabelService] == "" {
			continue
		}
		for _, c := range slices.Backward(p.Spec.EphemeralContainers) {
			if c.Image != image {
				continue
			}
			state := stateOf(p.Status.EphemeralContainerStatuses, c.Name)
			if state.Running != nil {
				s.Pod, s.Container, s.Path = p.Name, c.Name, path.Join(carrierFolder, volumeIn(&p.Spec, s.Volume))
				return
			}
			if state.Terminated == nil {
				return // it starts
			}
		}
		if len(p.Spec.EphemeralContainers) >= maxCarriers {
			s.Problem = "its service runs out of memory whenever something is moved; give it more, or start it anew: apocryph restart"
			return
		}
		s.addTo = p
		return
	}
}

// apart finds the carrier in a pod of its own. Two must not write to one volume: one that is for another transfer has to be gone first.
func (o *observed) apart(s *spot) {
	for i := range o.carries {
		j := &o.carries[i]
		if j.Labels[v1alpha1.LabelVolume] != s.Volume {
			continue
		}
		if j.Annotations[annotationSequence] != strconv.FormatInt(s.Sequence, 10) || !j.DeletionTimestamp.IsZero() {
			return
		}
		if done, failed := outcome(j); done || failed {
			s.Problem = "what was to move it has ended: " + trim(lastWords(o.newestOf(j)).String())
			return
		}
		if p := o.newestOf(j); p != nil && stateOf(p.Status.ContainerStatuses, carrierName).Running != nil {
			s.Pod, s.Container, s.Path = p.Name, carrierName, path.Join(carrierFolder, s.Volume)
		}
		return
	}
	s.job = true
}

func stateOf(all []corev1.ContainerStatus, name string) corev1.ContainerState {
	for _, c := range all {
		if c.Name == name {
			return c.State
		}
	}
	return corev1.ContainerState{}
}

// volumeIn is what a pod calls the volume of a claim.
func volumeIn(spec *corev1.PodSpec, claim string) string {
	for _, v := range spec.Volumes {
		if v.PersistentVolumeClaim != nil && v.PersistentVolumeClaim.ClaimName == claim {
			return v.Name
		}
	}
	return ""
}

// carry does what the transfers need that the keeper lets happen, and takes away what none needs any more. The gateway may run something in a
// tenant's namespace for as long as there is one.
func (r *Reconciler) carry(ctx context.Context, app *v1alpha1.App, m *manifestv1.Manifest, o *observed) error {
	o.carriers = nil
	d := &desired{id: app.Name, digest: app.Spec.ManifestHash, manifest: m, cfg: r.cfg}
	needed := map[string]bool{}
	for _, t := range app.Status.Transfers {
		if t.Refused != "" || r.now().After(t.Until.Time) {
			continue
		}
		s := o.spot(t, r.cfg.Image)
		needed[carryName(t)] = !o.wanted(t.Volume)
		if err := r.place(ctx, d, t, &s); err != nil {
			return err
		}
		if s.Pod != "" || s.Problem != "" {
			o.carriers = append(o.carriers, s.Carrier)
		}
	}
	if len(app.Status.Transfers)+len(app.Status.Carriers)+len(o.carries) == 0 {
		return nil
	}
	if err := r.open(ctx, d, len(o.carriers) > 0); err != nil {
		return err
	}
	return r.removeJobs(ctx, o.carries, func(j *batchv1.Job) bool { return needed[j.Name] })
}

// place makes a carrier. That the cluster does not take one is said of the transfer, and of nothing else.
func (r *Reconciler) place(ctx context.Context, d *desired, t v1alpha1.Transfer, s *spot) error {
	var err error
	switch {
	case s.addTo != nil:
		patch := client.StrategicMergeFrom(s.addTo.DeepCopy(), client.MergeFromWithOptimisticLock{})
		s.addTo.Spec.EphemeralContainers = append(s.addTo.Spec.EphemeralContainers, d.companion(&s.addTo.Spec))
		err = r.client.SubResource("ephemeralcontainers").Patch(ctx, s.addTo, patch, client.FieldOwner(fieldOwner))
	case s.job:
		err = r.apply(ctx, d.carry(t))
	}
	if apierrors.IsInvalid(err) || apierrors.IsForbidden(err) {
		r.log.WarnContext(ctx, "refused by the cluster", "app", d.id, "volume", t.Volume, "error", err)
		s.Problem = refusal(err.Error())
		return nil
	}
	if apierrors.IsNotFound(err) {
		return nil // the pod went just now
	}
	return err
}

// open binds the right to run a carrier to the gateway, or to nobody.
func (r *Reconciler) open(ctx context.Context, d *desired, wanted bool) error {
	want := d.binding(RoleCarrying)
	if wanted {
		want = d.binding(RoleCarrying, accountGateway)
	}
	have := &rbacv1.RoleBinding{}
	err := r.client.Get(ctx, client.ObjectKeyFromObject(want), have)
	if apierrors.IsNotFound(err) && !wanted {
		return nil
	}
	if client.IgnoreNotFound(err) != nil {
		return err
	}
	if err == nil && len(have.Subjects) == len(want.Subjects) {
		return nil
	}
	return r.apply(ctx, want)
}

// companion is the carrier in a service's pod: it has what the pod's volumes are, and what it takes to give files away. Nothing can be reserved for it: it takes
// of what the service has, and is the first to go when that has no memory left.
func (d *desired) companion(spec *corev1.PodSpec) corev1.EphemeralContainer {
	c := d.waiting("0")
	for n := len(spec.EphemeralContainers); ; n++ {
		c.Name = carrierName + "-" + strconv.Itoa(n)
		if !slices.ContainsFunc(spec.Containers, func(o corev1.Container) bool { return o.Name == c.Name }) {
			break
		}
	}
	for _, v := range spec.Volumes {
		if v.PersistentVolumeClaim != nil {
			c.VolumeMounts = append(c.VolumeMounts, corev1.VolumeMount{Name: v.Name, MountPath: path.Join(carrierFolder, v.Name)})
		}
	}
	return corev1.EphemeralContainer{EphemeralContainerCommon: corev1.EphemeralContainerCommon(c)}
}

// waiting is a carrier that waits for what is run beside it.
func (d *desired) waiting(idle string) corev1.Container {
	c := corev1.Container{
		Name: carrierName, Image: d.cfg.Image, ImagePullPolicy: d.cfg.PullPolicy, Command: []string{carrierProgram}, Args: []string{"wait", idle},
		SecurityContext:          confined("CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID"),
		TerminationMessagePolicy: corev1.TerminationMessageFallbackToLogsOnError,
	}
	c.SecurityContext.RunAsUser, c.SecurityContext.RunAsGroup = new(int64(0)), new(int64(0))
	return c
}

func carryName(t v1alpha1.Transfer) string {
	const most = 63
	tail := "-" + strconv.FormatInt(t.Sequence, 10)
	name := "carry-" + t.Volume
	return name[:min(len(name), most-len(tail))] + tail
}

// carry is a Job for one transfer of a volume that nobody mounts. Its pod has room as the largest service has, within what a carrier can make use of.
func (d *desired) carry(t v1alpha1.Transfer) *batchv1.Job {
	c := d.waiting(carrierIdle)
	largest := slices.MaxFunc(d.manifest.GetServices(), func(a, b *manifestv1.Service) int {
		return int(int64(a.GetResources().GetMemoryBytes()) - int64(b.GetResources().GetMemoryBytes()))
	})
	c.Resources = carrierNeeds(largest.GetResources())
	c.VolumeMounts = []corev1.VolumeMount{{Name: "volume", MountPath: path.Join(carrierFolder, t.Volume)}}
	spec := corev1.PodSpec{
		RestartPolicy:                 corev1.RestartPolicyNever,
		TerminationGracePeriodSeconds: new(int64(1)),
		Containers:                    []corev1.Container{c},
		Volumes:                       []corev1.Volume{claimed("volume", t.Volume)},
	}
	kube.Confine(&spec, d.cfg.UserNamespaces)
	meta := d.meta(carryName(t))
	meta.Annotations = map[string]string{annotationSequence: strconv.FormatInt(t.Sequence, 10)}
	labels := map[string]string{labelCarry: "", v1alpha1.LabelVolume: t.Volume}
	maps.Copy(meta.Labels, labels)
	return &batchv1.Job{
		TypeMeta: kind("batch/v1", "Job"), ObjectMeta: meta,
		Spec: batchv1.JobSpec{
			BackoffLimit: new(int32(0)), PodReplacementPolicy: new(batchv1.Failed),
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels, Finalizers: []string{v1alpha1.FinalizerMeter}}, Spec: spec,
			},
		},
	}
}
