// SPDX-License-Identifier: Apache-2.0

package meter

import (
	"time"

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

// Settle is settle.
func (r Reports) Settle(known []v1alpha1.Counted) bool { return r.settle(known) }
