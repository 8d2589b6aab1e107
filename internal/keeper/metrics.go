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
	accounts prometheus.Counter
}

func newCounters() counters {
	c := counters{
		registry: prometheus.NewRegistry(),
		reports: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: "apocryph", Subsystem: "keeper", Name: "reports_total", Help: "Hardware reports asked of the TEE device.",
		}),
		answers: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: "apocryph", Subsystem: "keeper", Name: "evidence_total", Help: "Nonces answered with evidence.",
		}),
		quotes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "apocryph", Subsystem: "keeper", Name: "quotes_total", Help: "Quotes that the gateway asked to sign, by result: signed or refused.",
		}, []string{"result"}),
		verdicts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "apocryph", Subsystem: "keeper", Name: "verdicts_total", Help: "Verdicts on App generations, by the reason of the condition Verified.",
		}, []string{"reason"}),
		vouchers: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: "apocryph", Subsystem: "keeper", Name: "vouchers_total", Help: "Vouchers signed.",
		}),
		releases: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: "apocryph", Subsystem: "keeper", Name: "releases_total", Help: "Releases signed.",
		}),
		accounts: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: "apocryph", Subsystem: "keeper", Name: "accounts_total", Help: "Accounts signed for publishers who want a bill that can be checked.",
		}),
	}
	c.registry.MustRegister(c.reports, c.answers, c.quotes, c.verdicts, c.vouchers, c.releases, c.accounts)
	return c
}
