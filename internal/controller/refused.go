// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"errors"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/apocryph/apocryph/api/v1alpha1"
)

// rightsPatience is how long after a namespace was made its bindings may not be in force yet.
const rightsPatience = 10 * time.Second

// errRights says that a binding which was just made is not in force yet: the API server's authorizer learns of it by a watch.
var errRights = errors.New("rights in the tenant's namespace are not in force yet")

// refuse writes into o.refused what the API server takes not, for the publisher to read. An error that says nothing about the object it
// returns. That something is forbidden may be about the object (a policy's refusal has a cause, a quota's has none) or about rights that are
// not in force yet; after a while it is said either way, and tried again.
func (r *Reconciler) refuse(ctx context.Context, obj client.Object, err error, o *observed) error {
	app := obj.GetLabels()[v1alpha1.LabelApp]
	switch {
	case err == nil:
		return nil
	case apierrors.IsInvalid(err), apierrors.IsBadRequest(err), byPolicy(err):
	case apierrors.IsForbidden(err):
		ns, failed := r.namespace(ctx, app)
		if failed != nil {
			return failed
		}
		if ns == nil || r.now().Before(ns.CreationTimestamp.Add(rightsPatience)) {
			return fmt.Errorf("%w: %w", errRights, err)
		}
	default:
		return err
	}
	if o.refused == nil {
		o.refused = map[string]string{}
	}
	o.refused[obj.GetLabels()[v1alpha1.LabelService]] = err.Error()
	r.log.WarnContext(ctx, "refused by the cluster", "app", app, "object", obj.GetName(), "error", err)
	return nil
}

// byPolicy reports whether an admission policy refused the content.
func byPolicy(err error) bool {
	var status apierrors.APIStatus
	if !apierrors.IsForbidden(err) || !errors.As(err, &status) {
		return false
	}
	d := status.Status().Details
	return d != nil && len(d.Causes) > 0
}

// refusal is what the cluster does not take, and what to do about it: nothing that the app itself could do.
func refusal(why string) string { return withRemedy("the cluster refuses it", why) }

func withRemedy(what, why string) string {
	const remedy = "; it is tried again, and if it stays so, ask the provider"
	if why == "" {
		return ""
	}
	what += ": "
	return what + trimTo(maxBlocked-len(what)-len(remedy), why) + remedy
}

// failure is why a Deployment could not even make a pod: a quota or a policy is against it.
func failure(d *appsv1.Deployment) string {
	if d == nil {
		return ""
	}
	for _, c := range d.Status.Conditions {
		if c.Type == appsv1.DeploymentReplicaFailure && c.Status == corev1.ConditionTrue {
			return withRemedy("no pod can be made", c.Message)
		}
	}
	return ""
}

// againstIt reports whether the cluster refuses any of an app.
func (o *observed) againstIt() bool {
	for i := range o.deployments {
		if failure(&o.deployments[i]) != "" {
			return true
		}
	}
	return len(o.refused) > 0
}
