// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/apocryph/apocryph/api/v1alpha1"
	manifestv1 "github.com/apocryph/apocryph/internal/gen/manifestv1"
)

// ends reports whether a service is one that does its work and is done. It is a Job: see docs/adr/one-shots-are-jobs.md.
func ends(s *manifestv1.Service) bool {
	return s.GetRestart() != manifestv1.Restart_RESTART_UNSPECIFIED
}

// job runs a service once for each version of it: another version has another name. It is born suspended, as a Deployment is born with no
// replicas.
func (d *desired) job(s *manifestv1.Service, digest string) client.Object {
	template := d.template(s)
	spec := batchv1.JobSpec{Suspend: new(true)}
	template.Spec.RestartPolicy = corev1.RestartPolicyNever
	switch {
	case s.GetRestart() == manifestv1.Restart_RESTART_NEVER:
		spec.BackoffLimit = new(int32(0))
	case s.GetRestartAttempts() > 0:
		spec.BackoffLimit = new(int32(s.GetRestartAttempts()))
	default: // without end, so in one pod: failed ones would pile up
		spec.BackoffLimit = new(int32(math.MaxInt32))
		template.Spec.RestartPolicy = corev1.RestartPolicyOnFailure
	}
	if template.Spec.RestartPolicy == corev1.RestartPolicyNever {
		// That a machine goes away is no failure of the service.
		spec.PodFailurePolicy = disruptionIsNoFailure()
	}
	// Two pods must not write to one volume: another one comes when the last is over, not when it begins to end.
	spec.PodReplacementPolicy = new(batchv1.Failed)
	spec.Template = template
	return &batchv1.Job{
		TypeMeta: kind("batch/v1", "Job"), ObjectMeta: d.workloadMeta(s, jobName(s.GetName(), digest), digest), Spec: spec,
	}
}

func disruptionIsNoFailure() *batchv1.PodFailurePolicy {
	return &batchv1.PodFailurePolicy{Rules: []batchv1.PodFailurePolicyRule{{
		Action: batchv1.PodFailurePolicyActionIgnore,
		OnPodConditions: []batchv1.PodFailurePolicyOnPodConditionsPattern{
			{Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue},
		},
	}}}
}

// jobName fits into a label's value, as Kubernetes wants it.
func jobName(service, digest string) string {
	const tail, most = 16, 63
	return service[:min(len(service), most-tail-1)] + "-" + digest[:tail]
}

// job returns a service's newest one that is not on its way out, or nil.
func (o *observed) job(service string) *batchv1.Job {
	var newest *batchv1.Job
	for i := range o.jobs {
		j := &o.jobs[i]
		if j.Labels[v1alpha1.LabelService] != service || !j.DeletionTimestamp.IsZero() {
			continue
		}
		if newest == nil || newest.CreationTimestamp.Before(&j.CreationTimestamp) {
			newest = j
		}
	}
	return newest
}

// outcome of a Job: at most one of done and failed is true.
func outcome(j *batchv1.Job) (done, failed bool) {
	for _, c := range j.Status.Conditions {
		if c.Status != corev1.ConditionTrue {
			continue
		}
		switch c.Type {
		case batchv1.JobComplete, batchv1.JobSuccessCriteriaMet:
			done = true
		case batchv1.JobFailed, batchv1.JobFailureTarget:
			failed = true
		case batchv1.JobSuspended:
		}
	}
	return done && !failed, failed
}

func suspended(j *batchv1.Job) bool { return j.Spec.Suspend != nil && *j.Spec.Suspend }

// busy reports whether a Job is at work: not one that has yet to start, for want of its image or of room, say, which may be for ever. An app
// does not fall asleep over it.
func (o *observed) busy() bool {
	for i := range o.jobs {
		j := &o.jobs[i]
		done, failed := outcome(j)
		if !done && !failed && !suspended(j) && j.DeletionTimestamp.IsZero() && o.started(j.Labels[v1alpha1.LabelService], batchv1.JobNameLabel, j.Name) {
			return true
		}
	}
	return false
}

// suspend lets a Job's pods be made, or takes them away. One that is over stays as it is.
func (r *Reconciler) suspend(ctx context.Context, j *batchv1.Job, want bool) error {
	if done, failed := outcome(j); done || failed || suspended(j) == want || !j.DeletionTimestamp.IsZero() {
		return nil
	}
	patch := client.MergeFrom(j.DeepCopy())
	j.Spec.Suspend = &want
	if err := r.client.Patch(ctx, j, patch, client.FieldOwner(fieldOwner)); err != nil {
		return fmt.Errorf("suspending %s (%t): %w", j.Name, want, err)
	}
	return nil
}

// removeJobs deletes the Jobs that are not kept. Each stays to be seen until the last of its pods is gone.
func (r *Reconciler) removeJobs(ctx context.Context, jobs []batchv1.Job, keep func(*batchv1.Job) bool) error {
	for i := range jobs {
		j := &jobs[i]
		if keep(j) || !j.DeletionTimestamp.IsZero() {
			continue
		}
		uid := j.UID
		err := r.client.Delete(ctx, j, client.Preconditions{UID: &uid}, client.PropagationPolicy(metav1.DeletePropagationForeground))
		if client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("deleting Job %s: %w", j.Name, err)
		}
	}
	return nil
}

// jobStatus is what a service that ends says of itself: it is wanted until it has done its work, and as good as ready while it is at it.
func jobStatus(st *v1alpha1.ServiceStatus, j *batchv1.Job, newest *corev1.Pod) {
	if j == nil || st.Wanted == 0 {
		return
	}
	done, failed := outcome(j)
	switch {
	case done:
		st.Wanted, st.Blocked = 0, ""
	case failed:
		why := lastWords(newest)
		why.what = "it has failed: " + cmp.Or(why.what, "it did not end in time")
		st.Blocked = why.String()
	case newest == nil || suspended(j) || newest.Status.Phase == corev1.PodSucceeded:
	case slices.ContainsFunc(newest.Status.ContainerStatuses, func(c corev1.ContainerStatus) bool { return c.State.Running != nil }):
		st.Ready = st.Wanted
	case st.Blocked == "":
		st.Blocked = podBlocked(newest, nil, nil).String()
	}
}

// lastWords of a pod's container that ended.
func lastWords(p *corev1.Pod) cause {
	if p == nil {
		return cause{}
	}
	for _, c := range p.Status.ContainerStatuses {
		if t := c.State.Terminated; t != nil {
			return exited(t, c.RestartCount)
		}
	}
	return cause{what: p.Status.Reason + " " + p.Status.Message}
}
