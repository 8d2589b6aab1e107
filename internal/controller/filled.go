// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

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
		return j.DeletionTimestamp.IsZero() && slices.Contains(filledBy(&j), names[0])
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

// filledBy are the claims that a Job brings content to: of those that its pod names, what it mounts.
func filledBy(j *batchv1.Job) []string {
	spec := &j.Spec.Template.Spec
	var names []string
	for _, v := range spec.Volumes {
		mounted := slices.ContainsFunc(slices.Concat(spec.InitContainers, spec.Containers), func(c corev1.Container) bool {
			return slices.ContainsFunc(c.VolumeMounts, func(m corev1.VolumeMount) bool { return m.Name == v.Name })
		})
		if mounted && v.PersistentVolumeClaim != nil {
			names = append(names, v.PersistentVolumeClaim.ClaimName)
		}
	}
	return names
}

const (
	// exitFull is how the carrier ends when a volume has no room for what the image has.
	exitFull = 28
	// fillPause is how long after a failure that may pass it is tried again.
	fillPause = 10 * time.Minute

	remedyNoCopy = "to have the volume begin empty: volume: {nocopy: true}"
	remedyFull   = "give the volume more room (x-apocryph: {size}), or keep what the image has out of it (volume: {nocopy: true})"
	remedyAgain  = "it is tried again, and if it stays so, ask the provider"

	reasonDeadline = "DeadlineExceeded"
)

// newestOf is the last pod that a Job made, or nil.
func (o *observed) newestOf(j *batchv1.Job) *corev1.Pod {
	var newest *corev1.Pod
	for i := range o.pods {
		if p := &o.pods[i]; p.Labels[batchv1.JobNameLabel] == j.Name && (newest == nil || newest.CreationTimestamp.Before(&p.CreationTimestamp)) {
			newest = p
		}
	}
	return newest
}

// fillBlocked is what keeps a volume from getting its content.
func (o *observed) fillBlocked(j *batchv1.Job) cause {
	newest := o.newestOf(j)
	switch {
	case newest == nil:
		return withoutPod(j)
	case newest.Status.Reason == reasonDeadline:
		return cause{"it was not done within an hour", remedyAgain}
	case newest.Status.Phase == corev1.PodFailed && newest.Status.Reason != "":
		return podBlocked(newest, nil, nil)
	}
	for _, c := range slices.Concat(newest.Status.InitContainerStatuses, newest.Status.ContainerStatuses) {
		t := c.State.Terminated
		if t != nil && t.ExitCode == 0 || c.State.Waiting != nil && c.State.Waiting.Reason == "PodInitializing" {
			continue
		}
		why := containerBlocked(c, 0, false)
		switch { // nobody reads a log of it
		case t != nil && t.ExitCode == exitFull:
			why.remedy = remedyFull
		case t != nil && t.Reason != reasonOOM:
			why.remedy = remedyNoCopy
		}
		if why.what != "" {
			return why
		}
	}
	newest = newest.DeepCopy()
	newest.Status.ContainerStatuses = nil
	return podBlocked(newest, nil, nil)
}

// withoutPod is why a Job has none: it lost the last of them, or none could be made yet, which the cluster says only in an event.
func withoutPod(j *batchv1.Job) cause {
	for _, c := range j.Status.Conditions {
		if c.Type == batchv1.JobFailed && c.Status == corev1.ConditionTrue {
			return cause{c.Reason + ": " + c.Message, remedyAgain}
		}
	}
	if !suspended(j) && j.Status.StartTime != nil {
		return cause{what: "no pod is made for it yet"}
	}
	return cause{}
}

// mayPass reports whether a Job failed, some time ago, over something other than what the carrier itself found: the same would come of that.
func (o *observed) mayPass(j *batchv1.Job, now time.Time) bool {
	if !slices.ContainsFunc(j.Status.Conditions, func(c batchv1.JobCondition) bool {
		return c.Type == batchv1.JobFailed && c.Status == corev1.ConditionTrue && !now.Before(c.LastTransitionTime.Add(fillPause))
	}) {
		return false
	}
	newest := o.newestOf(j)
	return newest == nil || newest.Status.Reason != "" ||
		!slices.ContainsFunc(slices.Concat(newest.Status.InitContainerStatuses, newest.Status.ContainerStatuses), func(c corev1.ContainerStatus) bool {
			return c.State.Terminated != nil && slices.Contains([]string{"Error", reasonOOM}, c.State.Terminated.Reason)
		})
}

// settle remembers of the volumes that have their content that they do, so that they never get it again.
func (r *Reconciler) settle(ctx context.Context, o *observed) error {
	for i := range o.fills {
		if done, _ := outcome(&o.fills[i]); !done {
			continue
		}
		for _, name := range filledBy(&o.fills[i]) {
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

// letFill starts and stops the Jobs that bring content. One waits for what is on its way out: two must not write to one volume. One whose
// volumes are not all known to await it never starts: an app may be using them.
func (r *Reconciler) letFill(ctx context.Context, o *observed, in intent) error {
	leaving := slices.ContainsFunc(o.fills, func(j batchv1.Job) bool { return !j.DeletionTimestamp.IsZero() })
	for i := range o.fills {
		used := slices.ContainsFunc(filledBy(&o.fills[i]), func(name string) bool { return !o.awaited[name] })
		if suspended(&o.fills[i]) && (leaving || used || in.replicas == 0) {
			continue
		}
		if err := r.refuse(ctx, &o.fills[i], r.suspend(ctx, &o.fills[i], in.replicas == 0), o); err != nil {
			return err
		}
	}
	return nil
}
