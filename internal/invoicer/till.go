// SPDX-License-Identifier: Apache-2.0

package invoicer

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/apocryph/apocryph/internal/span"
)

// till holds claims until they are sent together. It has at most one for each channel, by its key, the newest, and none for a channel whose claim
// is on its way. It is safe for concurrent use.
type till struct {
	mu      sync.Mutex
	due     map[string]Claim
	joining map[string]Claim
	sending map[string]bool
}

func newTill() *till {
	return &till{due: map[string]Claim{}, joining: map[string]Claim{}, sending: map[string]bool{}}
}

// put adds a claim. One that is not due goes along when another is.
func (t *till) put(key string, c Claim, due bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.sending[key] {
		return
	}
	delete(t.due, key)
	delete(t.joining, key)
	if due {
		t.due[key] = c
	} else {
		t.joining[key] = c
	}
}

// forget drops what was not sent yet.
func (t *till) forget(key string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.due, key)
	delete(t.joining, key)
}

// forgetAll drops what was not sent yet of an app's channels.
func (t *till) forgetAll(app string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, from := range []map[string]Claim{t.due, t.joining} {
		maps.DeleteFunc(from, func(key string, _ Claim) bool { return strings.HasPrefix(key, app+"/") })
	}
}

// take returns what to send together, those that are due first; nothing while none is. They are on their way until sent is called.
func (t *till) take(most int) (keys []string, claims []Claim) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.due) == 0 {
		return nil, nil
	}
	for _, from := range []map[string]Claim{t.due, t.joining} {
		for _, key := range slices.Sorted(maps.Keys(from)) {
			if len(keys) == most {
				return keys, claims
			}
			keys, claims = append(keys, key), append(claims, from[key])
			delete(from, key)
			t.sending[key] = true
		}
	}
	return keys, claims
}

func (t *till) sent(keys []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, key := range keys {
		delete(t.sending, key)
	}
}

// collectBatches empties the till now and then until ctx ends.
func (i *Invoicer) collectBatches(ctx context.Context) error {
	for span.Wait(ctx, i.cfg.BatchEvery) == nil {
		i.flush(ctx)
	}
	return nil
}

// flush sends all that is due. What was sent counts as claimed even where the contract skipped it, so that a claim that is no good costs
// gas once in ClaimEvery; what is not known to have been sent is put in again at the next look. A batch may be several transactions, and
// one that fails says nothing about the others.
func (i *Invoicer) flush(ctx context.Context) {
	for ctx.Err() == nil {
		keys, claims := i.till.take(i.cfg.BatchMost)
		if len(keys) == 0 {
			return
		}
		spent, err := i.chain.Claim(ctx, claims)
		i.booked("claim", spent, claims, err)
		if err != nil {
			i.log.Warn("claims failed", "claims", len(claims), "sent", len(spent.Paid), "error", err)
		} else {
			i.log.Info("claims took effect", "claims", len(claims), "gas", spent.Gas)
		}
		for n, key := range keys {
			if _, sent := spent.Paid[claims[n].Terms.ID(i.cfg.Domain)]; sent || err == nil {
				i.noteClaim(key, i.now())
			}
		}
		i.till.sent(keys)
	}
}

// booked counts what transactions cost and brought.
func (i *Invoicer) booked(kind string, spent Spent, claims []Claim, err error) {
	if err != nil {
		i.count.failed.WithLabelValues(kind).Inc()
	}
	i.count.sent.WithLabelValues(kind).Add(float64(spent.Transactions))
	i.count.gas.WithLabelValues(kind).Add(float64(spent.Gas))
	if spent.Wei != nil {
		wei, _ := spent.Wei.Float64()
		i.count.wei.WithLabelValues(kind).Add(wei)
	}
	for _, c := range claims {
		if paid, ok := spent.Paid[c.Terms.ID(i.cfg.Domain)]; ok {
			i.count.collected.WithLabelValues(c.Terms.Token.Hex()).Add(approximate(paid))
		}
	}
}
