// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"fmt"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/apocryph/apocryph/api/v1alpha1"
	manifestv1 "github.com/apocryph/apocryph/internal/gen/manifestv1"
)

// fieldOwner is who the API server says made a field.
const fieldOwner = "apocryph-controller"

// build makes what is missing or outdated, and takes away what left the manifest. Volumes that left stay: their data is the publisher's.
// What the API server refuses as wrong it writes into o.refused; any other error it returns.
func (r *Reconciler) build(ctx context.Context, app *v1alpha1.App, m *manifestv1.Manifest, o *observed) error {
	objects, err := Desired(app, m, r.cfg)
	if err != nil {
		return err
	}
	o.findKept(m)
	o.expect(objects)
	o.refused, o.outdated = nil, o.findOutdated(objects)
	o.held = o.findHeld(objects)
	for _, want := range objects {
		if o.unread && !admits(want) {
			return errRights
		}
		if o.holds(m, want) {
			continue
		}
		if err := r.refuse(ctx, want, r.ensure(ctx, want, o), o); err != nil {
			return fmt.Errorf("making %T %s: %w", want, want.GetName(), err)
		}
	}
	// What was made just now says itself, until it is acted on, that it is not there yet.
	o.outdated = map[string]bool{}
	for service := range o.held {
		o.outdated[service] = true
	}
	for service := range o.refused {
		o.outdated[service] = true
	}
	wanted := map[string]bool{}
	for _, obj := range objects {
		wanted[fmt.Sprintf("%T %s", obj, obj.GetName())] = true
	}
	if err := r.buildFills(ctx, app, m, o); err != nil {
		return err
	}
	if err := r.removeVolumes(ctx, m, o); err != nil {
		return err
	}
	return r.prune(ctx, app.Name, o.jobs, func(obj client.Object) bool {
		return wanted[fmt.Sprintf("%T %s", obj, obj.GetName())] || o.mounts(obj) || o.outlives(m, obj)
	})
}

// admits reports whether an object is of those without which nothing else of an app can be seen.
func admits(obj client.Object) bool {
	switch obj.(type) {
	case *corev1.Namespace, *rbacv1.RoleBinding:
		return true
	}
	return false
}

// ensure makes one object unless there is one made from the same input.
func (r *Reconciler) ensure(ctx context.Context, want client.Object, o *observed) error {
	have, ok := want.DeepCopyObject().(client.Object)
	if !ok {
		return fmt.Errorf("%T is no object", want)
	}
	err := r.client.Get(ctx, client.ObjectKeyFromObject(want), have)
	switch {
	case apierrors.IsNotFound(err):
		return r.apply(ctx, want)
	case err != nil:
		return err
	}
	if w, ok := want.(*corev1.PersistentVolumeClaim); ok {
		return r.grow(ctx, w, have)
	}
	if have.GetAnnotations()[annotationDigest] == want.GetAnnotations()[annotationDigest] {
		return nil
	}
	if err := r.reconcileWith(ctx, want, have, o); err != nil {
		return err
	}
	return r.apply(ctx, want)
}

// reconcileWith takes over from what there is what an update must not take away.
func (r *Reconciler) reconcileWith(ctx context.Context, want, have client.Object, o *observed) error {
	switch h := have.(type) {
	case *appsv1.Deployment:
		if w, ok := want.(*appsv1.Deployment); ok {
			w.Spec.Replicas = h.Spec.Replicas
			if replicas(h.Spec.Replicas) > 0 {
				w.Annotations[annotationRan] = w.Annotations[annotationDigest]
			}
		}
	case *corev1.ResourceQuota:
		if w, ok := want.(*corev1.ResourceQuota); ok {
			o.keep(w)
			if !o.rolledOut() || len(o.outdated) > 0 || o.unproven() {
				widen(w, h)
			}
		}
	case *corev1.Service:
		// Whether a Service has an address of its own can't be changed.
		if w, ok := want.(*corev1.Service); ok && (w.Spec.ClusterIP == corev1.ClusterIPNone) != (h.Spec.ClusterIP == corev1.ClusterIPNone) {
			return r.remove(ctx, h)
		}
	}
	return nil
}

