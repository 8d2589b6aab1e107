// SPDX-License-Identifier: Apache-2.0

package notify

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/apocryph/apocryph/api/v1alpha1"
)

// counters are the notifier's metrics. None tells apps or hosts apart: there may be any number of them.
type counters struct {
	registry *prometheus.Registry

	calls    *prometheus.CounterVec
	messages *prometheus.CounterVec
}

func newCounters() counters {
	c := counters{
		registry: prometheus.NewRegistry(),
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "apocryph", Subsystem: "notifier", Name: "calls_total", Help: "Calls of webhooks by how they went: taken, refused, failed (it is tried again) or forbidden (its address is not public).",
		}, []string{"result"}),
		messages: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "apocryph", Subsystem: "notifier", Name: "messages_total", Help: "Messages by what became of them: Delivered, GivenUp or Overtaken.",
		}, []string{"outcome"}),
	}
	c.registry.MustRegister(c.calls, c.messages)
	return c
}

// ended counts the messages that have come to an end.
func (c counters) ended(before, now []v1alpha1.NotifyMessage) {
	for _, m := range now {
		if m.Outcome != "" && outcomeOf(before, m.ID) != m.Outcome {
			c.messages.WithLabelValues(string(m.Outcome)).Inc()
		}
	}
}
