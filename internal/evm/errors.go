// SPDX-License-Identifier: Apache-2.0

package evm

import (
	"errors"
	"fmt"
)

// Conditions of the chain and of a wallet.
var (
	// ErrUnavailable says that no endpoint answered in time or at all. It says nothing about any channel.
	ErrUnavailable = errors.New("the chain does not answer")
	// ErrStale says that every endpoint that answers is behind what was seen before. It is an ErrUnavailable.
	ErrStale = fmt.Errorf("every endpoint is behind: %w", ErrUnavailable)
	// ErrNoQuorum says that too few endpoints answer for something that can't be taken back. It is an ErrUnavailable: nothing was sent,
	// nothing is known, and plain reads go on.
	ErrNoQuorum = fmt.Errorf("too few endpoints to be sure: %w", ErrUnavailable)
	// ErrDisagree says that endpoints tell different things about the same block or account. It says nothing about any channel.
	ErrDisagree = errors.New("the endpoints disagree")
	// ErrWrongChain says that an endpoint is of another chain than was configured, or than the others.
	ErrWrongChain = errors.New("wrong chain")
	// ErrNoContract says that there is no such contract at the address.
	ErrNoContract = errors.New("no such contract")
	// ErrInsufficientFunds says that the account has too little of the token.
	ErrInsufficientFunds = errors.New("insufficient funds")
	// ErrInsufficientGas says that the account has too little of the chain's own coin to pay for the transaction.
	ErrInsufficientGas = errors.New("not enough of the chain's coin to pay for gas")
	// ErrNotMined says that a transaction was sent and not seen mined in time. It may still be mined: the same call again goes on waiting.
	ErrNotMined = errors.New("the transaction was not mined in time")
	// ErrReplaced says that another transaction of the account took this one's place, for ever. It had no effect.
	ErrReplaced = errors.New("another transaction of the account took its place")
	// ErrRefused says that no endpoint took the transaction. It had no effect.
	ErrRefused = errors.New("the endpoints refuse the transaction")
	// ErrFeeTooHigh says that the chain asks for more per gas than is allowed. Nothing was sent.
	ErrFeeTooHigh = errors.New("gas costs more than is allowed")
	// ErrBusy says that another process is sending with this wallet.
	ErrBusy = errors.New("the wallet is in use")
	// ErrJournal says that a journal can't be read, or is of another account or chain.
	ErrJournal = errors.New("not a journal of this wallet")
	// ErrReverted says that a transaction was mined and had no effect, or would have none, for a reason without a sentinel.
	ErrReverted = errors.New("the contract refused")
)

// Refusals of the Channels contract.
var (
	// ErrNotPublisher says that only the channel's publisher may do this.
	ErrNotPublisher = errors.New("not the channel's publisher")
	// ErrNotPayout says that only the channel's payout address may do this.
	ErrNotPayout = errors.New("not the channel's payout address")
	// ErrBadSignature says that the contract did not accept the signature.
	ErrBadSignature = errors.New("bad signature")
	// ErrExpired says that the deadline of a signature has passed.
	ErrExpired = errors.New("the signature has expired")
	// ErrNotOpened says that no channel with these terms was ever opened.
	ErrNotOpened = errors.New("the channel was never opened")
	// ErrAlreadyOpened says that a channel with these terms was opened before.
	ErrAlreadyOpened = errors.New("the channel was opened before")
	// ErrClosed says that the channel is closed, for ever.
	ErrClosed = errors.New("the channel is closed")
	// ErrAlreadyNoticed says that notice was given before.
	ErrAlreadyNoticed = errors.New("notice was given before")
	// ErrNoticeNotEnded says that notice was not given, or has not ended.
	ErrNoticeNotEnded = errors.New("the notice has not ended")
	// ErrNoticeEnded says that the notice has ended, so only withdrawing is left.
	ErrNoticeEnded = errors.New("the notice has ended")
	// ErrAmount says that an amount is zero or too large.
	ErrAmount = errors.New("the amount is zero or too large")
	// ErrNothingToClaim says that the voucher pays nothing now. It stays good.
	ErrNothingToClaim = errors.New("nothing to claim")
	// ErrNoCredit says that there is no credit to withdraw.
	ErrNoCredit = errors.New("no credit")
	// ErrTerms says that the contract opens no channel on such terms.
	ErrTerms = errors.New("bad channel terms")
)

// refusal maps a custom error of the contracts, by name, to its sentinel.
func refusal(name string) error {
	switch name {
	case "NotPublisher":
		return ErrNotPublisher
	case "NotPayout":
		return ErrNotPayout
	case "BadSignature":
		return ErrBadSignature
	case "Expired":
		return ErrExpired
	case "NotOpened":
		return ErrNotOpened
	case "AlreadyOpened":
		return ErrAlreadyOpened
	case "AlreadyClosed":
		return ErrClosed
	case "AlreadyNoticed":
		return ErrAlreadyNoticed
	case "NoticeNotEnded":
		return ErrNoticeNotEnded
	case "NoticeEnded":
		return ErrNoticeEnded
	case "ZeroAmount", "AmountTooLarge":
		return ErrAmount
	case "NothingToClaim":
		return ErrNothingToClaim
	case "NoCredit":
		return ErrNoCredit
	case "ZeroAddress", "ZeroRate", "NoticeOutOfBounds", "BadShares":
		return ErrTerms
	case "ERC20InsufficientBalance", "ERC20InsufficientAllowance":
		return ErrInsufficientFunds
	}
	return fmt.Errorf("%s: %w", name, ErrReverted)
}
