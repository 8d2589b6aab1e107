// SPDX-License-Identifier: Apache-2.0

package meter

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/apocryph/apocryph/api/v1alpha1"
)

// Pulse lets stories be told with heartbeats as the meter hears them.
type Pulse = pulse

// Hear is hear.
func (p *pulse) Hear(beats, ready map[string]time.Time, now, clock time.Time) {
	p.hear(beats, ready, now, clock)
}

// Latest is latest.
func (p *pulse) Latest(now time.Time) (Heard, bool) { return p.latest(now) }

// Moved is moved.
var Moved = moved

// Follows is follows.
var Follows = follows

// Book is book.
type Book = book

// NewBook is newBook.
var NewBook = newBook

// Hear is what a watch tells.
func (b *book) Hear(e watch.Event) {
	if _, ok := e.Object.(*corev1.Pod); ok {
		b.pods.hear(e)
	} else {
		b.claims.hear(e)
	}
}

// Listed is what follows from lists at some resource versions.
func (b *book) Listed(pods, claims string) {
	b.pods.list(pods)
	b.claims.list(claims)
}

// News is news.
func (b *book) News() Observed { return b.news() }

// Again is again.
func (b *book) Again(o Observed, s v1alpha1.UsageStatus, release []types.UID) { b.again(o, s, release) }

// Settle is settle.
func (r Reports) Settle(known []v1alpha1.Counted) bool { return r.settle(known) }
