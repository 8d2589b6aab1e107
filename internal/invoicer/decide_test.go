// SPDX-License-Identifier: Apache-2.0

package invoicer

import (
	"math/big"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/apocryph/apocryph/api/v1alpha1"
	"github.com/apocryph/apocryph/internal/channel"
	"github.com/apocryph/apocryph/internal/tariff"
	"github.com/apocryph/apocryph/internal/usage"
)

const closedForEver = 1<<40 - 1

func units(n uint64) *tariff.Amount { a := tariff.Units(n); return &a }

// An app that costs 1 per second awake and nothing asleep, with a deposit of 10 000.
func baseline() (Config, sight) {
	now := time.Unix(1_000_000, 0)
	c := Config{
		Poll: 15 * time.Second, ClaimEvery: time.Hour, ClaimMin: tariff.Units(10),
		LowRunway: time.Hour, StopMargin: time.Minute, VolumeGrace: time.Hour, ResumeRunway: 10 * time.Minute,
		NoticeLead: 5 * time.Minute, UnseenAfter: time.Minute, BatchEvery: time.Second, BatchMost: 3,
	}
	return c, sight{
		now: now,
		seen: &Seen{
			State: channel.State{Deposited: tariff.Units(10_000), SpentUntil: uint64(now.Unix()) - 3600},
			Block: 9, Time: now.Add(-time.Second),
		},
		terms:  channel.Terms{Cap: tariff.Units(2), Window: 7200},
		prices: tariff.Tariff{CPUHour: tariff.Units(3600)},
		awake:  usage.Rate{MilliCPU: 1000},
	}
}

// deep is what was seen in the newest block, as if it were confirmed and final.
func deep(s Seen) Seen {
	s.Confirmed = s.State
	if s.NoticeEnd != 0 {
		final := s.State
		s.Final, s.FinalTime = &final, s.Time
	}
	return s
}

// deepen does that to a sight.
func (s *sight) deepen() {
	if s.seen != nil {
		seen := deep(*s.seen)
		s.seen = &seen
	}
}

