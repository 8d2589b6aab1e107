// SPDX-License-Identifier: Apache-2.0

package invoicer

import "github.com/prometheus/client_golang/prometheus"

// counters are the invoicer's metrics. Nothing reads them for money.
type counters struct {
	registry *prometheus.Registry

	sent   *prometheus.CounterVec
	failed *prometheus.CounterVec
	unread prometheus.Counter
	seen   prometheus.Gauge
}

func newCounters() counters {
	c := counters{
		registry: prometheus.NewRegistry(),
		sent: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "apocryph", Subsystem: "invoicer", Name: "transactions_total", Help: "Transactions that took effect, by kind: claim or release.",
		}, []string{"kind"}),
		failed: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "apocryph", Subsystem: "invoicer", Name: "transaction_failures_total", Help: "Transactions that are not known to have taken effect, by kind: claim or release.",
		}, []string{"kind"}),
		unread: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: "apocryph", Subsystem: "invoicer", Name: "chain_errors_total", Help: "Times that a channel could not be read.",
		}),
		seen: prometheus.NewGauge(prometheus.GaugeOpts{
			Namespace: "apocryph", Subsystem: "invoicer", Name: "chain_seen_timestamp_seconds", Help: "When a channel was last read, in Unix seconds.",
		}),
	}
	c.registry.MustRegister(c.sent, c.failed, c.unread, c.seen)
	return c
}
