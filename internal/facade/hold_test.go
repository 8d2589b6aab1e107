// SPDX-License-Identifier: Apache-2.0

package facade

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/apocryph/apocryph/api/v1alpha1"
)

func starting(t *testing.T, ready int32) *v1alpha1.App {
	t.Helper()
	a := app(t, "one", "shop.example.org", 8080, ready)
	a.Status.Phase = v1alpha1.PhaseStarting
	return a
}

// A request that comes while an app starts, or between the old and the new pod of an update, is answered by what comes next.
func TestRequestsWaitForAnAppThatStarts(t *testing.T) {
	suspended, ended := starting(t, 0), starting(t, 0)
	suspended.Status.Phase = v1alpha1.PhaseSuspended
	ended.Status.EndReason = v1alpha1.EndStoppedByPublisher
	for name, c := range map[string]struct {
		then           *v1alpha1.App // put after a second; nil for nothing
		answers, found bool
		took           time.Duration
	}{
		"it is ready":           {starting(t, 1), true, true, time.Second},
		"it is suspended":       {suspended, false, true, time.Second},
		"it ends":               {ended, false, false, time.Second},
		"it says nothing new":   {starting(t, 0), false, true, holdTime},
		"nothing comes of it":   {nil, false, true, holdTime},
		"it is an update's end": {func() *v1alpha1.App { a := starting(t, 1); a.Status.Phase = v1alpha1.PhaseReady; return a }(), true, true, time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				table := NewTable()
				table.Put(starting(t, 0))
				table.Synced()
				begin := time.Now()
				if c.then != nil {
					time.AfterFunc(time.Second, func() { table.Put(c.then) })
				}
				r, found, _ := table.await(t.Context(), "shop.example.org")
				if r.answers() != c.answers || found != c.found || time.Since(begin) != c.took {
					t.Errorf("answers %t, found %t after %s", r.answers(), found, time.Since(begin))
				}
				if table.held != 0 || len(table.lines) != 0 {
					t.Errorf("%d still wait in %d lines", table.held, len(table.lines))
				}
			})
		})
	}
}

func TestWhoGoesAwayWaitsNoMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		table := NewTable()
		table.Put(starting(t, 0))
		table.Synced()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		begin := time.Now()
		if table.await(ctx, "shop.example.org"); time.Since(begin) != time.Second || table.held != 0 {
			t.Errorf("gone after %s, %d wait", time.Since(begin), table.held)
		}
	})
}

func TestNobodyWaitsForAFacadeThatEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		table := NewTable()
		table.Put(starting(t, 0))
		table.Synced()
		time.AfterFunc(time.Second, table.Drain)
		begin := time.Now()
		if table.await(t.Context(), "shop.example.org"); time.Since(begin) != time.Second || table.held != 0 {
			t.Errorf("told after %s, %d wait", time.Since(begin), table.held)
		}
	})
}

// Past the bound a request is told at once to come back; other apps' requests still wait.
func TestNotAllMayWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		table := NewTable()
		table.Put(starting(t, 0))
		other := starting(t, 0)
		other.Name, other.Spec.Host = "two", "two.example.org"
		table.Put(other)
		table.Synced()
		for range heldPerApp {
			go table.await(t.Context(), "shop.example.org")
		}
		synctest.Wait()
		begin := time.Now()
		if table.await(t.Context(), "shop.example.org"); time.Since(begin) != 0 {
			t.Errorf("one too many waited %s", time.Since(begin))
		}
		if table.await(t.Context(), "two.example.org"); time.Since(begin) != holdTime {
			t.Errorf("another app's waited %s", time.Since(begin))
		}
	})
}

func TestAHeldRequestArrives(t *testing.T) {
	table, f, _ := entry(t, http.HandlerFunc(echo))
	table.Put(starting(t, 0))
	table.Synced()
	done := make(chan int)
	go func() {
		res, _ := get(t, f, "shop.example.org")
		done <- res.StatusCode
	}()
	for waits := 0; waits == 0; {
		table.mu.RLock()
		waits = table.held
		table.mu.RUnlock()
	}
	table.Put(starting(t, 1))
	if code := <-done; code != http.StatusOK {
		t.Errorf("answer %d", code)
	}
}