func TestFund(t *testing.T) {
	const funded, low, out, notice, closedNow, unseen = v1alpha1.ReasonFunded, v1alpha1.ReasonLow, v1alpha1.ReasonExhausted,
		v1alpha1.ReasonNotice, v1alpha1.ReasonClosed, v1alpha1.ReasonChainUnseen
	was := func(status metav1.ConditionStatus, reason string) *metav1.Condition {
		return &metav1.Condition{Type: v1alpha1.ConditionFunded, Status: status, Reason: reason}
	}
	seenAgo := func(s *sight, ago time.Duration) {
		s.seen = nil
		s.funds = &v1alpha1.Funds{SeenAt: metav1.NewTime(s.now.Add(-ago))}
	}
	noticeIn := func(s *sight, d time.Duration) { s.seen.NoticeEnd = uint64(s.now.Add(d).Unix()) }
	type want struct {
		status metav1.ConditionStatus
		reason string
	}
	closing := func(s *sight) { s.seen.NoticeEnd = closedForEver }
	ending := func(s *sight) { noticeIn(s, -time.Second) }
	tests := map[string]struct {
		with func(*sight)
		want want
		// but is what is not confirmed or final of it.
		but func(*Seen)
	}{
		"closed, but that may be taken back":       {with: closing, but: func(s *Seen) { s.Final = &channel.State{SpentUntil: 1} }},
		"closed, but nobody was asked":             {with: closing, but: func(s *Seen) { s.Final = nil }},
		"closed, and that can't be known":          {with: closing, but: func(s *Seen) { s.Final, s.Doubt = nil, errDown }},
		"closed by one, and seen open by the rest": {with: closing, but: func(s *Seen) { *s.Final = s.Confirmed; s.Final.NoticeEnd = 0 }},
		"closed, and unknown for a while": {with: func(s *sight) {
			closing(s)
			s.funds, s.funded = &v1alpha1.Funds{SeenAt: metav1.NewTime(s.now.Add(-time.Minute))}, was("True", funded)
		}, but: func(s *Seen) { s.Final, s.Doubt = nil, errDown }, want: want{"Unknown", unseen}},
		"the notice ended, but it may be taken back": {with: ending, but: func(s *Seen) { s.Final = &channel.State{SpentUntil: 1} }},
		"the notice is about to end, but it may be taken back": {with: func(s *sight) {
			noticeIn(s, time.Minute)
			s.funded = was("True", notice)
		}, but: func(s *Seen) { s.Final = &channel.State{SpentUntil: 1} }, want: want{"Unknown", unseen}},
		"closed while it ran, but that may be taken back": {with: func(s *sight) {
			closing(s)
			s.funded = was("True", funded)
		}, but: func(s *Seen) { s.Final = &channel.State{SpentUntil: 1} }, want: want{"Unknown", unseen}},
		"the notice ended while it ran, and still that may be taken back": {with: func(s *sight) {
			ending(s)
			s.funded = was("Unknown", unseen)
		}, but: func(s *Seen) { s.Final = &channel.State{SpentUntil: 1} }, want: want{"Unknown", unseen}},
		"closed after it was exhausted, but that may be taken back": {with: func(s *sight) {
			closing(s)
			s.funded = was("False", out)
		}, but: func(s *Seen) { s.Final = &channel.State{SpentUntil: 1} }},
		"the notice ended for good, and it was closed just now": {
			with: closing, but: func(s *Seen) { s.Final = &channel.State{SpentUntil: 1, NoticeEnd: 1} }, want: want{"False", notice},
		},
		"the notice ended by the newest block's word alone": {with: func(s *sight) {
			noticeIn(s, time.Hour)
			s.seen.Time, s.funded = s.now.Add(2*time.Hour), was("True", notice)
		}, but: func(s *Seen) { s.FinalTime = time.Unix(1_000_000, 0) }, want: want{"Unknown", unseen}},
		"the notice is about to end by the newest block's word alone": {with: func(s *sight) {
			noticeIn(s, time.Hour)
			s.seen.Time, s.funded = s.now.Add(59*time.Minute), was("True", notice)
		}, but: func(s *Seen) { s.FinalTime = time.Unix(1_000_000, 0) }, want: want{"True", notice}},
		"the notice ended by our clock alone, which may have jumped": {with: func(s *sight) {
			noticeIn(s, time.Hour)
			s.now, s.funded = s.now.Add(2*time.Hour), was("True", notice)
		}, want: want{"Unknown", unseen}},
		"the notice is about to end, and our clock is behind": {with: func(s *sight) {
			noticeIn(s, time.Minute)
			s.now = s.now.Add(-time.Hour)
		}, want: want{"False", notice}},
		"a deposit that may be taken back": {
			with: func(s *sight) { s.owed = tariff.Units(10_000); s.seen.Deposited = tariff.Units(30_000) },
			but:  func(s *Seen) { s.Confirmed.Deposited = tariff.Units(10_000) }, want: want{"False", out},
		},
		"opened, but that may be taken back": {with: func(*sight) {}, but: func(s *Seen) { s.Confirmed = channel.State{} }},
		"enough":                             {func(*sight) {}, want{"True", funded}, nil},
		"an hour beyond the reserve":         {func(s *sight) { s.owed = tariff.Units(10_000 - 3660) }, want{"True", funded}, nil},
		"less than an hour":                  {func(s *sight) { s.owed = tariff.Units(10_000 - 3659) }, want{"True", low}, nil},
		"a second beyond the reserve":        {func(s *sight) { s.owed = tariff.Units(10_000 - 61) }, want{"True", low}, nil},
		"only the reserve":                   {func(s *sight) { s.owed = tariff.Units(10_000 - 60) }, want{"False", out}, nil},
		"what vouchers say counts too":       {func(s *sight) { s.voucher = units(9_990) }, want{"False", out}, nil},
		"what was claimed counts too":        {func(s *sight) { s.seen.Claimed = tariff.Units(9_990) }, want{"False", out}, nil},
		"arrears":                            {func(s *sight) { s.owed = tariff.Units(20_000) }, want{"False", out}, nil},
		"arrears, and a deposit that covers": {func(s *sight) {
			s.owed = tariff.Units(20_000)
			s.seen.Deposited = tariff.Units(30_000)
			s.funded = was("False", out)
		}, want{"True", funded}, nil},
		"exhausted, and a little more":      {func(s *sight) { s.owed = tariff.Units(10_000 - 659); s.funded = was("False", out) }, want{"False", out}, nil},
		"exhausted, and the minimum runway": {func(s *sight) { s.owed = tariff.Units(10_000 - 660); s.funded = was("False", out) }, want{"True", low}, nil},
		"a small deposit starts":            {func(s *sight) { s.seen.Deposited = tariff.Units(40) }, want{"True", low}, nil},
		"and runs to a quarter":             {func(s *sight) { s.seen.Deposited = tariff.Units(40); s.owed = tariff.Units(30) }, want{"False", out}, nil},
		"volumes' grace is kept":            {func(s *sight) { s.asleep = usage.Rate{MilliCPU: 500}; s.owed = tariff.Units(10_000 - 1860) }, want{"False", out}, nil},
		"for nothing":                       {func(s *sight) { s.prices = tariff.Tariff{}; s.seen.Deposited = tariff.Units(1) }, want{"True", funded}, nil},
		"notice":                            {func(s *sight) { noticeIn(s, time.Hour) }, want{"True", notice}, nil},
		"notice, and exhausted":             {func(s *sight) { noticeIn(s, time.Hour); s.owed = tariff.Units(10_000) }, want{"False", out}, nil},
		"notice about to end":               {func(s *sight) { noticeIn(s, 5*time.Minute) }, want{"False", notice}, nil},
		"notice ended":                      {func(s *sight) { noticeIn(s, 0); s.seen.Time = s.now }, want{"False", notice}, nil},
		"the chain's clock is ahead":        {func(s *sight) { noticeIn(s, time.Hour); s.seen.Time = s.now.Add(time.Hour) }, want{"False", notice}, nil},
		"closed":                            {func(s *sight) { s.seen.NoticeEnd = closedForEver }, want{"False", closedNow}, nil},
		"never seen":                        {func(s *sight) { s.seen = nil }, want{}, nil},
		"not there yet":                     {func(s *sight) { s.seen.State = channel.State{} }, want{}, nil},
		"unseen for a moment":               {func(s *sight) { seenAgo(s, 59*time.Second); s.funded = was("True", funded) }, want{}, nil},
		"unseen for a while":                {func(s *sight) { seenAgo(s, time.Minute); s.funded = was("True", funded) }, want{"Unknown", unseen}, nil},
		"seen once, and not there now": {func(s *sight) {
			seenAgo(s, time.Minute)
			s.funded, s.seen = was("True", low), &Seen{Time: s.now}
		}, want{"Unknown", unseen}, nil},
		"exhausted, and unseen":  {func(s *sight) { seenAgo(s, time.Hour); s.funded = was("False", out) }, want{}, nil},
		"closed, and unseen":     {func(s *sight) { seenAgo(s, time.Hour); s.funded = was("False", closedNow) }, want{}, nil},
		"unseen, and seen again": {func(s *sight) { s.funded = was("Unknown", unseen) }, want{"True", funded}, nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			c, s := baseline()
			tt.with(&s)
			s.deepen()
			if tt.but != nil {
				tt.but(s.seen)
			}
			var got want
			if step := c.fund(s); step != nil {
				got = want{step.status, step.reason}
			}
			if got != tt.want {
				t.Errorf("Funded is %v, want %v", got, tt.want)
			}
		})
	}
}

