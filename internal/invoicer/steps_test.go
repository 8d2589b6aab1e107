// SPDX-License-Identifier: Apache-2.0

package invoicer

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/apocryph/apocryph/api/v1alpha1"
	"github.com/apocryph/apocryph/internal/channel"
	"github.com/apocryph/apocryph/internal/tariff"
	"github.com/apocryph/apocryph/internal/usage"
)

// exhaustedFor makes a sight of an app that ran out some time ago, and whose final block is as new as the clock.
func exhaustedFor(s *sight, ago time.Duration) {
	s.owed = tariff.Units(10_000)
	s.funded = &metav1.Condition{Type: v1alpha1.ConditionFunded, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonExhausted}
	since := metav1.NewTime(s.now.Add(-ago))
	s.funds = &v1alpha1.Funds{ExhaustedAt: &since}
	s.deepen()
	final := s.seen.State
	s.seen.Final, s.seen.FinalTime = &final, s.now
}

func TestGraceOver(t *testing.T) {
	for name, c := range map[string]struct {
		ago  time.Duration
		with func(*Config, *sight)
		want string
	}{
		"exhausted a moment ago":    {time.Second, nil, v1alpha1.ReasonExhausted},
		"a second before the end":   {time.Hour - time.Second, nil, v1alpha1.ReasonExhausted},
		"at the end":                {time.Hour, nil, v1alpha1.ReasonGraceOver},
		"long after it":             {1000 * time.Hour, nil, v1alpha1.ReasonGraceOver},
		"and it was said before":    {time.Hour, func(_ *Config, s *sight) { s.funded.Reason = v1alpha1.ReasonGraceOver }, v1alpha1.ReasonGraceOver},
		"nothing final is known":    {time.Hour, func(_ *Config, s *sight) { s.seen.Final = nil }, v1alpha1.ReasonExhausted},
		"the final block is older":  {time.Hour, func(_ *Config, s *sight) { s.seen.FinalTime = s.now.Add(-time.Second) }, v1alpha1.ReasonExhausted},
		"our clock jumped, no more": {time.Hour, func(_ *Config, s *sight) { s.seen.FinalTime = s.now.Add(-time.Hour) }, v1alpha1.ReasonExhausted},
		"the chain's jumped, no more": {time.Hour, func(_ *Config, s *sight) {
			s.seen.FinalTime, s.now = s.now.Add(time.Hour), s.now.Add(-time.Minute)
		}, v1alpha1.ReasonExhausted},
		"a deposit in the newest block, not confirmed": {time.Hour, func(_ *Config, s *sight) {
			s.seen.Deposited = tariff.Units(20_000)
		}, v1alpha1.ReasonExhausted},
		"a deposit that one endpoint does not show, and most do": {time.Hour, func(_ *Config, s *sight) {
			s.seen.Final.Deposited = tariff.Units(20_000)
		}, v1alpha1.ReasonExhausted},
		"a deposit of one unit": {time.Hour, func(_ *Config, s *sight) {
			for _, d := range []*channel.State{&s.seen.State, &s.seen.Confirmed, s.seen.Final} {
				d.Deposited = tariff.Units(10_001)
			}
		}, v1alpha1.ReasonGraceOver},
		"a real deposit": {time.Hour, func(_ *Config, s *sight) {
			for _, d := range []*channel.State{&s.seen.State, &s.seen.Confirmed, s.seen.Final} {
				d.Deposited = tariff.Units(20_000)
			}
		}, v1alpha1.ReasonFunded},
		"all of it claimed, as one endpoint says, and most do not": {time.Hour, func(_ *Config, s *sight) {
			s.owed = tariff.Units(100)
			s.seen.Claimed, s.seen.Confirmed.Claimed = tariff.Units(10_000), tariff.Units(10_000)
		}, v1alpha1.ReasonExhausted},
		"all of it claimed, as most say": {time.Hour, func(_ *Config, s *sight) {
			s.owed = tariff.Units(100)
			for _, d := range []*channel.State{&s.seen.State, &s.seen.Confirmed, s.seen.Final} {
				d.Claimed = tariff.Units(10_000)
			}
		}, v1alpha1.ReasonGraceOver},
		"the chain is in doubt":   {time.Hour, func(_ *Config, s *sight) { s.seen.Doubt = errDown }, ""},
		"the chain is unseen":     {time.Hour, func(_ *Config, s *sight) { s.seen = nil }, ""},
		"nobody knows since when": {time.Hour, func(_ *Config, s *sight) { s.funds = nil }, v1alpha1.ReasonExhausted},
		"no grace never ends":     {time.Hour, func(c *Config, _ *sight) { c.VolumeGrace = 0 }, v1alpha1.ReasonExhausted},
		"it was Funded at last":   {time.Hour, func(_ *Config, s *sight) { s.funded.Status, s.funded.Reason = "True", v1alpha1.ReasonLow }, v1alpha1.ReasonExhausted},
	} {
		t.Run(name, func(t *testing.T) {
			cfg, s := baseline()
			exhaustedFor(&s, c.ago)
			if c.with != nil {
				c.with(&cfg, &s)
			}
			got := ""
			if step := cfg.fund(s); step != nil {
				got = step.reason
			}
			if got != c.want {
				t.Errorf("Funded says %q, want %q", got, c.want)
			}
		})
	}
}

