// SPDX-License-Identifier: Apache-2.0

package publisher

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"connectrpc.com/connect"

	providerv1 "github.com/apocryph/apocryph/internal/gen/providerv1"
	"github.com/apocryph/apocryph/internal/gen/providerv1/providerv1connect"
)

// watched is a provider whose stream ends in some way after the first status.
type watched struct {
	providerv1connect.UnimplementedProviderServiceHandler
	end func() error
}

func (w watched) Watch(_ context.Context, _ *providerv1.WatchRequest, to *connect.ServerStream[providerv1.WatchResponse]) error {
	if err := to.Send(&providerv1.WatchResponse{}); err != nil {
		return err
	}
	return w.end()
}

func TestABrokenStreamIsNoAnswer(t *testing.T) {
	cases := map[string]struct {
		end         func() error
		unreachable bool
	}{
		"the connection breaks":       {func() error { panic(http.ErrAbortHandler) }, true},
		"the provider goes away":      {func() error { return connect.NewError(connect.CodeUnavailable, errors.New("going")) }, true},
		"the provider fails inside":   {func() error { return connect.NewError(connect.CodeInternal, errors.New("a bug")) }, false},
		"the provider does not allow": {func() error { return connect.NewError(connect.CodePermissionDenied, errors.New("no")) }, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			mux := http.NewServeMux()
			mux.Handle(providerv1connect.NewProviderServiceHandler(watched{end: c.end}))
			server := httptest.NewUnstartedServer(mux)
			server.EnableHTTP2 = true
			server.StartTLS()
			defer server.Close()
			stream, err := providerv1connect.NewProviderServiceClient(server.Client(), server.URL).Watch(t.Context(), &providerv1.WatchRequest{})
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = stream.Close() }()
			for stream.Receive() {
				continue
			}
			if got := refusal(stream.Err()); errors.Is(got, ErrUnreachable) != c.unreachable {
				t.Errorf("%v is taken for %v", stream.Err(), got)
			}
		})
	}
}
