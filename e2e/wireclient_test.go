// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/apocryph/apocryph/e2e/bed"
	"github.com/apocryph/apocryph/internal/channel"
	"github.com/apocryph/apocryph/internal/delegation"
	manifestv1 "github.com/apocryph/apocryph/internal/gen/manifestv1"
	orderv1 "github.com/apocryph/apocryph/internal/gen/orderv1"
	providerv1 "github.com/apocryph/apocryph/internal/gen/providerv1"
	"github.com/apocryph/apocryph/internal/manifest"
	"github.com/apocryph/apocryph/internal/oci"
	"github.com/apocryph/apocryph/internal/quote"
	"github.com/apocryph/apocryph/internal/tariff"
)

// wireClient is a publisher that says what it likes: its signatures and connection are real, the rest is up to the test.
type wireClient struct{ *bed.Wire }

// wireOrder is an order as a test wants it: each edit is nil, or applied just before what it edits is signed, opened or sent.
type wireOrder struct {
	salt     [32]byte
	manifest *manifestv1.Manifest
	image    *oci.Image
	sequence uint64

	bare      bool                         // the call comes without a delegation
	header    func(*delegation.Delegation) // the one that comes with the call
	under     func(*delegation.Delegation) // the one that the statement was signed under
	ordered   func(*manifestv1.Manifest)   // after it was quoted
	terms     func(*channel.Terms)
	deposit   tariff.Amount
	unopened  bool
	unpushed  bool
	opened    func(channel.Terms) // what happens to the channel on chain after it was opened
	statement func(*delegation.Statement)
	sent      func(*providerv1.ApplyRequest)
}

// prepared is an order that is ready to be sent: the channel is open, the images are there.
type prepared struct {
	ctx     context.Context
	app     delegation.AppID
	terms   channel.Terms
	request *providerv1.ApplyRequest
}

func (c *wireClient) prepare(t *testing.T, o wireOrder) prepared {
	t.Helper()
	good, id := c.Grant(t, nil), c.App(o.salt)
	offer, err := c.RPC.Quote(c.As(t, good, &o.salt), &providerv1.QuoteRequest{App: id[:], AppSalt: o.salt[:], Manifest: o.manifest})
	if err != nil {
		t.Fatalf("asking for a quote: %v", err)
	}
	q, err := quote.Verify(offer.Quote, c.Signer)
	if err != nil {
		t.Fatal(err)
	}
	terms, err := channel.FromProto(quote.Terms(offer.Quote, q, bed.Random(t)))
	if err != nil {
		t.Fatal(err)
	}
	if o.ordered != nil {
		o.ordered(o.manifest)
	}
	if o.terms != nil {
		o.terms(&terms)
	}
	if !o.unopened {
		if _, err := c.Wallet.Open(t.Context(), terms, o.deposit); err != nil {
			t.Fatal(err)
		}
	}
	if o.opened != nil {
		o.opened(terms)
	}
	if !o.unpushed {
		to := oci.Target{Transport: c.Conn.Transport, App: id.String(), Service: o.manifest.Services[0].Name, Header: bed.Header(t, good, &o.salt)}
		if err := oci.Push(t.Context(), to, o.image.Image, nil); err != nil {
			t.Fatal(err)
		}
	}
	r := &providerv1.ApplyRequest{
		Manifest: proto.CloneOf(o.manifest), AppSalt: o.salt[:], Terms: terms.Proto(), Quote: offer.Quote,
		Statement: c.order(t, o, delegation.Statement{App: id, Channel: terms.ID(c.Domain())}),
	}
	if o.sent != nil {
		o.sent(r)
	}
	grant := c.Grant(t, o.header)
	if o.bare {
		grant = nil
	}
	return prepared{c.As(t, grant, &o.salt), id, terms, r}
}

// order signs the statement for a manifest.
func (c *wireClient) order(t *testing.T, o wireOrder, s delegation.Statement) *orderv1.SignedStatement {
	t.Helper()
	hash, err := manifest.HashOf(o.manifest)
	if err != nil {
		t.Fatal(err)
	}
	s.Action, s.Sequence, s.ManifestHash, s.IssuedAt = orderv1.Action_ACTION_APPLY, o.sequence, hash, time.Now()
	if o.statement != nil {
		o.statement(&s)
	}
	signed, err := delegation.SignStatement(s, c.Peer, c.Grant(t, o.under))
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

// stop signs one.
func (c *wireClient) stop(t *testing.T, app delegation.AppID, on channel.ID, sequence uint64) *orderv1.SignedStatement {
	t.Helper()
	signed, err := delegation.SignStatement(delegation.Statement{
		App: app, Action: orderv1.Action_ACTION_STOP, Sequence: sequence, Channel: on, IssuedAt: time.Now(),
	}, c.Peer, c.Grant(t, nil))
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

// traces is all that an order could change: money, the channel, and what the cluster has of the app.
type traces struct {
	Balance string
	Channel channel.State
	// App is the spec, "" without an object.
	App              string
	Usage, Namespace bool
}
