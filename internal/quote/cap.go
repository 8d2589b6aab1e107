// SPDX-License-Identifier: Apache-2.0

package quote

import (
	manifestv1 "github.com/apocryph/apocryph/internal/gen/manifestv1"
	"github.com/apocryph/apocryph/internal/manifest"
	"github.com/apocryph/apocryph/internal/tariff"
	"github.com/apocryph/apocryph/internal/usage"
)

// Cap returns the cap per second to offer for a workload: what one second of its volumes and of two replicas costs, rounded up.
// The second replica is the surge of an update, during which the old and the new one are there together.
func Cap(t tariff.Tariff, m *manifestv1.Manifest) tariff.Amount {
	return perSecond(t)(manifest.Rate(m))
}

// LeastCap returns the least cap with which an order is accepted: the same without what the provider adds to it. A channel keeps its cap for
// as long as it is open, so this must never grow for a manifest: who opened one with an older version's offer would be refused.
func LeastCap(t tariff.Tariff, m *manifestv1.Manifest) tariff.Amount {
	return perSecond(t)(manifest.Ordered(m))
}

func perSecond(t tariff.Tariff) func(pods, volumes usage.Rate) tariff.Amount {
	return func(pods, volumes usage.Rate) tariff.Amount { return t.CostUp(pods.Add(pods).Add(volumes).For(1)) }
}
