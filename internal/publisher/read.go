// SPDX-License-Identifier: Apache-2.0

package publisher

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/apocryph/apocryph/internal/account"
	"github.com/apocryph/apocryph/internal/channel"
	"github.com/apocryph/apocryph/internal/fault"
	orderv1 "github.com/apocryph/apocryph/internal/gen/orderv1"
	providerv1 "github.com/apocryph/apocryph/internal/gen/providerv1"
	"github.com/apocryph/apocryph/internal/tariff"
	"github.com/apocryph/apocryph/internal/usage"
)

// Status asks the provider how an app is.
func (p *Publisher) Status(ctx context.Context, a *App) (*providerv1.AppStatus, error) {
	s, err := p.reach(ctx, a)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	return p.statusAt(ctx, s, a)
}

func (p *Publisher) statusAt(ctx context.Context, s *session, a *App) (*providerv1.AppStatus, error) {
	call, err := p.authorized(ctx, a, forUse())
	if err != nil {
		return nil, err
	}
	call, cancel := context.WithTimeout(call, callTime)
	defer cancel()
	answer, err := s.RPC.Status(call, &providerv1.StatusRequest{App: a.ID.AppID[:]})
	if err != nil {
		return nil, fmt.Errorf("asking for the status of %s: %w", a.Name, refusal(err))
	}
	if answer.Status == nil {
		return nil, fmt.Errorf("asking for the status of %s: %w: an empty answer", a.Name, ErrUnreachable)
	}
	return answer.Status, nil
}

// LogQuery says which lines are wanted.
type LogQuery struct {
	// Service is one service's name; empty means all.
	Service string
	Follow  bool
	// Since leaves out older lines; the zero time leaves out none.
	Since time.Time
	// Tail is how many lines of each service are wanted, the last ones; nil means all.
	Tail *uint32
	// Previous leaves out runs that have not ended.
	Previous bool
}

// LogLine is one line that a service wrote.
type LogLine struct {
	Service string
	Time    time.Time
	Line    []byte
	Stderr  bool
	// Notice, instead of a line, is what the provider says about lines that are missing here.
	Notice string
}

// Logs calls write with each line that is kept or written, until there are no more, or, following, until ctx ends. A service that left the
// app file is not refused here: what it wrote may be kept.
func (p *Publisher) Logs(ctx context.Context, a *App, q LogQuery, write func(LogLine) error) error {
	s, err := p.reach(ctx, a)
	if err != nil {
		return err
	}
	defer s.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	call, err := p.authorized(ctx, a, forUse())
	if err != nil {
		return err
	}
	request := &providerv1.LogsRequest{App: a.ID.AppID[:], Service: q.Service, Follow: q.Follow, Tail: q.Tail, Previous: q.Previous}
	if !q.Since.IsZero() {
		request.Since = uint64(max(1, q.Since.Unix()))
	}
	stream, err := s.RPC.Logs(call, request)
	if err != nil {
		return fmt.Errorf("reading the logs of %s: %w", a.Name, refusal(err))
	}
	defer func() { _ = stream.Close() }()
	for stream.Receive() {
		m := stream.Msg()
		if m.Service == "" && len(m.Line) == 0 && m.Notice == "" {
			continue // a heartbeat
		}
		l := LogLine{Service: m.Service, Time: time.Unix(0, int64(min(m.Time, 1<<62))), Line: m.Line, Stderr: m.Stderr, Notice: Clean(m.Notice)}
		if err := write(l); err != nil {
			return err
		}
	}
	if err := stream.Err(); err != nil && ctx.Err() == nil {
		return fmt.Errorf("reading the logs of %s: %w", a.Name, refusal(err))
	}
	return nil
}

// EventQuery says which events are wanted.
type EventQuery struct {
	// Service is one service's name; empty means the app and all services.
	Service string
	Follow  bool
}

// Happened is one thing that happened to an app. All of it is the provider's word.
type Happened struct {
	Time time.Time
	// Service is empty when it is about the app.
	Service, Kind, Message string
	// Count is how often it happened, Time the last time.
	Count   uint32
	Warning bool
}

// Events calls write with each thing that happened to an app, oldest first, until there are no more, or, following, until ctx ends.
func (p *Publisher) Events(ctx context.Context, a *App, q EventQuery, write func(Happened) error) error {
	s, err := p.reach(ctx, a)
	if err != nil {
		return err
	}
	defer s.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	call, err := p.authorized(ctx, a, forUse())
	if err != nil {
		return err
	}
	stream, err := s.RPC.Events(call, &providerv1.EventsRequest{App: a.ID.AppID[:], Service: q.Service, Follow: q.Follow})
	if err != nil {
		return fmt.Errorf("reading the events of %s: %w", a.Name, refusal(err))
	}
	defer func() { _ = stream.Close() }()
	for stream.Receive() {
		e := stream.Msg().Event
		if e == nil {
			continue // a heartbeat
		}
		h := Happened{
			Time: time.Unix(int64(min(e.Time, 1<<40)), 0), Service: Clean(e.Service), Kind: Clean(e.Kind), Message: Clean(e.Message),
			Count: e.Count, Warning: e.Warning,
		}
		if err := write(h); err != nil {
			return err
		}
	}
	if err := stream.Err(); err != nil && ctx.Err() == nil {
		return fmt.Errorf("reading the events of %s: %w", a.Name, refusal(err))
	}
	return nil
}