func weigh(c *Config, s *sight) {
	c.CoinPrice, c.GasPercent, c.ClaimMin, s.seen.Fee = tariff.Units(100_000), 5, tariff.Units(1), big.NewInt(1_000_000_000)
}

func TestCollect(t *testing.T) {
	tests := map[string]struct {
		with func(*Config, *sight)
		want action
	}{
		"nothing signed":              {func(*Config, *sight) {}, action{again: 15 * time.Second}},
		"a voucher, never claimed":    {func(_ *Config, s *sight) { s.voucher = units(100) }, action{claim: true, again: 15 * time.Second}},
		"a voucher below the minimum": {func(_ *Config, s *sight) { s.voucher = units(9) }, action{again: 15 * time.Second}},
		"claimed a moment ago":        {func(_ *Config, s *sight) { s.voucher, s.lastClaim = units(100), s.now.Add(-29*time.Minute) }, action{again: 15 * time.Second}},
		"claimed half an hour ago":    {func(_ *Config, s *sight) { s.voucher, s.lastClaim = units(100), s.now.Add(-30*time.Minute) }, action{join: true, again: 15 * time.Second}},
		"little, half an hour ago":    {func(_ *Config, s *sight) { s.voucher, s.lastClaim = units(9), s.now.Add(-30*time.Minute) }, action{again: 15 * time.Second}},
		// 80 000 gas at 10⁹ wei are 8·10¹³ wei, and 30 000 are 3·10¹³: 8 and 3 base units at 10⁵ a coin, of which 5 percent are of 160 and 60.
		"worth its gas":            {func(c *Config, s *sight) { weigh(c, s); s.voucher = units(160) }, action{claim: true, again: 15 * time.Second}},
		"worth its gas in company": {func(c *Config, s *sight) { weigh(c, s); s.voucher = units(159) }, action{join: true, again: 15 * time.Second}},
		"not worth its gas":        {func(c *Config, s *sight) { weigh(c, s); s.voucher = units(59) }, action{again: 15 * time.Second}},
		"owed a lot, and the cap lets too little through": {func(c *Config, s *sight) {
			weigh(c, s)
			s.voucher, s.seen.SpentUntil = units(5000), uint64(s.now.Unix()-10)
		}, action{again: 15 * time.Second}},
		"owed a lot, and the deposit is below the minimum": {func(_ *Config, s *sight) {
			s.voucher, s.seen.Deposited = units(5000), tariff.Units(9)
		}, action{again: 15 * time.Second}},
		// Gas costs 800 here, 5 percent of 16 000. An hour of window pays 7200 at most, and the next claim is half an hour away.
		"dear gas, and what the window can't pay is lost": {func(c *Config, s *sight) {
			weigh(c, s)
			s.voucher, s.terms.Window, s.seen.Fee = units(3600), 3600, big.NewInt(100_000_000_000)
		}, action{claim: true, again: 15 * time.Second}},
		"dear gas, and the window pays what is owed later": {func(c *Config, s *sight) {
			weigh(c, s)
			s.voucher, s.terms.Window, s.seen.Fee = units(3599), 3600, big.NewInt(100_000_000_000)
		}, action{again: 15 * time.Second}},
		"dear gas, and the window fills later": {func(c *Config, s *sight) {
			weigh(c, s)
			s.voucher, s.terms.Window, s.seen.Fee = units(9000), 3600, big.NewInt(100_000_000_000)
			s.seen.SpentUntil = uint64(s.now.Unix() - 1799)
		}, action{again: 15 * time.Second}},
		"the price of gas is unknown": {func(c *Config, s *sight) { weigh(c, s); s.voucher, s.seen.Fee = units(59), nil }, action{claim: true, again: 15 * time.Second}},
		"the last chance to get anything": {func(c *Config, s *sight) {
			weigh(c, s)
			s.voucher, s.seen.NoticeEnd = units(8), uint64(s.now.Unix()+300)
		}, action{claim: true, again: 15 * time.Second}},
		"a last chance that costs more": {func(c *Config, s *sight) {
			weigh(c, s)
			s.voucher, s.seen.NoticeEnd = units(7), uint64(s.now.Unix()+300)
		}, action{again: 15 * time.Second}},
		"claimed an hour ago": {func(_ *Config, s *sight) { s.voucher, s.lastClaim = units(100), s.now.Add(-time.Hour) }, action{claim: true, again: 15 * time.Second}},
		"the window is short": {func(_ *Config, s *sight) {
			s.voucher, s.lastClaim, s.terms.Window = units(100), s.now.Add(-10*time.Minute), 1200
		}, action{claim: true, again: 15 * time.Second}},
		"everything claimed":     {func(_ *Config, s *sight) { s.voucher, s.seen.Claimed = units(100), tariff.Units(100) }, action{again: 15 * time.Second}},
		"the deposit is used up": {func(_ *Config, s *sight) { s.voucher, s.seen.Claimed = units(10_100), tariff.Units(10_000) }, action{again: 15 * time.Second}},
		"notice, with time": {func(_ *Config, s *sight) {
			s.voucher, s.lastClaim, s.seen.NoticeEnd = units(100), s.now, uint64(s.now.Unix()+3600)
		}, action{again: 15 * time.Second}},
		"notice, the last chance": {func(_ *Config, s *sight) {
			s.voucher, s.lastClaim, s.seen.NoticeEnd = units(1), s.now, uint64(s.now.Unix()+300)
		}, action{claim: true, again: 15 * time.Second}},
		"notice over": {func(_ *Config, s *sight) { s.voucher, s.seen.NoticeEnd = units(100), uint64(s.now.Unix()) }, action{again: 15 * time.Second}},
		"closed": {func(_ *Config, s *sight) {
			s.voucher, s.release, s.seen.NoticeEnd = units(100), units(100), closedForEver
		}, action{}},
		"closed, but that may be taken back": {func(_ *Config, s *sight) {
			s.voucher, s.seen.NoticeEnd, s.seen.Final = units(100), closedForEver, &channel.State{SpentUntil: 1}
		}, action{again: 15 * time.Second}},
		"a voucher, and doubt about the rest": {func(_ *Config, s *sight) {
			s.voucher, s.seen.NoticeEnd, s.seen.Final, s.seen.Doubt = units(100), uint64(s.now.Unix()+60), &channel.State{}, errDown
		}, action{claim: true, again: 15 * time.Second}},
		"unseen":                       {func(_ *Config, s *sight) { s.voucher, s.seen = units(100), nil }, action{again: 15 * time.Second}},
		"a release":                    {func(_ *Config, s *sight) { s.voucher, s.release = units(100), units(100) }, action{release: true, again: 15 * time.Second}},
		"a release of nothing":         {func(_ *Config, s *sight) { s.release = units(0) }, action{release: true, again: 15 * time.Second}},
		"a release above the deposit":  {func(_ *Config, s *sight) { s.release, s.seen.Deposited = units(5000), tariff.Units(100) }, action{release: true, again: 15 * time.Second}},
		"a release below what is paid": {func(_ *Config, s *sight) { s.release, s.seen.Claimed = units(50), tariff.Units(60) }, action{release: true, again: 15 * time.Second}},
		// 3600 s × 2 = 7200 can be had now.
		"the cap holds the release back, shortly": {func(_ *Config, s *sight) { s.voucher, s.release = units(7210), units(7210) }, action{again: 6 * time.Second}},
		"the cap holds the release back, longer":  {func(_ *Config, s *sight) { s.voucher, s.release = units(8000), units(8000) }, action{again: 15 * time.Second}},
		"the window is full": {func(_ *Config, s *sight) {
			s.voucher, s.release, s.terms.Window = units(8000), units(8000), 3600
		}, action{claim: true, again: 15 * time.Second}},
		"held back, and the notice ends": {func(_ *Config, s *sight) {
			s.voucher, s.release, s.seen.NoticeEnd = units(8000), units(8000), uint64(s.now.Unix()+60)
		}, action{release: true, again: 15 * time.Second}},
		"a release after the notice": {func(_ *Config, s *sight) { s.release, s.seen.NoticeEnd = units(8000), uint64(s.now.Unix()-1) }, action{release: true, again: 15 * time.Second}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			c, s := baseline()
			tt.with(&c, &s)
			if s.seen != nil && s.seen.Final == nil {
				s.deepen()
			}
			if diff := cmp.Diff(tt.want, c.collect(s), cmp.AllowUnexported(action{})); diff != "" {
				t.Errorf("action (-want +got):\n%s", diff)
			}
		})
	}
}

