// SPDX-License-Identifier: Apache-2.0

package channeltest_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/apocryph/apocryph/internal/channel"
)

// A run has this many steps made up; then another begins, with other terms.
const stepsPerRun = 150

// setting reads a number from the environment.
func setting(t *testing.T, name string, otherwise int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		t.Fatalf("%s=%s is no number", name, text)
	}
	return n
}

// The contract does what the model does, step after step: the same events or one of the model's reasons, the same state of every channel,
// the same credits, balances and allowances of everybody. APOCRYPH_MODEL_STEPS sets how many steps, APOCRYPH_MODEL_SEED runs one seed alone.
func TestTheContractFollowsTheModel(t *testing.T) {
	base := newBare(t)
	w := newWorld(t, base)
	fresh := func() *world {
		again := *w
		again.chain = base.copy()
		return &again
	}
	counts := newTally()
	if seed := setting(t, "APOCRYPH_MODEL_SEED", 0); seed != 0 {
		follow(t, fresh, uint64(seed), 0, stepsPerRun, counts)
		return
	}
	for seed, steps := uint64(1), setting(t, "APOCRYPH_MODEL_STEPS", 5000); counts.steps < steps; seed++ {
		if !follow(t, fresh, seed, 0, stepsPerRun, counts) {
			return
		}
	}
	counts.check(t, w)
}

// The same on a chain of blocks with a pool and a clock. A mismatch is told as it is; the same seed is made smaller by the test above.
func TestTheContractFollowsTheModelInBlocks(t *testing.T) {
	counts := newTally()
	w := newWorld(t, newBlocks(t))
	steps := setting(t, "APOCRYPH_MODEL_STEPS", 5000) / 60
	follow(t, func() *world { return w }, 1, 1, steps, counts)
}

// follow makes a run and reports whether both sides agreed. With least 0, which is the fast chain, it looks for the shortest run that shows
// the difference.
func follow(t *testing.T, fresh func() *world, seed, least uint64, count int, counts *tally) bool {
	t.Helper()
	w := fresh()
	rng := rand.New(rand.NewPCG(seed, 0))
	terms := someTerms(rng, w)
	k := &maker{run: newRun(t, w, terms, counts), rng: rng, least: least, edge: -1}
	steps := k.opening()
	var diff string
	for i := 0; diff == "" && i < len(steps); i++ {
		diff = k.do(t, steps[i])
	}
	for i := 0; diff == "" && i < count; i++ {
		s := k.next()
		steps = append(steps, s)
		diff = k.do(t, s)
	}
	if diff == "" {
		return true
	}
	total := len(steps)
	if least == 0 {
		steps, diff = shorten(t, fresh, terms, steps, diff)
	}
	t.Errorf("seed %d, step %d: %s\n\nshortest run found, %d steps:\n%s", seed, total, w.called(diff), len(steps), w.story(terms, steps))
	return false
}

// shorten leaves out steps, ever fewer at once, as long as some difference stays.
func shorten(t *testing.T, fresh func() *world, terms []channel.Terms, steps []step, diff string) ([]step, string) {
	t.Helper()
	replay := func(steps []step) (int, string) {
		r := newRun(t, fresh(), terms, newTally())
		for i, s := range steps {
			if d := r.do(t, s); d != "" {
				return i + 1, d
			}
		}
		return 0, ""
	}
	for size := len(steps) / 2; size > 0; {
		shorter := false
		for from := 0; from+size <= len(steps); {
			without := slices.Concat(steps[:from], steps[from+size:])
			if n, d := replay(without); n > 0 {
				steps, diff, shorter = without[:n], d, true
				continue
			}
			from += size
		}
		if !shorter || size > 1 {
			size /= 2
		}
	}
	return steps, diff
}

// story tells a run so that a person can follow it.
func (w *world) story(terms []channel.Terms, steps []step) string {
	var b strings.Builder
	told := map[string]bool{}
	for i, s := range steps {
		fmt.Fprintf(&b, "%3d. at %+d %s: %s\n", i+1, int64(s.at)-start, w.names[s.from], s.call)
	}
	text := b.String()
	for _, t := range terms {
		id, as := t.ID(w.model().Domain).String(), name(t)
		if text = strings.ReplaceAll(text, id, as); strings.Contains(text, as) && !told[as] {
			told[as] = true
			text += fmt.Sprintf("%s: publisher %s, payout %s, signer %s, token %s, cap %s, window %d, notice %d, payees %v\n",
				as, t.Publisher, t.Payout, t.Signer, t.Token, t.Cap, t.Window, t.Notice, t.Payees)
		}
	}
	return w.called(text)
}

// check fails if there is a function that never succeeded, or an error or event of the interface that never was: such a run shows little.
func (c *tally) check(t *testing.T, w *world) {
	t.Helper()
	hub := w.abi["Channels"]
	for _, m := range hub.Methods {
		if !m.IsConstant() && c.done[m.Name] == 0 {
			t.Errorf("%s never succeeded", m.Name)
		}
	}
	// Of the constructor's strings, of reentrance (no token here calls back) and of a domain that never changes.
	elsewhere := []string{"InvalidShortString", "StringTooLong", "ReentrancyGuardReentrantCall", "EIP712DomainChanged"}
	for name := range hub.Errors {
		if c.refused[name] == 0 && !slices.Contains(elsewhere, name) {
			t.Errorf("%s was never met", name)
		}
	}
	for name := range hub.Events {
		if c.seen[name] == 0 && !slices.Contains(elsewhere, name) {
			t.Errorf("%s was never seen", name)
		}
	}
	t.Logf("%d steps\ndone: %v\nrefused: %v\nevents: %v", c.steps, c.done, c.refused, c.seen)
}
