// SPDX-License-Identifier: Apache-2.0

package publisher

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/apocryph/apocryph/internal/channel"
	"github.com/apocryph/apocryph/internal/delegation"
	"github.com/apocryph/apocryph/internal/fault"
	orderv1 "github.com/apocryph/apocryph/internal/gen/orderv1"
	providerv1 "github.com/apocryph/apocryph/internal/gen/providerv1"
	"github.com/apocryph/apocryph/internal/span"
	"github.com/apocryph/apocryph/internal/tariff"
)

// Receipt is how an app ended, as the chain has it; Bill is the provider's final account, nil if it could not be had.
type Receipt struct {
	App                          *App
	Token                        Token
	Deposited, Claimed, Refunded tariff.Amount
	CloseTx                      string
	Bill                         *Bill
	// Former is what came of the channels that paid for the app before, oldest first.
	Former []Past
}

// Past is what came of a channel that paid for an app before. Closed says that it is.
type Past struct {
	Channel                      channel.ID
	Deposited, Claimed, Refunded tariff.Amount
	Closed                       bool
}

// StopOrder is what Stop is to do.
type StopOrder struct {
	// App is a name or id.
	App string
	// Confirm is asked before anything is sent, unless the stop was signed before; nil is yes.
	Confirm func(context.Context, *App) error
	// Wait is how long the provider may take to settle.
	Wait time.Duration
}

// Stop ends an app: its volumes are deleted, the provider settles, and what is left comes back. Run again after it was interrupted, it goes on.
func (p *Publisher) Stop(ctx context.Context, o StopOrder) (*Receipt, error) {
	a, err := p.Store.Find(o.App)
	if err != nil {
		return nil, err
	}
	unlock, err := p.Store.Lock(a.Name)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if a, err = p.Store.Find(a.ID.String()); err != nil { // another command may have changed it before the lock
		return nil, err
	}
	if err := p.sameChain(a); err != nil {
		return nil, err
	}
	if err := p.askNext(ctx, a); err != nil {
		return nil, err
	}
	s, now, err := p.Chain.State(ctx, a.Channel.ID)
	if err != nil {
		return nil, err
	}
	switch s.Status(now) {
	case channel.None:
		return nil, fault.Hint(fmt.Errorf("app %s has no channel on this chain, so nothing runs and nothing is owed", a.Name), "deploy it, or check --rpc and --channels")
	case channel.Closed:
		// If that is not sure the provider is asked to stop: it may be one endpoint's lie, and the app would run on.
		if sure, _ := p.surelyClosed(ctx, a); sure || a.Stage == StageEnded {
			return p.settled(ctx, a, nil)
		}
	case channel.Open, channel.Notice, channel.Ended:
	}
	if a.Stage != StageStopping && o.Confirm != nil {
		if err := o.Confirm(ctx, a); err != nil {
			return nil, err
		}
	}
	session, err := p.reach(ctx, a)
	if err != nil {
		return nil, fault.Hint(err, leaveHint(a, fault.HintOf(err)))
	}
	limited, cancel := context.WithTimeout(ctx, o.Wait)
	defer cancel()
	r, err := p.end(limited, session, a)
	if err != nil && ctx.Err() == nil {
		p.askRelease(ctx, session, a)
	}
	session.Close()
	for attempt := 1; errors.Is(err, ErrUnreachable) && attempt < connectAttempts; attempt++ {
		if again, lost := p.reach(limited, a); lost == nil {
			r, err = p.end(limited, again, a) // the same signed stop: it is no second order
			again.Close()
		}
	}
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		err = fmt.Errorf("the provider has not settled within %s", o.Wait)
	}
	if err != nil && ctx.Err() == nil && !errors.Is(err, ErrBill) {
		return nil, fault.Hint(fmt.Errorf("%w: %w", ErrLocked, err), leaveHint(a, fault.HintOf(err)))
	}
	return r, err
}

