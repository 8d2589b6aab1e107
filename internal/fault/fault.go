// SPDX-License-Identifier: Apache-2.0

// Package fault gives errors what people and programs need beside the text: a hint of what to do next, and a reason code.
//
// An error keeps its sentinel and its chain; hint and reason ride along and are found with HintOf and ReasonOf however often it is
// wrapped. The outermost one wins.
package fault

import (
	"errors"

	providerv1 "github.com/apocryph/apocryph/internal/gen/providerv1"
)

// Reason is the code that goes over the wire; the list is in proto/apocryph/provider/v1.
type Reason = providerv1.Reason

type annotated struct {
	error
	hint   string
	reason Reason
}

func (a *annotated) Unwrap() error { return a.error }

// Hint adds what the reader can do next: lower case, no full stop, often a command. A nil error stays nil.
func Hint(err error, hint string) error {
	if err == nil {
		return nil
	}
	return &annotated{error: err, hint: hint}
}

// As adds the reason code under which err leaves this process. A nil error stays nil.
func As(err error, reason Reason) error {
	if err == nil {
		return nil
	}
	return &annotated{error: err, reason: reason}
}

// HintOf returns the outermost hint, or "".
func HintOf(err error) string {
	for a := new(annotated); errors.As(err, &a); err = a.error {
		if a.hint != "" {
			return a.hint
		}
	}
	return ""
}

// ReasonOf returns the outermost reason, or REASON_UNSPECIFIED.
func ReasonOf(err error) Reason {
	for a := new(annotated); errors.As(err, &a); err = a.error {
		if a.reason != providerv1.Reason_REASON_UNSPECIFIED {
			return a.reason
		}
	}
	return providerv1.Reason_REASON_UNSPECIFIED
}
