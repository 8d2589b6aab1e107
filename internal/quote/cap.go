// SPDX-License-Identifier: Apache-2.0

package quote

import (
	"maps"
	"slices"

	manifestv1 "github.com/apocryph/apocryph/internal/gen/manifestv1"
	"github.com/apocryph/apocryph/internal/manifest"
	"github.com/apocryph/apocryph/internal/tariff"
	"github.com/apocryph/apocryph/internal/usage"
)

// DefaultEgress is how many bytes per second a cap has room for that leave for outside of the cluster, if the manifest does not say: about 21 GiB a day.
const DefaultEgress = 256 << 10

// Cap returns the cap per second to offer for a workload: what one second of its volumes, of two replicas and of its egress costs, rounded up.
// The second replica is the surge of an update, during which the old and the new one are there together.
func Cap(t tariff.Tariff, m *manifestv1.Manifest) tariff.Amount {
	pods, volumes := manifest.Rate(m)
	egress := m.GetEgressBytesPerSecond()
	if egress == 0 {
		egress = DefaultEgress
	}
	return perSecond(t, pods, volumes, egress)
}

// LeastCap returns the least cap with which an order is accepted: the same without what the provider adds to it. A channel keeps its cap for
// as long as it is open, so this must never grow for a manifest: who opened one with an older version's offer would be refused.
func LeastCap(t tariff.Tariff, m *manifestv1.Manifest) tariff.Amount {
	pods, volumes := manifest.Ordered(m)
	return perSecond(t, pods, volumes, m.GetEgressBytesPerSecond())
}

func perSecond(t tariff.Tariff, pods, volumes usage.Rate, egress uint64) tariff.Amount {
	return t.CostUp(pods.Add(pods).Add(volumes).For(1).Add(usage.Totals{Egress: usage.Bytes(int64(egress))}))
}

// Unsold names an extended resource that a workload wants and the tariff has no price for; empty if there is none.
func Unsold(t tariff.Tariff, m *manifestv1.Manifest) string {
	pods, _ := manifest.Rate(m)
	for _, name := range slices.Sorted(maps.Keys(pods.Extended)) {
		if !t.Sells(name) {
			return name
		}
	}
	return ""
}