// askNext finds out whether the provider has the order that names a successor: then that channel is the one to stop on. Whoever went on without
// knowing might take the app for ended because the channel before is closed.
func (p *Publisher) askNext(ctx context.Context, a *App) error {
	if a.Next == nil {
		return nil
	}
	s, err := p.reach(ctx, a)
	if err != nil {
		return fault.Hint(err, leaveHint(a, fault.HintOf(err))+fmt.Sprintf("; a second channel of it may be open: apocryph channel show %s", a.Next.ID))
	}
	defer s.Close()
	if err := p.takeUp(ctx, s, a); err != nil && fault.ReasonOf(err) != providerv1.Reason_REASON_APP_NOT_FOUND {
		return err
	}
	if a.Next != nil {
		p.tell(Event{Step: "stop", Warning: true, Message: fmt.Sprintf("channel %s was planned for this app, and nothing runs on it: if it is open, get it back with: apocryph channel notice %s", a.Next.ID, a.Next.ID)})
	}
	return nil
}

func leaveHint(a *App, first string) string {
	hint := fmt.Sprintf("run the same command again; if the provider is gone, leave without it: apocryph channel notice %s, and when the notice is over: apocryph channel withdraw %s", a.Name, a.Name)
	if a.Channel.Release != nil {
		hint = "the provider has signed the release, so end it yourself at once: apocryph channel release " + a.Name
	}
	if first != "" {
		hint = first + "; " + hint
	}
	return hint
}

// end sends the signed stop and follows until the chain shows the channel closed.
func (p *Publisher) end(ctx context.Context, s *session, a *App) (*Receipt, error) {
	before := a.Stage
	signed, err := p.signStop(a)
	if err != nil {
		return nil, err
	}
	call, err := p.authorized(ctx, a, forStop())
	if err != nil {
		return nil, err
	}
	limited, cancel := context.WithTimeout(call, callTime)
	defer cancel()
	if _, err := s.RPC.Stop(limited, &providerv1.StopRequest{Statement: signed}); err != nil {
		err = refusal(err)
		switch fault.ReasonOf(err) {
		case providerv1.Reason_REASON_APP_ENDED: // by somebody else's word; it settles all the same
		case providerv1.Reason_REASON_APP_NOT_FOUND:
			// Nothing runs, so nothing was stopped: the app can still be deployed on its channel.
			a.Stage = before
			return nil, errors.Join(fmt.Errorf("stopping app %s: %w", a.Name, err), p.Store.Save(a))
		default:
			return nil, fmt.Errorf("stopping app %s: %w", a.Name, err)
		}
	}
	p.report("stop", "the provider has the signed stop")
	if err := p.untilSettled(ctx, s, a); err != nil {
		return nil, err
	}
	if err := p.untilClosed(ctx, a); err != nil {
		return nil, err
	}
	return p.settled(ctx, a, s)
}

// signStop returns the app's stop, which is signed once and kept.
func (p *Publisher) signStop(a *App) (*orderv1.SignedStatement, error) {
	under, err := p.delegate(a, forStop())
	if err != nil {
		return nil, err
	}
	var signed orderv1.SignedStatement
	if a.Stage == StageStopping && proto.Unmarshal(a.Stop, &signed) == nil && proto.Equal(signed.Delegation, under) {
		return &signed, nil
	}
	fresh, err := p.statement(a, delegation.Statement{Action: orderv1.Action_ACTION_STOP}, under)
	if err != nil {
		return nil, err
	}
	if a.Stop, err = proto.Marshal(fresh); err != nil {
		return nil, fmt.Errorf("encoding the stop: %w", err)
	}
	a.Stage = StageStopping
	return fresh, p.Store.Save(a)
}

// untilSettled watches until the provider says that the final total is on chain.
func (p *Publisher) untilSettled(ctx context.Context, s *session, a *App) error {
	said := ""
	return p.watch(ctx, s, a, forStop(), func(st *providerv1.AppStatus) (bool, error) {
		if now := Summary(st); now != said {
			said = now
			p.report("settle", now)
		}
		settled := condition(st, conditionSettled)
		return st.Phase == providerv1.Phase_PHASE_ENDED || (settled != nil && settled.Status == isTrue), nil
	})
}

