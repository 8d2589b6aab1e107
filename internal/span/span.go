// SPDX-License-Identifier: Apache-2.0

// Package span is about stretches of time: waiting for one, and saying one to people.
package span

import (
	"context"
	"fmt"
	"time"
)

// Wait returns when d has passed, or with ctx's error when that ends before.
func Wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// Day is one of 24 hours.
const Day = 24 * time.Hour

// Words are a duration in its two largest units, rounded down: "5 hours 12 minutes".
func Words(d time.Duration) string {
	if d < time.Second {
		return "less than a second"
	}
	units := []struct {
		of   time.Duration
		name string
	}{{Day, "day"}, {time.Hour, "hour"}, {time.Minute, "minute"}, {time.Second, "second"}}
	for i, u := range units {
		n := d / u.of
		if n == 0 {
			continue
		}
		text := Count(n, u.name)
		if i+1 < len(units) {
			if rest := d % u.of / units[i+1].of; rest > 0 {
				text += " " + Count(rest, units[i+1].name)
			}
		}
		return text
	}
	return "" // not reached: d is a second at least
}

// Count is so many of a unit.
func Count(n time.Duration, unit string) string {
	if n == 1 {
		return "1 " + unit
	}
	return fmt.Sprintf("%d %ss", n, unit)
}
