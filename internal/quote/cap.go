// SPDX-License-Identifier: Apache-2.0

package quote

import (
	manifestv1 "github.com/apocryph/apocryph/internal/gen/manifestv1"
	"github.com/apocryph/apocryph/internal/manifest"
	"github.com/apocryph/apocryph/internal/tariff"
)

// Cap returns the least cap per second on which a workload runs: what one second of its volumes and of two replicas costs, rounded up.
// The second replica is the surge of an update, during which the old and the new one are there together.
func Cap(t tariff.Tariff, m *manifestv1.Manifest) tariff.Amount {
	pods, volumes := manifest.Rate(m)
	return t.CostUp(pods.Add(pods).Add(volumes).For(1))
}
