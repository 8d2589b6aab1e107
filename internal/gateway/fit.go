// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"context"
	"strings"
	"time"

	kerrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/apocryph/apocryph/api/v1alpha1"
	"github.com/apocryph/apocryph/internal/fault"
	providerv1 "github.com/apocryph/apocryph/internal/gen/providerv1"
)

// fitAllowance is how long what the doctor said holds when it says nothing more: one that is gone keeps nobody out for ever.
const fitAllowance = time.Hour

// checkFit: no required check of the doctor's fails. It keeps new apps out and touches none that is there: whoever has an app goes on
// updating it, and an order on a quote that was given before is taken until that quote is over, because its channel is paid already.
// What can't be seen changes nothing.
func (g *Gateway) checkFit(ctx context.Context) error {
	var p v1alpha1.Provider
	err := g.parts.Cluster.Get(ctx, client.ObjectKey{Namespace: g.cfg.Namespace, Name: v1alpha1.ProviderName}, &p)
	switch {
	case kerrors.IsNotFound(err), apimeta.IsNoMatchError(err): // no doctor
		return nil
	case err != nil:
		g.parts.Log.WarnContext(ctx, "the doctor's word is unseen", "error", err)
		return nil
	}
	failing := unfit(p.Status, g.parts.Now())
	if failing == "" {
		return nil
	}
	err = refuse(providerv1.Reason_REASON_PROVIDER_UNFIT, "the provider takes no new apps now, a check of its own fails: %s", failing)
	return fault.Hint(err, "try again later, or another provider; apps that run here go on")
}

// unfit names the checks that keep new apps out; empty while none does.
func unfit(s v1alpha1.ProviderStatus, now time.Time) string {
	fit := apimeta.FindStatusCondition(s.Conditions, v1alpha1.ConditionFit)
	if fit == nil || fit.Status != metav1.ConditionFalse || s.SeenAt == nil || now.Sub(s.SeenAt.Time) > fitAllowance {
		return ""
	}
	if len(s.Failing) == 0 {
		return fit.Reason
	}
	return strings.Join(s.Failing, ", ")
}
