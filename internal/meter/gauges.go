// SPDX-License-Identifier: Apache-2.0

package meter

import (
	"maps"
	"net/http"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/apocryph/apocryph/api/v1alpha1"
)

// gauges show accounts on dashboards. Nothing reads them for money: they are floating point, and gone after a restart.
type gauges struct {
	registry *prometheus.Registry
	totals   *prometheus.GaugeVec
	open     *prometheus.GaugeVec
	accrued  *prometheus.GaugeVec
}

func newGauges() *gauges {
	g := &gauges{
		registry: prometheus.NewRegistry(),
		totals: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "apocryph_usage_total", Help: "What closed intervals used: milli-vCPU seconds, byte seconds, bytes of egress, unit seconds.",
		}, []string{"app", "resource"}),
		open: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "apocryph_usage_open_intervals", Help: "Pods and volumes that are metered now.",
		}, []string{"app"}),
		accrued: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "apocryph_usage_accrued_timestamp_seconds", Help: "Unix time up to which open intervals may be billed.",
		}, []string{"app"}),
	}
	g.registry.MustRegister(g.totals, g.open, g.accrued)
	return g
}

// Metrics serves the gauges.
func (m *Meter) Metrics() http.Handler {
	return promhttp.HandlerFor(m.gauges.registry, promhttp.HandlerOpts{})
}

func (g *gauges) set(app string, s v1alpha1.UsageStatus) {
	totals := map[string]string{
		"cpu": s.Totals.CPUMilliSeconds, "memory": s.Totals.MemoryByteSeconds,
		"ephemeral": s.Totals.EphemeralByteSeconds, "storage": s.Totals.StorageByteSeconds, "egress": s.Totals.EgressBytes,
	}
	maps.Copy(totals, s.Totals.ExtendedUnitSeconds)
	for resource, text := range totals {
		if v, err := strconv.ParseFloat(text, 64); err == nil {
			g.totals.WithLabelValues(app, resource).Set(v)
		}
	}
	g.open.WithLabelValues(app).Set(float64(len(s.Open)))
	if s.AccruedTo != nil {
		g.accrued.WithLabelValues(app).Set(float64(s.AccruedTo.Unix()))
	}
}

// forget drops what is shown of an app that is gone.
func (g *gauges) forget(app string) {
	for _, v := range []*prometheus.GaugeVec{g.totals, g.open, g.accrued} {
		v.DeletePartialMatch(prometheus.Labels{"app": app})
	}
}
