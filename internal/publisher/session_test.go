// SPDX-License-Identifier: Apache-2.0

package publisher

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"connectrpc.com/connect"

	"github.com/apocryph/apocryph/internal/fault"
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
		"the provider gives up":       {func() error { return connect.NewError(connect.CodeCanceled, errors.New("no time")) }, false},
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

// gaveUp is a way to the provider that somebody else, who was on it first, gave up.
type gaveUp struct{}

func (gaveUp) RoundTrip(*http.Request) (*http.Response, error) {
	return nil, fmt.Errorf("all dials failed: %w", context.Canceled)
}

func TestAConnectionThatIsGivenUpIsNoAnswer(t *testing.T) {
	client := providerv1connect.NewProviderServiceClient(&http.Client{Transport: gaveUp{}}, "http://provider")
	_, err := client.Stop(t.Context(), &providerv1.StopRequest{})
	if got := refusal(err); !errors.Is(got, ErrUnreachable) || fault.HintOf(got) == "" {
		t.Errorf("%v is taken for %v", err, got)
	}
}

// old is a provider of another version: it knows none of the calls, or answers with codes that this program does not know.
type old struct {
	providerv1connect.UnimplementedProviderServiceHandler
}

func (old) Bill(context.Context, *providerv1.BillRequest) (*providerv1.BillResponse, error) {
	err := connect.NewError(connect.CodeFailedPrecondition, errors.New("the moon is full"))
	d, derr := connect.NewErrorDetail(&providerv1.ErrorInfo{Reason: 9999, Hint: "wait a week"})
	if derr != nil {
		return nil, derr
	}
	err.AddDetail(d)
	return nil, err
}

func TestAProviderOfAnotherVersion(t *testing.T) {
	mux := http.NewServeMux()
	mux.Handle(providerv1connect.NewProviderServiceHandler(old{}))
	server := httptest.NewServer(mux)
	defer server.Close()
	client := providerv1connect.NewProviderServiceClient(server.Client(), server.URL)

	_, err := client.Stop(t.Context(), &providerv1.StopRequest{})
	got := refusal(err)
	if errors.Is(got, ErrUnreachable) || !strings.Contains(got.Error(), "does not know this call") || !strings.Contains(fault.HintOf(got), "update the older") {
		t.Errorf("a call that it doesn't know is told as: %v; %s", got, fault.HintOf(got))
	}
	_, err = client.Bill(t.Context(), &providerv1.BillRequest{})
	got = refusal(err)
	if got.Error() != "the provider refused: the moon is full" || fault.HintOf(got) != "wait a week" || fault.ReasonOf(got) != 9999 {
		t.Errorf("a reason that we don't know is told as: %v; %s; %d", got, fault.HintOf(got), fault.ReasonOf(got))
	}
}

func TestAPhaseOfANewerProvider(t *testing.T) {
	for phase, want := range map[providerv1.Phase]string{providerv1.Phase_PHASE_READY: "ready", 99: "unknown phase 99: update this program"} {
		if got := PhaseName(phase); got != want {
			t.Errorf("%d is %q, want %q", phase, got, want)
		}
	}
}
