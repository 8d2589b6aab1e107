// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/apocryph/apocryph/api/v1alpha1"
	"github.com/apocryph/apocryph/e2e/bed"
	"github.com/apocryph/apocryph/internal/channel"
	"github.com/apocryph/apocryph/internal/delegation"
	"github.com/apocryph/apocryph/internal/eip712"
	manifestv1 "github.com/apocryph/apocryph/internal/gen/manifestv1"
	providerv1 "github.com/apocryph/apocryph/internal/gen/providerv1"
	"github.com/apocryph/apocryph/internal/oci"
	"github.com/apocryph/apocryph/internal/quote"
	"github.com/apocryph/apocryph/internal/tariff"
)

// wireWorld is a publisher with an app that runs, and a stranger with as much money and a delegation of their own.
type wireWorld struct {
	*bed.Devnet
	owner, stranger *wireClient
	image           *oci.Image
	// running is the app's newest order; older the one before.
	older, running prepared
	salt           [32]byte
}

func TestTheWireRefusesWhatIsNotRight(t *testing.T) {
	d := bed.Connect(t)
	w := &wireWorld{Devnet: d, owner: &wireClient{d.NewWire(t)}, stranger: &wireClient{d.NewWire(t)}, salt: bed.Random(t)}
	var err error
	if w.image, err = oci.Resolve(t.Context(), bed.ProbeImage, oci.Sources{Layouts: []string{bed.BuildProbe(t)}, Offline: true}); err != nil {
		t.Fatal(err)
	}
	// The control: every refused order below differs from this one in one thing.
	w.older = w.owner.prepare(t, w.order(w.salt))
	if _, err := w.owner.RPC.Apply(w.older.ctx, w.older.request); err != nil {
		t.Fatalf("control: an order as it should be: %v", err)
	}
	w.running = w.update(t, 2000, "2", nil)
	if _, err := w.owner.RPC.Apply(w.running.ctx, w.running.request); err != nil {
		t.Fatalf("control: an update as it should be: %v", err)
	}
	bed.Eventually(t, "the app is ready", func() error {
		if app := d.Apps(t)[w.running.app.String()]; app.Status.Phase != v1alpha1.PhaseReady {
			return fmt.Errorf("it is %s", app.Status.Phase)
		}
		return nil
	})
	t.Run("first orders", w.testFirstOrders)
	t.Run("orders about what runs", w.testUpdates)
	t.Run("somebody else's app", w.testStranger)
	t.Run("no requests at all", w.testBytes)
	t.Run("what has ended", w.testEnded)
}

// order is one as it should be.
func (w *wireWorld) order(salt [32]byte) wireOrder {
	return wireOrder{
		salt: salt, image: w.image, sequence: 1000, deposit: tariff.Units(5_000_000),
		manifest: &manifestv1.Manifest{
			Name: "wire",
			Services: []*manifestv1.Service{{
				Name: "probe", Image: bed.ProbeImage, Digest: w.image.Digest, Ports: []*manifestv1.Port{{Number: 8080, Protocol: "tcp"}},
				Resources: &manifestv1.Resources{MilliCpu: 50, MemoryBytes: 32 << 20, EphemeralBytes: 16 << 20},
			}},
			Http: &manifestv1.Http{Service: "probe", Port: 8080},
		},
	}
}

// update is an order of another version of the running app, on its channel.
func (w *wireWorld) update(t *testing.T, sequence uint64, version string, edit func(*wireOrder)) prepared {
	t.Helper()
	o := w.order(w.salt)
	o.sequence = sequence
	o.manifest.Services[0].Env = []*manifestv1.Env{{Name: "VERSION", Value: version, Salt: make([]byte, 16)}}
	if edit != nil {
		edit(&o)
	}
	p := w.older
	p.request = &providerv1.ApplyRequest{
		Manifest: o.manifest, AppSalt: w.salt[:], Terms: w.older.request.Terms, Quote: w.older.request.Quote,
		Statement: w.owner.order(t, o, delegation.Statement{App: p.app, Channel: p.terms.ID(w.owner.Domain())}),
	}
	p.ctx = w.owner.As(t, w.owner.Grant(t, nil), &w.salt)
	return p
}