// A clock that is two days behind when an app runs out is put right a look later: the grace is all there.
func TestAClockThatWasBehindTakesNothingFromTheGrace(t *testing.T) {
	cfg, s := baseline()
	s.owed = tariff.Units(10_000)
	right := s.now
	for _, look := range []struct {
		after time.Duration // by the right clock
		ours  time.Duration // of that
		want  string
	}{
		{0, -48 * time.Hour, v1alpha1.ReasonExhausted},
		{time.Minute, 0, v1alpha1.ReasonExhausted},
		{cfg.VolumeGrace - time.Second, 0, v1alpha1.ReasonExhausted},
		{cfg.VolumeGrace, 0, v1alpha1.ReasonGraceOver},
	} {
		s.seen.Time = right.Add(look.after)
		s.now = s.seen.Time.Add(look.ours)
		s.deepen()
		final := s.seen.State
		s.seen.Final, s.seen.FinalTime = &final, s.seen.Time
		if step := apply(cfg, &s); step == nil || step.reason != look.want {
			t.Errorf("%s after it ran out: %+v, want %s", look.after, step, look.want)
		}
	}
}

// A provider that ended nobody sets a grace: those who were asleep for long have all of it.
func TestAGraceThatIsSetStartsThen(t *testing.T) {
	cfg, s := baseline()
	grace := cfg.VolumeGrace
	s.owed = tariff.Units(10_000)
	set := s.now.Add(1000 * time.Hour)
	for _, look := range []struct {
		at    time.Time
		grace time.Duration
		want  string
	}{
		{s.now, 0, v1alpha1.ReasonExhausted},
		{set.Add(-time.Minute), 0, v1alpha1.ReasonExhausted},
		{set, grace, v1alpha1.ReasonExhausted},
		{set.Add(grace - time.Second), grace, v1alpha1.ReasonExhausted},
		{set.Add(grace), grace, v1alpha1.ReasonGraceOver},
	} {
		cfg.VolumeGrace, s.now, s.seen.Time = look.grace, look.at, look.at
		s.deepen()
		final := s.seen.State
		s.seen.Final, s.seen.FinalTime = &final, s.now
		if step := apply(cfg, &s); step == nil || step.reason != look.want {
			t.Errorf("%s after it was set: %+v, want %s", look.at.Sub(set), step, look.want)
		}
	}
}

