// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"

	"connectrpc.com/connect"

	"github.com/apocryph/apocryph/internal/channel"
	"github.com/apocryph/apocryph/internal/delegation"
	"github.com/apocryph/apocryph/internal/fault"
	providerv1 "github.com/apocryph/apocryph/internal/gen/providerv1"
	"github.com/apocryph/apocryph/internal/manifest"
	"github.com/apocryph/apocryph/internal/quote"
)

// refuse is an error that may leave with its text.
func refuse(reason fault.Reason, format string, args ...any) error {
	return fault.As(fmt.Errorf(format, args...), reason)
}

// reasonOf finds why an error refuses a call: the reason put on it, or that of the domain's sentinel in it. REASON_INTERNAL is for
// everything else.
func reasonOf(err error) fault.Reason {
	if r := fault.ReasonOf(err); r != providerv1.Reason_REASON_UNSPECIFIED {
		return r
	}
	for _, m := range []struct {
		err    error
		reason fault.Reason
	}{
		{delegation.ErrStatement, providerv1.Reason_REASON_STATEMENT_INVALID},
		{delegation.ErrExpired, providerv1.Reason_REASON_DELEGATION_EXPIRED},
		{delegation.ErrForeign, providerv1.Reason_REASON_DELEGATION_FOREIGN},
		{delegation.ErrOperation, providerv1.Reason_REASON_OPERATION_NOT_DELEGATED},
		{delegation.ErrInvalid, providerv1.Reason_REASON_DELEGATION_INVALID},
		{manifest.ErrInvalid, providerv1.Reason_REASON_MANIFEST_INVALID},
		{quote.ErrExpired, providerv1.Reason_REASON_QUOTE_EXPIRED},
		{quote.ErrInvalid, providerv1.Reason_REASON_QUOTE_INVALID},
		{quote.ErrTerms, providerv1.Reason_REASON_CHANNEL_TERMS},
		{channel.ErrTerms, providerv1.Reason_REASON_CHANNEL_TERMS},
	} {
		if errors.Is(err, m.err) {
			return m.reason
		}
	}
	return providerv1.Reason_REASON_INTERNAL
}

// codeOf is the one Connect code of each reason.
func codeOf(r fault.Reason) connect.Code {
	switch r {
	case providerv1.Reason_REASON_DELEGATION_MISSING, providerv1.Reason_REASON_DELEGATION_INVALID, providerv1.Reason_REASON_DELEGATION_EXPIRED:
		return connect.CodeUnauthenticated
	case providerv1.Reason_REASON_DELEGATION_FOREIGN, providerv1.Reason_REASON_OPERATION_NOT_DELEGATED,
		providerv1.Reason_REASON_APP_FOREIGN, providerv1.Reason_REASON_CHANNEL_FOREIGN:
		return connect.CodePermissionDenied
	case providerv1.Reason_REASON_APP_NOT_FOUND, providerv1.Reason_REASON_VOLUME_NOT_FOUND:
		return connect.CodeNotFound
	case providerv1.Reason_REASON_HOST_TAKEN:
		return connect.CodeAlreadyExists
	case providerv1.Reason_REASON_APP_ENDED, providerv1.Reason_REASON_STATEMENT_STALE, providerv1.Reason_REASON_RESOURCES_IMPOSSIBLE,
		providerv1.Reason_REASON_QUOTE_EXPIRED, providerv1.Reason_REASON_CHANNEL_NOT_FOUND, providerv1.Reason_REASON_CHANNEL_CLOSED,
		providerv1.Reason_REASON_CHANNEL_NOTICE, providerv1.Reason_REASON_DEPOSIT_TOO_SMALL, providerv1.Reason_REASON_CAP_EXCEEDED,
		providerv1.Reason_REASON_IMAGE_MISSING, providerv1.Reason_REASON_VOLUME_UNAVAILABLE, providerv1.Reason_REASON_VOLUME_FULL:
		return connect.CodeFailedPrecondition
	case providerv1.Reason_REASON_STATEMENT_INVALID, providerv1.Reason_REASON_MANIFEST_INVALID, providerv1.Reason_REASON_MANIFEST_TOO_LARGE,
		providerv1.Reason_REASON_HOST_INVALID, providerv1.Reason_REASON_QUOTE_INVALID, providerv1.Reason_REASON_CHANNEL_TERMS,
		providerv1.Reason_REASON_IMAGE_INVALID, providerv1.Reason_REASON_BAD_REQUEST,
		providerv1.Reason_REASON_ARCHIVE_INVALID:
		return connect.CodeInvalidArgument
	case providerv1.Reason_REASON_CHAIN_UNSEEN, providerv1.Reason_REASON_PROVIDER_UNFIT:
		return connect.CodeUnavailable
	case providerv1.Reason_REASON_TRANSFER_BROKEN:
		return connect.CodeAborted
	case providerv1.Reason_REASON_TOO_MANY_REQUESTS:
		return connect.CodeResourceExhausted
	default: // REASON_INTERNAL, and REASON_UNSPECIFIED, which never leaves
		return connect.CodeInternal
	}
}

// httpOf is the HTTP status of each Connect code, for image pushes.
func httpOf(c connect.Code) int {
	switch c {
	case connect.CodeUnauthenticated, connect.CodePermissionDenied:
		// Never 401: registry clients answer that by asking for credentials.
		return http.StatusForbidden
	case connect.CodeNotFound:
		return http.StatusNotFound
	case connect.CodeInvalidArgument, connect.CodeFailedPrecondition, connect.CodeAlreadyExists:
		return http.StatusBadRequest
	case connect.CodeResourceExhausted:
		return http.StatusTooManyRequests
	case connect.CodeUnavailable:
		return http.StatusServiceUnavailable
	default:
		return http.StatusInternalServerError
	}
}

// outgoing is what leaves of an error: text, reason and hint of a refusal, and of anything else only the id under which the log has it.
type outgoing struct {
	code connect.Code
	text string
	info *providerv1.ErrorInfo
}

// outgoing maps an error and logs what the caller must not see.
func (g *Gateway) outgoing(ctx context.Context, method string, err error) outgoing {
	reason := reasonOf(err)
	if reason != providerv1.Reason_REASON_INTERNAL {
		return outgoing{codeOf(reason), err.Error(), &providerv1.ErrorInfo{Reason: reason, Hint: fault.HintOf(err)}}
	}
	id := rand.Text()
	g.parts.Log.ErrorContext(ctx, "request failed", "method", method, "request_id", id, "error", err)
	return outgoing{connect.CodeInternal, "the provider failed inside, request " + id, &providerv1.ErrorInfo{
		Reason: reason, RequestId: id, Hint: "try again, and tell the provider this request's id if it stays so",
	}}
}

// toConnect maps an error of a call. A caller who has gone gets what they can't read anyway; Connect's own errors stay what they are.
func (g *Gateway) toConnect(ctx context.Context, method string, err error) error {
	if err == nil {
		g.count.call(method, providerv1.Reason_REASON_UNSPECIFIED)
		return nil
	}
	if ce := new(connect.Error); errors.As(err, &ce) {
		return ce
	}
	if ctx.Err() != nil {
		return connect.NewError(connect.CodeCanceled, ctx.Err())
	}
	o := g.outgoing(ctx, method, err)
	g.count.call(method, o.info.Reason)
	ce := connect.NewError(o.code, errors.New(o.text))
	if d, err := connect.NewErrorDetail(o.info); err == nil {
		ce.AddDetail(d)
	}
	return ce
}
