// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"path"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/apocryph/apocryph/internal/fault"
	providerv1 "github.com/apocryph/apocryph/internal/gen/providerv1"
)

type metrics struct {
	calls  *prometheus.CounterVec
	pushes *prometheus.CounterVec
}

func newMetrics() *metrics {
	return &metrics{
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "apocryph_gateway_calls_total", Help: "Calls that ended, by method and by why they were refused.",
		}, []string{"method", "reason"}),
		pushes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "apocryph_gateway_push_requests_total", Help: "Requests of image pushes, by why they were refused before the image store.",
		}, []string{"reason"}),
	}
}

func (m *metrics) call(method string, reason fault.Reason) {
	m.calls.WithLabelValues(path.Base(method), label(reason)).Inc()
}

func (m *metrics) push(reason fault.Reason) { m.pushes.WithLabelValues(label(reason)).Inc() }

func label(reason fault.Reason) string {
	if reason == providerv1.Reason_REASON_UNSPECIFIED {
		return "none"
	}
	return reason.String()
}

// Describe implements prometheus.Collector.
func (g *Gateway) Describe(to chan<- *prometheus.Desc) {
	g.count.calls.Describe(to)
	g.count.pushes.Describe(to)
}

// Collect implements prometheus.Collector.
func (g *Gateway) Collect(to chan<- prometheus.Metric) {
	g.count.calls.Collect(to)
	g.count.pushes.Collect(to)
}
