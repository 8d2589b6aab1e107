// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/apocryph/apocryph/api/v1alpha1"
	"github.com/apocryph/apocryph/internal/doctor"
	"github.com/apocryph/apocryph/internal/gen/keeperv1/keeperv1connect"
	"github.com/apocryph/apocryph/internal/kube"
)

// Evidence is no secret; everything else that the keeper has is the gateway's to ask for.
func TestWhoMayAskTheKeeper(t *testing.T) {
	const gateway, doctor, stranger = "system:serviceaccount:s:gateway", "system:serviceaccount:s:doctor", "system:serviceaccount:s:facade"
	reviews := interceptor.NewClient(fake.NewClientBuilder().WithScheme(kube.Scheme()).Build(), interceptor.Funcs{
		Create: func(_ context.Context, _ client.WithWatch, o client.Object, _ ...client.CreateOption) error {
			r := o.(*authenticationv1.TokenReview) // a token is its owner's name
			r.Status = authenticationv1.TokenReviewStatus{
				Authenticated: true, Audiences: r.Spec.Audiences, User: authenticationv1.UserInfo{Username: r.Spec.Token},
			}
			return nil
		},
	})
	c := keeperCmd{Audience: "keeper", Allowed: []string{gateway}, EvidenceAllowed: []string{doctor}}
	h := c.guarded(reviews, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	for name, test := range map[string]struct {
		who, what string
		want      int
	}{
		"the gateway asks for evidence":      {gateway, keeperv1connect.KeeperServiceEvidenceProcedure, 200},
		"the gateway asks for the peer key":  {gateway, keeperv1connect.KeeperServicePeerKeyProcedure, 200},
		"the doctor asks for evidence":       {doctor, keeperv1connect.KeeperServiceEvidenceProcedure, 200},
		"the doctor asks for the peer key":   {doctor, keeperv1connect.KeeperServicePeerKeyProcedure, 403},
		"the doctor has a quote signed":      {doctor, keeperv1connect.KeeperServiceSignQuoteProcedure, 403},
		"the doctor tries a path beside it":  {doctor, keeperv1connect.KeeperServiceEvidenceProcedure + "/../PeerKey", 403},
		"somebody else asks for evidence":    {stranger, keeperv1connect.KeeperServiceEvidenceProcedure, 403},
		"somebody else asks for the peerkey": {stranger, keeperv1connect.KeeperServicePeerKeyProcedure, 403},
	} {
		r := httptest.NewRequest(http.MethodPost, "http://keeper/", nil)
		r.URL.Path = test.what
		r.Header.Set("Authorization", "Bearer "+test.who)
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, r)
		// A path that climbs is redirected to the one it means, which is asked for anew.
		if rec.Code != test.want && (rec.Code != http.StatusTemporaryRedirect || test.want != 403) {
			t.Errorf("%s: %d, want %d", name, rec.Code, test.want)
		}
	}
}

func TestTheGasAccountIsSaid(t *testing.T) {
	p := &v1alpha1.Provider{ObjectMeta: metav1.ObjectMeta{Namespace: "system", Name: v1alpha1.ProviderName}}
	for name, objects := range map[string][]client.Object{"where there is a Provider": {p}, "and no harm is done where there is none": nil} {
		c := fake.NewClientBuilder().WithScheme(kube.Scheme()).WithStatusSubresource(p).WithObjects(objects...).Build()
		stopped, stop := context.WithCancel(t.Context())
		stop() // once is enough
		if err := sayAccount(stopped, c, "system", common.Address{0xaa}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		var got v1alpha1.Provider
		err := c.Get(t.Context(), client.ObjectKeyFromObject(p), &got)
		if len(objects) > 0 && (err != nil || got.Status.GasAccount != (common.Address{0xaa}).Hex()) {
			t.Errorf("%s: %q, %v", name, got.Status.GasAccount, err)
		}
	}
}

func TestExitCodes(t *testing.T) {
	err := error(exitError{doctor.ErrUnfit, exitFails})
	chosen := new(exitError)
	if !errors.As(err, chosen) || chosen.ExitCode() != 1 || !errors.Is(err, doctor.ErrUnfit) {
		t.Errorf("%v", err)
	}
}
