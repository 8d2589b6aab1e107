// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"context"
	"fmt"
	"math/big"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	appsv1 "k8s.io/api/apps/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/apocryph/apocryph/e2e/bed"
	"github.com/apocryph/apocryph/internal/evm"
)

const (
	// batchRuns is how many publishers are at it at once.
	batchRuns = 6
	// endLimit is for what ends by itself after the last stop: namespaces, volumes, mounts.
	endLimit = 2 * time.Minute
)

// most is what a life's app reserves, with the surge of an update.
func most() reserved { return reserved{milliCPU: 120, storageBytes: 64 << 20} }

// setting is a number from the environment.
func setting(t *testing.T, name string, otherwise uint64) uint64 {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// scene is where batches happen.
type scene struct {
	*ground

	chain   *evm.Client // the chain itself
	oracle  *bed.Oracle
	payout  common.Address
	people  []*publisher
	batches int
}

func newScene(t *testing.T) *scene {
	t.Helper()
	s := &scene{ground: newGround(t)}
	if err := s.clear(); err != nil {
		t.Fatal(err)
	}
	var err error
	if s.chain, err = evm.Dial(t.Context(), []string{s.Env["APOCRYPH_RPC"]}, evm.Config{Channels: common.HexToAddress(s.Env["APOCRYPH_CHANNELS"])}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.chain.Close)
	s.oracle = s.Consult(t)
	s.payout = s.findPayout(t)
	first := s.NewPerson(t, true)
	s.people = []*publisher{newPublisher(t, s.ground, first)}
	for len(s.people) < batchRuns {
		s.people = append(s.people, newPublisher(t, s.ground, first.Another(t, true)))
	}
	return s
}

// findPayout reads who is paid, where the provider wrote it.
func (s *scene) findPayout(t *testing.T) common.Address {
	t.Helper()
	var gateway appsv1.Deployment
	if err := s.Kube.Get(t.Context(), client.ObjectKey{Namespace: bed.SystemNamespace, Name: "gateway"}, &gateway); err != nil {
		t.Fatal(err)
	}
	for _, arg := range gateway.Spec.Template.Spec.Containers[0].Args {
		if address, ok := strings.CutPrefix(arg, "--payout="); ok && common.IsHexAddress(address) {
			return common.HexToAddress(address)
		}
	}
	t.Fatalf("the gateway's arguments name no payout: %q", gateway.Spec.Template.Spec.Containers[0].Args)
	return common.Address{}
}

// batch takes some apps through their lives as planned, and judges what is left.
func (s *scene) batch(t *testing.T, p plan) []*life {
	t.Helper()
	s.batches++
	before, err := s.books(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	lives := make([]*life, len(p.habits))
	for i := range lives {
		lives[i] = s.newLife(t, s.people[i], fmt.Sprintf("app-%d-%d", s.batches, i))
	}
	for _, at := range parts() {
		s.part(t, lives, p, at)
		if t.Failed() {
			s.abandon(t, lives)
			return lives
		}
	}
	s.judge(t, lives, before, most())
	return lives
}

// judge looks at what the lives left, once what ends by itself has ended.
func (s *scene) judge(t *testing.T, lives []*life, before books, most reserved) {
	t.Helper()
	var all sync.WaitGroup
	for i, l := range lives {
		all.Go(func() {
			var wrong []string
			err := eventually(t.Context(), endLimit, func(ctx context.Context) error {
				f, err := l.collect(ctx, s.chain)
				if err == nil {
					wrong = judge(f, most)
				}
				if err == nil && len(wrong) > 0 {
					err = fmt.Errorf("%s", strings.Join(wrong, "; "))
				}
				return err
			})
			if err != nil {
				t.Errorf("publisher %d, %s (%s): %v", i, l.name, l.app.App, err)
			}
		})
	}
	all.Wait()
	err := eventually(t.Context(), endLimit, func(ctx context.Context) error {
		left, err := s.orphansOfAll(ctx)
		if err == nil && len(left) > 0 {
			err = fmt.Errorf("orphans: %s", strings.Join(left, ", "))
		}
		if err != nil {
			return err
		}
		after, err := s.books(ctx)
		if err == nil {
			err = before.until(after)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// newLife begins a run.
func (s *scene) newLife(t *testing.T, p *publisher, name string) *life {
	t.Helper()
	p.log = func(line string) { t.Logf("%s %s: %s", time.Now().UTC().Format("15:04:05.0"), name, line) }
	head, err := s.chain.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	balance, err := s.chain.Balance(t.Context(), common.HexToAddress(s.Env["APOCRYPH_TOKEN"]), p.Address())
	if err != nil {
		t.Fatal(err)
	}
	return &life{publisher: p, oracle: s.oracle, name: name, lines: map[part]int{}, begin: time.Now(), block: head.Number, balance: balance}
}

// part takes all lives through one part, while its fault strikes.
func (s *scene) part(t *testing.T, lives []*life, p plan, at part) {
	t.Helper()
	fault := p.faults[at]
	watched := at == running
	before := map[*life]string{}
	if watched {
		for i, l := range lives {
			pods, err := l.pods(t.Context())
			if err != nil {
				t.Fatalf("publisher %d: %v", i, err)
			}
			before[l] = pods
		}
	}
	visits, leave := context.WithCancel(t.Context())
	defer leave()
	var visitors, doing sync.WaitGroup
	for i, l := range lives {
		doing.Go(func() {
			if err := l.do(t.Context(), at, p.habits[i][at]); err != nil {
				t.Errorf("%s, publisher %d (%s): %v", at, i, l.app.App, err)
			}
		})
		if watched {
			visitors.Go(func() { l.visited(visits, t, fault) })
		}
	}
	doing.Go(func() {
		if err := s.suffer(t.Context(), fault); err != nil {
			t.Errorf("%s: %s: %v", at, fault, err)
		}
	})
	doing.Wait()
	if watched {
		pause(t.Context(), 2*time.Second) // what was killed is back: what it does first may be the worst
	}
	leave()
	visitors.Wait()
	for i, l := range lives {
		if !watched {
			break
		}
		if after, err := l.pods(t.Context()); err != nil || after != before[l] {
			t.Errorf("publisher %d (%s): its pods were %s, after %s they are %s (%v)", i, l.app.App, before[l], fault, after, err)
		}
	}
}

// visited asks an app all the while, and complains if the fault was no reason not to answer.
func (l *life) visited(ctx context.Context, t *testing.T, f fault) {
	t.Helper()
	asked, failed := l.visit(ctx)
	if asked == 0 || f.spares && len(failed) > 0 {
		t.Errorf("%s (%s): of %d requests during %s these failed: %q", l.name, l.app.App, asked, f, failed)
	}
}

// suffer lets a fault strike, last and heal.
func (s *scene) suffer(ctx context.Context, f fault) error {
	pause(ctx, f.after)
	heal, err := s.strike(f)
	if err != nil {
		return err
	}
	pause(ctx, f.lasts)
	if err := heal(ctx); err != nil {
		return err
	}
	return s.healed(ctx)
}

// abandon ends what a failed batch left, so that the next one starts clean.
func (s *scene) abandon(t *testing.T, lives []*life) {
	t.Helper()
	for _, l := range lives {
		if o := l.client(t.Context(), 0, nil, "stop", l.name, "--yes", "--wait", "90s"); o.err != nil {
			t.Logf("stopping %s after the failure: %v", l.name, o.err)
		}
	}
}

// books are the provider's: what its payout address has, and what was ever claimed for the apps that it knows.
type books struct{ received, claimed *big.Int }

func (s *scene) books(ctx context.Context) (books, error) {
	claimed, err := s.claimedByAll(ctx, s.chain)
	if err != nil {
		return books{}, err
	}
	received, err := s.chain.Balance(ctx, common.HexToAddress(s.Env["APOCRYPH_TOKEN"]), s.payout)
	return books{received.Big(), claimed}, err
}

// until returns an error unless all that was claimed since was received.
func (b books) until(after books) error {
	received, claimed := new(big.Int).Sub(after.received, b.received), new(big.Int).Sub(after.claimed, b.claimed)
	if received.Cmp(claimed) != 0 {
		return fmt.Errorf("the provider received %s, %s was claimed", received, claimed)
	}
	return nil
}

// Whatever breaks, and whatever the publisher does meanwhile, ends as if it had not.
func TestFaults(t *testing.T) {
	runs, seed := setting(t, "APOCRYPH_FAULT_RUNS", shortRuns), setting(t, "APOCRYPH_FAULT_SEED", 1)
	s := newScene(t)
	for done := uint64(0); done < runs; seed++ {
		n := min(batchRuns, runs-done)
		done += n
		p := draw(seed, int(n))
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			t.Logf("again: APOCRYPH_FAULT_SEED=%d APOCRYPH_FAULT_RUNS=%d; %s", seed, n, p)
			s.batch(t, p)
		})
	}
	all, err := s.oracle.Verdict("", bed.Quantities{})
	if pods, _ := all.Count(); err != nil || runs >= shortRuns && pods < fewestPods {
		t.Errorf("the oracle judged %d pods: %v", pods, err)
	}
	if runs > shortRuns { // the other tests on this devnet would have to live with it
		leaps := quiet(map[part]habit{}, map[part]habit{})
		leaps.faults[running] = fault{kind: leap, n: 3600, spares: true}
		t.Run("the contract's time jumps ahead by an hour", func(t *testing.T) { s.batch(t, leaps) })
		t.Run("and an app lives through all of that hour", func(t *testing.T) { s.batch(t, quiet(map[part]habit{})) })
	}
}

// fewestPods is how many pods' times must be right to the second, whatever breaks.
const fewestPods = 200

// shortRuns is what make test does, longRuns make test-long.
const shortRuns, longRuns = 50, 1000

// quiet is a plan in which nothing breaks.
func quiet(habits ...map[part]habit) plan {
	p := plan{faults: map[part]fault{}, habits: habits}
	for _, at := range parts() {
		p.faults[at] = fault{kind: none, spares: true}
	}
	return p
}

// Nothing breaks in the first run, which shows that the judge lets a sound one pass, and how many lines the client reports. Killed after
// each of these lines, in each of its commands, the client goes on where it was.
func TestTheClientIsKilledAtEveryStep(t *testing.T) {
	s := newScene(t)
	var sound *life
	t.Run("never", func(t *testing.T) { sound = s.batch(t, quiet(map[part]habit{}))[0] })
	most := 0
	for _, at := range []part{deploying, updating, stopping} {
		t.Logf("%s reports %d lines", at, sound.lines[at])
		most = max(most, sound.lines[at])
	}
	for first := 1; first < most; first += batchRuns {
		var habits []map[part]habit
		for step := first; step < min(first+batchRuns, most); step++ {
			h := habit{name: impatient, steps: []int{step}}
			habits = append(habits, map[part]habit{deploying: h, updating: h, stopping: h})
		}
		t.Run(fmt.Sprintf("from line %d on", first), func(t *testing.T) { s.batch(t, quiet(habits...)) })
	}
}
