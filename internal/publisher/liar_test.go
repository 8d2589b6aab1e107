// SPDX-License-Identifier: Apache-2.0

package publisher_test

import (
	"context"
	"testing"
	"time"

	"github.com/apocryph/apocryph/internal/channel"
	"github.com/apocryph/apocryph/internal/fault"
	providerv1 "github.com/apocryph/apocryph/internal/gen/providerv1"
	"github.com/apocryph/apocryph/internal/publisher"
)

// liar is a chain whose first endpoint says alone that every channel is closed.
type liar struct{ bank }

func (l liar) State(ctx context.Context, id channel.ID) (channel.State, time.Time, error) {
	s, now, err := l.bank.State(ctx, id)
	if s.Status(now) != channel.None {
		s.NoticeEnd = 1<<40 - 1
	}
	return s, now, err
}

// Whoever believed one endpoint would pay for a channel again and again, and forget an app that runs.
func TestOneEndpointClosesNoChannel(t *testing.T) {
	w := newWorld(t)
	d, err := w.start().Deploy(t.Context(), w.order(oneService))
	if err != nil {
		t.Fatal(err)
	}
	lied := w.start()
	lied.Chain = liar{bank{w}}
	for range 2 {
		if _, err := lied.Deploy(t.Context(), w.order(oneService)); err == nil || fault.HintOf(err) == "" {
			t.Errorf("a deploy: %v, want a refusal with a hint", err)
		}
	}
	again, err := w.start().Deploy(t.Context(), w.order(oneService))
	if err != nil || len(w.opened) != 1 || again.App.ID != d.App.ID || again.Status.GetPhase() != providerv1.Phase_PHASE_READY {
		t.Errorf("the truth again: %v, opened %d channels for %s and then %s", err, len(w.opened), d.App.ID, again.App.ID)
	}
	_, err = lied.Stop(t.Context(), publisher.StopOrder{App: d.App.Name, Wait: time.Minute})
	if got := w.states[d.App.Channel.ID].Status(w.now); err != nil || got != channel.Closed {
		t.Errorf("a stop: %v, the provider left the channel %s", err, got)
	}
}
