// SPDX-License-Identifier: Apache-2.0

package keeper

import (
	"testing"
	"time"

	"connectrpc.com/connect"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/apocryph/apocryph/api/v1alpha1"
	"github.com/apocryph/apocryph/internal/account"
	"github.com/apocryph/apocryph/internal/delegation"
	keeperv1 "github.com/apocryph/apocryph/internal/gen/keeperv1"
)

func TestSignAccount(t *testing.T) {
	w := newWorld(t)
	app := w.app(t)
	c := newCluster(t, w, app, account0(app))
	rpc := serve(t, w.keeper)
	id, err := delegation.ParseAppID(app.Name)
	if err != nil {
		t.Fatal(err)
	}
	ask := func() account.Account {
		t.Helper()
		r, err := rpc.SignAccount(t.Context(), &keeperv1.SignAccountRequest{App: id[:]})
		if err != nil {
			t.Fatal(err)
		}
		a, err := account.Verify(r.Account, w.keeper.cfg.Keys.Signer())
		if err != nil {
			t.Fatal(err)
		}
		o := w.keeper.recall(app.Name).order
		if err := a.Check(o.terms, w.keeper.cfg.Domain, o.tariff); err != nil {
			t.Error(err)
		}
		return a
	}
	for what, app := range map[string][]byte{"an app that nobody verified": id[:], "no app id": id[:31], "nothing": nil} {
		if _, err := rpc.SignAccount(t.Context(), &keeperv1.SignAccountRequest{App: app}); connect.CodeOf(err) != connect.CodeNotFound {
			t.Errorf("%s: %v", what, err)
		}
	}

	c.reconcile()
	first := ask()
	if !first.Total.IsZero() || !first.AccruedTo.IsZero() || first.Sequence != uint64(w.now.UnixMicro()) {
		t.Errorf("before anything was used: %+v", first)
	}
	to := metav1.NewTime(w.now.Add(-time.Minute).Truncate(time.Second))
	c.meter(func(s *v1alpha1.UsageStatus) { s.Totals.CPUMilliSeconds, s.AccruedTo, s.Final = "5999", &to, true })
	w.now = w.now.Add(-time.Hour) // a clock that goes back makes no older account
	c.reconcile()
	second := ask()
	if second.Total.String() != "5" || second.Usage.CPU.String() != "5999" || !second.AccruedTo.Equal(to.Time) || !second.Final {
		t.Errorf("after: %+v", second)
	}
	if third := ask(); second.Sequence <= first.Sequence || third.Sequence <= second.Sequence {
		t.Errorf("sequences %d, %d, %d", first.Sequence, second.Sequence, third.Sequence)
	}
}
