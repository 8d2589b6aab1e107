// SPDX-License-Identifier: Apache-2.0

package evm

import (
	"bytes"
	"fmt"
	"math/big"
	"time"

	"github.com/ethereum/go-ethereum/accounts/abi"
	"github.com/ethereum/go-ethereum/common"

	"github.com/apocryph/apocryph/internal/channel"
	"github.com/apocryph/apocryph/internal/eip712"
	"github.com/apocryph/apocryph/internal/gen/channels"
	"github.com/apocryph/apocryph/internal/gen/token"
	"github.com/apocryph/apocryph/internal/span"
	"github.com/apocryph/apocryph/internal/tariff"
)

// Described is what a transaction does, read from its bytes alone: no chain is asked, and nothing that came with it is believed.
type Described struct {
	// Does is for people, as in "gives notice on channel 0x… of publisher 0x…".
	Does string
	// Known says that the call is one of the contract's, or an approval, and carries no coins. Only then Does tells all of it.
	Known bool
	// Contract is the Channels contract that it is about: the one called, or the one approved to take tokens.
	Contract common.Address
}

// Describe says in words what a transaction does.
func Describe(u Unsigned) Described {
	unknown := Described{Does: fmt.Sprintf("calls %s with %d bytes of data that this program can't read", u.To, len(u.Data))}
	if u.Value != nil && u.Value.Sign() != 0 {
		unknown.Does += fmt.Sprintf(", and sends it %s wei", u.Value)
		return unknown
	}
	if text, spender, ok := describeApproval(u); ok {
		return Described{Does: text, Known: true, Contract: spender}
	}
	if text, ok := describeCall(u); ok {
		return Described{Does: text, Known: true, Contract: u.To}
	}
	return unknown
}

func describeApproval(u Unsigned) (text string, spender common.Address, ok bool) {
	args, name, ok := arguments(token.NewTestToken().GetABI(), u.Data)
	if !ok || name != "approve" || len(args) != 2 {
		return "", common.Address{}, false
	}
	spender, isAddress := args[0].(common.Address)
	amount, isNumber := args[1].(*big.Int)
	if !isAddress || !isNumber {
		return "", common.Address{}, false
	}
	return fmt.Sprintf("lets contract %s take %s base units of token %s from this wallet", spender, amount, u.To), spender, true
}

func describeCall(u Unsigned) (string, bool) {
	args, name, ok := arguments(channels.NewChannels().GetABI(), u.Data)
	if !ok || len(args) == 0 {
		return "", false
	}
	if name == "withdrawCredit" {
		return fmt.Sprintf("withdraws this wallet's credit in token %s to %s", args[0], args[1]), true
	}
	t, ok := termsOf(args[0])
	if !ok {
		return "", false
	}
	id := t.ID(eip712.Domain{ChainID: u.ChainID, Contract: u.To})
	which := fmt.Sprintf("channel %s of publisher %s", id, t.Publisher)
	switch name {
	case "open":
		return fmt.Sprintf("opens %s, which pays %s, with %s base units of token %s", which, t.Payout, args[1], t.Token), true
	case "deposit":
		return fmt.Sprintf("adds %s base units of token %s to %s", args[1], t.Token, which), true
	case "notice":
		return fmt.Sprintf("gives notice on %s: it runs for %s and can't be taken back", which, span.Words(time.Duration(t.Notice)*time.Second)), true
	case "withdraw":
		return fmt.Sprintf("closes %s and takes back what is left", which), true
	case "close":
		return fmt.Sprintf("closes %s at what was claimed", which), true
	case "release":
		return fmt.Sprintf("closes %s at the final total of %s base units of token %s, which go to %s and further payees; the rest goes back", which, args[1], t.Token, t.Payout), true
	}
	return "", false
}

// arguments decodes calldata by a contract's ABI. It takes only the one encoding that the contract's own tools write, so that nothing is hidden
// in what a decoder skips.
func arguments(a abi.ABI, data []byte) (args []any, name string, ok bool) {
	if len(data) < 4 {
		return nil, "", false
	}
	method, err := a.MethodById(data[:4])
	if err != nil {
		return nil, "", false
	}
	args, err = method.Inputs.Unpack(data[4:])
	if err != nil {
		return nil, "", false
	}
	again, err := method.Inputs.Pack(args...)
	return args, method.Name, err == nil && bytes.Equal(again, data[4:])
}

// termsOf reads the terms that a call carries.
func termsOf(argument any) (channel.Terms, bool) {
	// What the ABI package makes is a struct of the same fields without a name.
	var w channels.Terms
	if err := convert(argument, &w); err != nil {
		return channel.Terms{}, false
	}
	t := channel.Terms{
		Publisher: w.Agreement.Publisher, App: w.Agreement.App, Tariff: w.Agreement.Tariff, Quote: w.Agreement.Quote, Salt: w.Agreement.Salt,
		Payout: w.Payment.Payout, Signer: w.Payment.Signer, Token: w.Payment.Token, Window: w.Window.Uint64(), Notice: w.Agreement.Notice.Uint64(),
	}
	var err error
	if t.Cap, err = tariff.NewAmount(w.Cap); err != nil {
		return channel.Terms{}, false
	}
	for _, p := range w.Payment.Payees {
		t.Payees = append(t.Payees, channel.Payee{Account: p.Account, Share: p.Share})
	}
	return t, t.Validate() == nil
}

// convert is abi.ConvertType as an error.
func convert(from any, to *channels.Terms) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("not terms: %v", r)
		}
	}()
	out, ok := abi.ConvertType(from, to).(*channels.Terms)
	if !ok {
		return fmt.Errorf("not terms: %T", from)
	}
	*to = *out
	return nil
}
