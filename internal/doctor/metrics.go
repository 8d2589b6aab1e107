// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// gauges are what the last look at each check said.
type gauges struct {
	registry *prometheus.Registry

	result *prometheus.GaugeVec
	looked *prometheus.GaugeVec
	fit    prometheus.Gauge
	runs   *prometheus.CounterVec
}

func newGauges() *gauges {
	g := &gauges{
		registry: prometheus.NewRegistry(),
		result: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Namespace: "apocryph", Subsystem: "doctor", Name: "check", Help: "1 for the result that a check last had: ok, warn, FAIL or unseen.",
		}, []string{"check", "result"}),
		looked: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Namespace: "apocryph", Subsystem: "doctor", Name: "seen_timestamp_seconds", Help: "When a check last had a verdict.",
		}, []string{"check"}),
		fit: prometheus.NewGauge(prometheus.GaugeOpts{
			Namespace: "apocryph", Subsystem: "doctor", Name: "fit", Help: "0 while a required check fails and quotes are withdrawn.",
		}),
		runs: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "apocryph", Subsystem: "doctor", Name: "runs_total", Help: "Runs, by how they ended: said, or untold where the Provider could not be written.",
		}, []string{"end"}),
	}
	g.registry.MustRegister(g.result, g.looked, g.fit, g.runs)
	return g
}

func (g *gauges) show(found []Finding) {
	for _, f := range found {
		for _, r := range []Result{OK, Warn, Fail, Unseen} {
			g.result.WithLabelValues(f.Name, string(r)).Set(truth(f.Result == r))
		}
		if f.Result != Unseen {
			g.looked.WithLabelValues(f.Name).Set(float64(f.At.Unix()))
		}
	}
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// Metrics serves the doctor's metrics.
func (d *Doctor) Metrics() http.Handler {
	return promhttp.HandlerFor(d.count.registry, promhttp.HandlerOpts{})
}
