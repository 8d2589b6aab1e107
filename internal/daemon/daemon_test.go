// SPDX-License-Identifier: Apache-2.0

package daemon_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/apocryph/apocryph/internal/daemon"
)

func TestRunStopsInReverse(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var order []string
	started := make(chan struct{}, 3)
	task := func(name string) daemon.Task {
		return daemon.Task{Name: name, Run: func(ctx context.Context) error {
			started <- struct{}{}
			<-ctx.Done()
			order = append(order, name)
			return ctx.Err()
		}}
	}
	go func() {
		for range 3 {
			<-started
		}
		cancel()
	}()
	if err := daemon.Run(ctx, slog.New(slog.DiscardHandler), task("store"), task("worker"), task("door")); err != nil {
		t.Errorf("Run = %v", err)
	}
	if want := []string{"door", "worker", "store"}; !slices.Equal(order, want) {
		t.Errorf("stopped in order %v, want %v", order, want)
	}
}

func TestRunEndsWithTheFirstThatFails(t *testing.T) {
	broken := errors.New("broken")
	stopped := false
	err := daemon.Run(t.Context(), slog.New(slog.DiscardHandler),
		daemon.Task{Name: "store", Run: func(ctx context.Context) error { <-ctx.Done(); stopped = true; return nil }},
		daemon.Task{Name: "worker", Run: func(context.Context) error { return broken }})
	if !errors.Is(err, broken) || !strings.HasPrefix(err.Error(), "worker: ") {
		t.Errorf("Run = %v, want worker: broken", err)
	}
	if !stopped {
		t.Error("the other task was not stopped")
	}
}

func TestATaskThatEndsByItselfIsAnError(t *testing.T) {
	err := daemon.Run(t.Context(), slog.New(slog.DiscardHandler),
		daemon.Task{Name: "worker", Run: func(context.Context) error { return nil }})
	if err == nil {
		t.Error("Run = nil")
	}
}

func TestAFrontDoorLingers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		var ended time.Time
		door := daemon.Task{Name: "door", Run: func(ctx context.Context) error {
			<-ctx.Done()
			ended = time.Now()
			return nil
		}}
		returned := make(chan error, 1)
		go func() { returned <- daemon.Linger(3*time.Second, door).Run(ctx) }()
		time.Sleep(time.Minute)
		told := time.Now()
		stop()
		if err := <-returned; err != nil || ended.Sub(told) != 3*time.Second {
			t.Errorf("it went on for %s, %v", ended.Sub(told), err)
		}
	})
}

func TestALingeringTaskThatFailsIsNotWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := errors.New("broken")
		began := time.Now()
		err := daemon.Linger(time.Hour, daemon.Task{Name: "door", Run: func(context.Context) error { return broken }}).Run(t.Context())
		if !errors.Is(err, broken) || time.Since(began) != 0 {
			t.Errorf("%v after %s", err, time.Since(began))
		}
	})
}

func TestEveryGoesOnAfterAFailure(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var said strings.Builder
	rounds := 0
	task := daemon.Every(time.Nanosecond, slog.New(slog.NewTextHandler(&said, nil)), "cleaner", func(context.Context, time.Time) error {
		if rounds++; rounds == 2 {
			cancel()
		}
		return errors.New("disk gone")
	})
	if err := task.Run(ctx); err != nil || rounds != 2 {
		t.Errorf("Run = %v after %d rounds, want 2 and no error", err, rounds)
	}
	if got := strings.Count(said.String(), "disk gone"); got != 1 || !strings.Contains(said.String(), "task=cleaner") {
		t.Errorf("%d failures told, want the one before it was to stop: %s", got, said.String())
	}
}
