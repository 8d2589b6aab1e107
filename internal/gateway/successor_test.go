// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/apocryph/apocryph/api/v1alpha1"
	"github.com/apocryph/apocryph/internal/channel"
	"github.com/apocryph/apocryph/internal/delegation"
	manifestv1 "github.com/apocryph/apocryph/internal/gen/manifestv1"
	orderv1 "github.com/apocryph/apocryph/internal/gen/orderv1"
	providerv1 "github.com/apocryph/apocryph/internal/gen/providerv1"
	"github.com/apocryph/apocryph/internal/tariff"
)

func larger() *manifestv1.Manifest {
	m := sample()
	m.Services[0].Resources.MilliCpu *= 2
	return m
}

func TestAnUpdateThatOutgrowsItsChannelFollowsOnAnother(t *testing.T) {
	w := newWorld(t)
	first := w.accept(nil)
	second := w.accept(func(d *draft) { w.succeed(d, first); d.manifest = larger() })
	want := []v1alpha1.FormerChannel{{Channel: first.Spec.Channel, Terms: first.Spec.Terms, Quote: first.Spec.Quote}}
	if diff := cmp.Diff(want, second.Spec.Former); diff != "" || second.Spec.Channel == first.Spec.Channel {
		t.Errorf("former channels (-want +got):\n%s", diff)
	}
	// An update on the second channel names the same row, and a third follows on both.
	same := w.accept(func(d *draft) {
		w.succeed(d, first)
		d.manifest, d.sequence = larger(), uint64(second.Spec.Sequence)+1
	})
	if diff := cmp.Diff(second.Spec.Former, same.Spec.Former); diff != "" || same.Spec.Channel != second.Spec.Channel {
		t.Errorf("an update changed the row (-before +after):\n%s", diff)
	}
	third := w.accept(func(d *draft) { w.succeed(d, same); d.manifest = larger() })
	if len(third.Spec.Former) != 2 || third.Spec.Former[1].Channel != second.Spec.Channel {
		t.Errorf("a third channel: %+v", third.Spec.Former)
	}
	status := statusOf(third).Former
	if len(status) != 2 || status[0].Pays || status[1].Pays {
		t.Errorf("nobody has seen a channel, and the status says %v", status)
	}
	third.Status.Funds = &v1alpha1.Funds{Channel: second.Spec.Channel}
	third.Status.Former = []v1alpha1.FormerFunds{{Channel: first.Spec.Channel, Claimed: "7", Refunded: "3", Closed: true}}
	status = statusOf(third).Former
	if !status[0].Closed || status[0].Claimed != "7" || status[0].Refunded != "3" || status[0].Pays || !status[1].Pays || status[1].Closed {
		t.Errorf("the status says %v", status)
	}
}

