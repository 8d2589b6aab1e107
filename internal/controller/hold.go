// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/apocryph/apocryph/api/v1alpha1"
	manifestv1 "github.com/apocryph/apocryph/internal/gen/manifestv1"
)

// A service whose new version waits, or did not come up, is held: its old version serves on, with the names that lead to it and with what it
// may need of its own time.

// annotationRan on a Deployment is the digest of the last version that was let run. Only what ran is worth coming back to.
const annotationRan = "apocryph.network/ran"

func ran(d *appsv1.Deployment) bool {
	return d.Annotations[annotationRan] != "" && d.Annotations[annotationRan] == d.Annotations[annotationDigest]
}

// findHeld says of each service that is held what its new version waits for.
func (o *observed) findHeld(objects []client.Object) map[string]string {
	held := map[string]string{}
	o.unfillable, o.reverted = map[string]bool{}, map[string]bool{}
	for _, want := range objects {
		if d, ok := want.(*appsv1.Deployment); ok {
			if why := o.hold(d); why != "" {
				held[d.Name] = why
			}
		}
	}
	return held
}

// hold says why a service that has run is not brought up to date yet, or "". One that has no pods now is held only if what its new version
// waits for has failed: else it may well start as that.
func (o *observed) hold(want *appsv1.Deployment) string {
	have := o.deployment(want.Name)
	if have == nil || !o.outdated[want.Name] {
		return ""
	}
	if why := o.broken(have, want); why != "" {
		o.reverted[want.Name] = true
		return why
	}
	volumes := o.unfilled(&want.Spec.Template.Spec)
	o.unfillable[want.Name] = len(volumes.failed) > 0
	w := o.waits(want.Annotations[annotationAfter], false).and(volumes)
	if replicas(have.Spec.Replicas) == 0 && (len(w.failed) == 0 || !ran(have)) {
		return ""
	}
	return w.String()
}

// holds reports whether an object is not changed because its service is held: what runs it, or a name that leads to it.
func (o *observed) holds(m *manifestv1.Manifest, obj client.Object) bool {
	switch obj.(type) {
	case *appsv1.Deployment:
		return o.held[obj.GetName()] != ""
	case *corev1.Service:
		return slices.ContainsFunc(m.GetServices(), func(s *manifestv1.Service) bool {
			return o.held[s.GetName()] != "" && (s.GetName() == obj.GetName() || slices.Contains(aliases(s), obj.GetName()))
		})
	}
	return false
}

// outlives reports whether something stays although it left the manifest: whatever is held may need it. A Job of another version goes, for
// the new one starts only then; so does one that is not at work.
func (o *observed) outlives(m *manifestv1.Manifest, obj client.Object) bool {
	left := serviceNamed(m, obj.GetLabels()[v1alpha1.LabelService]) == nil
	switch obj := obj.(type) {
	case *corev1.Service:
		return len(o.held) > 0
	case *appsv1.Deployment:
		return len(o.held) > 0 && left
	case *batchv1.Job:
		return len(o.held) > 0 && left && !suspended(obj)
	}
	return false
}

// preceded reports whether something of another version of the same service is at work, or may make a pod yet, where a Job is on one side
// or on both. Of one Deployment's versions its own strategy takes care.
func (o *observed) preceded(obj client.Object) bool {
	_, isJob := obj.(*batchv1.Job)
	service := obj.GetLabels()[v1alpha1.LabelService]
	for i := range o.jobs {
		if j := &o.jobs[i]; j.Labels[v1alpha1.LabelService] == service && (!isJob || j.Name != obj.GetName()) {
			return true
		}
	}
	for i := range o.deployments {
		if isJob && o.deployments[i].Name == service {
			return true
		}
	}
	for i := range o.replicaSets {
		rs := &o.replicaSets[i]
		if isJob && rs.Labels[v1alpha1.LabelService] == service && (replicas(rs.Spec.Replicas) > 0 || rs.Status.Replicas > 0) {
			return true
		}
	}
	return slices.ContainsFunc(o.pods, func(p corev1.Pod) bool {
		maker := p.Labels[batchv1.JobNameLabel]
		foreign := maker != "" && (!isJob || maker != obj.GetName()) || maker == "" && isJob
		return p.Labels[v1alpha1.LabelService] == service && foreign && !over(&p)
	})
}
