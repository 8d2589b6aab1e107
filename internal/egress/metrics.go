// SPDX-License-Identifier: Apache-2.0

package egress

import "github.com/prometheus/client_golang/prometheus"

// gauges are what an operator sees.
type gauges struct {
	built           prometheus.Counter
	counted, missed prometheus.Gauge
	bytes           prometheus.Gauge
}

func newGauges() *gauges {
	return &gauges{
		built: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "apocryph_egress_built_total", Help: "How often what counts in the kernel was made: more than at the first pod means that somebody removes it.",
		}),
		counted: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "apocryph_egress_pods", Help: "Apps' pods on this machine whose bytes are counted.",
		}),
		missed: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "apocryph_egress_uncounted_pods", Help: "Apps' pods on this machine that have no link of their own, so that what they send is free.",
		}),
		bytes: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "apocryph_egress_reported_bytes", Help: "Bytes that apps' pods sent to the outside, of those that are still in the report.",
		}),
	}
}

func (g *gauges) set(b *book, boxes []sandbox, bare int) {
	g.counted.Set(float64(len(boxes)))
	g.missed.Set(float64(bare))
	var sum int64
	for _, e := range b.entries {
		sum += e.bytes
	}
	g.bytes.Set(float64(sum))
}

// Describe implements prometheus.Collector.
func (g *gauges) Describe(to chan<- *prometheus.Desc) { prometheus.DescribeByCollect(g, to) }

// Collect implements prometheus.Collector.
func (g *gauges) Collect(to chan<- prometheus.Metric) {
	for _, c := range []prometheus.Collector{g.built, g.counted, g.missed, g.bytes} {
		c.Collect(to)
	}
}
