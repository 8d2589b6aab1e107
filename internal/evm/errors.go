// SPDX-License-Identifier: Apache-2.0

package evm

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/ethereum/go-ethereum"
	"github.com/ethereum/go-ethereum/accounts/abi"
	"github.com/ethereum/go-ethereum/rpc"
)

// Conditions of the chain and of a wallet.
var (
	// ErrUnavailable says that the endpoint did not answer in time or at all. It says nothing about any channel.
	ErrUnavailable = errors.New("the chain does not answer")
	// ErrWrongChain says that the endpoint is of another chain than was configured.
	ErrWrongChain = errors.New("wrong chain")
	// ErrNoContract says that there is no such contract at the address.
	ErrNoContract = errors.New("no such contract")
	// ErrInsufficientFunds says that the account has too little of the token.
	ErrInsufficientFunds = errors.New("insufficient funds")
	// ErrInsufficientGas says that the account has too little of the chain's own coin to pay for the transaction.
	ErrInsufficientGas = errors.New("not enough of the chain's coin to pay for gas")
	// ErrNotMined says that a transaction was sent and not seen mined in time. It may still be mined.
	ErrNotMined = errors.New("the transaction was not mined in time")
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

// decode turns what a request failed with into the errors of this package; what it wraps stays in the chain.
func (c *Client) decode(err error) error {
	var data rpc.DataError
	var answer rpc.Error
	switch {
	case err == nil, errors.Is(err, ethereum.NotFound), errors.Is(err, context.Canceled):
		return err
	case errors.As(err, &data) && data.ErrorData() != nil:
		return c.revert(data)
	case errors.As(err, &answer):
		return err // the node's own complaint
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}

// revert names the reason of a call that the contract refused.
func (c *Client) revert(err rpc.DataError) error {
	text, ok := err.ErrorData().(string)
	raw, hexErr := hex.DecodeString(strings.TrimPrefix(text, "0x"))
	if !ok || hexErr != nil || len(raw) < 4 {
		return fmt.Errorf("%w: %w", ErrReverted, err)
	}
	if reason, unpackErr := abi.UnpackRevert(raw); unpackErr == nil {
		return fmt.Errorf("%s: %w", reason, ErrReverted)
	}
	for _, contract := range []abi.ABI{c.channels.GetABI(), c.erc20.GetABI()} {
		if e, lookErr := contract.ErrorByID([4]byte(raw[:4])); lookErr == nil {
			return refusal(e.Name)
		}
	}
	return fmt.Errorf("%w: %w", ErrReverted, err)
}
