// SPDX-License-Identifier: Apache-2.0

package evm

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum/ethclient"

	"github.com/apocryph/apocryph/internal/fault"
)

// pool is the endpoints of one chain.
//
// A plain read is the word of one endpoint: the first in the order of configuration that neither failed lately nor is behind, and the next
// one if it does not answer. What can't be taken back is the word of more than half of them, so a single liar among two or more decides
// nothing; with one endpoint there is nobody else to ask.
type pool struct {
	nodes []*node
	cfg   *Config

	mu sync.Mutex
	// acted is the newest block that something was read from or happened in. The chain does not go back behind it by more than MaxLag.
	acted    uint64
	surveyed time.Time
}

// surveyEvery is for how long the endpoints' heads are taken for known.
const surveyEvery = time.Second

// quorum is how many endpoints have to agree.
func (p *pool) quorum() int { return len(p.nodes)/2 + 1 }

// seen is the newest block that any endpoint that works told of, or that was acted on.
func (p *pool) seen() uint64 {
	p.mu.Lock()
	best := p.acted
	p.mu.Unlock()
	for _, n := range p.nodes {
		if head, failures, _, refused := n.state(); failures == 0 && refused == nil {
			best = max(best, head)
		}
	}
	return best
}

func (p *pool) act(block uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.acted = max(p.acted, block)
}

// order is the nodes by how much good is known of them.
func (p *pool) order() []*node {
	now, seen := p.cfg.Now(), p.seen()
	rank := func(n *node) int {
		head, _, rest, refused := n.state()
		switch {
		case refused != nil:
			return 3
		case now.Before(rest):
			return 2
		case head != 0 && head+p.cfg.MaxLag < seen:
			return 1
		}
		return 0
	}
	out := slices.Clone(p.nodes)
	slices.SortStableFunc(out, func(a, b *node) int { return cmp.Compare(rank(a), rank(b)) })
	return out
}

// survey asks the others how far they are, so that one that is behind is known for it. One endpoint has nothing to be compared with.
func (p *pool) survey(ctx context.Context) {
	now := p.cfg.Now()
	p.mu.Lock()
	due := len(p.nodes) > 1 && (now.Sub(p.surveyed) >= surveyEvery || now.Before(p.surveyed))
	if due {
		p.surveyed = now
	}
	p.mu.Unlock()
	if !due {
		return
	}
	gather(ctx, p, func(ctx context.Context, n *node) (header, error) {
		if _, _, rest, _ := n.state(); now.Before(rest) {
			return header{}, ErrUnavailable
		}
		return n.newest(ctx)
	}, nil)
}

// read asks one node after the other until one answers.
func read[T any](ctx context.Context, p *pool, do func(context.Context, *ethclient.Client) (T, error)) (T, error) {
	var zero T
	var errs []error
	for _, n := range p.order() {
		v, err := ask(ctx, n, do)
		if err == nil || answers(err) {
			return v, err
		}
		if ctx.Err() != nil {
			return zero, err
		}
		errs = append(errs, err)
	}
	return zero, p.nobody(errs)
}

// shortly is how often endpoints that are just short of what was acted on are asked again.
const shortly = 3

// fresh is read with the newest block of a node that is not behind. It does not go back before what was read earlier, unless no node
// gets there: then a block may have been taken back.
func fresh[T any](ctx context.Context, p *pool, do func(context.Context, *ethclient.Client, header) (T, error)) (T, error) {
	var zero T
	var errs []error
	p.survey(ctx)
	for round := 0; ; round++ {
		errs = nil
		short := false
		for _, n := range p.order() {
			head, err := n.newest(ctx)
			if err == nil && round < shortly && p.short(uint64(head.Number)) {
				short = true
				continue
			}
			var v T
			if err == nil {
				err = p.stale(n, uint64(head.Number))
			}
			if err == nil {
				v, err = ask(ctx, n, func(ctx context.Context, eth *ethclient.Client) (T, error) { return do(ctx, eth, head) })
			}
			switch {
			case err == nil:
				p.act(uint64(head.Number))
				return v, nil
			case answers(err):
				return v, err
			case ctx.Err() != nil:
				return zero, err
			}
			errs = append(errs, err)
		}
		if !short {
			return zero, p.nobody(errs)
		}
		if err := p.cfg.Wait(ctx, p.cfg.Poll); err != nil {
			return zero, err
		}
	}
}

