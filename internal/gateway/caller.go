// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"connectrpc.com/connect"
	"github.com/ethereum/go-ethereum/common"
	kerrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/apocryph/apocryph/api/v1alpha1"
	"github.com/apocryph/apocryph/internal/delegation"
	"github.com/apocryph/apocryph/internal/fault"
	orderv1 "github.com/apocryph/apocryph/internal/gen/orderv1"
	providerv1 "github.com/apocryph/apocryph/internal/gen/providerv1"
	"github.com/apocryph/apocryph/internal/gen/providerv1/providerv1connect"
)

// caller is who sent a request, proven by the connection and by a delegation in force.
type caller struct {
	peer       string
	signed     *orderv1.SignedDelegation
	delegation delegation.Delegation
	// salt, if the caller sent one, shows which app id is theirs even if no such app exists.
	salt *[32]byte
}

// publisher is the address for which the caller acts, as App objects have it.
func (c *caller) publisher() string { return hexOf(c.delegation.Publisher) }

func hexOf(a common.Address) string { return strings.ToLower(a.Hex()) }

// owns reports whether a salt makes an app id of the caller's publisher at this provider.
func (c *caller) owns(id delegation.AppID, salt [32]byte) bool {
	return delegation.NewAppID(c.delegation.Publisher, c.delegation.Provider.Address, salt) == id
}

// authenticate finds out who sent a request. Every call passes here but Evidence.
func (g *Gateway) authenticate(ctx context.Context, h http.Header) (*caller, error) {
	c := &caller{peer: g.parts.Peer(ctx)}
	if c.peer == "" {
		return nil, refuse(providerv1.Reason_REASON_DELEGATION_MISSING, "the connection does not prove a peer id")
	}
	header := h.Get(delegation.Header)
	if header == "" {
		err := refuse(providerv1.Reason_REASON_DELEGATION_MISSING, "no delegation")
		return nil, fault.Hint(err, "send one in the header "+delegation.Header)
	}
	var err error
	if c.signed, err = delegation.DecodeHeader(header); err != nil {
		return nil, err
	}
	if text := h.Get(delegation.HeaderSalt); text != "" {
		salt, err := delegation.DecodeSalt(text)
		if err != nil {
			return nil, fault.As(err, providerv1.Reason_REASON_BAD_REQUEST)
		}
		c.salt = &salt
	}
	c.delegation, err = g.inForce(c)
	return c, err
}

// inForce checks the caller's delegation at this moment: with each call, and with each tick of a stream.
func (g *Gateway) inForce(c *caller) (delegation.Delegation, error) {
	d, err := delegation.Verify(c.signed, g.cfg.Domain, c.peer, g.cfg.Provider, g.parts.Now())
	if errors.Is(err, delegation.ErrExpired) {
		err = fault.Hint(err, "sign a new one")
	}
	return d, err
}

type callerKey struct{}

// allowed returns the caller, who may do op.
func (g *Gateway) allowed(ctx context.Context, op orderv1.Operation) (*caller, error) {
	c, ok := ctx.Value(callerKey{}).(*caller)
	if !ok {
		return nil, errors.New("a method without its guard")
	}
	return c, c.delegation.AllowsOperation(op)
}

// allowedOn returns the caller, who may do op on the app, and the app's id. Whether the app is theirs is not looked at.
func (g *Gateway) allowedOn(ctx context.Context, op orderv1.Operation, app []byte) (*caller, delegation.AppID, error) {
	c, err := g.allowed(ctx, op)
	if err != nil {
		return nil, delegation.AppID{}, err
	}
	if len(app) != 32 {
		return nil, delegation.AppID{}, refuse(providerv1.Reason_REASON_BAD_REQUEST, "an app id has 32 bytes, not %d", len(app))
	}
	id := delegation.AppID(app)
	return c, id, c.delegation.Allows(op, id)
}

// own reads an app of the caller's publisher.
func (g *Gateway) own(ctx context.Context, c *caller, id delegation.AppID) (*v1alpha1.App, error) {
	var app v1alpha1.App
	err := g.parts.Cluster.Get(ctx, g.key(id), &app)
	switch {
	case kerrors.IsNotFound(err):
		return nil, notTheirs(c, id)
	case err != nil:
		return nil, err
	case app.Spec.Publisher != c.publisher():
		return nil, notTheirs(c, id)
	}
	return &app, nil
}

// notTheirs answers the same whether the app does not exist or is somebody else's, unless the caller shows by the salt that the id is
// theirs: then there is nobody to protect.
func notTheirs(c *caller, id delegation.AppID) error {
	if c.salt != nil && c.owns(id, *c.salt) {
		err := refuse(providerv1.Reason_REASON_APP_NOT_FOUND, "there is no app %s", id)
		return fault.Hint(err, "it never ran here, or it ended a day ago or more")
	}
	return refuse(providerv1.Reason_REASON_APP_FOREIGN, "publisher %s has no app %s here", c.delegation.Publisher, id)
}

// guard is the interceptor through which every call goes in and every error goes out.
type guard struct{ g *Gateway }

// WrapUnary implements connect.Interceptor.
func (i guard) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, r connect.AnyRequest) (connect.AnyResponse, error) {
		inside, err := i.enter(ctx, r.Spec(), r.Header())
		if err != nil {
			return nil, i.g.toConnect(ctx, r.Spec().Procedure, err)
		}
		resp, err := next(inside, r)
		return resp, i.g.toConnect(ctx, r.Spec().Procedure, err)
	}
}

// WrapStreamingHandler implements connect.Interceptor.
func (i guard) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return func(ctx context.Context, s connect.StreamingHandlerConn) error {
		inside, err := i.enter(ctx, s.Spec(), s.RequestHeader())
		if err == nil {
			err = next(inside, s)
		}
		return i.g.toConnect(ctx, s.Spec().Procedure, err)
	}
}

// WrapStreamingClient implements connect.Interceptor.
func (guard) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return next
}

func (i guard) enter(ctx context.Context, s connect.Spec, h http.Header) (context.Context, error) {
	if s.Procedure == providerv1connect.ProviderServiceEvidenceProcedure {
		return ctx, nil
	}
	if _, known := ctx.Value(callerKey{}).(*caller); known {
		return ctx, nil // limited asked already
	}
	c, err := i.g.authenticate(ctx, h)
	if err != nil {
		return nil, err
	}
	return context.WithValue(ctx, callerKey{}, c), nil
}
