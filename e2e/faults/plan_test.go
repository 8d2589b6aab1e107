// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"slices"
	"testing"
)

func TestASeedDrawsTheSameAgain(t *testing.T) {
	if a, b := draw(7, 4).String(), draw(7, 4).String(); a != b {
		t.Errorf("%s\nand then %s", a, b)
	}
	if a, b := draw(7, 4).String(), draw(8, 4).String(); a == b {
		t.Errorf("two seeds draw the same: %s", a)
	}
}

// A thousand runs see every fault in every part, and every habit.
func TestEverythingIsDrawn(t *testing.T) {
	type drawn struct {
		at   part
		what string
	}
	seen := map[drawn]bool{}
	for seed := range uint64(1000 / 4) {
		p := draw(seed, 4)
		for at, f := range p.faults {
			f.after, f.at = 0, f.at[:min(len(f.at), 1)]
			if len(f.at) == 1 && p.faults[at].at[0] != "a" {
				f.at = []string{"a"}
			}
			seen[drawn{at, string(f.kind) + f.what}] = true
		}
		for _, h := range p.habits {
			for at, h := range h {
				seen[drawn{at, h.name}] = true
			}
		}
	}
	for _, at := range parts() {
		for _, f := range catalogue() {
			if !seen[drawn{at, string(f.kind) + f.what}] {
				t.Errorf("never drawn: %s in %s", f, at)
			}
		}
		for _, name := range []string{careful, twice, together, impatient, cramped} {
			if !seen[drawn{at, name}] {
				t.Errorf("never drawn: %s in %s", name, at)
			}
		}
	}
	if !seen[drawn{stopping, torn}] {
		t.Error("never drawn: torn")
	}
}

// What all endpoints say is the truth for whoever asks them, so the plan must not have all of them lie about money.
func TestNotAllEndpointsLie(t *testing.T) {
	for seed := range uint64(1000) {
		for at, f := range draw(seed, 1).faults {
			if slices.Contains([]string{"ended", "closed", "none", "swallow"}, f.what) && len(f.at) != 1 {
				t.Errorf("seed %d, %s: %s", seed, at, f)
			}
		}
	}
}
