// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"regexp"
	"strings"
	"testing"

	"connectrpc.com/connect"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"

	"github.com/apocryph/apocryph/internal/channel"
	"github.com/apocryph/apocryph/internal/delegation"
	providerv1 "github.com/apocryph/apocryph/internal/gen/providerv1"
	"github.com/apocryph/apocryph/internal/manifest"
	"github.com/apocryph/apocryph/internal/quote"
)

func marshal(m proto.Message) ([]byte, error) {
	return proto.MarshalOptions{Deterministic: true}.Marshal(m)
}

func TestEveryReasonHasACode(t *testing.T) {
	for n, name := range providerv1.Reason_name {
		r := providerv1.Reason(n)
		internal := r == providerv1.Reason_REASON_UNSPECIFIED || r == providerv1.Reason_REASON_INTERNAL
		if got := codeOf(r); (got == connect.CodeInternal) != internal {
			t.Errorf("%s has code %s", name, got)
		}
		if code := httpOf(codeOf(r)); code < 400 || code == 401 {
			t.Errorf("%s answers pushes with %d", name, code)
		}
	}
}

// The table at the end of the wire's page is the one that the code has.
func TestThePageHasTheCodes(t *testing.T) {
	page, err := os.ReadFile("../../docs/protocol/wire.md")
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\| ([A-Z_, ]+) \\|$").FindAllStringSubmatch(string(page), -1) {
		for _, reason := range strings.Split(row[2], ", ") {
			got["REASON_"+reason] = row[1]
		}
	}
	want := map[string]string{}
	for n, name := range providerv1.Reason_name {
		if n != 0 {
			want[name] = codeOf(providerv1.Reason(n)).String()
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("docs/protocol/wire.md (-code +page):\n%s", diff)
	}
}

func TestReasonOf(t *testing.T) {
	for err, want := range map[error]providerv1.Reason{
		delegation.ErrInvalid:   providerv1.Reason_REASON_DELEGATION_INVALID,
		delegation.ErrForeign:   providerv1.Reason_REASON_DELEGATION_FOREIGN,
		delegation.ErrExpired:   providerv1.Reason_REASON_DELEGATION_EXPIRED,
		delegation.ErrOperation: providerv1.Reason_REASON_OPERATION_NOT_DELEGATED,
		delegation.ErrStatement: providerv1.Reason_REASON_STATEMENT_INVALID,
		manifest.ErrInvalid:     providerv1.Reason_REASON_MANIFEST_INVALID,
		quote.ErrInvalid:        providerv1.Reason_REASON_QUOTE_INVALID,
		quote.ErrExpired:        providerv1.Reason_REASON_QUOTE_EXPIRED,
		quote.ErrTerms:          providerv1.Reason_REASON_CHANNEL_TERMS,
		channel.ErrTerms:        providerv1.Reason_REASON_CHANNEL_TERMS,
		errors.New("disk full"): providerv1.Reason_REASON_INTERNAL,
	} {
		if got := reasonOf(fmt.Errorf("doing: %w", err)); got != want {
			t.Errorf("%v: got %s, want %s", err, got, want)
		}
	}
}

func TestWhatIsInternalStaysInside(t *testing.T) {
	w := newWorld(t)
	var log bytes.Buffer
	w.g.parts.Log = slog.New(slog.NewTextHandler(&log, nil))
	secret := errors.New("password is swordfish")
	err := w.g.toConnect(t.Context(), "Apply", secret)
	reason, code := detail(err)
	if reason != providerv1.Reason_REASON_INTERNAL || code != connect.CodeInternal || strings.Contains(err.Error(), "swordfish") {
		t.Errorf("got %s, %s: %v", reason, code, err)
	}
	var info *providerv1.ErrorInfo
	ce := new(connect.Error)
	if !errors.As(err, &ce) {
		t.Fatalf("got %T", err)
	}
	for _, d := range ce.Details() {
		v, _ := d.Value()
		info, _ = v.(*providerv1.ErrorInfo)
	}
	if id := info.GetRequestId(); id == "" || !strings.Contains(log.String(), id) || !strings.Contains(log.String(), "swordfish") {
		t.Errorf("request id %q is not in the log with the cause: %s", id, log.String())
	}
}
