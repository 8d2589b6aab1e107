// SPDX-License-Identifier: Apache-2.0

package evm

import "github.com/apocryph/apocryph/internal/channel"

// Cautious is a channel for somebody who gives something for it that can be refused later: what is confirmed of its deposit, less what
// the newest block has claimed, and the worse of both lives. So bad news counts at once and good news when it is confirmed.
func (v View) Cautious() Snapshot {
	s := v.Confirmed
	if v.Latest.Claimed.Cmp(s.Claimed) > 0 {
		s.Claimed = v.Latest.Claimed
	}
	if v.Latest.NoticeEnd > s.NoticeEnd {
		s.NoticeEnd = v.Latest.NoticeEnd
	}
	if v.Latest.Status() == channel.None {
		s.SpentUntil = 0 // its opening was taken back
	}
	if v.Latest.Block.Time.After(s.Block.Time) {
		s.Block.Time = v.Latest.Block.Time
	}
	return s
}
