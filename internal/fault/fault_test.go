// SPDX-License-Identifier: Apache-2.0

package fault_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/apocryph/apocryph/internal/fault"
	providerv1 "github.com/apocryph/apocryph/internal/gen/providerv1"
)

func TestHintAndReasonSurviveWrapping(t *testing.T) {
	cause := errors.New("channel is empty")
	err := fault.As(fault.Hint(cause, "inner"), providerv1.Reason_REASON_DEPOSIT_TOO_SMALL)
	err = fmt.Errorf("deploying: %w", err)
	if got := fault.HintOf(err); got != "inner" {
		t.Errorf("HintOf = %q, want inner", got)
	}
	if got := fault.HintOf(fault.Hint(err, "outer")); got != "outer" {
		t.Errorf("HintOf = %q, want outer", got)
	}
	if got := fault.ReasonOf(err); got != providerv1.Reason_REASON_DEPOSIT_TOO_SMALL {
		t.Errorf("ReasonOf = %s", got)
	}
	if !errors.Is(err, cause) || err.Error() != "deploying: channel is empty" {
		t.Errorf("the chain is broken: %v", err)
	}
	if fault.Hint(nil, "x") != nil || fault.As(nil, providerv1.Reason_REASON_INTERNAL) != nil {
		t.Error("nil became an error")
	}
	if fault.HintOf(cause) != "" || fault.ReasonOf(nil) != providerv1.Reason_REASON_UNSPECIFIED {
		t.Error("something came from nothing")
	}
}
