// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/apocryph/apocryph/devnet/checkout"
	"github.com/apocryph/apocryph/devnet/progress"
	"github.com/apocryph/apocryph/devnet/sandbox"
)

// follower follows the parts of a devnet while they start. Many may wait for different parts.
type follower struct {
	co checkout.Checkout
	p  *progress.Progress

	mu      sync.Mutex
	changed *sync.Cond
	ready   map[string]bool // the empty name stands for all parts
	err     error           // why no more will be ready
}

func newFollower(co checkout.Checkout, p *progress.Progress) *follower {
	f := &follower{co: co, p: p, ready: map[string]bool{}}
	f.changed = sync.NewCond(&f.mu)
	return f
}

// wait returns when a part answers, or all if part is empty.
func (f *follower) wait(part string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for !f.ready[part] && f.err == nil {
		f.changed.Wait()
	}
	if f.ready[part] {
		return nil
	}
	return f.err
}

// follow reads the status until all parts answer, one of them ends, or gone closes because the supervisor did.
func (f *follower) follow(ctx context.Context, gone <-chan struct{}) {
	const interval = 50 * time.Millisecond
	for !f.look() {
		select {
		case <-ctx.Done():
			f.fail(fmt.Errorf("waiting for the devnet's parts: %w", context.Cause(ctx)))
		case <-gone:
			f.fail(fmt.Errorf("the supervisor ended, see %s", filepath.Join(f.co.Logs(), "supervisor.log")))
		case <-time.After(interval):
		}
	}
}

// look takes note of what changed, and says whether there is nothing more to wait for.
func (f *follower) look() bool {
	status, err := sandbox.ReadStatus(f.co.State())
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		f.fail(err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, part := range status.Parts {
		if part.Phase == sandbox.Ready && !f.ready[part.Name] {
			f.ready[part.Name] = true
			f.p.Done("start", part.Name, part.Ready.Sub(part.Started))
		}
	}
	f.ready[""] = status.AllReady()
	if part := status.Failed(); part != nil && f.err == nil {
		f.err = fmt.Errorf("%s ended (%s), see %s", part.Name, part.Exit, filepath.Join(f.co.Logs(), part.Name+".log"))
	}
	f.changed.Broadcast()
	return f.ready[""] || f.err != nil
}

func (f *follower) fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err == nil {
		f.err = err
	}
	f.changed.Broadcast()
}
