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

	"github.com/apocryph/apocryph/internal/channel"
	"github.com/apocryph/apocryph/internal/fault"
	orderv1 "github.com/apocryph/apocryph/internal/gen/orderv1"
	providerv1 "github.com/apocryph/apocryph/internal/gen/providerv1"
	"github.com/apocryph/apocryph/internal/publisher"
	"github.com/apocryph/apocryph/internal/tariff"
)

const oneService = "services: {web: {image: web, environment: {A: secret}}}"

func TestDeploy(t *testing.T) {
	w := newWorld(t)
	d, err := w.start().Deploy(t.Context(), w.order(oneService))
	if err != nil {
		t.Fatal(err)
	}
	// 250 milli-vCPU and 256 MiB: 40000/4 + 5000/4.
	if diff := cmp.Diff(tariff.Units(11_250), d.Offer.Awake); diff != "" {
		t.Errorf("awake (-want +got):\n%s", diff)
	}
	if d.Offer.Deposit.String() != "11250" || d.Offer.Runway != time.Hour {
		t.Errorf("deposit %s lasts %s", d.Offer.Deposit, d.Offer.Runway)
	}
	if diff := cmp.Diff([]string{"evidence", "quote", "confirm", "plan", "open", "opened", "push", "apply", "applied", "watch"}, w.calls); diff != "" {
		t.Errorf("steps (-want +got):\n%s", diff)
	}
	again, err := w.start().Deploy(t.Context(), w.order(oneService))
	if err != nil || again.Offer != nil || again.App.ID != d.App.ID || again.App.Channel.ID != d.App.Channel.ID {
		t.Errorf("again: %+v, %v", again, err)
	}
	m1, m2 := d.App.Manifest, again.App.Manifest
	if !slices.Equal(m1, m2) {
		t.Error("the same file became another workload")
	}
}

// Wherever a deploy is cut short, the same command brings it to its end, with one channel.
func TestDeployGoesOnWhereItWas(t *testing.T) {
	for _, step := range []string{"evidence", "quote", "confirm", "plan", "open", "opened", "push", "apply", "applied", "watch"} {
		t.Run(step, func(t *testing.T) {
			w := newWorld(t)
			w.crash = step
			_, err := w.start().Deploy(t.Context(), w.order(oneService))
			if err == nil && step != "opened" && step != "watch" {
				t.Fatal("it was not cut short")
			}
			d, err := w.start().Deploy(t.Context(), w.order(oneService))
			if err != nil {
				t.Fatal(err)
			}
			if len(w.opened) != 1 || w.opened[0] != d.App.Channel.ID || d.Status.GetPhase() != providerv1.Phase_PHASE_READY {
				t.Errorf("opened %v for %s, phase %s", w.opened, d.App.Channel.ID, d.Status.GetPhase())
			}
		})
	}
}

func TestAnOpeningThatCantBeSeenIsNotRepeated(t *testing.T) {
	w := newWorld(t)
	p := w.start()
	w.crash = "opened"
	o := w.order(oneService)
	o.Confirm = func(context.Context, *publisher.Offer) error { return nil }
	p.Chain = blindAfterOpening{bank{w}}
	_, err := p.Deploy(t.Context(), o)
	if !errors.Is(err, publisher.ErrLocked) || fault.HintOf(err) == "" {
		t.Fatalf("got %v, want ErrLocked with a hint", err)
	}
	if _, err := w.start().Deploy(t.Context(), w.order(oneService)); err != nil || len(w.opened) != 1 {
		t.Errorf("then: %v, opened %d channels", err, len(w.opened))
	}
}

// A planned channel is kept while its quote holds, because its opening may be under way; later it is kept on record.
func TestAPlanHoldsAsLongAsItsQuote(t *testing.T) {
	w := newWorld(t)
	w.crash = "open"
	if _, err := w.start().Deploy(t.Context(), w.order(oneService)); !errors.Is(err, errCrash) {
		t.Fatal(err)
	}
	planned := mustFind(t, w, "notes").Channel
	w.now = w.now.Add(5 * time.Minute)
	w.crash = "open"
	_, _ = w.start().Deploy(t.Context(), w.order(oneService))
	if got := mustFind(t, w, "notes").Channel.ID; got != planned.ID {
		t.Error("the plan changed while its quote held")
	}
	w.now = w.now.Add(6 * time.Minute)
	d, err := w.start().Deploy(t.Context(), w.order(oneService))
	if err != nil || d.App.Channel.ID == planned.ID || len(d.App.Past) != 1 || d.App.Past[0].ID != planned.ID {
		t.Errorf("after the quote: %+v, %v", d.App.Past, err)
	}
}