func TestReport(t *testing.T) {
	c, s := baseline()
	at := func(sec int64) *metav1.Time { v := metav1.Unix(sec, 0); return &v }
	old := &v1alpha1.Funds{Deposited: "1", Claimed: "1", NoticeEnd: at(77), SeenAt: *at(1)}
	tests := map[string]struct {
		with func(*sight)
		want *v1alpha1.Funds
		but  func(*Seen)
	}{
		"closed, but that may be taken back": {
			func(s *sight) { s.seen.NoticeEnd = closedForEver },
			&v1alpha1.Funds{Deposited: "10000", Claimed: "0", Reserve: "60", Block: 9, SeenAt: *at(1_000_000)}, func(s *Seen) { s.Final = &channel.State{SpentUntil: 1} },
		},
		"closed, and that can't be known": {
			func(s *sight) { s.seen.NoticeEnd, s.funds = closedForEver, old }, old, func(s *Seen) { s.Final, s.Doubt = nil, errDown },
		},
		"a notice that may be taken back": {
			func(s *sight) { s.seen.NoticeEnd = 1_000_100 },
			&v1alpha1.Funds{Deposited: "10000", Claimed: "0", Reserve: "60", Block: 9, SeenAt: *at(1_000_000)}, func(s *Seen) { s.Final = &channel.State{SpentUntil: 1} },
		},
		"a deposit that may be taken back": {
			func(s *sight) { s.seen.Deposited = tariff.Units(20_000) },
			&v1alpha1.Funds{Deposited: "10000", Claimed: "0", Reserve: "60", Block: 9, SeenAt: *at(1_000_000)}, func(s *Seen) { s.Confirmed.Deposited = tariff.Units(10_000) },
		},
		"a notice that our clock takes for over, and the final block does not": {
			func(s *sight) { s.seen.NoticeEnd, s.now = 1_000_100, s.now.Add(time.Hour) },
			&v1alpha1.Funds{Deposited: "10000", Claimed: "0", Reserve: "60", Block: 9, SeenAt: *at(1_000_099), NoticeEnd: at(1_000_100)}, nil,
		},
		"a notice that the newest block takes for over, and the final one does not": {
			func(s *sight) { s.seen.NoticeEnd, s.seen.Time = 1_000_100, s.now.Add(time.Hour) },
			&v1alpha1.Funds{Deposited: "10000", Claimed: "0", Reserve: "60", Block: 9, SeenAt: *at(1_000_099), NoticeEnd: at(1_000_100)},
			func(s *Seen) { s.FinalTime = time.Unix(1_000_000, 0) },
		},
		"a notice that is over": {
			func(s *sight) { s.seen.NoticeEnd, s.seen.Time = 1_000_100, s.now.Add(time.Hour) },
			&v1alpha1.Funds{Deposited: "10000", Claimed: "0", Reserve: "60", Block: 9, SeenAt: *at(1_003_600), NoticeEnd: at(1_000_100)}, nil,
		},
		"open":              {func(*sight) {}, &v1alpha1.Funds{Deposited: "10000", Claimed: "0", Reserve: "60", Block: 9, SeenAt: *at(1_000_000)}, nil},
		"notice":            {func(s *sight) { s.seen.NoticeEnd = 1_000_100 }, &v1alpha1.Funds{Deposited: "10000", Claimed: "0", Reserve: "60", Block: 9, SeenAt: *at(1_000_000), NoticeEnd: at(1_000_100)}, nil},
		"closed":            {func(s *sight) { s.seen.NoticeEnd, s.seen.Claimed = closedForEver, tariff.Units(1) }, &v1alpha1.Funds{Deposited: "10000", Claimed: "1", Refunded: "9999", Closed: true, Block: 9, SeenAt: *at(1_000_000)}, nil},
		"closed by notice":  {func(s *sight) { s.funds, s.seen.NoticeEnd = old, closedForEver }, &v1alpha1.Funds{Deposited: "10000", Claimed: "0", Refunded: "10000", Closed: true, Block: 9, SeenAt: *at(1_000_000), NoticeEnd: at(77)}, nil},
		"unseen":            {func(s *sight) { s.funds, s.seen = old, nil }, old, nil},
		"gone":              {func(s *sight) { s.funds, s.seen.State = old, channel.State{} }, old, nil},
		"never seen so far": {func(s *sight) { s.seen = nil }, nil, nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := s
			seen := *s.seen
			s.seen = &seen
			tt.with(&s)
			s.deepen()
			if tt.but != nil {
				tt.but(s.seen)
			}
			want := tt.want
			if want != nil && want != old {
				want = new(*tt.want)
				want.Channel = s.id.String()
			}
			if diff := cmp.Diff(want, c.report(s, c.fund(s))); diff != "" {
				t.Errorf("funds (-want +got):\n%s", diff)
			}
		})
	}
}
