// SPDX-License-Identifier: Apache-2.0

// Package channel is the escrow that pays for an app, as plain data: its terms, its id, what its signer signs, and what a claim pays.
//
// It says the same as the Channels contract and docs/protocol/channels.md, and is checked against both by shared vectors. The terms are
// immutable: the id is their hash, for one chain and one contract. The state changes only by the contract, so what this package holds
// of it may be stale; deposited and claimed only grow, and a closed channel stays closed.
package channel

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/apocryph/apocryph/internal/tariff"
)

// ErrID says that a text is no channel id.
var ErrID = errors.New("not a channel id")

// ID names a channel: the EIP-712 digest of its terms.
type ID [32]byte

// ParseID reads the form that String writes.
func ParseID(s string) (ID, error) {
	b, err := hex.DecodeString(strings.TrimPrefix(s, "0x"))
	if err != nil || len(b) != len(ID{}) || !strings.HasPrefix(s, "0x") {
		return ID{}, fmt.Errorf("%.80q: %w", s, ErrID)
	}
	return ID(b), nil
}

// String is 0x and 64 hex digits.
func (id ID) String() string { return "0x" + hex.EncodeToString(id[:]) }

// MarshalText implements encoding.TextMarshaler with String.
func (id ID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler with ParseID.
func (id *ID) UnmarshalText(b []byte) error {
	v, err := ParseID(string(b))
	if err != nil {
		return err
	}
	*id = v
	return nil
}

// closed is the notice end that marks a closed channel.
const closed = 1<<40 - 1

// State is the mutable state of a channel, as the contract holds it.
type State struct {
	// Deposited is all that was ever put in, Claimed all that was ever paid out to provider and payees.
	Deposited, Claimed tariff.Amount
	// SpentUntil is the unix time up to which the cap is used up; 0 if the channel was never opened.
	SpentUntil uint64
	// NoticeEnd is the unix time when the notice ends; 0 before notice, the largest value of 40 bits once closed.
	NoticeEnd uint64
}

// Status is where a channel is in its life.
type Status uint8

// The life of a channel, numbered as in the contract.
const (
	// None: never opened.
	None Status = iota
	// Open: pays claims, takes deposits.
	Open
	// Notice: the same, but the publisher has given notice.
	Notice
	// Ended: the notice is over; nothing can be claimed or deposited, the publisher may withdraw.
	Ended
	// Closed: settled for ever.
	Closed
)

// String is the status in lower case.
func (s Status) String() string {
	names := [...]string{"none", "open", "notice", "ended", "closed"}
	if int(s) >= len(names) {
		return fmt.Sprintf("status %d", uint8(s))
	}
	return names[s]
}

// Status returns where the channel is at a block's time.
func (s State) Status(now time.Time) Status {
	switch {
	case s.SpentUntil == 0:
		return None
	case s.NoticeEnd == 0:
		return Open
	case s.NoticeEnd == closed:
		return Closed
	case uint64(max(now.Unix(), 0)) < s.NoticeEnd:
		return Notice
	}
	return Ended
}

// Remaining is what was deposited and not claimed: the runway while the channel lives, the refund after.
func (s State) Remaining() tariff.Amount {
	rest, err := s.Deposited.Sub(s.Claimed)
	if err != nil {
		return tariff.Amount{} // no state of the contract has claimed above deposited
	}
	return rest
}
