// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"fmt"
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

// Fifty runs see every fault, a thousand see each in every part of a life, and every habit.
func TestEverythingIsDrawn(t *testing.T) {
	type drawn struct {
		at   part
		what string
	}
	name := func(f fault) string { return fmt.Sprint(f.kind, f.what, f.n, len(f.at) == len(allEndpoints())) }
	soon, seen := map[string]bool{}, map[drawn]bool{}
	for batch := range uint64(longRuns / batchRuns) {
		p := draw(1+batch, batchRuns)
		for at, f := range p.faults {
			if batch < shortRuns/batchRuns+1 {
				soon[name(f)] = true
			}
			seen[drawn{at, name(f)}] = true
		}
		for _, h := range p.habits {
			for at, h := range h {
				seen[drawn{at, h.name}] = true
			}
		}
	}
	for _, f := range catalogue() {
		if !soon[name(f)] {
			t.Errorf("not drawn in %d runs: %s", shortRuns, f)
		}
		for _, at := range parts() {
			if !seen[drawn{at, name(f)}] {
				t.Errorf("not drawn in %d runs: %s in %s", longRuns, f, at)
			}
		}
	}
	for _, at := range parts() {
		for _, name := range []string{careful, twice, together, impatient, cramped} {
			if !seen[drawn{at, name}] {
				t.Errorf("not drawn in %d runs: %s in %s", longRuns, name, at)
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