// Bill is an account of an app on one of its channels. Owed was computed here, from the usage that the provider states and the tariff of the channel.
type Bill struct {
	Tariff tariff.Tariff
	Usage  usage.Totals
	Owed   tariff.Amount
	// Channel is the one that the account is of, and Arrears, a part of Owed, what channels before it had left unpaid when they were closed.
	Channel channel.ID
	Arrears tariff.Amount
	// Vouchered is what the enclave has signed, as the provider says.
	Vouchered tariff.Amount
	// Claimed and Deposited are from the chain.
	Claimed, Deposited tariff.Amount
	// Left is what remains of the deposit when all that is owed is paid. Reserve is what the provider keeps back of it: when no more is left,
	// the app sleeps.
	Left, Reserve tariff.Amount
	// Hourly is the cost per hour at the present rate, Runway how long it takes at it until the app sleeps; 0 while nothing runs.
	Hourly tariff.Amount
	Runway time.Duration
	// AccruedTo is how far usage is counted.
	AccruedTo time.Time
	Final     bool
	// Signed is the enclave's own account, which can be kept and verified without anybody's help; nil if the provider sent none.
	Signed *account.Document
}

// Bill asks for an app's account. It returns ErrBill when the provider's sum is not usage × tariff.
func (p *Publisher) Bill(ctx context.Context, a *App) (*Bill, error) {
	if err := p.sameChain(a); err != nil {
		return nil, err
	}
	s, err := p.reach(ctx, a)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	b, err := p.bill(ctx, s, a, forUse())
	return b, errors.Join(err, p.keepRelease(a))
}

// FormerBill asks for the final account of a channel that paid for an app before. It returns ErrBill as Bill does.
func (p *Publisher) FormerBill(ctx context.Context, a *App, id channel.ID) (*Bill, error) {
	if err := p.sameChain(a); err != nil {
		return nil, err
	}
	for _, c := range a.channels() {
		if c.ID != id {
			continue
		}
		s, err := p.reach(ctx, a)
		if err != nil {
			return nil, err
		}
		defer s.Close()
		return p.bill(ctx, s, a.on(c), forUse())
	}
	return nil, fault.Hint(fmt.Errorf("channel %s has not paid for app %s", id, a.Name), "see its channels with: apocryph channel show "+a.Name)
}

func (p *Publisher) bill(ctx context.Context, s *session, a *App, what purpose) (*Bill, error) {
	call, err := p.authorized(ctx, a, what)
	if err != nil {
		return nil, err
	}
	call, cancel := context.WithTimeout(call, callTime)
	defer cancel()
	request := &providerv1.BillRequest{App: a.ID.AppID[:]}
	if a.loose {
		request.Channel = a.Channel.ID[:]
	}
	answer, err := s.RPC.Bill(call, request)
	if err != nil {
		return nil, fmt.Errorf("asking for the bill of %s: %w", a.Name, refusal(err))
	}
	b, err := readBill(answer)
	if err != nil {
		return nil, fmt.Errorf("the bill of %s: %w: %w", a.Name, ErrBill, err)
	}
	// A successor that is not followed yet pays nothing: the bill is that of the channel before it.
	if i := slices.IndexFunc(a.channels(), func(c Channel) bool { return bytes.Equal(answer.Channel, c.ID[:]) }); i >= 0 && !bytes.Equal(answer.Channel, a.Channel.ID[:]) {
		a = a.on(a.channels()[i])
	}
	b.Channel = a.Channel.ID
	if b.Tariff, err = a.Channel.tariff(); err != nil {
		return nil, err
	}
	b.Owed = b.Tariff.Cost(b.Usage).Add(b.Arrears)
	if said, err := tariff.ParseAmount(answer.Owed); err != nil || !said.Equal(b.Owed) {
		return b, fault.Hint(fmt.Errorf("the provider says that %s base units are owed, usage × tariff is %s: %w", Clean(answer.Owed), b.Owed, ErrBill),
			"end it with: apocryph stop "+a.Name+"; the channel's cap bounds what can be claimed meanwhile")
	}
	if err := p.checkArrears(ctx, s, a, b, answer.TakenOver); err != nil {
		return b, err
	}
	if err := p.seeRelease(a, answer.Release, b.Owed); err != nil {
		return b, err
	}
	if err := b.sign(a, answer.Account); err != nil {
		return b, err
	}
	state, _, err := p.Chain.State(ctx, a.Channel.ID)
	if err != nil {
		return nil, err
	}
	b.Claimed, b.Deposited = state.Claimed, state.Deposited
	if left, err := b.Deposited.Sub(b.Owed); err == nil {
		b.Left = left
	}
	if spare, err := b.Left.Sub(b.Reserve); err == nil {
		b.Runway = runway(spare, b.Hourly)
	}
	return b, nil
}

