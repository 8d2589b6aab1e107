// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httputil"
	"strings"

	"connectrpc.com/connect"

	"github.com/apocryph/apocryph/internal/delegation"
	"github.com/apocryph/apocryph/internal/fault"
	orderv1 "github.com/apocryph/apocryph/internal/gen/orderv1"
	providerv1 "github.com/apocryph/apocryph/internal/gen/providerv1"
	"github.com/apocryph/apocryph/internal/manifest"
)

// images lets a publisher push below /v2/<app id>/<service>/ what their app needs. The App may not exist yet, so the salt in the header
// shows that the id is theirs. Bodies stream through; what they may be and how large is the image store's business.
func (g *Gateway) images() http.Handler {
	proxy := &httputil.ReverseProxy{
		Transport: g.parts.Images,
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(g.parts.ImagesURL)
			for _, h := range []string{"Authorization", "Cookie", delegation.Header, delegation.HeaderSalt} {
				r.Out.Header.Del(h)
			}
			r.Out.Header.Del(delegation.HeaderPublisher)
			if c, known := r.In.Context().Value(callerKey{}).(*caller); known {
				r.Out.Header.Set(delegation.HeaderPublisher, c.publisher())
			}
		},
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			g.writeOCIError(w, r, fmt.Errorf("reaching the image store: %w", err))
		},
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := g.checkPush(r)
		if err != nil {
			g.writeOCIError(w, r, err)
			return
		}
		g.count.push(providerv1.Reason_REASON_UNSPECIFIED)
		if r.URL.Path == "/v2/" {
			// Clients ask this first. It is about the protocol, not about anything in the store.
			w.Header().Set("Docker-Distribution-API-Version", "registry/2.0")
			return
		}
		proxy.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), callerKey{}, c)))
	})
}

func (g *Gateway) checkPush(r *http.Request) (*caller, error) {
	c, known := r.Context().Value(callerKey{}).(*caller)
	if !known {
		var err error
		if c, err = g.authenticate(r.Context(), r.Header); err != nil {
			return nil, err
		}
	}
	if err := c.delegation.AllowsOperation(orderv1.Operation_OPERATION_APPLY); err != nil {
		return nil, err
	}
	rest := strings.TrimPrefix(r.URL.Path, "/v2/")
	if rest == "" {
		return c, nil
	}
	app, rest, _ := strings.Cut(rest, "/")
	service, _, _ := strings.Cut(rest, "/")
	id, err := delegation.ParseAppID(app)
	if err != nil || !manifest.LooksLikeLabel(service) || strings.Contains(r.URL.Path, "..") {
		return nil, refuse(providerv1.Reason_REASON_BAD_REQUEST, "images are pushed below /v2/<app id>/<service>/")
	}
	if err := c.delegation.Allows(orderv1.Operation_OPERATION_APPLY, id); err != nil {
		return nil, err
	}
	if c.salt == nil {
		return nil, refuse(providerv1.Reason_REASON_BAD_REQUEST, "the header %s is missing", delegation.HeaderSalt)
	}
	if !c.owns(id, *c.salt) {
		return nil, notTheirs(c, id)
	}
	return c, nil
}

// writeOCIError answers in the OCI error format, with reason and hint in the detail.
func (g *Gateway) writeOCIError(w http.ResponseWriter, r *http.Request, err error) {
	o := g.outgoing(r.Context(), "push", err)
	g.count.push(o.info.Reason)
	code := "DENIED"
	switch o.code {
	case connect.CodeResourceExhausted:
		code = "TOOMANYREQUESTS"
	case connect.CodeInvalidArgument:
		code = "NAME_INVALID"
	case connect.CodeInternal:
		code = "UNKNOWN"
	default: // DENIED
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(httpOf(o.code))
	_ = json.NewEncoder(w).Encode(map[string]any{"errors": []any{map[string]any{
		"code": code, "message": o.text,
		"detail": map[string]string{"reason": o.info.Reason.String(), "hint": o.info.Hint},
	}}})
}

// checkImages: the image store has each image of the order, and has verified it.
func (g *Gateway) checkImages(ctx context.Context, o *order) error {
	for _, s := range o.req.Manifest.Services {
		url := g.parts.ImagesURL.JoinPath("v2", o.app.String(), s.Name, "manifests", s.Digest)
		req, err := http.NewRequestWithContext(ctx, http.MethodHead, url.String(), nil)
		if err != nil {
			return err
		}
		resp, err := g.parts.Images.RoundTrip(req)
		if err != nil {
			return fmt.Errorf("asking the image store: %w", err)
		}
		_ = resp.Body.Close()
		switch resp.StatusCode {
		case http.StatusOK:
		case http.StatusNotFound:
			err := refuse(providerv1.Reason_REASON_IMAGE_MISSING, "service %s: image %s is not here", s.Name, s.Digest)
			return fault.Hint(err, "push it first")
		default:
			return fmt.Errorf("the image store answers %s for %s", resp.Status, s.Digest)
		}
	}
	return nil
}
