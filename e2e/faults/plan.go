// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// Part is a part of an app's life.
type part string

const (
	deploying part = "deploy"
	running   part = "run"
	updating  part = "update"
	stopping  part = "stop"
)

// parts are in their order.
func parts() []part { return []part{deploying, running, updating, stopping} }

// kind is how something breaks.
type kind string

const (
	none    kind = "nothing"
	service kind = "kill service" // a process of the provider's
	machine kind = "kill part"    // a process of the machine's
	chain   kind = "chain"        // the weather at its endpoints
	disk    kind = "disk full"
	leap    kind = "chain's time" // the contract's own clock, n seconds ahead for good
)

// fault is what breaks while a batch is in one part.
type fault struct {
	kind kind
	// what names the process, or the weather's mode.
	what string
	// at names the chain's endpoints, and n goes with the mode.
	at []string
	n  int64
	// after is the time from the part's begin, lasts for how long.
	after, lasts time.Duration
	// spares says that apps that run have no reason to notice: same pods, and every request answered.
	spares bool
}

// String is a fault in words.
func (f fault) String() string {
	s := string(f.kind)
	if f.what != "" {
		s += " " + f.what
	}
	if len(f.at) > 0 {
		s += " at " + strings.Join(f.at, "")
	}
	if f.n != 0 {
		s += fmt.Sprintf(" by %d", f.n)
	}
	if f.lasts > 0 {
		s += " for " + f.lasts.String()
	}
	return s + " after " + f.after.String()
}

// habit is what a publisher does wrong in one part.
type habit struct {
	name string
	// steps are how many lines of the client's report are waited for before it is killed, one life after the other.
	steps []int
}

const (
	careful   = "careful"
	twice     = "twice"     // runs the command again though it succeeded
	together  = "together"  // runs it two times at once
	impatient = "impatient" // kills it and runs it again
	torn      = "torn"      // orders an update from a copy of the state while stopping
	cramped   = "cramped"   // has no room left on the own disk at first
)

// String is a habit in words.
func (h habit) String() string {
	if h.name == impatient {
		return fmt.Sprintf("%s at %v", h.name, h.steps)
	}
	return h.name
}

// plan is all that is drawn for a batch.
type plan struct {
	faults map[part]fault
	habits []map[part]habit // by run
}

// String is a plan in one line.
func (p plan) String() string {
	var s []string
	for _, at := range parts() {
		s = append(s, fmt.Sprintf("%s: %s", at, p.faults[at]))
	}
	for i, h := range p.habits {
		s = append(s, fmt.Sprintf("publisher %d: %s, %s, %s", i, h[deploying], h[updating], h[stopping]))
	}
	return strings.Join(s, "; ")
}

// services are the provider's processes, by their sub-commands; kill -9 of each but the facade is no matter to a running app.
func services() []string {
	return []string{"gateway", "controller", "keeper", "imagestore", "logstore", "meter", "invoicer", "notifier", "doctor", "facade"}
}

// machines are the processes below, by their names in the devnet.
func machines() []string {
	return []string{"kubelet", "containerd", "kube-apiserver", "etcd", "kube-controller-manager", "kube-scheduler", "provisioner"}
}

// allEndpoints and one of them: what all say can't be told from the truth, so all of them never lie about a channel.
func allEndpoints() []string { return []string{"a", "b", "c"} }

// catalogue lists every fault that can be drawn.
func catalogue() []fault {
	all := []fault{{kind: none, spares: true}, {kind: disk, lasts: 5 * time.Second, spares: true}}
	for _, s := range services() {
		all = append(all, fault{kind: service, what: s, spares: s != "facade"})
	}
	for _, m := range machines() {
		all = append(all, fault{kind: machine, what: m, spares: true})
	}
	weather := func(what string, n int64, everywhere bool) {
		f := fault{kind: chain, what: what, n: n, lasts: 8 * time.Second, spares: true}
		if everywhere {
			f.at = allEndpoints()
		}
		all = append(all, f)
	}
	for _, mode := range []string{"hang", "fail", "busy", "garbage", "break", "lose"} {
		weather(mode, 0, true)
	}
	weather("lag", 4, true)
	weather("skew", 3600, true)
	weather("skew", -3600, true)
	// At one of them, which the draw names.
	weather("hang", 0, false)
	weather("lag", 30, false)
	weather("skew", 3600, false)
	for _, lie := range []string{"ended", "closed", "none", "swallow"} {
		weather(lie, 0, false)
	}
	return all
}

// stride leads through the catalogue so that neighbours, which are alike, do not follow each other. It has no divisor in common with its length.
const stride = 8

// draw draws a batch.
func draw(seed uint64, runs int) plan {
	r := rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // to be drawn again, not to be secret
	p := plan{faults: map[part]fault{}}
	all := catalogue()
	for i, at := range parts() {
		// Not by chance, so that as few runs as can be see all of them; each round of all begins one further on, so that each of them comes in
		// all parts in the end.
		nth := (seed-1)*uint64(len(parts())) + uint64(i)
		f := all[(nth*stride+nth/uint64(len(all)))%uint64(len(all))]
		f.after = time.Duration(r.IntN(4000)) * time.Millisecond
		if f.kind == chain && f.at == nil {
			f.at = []string{allEndpoints()[r.IntN(len(allEndpoints()))]}
		}
		p.faults[at] = f
	}
	for range runs {
		habits := map[part]habit{}
		for _, at := range parts() {
			habits[at] = drawHabit(r, at)
		}
		p.habits = append(p.habits, habits)
	}
	return p
}

func drawHabit(r *rand.Rand, at part) habit {
	names := []string{careful, careful, twice, together, impatient, impatient, cramped}
	if at == stopping {
		names = append(names, torn)
	}
	h := habit{name: names[r.IntN(len(names))]}
	if h.name == impatient {
		for range 1 + r.IntN(2) {
			h.steps = append(h.steps, 1+r.IntN(mostSteps))
		}
	}
	return h
}

// mostSteps is more than a command reports.
const mostSteps = 14
