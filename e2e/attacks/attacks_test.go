// SPDX-License-Identifier: Apache-2.0

package attacks

import "testing"

// theme is some attempts with one target.
type theme struct {
	name     string
	attempts []attempt
}

// themes are all attempts, in the order in which they are made: what fills the machine comes last.
func (w *world) themes(t *testing.T) []theme {
	return []theme{
		{"A pod of another app, the machine, the provider's network", w.network()},
		{"Being somebody else", w.identity()},
		{"Names", w.names()},
		{"An order", w.inFile()},
		{"Objects", w.asObject()},
		{"Another app's image", w.stolen(t)},
		{"What an image holds", w.unpacked()},
		{"What a process may", w.confined()},
		{"More than was ordered", w.greed()},
	}
}

func TestAHostileTenantGetsNowhere(t *testing.T) {
	w := newWorld(t)
	for _, th := range w.themes(t) {
		t.Run(th.name, func(t *testing.T) {
			n := w.watch(t)
			run(t, th.attempts)
			n.end(t)
		})
	}
}
