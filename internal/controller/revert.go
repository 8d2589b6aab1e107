// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/apocryph/apocryph/api/v1alpha1"
	manifestv1 "github.com/apocryph/apocryph/internal/gen/manifestv1"
)

// A service that keeps data stops before its new version starts, for two pods must not write to one volume. If the new version then does not
// come up, the last one that did is put back, and the service is held until the next order. What the new version did to the volumes stays.

const (
	// annotationProved on a Deployment is the digest of the last version that was ready.
	annotationProved = "apocryph.network/proved"
	// annotationBroken says which version did not come up, by whose order, and annotationWhy what kept it; both are on the one that was put back.
	// Ordered once more, it is tried once more.
	annotationBroken = "apocryph.network/broken"
	annotationWhy    = "apocryph.network/broken-because"

	// brokenAfter is how often a new version is started again before the old one is put back.
	brokenAfter = 3
)

// broken says why the wanted version of a service was taken back, or "".
func (o *observed) broken(have, want *appsv1.Deployment) string {
	if have.Annotations[annotationBroken] != o.attempt(want) {
		return ""
	}
	return have.Annotations[annotationWhy]
}

// attempt is a version by an order.
func (o *observed) attempt(d *appsv1.Deployment) string {
	return fmt.Sprintf("%s %d", d.Annotations[annotationDigest], o.order)
}

// unproven reports whether the version of some service that keeps data has yet to show that it comes up, and another one could be put back.
func (o *observed) unproven() bool {
	return slices.ContainsFunc(o.deployments, func(d appsv1.Deployment) bool { return o.fallback(&d) != nil })
}

// fallback is the last version of a service that was ready, if the present one never was and had to stop it first; else nil.
func (o *observed) fallback(d *appsv1.Deployment) *appsv1.ReplicaSet {
	proved := d.Annotations[annotationProved]
	if d.Spec.Strategy.Type != appsv1.RecreateDeploymentStrategyType || proved == "" || proved == d.Annotations[annotationDigest] {
		return nil
	}
	return o.replicaSet(d.Name, proved)
}

// replicaSet is that of one version of a service, or nil.
func (o *observed) replicaSet(service, digest string) *appsv1.ReplicaSet {
	for i := range o.replicaSets {
		if rs := &o.replicaSets[i]; rs.Labels[v1alpha1.LabelService] == service && rs.Annotations[annotationDigest] == digest {
			return rs
		}
	}
	return nil
}

// failed is what keeps a version from coming up, if that is not going to pass. Only this version's own pods say so: while another one is on its
// way out, the Deployment may still show that one's state.
func (o *observed) failed(d *appsv1.Deployment, m *manifestv1.Manifest) cause {
	set := o.replicaSet(d.Name, d.Annotations[annotationDigest])
	if set == nil || d.Status.ObservedGeneration < d.Generation {
		return cause{}
	}
	late := lateSince(d)
	for i := range o.pods {
		p := &o.pods[i]
		if p.Labels[v1alpha1.LabelService] != d.Name || p.Labels[appsv1.DefaultDeploymentUniqueLabelKey] != set.Labels[appsv1.DefaultDeploymentUniqueLabelKey] ||
			!p.DeletionTimestamp.IsZero() {
			continue
		}
		again := slices.ContainsFunc(p.Status.ContainerStatuses, func(c corev1.ContainerStatus) bool { return !c.Ready && c.RestartCount >= brokenAfter })
		if again || late.After(p.CreationTimestamp.Time) {
			return cmp.Or(podBlocked(p, m, serviceNamed(m, d.Name)), cause{"it was not ready in time", remedyCrashed})
		}
	}
	return cause{}
}

// lateSince is when a version ran out of the time that Kubernetes gives it to come up; zero if it has not.
func lateSince(d *appsv1.Deployment) time.Time {
	for _, c := range d.Status.Conditions {
		if c.Type == appsv1.DeploymentProgressing && c.Status == corev1.ConditionFalse {
			return c.LastTransitionTime.Time
		}
	}
	return time.Time{}
}

