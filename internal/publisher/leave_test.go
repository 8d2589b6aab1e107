// SPDX-License-Identifier: Apache-2.0

package publisher_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/google/go-cmp/cmp"

	"github.com/apocryph/apocryph/internal/channel"
	"github.com/apocryph/apocryph/internal/fault"
	"github.com/apocryph/apocryph/internal/publisher"
	"github.com/apocryph/apocryph/internal/tariff"
)

// opened is a world with an app on an open channel, and the app.
func opened(t *testing.T) (*world, *publisher.App) {
	t.Helper()
	w := newWorld(t)
	d, err := w.start().Deploy(t.Context(), w.order(oneService))
	if err != nil {
		t.Fatal(err)
	}
	return w, d.App
}

func (w *world) release(a *publisher.App, total uint64) *publisher.Release {
	w.t.Helper()
	r := channel.Release{Channel: a.Channel.ID, Total: tariff.Units(total)}
	sig, err := channel.Sign(r, w.domain, w.signer)
	if err != nil {
		w.t.Fatal(err)
	}
	return &publisher.Release{Channel: r.Channel, Total: r.Total, Signature: sig}
}

func TestRelease(t *testing.T) {
	for what, c := range map[string]struct {
		edit func(*world, *publisher.App, *publisher.Release)
		err  error
		paid string
	}{
		"as signed":           {func(*world, *publisher.App, *publisher.Release) {}, nil, "40"},
		"with another total":  {func(_ *world, _ *publisher.App, r *publisher.Release) { r.Total = tariff.Units(41) }, publisher.ErrRelease, ""},
		"of another channel":  {func(_ *world, _ *publisher.App, r *publisher.Release) { r.Channel[0] ^= 1 }, publisher.ErrRelease, ""},
		"without a signature": {func(_ *world, _ *publisher.App, r *publisher.Release) { r.Signature = nil }, publisher.ErrRelease, ""},
		"after the channel closed": {func(w *world, a *publisher.App, _ *publisher.Release) {
			w.set(a, func(s *channel.State) { s.NoticeEnd = 1<<40 - 1 })
		}, nil, "0"},
		"under notice": {func(w *world, a *publisher.App, _ *publisher.Release) {
			w.set(a, func(s *channel.State) { s.NoticeEnd = uint64(w.now.Unix()) + 60 })
		}, nil, "40"},
		"after the notice": {func(w *world, a *publisher.App, _ *publisher.Release) {
			w.set(a, func(s *channel.State) { s.NoticeEnd = 1 })
		}, nil, "0"},
	} {
		t.Run(what, func(t *testing.T) {
			w, a := opened(t)
			w.now = w.now.Add(time.Hour)
			r := w.release(a, 40)
			c.edit(w, a, r)
			receipt, err := w.start().Release(t.Context(), a, publisher.ReleaseOrder{Release: r})
			if !errors.Is(err, c.err) {
				t.Fatalf("got %v, want %v", err, c.err)
			}
			if err == nil && receipt.Claimed.String() != c.paid {
				t.Errorf("%s were paid, want %s", receipt.Claimed, c.paid)
			}
		})
	}
}

func (w *world) set(a *publisher.App, edit func(*channel.State)) {
	s := w.states[a.Channel.ID]
	edit(&s)
	w.states[a.Channel.ID] = s
}

func TestReleaseDeclined(t *testing.T) {
	w, a := opened(t)
	_, err := w.start().Release(t.Context(), a, publisher.ReleaseOrder{Release: w.release(a, 40), Confirm: func(context.Context, *publisher.Settlement) error {
		return publisher.ErrDeclined
	}})
	if !errors.Is(err, publisher.ErrDeclined) || w.states[a.Channel.ID].Status(w.now) != channel.Open {
		t.Errorf("got %v, and the channel is %s", err, w.states[a.Channel.ID].Status(w.now))
	}
}

// What a provider signed is taken from its bill and kept, unless it is over more than the bill.
func TestReleaseInTheBill(t *testing.T) {
	for what, c := range map[string]struct {
		total uint64
		err   error
		kept  bool
	}{
		"what is owed":      {44, nil, true},
		"less":              {10, nil, true},
		"more than is owed": {45, publisher.ErrBill, false},
	} {
		t.Run(what, func(t *testing.T) {
			w, a := opened(t)
			w.released = w.release(a, c.total)
			if _, err := w.start().Bill(t.Context(), a); !errors.Is(err, c.err) {
				t.Fatalf("got %v, want %v", err, c.err)
			}
			saved, err := w.start().Store.Find(a.ID.String())
			if err != nil || (saved.Channel.Release != nil) != c.kept {
				t.Errorf("kept: %v, %v", saved.Channel.Release, err)
			}
		})
	}
}