// traces reads all that a refused call must not change. What a running app uses is claimed meanwhile, and is not looked at.
func (w *wireWorld) traces(t *testing.T, of *wireClient, p prepared) traces {
	t.Helper()
	var got traces
	got.Balance = w.Balance(t, of.Wallet.Address()).String()
	s, err := of.Wallet.State(t.Context(), p.terms.ID(of.Domain()))
	if err != nil {
		t.Fatal(err)
	}
	got.Channel = s.State
	key := client.ObjectKey{Namespace: bed.SystemNamespace, Name: p.app.String()}
	var app v1alpha1.App
	if err := w.Kube.Get(t.Context(), key, &app); err == nil {
		spec, err := json.Marshal(app.Spec)
		if err != nil {
			t.Fatal(err)
		}
		got.App = string(spec)
		got.Channel.Claimed, got.Channel.SpentUntil = tariff.Amount{}, 0
	} else if client.IgnoreNotFound(err) != nil {
		t.Fatal(err)
	}
	for _, o := range []struct {
		found *bool
		what  client.Object
		key   client.ObjectKey
	}{
		{&got.Usage, &v1alpha1.Usage{}, key},
		{&got.Namespace, &corev1.Namespace{}, client.ObjectKey{Name: v1alpha1.Namespace(p.app.String())}},
	} {
		err := w.Kube.Get(t.Context(), o.key, o.what)
		if client.IgnoreNotFound(err) != nil {
			t.Fatal(err)
		}
		*o.found = err == nil
	}
	return got
}

// refused checks that a call is refused for a reason and changes nothing.
func (w *wireWorld) refused(t *testing.T, want providerv1.Reason, p prepared, call func() error) {
	t.Helper()
	before := w.traces(t, w.owner, p)
	err := call()
	if got := bed.Reason(err); err == nil || got != want {
		t.Errorf("refused with %s (%v), want %s", got, err, want)
	}
	same := cmp.Comparer(func(a, b tariff.Amount) bool { return a.Equal(b) })
	if diff := cmp.Diff(before, w.traces(t, w.owner, p), same); diff != "" {
		t.Errorf("it changed something (-before +after):\n%s", diff)
	}
}

