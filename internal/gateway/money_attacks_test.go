// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/apocryph/apocryph/internal/channel"
	"github.com/apocryph/apocryph/internal/delegation"
	orderv1 "github.com/apocryph/apocryph/internal/gen/orderv1"
	providerv1 "github.com/apocryph/apocryph/internal/gen/providerv1"
	"github.com/apocryph/apocryph/internal/tariff"
)

// Ways to run an app without paying for it, tried where orders come in.

// One unit in a channel starts nothing; nor does a channel that was full once.
func TestOneUnitBuysNoCompute(t *testing.T) {
	for what, state := range map[string]channel.State{
		"one unit":                   {Deposited: tariff.Units(1), SpentUntil: 1},
		"one unit that nobody took":  {Deposited: tariff.Units(10_000_000), Claimed: tariff.Units(9_999_999), SpentUntil: 1},
		"nothing, all of it claimed": {Deposited: tariff.Units(10_000_000), Claimed: tariff.Units(10_000_000), SpentUntil: 1},
	} {
		t.Run(what, func(t *testing.T) {
			refusesOrder(t, providerv1.Reason_REASON_DEPOSIT_TOO_SMALL, func(_ *world, d *draft) { d.state = &state })
		})
	}
}

// Whoever pays for one app tries to run a second one on the same channel, by each of the places where the channel is named.
func TestOneChannelPaysForOneApp(t *testing.T) {
	w := newWorld(t)
	first := w.order(nil)
	if _, err := (server{w.g}).Apply(w.as(w.publisher), first); err != nil {
		t.Fatal(err)
	}
	paid, err := channel.FromProto(first.Terms)
	if err != nil {
		t.Fatal(err)
	}
	id := paid.ID(w.g.cfg.Domain)
	second := func(edit func(*draft)) *providerv1.ApplyRequest {
		return w.order(func(d *draft) {
			d.salt = [32]byte{8}
			edit(d)
		})
	}
	for what, c := range map[string]struct {
		order  *providerv1.ApplyRequest
		reason providerv1.Reason
	}{
		"the first one's terms and quote": {func() *providerv1.ApplyRequest {
			r := second(func(d *draft) { d.statement = func(s *delegation.Statement) { s.Channel = id } })
			r.Terms, r.Quote = proto.CloneOf(first.Terms), first.Quote
			return r
		}(), providerv1.Reason_REASON_CHANNEL_FOREIGN},
		"a quote of its own, the first one's terms": {func() *providerv1.ApplyRequest {
			r := second(func(d *draft) { d.statement = func(s *delegation.Statement) { s.Channel = id } })
			r.Terms = proto.CloneOf(first.Terms)
			return r
		}(), providerv1.Reason_REASON_CHANNEL_FOREIGN},
		"the first one's quote, terms of its own": {func() *providerv1.ApplyRequest {
			r := second(func(*draft) {})
			r.Quote = first.Quote
			return r
		}(), providerv1.Reason_REASON_CHANNEL_TERMS},
		"terms of its own, and the first one's channel named": {
			second(func(d *draft) { d.statement = func(s *delegation.Statement) { s.Channel = id } }), providerv1.Reason_REASON_CHANNEL_TERMS,
		},
	} {
		t.Run(what, func(t *testing.T) {
			_, err := (server{w.g}).Apply(w.as(w.publisher), c.order)
			if reason := reasonOf(err); err == nil || reason != c.reason {
				t.Errorf("got %s (%v), want %s", reason, err, c.reason)
			}
			if n := len(w.apps()); n != 1 {
				t.Errorf("%d apps run on one channel", n)
			}
		})
	}
}

// A publisher orders on a channel that they are about to empty, and one with terms that would let them.
func TestAChannelThatCanBeEmptiedBeforeTheBillIsRefused(t *testing.T) {
	noticed := func(end uint64) func(*world, *draft) {
		return func(_ *world, d *draft) {
			d.state = &channel.State{Deposited: tariff.Units(10_000_000), SpentUntil: 1, NoticeEnd: end}
		}
	}
	for what, c := range map[string]struct {
		edit   func(*world, *draft)
		reason providerv1.Reason
	}{
		"notice given, for a month":  {func(w *world, d *draft) { noticed(uint64(w.now.Unix())+30*86400)(w, d) }, providerv1.Reason_REASON_CHANNEL_NOTICE},
		"notice given, a second ago": {func(w *world, d *draft) { noticed(uint64(w.now.Unix())+1)(w, d) }, providerv1.Reason_REASON_CHANNEL_NOTICE},
		"notice over":                {func(w *world, d *draft) { noticed(uint64(w.now.Unix()))(w, d) }, providerv1.Reason_REASON_CHANNEL_NOTICE},
		"a shorter notice than offered": {func(_ *world, d *draft) {
			d.terms = func(p *orderv1.Terms) { p.Notice = uint64(channel.MinNotice.Seconds()) }
		}, providerv1.Reason_REASON_CHANNEL_TERMS},
		"a smaller window than offered": {func(_ *world, d *draft) {
			d.terms = func(p *orderv1.Terms) { p.Window = 1 }
		}, providerv1.Reason_REASON_CHANNEL_TERMS},
	} {
		t.Run(what, func(t *testing.T) { refusesOrder(t, c.reason, c.edit) })
	}
}

// A notice that no contract would take can't be ordered on either, whatever the quote says.
func TestANoticeThatIsTooShortIsRefused(t *testing.T) {
	w := newWorld(t)
	r := w.order(nil)
	for _, seconds := range []uint64{0, 1, uint64(channel.MinNotice.Seconds()) - 1, uint64(channel.MaxNotice.Seconds()) + 1} {
		again := proto.CloneOf(r)
		again.Terms.Notice = seconds
		if _, err := (server{w.g}).Apply(w.as(w.publisher), again); reasonOf(err) != providerv1.Reason_REASON_CHANNEL_TERMS {
			t.Errorf("a notice of %d s: %v", seconds, err)
		}
	}
	if n := len(w.apps()); n != 0 {
		t.Errorf("%d apps run", n)
	}
}

// A channel that was settled is not paid from again: not by the same order sent anew, and not as the channel of another order.
func TestASettledChannelIsNotUsedAgain(t *testing.T) {
	settled := func(_ *world, d *draft) {
		d.state = &channel.State{Deposited: tariff.Units(10_000_000), SpentUntil: 1, NoticeEnd: 1<<40 - 1}
	}
	refusesOrder(t, providerv1.Reason_REASON_CHANNEL_CLOSED, settled)
}

// refusesOrder orders on a world of its own, and looks at the reason and that nothing runs.
func refusesOrder(t *testing.T, reason providerv1.Reason, edit func(*world, *draft)) {
	t.Helper()
	w := newWorld(t)
	_, err := (server{w.g}).Apply(w.as(w.publisher), w.order(func(d *draft) { edit(w, d) }))
	if err == nil || reasonOf(err) != reason {
		t.Errorf("got %v, want %s", err, reason)
	}
	if n := len(w.apps()); n != 0 {
		t.Errorf("%d apps run", n)
	}
}