// The cap of the baseline is 2 per second, claimed up to an hour ago: 7200 can be claimed.
func TestThrottle(t *testing.T) {
	over := usage.Rate{MilliCPU: 2001}
	for name, c := range map[string]struct {
		owed    uint64
		running usage.Rate
		stored  usage.Rate
		was     string
		with    func(*sight)
		want    string
	}{
		"within the cap": {7000, usage.Rate{MilliCPU: 2000}, usage.Rate{}, "", nil, ""},
		"ahead, and the cap pays for what is there":  {9500, usage.Rate{MilliCPU: 2000}, usage.Rate{}, "", nil, ""},
		"more is there, and it may still be claimed": {7200, over, usage.Rate{}, "", nil, ""},
		"more is there, and a little ahead":          {8400, over, usage.Rate{}, "", nil, ""},
		"more is there, and too far ahead":           {8401, over, usage.Rate{}, "", nil, v1alpha1.ReasonCapExceeded},
		"kept volumes count":                         {8401, usage.Rate{MilliCPU: 1000}, usage.Rate{MilliCPU: 1001}, "", nil, v1alpha1.ReasonCapExceeded},
		"asleep since, and still ahead":              {7201, usage.Rate{}, usage.Rate{}, v1alpha1.ReasonCapExceeded, nil, v1alpha1.ReasonCapExceeded},
		"asleep since, and caught up":                {7200, usage.Rate{}, usage.Rate{}, v1alpha1.ReasonCapExceeded, nil, ""},
		"what the deposit does not hold is no claim": {9000, over, usage.Rate{}, "", func(s *sight) {
			s.seen.Deposited, s.seen.Claimed = tariff.Units(9_900), tariff.Units(1_900)
		}, ""},
		"claimed a moment ago, and ahead of it": {9000, over, usage.Rate{}, "", func(s *sight) {
			s.seen.Claimed, s.seen.SpentUntil = tariff.Units(7000), uint64(s.now.Unix())
		}, v1alpha1.ReasonCapExceeded},
		"what was sent is ahead, and no cap was lost": {8401, usage.Rate{}, usage.Rate{}, "", func(s *sight) { s.offered = s.now.Add(-time.Hour) }, v1alpha1.ReasonCapExceeded},
		"what was sent is a little ahead":             {8400, usage.Rate{}, usage.Rate{}, "", func(s *sight) { s.offered = s.now.Add(-time.Hour) }, ""},
		"what is ahead is no more than what was lost": {9000, usage.Rate{}, usage.Rate{}, "", func(s *sight) { s.offered = s.now.Add(-time.Hour - 5*time.Minute) }, ""},
		"what was claimed was not lost": {9001, usage.Rate{}, usage.Rate{}, "", func(s *sight) {
			s.offered = s.now.Add(-time.Hour - 5*time.Minute)
			s.seen.Claimed = tariff.Units(600)
		}, v1alpha1.ReasonCapExceeded},
		"spent beyond now": {9000, over, usage.Rate{}, "", func(s *sight) {
			s.seen.Claimed, s.seen.SpentUntil = tariff.Units(7000), uint64(s.now.Unix())+5
		}, v1alpha1.ReasonCapExceeded},
	} {
		t.Run(name, func(t *testing.T) {
			cfg, s := baseline()
			cfg.CapSlack, cfg.VolumeGrace = 10*time.Minute, 0
			s.owed, s.running, s.stored = tariff.Units(c.owed), c.running, c.stored
			if c.was != "" {
				s.funded = &metav1.Condition{Type: v1alpha1.ConditionFunded, Status: metav1.ConditionFalse, Reason: c.was}
			}
			if c.with != nil {
				c.with(&s)
			}
			s.deepen()
			got := ""
			if step := cfg.throttle(s); step != nil {
				got = step.reason
			}
			if got != c.want {
				t.Errorf("%q, want %q: %s ahead", got, c.want, s.ahead())
			}
		})
	}
}

// An app with a volume that left its order goes on for ever at a rate above its cap. It is put to sleep and woken again, and what it owes is
// never ahead of what can be claimed by more than the slack and what runs until it sleeps.
func TestThrottleKeepsWhatIsOwedClaimable(t *testing.T) {
	cfg, s := baseline()
	cfg.CapSlack = 10 * time.Minute
	s.terms.Cap = tariff.Units(1)
	s.seen.Deposited, s.seen.SpentUntil = tariff.Units(1_000_000), uint64(s.now.Unix())
	slept, woke := 0, 0
	for range 5000 {
		s.deepen()
		before := s.funded
		apply(cfg, &s)
		awake := s.funded.Status == metav1.ConditionTrue
		if before != nil && awake != (before.Status == metav1.ConditionTrue) {
			if awake {
				woke++
			} else {
				slept++
			}
		}
		s.running, s.stored = usage.Rate{}, usage.Rate{MilliCPU: 250}
		if awake {
			s.running = usage.Rate{MilliCPU: 1000}
		}
		s.owed = s.owed.Add(cost(s.prices, s.running.Add(s.stored), time.Minute))
		s.now = s.now.Add(time.Minute)
		s.seen.Time = s.now
		if ahead := s.ahead(); ahead.Cmp(tariff.Units(600+150)) > 0 {
			t.Fatalf("%s ahead of the cap", ahead)
		}
	}
	if slept < 10 || woke < 10 {
		t.Errorf("slept %d times and woke %d times", slept, woke)
	}
}

