// SPDX-License-Identifier: Apache-2.0

package invoicer

import (
	"fmt"
	"math/big"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/apocryph/apocryph/api/v1alpha1"
	"github.com/apocryph/apocryph/internal/channel"
	"github.com/apocryph/apocryph/internal/tariff"
	"github.com/apocryph/apocryph/internal/usage"
)

// Reasons of the condition Settled.
const (
	ReasonSettled  = "Settled"
	ReasonSettling = "Settling"
)

// sight is all that decides about one app's money on one channel at one moment.
type sight struct {
	id  channel.ID
	now time.Time
	// seen is the channel, nil if it could not be read.
	seen *Seen
	// funds and funded are what was written last, nil at first.
	funds  *v1alpha1.Funds
	funded *metav1.Condition
	// ending says that nothing new will run.
	ending bool

	terms  channel.Terms
	prices tariff.Tariff
	// awake is what is reserved while the app runs, asleep what its volumes do, by the order; running and stored are all pods and all
	// volumes that are really there, among them those that left the order.
	awake, asleep, running, stored usage.Rate
	// owed is what was used so far.
	owed tariff.Amount
	// offered is the earliest that the channel can have been opened; zero if it is not known.
	offered time.Time
	// voucher and release are the totals of good signatures.
	voucher, release *tariff.Amount
	papers           struct{ voucher, release []byte }
	lastClaim        time.Time
	// settled is what came of a channel that paid before and was seen closed for good; nil before that.
	settled *closing
}

// closing is what came of a channel.
type closing struct{ deposited, claimed, refunded tariff.Amount }

// closed is what came of the channel, nil while it is not closed for good.
func (s sight) closed() *closing {
	if s.settled == nil && s.final() == channel.Closed {
		return &closing{s.seen.Final.Deposited, s.seen.Final.Claimed, s.seen.Final.Remaining()}
	}
	return s.settled
}

// reportFormer is what is told of a channel before the one that is followed: as it was told before, if it was not seen.
func (s sight) reportFormer(told []v1alpha1.FormerFunds) *v1alpha1.FormerFunds {
	if c := s.closed(); c != nil {
		return &v1alpha1.FormerFunds{
			Channel: s.id.String(), Deposited: c.deposited.String(), Claimed: c.claimed.String(), Refunded: c.refunded.String(), Closed: true,
		}
	}
	if s.known() {
		return &v1alpha1.FormerFunds{Channel: s.id.String(), Deposited: s.seen.Confirmed.Deposited.String(), Claimed: s.seen.Claimed.String()}
	}
	for i := range told {
		if told[i].Channel == s.id.String() {
			return &told[i]
		}
	}
	return nil
}

// at is the chain's present: the next block is not earlier than now, and a chain may be ahead of us.
func (s sight) at() time.Time {
	if s.seen != nil && s.seen.Time.After(s.now) {
		return s.seen.Time
	}
	return s.now
}

// status is the channel's in the newest block, None if it was not read.
func (s sight) status() channel.Status {
	if s.seen == nil {
		return channel.None
	}
	return s.seen.Status(s.at())
}

// known reports whether what was seen is enough to say how an app stands.
func (s sight) known() bool {
	return s.seen != nil && s.seen.Doubt == nil && s.seen.Confirmed.Status(s.at()) != channel.None
}

// final is the channel's status that can't be taken back, None if that was not asked for.
func (s sight) final() channel.Status {
	if !s.known() || s.seen.Final == nil {
		return channel.None
	}
	return s.seen.Final.Status(s.seen.FinalTime)
}

// surely is the present as far as no single endpoint can move it: our clock's, or the final block's time when that is later.
func (s sight) surely() time.Time {
	if s.seen != nil && s.seen.Final != nil && s.seen.FinalTime.After(s.now) {
		return s.seen.FinalTime
	}
	return s.now
}