// surelyClosed reports whether an app's channel is closed in a block that can't be taken back, by the word of most endpoints. Whoever believed
// one alone would open another channel, or forget an app that runs.
func (p *Publisher) surelyClosed(ctx context.Context, a *App) (bool, error) {
	s, err := p.Chain.Final(ctx, a.Channel.ID)
	return err == nil && s.Status(p.clock()) == channel.Closed, err
}

const (
	closedPause    = time.Second
	closedAttempts = 60
)

// untilClosed waits for our own endpoint to show what the provider's has shown it.
func (p *Publisher) untilClosed(ctx context.Context, a *App) error {
	for attempt := 1; ; attempt++ {
		s, now, err := p.Chain.State(ctx, a.Channel.ID)
		if err != nil {
			return err
		}
		if s.Status(now) == channel.Closed {
			return nil
		}
		if attempt == closedAttempts {
			return fmt.Errorf("the provider says that it has settled, and the chain shows channel %s %s", a.Channel.ID, s.Status(now))
		}
		if err := span.Wait(ctx, closedPause); err != nil {
			return err
		}
	}
}

// settled makes the receipt of a closed channel and checks that it adds up: deposited = claimed + refunded, and no more was claimed than is owed.
func (p *Publisher) settled(ctx context.Context, a *App, s *session) (*Receipt, error) {
	st, _, err := p.Chain.State(ctx, a.Channel.ID)
	if err != nil {
		return nil, err
	}
	closing, err := p.Chain.Closing(ctx, a.Channel.ID, a.Channel.FromBlock)
	if err != nil {
		return nil, err
	}
	token, err := p.Chain.Token(ctx, a.Token)
	if err != nil {
		return nil, err
	}
	if closing.Tx == "" { // a node that keeps no old logs: the closed state tells the same
		closing = Closing{Claimed: st.Claimed, Refunded: st.Remaining()}
	}
	r := &Receipt{App: a, Token: token, Deposited: st.Deposited, Claimed: closing.Claimed, Refunded: closing.Refunded, CloseTx: closing.Tx}
	if r.Former, err = p.past(ctx, a); err != nil {
		return nil, err
	}
	if a.Stage != StageEnded && !a.loose {
		a.Stage = StageEnded
		if err := p.Store.Save(a); err != nil {
			return nil, err
		}
	}
	if s == nil && p.Dial != nil {
		// The money is back already: the provider's own account of it is worth a look, not a failure.
		if s, err = p.reach(ctx, a); err == nil {
			defer s.Close()
		}
	}
	if s != nil {
		r.Bill, err = p.bill(ctx, s, a, forStop())
		if errors.Is(err, ErrBill) {
			return r, err
		}
	}
	if sum := r.Claimed.Add(r.Refunded); !sum.Equal(r.Deposited) || !st.Claimed.Equal(r.Claimed) {
		return r, fmt.Errorf("channel %s: %s was deposited, %s claimed and %s refunded: %w", a.Channel.ID, r.Deposited, r.Claimed, r.Refunded, ErrBill)
	}
	if r.Bill != nil && r.Bill.Final && r.Claimed.Cmp(r.Bill.Owed) > 0 {
		return r, fmt.Errorf("channel %s: %s was claimed, and usage × tariff is %s: %w", a.Channel.ID, r.Claimed, r.Bill.Owed, ErrBill)
	}
	return r, nil
}

// past reads the channels that paid for an app before. What is left of one that is not closed yet comes back when its provider settles it.
func (p *Publisher) past(ctx context.Context, a *App) ([]Past, error) {
	var all []Past
	if a.loose {
		return nil, nil
	}
	for _, was := range a.FormerChannels() {
		s, now, err := p.Chain.State(ctx, was.Channel.ID)
		if err != nil {
			return nil, err
		}
		f := Past{Channel: was.Channel.ID, Deposited: s.Deposited, Claimed: s.Claimed, Closed: s.Status(now) == channel.Closed}
		if f.Closed {
			f.Refunded = s.Remaining()
		}
		all = append(all, f)
	}
	return all, nil
}