// apply does what the reconciler writes.
func apply(c Config, s *sight) *step {
	next := c.fund(*s)
	s.funds = c.report(*s, next)
	if next != nil {
		s.funded = &metav1.Condition{Type: v1alpha1.ConditionFunded, Status: next.status, Reason: next.reason, Message: next.message}
	}
	return next
}

// From the first coin to the last: an app with a volume runs down, is low, sleeps for all of its grace, and ends; and what it owes then was
// deposited, because the reserve paid for the grace.
func TestTheStepsDownArePaidFor(t *testing.T) {
	cfg, s := baseline()
	s.asleep, s.awake = usage.Rate{MilliCPU: 100}, usage.Rate{MilliCPU: 1100}
	s.seen.Deposited = tariff.Units(20_000)
	var steps []string
	var used usage.Totals
	for range 10_000 {
		s.deepen()
		final := s.seen.State
		s.seen.Final, s.seen.FinalTime = &final, s.now
		step := apply(cfg, &s)
		if n := len(steps); n == 0 || steps[n-1] != step.reason {
			steps = append(steps, step.reason)
		}
		if step.reason == v1alpha1.ReasonGraceOver {
			break
		}
		rate := s.asleep
		if step.status == metav1.ConditionTrue {
			rate = s.awake
		}
		used = used.Add(rate.For(int64(cfg.Poll / time.Second)))
		s.owed = s.prices.Cost(used)
		s.now = s.now.Add(cfg.Poll)
		s.seen.Time = s.now
	}
	if got, want := strings.Join(steps, " "), "Funded Low Exhausted GraceOver"; got != want {
		t.Errorf("steps %s, want %s", got, want)
	}
	if s.owed.Cmp(s.seen.Deposited) > 0 {
		t.Errorf("%s are owed of %s", s.owed, s.seen.Deposited)
	}
	if kept := s.now.Sub(s.funds.ExhaustedAt.Time); kept < cfg.VolumeGrace || kept > cfg.VolumeGrace+cfg.Poll {
		t.Errorf("volumes were kept for %s", kept)
	}
}

// Whatever happens in whatever order, the steps keep to their rules.
func TestStepsInAnyOrder(t *testing.T) {
	const runs, events = 300, 120
	ended := 0
	for seed := range uint64(runs) {
		l := newLife(seed)
		for range events {
			l.happen()
			s := l.sight()
			before, was := s.funds, s.funded
			step := apply(l.cfg, &s)
			if broken := l.check(s, before, was, step); broken != "" {
				t.Fatalf("seed %d: %s\nbefore %+v %+v\nafter  %+v %+v", seed, broken, was, before, s.funded, s.funds)
			}
			l.funds, l.funded = s.funds, s.funded
			if step != nil && step.reason == v1alpha1.ReasonGraceOver {
				ended++
				break
			}
		}
	}
	if ended < runs/20 || ended > runs*19/20 {
		t.Errorf("%d of %d lives ended for want of money: the events are one-sided", ended, runs)
	}
}

// life is an app, its channel at three depths, and what was written about it.
type life struct {
	rnd    *rand.Rand
	cfg    Config
	base   sight
	funds  *v1alpha1.Funds
	funded *metav1.Condition
	now    time.Time
	owed   tariff.Amount
	// depth are the newest, confirmed and final states; each follows the one before it.
	depth        [3]channel.State
	final        time.Time
	blind, doubt bool
}

func newLife(seed uint64) *life {
	l := &life{rnd: rand.New(rand.NewPCG(seed, 1))} //nolint:gosec // a seed that can be had again
	l.cfg, l.base = baseline()
	l.base.asleep = usage.Rate{MilliCPU: l.rnd.Int64N(3) * 100}
	l.base.awake = usage.Rate{MilliCPU: 1000}.Add(l.base.asleep)
	l.now, l.final = l.base.now, l.base.now
	for i := range l.depth {
		l.depth[i] = channel.State{Deposited: tariff.Units(l.rnd.Uint64N(20_000) + 1), SpentUntil: 1}
	}
	l.depth[2], l.depth[1] = l.depth[0], l.depth[0]
	return l
}

