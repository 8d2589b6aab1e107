// SPDX-License-Identifier: Apache-2.0

package usage_test

import (
	"strings"
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

func TestWhatCanBeAnExtendedResource(t *testing.T) {
	for name, want := range map[string]bool{
		"nvidia.com/gpu": true, "amd.com/gpu": true, "example.org/fpga-v2_x.1": true, "a/b": true,
		"gpu": false, "cpu": false, "/gpu": false, "nvidia.com/": false, "hugepages-2Mi": false, "nvidia.com/gpu/2": false, "Nvidia.com/gpu": false,
		"kubernetes.io/x": false, "node.kubernetes.io/x": false, "requests.nvidia.com/gpu": false, "nvidia.com/g pu": false, "nvidia..com/gpu": false,
		"nvidia.com/" + strings.Repeat("x", 64): false, strings.Repeat("a.", 121) + "b/c": false, "": false,
	} {
		if got := usage.IsExtended(name); got != want {
			t.Errorf("%q: %v", name, got)
		}
	}
}

// Sums share no memory with what they are made of, and none of a resource is as good as zero of it.
func TestRatesAndTotalsOfExtendedResources(t *testing.T) {
	gpu := func(n int64) usage.Rate {
		return usage.Rate{MilliCPU: 1, Extended: map[string]int64{"nvidia.com/gpu": n}}
	}
	a, b := gpu(1), usage.Rate{Extended: map[string]int64{"example.org/fpga": 2}}
	sum := a.Add(b).Add(a)
	if want := (usage.Rate{MilliCPU: 2, Extended: map[string]int64{"nvidia.com/gpu": 2, "example.org/fpga": 2}}); !sum.Equal(want) {
		t.Errorf("sum is %v", sum)
	}
	if !a.Equal(gpu(1)) || a.Equal(gpu(2)) || a.Equal(usage.Rate{MilliCPU: 1}) || !gpu(0).Equal(usage.Rate{MilliCPU: 1}) {
		t.Errorf("%v is not equal to what it is", a)
	}
	used := sum.For(10).Add(gpu(0).For(10)).Add(a.For(-1))
	if got := used.Extended["nvidia.com/gpu"].String() + " " + used.Extended["example.org/fpga"].String(); got != "20 20" || len(used.Extended) != 2 {
		t.Errorf("used %v", used.Extended)
	}
	if none := gpu(0).For(10); none.Extended != nil {
		t.Errorf("none is %v", none.Extended)
	}
}