// testFirstOrders: each order is the control's but for one edit, about an app of its own.
func (w *wireWorld) testFirstOrders(t *testing.T) {
	stranger := w.stranger.Wallet.Address()
	type edit = func(*testing.T, *wireOrder)
	calls := func(f func(*delegation.Delegation)) edit { return func(_ *testing.T, o *wireOrder) { o.header = f } }
	under := func(f func(*delegation.Delegation)) edit { return func(_ *testing.T, o *wireOrder) { o.under = f } }
	terms := func(f func(*channel.Terms)) edit { return func(_ *testing.T, o *wireOrder) { o.terms = f } }
	sent := func(f func(*providerv1.ApplyRequest)) edit { return func(_ *testing.T, o *wireOrder) { o.sent = f } }
	chain := func(t *testing.T, f func(context.Context, channel.Terms) error) func(channel.Terms) {
		return func(terms channel.Terms) {
			if err := f(t.Context(), terms); err != nil {
				t.Fatal(err)
			}
		}
	}
	otherPeer := func(d *delegation.Delegation) { d.Peer = w.stranger.Peer.Peer() }
	otherApp := func(d *delegation.Delegation) { d.AllApps, d.Apps = false, []delegation.AppID{{1}} }
	readOnly := func(d *delegation.Delegation) { d.Operations = d.Operations[:2] }
	expired := func(d *delegation.Delegation) { d.ExpiresAt = time.Now().Add(-time.Second) }

	cases := map[string]struct {
		want providerv1.Reason
		edit edit
	}{
		"no delegation":                        {providerv1.Reason_REASON_DELEGATION_MISSING, func(_ *testing.T, o *wireOrder) { o.bare = true }},
		"an expired delegation":                {providerv1.Reason_REASON_DELEGATION_EXPIRED, calls(expired)},
		"a delegation of tomorrow":             {providerv1.Reason_REASON_DELEGATION_EXPIRED, calls(func(d *delegation.Delegation) { d.IssuedAt, d.ExpiresAt = d.ExpiresAt, d.ExpiresAt.Add(time.Hour) })},
		"a delegation for another peer":        {providerv1.Reason_REASON_DELEGATION_FOREIGN, calls(otherPeer)},
		"a delegation for another provider":    {providerv1.Reason_REASON_DELEGATION_FOREIGN, calls(func(d *delegation.Delegation) { d.Provider.Address = stranger })},
		"a delegation for the provider's twin": {providerv1.Reason_REASON_DELEGATION_FOREIGN, calls(func(d *delegation.Delegation) { d.Provider.Peer = w.stranger.Peer.Peer() })},
		"a delegation for another app":         {providerv1.Reason_REASON_DELEGATION_FOREIGN, calls(otherApp)},
		"a delegation without the operation":   {providerv1.Reason_REASON_OPERATION_NOT_DELEGATED, calls(readOnly)},
		"a delegation in another's name":       {providerv1.Reason_REASON_DELEGATION_INVALID, calls(func(d *delegation.Delegation) { d.Publisher = stranger })},

		"ordered under an expired one":        {providerv1.Reason_REASON_DELEGATION_EXPIRED, under(expired)},
		"ordered under one for another peer":  {providerv1.Reason_REASON_STATEMENT_INVALID, under(otherPeer)},
		"ordered under one for another app":   {providerv1.Reason_REASON_DELEGATION_FOREIGN, under(otherApp)},
		"ordered under one without this":      {providerv1.Reason_REASON_OPERATION_NOT_DELEGATED, under(readOnly)},
		"ordered under one in another's name": {providerv1.Reason_REASON_DELEGATION_INVALID, under(func(d *delegation.Delegation) { d.Publisher = stranger })},
		"an order that was changed after it":  {providerv1.Reason_REASON_STATEMENT_INVALID, sent(func(r *providerv1.ApplyRequest) { r.Statement.Statement[len(r.Statement.Statement)-1] ^= 1 })},
		"an order without a statement":        {providerv1.Reason_REASON_STATEMENT_INVALID, sent(func(r *providerv1.ApplyRequest) { r.Statement = nil })},
		"the salt of another app":             {providerv1.Reason_REASON_APP_FOREIGN, sent(func(r *providerv1.ApplyRequest) { r.AppSalt = w.salt[:] })},
		"another manifest than ordered":       {providerv1.Reason_REASON_STATEMENT_INVALID, sent(func(r *providerv1.ApplyRequest) { r.Manifest.Services[0].ReadOnly = true })},
		"a manifest that breaks the rules":    {providerv1.Reason_REASON_MANIFEST_INVALID, sent(func(r *providerv1.ApplyRequest) { r.Manifest.Services[0].Digest = "latest" })},
		"a manifest larger than any may be": {providerv1.Reason_REASON_MANIFEST_TOO_LARGE, sent(func(r *providerv1.ApplyRequest) {
			r.Manifest.Services[0].Command = []string{strings.Repeat("x", 300<<10)}
		})},
		"an image that was never pushed": {providerv1.Reason_REASON_IMAGE_MISSING, func(_ *testing.T, o *wireOrder) { o.unpushed = true }},
		"a larger workload than was offered for": {providerv1.Reason_REASON_CAP_EXCEEDED, func(_ *testing.T, o *wireOrder) {
			o.ordered = func(m *manifestv1.Manifest) { m.Services[0].Resources.MilliCpu *= 40 }
		}},

		"a quote signed by another key": {providerv1.Reason_REASON_QUOTE_INVALID, sent(func(r *providerv1.ApplyRequest) {
			r.Quote.Signature, _ = eip712.Sign(quote.Hash(r.Quote.Quote), w.owner.Key)
		})},
		"a quote that was changed":        {providerv1.Reason_REASON_QUOTE_INVALID, sent(func(r *providerv1.ApplyRequest) { r.Quote.Quote[10] ^= 1 })},
		"the quote of another channel":    {providerv1.Reason_REASON_CHANNEL_TERMS, sent(func(r *providerv1.ApplyRequest) { r.Quote = w.running.request.Quote })},
		"a channel that was never opened": {providerv1.Reason_REASON_CHANNEL_NOT_FOUND, func(_ *testing.T, o *wireOrder) { o.unopened = true }},
		"a channel for another app":       {providerv1.Reason_REASON_CHANNEL_FOREIGN, terms(func(t *channel.Terms) { t.App = [32]byte{1} })},
		"terms with a lower cap":          {providerv1.Reason_REASON_CHANNEL_TERMS, terms(func(t *channel.Terms) { t.Cap = tariff.Units(1) })},
		"terms with a higher cap":         {providerv1.Reason_REASON_CHANNEL_TERMS, terms(func(t *channel.Terms) { t.Cap = t.Cap.Add(tariff.Units(1)) })},
		"terms with another payout":       {providerv1.Reason_REASON_CHANNEL_TERMS, terms(func(t *channel.Terms) { t.Payout = w.owner.Wallet.Address() })},
		"terms with a further payee": {providerv1.Reason_REASON_CHANNEL_TERMS, terms(func(t *channel.Terms) {
			t.Payees = []channel.Payee{{Account: w.owner.Wallet.Address(), Share: channel.One}}
		})},
		"terms with another signer":   {providerv1.Reason_REASON_CHANNEL_TERMS, terms(func(t *channel.Terms) { t.Signer = w.owner.Wallet.Address() })},
		"terms with another tariff":   {providerv1.Reason_REASON_CHANNEL_TERMS, terms(func(t *channel.Terms) { t.Tariff[0] ^= 1 })},
		"terms with another quote":    {providerv1.Reason_REASON_CHANNEL_TERMS, terms(func(t *channel.Terms) { t.Quote[0] ^= 1 })},
		"terms with another window":   {providerv1.Reason_REASON_CHANNEL_TERMS, terms(func(t *channel.Terms) { t.Window-- })},
		"terms with a shorter notice": {providerv1.Reason_REASON_CHANNEL_TERMS, terms(func(t *channel.Terms) { t.Notice = uint64(channel.MinNotice / time.Second) })},
		"the order names another channel": {providerv1.Reason_REASON_CHANNEL_TERMS, func(_ *testing.T, o *wireOrder) {
			o.statement = func(s *delegation.Statement) { s.Channel = w.running.terms.ID(w.owner.Domain()) }
		}},
		"a deposit below what was offered": {providerv1.Reason_REASON_DEPOSIT_TOO_SMALL, func(_ *testing.T, o *wireOrder) { o.deposit = tariff.Units(1) }},
		"a channel of another publisher": {providerv1.Reason_REASON_CHANNEL_FOREIGN, func(t *testing.T, o *wireOrder) {
			o.unopened, o.terms = true, func(terms *channel.Terms) { terms.Publisher = stranger }
			o.opened = chain(t, func(ctx context.Context, terms channel.Terms) error {
				_, err := w.stranger.Wallet.Open(ctx, terms, o.deposit)
				return err
			})
		}},
		"a channel under notice": {providerv1.Reason_REASON_CHANNEL_NOTICE, func(t *testing.T, o *wireOrder) {
			o.opened = chain(t, func(ctx context.Context, terms channel.Terms) error {
				_, err := w.owner.Wallet.Notice(ctx, terms)
				return err
			})
		}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			o := w.order(bed.Random(t))
			c.edit(t, &o)
			p := w.owner.prepare(t, o)
			w.refused(t, c.want, p, func() error {
				_, err := w.owner.RPC.Apply(p.ctx, p.request)
				return err
			})
		})
	}
}