// buildFills makes the Jobs that bring new volumes their content, and takes away those that nothing waits for.
func (r *Reconciler) buildFills(ctx context.Context, app *v1alpha1.App, m *manifestv1.Manifest, o *observed) error {
	d := &desired{id: app.Name, digest: app.Spec.ManifestHash, manifest: m, cfg: r.cfg}
	fills, err := d.fills(o)
	if err != nil {
		return err
	}
	wanted := map[string]bool{}
	for _, want := range fills {
		wanted[want.Name] = true
		if err := r.refuse(ctx, want, r.ensure(ctx, want, o), o); err != nil {
			return fmt.Errorf("making Job %s: %w", want.Name, err)
		}
	}
	return r.removeJobs(ctx, o.fills, func(j *batchv1.Job) bool { return wanted[j.Name] && !o.mayPass(j, r.now()) })
}

// removeVolumes deletes what the publisher has signed away: kept volumes that the manifest names as removed. An old version that is held may still
// mount one.
func (r *Reconciler) removeVolumes(ctx context.Context, m *manifestv1.Manifest, o *observed) error {
	for i := range o.kept {
		c := &o.kept[i]
		mounted := slices.ContainsFunc(o.deployments, func(d appsv1.Deployment) bool {
			return o.held[d.Name] != "" && slices.Contains(claimsOf(&d.Spec.Template.Spec), c.Name)
		})
		if mounted || !slices.Contains(m.GetRemovedVolumes(), c.Name) || !c.DeletionTimestamp.IsZero() {
			continue
		}
		r.log.InfoContext(ctx, "volume removed by its publisher", "namespace", c.Namespace, "volume", c.Name)
		if err := r.remove(ctx, c); err != nil {
			return err
		}
	}
	return nil
}

// findKept notes the claims of volumes that left the manifest.
func (o *observed) findKept(m *manifestv1.Manifest) {
	o.kept = nil
	for _, c := range o.claims {
		if !slices.ContainsFunc(m.GetVolumes(), func(v *manifestv1.Volume) bool { return v.GetName() == c.Name }) {
			o.kept = append(o.kept, c)
		}
	}
}

// keep makes room in a quota for claims that left the manifest but still hold the publisher's data.
func (o *observed) keep(quota *corev1.ResourceQuota) {
	for _, c := range o.kept {
		n, size := quota.Spec.Hard[corev1.ResourcePersistentVolumeClaims], quota.Spec.Hard[corev1.ResourceRequestsStorage]
		n.Add(*resource.NewQuantity(1, resource.DecimalSI))
		size.Add(*c.Spec.Resources.Requests.Storage())
		quota.Spec.Hard[corev1.ResourcePersistentVolumeClaims], quota.Spec.Hard[corev1.ResourceRequestsStorage] = n, size
	}
}

// widen lets the pods of the last manifest and the new one live side by side until the update is over. A quota that is wider than its
// manifest carries no digest, so that it is looked at again.
func widen(want, have *corev1.ResourceQuota) {
	for name, old := range have.Spec.Hard {
		if q, ok := want.Spec.Hard[name]; ok && q.Cmp(old) < 0 {
			want.Spec.Hard[name] = old
			delete(want.Annotations, annotationDigest)
		}
	}
}

// grow changes nothing of a claim but its size, and that only upwards.
func (r *Reconciler) grow(ctx context.Context, want *corev1.PersistentVolumeClaim, have client.Object) error {
	h, ok := have.(*corev1.PersistentVolumeClaim)
	if !ok || h.Spec.Resources.Requests.Storage().Cmp(*want.Spec.Resources.Requests.Storage()) >= 0 {
		return nil
	}
	patch := client.MergeFrom(h.DeepCopy())
	h.Spec.Resources.Requests[corev1.ResourceStorage] = *want.Spec.Resources.Requests.Storage()
	if err := r.client.Patch(ctx, h, patch); err != nil {
		return fmt.Errorf("volume %s does not grow here (a volume of another name can be larger): %w", h.Name, err)
	}
	return nil
}

func (r *Reconciler) apply(ctx context.Context, obj client.Object) error {
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(obj)
	if err != nil {
		return err
	}
	delete(content, "status")
	u := client.ApplyConfigurationFromUnstructured(&unstructured.Unstructured{Object: content})
	return r.client.Apply(ctx, u, client.FieldOwner(fieldOwner), client.ForceOwnership)
}