func (l *life) happen() {
	switch l.rnd.IntN(10) {
	case 0, 1, 2:
		l.pass(time.Duration(l.rnd.IntN(120)) * time.Second)
	case 3:
		l.pass(time.Duration(l.rnd.IntN(120)) * time.Minute)
	case 4, 9:
		deposit := tariff.Units(1)
		if l.rnd.IntN(2) == 0 {
			deposit = tariff.Units(l.rnd.Uint64N(5000))
		}
		l.depth[0].Deposited = l.depth[0].Deposited.Add(deposit)
	case 5:
		l.depth[1] = l.depth[0]
	case 6:
		l.depth[2], l.final = l.depth[1], l.now.Add(-time.Duration(l.rnd.IntN(30))*time.Minute)
	case 7:
		l.depth[0].Claimed = l.owed.Min(l.depth[0].Deposited)
	case 8:
		l.blind, l.doubt = l.rnd.IntN(3) == 0, l.rnd.IntN(4) == 0
	}
}

func (l *life) pass(d time.Duration) {
	rate := l.base.asleep
	if l.funded != nil && l.funded.Status != metav1.ConditionFalse {
		rate = l.base.awake
	}
	l.now = l.now.Add(d)
	l.owed = l.owed.Add(l.base.prices.Cost(rate.For(int64(d / time.Second))))
}

func (l *life) sight() sight {
	s := l.base
	s.now, s.owed, s.funds, s.funded, s.seen = l.now, l.owed, l.funds, l.funded, nil
	if l.blind {
		return s
	}
	s.seen = &Seen{State: l.depth[0], Confirmed: l.depth[1], Time: l.now, Block: 1}
	switch {
	case l.doubt:
		s.seen.Doubt = errDown
	case l.cfg.nearlyOver(s):
		s.seen.Final, s.seen.FinalTime = &l.depth[2], l.final
	}
	return s
}

// check returns the rule that a step breaks.
func (l *life) check(s sight, before *v1alpha1.Funds, was *metav1.Condition, next *step) string {
	asleep := exhausted(s.funded)
	switch {
	case l.blind || l.doubt:
		if next != nil && next.status == metav1.ConditionFalse {
			return "something was decided that was not seen"
		}
		return ""
	case asleep != (s.funds.ExhaustedAt != nil):
		return "exhausted, and nobody knows since when, or the other way round"
	case asleep && exhausted(was) && before != nil && before.ExhaustedAt != nil && !before.ExhaustedAt.Equal(s.funds.ExhaustedAt):
		return "the grace began anew"
	}
	left, floor := s.left(), l.cfg.reserve(s, l.depth[1].Deposited)
	if exhausted(was) {
		floor = floor.Add(cost(s.prices, s.awake, l.cfg.ResumeRunway))
	}
	if next.status == metav1.ConditionTrue && left.Cmp(floor) < 0 {
		return "it runs on less than it has to have: " + left.String() + " of " + floor.String()
	}
	if broken := l.wakes(s); next.reason == v1alpha1.ReasonExhausted && broken != "" {
		return broken
	}
	if next.reason == v1alpha1.ReasonExhausted && left.Cmp(floor) > 0 {
		return "a real deposit does not bring it back"
	}
	if next.reason != v1alpha1.ReasonGraceOver {
		return ""
	}
	if l.now.Sub(s.funds.ExhaustedAt.Time) < l.cfg.VolumeGrace || l.final.Sub(s.funds.ExhaustedAt.Time) < l.cfg.VolumeGrace {
		return "it ends before its grace is over"
	}
	for _, d := range l.depth {
		if rest, err := d.Deposited.Sub(l.owed); err == nil && rest.Cmp(l.cfg.reserve(s, d.Deposited).Add(cost(s.prices, s.awake, l.cfg.ResumeRunway))) >= 0 {
			return "it ends with a deposit in sight"
		}
	}
	return ""
}

// wakes returns what is wrong with the deposit that an exhausted app is told to need.
func (l *life) wakes(s sight) string {
	seen, missing := s.confirmed(), l.cfg.missing(s)
	deposited := seen.Deposited
	if seen.Deposited = deposited.Add(missing); !l.cfg.enough(s, seen) {
		return "a deposit of " + missing.String() + " does not wake it"
	}
	if less, err := missing.Sub(tariff.Units(3)); err == nil {
		if seen.Deposited = deposited.Add(less); l.cfg.enough(s, seen) {
			return "a deposit of " + less.String() + " wakes it, too"
		}
	}
	return ""
}
