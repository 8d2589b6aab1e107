// SPDX-License-Identifier: Apache-2.0

package channeltest

import (
	"fmt"
	"math/big"

	"github.com/ethereum/go-ethereum/common"

	"github.com/apocryph/apocryph/internal/channel"
	"github.com/apocryph/apocryph/internal/eip712"
)

// Flaw is what is wrong with a signature's bytes, whoever made it.
type Flaw uint8

const (
	// None is 65 bytes, a low s, v 27 or 28.
	None Flaw = iota
	// HighS is the other signature that the same key and digest have.
	HighS
	// Compact is 64 bytes, as in ERC-2098.
	Compact
	// Truncated is without its last byte's worth of s.
	Truncated
	// Long has a byte more.
	Long
	// Empty is no bytes at all.
	Empty
	// LowV has a v of 0 or 1.
	LowV
	// Flipped has one bit of r changed.
	Flipped
	// Flaws is how many there are.
	Flaws
)

func (f Flaw) String() string {
	return [...]string{"", "with a high s", "as 64 bytes", "truncated", "with a byte more", "as no bytes", "with v below 27", "with a bit flipped"}[f]
}

// Kind is what is signed.
type Kind string

// What is signed in the contract's domain.
const (
	Voucher Kind = "voucher"
	Release Kind = "release"
	Opening Kind = "opening"
)

// Message is what is signed: a total on a channel, or consent to open it with an amount until a deadline.
type Message struct {
	Kind    Kind
	Channel channel.ID
	// Amount is in decimal, so that messages can be compared.
	Amount   string
	Deadline string
	Domain   eip712.Domain
}

// Signature says who signed what.
type Signature struct {
	By   common.Address
	Over Message
	Flaw Flaw
}

func (s Signature) String() string {
	until := ""
	if s.Over.Kind == Opening {
		until = " until " + s.Over.Deadline
	}
	return fmt.Sprintf("[%s signed %s of %s on %s%s at %d/%s %s]", s.By, s.Over.Kind, s.Over.Amount, s.Over.Channel, until,
		s.Over.Domain.ChainID, s.Over.Domain.Contract, s.Flaw)
}

// String tells a permit.
func (p Permit) String() string {
	if p.Deadline == 0 {
		return "no permit"
	}
	return fmt.Sprintf("[permit %d by %s: %s lets %s take %s until %d %s]", p.Nonce, p.By, p.Owner, p.Spender, p.Value, p.Deadline, p.Flaw)
}

// signed reports whether a signature counts for an account: its own key's, or what its code accepts.
func (m *Model) signed(account common.Address, s Signature, kind Kind, id channel.ID, amount, deadline *big.Int) bool {
	want := Message{Kind: kind, Channel: id, Amount: amount.String(), Domain: m.Domain}
	if deadline != nil {
		want.Deadline = deadline.String()
	}
	w, isWallet := m.Wallets[account]
	return s.Flaw == None && s.Over == want && (s.By == account || isWallet && !w.Locked && s.By == w.Owner)
}
