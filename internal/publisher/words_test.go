// SPDX-License-Identifier: Apache-2.0

package publisher_test

import (
	"testing"
	"time"

	"github.com/apocryph/apocryph/internal/publisher"
)

func TestSpan(t *testing.T) {
	for want, d := range map[string]time.Duration{
		"less than a second":    999 * time.Millisecond,
		"1 second":              time.Second,
		"59 seconds":            59*time.Second + 999*time.Millisecond,
		"1 minute":              time.Minute,
		"1 minute 1 second":     61 * time.Second,
		"59 minutes 59 seconds": time.Hour - time.Second,
		"1 hour":                time.Hour + 59*time.Second,
		"5 hours 12 minutes":    5*time.Hour + 12*time.Minute + 30*time.Second,
		"1 day":                 24 * time.Hour,
		"1 day 1 hour":          25 * time.Hour,
		"30 days":               30*24*time.Hour + 59*time.Minute,
	} {
		t.Run(want, func(t *testing.T) {
			if got := publisher.Span(d); got != want {
				t.Errorf("%s is %q, want %q", d, got, want)
			}
		})
	}
}

func TestUntil(t *testing.T) {
	now := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	for want, end := range map[string]time.Time{
		"ends in 5 hours 12 minutes (2026-01-31T17:12:00Z)": now.Add(5*time.Hour + 12*time.Minute),
		"ends in 1 second (2026-01-31T12:00:01Z)":           now.Add(time.Second),
		"ended just now (2026-01-31T12:00:00Z)":             now,
		"ended 3 minutes ago (2026-01-31T11:57:00Z)":        now.Add(-3 * time.Minute),
		// However the caller's clock is set, the time is shown in UTC.
		"ends in 1 hour (2026-01-31T13:00:00Z)": now.Add(time.Hour).In(time.FixedZone("", 3600)),
	} {
		t.Run(want, func(t *testing.T) {
			if got := publisher.Until(end, now); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}

func TestLasts(t *testing.T) {
	for what, c := range map[string]struct {
		runway time.Duration
		want   string
	}{
		"nothing":                {0, "lasts less than a minute"},
		"a minute and a half":    {90 * time.Second, "lasts about 1 minute"},
		"the better part":        {119 * time.Minute, "lasts about 119 minutes"},
		"hours, rounded":         {2*time.Hour + 40*time.Minute, "lasts about 3 hours"},
		"a day and a bit":        {40 * time.Hour, "lasts about 40 hours"},
		"two and a half days":    {60 * time.Hour, "lasts about 3 days"},
		"as long as can be said": {100 * 365 * 24 * time.Hour, "lasts about 36500 days"},
	} {
		t.Run(what, func(t *testing.T) {
			if got := publisher.Lasts(c.runway); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestSkew(t *testing.T) {
	machine := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	for want, chain := range map[string]time.Time{
		"": machine.Add(-5 * time.Minute),
		"the chain's newest block is 5 minutes 1 second behind this machine's clock; times here go by the chain's": machine.Add(-5*time.Minute - time.Second),
		"the chain's newest block is 2 hours ahead of this machine's clock; times here go by the chain's":          machine.Add(2 * time.Hour),
	} {
		if got := publisher.Skew(chain, machine); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
