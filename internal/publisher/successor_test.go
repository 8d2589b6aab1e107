// SPDX-License-Identifier: Apache-2.0

package publisher_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/apocryph/apocryph/internal/account"
	"github.com/apocryph/apocryph/internal/channel"
	orderv1 "github.com/apocryph/apocryph/internal/gen/orderv1"
	providerv1 "github.com/apocryph/apocryph/internal/gen/providerv1"
	"github.com/apocryph/apocryph/internal/publisher"
	"github.com/apocryph/apocryph/internal/tariff"
	"github.com/apocryph/apocryph/internal/usage"
)

const large = "services: {web: {image: web, environment: {A: secret}, deploy: {resources: {limits: {cpus: '1'}}}}}"

// grown is a world with an app on its first channel.
func grown(t *testing.T) (*world, channel.ID) {
	t.Helper()
	w := newWorld(t)
	d, err := w.start().Deploy(t.Context(), w.order(oneService))
	if err != nil {
		t.Fatal(err)
	}
	w.calls = nil
	return w, d.App.Channel.ID
}

func TestAnUpdateThatOutgrowsItsChannel(t *testing.T) {
	w, first := grown(t)
	var shown *publisher.Offer
	o := w.order(large)
	o.Confirm = func(_ context.Context, offer *publisher.Offer) error { shown = offer; return nil }
	d, err := w.start().Deploy(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if shown == nil || shown.Follows == nil || *shown.Follows != first || d.Offer != shown {
		t.Errorf("the offer was %+v", shown)
	}
	if diff := cmp.Diff([]string{"evidence", "quote", "plan", "open", "opened", "push", "apply", "applied", "watch"}, w.calls); diff != "" {
		t.Errorf("steps (-want +got):\n%s", diff)
	}
	a := mustFind(t, w, "notes")
	if a.ID != d.App.ID || a.Channel.ID != w.opened[1] || a.Next != nil || len(a.Past) != 1 || a.Past[0].ID != first || !a.Past[0].Former {
		t.Errorf("written down: channel %s, next %v, past %v", a.Channel.ID, a.Next, a.Past)
	}
	if diff := cmp.Diff([]channel.ID{first, a.Channel.ID}, w.rows[a.ID.AppID]); diff != "" {
		t.Errorf("ordered (-want +got):\n%s", diff)
	}
	// What is smaller stays on it, and what is larger still gets a third.
	if d, err = w.start().Deploy(t.Context(), w.order(oneService)); err != nil || d.Offer != nil {
		t.Errorf("shrunk: offer %v, %v", d.Offer, err)
	}
	if _, err = w.start().Deploy(t.Context(), w.order(strings.ReplaceAll(large, "'1'", "'2'"))); err != nil || len(w.opened) != 3 || len(w.rows[a.ID.AppID]) != 3 {
		t.Errorf("a third: opened %v, ordered %v, %v", w.opened, w.rows[a.ID.AppID], err)
	}
	// Each former channel can be named by itself, and the bill's arithmetic is its own.
	was, err := w.start().Store.FindChannel(first)
	if err != nil || was.Ref() != first.String() {
		t.Errorf("the first channel is %v, %v", was, err)
	}
}

// Wherever it is cut short, the same command brings it to its end, with one successor; the app and its first channel are never lost.
func TestASuccessorGoesOnWhereItWas(t *testing.T) {
	for _, step := range []string{"evidence", "quote", "confirm", "plan", "open", "sent", "opened", "push", "apply", "applied", "watch"} {
		t.Run(step, func(t *testing.T) {
			w, first := grown(t)
			w.crash = step
			_, err := w.start().Deploy(t.Context(), w.order(large))
			if err == nil && step != "opened" && step != "watch" {
				t.Fatal("it was not cut short")
			}
			d, err := w.start().Deploy(t.Context(), w.order(large))
			if err != nil {
				t.Fatal(err)
			}
			if len(w.opened) != 2 || w.opened[1] != d.App.Channel.ID || d.App.Next != nil {
				t.Errorf("opened %v for %s, next %v", w.opened, d.App.Channel.ID, d.App.Next)
			}
			if diff := cmp.Diff([]channel.ID{first, w.opened[1]}, w.rows[d.App.ID.AppID]); diff != "" {
				t.Errorf("ordered (-want +got):\n%s", diff)
			}
		})
	}
}

// The file changes after it was cut short, so that the successor which is open is too large, or too small.
func TestASuccessorThatIsOpenIsUsed(t *testing.T) {
	w, _ := grown(t)
	w.crash = "push"
	if _, err := w.start().Deploy(t.Context(), w.order(large)); err == nil {
		t.Fatal("it was not cut short")
	}
	d, err := w.start().Deploy(t.Context(), w.order(oneService))
	if err != nil || d.App.Channel.ID != w.opened[1] || len(w.opened) != 2 {
		t.Errorf("money is left in it: on %s of %v, %v", d.App.Channel.ID, w.opened, err)
	}

	w, first := grown(t)
	w.crash = "push"
	if _, err := w.start().Deploy(t.Context(), w.order(large)); err == nil {
		t.Fatal("it was not cut short")
	}
	var said []string
	p := w.start()
	p.Report = func(e publisher.Event) {
		if e.Warning {
			said = append(said, e.Message)
		}
	}
	d, err = p.Deploy(t.Context(), w.order(strings.ReplaceAll(large, "'1'", "'2'")))
	if err != nil || len(w.opened) != 3 || d.App.Channel.ID != w.opened[2] {
		t.Fatalf("on %s of %v, %v", d.App.Channel.ID, w.opened, err)
	}
	if diff := cmp.Diff([]channel.ID{first, w.opened[2]}, w.rows[d.App.ID.AppID]); diff != "" {
		t.Errorf("ordered (-want +got):\n%s", diff)
	}
	if len(said) != 1 || !strings.Contains(said[0], "apocryph channel notice "+w.opened[1].String()) {
		t.Errorf("nobody was told of the money in the second one: %q", said)
	}
	if a, err := w.start().Store.FindChannel(w.opened[1]); err != nil || a.Channel.ID != w.opened[1] {
		t.Errorf("it can't be left: %v", err)
	}
}

// What is kept of earlier versions is paid from the channel, too.
func TestKeptVolumesCount(t *testing.T) {
	w := newWorld(t)
	w.prices.StorageGiBHour = tariff.Units(3_600)
	d, err := w.start().Deploy(t.Context(), w.order(oneService))
	if err != nil {
		t.Fatal(err)
	}
	w.apps[d.App.ID.AppID].Volumes = []*providerv1.VolumeStatus{{Name: "old", SizeBytes: 9 << 30}}
	w.edit = func(q *orderv1.Quote) { q.Terms.Cap = tariff.Units(40).Bytes() }
	d, err = w.start().Deploy(t.Context(), w.order(strings.ReplaceAll(oneService, "secret", "other")))
	if err != nil {
		t.Fatal(err)
	}
	if d.Offer == nil || d.Offer.Asleep.String() != "32400" {
		t.Errorf("nine GiB that are kept are offered at %+v", d.Offer)
	}
}

func TestANewChannelByName(t *testing.T) {
	w, _ := grown(t)
	o := w.order(oneService)
	o.NewChannel = true
	d, err := w.start().Deploy(t.Context(), o)
	if err != nil || d.Offer == nil || len(w.opened) != 2 || d.App.Channel.ID != w.opened[1] {
		t.Errorf("opened %v, %v", w.opened, err)
	}
}

// A stop comes before this machine knew that the provider has the successor, and its first channel is closed by then.
func TestAStopAfterAnOrderThatWasCutShort(t *testing.T) {
	w, first := grown(t)
	w.crash = "applied"
	if _, err := w.start().Deploy(t.Context(), w.order(large)); err == nil {
		t.Fatal("it was not cut short")
	}
	s := w.states[first]
	s.Claimed, s.NoticeEnd = tariff.Units(30), 1<<40-1
	w.states[first] = s
	r, err := w.start().Stop(t.Context(), publisher.StopOrder{App: "notes", Wait: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	if r.App.Channel.ID != w.opened[1] || r.Claimed.String() != "40" {
		t.Errorf("the receipt is of channel %s: %s claimed", r.App.Channel.ID, r.Claimed)
	}
	want := []publisher.Past{{Channel: first, Deposited: s.Deposited, Claimed: tariff.Units(30), Refunded: s.Remaining(), Closed: true}}
	if diff := cmp.Diff(want, r.Former); diff != "" {
		t.Errorf("the channel before (-want +got):\n%s", diff)
	}
}

// books answers for bills of an app's two channels, any part of which a test may change.
type books struct {
	now, was *providerv1.BillResponse
}

func (w *world) books(t *testing.T, claimed uint64, edit func(*account.Arrears)) *books {
	t.Helper()
	a := mustFind(t, w, "notes")
	id, err := w.prices.ID()
	if err != nil {
		t.Fatal(err)
	}
	used := usage.Rate{MilliCPU: 1000}.For(4) // 44 base units
	sign := func(on channel.ID, arrears tariff.Amount, final bool) *providerv1.BillResponse {
		total := w.prices.Cost(used).Add(arrears)
		signed, err := account.Sign(account.Account{App: a.ID.AppID, Channel: on, Tariff: id, Usage: used, Arrears: arrears, Total: total, Final: final}, w.signer)
		if err != nil {
			t.Fatal(err)
		}
		return &providerv1.BillResponse{Channel: on[:], CpuMilliSeconds: used.CPU.String(), Owed: total.String(), Arrears: arrears.String(), Account: signed, Final: final}
	}
	first := a.Past[0].ID
	s := w.states[first]
	s.Claimed, s.NoticeEnd = tariff.Units(claimed), 1<<40-1
	w.states[first] = s
	arrears := account.Arrears{App: a.ID.AppID, Channel: first, On: a.Channel.ID, Amount: tariff.Units(44 - claimed)}
	edit(&arrears)
	signed, err := account.SignArrears(arrears, w.signer)
	if err != nil {
		t.Fatal(err)
	}
	b := &books{now: sign(a.Channel.ID, arrears.Amount, false), was: sign(first, tariff.Amount{}, true)}
	b.now.TakenOver = []*orderv1.SignedArrears{signed}
	w.bills = func(r *providerv1.BillRequest) (*providerv1.BillResponse, error) {
		switch {
		case len(r.Channel) == 0 || channel.ID(r.Channel) == a.Channel.ID:
			return b.now, nil
		case channel.ID(r.Channel) == first:
			return b.was, nil
		}
		return nil, refusal(providerv1.Reason_REASON_CHANNEL_NOT_FOUND)
	}
	return b
}

func TestBillsOfEachChannel(t *testing.T) {
	w, first := grown(t)
	if _, err := w.start().Deploy(t.Context(), w.order(large)); err != nil {
		t.Fatal(err)
	}
	w.books(t, 30, func(*account.Arrears) {})
	p := w.start()
	b, err := p.Bill(t.Context(), mustFind(t, w, "notes"))
	if err != nil || b.Owed.String() != "58" || b.Arrears.String() != "14" || b.Signed == nil || b.Channel != w.opened[1] {
		t.Errorf("the present bill: %+v, %v", b, err)
	}
	was, err := p.FormerBill(t.Context(), mustFind(t, w, "notes"), first)
	if err != nil || was.Owed.String() != "44" || was.Claimed.String() != "30" || !was.Final || was.Signed == nil || was.Channel != first {
		t.Errorf("the bill before: %+v, %v", was, err)
	}
	if _, err := p.FormerBill(t.Context(), mustFind(t, w, "notes"), channel.ID{7}); err == nil {
		t.Error("a bill of a channel of nobody's")
	}
}

// Until the successor is followed, the bill is that of the channel before it.
func TestTheBillBeforeASuccessorIsFollowed(t *testing.T) {
	w, first := grown(t)
	if _, err := w.start().Deploy(t.Context(), w.order(large)); err != nil {
		t.Fatal(err)
	}
	b := w.books(t, 0, func(a *account.Arrears) { a.Amount = tariff.Amount{} })
	b.now = b.was
	got, err := w.start().Bill(t.Context(), mustFind(t, w, "notes"))
	if err != nil || got.Channel != first || got.Owed.String() != "44" {
		t.Errorf("%+v, %v", got, err)
	}
}

// A provider, or its enclave, that makes up arrears.
func TestMadeUpArrearsAreFound(t *testing.T) {
	for what, edit := range map[string]func(w *world, r *account.Arrears){
		"more than was left unpaid":   func(_ *world, r *account.Arrears) { r.Amount = tariff.Units(15) },
		"of a channel that never was": func(_ *world, r *account.Arrears) { r.Channel = channel.ID{7} },
		"of the present channel":      func(_ *world, r *account.Arrears) { r.Channel = r.On },
		"of another app":              func(_ *world, r *account.Arrears) { r.App[0] ^= 1 },
		"for another channel":         func(_ *world, r *account.Arrears) { r.On = channel.ID{7} },
	} {
		t.Run(what, func(t *testing.T) {
			w, _ := grown(t)
			if _, err := w.start().Deploy(t.Context(), w.order(large)); err != nil {
				t.Fatal(err)
			}
			w.books(t, 30, func(r *account.Arrears) { edit(w, r) })
			if _, err := w.start().Bill(t.Context(), mustFind(t, w, "notes")); !errors.Is(err, publisher.ErrBill) {
				t.Errorf("got %v", err)
			}
		})
	}
	for what, edit := range map[string]func(b *books){
		"without anybody's word":  func(b *books) { b.now.TakenOver = nil },
		"twice":                   func(b *books) { b.now.TakenOver = append(b.now.TakenOver, b.now.TakenOver[0]) },
		"with another signature":  func(b *books) { b.now.TakenOver[0].Signature[4] ^= 1 },
		"without a final account": func(b *books) { b.was.Account = nil },
	} {
		t.Run(what, func(t *testing.T) {
			w, _ := grown(t)
			if _, err := w.start().Deploy(t.Context(), w.order(large)); err != nil {
				t.Fatal(err)
			}
			edit(w.books(t, 30, func(*account.Arrears) {}))
			if _, err := w.start().Bill(t.Context(), mustFind(t, w, "notes")); !errors.Is(err, publisher.ErrBill) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// There are no more channels of an app than an order can name.
func TestTheRowOfChannelsEnds(t *testing.T) {
	w, _ := grown(t)
	for n := range 20 {
		o := w.order(oneService)
		o.NewChannel = true
		if _, err := w.start().Deploy(t.Context(), o); err != nil {
			if n != 16 || !strings.Contains(err.Error(), "has had 16 channels") {
				t.Errorf("after %d: %v", n, err)
			}
			return
		}
	}
	t.Error(fmt.Sprint("opened ", len(slices.Compact(w.opened))))
}
