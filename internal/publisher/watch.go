// SPDX-License-Identifier: Apache-2.0

package publisher

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/apocryph/apocryph/internal/fault"
	providerv1 "github.com/apocryph/apocryph/internal/gen/providerv1"
	"github.com/apocryph/apocryph/internal/manifest"
	"github.com/apocryph/apocryph/internal/span"
)

// errRefused says that the enclave did not accept what the gateway took in.
var errRefused = errors.New("the enclave refused the order")

// Condition types that this side reads; the provider's api/v1alpha1 defines them.
const (
	conditionVerified = "Verified"
	conditionReady    = "Ready"
	conditionSettled  = "Settled"
	isTrue            = "True"
	isFalse           = "False"

	// reasonTakenBack of Ready: the new version did not come up, and the last one serves until the next order.
	reasonTakenBack = "TakenBack"
)

const (
	watchPause    = time.Second
	watchAttempts = 30
)

// watch calls seen with each status until it returns true or an error. A lost stream is opened again.
func (p *Publisher) watch(ctx context.Context, s *session, a *App, what purpose, seen func(*providerv1.AppStatus) (bool, error)) error {
	for attempt := 1; ; attempt++ {
		err := p.watchOnce(ctx, s, a, what, func(st *providerv1.AppStatus) (bool, error) {
			attempt = 0
			return seen(st)
		})
		var ended *endError
		switch {
		case errors.As(err, &ended):
			return ended.err
		case ctx.Err() != nil:
			return ctx.Err()
		case !errors.Is(err, ErrUnreachable) || attempt >= watchAttempts:
			return err
		}
		if err := span.Wait(ctx, watchPause); err != nil {
			return err
		}
	}
}

// endError carries the verdict of seen past the handling of stream errors.
type endError struct{ err error }

func (*endError) Error() string { return "watch ended" }

func (p *Publisher) watchOnce(ctx context.Context, s *session, a *App, what purpose, seen func(*providerv1.AppStatus) (bool, error)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	call, err := p.authorized(ctx, a, what)
	if err != nil {
		return err
	}
	stream, err := s.RPC.Watch(call, &providerv1.WatchRequest{App: a.ID.AppID[:]})
	if err != nil {
		return refusal(err)
	}
	defer func() { _ = stream.Close() }()
	for stream.Receive() {
		if st := stream.Msg().GetStatus(); st != nil {
			if done, err := seen(st); done || err != nil {
				return &endError{err}
			}
		}
	}
	if err := stream.Err(); err != nil {
		return refusal(err)
	}
	return fmt.Errorf("%w: it ended the stream", ErrUnreachable)
}

// untilReady watches until this manifest runs, and tells what keeps it.
func (d *deployment) untilReady(ctx context.Context, hash manifest.Hash) (*providerv1.AppStatus, error) {
	limit, cancel := context.WithTimeout(ctx, d.order.Wait)
	defer cancel()
	var last *providerv1.AppStatus
	said := ""
	err := d.watch(limit, d.session, d.app, forUse(), func(st *providerv1.AppStatus) (bool, error) {
		last = st
		if now := Summary(st); now != said {
			said = now
			d.report("watch", now)
		}
		if manifest.Hash(to32(st.ManifestHash)) != hash {
			return false, nil // the version before
		}
		v := condition(st, conditionVerified)
		if v != nil && v.Status == isTrue {
			if err := d.accepted(); err != nil {
				return false, err
			}
		}
		switch {
		case v != nil && v.Status == isFalse:
			return false, fmt.Errorf("%w: %s: %s", errRefused, Clean(v.Reason), Clean(v.Message))
		case st.Phase == providerv1.Phase_PHASE_ENDING || st.Phase == providerv1.Phase_PHASE_ENDED:
			return false, d.ended(st)
		}
		// The phase is ready while the version before still answers; the condition is about this one.
		ready := condition(st, conditionReady)
		if st.Phase == providerv1.Phase_PHASE_READY && ready != nil && ready.Status == isFalse && ready.Reason == reasonTakenBack {
			return false, fault.Hint(fmt.Errorf("%w as ordered: %s", ErrNotReady, Clean(ready.Message)),
				"mend it and deploy again; what the new version wrote: apocryph logs --previous "+d.app.Name)
		}
		return st.Phase == providerv1.Phase_PHASE_READY && ready != nil && ready.Status == isTrue, nil
	})
	name := d.app.Name
	switch {
	case err == nil:
		return last, nil
	case errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil:
		err = fmt.Errorf("%w after %s: %s", ErrNotReady, d.order.Wait, said)
	case errors.Is(err, errRefused), fault.HintOf(err) != "":
		return last, err
	}
	return last, fault.Hint(err, fmt.Sprintf("it goes on at the provider: see apocryph status %s and apocryph logs %s; run the same command again to wait on; apocryph stop %s ends it and settles", name, name, name))
}

// ended is the error of an app that somebody stopped meanwhile.
func (d *deployment) ended(st *providerv1.AppStatus) error {
	err := fmt.Errorf("%w: it has ended", ErrNotReady)
	if st.EndReason != "" {
		err = fmt.Errorf("%w: %s", err, Clean(st.EndReason))
	}
	return fault.Hint(err, "get the rest of the deposit back with: apocryph stop "+d.app.Name+"; then run this command again to deploy it anew")
}

// Summary is a status in one line: the phase and what blocks.
func Summary(st *providerv1.AppStatus) string {
	parts := []string{PhaseName(st.Phase)}
	for _, s := range st.Services {
		if s.Ready < s.Wanted || s.Blocked != "" {
			text := fmt.Sprintf("%s %d of %d", Clean(s.Name), s.Ready, s.Wanted)
			if s.Blocked != "" {
				text += ": " + Clean(s.Blocked)
			}
			parts = append(parts, text)
		}
	}
	// The Ready condition says again what services are blocked by.
	told := func(c *providerv1.Condition) bool {
		return c.Type == conditionReady && slices.ContainsFunc(st.Services, func(s *providerv1.ServiceStatus) bool {
			return s.Blocked != "" && strings.Contains(c.Message, s.Blocked)
		})
	}
	for _, c := range st.Conditions {
		if c.Status != isTrue && c.Message != "" && !told(c) && (st.Phase != providerv1.Phase_PHASE_READY || c.Type == conditionReady) {
			parts = append(parts, fmt.Sprintf("%s: %s", Clean(c.Type), Clean(c.Message)))
		}
	}
	return strings.Join(parts, "; ")
}

// PhaseName is a phase as people read it. One of a newer provider is told as such, so that nobody looks for its number.
func PhaseName(p providerv1.Phase) string {
	if _, known := providerv1.Phase_name[int32(p)]; !known {
		return fmt.Sprintf("unknown phase %d: update this program", p)
	}
	return strings.ToLower(strings.TrimPrefix(p.String(), "PHASE_"))
}

func condition(st *providerv1.AppStatus, typ string) *providerv1.Condition {
	for _, c := range st.Conditions {
		if c.Type == typ {
			return c
		}
	}
	return nil
}

// to32 is b as a hash; anything of another length is no hash of ours.
func to32(b []byte) (h [32]byte) {
	if len(b) == len(h) {
		copy(h[:], b)
	}
	return h
}