// testUpdates: what runs goes on as it was last ordered.
func (w *wireWorld) testUpdates(t *testing.T) {
	aside := w.owner.prepare(t, w.order(w.salt)) // another channel for the same app, really open
	cases := map[string]struct {
		want providerv1.Reason
		by   *wireClient
		sent prepared
	}{
		"control: the order in force again": {providerv1.Reason_REASON_UNSPECIFIED, w.owner, w.running},
		"the order before again":            {providerv1.Reason_REASON_STATEMENT_STALE, w.owner, w.older},
		"an older number":                   {providerv1.Reason_REASON_STATEMENT_STALE, w.owner, w.update(t, 1999, "3", nil)},
		"the same number for another one":   {providerv1.Reason_REASON_STATEMENT_STALE, w.owner, w.update(t, 2000, "3", nil)},
		"a larger workload than is paid for": {providerv1.Reason_REASON_CAP_EXCEEDED, w.owner, w.update(t, 3000, "3", func(o *wireOrder) {
			o.manifest.Services[0].Resources.MilliCpu *= 40
		})},
		"an image that was never pushed": {providerv1.Reason_REASON_IMAGE_MISSING, w.owner, w.update(t, 3000, "3", func(o *wireOrder) {
			o.manifest.Services[0].Digest = "sha256:" + strings.Repeat("ab", 32)
		})},
		"another channel": {providerv1.Reason_REASON_CHANNEL_TERMS, w.owner, w.update(t, 3000, "3", func(o *wireOrder) {
			o.statement = func(s *delegation.Statement) { s.Channel = aside.terms.ID(w.owner.Domain()) }
		})},
		"a good order in a stranger's hands": {providerv1.Reason_REASON_DELEGATION_FOREIGN, w.stranger, w.update(t, 3000, "3", nil)},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			ctx := c.by.As(t, c.by.Grant(t, nil), &w.salt)
			call := func() error {
				_, err := c.by.RPC.Apply(ctx, c.sent.request)
				return err
			}
			if c.want == providerv1.Reason_REASON_UNSPECIFIED {
				if err := call(); err != nil {
					t.Error(err)
				}
				return
			}
			w.refused(t, c.want, w.running, call)
		})
	}
}