// A release that somebody else signed is worth nothing, and no reason to refuse the bill.
func TestForeignReleaseInTheBill(t *testing.T) {
	w, a := opened(t)
	w.released = w.release(a, 44)
	w.released.Signature[10] ^= 1
	if _, err := w.start().Bill(t.Context(), a); err != nil || a.Channel.Release != nil {
		t.Errorf("got %v, kept %v", err, a.Channel.Release)
	}
}

// slow is a chain whose clock is the test's, that can't be read now and then.
type slow struct {
	bank
	reads *int
	fails func(read int) bool
}

func (s slow) State(_ context.Context, id channel.ID) (channel.State, time.Time, error) {
	*s.reads++
	if s.fails(*s.reads) {
		return channel.State{}, time.Time{}, errors.New("no answer")
	}
	return s.states[id], time.Now(), nil
}

func TestAwaitNotice(t *testing.T) {
	for what, c := range map[string]struct {
		notice time.Duration
		fails  func(int) bool
		stop   time.Duration // the caller's patience
		err    bool
		most   int // reads
	}{
		"an hour":                    {time.Hour, func(int) bool { return false }, 0, false, 20},
		"thirty days":                {30 * 24 * time.Hour, func(int) bool { return false }, 0, false, 2900},
		"over already":               {-time.Second, func(int) bool { return false }, 0, false, 1},
		"a chain that fails at once": {time.Hour, func(int) bool { return true }, 0, true, 1},
		"a chain that fails between": {time.Hour, func(n int) bool { return n%2 == 0 }, 0, false, 40},
		"interrupted":                {time.Hour, func(int) bool { return false }, time.Minute, true, 2},
	} {
		t.Run(what, func(t *testing.T) {
			w, a := opened(t)
			synctest.Test(t, func(t *testing.T) {
				ctx := t.Context()
				if c.stop > 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, c.stop)
					defer cancel()
				}
				began, reads := time.Now(), 0
				w.set(a, func(s *channel.State) { s.NoticeEnd = uint64(began.Add(c.notice).Unix()) })
				said := []string{}
				p := &publisher.Publisher{Chain: slow{bank{w}, &reads, c.fails}, Report: func(e publisher.Event) { said = append(said, e.Message) }}
				v, err := p.AwaitNotice(ctx, a)
				if (err != nil) != c.err || (err == nil && v.Status != channel.Ended) {
					t.Fatalf("got %v, %v", v, err)
				}
				if err == nil && time.Since(began) > max(c.notice, 0)+5*time.Second {
					t.Errorf("it took %s", time.Since(began))
				}
				if reads > c.most {
					t.Errorf("it asked %d times", reads)
				}
				if c.notice > 0 && !c.err && !strings.HasPrefix(said[0], "ends in ") {
					t.Errorf("it said %q", said)
				}
			})
		})
	}
}

// settledLate is a chain whose final block is behind.
type settledLate struct {
	bank
	final channel.State
	err   error
}

func (s settledLate) Final(context.Context, channel.ID) (channel.State, error) { return s.final, s.err }

func TestFinality(t *testing.T) {
	w, a := opened(t)
	now := w.states[a.Channel.ID]
	more := now
	more.Deposited = more.Deposited.Add(tariff.Units(1))
	for what, c := range map[string]struct {
		final channel.State
		err   error
		want  string
	}{
		"the same":             {now, nil, "yes"},
		"not opened there yet": {channel.State{}, nil, "not yet: in the newest final block the channel is none"},
		"another amount":       {more, nil, "not yet: the amounts are newer than the newest final block"},
		"nobody agrees":        {now, errors.New("the endpoints disagree"), "not known: the endpoints disagree"},
	} {
		t.Run(what, func(t *testing.T) {
			v, err := (&publisher.Publisher{Chain: settledLate{bank{w}, c.final, c.err}}).Finality(t.Context(), a)
			if err != nil || v.Final != c.want {
				t.Errorf("got %q, %v", v.Final, err)
			}
		})
	}
}