// A successor that the publisher can't, or must not, have: each is refused and leaves the app as it was.
func TestSuccessorsThatAreRefused(t *testing.T) {
	former := func(ids ...channel.ID) func(*delegation.Statement) {
		return func(s *delegation.Statement) {
			s.Former = nil
			for _, id := range ids {
				s.Former = append(s.Former, id)
			}
		}
	}
	for what, c := range map[string]struct {
		edit   func(*world, *draft)
		reason providerv1.Reason
	}{
		"another channel, as if there had been none": {func(_ *world, d *draft) { d.statement = nil }, providerv1.Reason_REASON_CHANNEL_TERMS},
		"it follows on a channel that never paid":    {func(_ *world, d *draft) { d.statement = former(channel.ID{7}) }, providerv1.Reason_REASON_CHANNEL_TERMS},
		"it follows on one more than has paid": {func(_ *world, d *draft) {
			s := d.statement
			d.statement = func(st *delegation.Statement) { s(st); st.Former = append(st.Former, [32]byte{7}) }
		}, providerv1.Reason_REASON_CHANNEL_TERMS},
		"it is not open": {func(_ *world, d *draft) { d.state = &channel.State{} }, providerv1.Reason_REASON_CHANNEL_NOT_FOUND},
		"it is closed": {func(_ *world, d *draft) {
			d.state = &channel.State{Deposited: tariff.Units(1), SpentUntil: 1, NoticeEnd: 1<<40 - 1}
		}, providerv1.Reason_REASON_CHANNEL_CLOSED},
		"it is under notice": {func(w *world, d *draft) {
			d.state = &channel.State{Deposited: tariff.Units(10_000_000), SpentUntil: 1, NoticeEnd: uint64(w.now.Unix()) + 9999}
		}, providerv1.Reason_REASON_CHANNEL_NOTICE},
		"it holds too little to start": {func(_ *world, d *draft) { d.state = &channel.State{Deposited: tariff.Units(1), SpentUntil: 1} }, providerv1.Reason_REASON_DEPOSIT_TOO_SMALL},
		"it is somebody else's": {func(w *world, d *draft) {
			d.terms = func(p *orderv1.Terms) { p.Publisher = w.stranger.address().Bytes() }
		}, providerv1.Reason_REASON_CHANNEL_FOREIGN},
		"it is of another app":                        {func(_ *world, d *draft) { d.terms = func(p *orderv1.Terms) { p.App[3] ^= 1 } }, providerv1.Reason_REASON_CHANNEL_FOREIGN},
		"its vouchers would be signed by another key": {func(_ *world, d *draft) { d.quoteKey = newWallet(t) }, providerv1.Reason_REASON_QUOTE_INVALID},
		"its quote is long over": {func(w *world, d *draft) {
			d.quote = func(q *orderv1.Quote) { q.ExpiresAt = uint64(w.now.Add(-2 * time.Hour).Unix()) }
		}, providerv1.Reason_REASON_QUOTE_EXPIRED},
		"it is in another token": {func(_ *world, d *draft) {
			d.quote = func(q *orderv1.Quote) {
				q.Tariff.Token = make([]byte, 20)
				q.Tariff.Token[0], q.Terms.Token = 9, q.Tariff.Token
			}
		}, providerv1.Reason_REASON_CHANNEL_TERMS},
		"its cap is too small": {func(_ *world, d *draft) { d.quote = func(q *orderv1.Quote) { q.Terms.Cap = []byte{1} } }, providerv1.Reason_REASON_CAP_EXCEEDED},
	} {
		t.Run(what, func(t *testing.T) {
			w := newWorld(t)
			first := w.accept(nil)
			r := w.order(func(d *draft) {
				w.succeed(d, first)
				c.edit(w, d)
			})
			_, err := (server{w.g}).Apply(w.as(w.publisher), r)
			if reason := reasonOf(err); err == nil || reason != c.reason {
				t.Errorf("got %s (%v), want %s", reason, err, c.reason)
			}
			if diff := cmp.Diff(first.Spec, w.get(w.app(w.publisher)).Spec); diff != "" {
				t.Errorf("the app changed (-before +after):\n%s", diff)
			}
		})
	}
}

func TestNobodyOrdersBackToTheChannelBefore(t *testing.T) {
	w := newWorld(t)
	first := w.accept(nil)
	second := w.accept(func(d *draft) { w.succeed(d, first) })
	back := w.order(func(d *draft) { d.sequence = uint64(second.Spec.Sequence) + 1 })
	if _, err := (server{w.g}).Apply(w.as(w.publisher), back); reasonOf(err) != providerv1.Reason_REASON_CHANNEL_TERMS {
		t.Errorf("got %v", err)
	}
}

func TestANewAppHasNoChannelsBefore(t *testing.T) {
	refusesOrder(t, providerv1.Reason_REASON_CHANNEL_TERMS, func(_ *world, d *draft) {
		d.statement = func(s *delegation.Statement) { s.Former = [][32]byte{{7}} }
	})
}
