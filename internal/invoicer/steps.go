// SPDX-License-Identifier: Apache-2.0

package invoicer

import (
	"fmt"
	"math/big"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/apocryph/apocryph/api/v1alpha1"
	"github.com/apocryph/apocryph/internal/channel"
	"github.com/apocryph/apocryph/internal/tariff"
	"github.com/apocryph/apocryph/internal/usage"
)

// The steps down: Funded, Low, Exhausted, and then GraceOver, with which the app ends and its channel is settled. Every step but the last
// is taken back by a deposit, and the last is taken only when no deposit is in sight at any depth of the chain.

// reserve is what is kept back of a deposit: what pods cost until they are gone, and volumes until their grace is over. It is bounded by a
// quarter, so that a small deposit starts at all.
func (c Config) reserve(s sight, deposited tariff.Amount) tariff.Amount {
	wanted := c.wanted(s)
	quarter, err := tariff.NewAmount(new(big.Int).Rsh(deposited.Big(), 2))
	if err != nil {
		return wanted
	}
	return wanted.Min(quarter)
}

// wanted is the reserve of a large deposit.
func (c Config) wanted(s sight) tariff.Amount {
	volumes := cost(s.prices, s.asleep, c.VolumeGrace)
	if kept := cost(s.prices, s.stored, c.VolumeGrace); kept.Cmp(volumes) > 0 {
		volumes = kept
	}
	return cost(s.prices, s.awake, c.StopMargin).Add(volumes)
}

// enough reports whether an app may run on a channel: more than the reserve is left, and once it was exhausted, the minimum runway besides,
// so that a deposit of next to nothing starts no pods.
func (c Config) enough(s sight, seen channel.State) bool {
	left, reserve := s.leftOf(seen), c.reserve(s, seen.Deposited)
	if exhausted(s.funded) && left.Cmp(reserve.Add(cost(s.prices, s.awake, c.ResumeRunway))) < 0 {
		return false
	}
	return left.Cmp(reserve) > 0
}

// exhausted reports whether an app was taken for exhausted, or its grace for over.
func exhausted(funded *metav1.Condition) bool {
	return funded != nil && funded.Status == metav1.ConditionFalse &&
		(funded.Reason == v1alpha1.ReasonExhausted || funded.Reason == v1alpha1.ReasonGraceOver)
}

// missing is what has to be deposited for an exhausted app to wake, if nothing more were used meanwhile: enough for sure, and a unit or two
// more than that at most.
func (c Config) missing(s sight) tariff.Amount {
	seen := s.confirmed()
	floor := s.dueOf(seen).Add(cost(s.prices, s.awake, c.ResumeRunway))
	least := floor.Add(c.wanted(s))
	// The reserve is a quarter at most, so a deposit of which three quarters are enough will do.
	if a, err := tariff.NewAmount(new(big.Int).Quo(floor.Mul(4).Big(), big.NewInt(3))); err == nil {
		least = least.Min(a)
	}
	missing, err := least.Add(tariff.Units(1)).Sub(seen.Deposited)
	if err != nil {
		return tariff.Amount{}
	}
	return missing
}

// exhaust is for an app that may not run: it sleeps, and when it has slept for as long as its volumes are kept, it ends.
func (c Config) exhaust(s sight, left, reserve tariff.Amount) *step {
	what := fmt.Sprintf("%s of %s are left, %s are kept back", left, s.seen.Confirmed.Deposited, reserve)
	wakes := fmt.Sprintf("; a deposit of %s more wakes it", c.missing(s))
	switch end := s.graceEnd(c.VolumeGrace); {
	case end.IsZero():
		return &step{metav1.ConditionFalse, v1alpha1.ReasonExhausted, what + wakes}
	case c.graceOver(s):
		return &step{metav1.ConditionFalse, v1alpha1.ReasonGraceOver, what + "; volumes were kept until " + stamp(end)}
	default:
		return &step{metav1.ConditionFalse, v1alpha1.ReasonExhausted, what + wakes + "; without it the app and its volumes are deleted after " + stamp(end)}
	}
}

// graceEnd is when the volumes of an exhausted app are kept no longer, zero while that is not known. A grace of zero never ends.
func (s sight) graceEnd(grace time.Duration) time.Time {
	if grace <= 0 || s.funds == nil || s.funds.ExhaustedAt == nil || !exhausted(s.funded) {
		return time.Time{}
	}
	return s.funds.ExhaustedAt.Add(grace)
}

