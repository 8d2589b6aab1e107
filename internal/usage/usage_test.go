// SPDX-License-Identifier: Apache-2.0

package usage_test

import (
	"testing"
	"time"

	"github.com/apocryph/apocryph/internal/usage"
)

func TestSeconds(t *testing.T) {
	at := func(s, ms int64) time.Time { return time.Unix(1_700_000_000+s, ms*1e6) }
	cases := map[string]struct {
		start, end time.Time
		want       int64
	}{
		"whole seconds are whole":              {at(0, 0), at(10, 0), 10},
		"the start is rounded up":              {at(0, 1), at(10, 0), 9},
		"the end is rounded down":              {at(0, 0), at(10, 999), 10},
		"less than a whole second counts none": {at(0, 1), at(1, 999), 0},
		"an end before the start counts none":  {at(10, 0), at(5, 0), 0},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if got := usage.Seconds(c.start, c.end); got != c.want {
				t.Errorf("Seconds = %d, want %d", got, c.want)
			}
		})
	}
}

func TestQuantityRefusesWhatIsNone(t *testing.T) {
	for _, s := range []string{"-1", "1.5", "1e9", "0x1", " 1", "1234567890123456789012345678901234567890123456789012345678901"} {
		if q, err := usage.ParseQuantity(s); err == nil {
			t.Errorf("ParseQuantity(%q) = %s, want an error", s, q)
		}
	}
	q, err := usage.ParseQuantity("340282366920938463463374607431768211456")
	if err != nil || q.String() != "340282366920938463463374607431768211456" {
		t.Errorf("ParseQuantity(2^128) = %s, %v", q, err)
	}
}
