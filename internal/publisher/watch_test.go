// SPDX-License-Identifier: Apache-2.0

package publisher_test

import (
	"testing"

	providerv1 "github.com/apocryph/apocryph/internal/gen/providerv1"
	"github.com/apocryph/apocryph/internal/publisher"
)

func TestSummary(t *testing.T) {
	ready := func(message string) []*providerv1.Condition {
		return []*providerv1.Condition{{Type: "Verified", Status: "True"}, {Type: "Ready", Status: "False", Message: message}}
	}
	for name, test := range map[string]struct {
		status *providerv1.AppStatus
		want   string
	}{
		"what blocks a service is said once": {&providerv1.AppStatus{
			Phase: providerv1.Phase_PHASE_STARTING, Conditions: ready("web: no image; push it"),
			Services: []*providerv1.ServiceStatus{{Name: "db", Ready: 1, Wanted: 1}, {Name: "web", Wanted: 1, Blocked: "no image; push it"}},
		}, "starting; web 0 of 1: no image; push it"},
		"what is the app's is said": {&providerv1.AppStatus{
			Phase: providerv1.Phase_PHASE_READY, Conditions: ready("waiting for pods to be ready"), Services: []*providerv1.ServiceStatus{{Name: "web", Ready: 1, Wanted: 1}},
		}, "ready; Ready: waiting for pods to be ready"},
		"all is well": {&providerv1.AppStatus{Phase: providerv1.Phase_PHASE_READY, Conditions: []*providerv1.Condition{{Type: "Ready", Status: "True"}}}, "ready"},
	} {
		if got := publisher.Summary(test.status); got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}