// left is what remains of the confirmed deposit after all that was used or signed away, arrears first.
func (s sight) left() tariff.Amount { return s.leftOf(s.confirmed()) }

// confirmed is the channel with the deposit that is confirmed and all that was claimed so far.
func (s sight) confirmed() channel.State {
	c := s.seen.Confirmed
	c.Claimed = s.seen.Claimed
	return c
}

func (s sight) leftOf(seen channel.State) tariff.Amount {
	left, err := seen.Deposited.Sub(s.dueOf(seen))
	if err != nil {
		return tariff.Amount{} // arrears
	}
	return left
}

// dueOf is what the deposit has to pay so far.
func (s sight) dueOf(seen channel.State) tariff.Amount {
	due := s.owed
	for _, a := range []tariff.Amount{seen.Claimed, value(s.voucher), value(s.release)} {
		if a.Cmp(due) > 0 {
			due = a
		}
	}
	return due
}

func value(a *tariff.Amount) tariff.Amount {
	if a == nil {
		return tariff.Amount{}
	}
	return *a
}

// step is a condition's status, reason and message.
type step struct {
	status  metav1.ConditionStatus
	reason  string
	message string
}

// fund returns what Funded should say, nil to leave it as it is.
func (c Config) fund(s sight) *step {
	switch {
	case !s.known():
		return c.unseen(s)
	case s.final() == channel.Closed:
		return &step{metav1.ConditionFalse, v1alpha1.ReasonClosed,
			fmt.Sprintf("the channel is closed: %s claimed, %s refunded", s.seen.Final.Claimed, s.seen.Final.Remaining())}
	case s.final() == channel.Ended:
		return &step{metav1.ConditionFalse, v1alpha1.ReasonNotice, "the publisher's notice ended at " + stamp(s.noticeEnd())}
	case s.status() != channel.Open && s.status() != channel.Notice:
		return s.doubtful("the channel seems to be closed, or its notice over, which is not final yet")
	}
	left, reserve := s.left(), c.reserve(s, s.seen.Confirmed.Deposited)
	if !c.enough(s, s.confirmed()) {
		return c.exhaust(s, left, reserve)
	}
	if s.status() == channel.Notice {
		switch near := !s.surely().Before(s.noticeEnd().Add(-c.NoticeLead)); {
		case near && s.final() == channel.Notice:
			return &step{metav1.ConditionFalse, v1alpha1.ReasonNotice, "stopped, because the publisher's notice ends at " + stamp(s.noticeEnd())}
		case near:
			return s.doubtful("the publisher's notice seems to end at " + stamp(s.noticeEnd()) + ", which is not final yet")
		}
		return &step{metav1.ConditionTrue, v1alpha1.ReasonNotice, "the publisher has given notice until " + stamp(s.noticeEnd())}
	}
	if throttle := c.throttle(s); throttle != nil {
		return throttle
	}
	if left.Cmp(reserve.Add(cost(s.prices, s.awake, c.LowRunway))) < 0 {
		return &step{metav1.ConditionTrue, v1alpha1.ReasonLow, "enough for " + s.runway(left, reserve) + " of running"}
	}
	return &step{metav1.ConditionTrue, v1alpha1.ReasonFunded, ""}
}

// doubtful is for bad news that may be taken back. It tears nothing down and takes no pods away, but like an unseen chain it has its time: if
// the chain finds no finality, an app must not run on unpaid for ever.
func (s sight) doubtful(message string) *step {
	if s.funded == nil || s.funded.Status == metav1.ConditionFalse {
		return nil
	}
	return &step{metav1.ConditionUnknown, v1alpha1.ReasonChainUnseen, message}
}