// prune deletes what was made for an earlier manifest and is not kept.
func (r *Reconciler) prune(ctx context.Context, app string, jobs []batchv1.Job, keep func(client.Object) bool) error {
	in := []client.ListOption{client.InNamespace(v1alpha1.Namespace(app)), client.MatchingLabels{v1alpha1.LabelApp: app}}
	for _, list := range []client.ObjectList{&appsv1.DeploymentList{}, &corev1.ServiceList{}, &networkingv1.NetworkPolicyList{}, &corev1.ConfigMapList{}} {
		if err := r.client.List(ctx, list, in...); err != nil {
			return fmt.Errorf("listing %T: %w", list, err)
		}
		err := meta.EachListItem(list, func(item runtime.Object) error {
			obj, ok := item.(client.Object)
			if !ok || keep(obj) {
				return nil
			}
			return r.remove(ctx, obj)
		})
		if err != nil {
			return err
		}
	}
	return r.removeJobs(ctx, jobs, func(j *batchv1.Job) bool { return keep(j) })
}

// remove deletes exactly the object that was seen, and what it owns.
func (r *Reconciler) remove(ctx context.Context, obj client.Object) error {
	uid := obj.GetUID()
	err := r.client.Delete(ctx, obj, client.Preconditions{UID: &uid}, client.PropagationPolicy(metav1.DeletePropagationBackground))
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("deleting %T %s: %w", obj, obj.GetName(), err)
	}
	return nil
}

// scale sets the replicas of every service there is, as soon as what it comes after is there, and lets Jobs work or not. What the API
// server refuses of it is in o.refused.
func (r *Reconciler) scale(ctx context.Context, o *observed, in intent) error {
	o.waiting = map[string]string{}
	if o.unfillable == nil {
		o.unfillable = map[string]bool{}
	}
	for i := range o.deployments {
		d := &o.deployments[i]
		if replicas(d.Spec.Replicas) == in.replicas || (replicas(d.Spec.Replicas) == 0 && o.wait(d, o.held[d.Name] != "")) {
			continue
		}
		patch := client.MergeFrom(d.DeepCopy())
		d.Spec.Replicas = &in.replicas
		if in.replicas > 0 {
			metav1.SetMetaDataAnnotation(&d.ObjectMeta, annotationRan, d.Annotations[annotationDigest])
		}
		err := r.client.Patch(ctx, d, patch, client.FieldOwner(fieldOwner))
		if err := r.refuse(ctx, d, err, o); err != nil {
			return fmt.Errorf("scaling %s to %d: %w", d.Name, in.replicas, err)
		}
	}
	if err := r.letFill(ctx, o, in); err != nil {
		return err
	}
	for i := range o.jobs {
		j := &o.jobs[i]
		if suspended(j) && in.replicas > 0 && o.wait(j, false) {
			continue
		}
		if err := r.refuse(ctx, j, r.suspend(ctx, j, in.replicas == 0), o); err != nil {
			return err
		}
	}
	return nil
}

// observe reads what there is in the app's namespace, from the API server itself: a cache could still show the past.
func (r *Reconciler) observe(ctx context.Context, o *observed, app string) error {
	in := client.InNamespace(v1alpha1.Namespace(app))
	var deployments appsv1.DeploymentList
	var replicaSets appsv1.ReplicaSetList
	var jobs batchv1.JobList
	var pods corev1.PodList
	var claims corev1.PersistentVolumeClaimList
	for _, list := range []client.ObjectList{&deployments, &replicaSets, &jobs, &pods, &claims} {
		if err := r.client.List(ctx, list, in); err != nil {
			return fmt.Errorf("listing %T: %w", list, err)
		}
	}
	o.deployments, o.replicaSets, o.pods, o.claims = deployments.Items, replicaSets.Items, pods.Items, claims.Items
	o.jobs, o.fills, o.carries = nil, nil, nil
	for _, j := range jobs.Items {
		_, fills := j.Labels[labelFill]
		_, carries := j.Labels[labelCarry]
		switch {
		case fills:
			o.fills = append(o.fills, j)
		case carries:
			o.carries = append(o.carries, j)
		default:
			o.jobs = append(o.jobs, j)
		}
	}
	o.awaited = awaiting(o.claims)
	return nil
}
