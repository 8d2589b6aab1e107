// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"fmt"
	"math/big"
	"slices"
	"time"

	"github.com/apocryph/apocryph/e2e/bed"
)

// facts are what is left of one run, each from the place where it is true.
type facts struct {
	// apps are the provider's objects of this publisher for this run.
	apps []appFact
	// channels are those that the publisher opened since the run began, as the chain has them.
	channels []channelFact
	// spent is what the publisher's wallet is short of.
	spent *big.Int
	// stages are those of the publisher's own records of the run's app; pending is a transaction in their journal whose fate isn't known.
	stages  []string
	pending bool
	// orphans are namespaces, claims, volumes, mounts and files that still bear the app's name, in words.
	orphans []string
	// wall is the time from before the first deploy until after the last stop.
	wall time.Duration
}

// appFact is an App with its Usage.
type appFact struct {
	id, phase, end string
	settled, final bool
	open           int
	used, prices   quantities
	// runtime is the oracle's word on it.
	runtime bed.Verdict
}

// quantities are cpu in thousandths × seconds, egress in bytes, the rest in bytes × seconds; or their prices per unit and hour.
type quantities struct{ cpu, memory, ephemeral, storage, egress *big.Int }

// channelFact is a channel.
type channelFact struct {
	id                           string
	closed                       bool
	deposited, claimed, refunded *big.Int
}

// reserved is what the run's app reserves while it runs: the bound of an honest bill.
type reserved struct{ milliCPU, storageBytes int64 }

// judge returns everything that is not as it would be without a fault.
func judge(f facts, most reserved) []string {
	var wrong []string
	say := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	if len(f.apps) != 1 {
		say("%d apps, want 1", len(f.apps))
	}
	for _, a := range f.apps {
		wrong = append(wrong, a.judge(f, most)...)
	}
	if len(f.channels) != 1 {
		say("%d channels were opened, want 1", len(f.channels))
	}
	claimed := new(big.Int)
	for _, c := range f.channels {
		claimed.Add(claimed, c.claimed)
		if !c.closed {
			say("channel %s is not closed", c.id)
		}
		if sum := new(big.Int).Add(c.claimed, c.refunded); sum.Cmp(c.deposited) != 0 {
			say("channel %s: %s deposited, but %s claimed + %s refunded", c.id, c.deposited, c.claimed, c.refunded)
		}
	}
	if claimed.Sign() <= 0 {
		say("nothing was claimed")
	}
	if f.spent.Cmp(claimed) != 0 {
		say("the wallet is short of %s, claimed is %s", f.spent, claimed)
	}
	if !slices.Equal(f.stages, []string{"ended"}) {
		say("the publisher's records say %q, want one app that has ended", f.stages)
	}
	if f.pending {
		say("the publisher's journal has a transaction under way")
	}
	for _, o := range f.orphans {
		say("orphan: %s", o)
	}
	return wrong
}

// judge looks at one app's end and account.
func (a appFact) judge(f facts, most reserved) []string {
	var wrong []string
	say := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf("app "+a.id+": "+format, args...)) }
	if a.phase != "Ended" || a.end != "StoppedByPublisher" || !a.settled {
		say("phase %s because of %q, settled %v; want Ended because of StoppedByPublisher, settled", a.phase, a.end, a.settled)
	}
	if !a.final || a.open != 0 {
		say("its usage is final %v with %d open intervals", a.final, a.open)
	}
	seconds := int64(f.wall / time.Second)
	if most := big.NewInt(most.milliCPU * seconds); a.used.cpu.Cmp(most) > 0 {
		say("%s m·s of cpu are billed, there were %s", a.used.cpu, most)
	}
	if most := big.NewInt(most.storageBytes * seconds); a.used.storage.Cmp(most) > 0 {
		say("%s B·s of volumes are billed, there were %s", a.used.storage, most)
	}
	wrong = append(wrong, a.compare()...)
	due := due(a.used, a.prices)
	for _, c := range f.channels {
		if c.claimed.Cmp(due) != 0 {
			say("claimed %s, but usage × tariff rounded down is %s", c.claimed, due)
		}
	}
	return wrong
}

// compare holds the account against the container runtime's own records, to the unit.
func (a appFact) compare() []string {
	var wrong []string
	say := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf("app "+a.id+": "+format, args...)) }
	for _, missed := range a.runtime.Void {
		say("the oracle knows nothing: %s", missed)
	}
	for _, differs := range a.runtime.Differs {
		say("%s", differs)
	}
	for _, f := range []struct {
		what       string
		billed, is *big.Int
	}{
		{"cpu", a.used.cpu, a.runtime.Used.CPU}, {"memory", a.used.memory, a.runtime.Used.Memory},
		{"ephemeral storage", a.used.ephemeral, a.runtime.Used.Ephemeral}, {"volumes", a.used.storage, a.runtime.Used.Storage},
	} {
		if f.billed.Cmp(f.is) != 0 {
			say("%s of %s is billed, by the runtime's records it is %s", f.billed, f.what, f.is)
		}
	}
	if due := due(a.used, a.prices).String(); due != a.runtime.Owed {
		say("due is %s, by the runtime's records %s", due, a.runtime.Owed)
	}
	return wrong
}

// due is what usage costs, by the published formula and on purpose not with the product's code.
func due(used, price quantities) *big.Int {
	const gib = 1 << 30
	term := func(used, price *big.Int, scale int64) *big.Int {
		t := new(big.Int).Mul(used, price)
		return t.Mul(t, big.NewInt(scale))
	}
	sum := term(used.cpu, price.cpu, gib)
	sum.Add(sum, term(used.memory, price.memory, 1000))
	sum.Add(sum, term(used.ephemeral, price.ephemeral, 1000))
	sum.Add(sum, term(used.storage, price.storage, 1000))
	sum.Add(sum, term(used.egress, price.egress, 1000*3600))
	return sum.Quo(sum, new(big.Int).Mul(big.NewInt(1000*3600), big.NewInt(gib)))
}
