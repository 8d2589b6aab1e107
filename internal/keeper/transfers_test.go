// SPDX-License-Identifier: Apache-2.0

package keeper

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"google.golang.org/protobuf/proto"

	"github.com/apocryph/apocryph/api/v1alpha1"
	"github.com/apocryph/apocryph/internal/channel"
	"github.com/apocryph/apocryph/internal/delegation"
	orderv1 "github.com/apocryph/apocryph/internal/gen/orderv1"
)

// asksFor is what a gateway writes onto an App for a transfer, after edit.
func (w *world) asksFor(t *testing.T, app *v1alpha1.App, volume string, key crypto.PrivKey, edit func(*delegation.Statement)) {
	t.Helper()
	on, err := channel.ParseID(app.Spec.Channel)
	if err != nil {
		t.Fatal(err)
	}
	id, err := delegation.ParseAppID(app.Name)
	if err != nil {
		t.Fatal(err)
	}
	st := delegation.Statement{App: id, Action: orderv1.Action_ACTION_GET_VOLUME, Sequence: 100, Channel: on, IssuedAt: w.now, Volume: volume}
	if edit != nil {
		edit(&st)
	}
	var ordered orderv1.SignedStatement
	if err := proto.Unmarshal(app.Spec.Statement, &ordered); err != nil {
		t.Fatal(err)
	}
	signed, err := delegation.SignStatement(st, key, ordered.Delegation)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := proto.Marshal(signed)
	if err != nil {
		t.Fatal(err)
	}
	if app.Annotations == nil {
		app.Annotations = map[string]string{}
	}
	app.Annotations[v1alpha1.AnnotationTransfer+volume] = base64.StdEncoding.EncodeToString(encoded)
}

func (c *cluster) transfers() string {
	c.t.Helper()
	var app v1alpha1.App
	if err := c.client.Get(c.t.Context(), c.key, &app); err != nil {
		c.t.Fatal(err)
	}
	var all []string
	for _, t := range app.Status.Transfers {
		one := t.Volume
		if t.Put {
			one += " put"
		}
		if t.Refused != "" {
			one += " refused: " + t.Refused
		}
		all = append(all, one)
	}
	return strings.Join(all, ", ")
}

func (c *cluster) change(change func(*v1alpha1.App)) {
	c.t.Helper()
	var app v1alpha1.App
	if err := c.client.Get(c.t.Context(), c.key, &app); err != nil {
		c.t.Fatal(err)
	}
	change(&app)
	if err := c.client.Update(c.t.Context(), &app); err != nil {
		c.t.Fatal(err)
	}
	c.reconcile()
}

// A transfer may happen if the publisher signed it for this app, channel and volume, and just now.
func TestTransfersAreCheckedEndToEnd(t *testing.T) {
	for name, step := range map[string]struct {
		edit    func(*delegation.Statement)
		foreign bool
		want    string
	}{
		"a good one":              {want: "data"},
		"a good one, into it":     {edit: func(s *delegation.Statement) { s.Action = orderv1.Action_ACTION_PUT_VOLUME }, want: "data put"},
		"of another volume":       {edit: func(s *delegation.Statement) { s.Volume = "other" }, want: "no transfer of this volume"},
		"an order to apply":       {edit: func(s *delegation.Statement) { s.Action = orderv1.Action_ACTION_APPLY }, want: "no transfer of this volume"},
		"about another app":       {edit: func(s *delegation.Statement) { s.App[0]++ }, want: "it is about app"},
		"about another channel":   {edit: func(s *delegation.Statement) { s.Channel[0]++ }, want: "it names channel"},
		"signed by somebody else": {foreign: true, want: "not signed by the delegated peer"},
		"signed six minutes ago":  {edit: func(s *delegation.Statement) { s.IssuedAt = s.IssuedAt.Add(-6 * time.Minute) }, want: "it was signed 6m0s ago"},
		"signed in six minutes":   {edit: func(s *delegation.Statement) { s.IssuedAt = s.IssuedAt.Add(6 * time.Minute) }, want: "it was signed -6m0s ago"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			app := w.app(t)
			key := w.peer
			if step.foreign {
				key = newPeer(t)
			}
			w.asksFor(t, app, "data", key, step.edit)
			c := newCluster(t, w, app)
			c.reconcile()
			got := c.transfers()
			if refused := step.want != "data" && step.want != "data put"; refused != strings.Contains(got, "refused") || !strings.Contains(got, step.want) {
				t.Errorf("it says %q, want %q", got, step.want)
			}
			before := c.applies
			if c.reconcile(); c.applies != before {
				t.Error("it is written again without a change")
			}
		})
	}
}

// A transfer that ended never begins again, and one that is under way goes on while the statement gets old, also when the keeper starts anew.
func TestATransferHappensOnce(t *testing.T) {
	w := newWorld(t)
	app := w.app(t)
	c := newCluster(t, w, app)
	c.reconcile()
	ask := func(sequence uint64) {
		t.Helper()
		c.change(func(a *v1alpha1.App) {
			w.asksFor(t, a, "data", w.peer, func(s *delegation.Statement) { s.Sequence = sequence })
		})
	}
	ask(100)
	if got := c.transfers(); got != "data" {
		t.Fatalf("it says %q", got)
	}
	w.now = w.now.Add(30 * time.Minute)
	c.reconcile()
	if got := c.transfers(); got != "data" {
		t.Errorf("after half an hour it says %q", got)
	}
	w.keeper.forget(app.Name)
	c.reconcile()
	if got := c.transfers(); got != "data" {
		t.Errorf("after the keeper started anew it says %q", got)
	}
	c.change(func(a *v1alpha1.App) { a.Annotations = nil })
	if got := c.transfers(); got != "" {
		t.Errorf("after it ended it says %q", got)
	}
	for _, sequence := range []uint64{100, 99} {
		ask(sequence)
		if got := c.transfers(); !strings.Contains(got, "asked for before") {
			t.Errorf("number %d again: %q", sequence, got)
		}
	}
	ask(101)
	if got := c.transfers(); got != "data" {
		t.Errorf("a new one: %q", got)
	}
	w.now = w.now.Add(25 * time.Hour)
	c.reconcile()
	if got := c.transfers(); !strings.Contains(got, "refused") {
		t.Errorf("after a day it says %q", got)
	}
}

// A stop ends transfers, and no more than two of an app are looked at.
func TestHowManyTransfersMayHappen(t *testing.T) {
	w := newWorld(t)
	app := w.app(t)
	for _, volume := range []string{"a", "b", "c"} {
		w.asksFor(t, app, volume, w.peer, nil)
	}
	c := newCluster(t, w, app)
	c.reconcile()
	if got := c.transfers(); got != "a, b" {
		t.Errorf("it says %q", got)
	}
	c.change(func(a *v1alpha1.App) { a.Spec.Stop = []byte("stop") })
	if got := c.transfers(); got != "" {
		t.Errorf("after a stop it says %q", got)
	}
}
