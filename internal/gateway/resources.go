// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"context"
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/apocryph/apocryph/internal/fault"
	manifestv1 "github.com/apocryph/apocryph/internal/gen/manifestv1"
	providerv1 "github.com/apocryph/apocryph/internal/gen/providerv1"
	"github.com/apocryph/apocryph/internal/manifest"
	"github.com/apocryph/apocryph/internal/quote"
	"github.com/apocryph/apocryph/internal/tariff"
	"github.com/apocryph/apocryph/internal/usage"
)

// checkResources: the app stays within what the provider gives one app, and each service fits on some machine. Whether that machine has
// room now is the scheduler's business.
func (g *Gateway) checkResources(ctx context.Context, m *manifestv1.Manifest) error {
	pods, volumes := manifest.Rate(m)
	if what := exceeds(pods.Add(volumes), g.cfg.PerApp); what != "" {
		err := refuse(providerv1.Reason_REASON_RESOURCES_IMPOSSIBLE, "the app wants %s for one app here", what)
		return fault.Hint(err, "ask for less, or choose another provider")
	}
	var machines corev1.NodeList
	if err := g.parts.Cluster.List(ctx, &machines); err != nil {
		return fmt.Errorf("listing machines: %w", err)
	}
	for _, s := range m.Services {
		why := "there is no machine"
		for i := range machines.Items {
			if why = lacks(rateOf(s), allocatable(&machines.Items[i])); why == "" {
				break
			}
		}
		if why != "" {
			err := refuse(providerv1.Reason_REASON_RESOURCES_IMPOSSIBLE, "service %s fits on no machine: it wants %s", s.Name, why)
			return fault.Hint(err, "ask for less, or choose another provider")
		}
	}
	return nil
}

func rateOf(s *manifestv1.Service) usage.Rate {
	r, _ := manifest.Rate(&manifestv1.Manifest{Services: []*manifestv1.Service{s}})
	return r
}

func allocatable(n *corev1.Node) usage.Rate {
	a := n.Status.Allocatable
	extended := map[string]int64{}
	for name, q := range a {
		if usage.IsExtended(string(name)) {
			extended[string(name)] = q.Value()
		}
	}
	return usage.Rate{
		MilliCPU:       a.Cpu().MilliValue(),
		MemoryBytes:    a.Memory().Value(),
		EphemeralBytes: a.StorageEphemeral().Value(),
		Extended:       extended,
	}
}

// checkSold: every resource has a price. What has none is not sold.
func checkSold(t tariff.Tariff, m *manifestv1.Manifest) error {
	if what := quote.Unsold(t, m); what != "" {
		err := refuse(providerv1.Reason_REASON_RESOURCES_IMPOSSIBLE, "the app wants %s, for which there is no price here", what)
		return fault.Hint(err, "leave it out, or choose a provider that sells it; the prices of an app that runs are those of its channel")
	}
	return nil
}

// lacks says what a machine has not enough of for a rate, or "". Of extended resources it has those that it says.
func lacks(r, machine usage.Rate) string {
	for _, name := range slices.Sorted(maps.Keys(r.Extended)) {
		if want, has := r.Extended[name], machine.Extended[name]; want > has {
			return fmt.Sprintf("%d of %s, above the %d", want, name, has)
		}
	}
	return exceeds(r, machine)
}

// exceeds says in what a rate is above a limit, or "". A limit of zero is none.
func exceeds(r, limit usage.Rate) string {
	for _, f := range []struct {
		what      string
		want, has int64
	}{
		{"milli-vCPU", r.MilliCPU, limit.MilliCPU},
		{"bytes of memory", r.MemoryBytes, limit.MemoryBytes},
		{"bytes of ephemeral storage", r.EphemeralBytes, limit.EphemeralBytes},
		{"bytes of volumes", r.StorageBytes, limit.StorageBytes},
	} {
		if f.has > 0 && f.want > f.has {
			return fmt.Sprintf("%d %s, above the %d", f.want, f.what, f.has)
		}
	}
	return ""
}