// unseen is for a channel that can't be read, or is not there though it was seen once. What is known to be unfunded stays so, and what
// was never seen gets no condition at all.
func (c Config) unseen(s sight) *step {
	if s.funds == nil || s.funded == nil || s.funded.Status != metav1.ConditionTrue || s.now.Sub(s.funds.SeenAt.Time) < c.UnseenAfter {
		return nil
	}
	return &step{metav1.ConditionUnknown, v1alpha1.ReasonChainUnseen, "the channel was last seen at " + stamp(s.funds.SeenAt.Time)}
}

func cost(t tariff.Tariff, r usage.Rate, d time.Duration) tariff.Amount {
	return t.CostUp(r.For(int64(d / time.Second)))
}

// runway is for people.
func (s sight) runway(left, reserve tariff.Amount) string {
	spare, err := left.Sub(reserve)
	hourly := cost(s.prices, s.awake, time.Hour)
	if err != nil || hourly.IsZero() {
		return "an unknown time"
	}
	seconds := new(big.Int).Mul(spare.Big(), big.NewInt(3600))
	seconds.Quo(seconds, hourly.Big())
	return strings.TrimSuffix((time.Duration(seconds.Int64()) * time.Second).Truncate(time.Minute).String(), "0s")
}

// noticeEnd is when the notice ends; once closed, the chain does not tell any more.
func (s sight) noticeEnd() time.Time {
	end := s.seen.NoticeEnd
	if f := s.final(); f == channel.Notice || f == channel.Ended {
		end = s.seen.Final.NoticeEnd
	}
	return time.Unix(int64(end), 0)
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// settle returns what Settled should say, nil for nothing. An app is settled when all of its channels are.
func (s sight) settle(former []sight) *step {
	var claimed, refunded tariff.Amount
	open := 0
	for _, f := range append(former[:len(former):len(former)], s) {
		c := f.closed()
		if c == nil {
			open++
			continue
		}
		claimed, refunded = claimed.Add(c.claimed), refunded.Add(c.refunded)
	}
	switch {
	case open == 0:
		return &step{metav1.ConditionTrue, ReasonSettled, fmt.Sprintf("%s claimed, %s refunded", claimed, refunded)}
	case s.final() == channel.Closed:
		return &step{metav1.ConditionFalse, ReasonSettling, fmt.Sprintf("%d channels that paid before are not closed yet", open)}
	case s.ending || s.release != nil:
		return &step{metav1.ConditionFalse, ReasonSettling, "the channel is not closed yet"}
	}
	return nil
}

// report is the field funds, as last written if the channel was not seen. next is what Funded is going to say, nil for what it says.
func (c Config) report(s sight, next *step) *v1alpha1.Funds {
	if !s.known() {
		return s.funds
	}
	f := &v1alpha1.Funds{
		Channel:   s.id.String(),
		Deposited: s.seen.Confirmed.Deposited.String(),
		Claimed:   s.seen.Claimed.String(),
		Closed:    s.final() == channel.Closed,
		Block:     int64(s.seen.Block),
		SeenAt:    metav1.NewTime(s.at().Truncate(time.Second)),
	}
	if !f.Closed {
		f.Reserve = c.reserve(s, s.seen.Confirmed.Deposited).String()
		if c.VolumeGrace > 0 { // else none counts, and one that is set later starts when it is set
			f.ExhaustedAt = s.exhaustedFrom(next)
		}
	}
	switch {
	case f.Closed:
		f.Deposited, f.Claimed, f.Refunded = s.seen.Final.Deposited.String(), s.seen.Final.Claimed.String(), s.seen.Final.Remaining().String()
		if s.funds != nil {
			f.NoticeEnd = s.funds.NoticeEnd
		}
	case s.seen.Final != nil && s.seen.Final.NoticeEnd != 0:
		end := metav1.NewTime(s.noticeEnd())
		f.NoticeEnd = &end
		// Whoever reads this takes the notice for over once the channel was seen after its end.
		if s.final() != channel.Ended && !f.SeenAt.Before(&end) {
			f.SeenAt = metav1.NewTime(end.Add(-time.Second))
		}
	}
	return f
}
