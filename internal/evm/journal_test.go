// SPDX-License-Identifier: Apache-2.0

package evm_test

import (
	"context"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"testing"

	"github.com/apocryph/apocryph/internal/evm"
	"github.com/apocryph/apocryph/internal/evm/evmtest"
	"github.com/apocryph/apocryph/internal/gen/token"
	"github.com/apocryph/apocryph/internal/tariff"
)

var errKilled = errors.New("killed")

// mortal is a journal whose process dies at one of its writes, before or after it, and does nothing any more from then on.
type mortal struct {
	evm.Journal
	kill  context.CancelFunc
	write int // which; 0 for none
	after bool
	wrote int
	dead  bool
}

func (m *mortal) Save(e *evm.Entry) error {
	m.wrote++
	if m.dead || (m.wrote == m.write && !m.after) {
		m.die()
		return errKilled
	}
	err := m.Journal.Save(e)
	if m.wrote == m.write {
		m.die()
		return errKilled
	}
	return err
}

func (m *mortal) die() {
	m.dead = true
	m.kill()
}

// A process that is killed at any step pays once in the end: by the same call of the next process, or before another call of it.
func TestKilledAndRunAgain(t *testing.T) {
	kills := map[string]struct {
		write int
		after bool
		wait  int // dies at this wait
		never bool
	}{
		"before it is written down":              {write: 1},
		"before it is sent":                      {write: 1, after: true},
		"after it was sent":                      {wait: 1},
		"while it waits":                         {wait: 3},
		"when it is mined, before that is noted": {write: 2},
		"when it is mined and noted":             {write: 2, after: true},
		"before the user is told":                {never: true},
	}
	for name, kill := range kills {
		for next, same := range map[string]bool{"the same again": true, "another call": false} {
			t.Run(name+", "+next, func(t *testing.T) {
				s := newScene(t, 2)
				s.chain.Do(t, s.keys[0], &s.token, token.NewTestToken().PackApprove(s.cfg.Channels, big.NewInt(5)), nil) // the first uses it up
				path := filepath.Join(t.TempDir(), "wallet.journal")
				s.waits = 0
				ctx, cancel := context.WithCancel(t.Context())
				m := &mortal{Journal: evm.NewFileJournal(path), kill: cancel, write: kill.write, after: kill.after}
				w := evm.NewWalletWith(s.dial(t, s.nodes...), s.keys[0], evm.Sending{Journal: m})
				s.then = func(n int) {
					if n == kill.wait {
						m.die()
					}
					if kill.wait == 0 || n > kill.wait {
						s.chain.Mine(1)
					}
				}
				if _, err := w.Deposit(ctx, s.terms, tariff.Units(5)); (err == nil) != kill.never {
					t.Fatalf("the first process: %v", err)
				}

				settled := 0
				again := s.wallet(t, evm.Sending{Journal: evm.NewFileJournal(path), Settled: func(evm.Call, evm.Receipt, error) { settled++ }}, s.nodes...)
				amount, want := uint64(5), "100005"
				if !same {
					amount, want = 7, "100012"
				}
				if kill.write == 1 && !kill.after && !same {
					want = "100007" // nobody ever heard of the first
				}
				r, err := s.deposit(t, again, amount)
				if err != nil || s.deposited(t) != want {
					t.Fatalf("deposited %s, want %s, %v", s.deposited(t), want, err)
				}
				if known := kill.write != 1 || kill.after; r.Resumed != (same && known) {
					t.Errorf("resumed: %t", r.Resumed)
				}
				if told := settled > 0; told != (!same && (kill.write != 1 || kill.after)) {
					t.Errorf("told of the first: %t", told)
				}
				if err := again.Acknowledge(); err != nil {
					t.Fatal(err)
				}
				later := s.wallet(t, evm.Sending{Journal: evm.NewFileJournal(path)}, s.nodes...)
				if r, err := s.deposit(t, later, amount); err != nil || r.Resumed {
					t.Errorf("once the user was told: %+v, %v", r, err)
				}
			})
		}
	}
}

// Settle ends what a killed process left, without a call of its own; from then on it has nothing to do.
func TestSettle(t *testing.T) {
	for name, waits := range map[string]int{"before it was sent": 0, "after it was sent": 1, "while it waits": 3} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t, 2)
			path := filepath.Join(t.TempDir(), "wallet.journal")
			s.waits = 0
			ctx, cancel := context.WithCancel(t.Context())
			m := &mortal{Journal: evm.NewFileJournal(path), kill: cancel}
			if waits == 0 {
				m.write, m.after = 1, true
			}
			s.then = func(n int) {
				if n == waits {
					m.die()
				}
			}
			if _, err := evm.NewWalletWith(s.dial(t, s.nodes...), s.keys[0], evm.Sending{Journal: m}).Deposit(ctx, s.terms, tariff.Units(5)); err == nil {
				t.Fatal("the first process was not killed")
			}
			told := 0
			again := s.wallet(t, evm.Sending{Journal: evm.NewFileJournal(path), Settled: func(evm.Call, evm.Receipt, error) { told++ }}, s.nodes...)
			s.mineAlways()
			for range 2 {
				if err := again.Settle(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if got := s.deposited(t); got != "100005" || told != 1 {
				t.Errorf("deposited %s, told of it %d times", got, told)
			}
		})
	}
}

func TestOneProcessAtATime(t *testing.T) {
	path := filepath.Join(t.TempDir(), "dir", "wallet.journal")
	one, two := evm.NewFileJournal(path), evm.NewFileJournal(path)
	unlock, err := one.Lock(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := two.Lock(ended); !errors.Is(err, evm.ErrBusy) {
		t.Errorf("a second one: %v", err)
	}
	unlock()
	unlock, err = two.Lock(ended)
	if err != nil {
		t.Fatalf("after the first: %v", err)
	}
	unlock()
}

func TestJournalFile(t *testing.T) {
	s := newScene(t, 1)
	path := filepath.Join(t.TempDir(), "wallet.journal")
	j := evm.NewFileJournal(path)
	s.mineAlways()
	if _, err := s.deposit(t, s.wallet(t, evm.Sending{Journal: j}, s.nodes...), 5); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if left, err := filepath.Glob(filepath.Join(filepath.Dir(path), ".journal-*")); err != nil || len(left) > 0 {
		t.Errorf("left over: %v, %v", left, err)
	}
	other := evm.NewWalletWith(s.dial(t, s.nodes...), s.keys[1], evm.Sending{Journal: j})
	if _, err := other.Close(t.Context(), s.terms); !errors.Is(err, evm.ErrJournal) {
		t.Errorf("another wallet's: %v", err)
	}
	if err := os.WriteFile(path, []byte("{\"nonce\":"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.deposit(t, s.wallet(t, evm.Sending{Journal: j}, s.nodes...), 5); !errors.Is(err, evm.ErrJournal) {
		t.Errorf("half of one: %v", err)
	}
	if got := s.deposited(t); got != "100005" {
		t.Errorf("deposited %s", got)
	}
}

// A wallet's transactions that were signed elsewhere are waited for in the same way.
func TestSubmit(t *testing.T) {
	s := newScene(t, 2)
	s.nodes[0].Inject(evmtest.Fault{Method: sendRaw, Do: evmtest.Say([32]byte{1})})
	tx := s.chain.Send(t, s.keys[0], &s.token, nil, nil)
	s.chain.Drop()
	c := s.dial(t, s.nodes...)
	s.mineAlways()
	if _, err := c.Submit(t.Context(), tx); !errors.Is(err, evm.ErrReverted) { // the token has no such function
		t.Errorf("Submit = %v", err)
	}
}