// However long ago an opening was sent, and whatever the endpoint that is asked first says: no second channel is opened beside it.
func TestAnOpeningThatCameLateIsFound(t *testing.T) {
	for name, hide := range map[string]bool{"it was under way": false, "it was under way, and the first endpoint does not have it": true} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.crash = "sent"
			if _, err := w.start().Deploy(t.Context(), w.order(oneService)); !errors.Is(err, errCrash) {
				t.Fatal(err)
			}
			planned := mustFind(t, w, "notes").Channel.ID
			w.now = w.now.Add(time.Hour) // its quote is over
			w.hidden = map[channel.ID]bool{planned: hide}
			d, err := w.start().Deploy(t.Context(), w.order(oneService))
			if hide {
				if err == nil || !strings.Contains(fault.HintOf(err), "another endpoint") {
					t.Fatalf("got %v, want that another endpoint knows the channel", err)
				}
				w.hidden = nil
				d, err = w.start().Deploy(t.Context(), w.order(oneService))
			}
			if err != nil {
				t.Fatal(err)
			}
			if len(w.opened) != 1 || d.App.Channel.ID != planned || d.Offer != nil {
				t.Errorf("opened %v, planned %s, the app has %s", w.opened, planned, d.App.Channel.ID)
			}
		})
	}
}

func TestNoOtherChannelIsPlannedWhileOneMayStillOpen(t *testing.T) {
	w := newWorld(t)
	w.crash = "sent"
	_, _ = w.start().Deploy(t.Context(), w.order(oneService))
	w.now, w.crash = w.now.Add(time.Hour), "settle"
	if _, err := w.start().Deploy(t.Context(), w.order(oneService)); !errors.Is(err, publisher.ErrLocked) || len(w.opened) > 1 {
		t.Errorf("got %v, opened %v, want ErrLocked and no second channel", err, w.opened)
	}
}

func mustFind(t *testing.T, w *world, name string) *publisher.App {
	t.Helper()
	a, err := w.start().Store.Find(name)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestOffersThatAreRefused(t *testing.T) {
	cases := map[string]func(*orderv1.Quote){
		"another provider's":          func(q *orderv1.Quote) { q.Provider = make([]byte, 20) },
		"for another chain":           func(q *orderv1.Quote) { q.ChainId++ },
		"for another contract":        func(q *orderv1.Quote) { q.Contract = make([]byte, 20) },
		"in another token":            func(q *orderv1.Quote) { q.Terms.Token = make([]byte, 20) },
		"priced in another token":     func(q *orderv1.Quote) { q.Tariff.Token = make([]byte, 20) },
		"for another publisher":       func(q *orderv1.Quote) { q.Terms.Publisher = make([]byte, 20) },
		"for another app":             func(q *orderv1.Quote) { q.Terms.App = make([]byte, 32) },
		"for another workload":        func(q *orderv1.Quote) { q.ManifestHash = make([]byte, 32) },
		"with another tariff":         func(q *orderv1.Quote) { q.Tariff.CpuHour = []byte{1} },
		"with another signer":         func(q *orderv1.Quote) { q.Terms.Signer = make([]byte, 20) },
		"expired":                     func(q *orderv1.Quote) { q.ExpiresAt = 1 },
		"with a cap that is too high": func(q *orderv1.Quote) { q.Terms.Cap = tariff.Units(1_000_000).Bytes() },
		"with a notice of a year":     func(q *orderv1.Quote) { q.Terms.Notice = 365 * 86_400 },
		"with a salt":                 func(q *orderv1.Quote) { q.Terms.Salt = make([]byte, 32) },
	}
	for name, edit := range cases {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.edit = edit
			if _, err := w.start().Deploy(t.Context(), w.order(oneService)); !errors.Is(err, publisher.ErrOffer) || fault.HintOf(err) == "" {
				t.Errorf("got %v, want ErrOffer with a hint", err)
			}
			if slices.Contains(w.calls, "confirm") || len(w.opened) > 0 {
				t.Error("somebody was asked to accept it")
			}
		})
	}
}

func TestNothingIsSentBeforeEvidence(t *testing.T) {
	w := newWorld(t)
	p := w.start()
	p.Trust.Hardware = nil
	if _, err := p.Deploy(t.Context(), w.order(oneService)); !errors.Is(err, publisher.ErrEvidence) {
		t.Errorf("got %v, want ErrEvidence", err)
	}
	if diff := cmp.Diff([]string{"evidence"}, w.calls); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
}

func TestMoneyIsCheckedBeforeAnybodyIsAsked(t *testing.T) {
	for name, b := range map[string]publisher.Budget{
		"more than the balance": {Deposit: "1.000001"}, "less than the minimum": {Deposit: "0.000099"}, "nothing": {Deposit: "0"}, "no number": {Deposit: "1,5"},
		"a century": {For: 100 * 365 * 24 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			o := w.order(oneService)
			o.Budget = b
			if _, err := w.start().Deploy(t.Context(), o); !errors.Is(err, publisher.ErrMoney) || fault.HintOf(err) == "" {
				t.Errorf("got %v, want ErrMoney with a hint", err)
			}
			if slices.Contains(w.calls, "confirm") {
				t.Error("somebody was asked")
			}
		})
	}
}

