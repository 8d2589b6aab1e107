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

	"github.com/apocryph/apocryph/internal/gen/channels"
	"github.com/apocryph/apocryph/internal/gen/token"
)

// JSON-RPC has hardly any codes, so the texts below are matched where the answer matters. They are geth's, which the other nodes follow;
// an unknown one counts as a node's own trouble, which is the careful side: another node is asked, and a transaction may have been taken.

// executions are what a call itself ended with, without a reason.
func executions() []string {
	return []string{
		"execution reverted", "out of gas", "invalid opcode", "invalid jump destination", "stack underflow", "gas required exceeds allowance",
	}
}

// noGasMoney is what a node says whose account can't pay.
const noGasMoney = "insufficient funds"

// known are what a node says that has the transaction already.
func known() []string { return []string{"already known", "already imported", "known transaction"} }

// tooCheap is what a node says that has another transaction with the nonce.
const tooCheap = "replacement transaction underpriced"

// refusals are what else a node says that did not take a transaction.
func refusals() []string {
	return []string{
		"underpriced", "gas price below minimum", "intrinsic gas too low", "exceeds block gas limit", "max priority fee per gas higher than",
		"exceeds the configured cap", "max fee per gas less than block base fee", "oversized data", "invalid sender", "already reserved",
		"account limit exceeded", "transaction type not supported",
	}
}

func says(err error, texts ...string) bool {
	text := strings.ToLower(err.Error())
	for _, s := range texts {
		if strings.Contains(text, strings.ToLower(s)) {
			return true
		}
	}
	return false
}

// decode turns what a request failed with into the errors of this package; what it wraps stays in the chain. What is not about our
// call becomes ErrUnavailable: then another endpoint may do better.
func decode(err error) error {
	var data rpc.DataError
	var answer rpc.Error
	switch {
	case err == nil, errors.Is(err, ethereum.NotFound), errors.Is(err, context.Canceled), errors.Is(err, ErrUnavailable),
		errors.Is(err, ErrWrongChain), errors.Is(err, ErrNoContract):
		return err
	case errors.As(err, &data) && data.ErrorData() != nil:
		return reverted(data)
	case errors.As(err, &answer) && says(err, executions()...):
		return fmt.Errorf("%w: %w", ErrReverted, err)
	case errors.As(err, &answer) && says(err, noGasMoney):
		return fmt.Errorf("%w: %w", ErrInsufficientGas, err)
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}

// complaint reports whether a node answered, and about itself or the size of the question.
func complaint(err error) bool {
	var answer rpc.Error
	return errors.Is(err, ErrUnavailable) && errors.As(err, &answer)
}

// reverted names the reason of a call that the contract refused.
func reverted(err rpc.DataError) error {
	text, ok := err.ErrorData().(string)
	raw, hexErr := hex.DecodeString(strings.TrimPrefix(text, "0x"))
	switch {
	case !ok || hexErr != nil || (len(raw) == 0 && !says(err, executions()...)):
		return fmt.Errorf("%w: %w", ErrUnavailable, err) // a node's own complaint, with details
	case len(raw) < 4:
		return fmt.Errorf("%w: %w", ErrReverted, err)
	}
	if reason, unpackErr := abi.UnpackRevert(raw); unpackErr == nil {
		return fmt.Errorf("%.200q: %w", reason, ErrReverted) // quoted: it is the contract's text, or a lying node's
	}
	for _, meta := range []interface{ GetABI() abi.ABI }{channels.NewChannels(), token.NewTestToken()} {
		contract := meta.GetABI()
		if e, lookErr := contract.ErrorByID([4]byte(raw[:4])); lookErr == nil {
			return refusal(e.Name)
		}
	}
	return fmt.Errorf("%w: %w", ErrReverted, err)
}
