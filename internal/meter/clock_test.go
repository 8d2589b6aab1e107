// SPDX-License-Identifier: Apache-2.0

package meter_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/apocryph/apocryph/api/v1alpha1"
	"github.com/apocryph/apocryph/internal/meter"
)

// The clocks of a machine and of the meter jump by an hour and are put right a minute later, while a pod runs. What the clock claimed is billed
// at most once: time that comes again is not added again, and nothing that was written down goes back.
func TestClocksThatJump(t *testing.T) {
	const hour, start, jumped, righted = 3600, 10, 100, 160
	tests := map[string]struct {
		by, end, want int64
	}{
		"ahead, and the pod runs on for long":   {hour, 3 * hour, 3*hour - start},
		"ahead, and the pod ends soon":          {hour, 200, righted - 10 + hour - 5 - start},
		"back, and the pod runs on for long":    {-hour, 3 * hour, 3*hour - start},
		"back, and the pod ends soon":           {-hour, 200, 200 - start},
		"not at all":                            {0, 200, 200 - start},
		"ahead, and the pod ends while it is":   {hour, 150, 150 + hour - start},
		"back, and the pod ends while it is so": {-hour, 150, 85 - start},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			clock := func(real int64) int64 {
				if real >= jumped && real < righted {
					return real + test.by
				}
				return real
			}
			var s v1alpha1.UsageStatus
			var last time.Time
			for now := int64(0); now < test.end+60; now += 10 {
				p := pod("a")
				switch {
				case now >= test.end:
					p = pod("a", ran(start, clock(test.end)), failed)
				case now >= start:
					p = pod("a", running(start))
				}
				var err error
				s, _, err = meter.Next(s, meter.Observed{Pods: []corev1.Pod{p}, Machines: map[string]time.Time{"m": at(clock(now))}}, at(clock(now)))
				if err != nil {
					t.Fatal(err)
				}
				if s.AccruedTo != nil && s.AccruedTo.Time.Before(last) {
					t.Fatalf("at %d accruedTo went back to %s from %s", now, s.AccruedTo, last)
				}
				if s.AccruedTo != nil {
					last = s.AccruedTo.Time
				}
			}
			if diff := cmp.Diff(totals(test.want), s.Totals); diff != "" {
				t.Errorf("totals (-want +got):\n%s", diff)
			}
		})
	}
}
