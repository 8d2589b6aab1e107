// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/apocryph/apocryph/api/v1alpha1"
	"github.com/apocryph/apocryph/internal/delegation"
	providerv1 "github.com/apocryph/apocryph/internal/gen/providerv1"
	"github.com/apocryph/apocryph/internal/gen/providerv1/providerv1connect"
)

// spoil changes bytes: some are turned, some cut out, some put in. The keys of a test's world are new in each process, so what is fuzzed
// is how a good order is spoiled and not the order.
func spoil(b []byte, at uint16, turn byte, cut uint8, put []byte) []byte {
	from := int(at) % (len(b) + 1)
	to := min(len(b), from+int(cut))
	out := append(append(bytes.Clone(b[:from]), put...), b[to:]...)
	if i := from + len(put); i < len(out) {
		out[i] ^= turn
	}
	return out
}

// An order that is taken is the one that was signed; all others leave no trace, and none fails inside.
func FuzzApply(f *testing.F) {
	w := newWorld(f)
	good := w.order(nil)
	raw, err := proto.MarshalOptions{Deterministic: true}.Marshal(good)
	if err != nil {
		f.Fatal(err)
	}
	id := w.app(w.publisher)
	f.Add(uint16(0), byte(0), uint8(0), []byte{})
	f.Add(uint16(40), byte(1), uint8(0), []byte{})
	f.Add(uint16(len(raw)), byte(0), uint8(0), []byte{0xfa, 0x01, 0x01, 'x'})
	f.Add(uint16(100), byte(0), uint8(200), []byte{})
	f.Fuzz(func(t *testing.T, at uint16, turn byte, cut uint8, put []byte) {
		w.t = t
		var r providerv1.ApplyRequest
		if proto.Unmarshal(spoil(raw, at, turn, cut, put), &r) != nil {
			return
		}
		_, err := server{w.g}.Apply(w.as(w.publisher), &r)
		if err != nil {
			if reason := reasonOf(err); reason == providerv1.Reason_REASON_INTERNAL || strings.Contains(err.Error(), "\n") || len(err.Error()) > 2000 {
				t.Errorf("%s: %q", reason, err)
			}
		}
		var list v1alpha1.AppList
		if err := w.cluster.List(context.Background(), &list); err != nil {
			t.Fatal(err)
		}
		for i := range list.Items {
			app := &list.Items[i]
			if err != nil || app.Name != id.String() || !proto.Equal(r.Manifest, good.Manifest) || app.Spec.Sequence != 1000 || app.Spec.Publisher != hexOf(w.publisher.address()) {
				t.Errorf("taken with %v: %+v", err, app.Spec)
			}
			if size := len(app.Spec.Statement) + len(app.Spec.Quote) + len(app.Spec.Terms); size > 8<<10 {
				t.Errorf("%d bytes are kept", size)
			}
			app.Finalizers = nil
			if err := w.cluster.Update(context.Background(), app); err != nil {
				t.Fatal(err)
			}
			if err := w.cluster.Delete(context.Background(), app); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// Whatever comes over a stream is answered, and never as this gateway's own failure.
func FuzzCall(f *testing.F) {
	w := newWorld(f)
	w.g.parts.Peer = func(context.Context) string { return w.publisher.peer.Peer() }
	header, err := delegation.EncodeHeader(w.grant(w.publisher, nil))
	if err != nil {
		f.Fatal(err)
	}
	id := w.app(w.publisher)
	salt := delegation.EncodeSalt(w.salt())
	for _, path := range []string{
		providerv1connect.ProviderServiceEvidenceProcedure, providerv1connect.ProviderServiceQuoteProcedure, providerv1connect.ProviderServiceApplyProcedure,
		providerv1connect.ProviderServiceStatusProcedure, providerv1connect.ProviderServiceStopProcedure, providerv1connect.ProviderServiceListProcedure,
		"/v2/", "/v2/" + id.String() + "/web/blobs/uploads/", "/v2/../x", "/v2/%2e%2e/", "/",
	} {
		for _, kind := range []string{"application/proto", "application/json", "application/grpc-web+proto"} {
			f.Add("POST", path, kind, "", uint16(0), byte(0), []byte{})
			f.Add("POST", path, kind, salt, uint16(3), byte(1), []byte(`{"nonce":"AAAA"}`))
		}
	}
	handler := w.g.Handler()
	f.Fuzz(func(t *testing.T, method, path, kind, salt string, at uint16, turn byte, body []byte) {
		w.t = t
		u, err := url.Parse(path)
		if err != nil || u.Host != "" {
			return
		}
		r, err := http.NewRequestWithContext(t.Context(), method, "http://gateway", bytes.NewReader(body))
		if err != nil {
			return
		}
		r.URL.Path, r.URL.RawPath, r.URL.RawQuery = u.Path, u.RawPath, u.RawQuery
		if !strings.HasPrefix(u.Path, "/") || kindOf(u.Path) == kindStream {
			return // streams last until somebody ends them
		}
		r.Header.Set(delegation.Header, string(spoil([]byte(header), at, turn, 0, nil)))
		r.Header.Set(delegation.HeaderSalt, salt)
		r.Header.Set("Content-Type", kind)
		rec := httptest.NewRecorder()
		handler.ServeHTTP(rec, r)
		if rec.Code >= http.StatusInternalServerError && rec.Code != http.StatusNotImplemented || strings.Contains(rec.Body.String(), providerv1.Reason_REASON_INTERNAL.String()) {
			t.Errorf("%s %s: %d %.300q", method, path, rec.Code, rec.Body)
		}
		if apps := w.apps(); len(apps) > 0 {
			t.Errorf("%s %s made %d apps", method, path, len(apps))
		}
	})
}
