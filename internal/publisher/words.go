// SPDX-License-Identifier: Apache-2.0

package publisher

import (
	"fmt"
	"time"

	"github.com/apocryph/apocryph/internal/span"
)

// Span is a duration in words, in its two largest units, rounded down: "5 hours 12 minutes".
func Span(d time.Duration) string { return span.Words(d) }

// Until says when a time is, seen from now: "ends in 5 hours 12 minutes (2026-01-31T12:00:00Z)", or "ended 3 minutes ago (…)". Where the
// contract's clock counts, now is its newest block's time.
func Until(end, now time.Time) string {
	at := end.UTC().Format(time.RFC3339)
	switch left := end.Sub(now); {
	case left > 0:
		return fmt.Sprintf("ends in %s (%s)", Span(left), at)
	case left == 0:
		return fmt.Sprintf("ended just now (%s)", at)
	default:
		return fmt.Sprintf("ended %s ago (%s)", Span(-left), at)
	}
}

// Lasts is a runway in words. It is a forecast, so it is said in one unit: "lasts about 3 days".
func Lasts(d time.Duration) string {
	for _, u := range []struct {
		of   time.Duration
		name string
	}{{span.Day, "day"}, {time.Hour, "hour"}, {time.Minute, "minute"}} {
		// From two of a unit on, half a unit of error is little.
		if d >= 2*u.of {
			return "lasts about " + span.Count((d+u.of/2)/u.of, u.name)
		}
	}
	if d < time.Minute {
		return "lasts less than a minute"
	}
	return "lasts about 1 minute"
}

// skewed is how far the chain's clock and this machine's may be apart before it is said.
const skewed = 5 * time.Minute

// Skew says in words that the chain's clock and this machine's differ, or is empty while they agree.
func Skew(chain, machine time.Time) string {
	switch apart := machine.Sub(chain); {
	case apart > skewed:
		return fmt.Sprintf("the chain's newest block is %s behind this machine's clock; times here go by the chain's", Span(apart))
	case apart < -skewed:
		return fmt.Sprintf("the chain's newest block is %s ahead of this machine's clock; times here go by the chain's", Span(-apart))
	}
	return ""
}
