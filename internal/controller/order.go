// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/apocryph/apocryph/api/v1alpha1"
	manifestv1 "github.com/apocryph/apocryph/internal/gen/manifestv1"
)

// The order in which services start is kept by not starting them: a Deployment keeps its zero replicas, and a Job stays suspended, until
// all that it comes after is there. Nothing of it costs anything meanwhile. What runs goes on when something that it came after fails; a new
// version waits for the new versions of what it comes after, and the old one serves until then.

// annotationAfter on a Deployment or Job says what it starts after, as in "db=healthy,migrate=completed".
const annotationAfter = "apocryph.network/after"

const (
	afterStarted   = "started"
	afterHealthy   = "healthy"
	afterCompleted = "completed"
)

func encodeAfter(all []*manifestv1.Dependency) string {
	var words []string
	for _, d := range all {
		condition := afterStarted
		switch d.GetCondition() {
		case manifestv1.Condition_CONDITION_HEALTHY:
			condition = afterHealthy
		case manifestv1.Condition_CONDITION_COMPLETED:
			condition = afterCompleted
		case manifestv1.Condition_CONDITION_UNSPECIFIED:
		}
		words = append(words, d.GetService()+"="+condition)
	}
	return strings.Join(words, ",")
}

// lack is what is not yet as wanted of what comes first, in words.
type lack struct {
	pending []string
	// failed will not come about before the next order.
	failed []string
}

func (l lack) and(m lack) lack {
	return lack{slices.Concat(l.pending, m.pending), slices.Concat(l.failed, m.failed)}
}

func (l lack) String() string { return strings.Join(slices.Concat(l.pending, l.failed), ", ") }

// waits says what a service waits for before it may start. To an old version the others are good enough in their old ones.
func (o *observed) waits(after string, old bool) lack {
	var l lack
	for word := range strings.SplitSeq(after, ",") {
		service, condition, ok := strings.Cut(word, "=")
		if !ok {
			continue
		}
		switch why, failed := o.missing(service, condition, old); {
		case failed:
			l.failed = append(l.failed, why)
		case why != "":
			l.pending = append(l.pending, why)
		}
	}
	return l
}

// missing says what is not yet as wanted of one service that comes first, or "", and whether that has failed.
func (o *observed) missing(service, condition string, old bool) (why string, failed bool) {
	job, deployment := o.job(service), o.deployment(service)
	if o.outdated[service] && !old {
		job, deployment = nil, nil
	}
	if job != nil {
		done, failed := outcome(job)
		switch {
		case done, failed && condition == afterStarted: // what is done was ready and started, too
			return "", false
		case failed:
			return "service " + service + " has failed", true
		case condition == afterStarted && o.started(service, batchv1.JobNameLabel, job.Name):
			return "", false
		case condition == afterHealthy && job.Status.Ready != nil && *job.Status.Ready > 0:
			return "", false
		}
	}
	if deployment != nil {
		switch condition {
		case afterStarted:
			if hash := o.newest(deployment); hash != "" && o.started(service, appsv1.DefaultDeploymentUniqueLabelKey, hash) {
				return "", false
			}
		case afterHealthy:
			if n := replicas(deployment.Spec.Replicas); n > 0 && rolled(deployment, n) {
				return "", false
			}
		}
	}
	return "it waits for service " + service + " to " + cmp.Or(map[string]string{afterHealthy: "be healthy", afterCompleted: "be done"}[condition], "start"), false
}

// newest is the hash in the labels of those pods that are of a Deployment's present template; "" while none can be.
func (o *observed) newest(d *appsv1.Deployment) string {
	const revision = "deployment.kubernetes.io/revision"
	if d.Status.ObservedGeneration < d.Generation {
		return ""
	}
	for _, rs := range o.replicaSets {
		if rs.Labels[v1alpha1.LabelService] == d.Name && rs.Annotations[revision] != "" && rs.Annotations[revision] == d.Annotations[revision] {
			return rs.Labels[appsv1.DefaultDeploymentUniqueLabelKey]
		}
	}
	return ""
}

// started reports whether a container of a service's pods with this label runs or has run.
func (o *observed) started(service, label, value string) bool {
	return slices.ContainsFunc(o.pods, func(p corev1.Pod) bool {
		return p.Labels[v1alpha1.LabelService] == service && p.Labels[label] == value && p.DeletionTimestamp.IsZero() &&
			slices.ContainsFunc(p.Status.ContainerStatuses, func(c corev1.ContainerStatus) bool {
				return c.State.Running != nil || c.State.Terminated != nil || c.LastTerminationState.Terminated != nil
			})
	})
}

// wait notes what a Deployment or Job waits for, and reports whether it does. Two versions of a service, one of which is a Job, are not at
// work side by side: they might write to one volume. An old version that is held waits for nothing that has failed:
// what it came after was there once, in its own version.
func (o *observed) wait(obj client.Object, held bool) bool {
	l := o.waits(obj.GetAnnotations()[annotationAfter], held)
	if held {
		l.failed = nil
	}
	service, volumes := obj.GetLabels()[v1alpha1.LabelService], o.unfilled(podSpec(obj))
	o.unfillable[service] = o.unfillable[service] || len(volumes.failed) > 0
	why := l.and(volumes).String()
	if why == "" && o.preceded(obj) {
		why = "it waits for what ran before it to end"
	}
	if why != "" {
		o.waiting[service] = why
	}
	return why != ""
}

func podSpec(obj client.Object) *corev1.PodSpec {
	switch obj := obj.(type) {
	case *appsv1.Deployment:
		return &obj.Spec.Template.Spec
	case *batchv1.Job:
		return &obj.Spec.Template.Spec
	}
	return &corev1.PodSpec{}
}

// findOutdated lists the services whose Deployment or Job is not there as wanted.
func (o *observed) findOutdated(objects []client.Object) map[string]bool {
	found := map[string]bool{}
	for _, want := range objects {
		service := want.GetLabels()[v1alpha1.LabelService]
		switch w := want.(type) {
		case *appsv1.Deployment:
			have := o.deployment(service)
			found[service] = have == nil || have.Annotations[annotationDigest] != w.Annotations[annotationDigest]
		case *batchv1.Job:
			have := o.job(service)
			found[service] = have == nil || have.Name != w.Name
		}
	}
	maps.DeleteFunc(found, func(_ string, outdated bool) bool { return !outdated })
	return found
}
