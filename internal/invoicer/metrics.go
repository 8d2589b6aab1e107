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
	vector := func(name, help, label string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "apocryph", Subsystem: "invoicer", Name: name, Help: help}, []string{label})
	}
	c := counters{
		registry: prometheus.NewRegistry(),
		sent:     vector("transactions_total", "Transactions that took effect, by kind: claim or release.", "kind"),
		failed:   vector("transaction_failures_total", "Transactions that are not known to have taken effect, by kind: claim or release.", "kind"),
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