// nearlyOver reports whether the grace is over by our clock, so that it is time to ask what is final.
func (c Config) nearlyOver(s sight) bool {
	end := s.graceEnd(c.VolumeGrace)
	return !end.IsZero() && !s.now.Before(end)
}

// graceOver reports whether the grace is over for sure: by our clock and by a block that most endpoints call final, so that one clock that
// jumps deletes nothing; and not even a deposit that may still be taken back would let the app run. What was claimed counts against it at
// the same depth: what is final is the word of most endpoints, so that none alone can claim an app's deposit away.
func (c Config) graceOver(s sight) bool {
	if !c.nearlyOver(s) || s.seen.Final == nil || s.seen.FinalTime.Before(s.graceEnd(c.VolumeGrace)) {
		return false
	}
	return !c.enough(s, s.seen.State) && !c.enough(s, s.confirmed()) && !c.enough(s, *s.seen.Final)
}

// exhaustedFrom is since when the app is exhausted, nil if it is not.
func (s sight) exhaustedFrom(next *step) *metav1.Time {
	was := exhausted(s.funded) && s.funds != nil
	if next != nil && next.reason != v1alpha1.ReasonExhausted && next.reason != v1alpha1.ReasonGraceOver {
		return nil
	}
	switch {
	case was && s.funds.ExhaustedAt != nil:
		return s.funds.ExhaustedAt
	case next == nil && !was:
		return nil
	}
	// The later of our clock and the chain's: one that is behind now would have used up the grace by the time it is put right.
	from := metav1.NewTime(s.at().Truncate(time.Second))
	return &from
}

// throttle puts an app to sleep that reserves more than its channel's cap pays for, once what it owes is ahead of what can be claimed by
// CapSlack of the cap, and until that has been caught up. What is there is what counts, not what is missing: cap that was lost because
// nobody claimed for a window puts nobody to sleep who stays within the cap. Of what leaves the cluster nobody knows how fast it does: it is too
// much when what is owed is ahead even if all the cap that can have been lost were there.
func (c Config) throttle(s sight) *step {
	ahead := s.ahead()
	was := s.funded != nil && s.funded.Status == metav1.ConditionFalse && s.funded.Reason == v1alpha1.ReasonCapExceeded
	present := s.prices.CostUp(s.running.Add(s.stored).For(secondsPerHour))
	faster := present.Cmp(s.terms.Cap.Mul(secondsPerHour)) > 0
	slack := s.terms.Cap.Mul(uint64(max(c.CapSlack/time.Second, 0)))
	faster = faster || ahead.Cmp(slack.Add(s.lost())) > 0
	if ahead.IsZero() || (!was && (!faster || ahead.Cmp(slack) <= 0)) {
		return nil
	}
	return &step{metav1.ConditionFalse, v1alpha1.ReasonCapExceeded, fmt.Sprintf(
		"%s are owed beyond what the channel's cap of %s per second lets be claimed; what is reserved or sent must shrink, or sleep until then", ahead, s.terms.Cap)}
}

// lost is at least the cap that passed without being claimed and can't be any more: all of it from before the channel was opened, up to where it is used
// up, less what was claimed.
func (s sight) lost() tariff.Amount {
	since := uint64(max(s.offered.Unix(), 0))
	lost, err := s.terms.Cap.Mul(s.seen.SpentUntil - min(since, s.seen.SpentUntil)).Sub(s.seen.Claimed)
	if err != nil {
		return tariff.Amount{} // all of it was claimed
	}
	return lost
}

const secondsPerHour = 3600

// ahead is what is owed beyond all that the cap could let be claimed by now, as if no second of it were ever lost.
func (s sight) ahead() tariff.Amount {
	at := uint64(max(s.at().Unix(), 0))
	most := s.seen.Claimed
	if at > s.seen.SpentUntil {
		most = most.Add(s.terms.Cap.Mul(at - s.seen.SpentUntil))
	}
	ahead, err := s.owed.Min(s.seen.Confirmed.Deposited).Sub(most)
	if err != nil {
		return tariff.Amount{}
	}
	return ahead
}

// rates sums up what is there now: pods and volumes apart.
func rates(open []v1alpha1.Interval, rate func(v1alpha1.Interval) usage.Rate) (pods, volumes usage.Rate) {
	for _, i := range open {
		if i.Kind == "Volume" {
			volumes = volumes.Add(rate(i))
		} else {
			pods = pods.Add(rate(i))
		}
	}
	return pods, volumes
}
