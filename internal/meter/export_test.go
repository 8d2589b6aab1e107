// SPDX-License-Identifier: Apache-2.0

package meter

import "time"

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