// short reports whether a head is a little below what was acted on.
func (p *pool) short(head uint64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return head < p.acted && head+p.cfg.MaxLag >= p.acted
}

// stale is ErrStale if a head is too old to be read from.
func (p *pool) stale(n *node, head uint64) error {
	if seen := p.seen(); head+p.cfg.MaxLag < seen {
		return fmt.Errorf("%s is at block %d, %d was seen: %w", n.name, head, seen, ErrStale)
	}
	return nil
}

// nobody is the error when no endpoint was of use.
func (p *pool) nobody(errs []error) error {
	err := errors.Join(errs...)
	if errors.Is(err, ErrStale) {
		return fault.Hint(err, "wait until an endpoint has caught up, or name another one with --rpc")
	}
	return err
}

// said is what one endpoint answered.
type said[T any] struct {
	value T
	err   error
}

// gather asks all endpoints at once, until enough of them answered or all have ended. It has waited for what it started.
func gather[T any](ctx context.Context, p *pool, do func(context.Context, *node) (T, error), enough func([]said[T]) bool) []said[T] {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	answers := make(chan said[T], len(p.nodes))
	for _, n := range p.nodes {
		go func() {
			v, err := do(ctx, n)
			answers <- said[T]{v, err}
		}()
	}
	var out []said[T]
	done := false
	for range p.nodes {
		a := <-answers
		if done {
			continue
		}
		out = append(out, a)
		if enough != nil && enough(out) {
			done = true
			cancel()
		}
	}
	return out
}

// agree returns what more than half of the endpoints say.
func agree[T comparable](ctx context.Context, p *pool, what string, do func(context.Context, *node) (T, error)) (T, error) {
	var agreed T
	found := false
	all := gather(ctx, p, do, func(so []said[T]) bool {
		count := 0
		last := so[len(so)-1]
		for _, s := range so {
			if s.err == nil && last.err == nil && s.value == last.value {
				count++
			}
		}
		if count >= p.quorum() {
			agreed, found = last.value, true
		}
		return found
	})
	if found {
		return agreed, nil
	}
	var zero T
	if err := ctx.Err(); err != nil {
		return zero, err
	}
	return zero, p.split(failures(all), what, distinct(all))
}

func failures[T any](all []said[T]) []error {
	var errs []error
	for _, s := range all {
		if s.err != nil {
			errs = append(errs, s.err)
		}
	}
	return errs
}

func distinct[T comparable](all []said[T]) int {
	values := map[T]bool{}
	for _, s := range all {
		if s.err == nil {
			values[s.value] = true
		}
	}
	return len(values)
}

// split is the error when there is no agreement: different answers, or too few.
func (p *pool) split(errs []error, what string, values int) error {
	if values > 1 {
		return fault.Hint(fmt.Errorf("%s: %w", what, ErrDisagree), "one of the endpoints is behind or wrong: compare them with a third, and name only those you trust with --rpc")
	}
	err := fmt.Errorf("%s: %d of %d endpoints answer, %d have to: %w", what, len(p.nodes)-len(errs), len(p.nodes), p.quorum(), errors.Join(append([]error{ErrNoQuorum}, errs...)...))
	return fault.Hint(err, "nothing was lost; wait until enough endpoints answer, or name others with --rpc")
}

// health is what is known of each endpoint.
func (p *pool) health() []EndpointHealth {
	seen := p.seen()
	var out []EndpointHealth
	for _, n := range p.nodes {
		n.mu.Lock()
		h := EndpointHealth{Name: n.name, Head: n.head, Failures: n.failures, Err: n.last, Refused: n.refused}
		n.mu.Unlock()
		if h.Head < seen {
			h.Behind = seen - h.Head
		}
		out = append(out, h)
	}
	return out
}
