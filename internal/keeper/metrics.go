// SPDX-License-Identifier: Apache-2.0

package keeper

import "github.com/prometheus/client_golang/prometheus"

// counters are the keeper's metrics. Nothing reads them for money.
type counters struct {
	registry *prometheus.Registry

	reports  prometheus.Counter
	answers  prometheus.Counter
	quotes   *prometheus.CounterVec
	verdicts *prometheus.CounterVec
	vouchers prometheus.Counter
	releases prometheus.Counter
}

func newCounters() counters {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Namespace: "apocryph", Subsystem: "keeper", Name: name, Help: help})
	}
	vector := func(name, help, label string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "apocryph", Subsystem: "keeper", Name: name, Help: help}, []string{label})
	}
	c := counters{
		registry: prometheus.NewRegistry(),
		reports:  counter("reports_total", "Hardware reports asked of the TEE device."),
		answers:  counter("evidence_total", "Nonces answered with evidence."),
		quotes:   vector("quotes_total", "Quotes that the gateway asked to sign, by result: signed or refused.", "result"),
		verdicts: vector("verdicts_total", "Verdicts on App generations, by the reason of the condition Verified.", "reason"),
		vouchers: counter("vouchers_total", "Vouchers signed."),
		releases: counter("releases_total", "Releases signed."),
	}
	c.registry.MustRegister(c.reports, c.answers, c.quotes, c.verdicts, c.vouchers, c.releases)
	return c
}
