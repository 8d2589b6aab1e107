// SPDX-License-Identifier: Apache-2.0

package invoicer

import (
	"math/big"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/apocryph/apocryph/internal/channel"
	"github.com/apocryph/apocryph/internal/tariff"
)

// counters are the invoicer's metrics. Nothing reads them for money.
type counters struct {
	registry *prometheus.Registry

	sent      *prometheus.CounterVec
	failed    *prometheus.CounterVec
	gas       *prometheus.CounterVec
	wei       *prometheus.CounterVec
	collected *prometheus.CounterVec
	unread    prometheus.Counter
	seen      prometheus.Gauge
	books     *books
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
		gas: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "apocryph", Subsystem: "invoicer", Name: "gas_used_total", Help: "Gas that transactions used, by kind: claim or release.",
		}, []string{"kind"}),
		wei: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "apocryph", Subsystem: "invoicer", Name: "gas_cost_wei_total", Help: "What the gas of transactions cost, in wei, by kind: claim or release.",
		}, []string{"kind"}),
		collected: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "apocryph", Subsystem: "invoicer", Name: "collected_base_units_total", Help: "What transactions paid to provider and payees, in base units, by the token's address.",
		}, []string{"token"}),
		unread: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: "apocryph", Subsystem: "invoicer", Name: "chain_errors_total", Help: "Times that a channel could not be read.",
		}),
		seen: prometheus.NewGauge(prometheus.GaugeOpts{
			Namespace: "apocryph", Subsystem: "invoicer", Name: "chain_seen_timestamp_seconds", Help: "When a channel was last read, in Unix seconds.",
		}),
		books: newBooks(),
	}
	c.registry.MustRegister(c.sent, c.failed, c.gas, c.wei, c.collected, c.unread, c.seen, c.books)
	return c
}

// books sums up what is owed and paid over the apps that are there now, by token, and counts apps by what is said of their funds.
type books struct {
	mu   sync.Mutex
	apps map[string]book

	money *prometheus.GaugeVec
	count *prometheus.GaugeVec
}

// book is one app's money.
type book struct {
	token, funded string
	amounts       map[string]float64
	channels      map[channel.ID]seenMoney
}

// seenMoney is what was last seen of a channel.
type seenMoney struct{ deposited, claimed float64 }

func newBooks() *books {
	return &books{
		apps: map[string]book{},
		money: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Namespace: "apocryph", Subsystem: "invoicer", Name: "base_units", Help: "Money of the apps that are there now, in base units, by the token's address and kind: deposited, owed, vouchered or claimed.",
		}, []string{"token", "kind"}),
		count: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Namespace: "apocryph", Subsystem: "invoicer", Name: "apps", Help: "Apps by the reason of their condition Funded; empty while nothing is said yet.",
		}, []string{"funded"}),
	}
}

// note keeps what an app's money is now, on all of its channels. What was not seen on chain stays as it was.
func (b *books) note(app string, c channels, follow int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	old, s := b.apps[app], c.sights[follow]
	next := book{token: s.terms.Token.Hex(), amounts: map[string]float64{}, channels: map[channel.ID]seenMoney{}}
	if s.funded != nil {
		next.funded = s.funded.Reason
	}
	for i, s := range c.sights {
		owed := s.owed
		if lines := c.book.Lines(); i < len(lines) && lines[i].Arrears != nil {
			owed, _ = owed.Sub(lines[i].Arrears.Amount) // they are owed on another of them
		}
		next.amounts["owed"] += approximate(owed)
		next.amounts["vouchered"] += approximate(value(s.voucher))
		seen := old.channels[s.id]
		if s.seen != nil {
			seen = seenMoney{approximate(s.seen.Confirmed.Deposited), approximate(s.seen.Claimed)}
		}
		if end := s.closed(); end != nil && i < c.place {
			seen = seenMoney{approximate(end.claimed), approximate(end.claimed)} // the rest is not there any more
		}
		next.channels[s.id] = seen
		next.amounts["deposited"] += seen.deposited
		next.amounts["claimed"] += seen.claimed
	}
	b.apps[app] = next
}

func (b *books) forget(app string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.apps, app)
}

// Describe implements prometheus.Collector.
func (b *books) Describe(to chan<- *prometheus.Desc) {
	b.money.Describe(to)
	b.count.Describe(to)
}

// Collect implements prometheus.Collector. The sums are made when they are asked for.
func (b *books) Collect(to chan<- prometheus.Metric) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.money.Reset()
	b.count.Reset()
	for _, a := range b.apps {
		b.count.WithLabelValues(a.funded).Inc()
		for kind, amount := range a.amounts {
			b.money.WithLabelValues(a.token, kind).Add(amount)
		}
	}
	b.money.Collect(to)
	b.count.Collect(to)
}

// approximate is an amount for a graph.
func approximate(a tariff.Amount) float64 {
	f, _ := new(big.Float).SetInt(a.Big()).Float64()
	return f
}