// checkArrears returns ErrBill unless arrears are what channels of the app that are closed left unpaid, by their own accounts and by the chain.
func (p *Publisher) checkArrears(ctx context.Context, s *session, a *App, b *Bill, said []*orderv1.SignedArrears) error {
	bad := func(format string, args ...any) error {
		return fault.Hint(fmt.Errorf("the arrears in the bill of %s: "+format+": %w", append(append([]any{a.Name}, args...), ErrBill)...),
			"end it with: apocryph stop "+a.Name+"; the channel's cap bounds what can be claimed meanwhile")
	}
	_, terms, err := a.Channel.terms()
	if err != nil {
		return err
	}
	var sum tariff.Amount
	seen := map[channel.ID]bool{}
	here := slices.IndexFunc(a.Past, func(c Channel) bool { return c.ID == a.Channel.ID }) // newest first
	for _, signed := range said {
		r, err := account.VerifyArrears(signed, terms.Signer)
		if err != nil {
			return bad("%v", err)
		}
		i := slices.IndexFunc(a.Past, func(c Channel) bool { return c.Former && c.ID == r.Channel })
		if i <= here || r.On != a.Channel.ID || r.App != [32]byte(a.ID.AppID) || seen[r.Channel] {
			return bad("they are of channel %s on channel %s", r.Channel, r.On)
		}
		seen[r.Channel] = true
		left, err := p.leftUnpaid(ctx, s, a.on(a.Past[i]))
		if err != nil {
			return err
		}
		if r.Amount.Cmp(left) > 0 {
			return bad("%s base units of channel %s, which left %s unpaid", r.Amount, r.Channel, left)
		}
		sum = sum.Add(r.Amount)
	}
	if !sum.Equal(b.Arrears) {
		return bad("they are said to be %s base units, and what is signed comes to %s", b.Arrears, sum)
	}
	return nil
}

// leftUnpaid is what a channel before owed and did not pay.
func (p *Publisher) leftUnpaid(ctx context.Context, s *session, was *App) (tariff.Amount, error) {
	b, err := p.bill(ctx, s, was, forUse())
	if err != nil {
		return tariff.Amount{}, err
	}
	if b.Signed == nil || !b.Final {
		return tariff.Amount{}, fmt.Errorf("channel %s has no final account: %w", was.Channel.ID, ErrBill)
	}
	left, err := b.Owed.Sub(b.Claimed)
	if err != nil {
		return tariff.Amount{}, nil //nolint:nilerr // more was claimed than is owed
	}
	return left, nil
}

// sign takes the enclave's account of the same, if there is one. It returns ErrBill for one that does not hold. It may be a moment behind
// the provider's own numbers.
func (b *Bill) sign(a *App, signed *orderv1.SignedAccount) error {
	if signed == nil {
		return nil
	}
	d := account.NewDocument(a.Domain(), a.Channel.Terms, a.Channel.Quote, signed)
	if _, err := d.Verify(); err != nil {
		return fault.Hint(fmt.Errorf("the account in the enclave's name: %w: %w", ErrBill, err),
			"end it with: apocryph stop "+a.Name+"; the channel's cap bounds what can be claimed meanwhile")
	}
	b.Signed = &d
	return nil
}

func readBill(r *providerv1.BillResponse) (*Bill, error) {
	b := &Bill{Final: r.Final}
	if r.AccruedTo > 0 {
		b.AccruedTo = time.Unix(int64(min(r.AccruedTo, 1<<40)), 0)
	}
	var errs []error
	quantity := func(to *usage.Quantity, from string) {
		q, err := usage.ParseQuantity(from)
		*to = q
		errs = append(errs, err)
	}
	quantity(&b.Usage.CPU, r.CpuMilliSeconds)
	quantity(&b.Usage.Memory, r.MemoryByteSeconds)
	quantity(&b.Usage.Ephemeral, r.EphemeralByteSeconds)
	quantity(&b.Usage.Storage, r.StorageByteSeconds)
	quantity(&b.Usage.Egress, r.EgressBytes)
	extended, err := account.ReadExtended(r.Extended)
	b.Usage.Extended = extended
	errs = append(errs, err)
	amount := func(to *tariff.Amount, from string) {
		if from == "" {
			return
		}
		a, err := tariff.ParseAmount(from)
		*to = a
		errs = append(errs, err)
	}
	amount(&b.Vouchered, r.Vouchered)
	amount(&b.Hourly, r.Hourly)
	amount(&b.Reserve, r.Reserve)
	amount(&b.Arrears, r.Arrears)
	return b, errors.Join(errs...)
}