func TestARefusalAfterOpeningCanBeTriedAgain(t *testing.T) {
	w := newWorld(t)
	w.refuse = refusal(providerv1.Reason_REASON_HOST_TAKEN)
	_, err := w.start().Deploy(t.Context(), w.order(oneService))
	if !errors.Is(err, publisher.ErrLocked) || fault.ReasonOf(err) != providerv1.Reason_REASON_HOST_TAKEN {
		t.Fatalf("got %v, want ErrLocked for a taken host", err)
	}
	w.refuse = nil
	if _, err := w.start().Deploy(t.Context(), w.order(oneService)); err != nil || len(w.opened) != 1 {
		t.Errorf("then: %v, opened %d channels", err, len(w.opened))
	}
}

// Whoever waits for an app that somebody else stops is told that it has ended, and not to wait on.
func TestAnAppThatEndsMeanwhileIsNotWaitedFor(t *testing.T) {
	w := newWorld(t)
	w.ends = true
	_, err := w.start().Deploy(t.Context(), w.order(oneService))
	if !errors.Is(err, publisher.ErrNotReady) || strings.HasSuffix(err.Error(), ": ") || !strings.Contains(fault.HintOf(err), "apocryph stop notes") {
		t.Errorf("got %v (%s), want ErrNotReady with how to get the deposit back", err, fault.HintOf(err))
	}
	if strings.Contains(fault.HintOf(err), "wait on") {
		t.Errorf("the hint is to wait: %s", fault.HintOf(err))
	}
}

func TestTwoCommandsDoNotRace(t *testing.T) {
	w := newWorld(t)
	o := w.order(oneService)
	o.Confirm = func(ctx context.Context, _ *publisher.Offer) error {
		_, err := w.start().Deploy(ctx, w.order(oneService))
		return err
	}
	if _, err := w.start().Deploy(t.Context(), o); !errors.Is(err, publisher.ErrBusy) {
		t.Errorf("got %v, want ErrBusy", err)
	}
}

func TestStop(t *testing.T) {
	for _, step := range []string{"", "stop", "stopped"} {
		t.Run("cut short at "+step, func(t *testing.T) {
			w := newWorld(t)
			if _, err := w.start().Deploy(t.Context(), w.order(oneService)); err != nil {
				t.Fatal(err)
			}
			w.crash = step
			if step != "" {
				if _, err := w.start().Stop(t.Context(), publisher.StopOrder{App: "notes", Wait: time.Minute}); err == nil {
					t.Fatal("it was not cut short")
				}
			}
			r, err := w.start().Stop(t.Context(), publisher.StopOrder{App: "notes", Wait: time.Minute})
			if err != nil {
				t.Fatal(err)
			}
			if got := fmt.Sprint(r.Deposited, r.Claimed, r.Refunded, r.Bill.Owed); got != "11250 40 11210 44" {
				t.Errorf("deposited, claimed, refunded, owed: %s", got)
			}
			if mustFind(t, w, "notes").Stage != publisher.StageEnded {
				t.Error("the app has not ended")
			}
		})
	}
}

func TestAReceiptThatDoesNotAddUpIsAnError(t *testing.T) {
	w := newWorld(t)
	if _, err := w.start().Deploy(t.Context(), w.order(oneService)); err != nil {
		t.Fatal(err)
	}
	w.prices.CPUHour = tariff.Units(1) // the provider's own sum is less than what it claims
	r, err := w.start().Stop(t.Context(), publisher.StopOrder{App: "notes", Wait: time.Minute})
	if !errors.Is(err, publisher.ErrBill) || r == nil {
		t.Errorf("got %v, %v, want ErrBill and the receipt", r, err)
	}
}

// blindAfterOpening loses the chain once a channel was opened.
type blindAfterOpening struct{ bank }

func (b blindAfterOpening) State(ctx context.Context, id channel.ID) (s channel.State, at time.Time, err error) {
	if len(b.opened) > 0 {
		return s, at, errors.New("the chain does not answer")
	}
	return b.bank.State(ctx, id)
}

// Whoever ordered a version that does not come up is told so at once, and not to wait on.
func TestAVersionThatIsTakenBackIsNotWaitedFor(t *testing.T) {
	w := newWorld(t)
	w.takenBack = true
	_, err := w.start().Deploy(t.Context(), w.order(oneService))
	if !errors.Is(err, publisher.ErrNotReady) || !strings.Contains(err.Error(), "no such table") || !strings.Contains(fault.HintOf(err), "logs --previous notes") {
		t.Errorf("got %v (%s), want ErrNotReady with what is wrong, and where to read on", err, fault.HintOf(err))
	}
	if strings.Contains(fault.HintOf(err), "wait on") {
		t.Errorf("the hint is to wait: %s", fault.HintOf(err))
	}
}