func serviceNamed(m *manifestv1.Manifest, name string) *manifestv1.Service {
	for _, s := range m.GetServices() {
		if s.GetName() == name {
			return s
		}
	}
	return nil
}

// prove remembers of each service that is ready which version that is, and puts back the last one where a new one does not come up. The
// manifest has to be the one that was built.
func (r *Reconciler) prove(ctx context.Context, app *v1alpha1.App, m *manifestv1.Manifest, o *observed) error {
	for i := range o.deployments {
		d := &o.deployments[i]
		digest := d.Annotations[annotationDigest]
		if rolled(d, replicas(d.Spec.Replicas)) && replicas(d.Spec.Replicas) > 0 && d.Annotations[annotationProved] != digest {
			patch := client.MergeFrom(d.DeepCopy())
			metav1.SetMetaDataAnnotation(&d.ObjectMeta, annotationProved, digest)
			if err := r.client.Patch(ctx, d, patch, client.FieldOwner(fieldOwner)); err != nil {
				return fmt.Errorf("noting that service %s came up: %w", d.Name, err)
			}
			continue
		}
		last := o.fallback(d)
		if last == nil {
			continue
		}
		if why := o.failed(d, m); why.what != "" {
			r.log.InfoContext(ctx, "version taken back", "app", app.Name, "service", d.Name, "because", why.String())
			why.what = "its last version is back, because the new one did not come up: " + why.what
			if err := r.putBack(ctx, app, m, o, restored(d, last, o.attempt(d), why.String())); err != nil {
				return fmt.Errorf("putting back the last version of %s: %w", d.Name, err)
			}
		}
	}
	return nil
}

// putBack makes a service what it was, and the names that lead to it.
func (r *Reconciler) putBack(ctx context.Context, app *v1alpha1.App, m *manifestv1.Manifest, o *observed, last *appsv1.Deployment) error {
	was := proto.CloneOf(m)
	s := serviceNamed(was, last.Name)
	if s == nil {
		return nil // it left the manifest, and goes
	}
	s.Ports = portsOf(&last.Spec.Template.Spec)
	// Without a digest, so that the next order makes them anew, whatever it says.
	names := &desired{id: app.Name, manifest: was, cfg: r.cfg}
	for _, name := range append(names.aliasServices(), names.service(s)) {
		if name.GetName() != s.GetName() && !slices.Contains(aliases(s), name.GetName()) {
			continue
		}
		have := &corev1.Service{}
		if err := r.client.Get(ctx, client.ObjectKeyFromObject(name), have); err != nil {
			return err
		}
		if err := r.reconcileWith(ctx, name, have, o); err != nil {
			return err
		}
		if err := r.apply(ctx, name); err != nil {
			return err
		}
	}
	return r.apply(ctx, last)
}

// restored is a Deployment with the version of one of its ReplicaSets.
func restored(d *appsv1.Deployment, last *appsv1.ReplicaSet, attempt, why string) *appsv1.Deployment {
	proved := last.Annotations[annotationDigest]
	back := &appsv1.Deployment{
		TypeMeta: kind("apps/v1", "Deployment"),
		ObjectMeta: metav1.ObjectMeta{Namespace: d.Namespace, Name: d.Name, Labels: d.Labels, Annotations: map[string]string{
			annotationDigest: proved, annotationRan: proved, annotationBroken: attempt, annotationWhy: why,
		}},
		Spec: *d.Spec.DeepCopy(),
	}
	if after := last.Annotations[annotationAfter]; after != "" {
		back.Annotations[annotationAfter] = after
	}
	back.Spec.Template, back.Spec.MinReadySeconds = *last.Spec.Template.DeepCopy(), last.Spec.MinReadySeconds
	delete(back.Spec.Template.Labels, appsv1.DefaultDeploymentUniqueLabelKey)
	return back
}

// portsOf are the ports of the service that a pod was made of.
func portsOf(p *corev1.PodSpec) []*manifestv1.Port {
	var all []*manifestv1.Port
	for i := range p.Containers {
		for _, c := range p.Containers[i].Ports {
			all = append(all, &manifestv1.Port{Number: uint32(c.ContainerPort), Protocol: strings.ToLower(string(c.Protocol))})
		}
	}
	return all
}
