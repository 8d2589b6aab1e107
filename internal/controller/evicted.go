// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/apocryph/apocryph/api/v1alpha1"
)

// superfluous are the failed pods that nobody holds on to, but for the newest of each service, and of each Job that is of none, which stays
// for whoever wants to know why.
func (o *observed) superfluous() []*corev1.Pod {
	newest := map[string]*corev1.Pod{}
	var all []*corev1.Pod
	for i := range o.pods {
		p := &o.pods[i]
		if p.Status.Phase != corev1.PodFailed || len(p.Finalizers) > 0 || !p.DeletionTimestamp.IsZero() {
			continue
		}
		older, of := p, "service "+p.Labels[v1alpha1.LabelService]
		if p.Labels[v1alpha1.LabelService] == "" {
			of = p.Labels[batchv1.JobNameLabel]
		}
		if other := newest[of]; other == nil || other.CreationTimestamp.Before(&p.CreationTimestamp) {
			older, newest[of] = other, p
		}
		if older != nil {
			all = append(all, older)
		}
	}
	return all
}

// clear deletes the pods that nobody needs any more: a service that overfills its order again and again leaves an evicted one each time.
func (r *Reconciler) clear(ctx context.Context, o *observed) error {
	for _, p := range o.superfluous() {
		if err := r.remove(ctx, p); err != nil {
			return err
		}
	}
	return nil
}
