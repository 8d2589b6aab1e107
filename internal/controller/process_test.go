// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"testing"
	"time"

	manifestv1 "github.com/apocryph/apocryph/internal/gen/manifestv1"
)

// Each ask starts a process that nobody orders by itself, so how often that is has a bound.
func TestHowOftenHealthIsAsked(t *testing.T) {
	for name, c := range map[string]struct {
		interval                  time.Duration
		beforeHealthy, everyAfter int32
	}{
		"in milliseconds":             {time.Millisecond, 1, 5},
		"every second":                {time.Second, 1, 5},
		"every three and a half":      {3500 * time.Millisecond, 4, 5},
		"every five":                  {5 * time.Second, 5, 5},
		"as Compose does by itself":   {30 * time.Second, 5, 30},
		"once in a day":               {24 * time.Hour, 5, 24 * 3600},
		"a little more than a minute": {time.Minute + time.Millisecond, 5, 61},
	} {
		s := service("web")
		s.Health = &manifestv1.Health{Command: []string{"true"}, IntervalMs: uint64(c.interval / time.Millisecond), TimeoutMs: 1000, Retries: 3}
		startup, readiness := (&desired{manifest: shop(s)}).probes(s)
		if startup.PeriodSeconds != c.beforeHealthy || readiness.PeriodSeconds != c.everyAfter {
			t.Errorf("%s: every %d s before it is healthy and every %d s after, want %d and %d", name, startup.PeriodSeconds, readiness.PeriodSeconds, c.beforeHealthy, c.everyAfter)
		}
	}
}