func TestTermsFile(t *testing.T) {
	w, a := opened(t)
	v, err := w.start().Channel(t.Context(), a)
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(v.File())
	if err != nil {
		t.Fatal(err)
	}
	again, err := publisher.ReadTerms(b, "--terms x")
	if err != nil {
		t.Fatal(err)
	}
	other, err := w.start().Channel(t.Context(), again)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(v.Terms, other.Terms, cmp.Comparer(tariff.Amount.Equal)); diff != "" || again.ID != a.ID || again.Channel.ID != a.Channel.ID {
		t.Errorf("(-want +got):\n%s", diff)
	}

	for what, edit := range map[string][2]string{
		"another chain":    {`"chain_id":7`, `"chain_id":8`},
		"another contract": {`"contract":"0x09`, `"contract":"0x0a`},
		"another window":   {`"window":3600`, `"window":3601`},
		"no notice":        {`"notice":3600`, `"notice":0`},
		"no terms":         {`"terms":`, `"terns":`},
		"no channel":       {`"channel":`, `"channels":`},
		"a channel only":   {string(b), `{"channel":"0x12"}`},
		"another record":   {string(b), `{"channel":{"id":"` + a.Channel.ID.String() + `"}}`},
		"no JSON":          {string(b), "services: {}"},
	} {
		t.Run(what, func(t *testing.T) {
			text := strings.Replace(string(b), edit[0], edit[1], 1)
			if text == string(b) {
				t.Fatal("the edit changes nothing")
			}
			if _, err := publisher.ReadTerms([]byte(text), ""); !errors.Is(err, publisher.ErrTermsFile) || fault.HintOf(err) == "" {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestRecover(t *testing.T) {
	w, a := opened(t)
	p := w.start()
	v, err := p.Channel(t.Context(), a)
	if err != nil {
		t.Fatal(err)
	}
	// Another channel of the same app, that this machine forgot; one whose terms are not to be had; and the app's own.
	past := v.Terms
	past.Salt[0] ^= 1
	hidden := channel.ID{1}
	w.states[past.ID(w.domain)] = channel.State{Deposited: tariff.Units(70), SpentUntil: 1}
	w.states[hidden] = channel.State{Deposited: tariff.Units(5), SpentUntil: 1}
	w.openings = []publisher.Opening{
		{ID: past.ID(w.domain), Terms: &past, Amount: tariff.Units(70), Block: 3},
		{ID: hidden, Amount: tariff.Units(5), Block: 4},
		{ID: a.Channel.ID, Terms: &v.Terms, Amount: tariff.Units(100), Block: 5},
	}
	found, err := p.Recover(t.Context(), p.Wallet.Address(), 0)
	if err != nil {
		t.Fatal(err)
	}
	var fresh []bool
	for _, f := range found {
		fresh = append(fresh, f.New)
	}
	if diff := cmp.Diff([]bool{false, false, true}, fresh); diff != "" {
		t.Fatalf("newest first (-want +got):\n%s", diff)
	}
	if e := found[1].View.Exits(); len(e) != 1 || !strings.Contains(e[0].Does, "terms are not known") {
		t.Errorf("without terms: %v", e)
	}

	// The app's own record stays what it was, and the other channel is used by its id.
	own, err := p.Store.Find(a.ID.String())
	if err != nil || own.Channel.ID != a.Channel.ID || own.Stage != publisher.StageApplied || len(own.Past) != 1 {
		t.Fatalf("the record is now %+v, %v", own, err)
	}
	left, err := p.Store.FindChannel(past.ID(w.domain))
	if err != nil || left.Ref() != past.ID(w.domain).String() {
		t.Fatal(left, err)
	}
	w.set(left, func(s *channel.State) { s.NoticeEnd = 1<<40 - 1 })
	if _, err := p.Withdraw(t.Context(), left); err != nil {
		t.Fatal(err)
	}
	if own, err = p.Store.Find(a.ID.String()); err != nil || own.Stage != publisher.StageApplied {
		t.Errorf("leaving another channel ended the app: %+v, %v", own, err)
	}

	// On another machine nothing is known.
	w.dir = t.TempDir()
	p = w.start()
	if found, err = p.Recover(t.Context(), p.Wallet.Address(), 0); err != nil || !found[0].New || found[1].New || !found[2].View.State.Remaining().Equal(tariff.Units(70)) {
		t.Fatalf("got %+v, %v", found, err)
	}
	again, err := p.Store.Find(a.ID.String())
	if err != nil || again.Stage != publisher.StageRecovered || again.Token != a.Token {
		t.Fatalf("got %+v, %v", again, err)
	}
	if _, err := p.Status(t.Context(), again); err == nil || !strings.Contains(fault.HintOf(err), "channel show") {
		t.Errorf("got %v", err)
	}
	if _, err := p.Notice(t.Context(), again); err != nil {
		t.Error(err)
	}
}

func TestOnlyTheirOwnWalletLeaves(t *testing.T) {
	w, a := opened(t)
	b, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := publisher.ReadTerms(b, "--terms x")
	if err != nil {
		t.Fatal(err)
	}
	p := w.start()
	p.Wallet = stranger{bank{w}}
	if _, err := p.Notice(t.Context(), foreign); err == nil || !strings.Contains(err.Error(), "belongs to wallet") {
		t.Errorf("got %v", err)
	}
}

type stranger struct{ bank }

func (stranger) Address() common.Address { return common.Address{0xaa} }
