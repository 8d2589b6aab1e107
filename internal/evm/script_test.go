// SPDX-License-Identifier: Apache-2.0

package evm_test

import (
	"context"
	"errors"
	"math/big"
	"sync"
	"testing"
	"time"

	"github.com/apocryph/apocryph/internal/channel"
	"github.com/apocryph/apocryph/internal/evm"
	"github.com/apocryph/apocryph/internal/evm/evmtest"
	"github.com/apocryph/apocryph/internal/gen/token"
	"github.com/apocryph/apocryph/internal/tariff"
)

// script is a clock that moves only when somebody waits, and lets something happen then.
type script struct {
	mu    sync.Mutex
	now   time.Time
	waits int
	// then happens at each wait, numbered from 1.
	then func(wait int)
}

var errEndless = errors.New("waited for ever")

func (s *script) Now() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

func (s *script) Wait(ctx context.Context, d time.Duration) error {
	s.mu.Lock()
	s.now = s.now.Add(d)
	s.waits++
	n, then := s.waits, s.then
	s.mu.Unlock()
	if n > 2000 {
		return errEndless
	}
	if then != nil {
		then(n)
	}
	return ctx.Err()
}

// scene is a world with a script, blocks made by hand, and several endpoints.
type scene struct {
	*world
	*script
	nodes []*evmtest.Proxy
	terms channel.Terms
	id    channel.ID
}

// newScene has an open channel with 100,000 in it, and an allowance for more.
func newScene(t testing.TB, endpoints int, more ...func(*evm.Config)) *scene {
	t.Helper()
	s := &scene{script: &script{now: time.Unix(1_800_000_000, 0)}}
	s.world = newWorld(t, evmtest.Options{Manual: true}, func(w *world) {
		w.cfg.Wait, w.cfg.Now = s.Wait, s.Now
		w.cfg.Poll, w.cfg.MineTimeout = time.Second, 5*time.Minute
		for _, change := range more {
			change(&w.cfg)
		}
		s.nodes = []*evmtest.Proxy{w.node}
		for len(s.nodes) < endpoints {
			s.nodes = append(s.nodes, w.chain.Endpoint(t))
		}
	})
	s.then = func(int) { s.chain.Mine(1) }
	s.terms = s.world.terms(1)
	s.id = s.open(t, s.terms)
	s.approve(t)
	s.chain.Mine(int(s.cfg.Confirmations))
	s.then = nil
	return s
}

// approve lets the contract take all that the publisher has, so that a deposit is one transaction.
func (s *scene) approve(t testing.TB) {
	t.Helper()
	s.chain.Do(t, s.keys[0], &s.token, token.NewTestToken().PackApprove(s.cfg.Channels, big.NewInt(1<<40)), nil)
}

// wallet is the publisher's, by these endpoints.
func (s *scene) wallet(t testing.TB, with evm.Sending, nodes ...*evmtest.Proxy) *evm.Wallet {
	t.Helper()
	return evm.NewWalletWith(s.dial(t, nodes...), s.keys[0], with)
}

// deposited is what the chain says, past all endpoints that misbehave.
func (s *scene) deposited(t testing.TB) string {
	t.Helper()
	st, err := s.publisherAt(t).State(t.Context(), s.id)
	if err != nil {
		t.Fatal(err)
	}
	return st.Deposited.String()
}

func (s *scene) publisherAt(t testing.TB) *evm.Client {
	t.Helper()
	return s.dial(t, s.chain.Endpoint(t))
}

func (s *scene) deposit(t testing.TB, w *evm.Wallet, n uint64) (evm.Receipt, error) {
	t.Helper()
	return w.Deposit(t.Context(), s.terms, tariff.Units(n))
}

// mineAlways makes a block at every wait.
func (s *scene) mineAlways() { s.then = func(int) { s.chain.Mine(1) } }

// closeChannel is the provider's doing, by an endpoint and a clock of its own.
func (s *scene) closeChannel(t testing.TB) {
	t.Helper()
	cfg := s.cfg
	cfg.Wait = func(context.Context, time.Duration) error { s.chain.Mine(1); return nil }
	c, err := evm.Dial(t.Context(), []string{s.chain.Endpoint(t).URL}, cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := evm.NewWallet(c, s.keys[1]).Close(t.Context(), s.terms); err != nil {
		t.Fatal(err)
	}
}
