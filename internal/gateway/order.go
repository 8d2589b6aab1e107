// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"github.com/ethereum/go-ethereum/common"
	"google.golang.org/protobuf/proto"
	kerrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/apocryph/apocryph/api/v1alpha1"
	"github.com/apocryph/apocryph/internal/channel"
	"github.com/apocryph/apocryph/internal/delegation"
	"github.com/apocryph/apocryph/internal/fault"
	manifestv1 "github.com/apocryph/apocryph/internal/gen/manifestv1"
	orderv1 "github.com/apocryph/apocryph/internal/gen/orderv1"
	providerv1 "github.com/apocryph/apocryph/internal/gen/providerv1"
	"github.com/apocryph/apocryph/internal/manifest"
	"github.com/apocryph/apocryph/internal/quote"
	"github.com/apocryph/apocryph/internal/tariff"
)

// writeAttempts bounds how often an App that others change meanwhile is read again.
const writeAttempts = 8

// order is what an Apply asks for, as far as it was checked.
type order struct {
	caller *caller
	req    *providerv1.ApplyRequest

	app       delegation.AppID
	encoded   []byte // the signed statement as the App keeps it
	statement delegation.Statement
	hash      manifest.Hash
	// present is the App as it is; nil for a first order. Repeated says that it holds this very order.
	present  *v1alpha1.App
	repeated bool
	// succeeds says that the order names another channel than the one that pays, to follow on it.
	succeeds bool
	quote    *orderv1.Quote
	tariff   tariff.Tariff
	terms    channel.Terms
	channel  channel.ID
}

// checks are the policy for an order. Each builds on those before it; what costs the provider least comes first.
func (g *Gateway) checks() []func(context.Context, *order) error {
	return []func(context.Context, *order) error{
		g.checkStatement,
		g.checkManifest,
		g.checkPresent,
		g.checkVolumes,
		g.checkQuote,
		g.checkPublisher,
		g.checkTerms,
		g.checkCap,
		g.checkMachines,
		g.checkChannel,
		g.checkImages,
	}
}

// Apply creates or updates an app, after every check has passed; before that it changes nothing.
func (s server) Apply(ctx context.Context, r *providerv1.ApplyRequest) (*providerv1.ApplyResponse, error) {
	g := s.g
	c, err := g.allowed(ctx, orderv1.Operation_OPERATION_APPLY)
	if err != nil {
		return nil, err
	}
	o := &order{caller: c, req: r}
	for _, check := range g.checks() {
		if err := check(ctx, o); err != nil {
			return nil, err
		}
		if o.repeated {
			return &providerv1.ApplyResponse{Status: statusOf(o.present)}, nil
		}
	}
	app, err := g.write(ctx, o)
	if err != nil {
		return nil, err
	}
	return &providerv1.ApplyResponse{Status: statusOf(app)}, nil
}

// checkStatement: the caller itself signed the order, under a delegation of the publisher in the app id.
func (g *Gateway) checkStatement(_ context.Context, o *order) error {
	st, err := g.verifyStatement(o.caller, o.req.Statement, orderv1.Action_ACTION_APPLY)
	if err != nil {
		return err
	}
	o.statement, o.app = st, st.App
	if o.encoded, err = (proto.MarshalOptions{Deterministic: true}).Marshal(o.req.Statement); err != nil {
		return fmt.Errorf("encoding statement: %w", err)
	}
	return checkIdentity(o.caller, o.app, o.req.AppSalt)
}

// verifyStatement checks a statement that the caller sends about an app of theirs.
func (g *Gateway) verifyStatement(c *caller, s *orderv1.SignedStatement, action orderv1.Action) (delegation.Statement, error) {
	if s == nil {
		return delegation.Statement{}, refuse(providerv1.Reason_REASON_STATEMENT_INVALID, "no statement")
	}
	st, err := delegation.VerifyStatement(s, g.cfg.Domain, g.cfg.Provider, g.parts.CheckPeer)
	switch {
	case err != nil:
		return delegation.Statement{}, err
	case st.Action != action:
		return delegation.Statement{}, refuse(providerv1.Reason_REASON_STATEMENT_INVALID, "the statement orders %s", st.Action)
	case st.Delegation.Peer != c.peer || st.Delegation.Publisher != c.delegation.Publisher:
		return delegation.Statement{}, refuse(providerv1.Reason_REASON_DELEGATION_FOREIGN, "the statement is of another peer or publisher")
	}
	// The delegation in force has to cover it too, not only the one it was signed under.
	op := orderv1.Operation_OPERATION_APPLY
	if action == orderv1.Action_ACTION_STOP {
		op = orderv1.Operation_OPERATION_STOP
	}
	return st, c.delegation.Allows(op, st.App)
}

// checkManifest: the manifest is canonical and the one that was ordered.
func (g *Gateway) checkManifest(_ context.Context, o *order) error {
	hash, err := checkManifestForm(o.req.Manifest)
	if err != nil {
		return err
	}
	if hash != o.statement.ManifestHash {
		return refuse(providerv1.Reason_REASON_STATEMENT_INVALID, "the statement orders manifest %x, this is %s", o.statement.ManifestHash, hash)
	}
	o.hash = hash
	return nil
}

// checkPresent: the app has not ended, and this order is newer than the one in force. The same order again is no error.
func (g *Gateway) checkPresent(ctx context.Context, o *order) error {
	app, err := g.existing(ctx, o.caller, o.app)
	if err != nil {
		return err
	}
	o.present, o.repeated, o.succeeds = app, false, false
	switch {
	case app == nil && len(o.statement.Former) > 0:
		return refuse(providerv1.Reason_REASON_CHANNEL_TERMS, "no channel has paid for app %s before", o.app)
	case app == nil:
		return nil
	case ending(app):
		err := refuse(providerv1.Reason_REASON_APP_ENDED, "app %s has ended", o.app)
		return fault.Hint(err, "deploy it as a new app")
	case bytes.Equal(app.Spec.Statement, o.encoded):
		o.repeated = true
		return nil
	case o.statement.Sequence <= uint64(max(app.Spec.Sequence, 0)):
		return refuse(providerv1.Reason_REASON_STATEMENT_STALE, "statement %d comes after %d", o.statement.Sequence, app.Spec.Sequence)
	}
	return o.checkRow(app.Spec)
}

// checkRow: the channels that the order names are those that the app has had, or those and one more.
func (o *order) checkRow(is v1alpha1.AppSpec) error {
	var had, named []string
	for _, f := range is.Former {
		had = append(had, f.Channel)
	}
	had = append(had, is.Channel)
	for _, id := range append(slices.Clone(o.statement.Former), o.statement.Channel) {
		named = append(named, channel.ID(id).String())
	}
	o.succeeds = len(named) == len(had)+1
	if !slices.Equal(had, named) && (!o.succeeds || !slices.Equal(had, named[:len(had)])) {
		err := refuse(providerv1.Reason_REASON_CHANNEL_TERMS, "the app is paid by channel %s, after %d others", is.Channel, len(is.Former))
		return fault.Hint(err, "update it on that channel, or on one that follows on it and names all before; or stop it and deploy it as a new app")
	}
	return nil
}

// checkQuote: this enclave made the offer, for this provider, chain and contract. To start an app, or to follow on the channel of one, it
// must not have expired; a running app goes on by the offer that its channel was opened on.
func (g *Gateway) checkQuote(_ context.Context, o *order) error {
	q, err := quote.Verify(o.req.Quote, g.cfg.Signer)
	if err != nil {
		return fault.As(err, providerv1.Reason_REASON_QUOTE_INVALID)
	}
	switch {
	case common.Address(q.Provider) != g.cfg.Provider.Address:
		return refuse(providerv1.Reason_REASON_QUOTE_INVALID, "the quote is of another provider")
	case q.ChainId != g.cfg.Domain.ChainID || common.Address(q.Contract) != g.cfg.Domain.Contract:
		return refuse(providerv1.Reason_REASON_QUOTE_INVALID, "the quote is for another chain or contract")
	}
	if o.tariff, err = tariff.FromProto(q.Tariff); err != nil {
		return fault.As(err, providerv1.Reason_REASON_QUOTE_INVALID)
	}
	o.quote = q
	if o.present != nil && !o.succeeds {
		return nil
	}
	// A channel that was opened in time must not be lost to a slow chain or a slow upload: its money would be stuck until a notice ends.
	return fault.Hint(quote.Expired(q, g.parts.Now().Add(-quoteGrace)), "ask for a new quote; a channel opened on this one can be settled by stopping or by notice")
}

// checkPublisher: the channel is for this app, and its publisher is the caller's.
func (g *Gateway) checkPublisher(_ context.Context, o *order) error {
	t := o.req.Terms
	if t == nil {
		return refuse(providerv1.Reason_REASON_CHANNEL_TERMS, "no channel terms")
	}
	if !bytes.Equal(t.Publisher, o.caller.delegation.Publisher[:]) || !bytes.Equal(t.App, o.app[:]) {
		return refuse(providerv1.Reason_REASON_CHANNEL_FOREIGN, "the channel is of another publisher or app")
	}
	return nil
}

// checkTerms: the channel's terms are those of the quote, and the publisher ordered on this channel.
func (g *Gateway) checkTerms(_ context.Context, o *order) error {
	if err := quote.CheckTerms(o.req.Quote, o.quote, o.req.Terms); err != nil {
		return err
	}
	terms, err := channel.FromProto(o.req.Terms)
	if err != nil {
		return err
	}
	o.terms, o.channel = terms, terms.ID(g.cfg.Domain)
	if o.succeeds && terms.Token != g.cfg.Tariff.Token {
		return refuse(providerv1.Reason_REASON_CHANNEL_TERMS, "the channel is in another token than the one before it")
	}
	if o.channel != channel.ID(o.statement.Channel) {
		return refuse(providerv1.Reason_REASON_CHANNEL_TERMS, "the statement names channel %s, the terms are of %s", channel.ID(o.statement.Channel), o.channel)
	}
	return nil
}

// withKept is a manifest with the volumes of earlier versions that stay beside its own.
func withKept(m *manifestv1.Manifest, present *v1alpha1.App) *manifestv1.Manifest {
	if present == nil {
		return m
	}
	all := &manifestv1.Manifest{Services: m.GetServices(), Volumes: slices.Clone(m.GetVolumes()), EgressBytesPerSecond: m.GetEgressBytesPerSecond()}
	for _, v := range present.Status.Volumes {
		named := slices.ContainsFunc(m.GetVolumes(), func(o *manifestv1.Volume) bool { return o.GetName() == v.Name })
		if !named && !slices.Contains(m.GetRemovedVolumes(), v.Name) {
			all.Volumes = append(all.Volumes, &manifestv1.Volume{Name: v.Name, SizeBytes: uint64(max(v.SizeBytes, 0))})
		}
	}
	return all
}

// checkVolumes: none is smaller than it is. Its data would have no place to go.
func (g *Gateway) checkVolumes(_ context.Context, o *order) error {
	if o.present == nil {
		return nil
	}
	for _, v := range o.req.Manifest.GetVolumes() {
		for _, is := range o.present.Status.Volumes {
			if is.Name == v.GetName() && uint64(max(is.SizeBytes, 0)) > v.GetSizeBytes() {
				err := refuse(providerv1.Reason_REASON_MANIFEST_INVALID, "volume %s has %d bytes, and can't shrink to %d", is.Name, is.SizeBytes, v.GetSizeBytes())
				return fault.Hint(err, "leave it as large as it is, or use a volume of another name; see: apocryph volume ls")
			}
		}
	}
	return nil
}

// checkCap: all that was ordered can be claimed, what is kept of earlier versions included.
func (g *Gateway) checkCap(_ context.Context, o *order) error {
	if err := checkSold(o.tariff, o.req.Manifest); err != nil {
		return err
	}
	if least := quote.LeastCap(o.tariff, withKept(o.req.Manifest, o.present)); o.terms.Cap.Cmp(least) < 0 {
		err := refuse(providerv1.Reason_REASON_CAP_EXCEEDED, "the manifest needs a cap of %s per second, the channel has %s", least, o.terms.Cap)
		return fault.Hint(err, "deploy it, which opens a channel with a larger cap; or make the app smaller, or remove volumes that are only kept: apocryph volume ls")
	}
	return nil
}

// checkMachines: some machine could run it.
func (g *Gateway) checkMachines(ctx context.Context, o *order) error {
	return g.checkResources(ctx, o.req.Manifest)
}

// checkChannel: the channel is open, without notice, and holds enough to start.
func (g *Gateway) checkChannel(ctx context.Context, o *order) error {
	state, now, err := g.parts.Chain.Channel(ctx, o.channel)
	if err != nil {
		g.parts.Log.WarnContext(ctx, "chain unseen", "channel", o.channel, "error", err)
		err := refuse(providerv1.Reason_REASON_CHAIN_UNSEEN, "the provider can't see the chain")
		return fault.Hint(err, "try again in a moment: nothing is lost")
	}
	switch state.Status(now) {
	case channel.None:
		err := refuse(providerv1.Reason_REASON_CHANNEL_NOT_FOUND, "channel %s is not open", o.channel)
		return fault.Hint(err, "wait until the opening is mined, then send the same order again")
	case channel.Notice, channel.Ended:
		return refuse(providerv1.Reason_REASON_CHANNEL_NOTICE, "notice was given on channel %s", o.channel)
	case channel.Closed:
		return refuse(providerv1.Reason_REASON_CHANNEL_CLOSED, "channel %s is closed", o.channel)
	case channel.Open:
	}
	least, err := tariff.AmountFromBytes(o.quote.MinimumDeposit)
	if err != nil {
		return fault.As(err, providerv1.Reason_REASON_QUOTE_INVALID)
	}
	if (o.present == nil || o.succeeds) && state.Remaining().Cmp(least) < 0 {
		err := refuse(providerv1.Reason_REASON_DEPOSIT_TOO_SMALL, "channel %s holds %s, the least to start is %s", o.channel, state.Remaining(), least)
		return fault.Hint(err, "add funds with: apocryph channel deposit")
	}
	return nil
}

// write gives the app its host and stores the order. Others write to the object too, so it is read and checked again as often as it
// changes meanwhile.
func (g *Gateway) write(ctx context.Context, o *order) (*v1alpha1.App, error) {
	g.hosts.Lock()
	defer g.hosts.Unlock()
	for range writeAttempts {
		if err := g.checkPresent(ctx, o); err != nil {
			return nil, err
		}
		if o.repeated {
			return o.present, nil
		}
		if err := g.checkRoom(ctx, o.caller, o.present); err != nil {
			return nil, err
		}
		label := g.labelFor(o.req.Manifest, o.present, o.app)
		if err := g.checkHostFree(ctx, o.app, label); err != nil {
			return nil, err
		}
		app, err := g.render(o, label)
		if err != nil {
			return nil, err
		}
		if o.present == nil {
			err = g.parts.Cluster.Create(ctx, app)
		} else {
			err = g.parts.Cluster.Update(ctx, app)
		}
		switch {
		case err == nil:
			g.parts.Log.InfoContext(ctx, "order accepted", "app", app.Name, "sequence", app.Spec.Sequence, "publisher", app.Spec.Publisher)
			return app, nil
		case !kerrors.IsConflict(err) && !kerrors.IsAlreadyExists(err):
			return nil, fmt.Errorf("writing app: %w", err)
		}
	}
	return nil, fmt.Errorf("writing app %s: it changed %d times meanwhile", o.app, writeAttempts)
}

// render is the App with this order: what is there stays, Replicas above all.
func (g *Gateway) render(o *order, label string) (*v1alpha1.App, error) {
	app := &v1alpha1.App{ObjectMeta: metav1.ObjectMeta{
		Namespace: g.cfg.Namespace, Name: o.app.String(), Finalizers: []string{v1alpha1.FinalizerChannel},
	}}
	if o.present != nil {
		app = o.present.DeepCopy()
	}
	encoded, err := manifest.Encode(o.req.Manifest)
	if err != nil {
		return nil, err
	}
	terms, err := proto.MarshalOptions{Deterministic: true}.Marshal(o.req.Terms)
	if err != nil {
		return nil, fmt.Errorf("encoding terms: %w", err)
	}
	signed, err := proto.MarshalOptions{Deterministic: true}.Marshal(o.req.Quote)
	if err != nil {
		return nil, fmt.Errorf("encoding quote: %w", err)
	}
	if app.Labels == nil {
		app.Labels = map[string]string{}
	}
	app.Labels[labelPublisher] = o.caller.publisher()
	delete(app.Labels, labelHost)
	if label != "" {
		app.Labels[labelHost] = label
	}
	s := &app.Spec
	s.Name = o.req.Manifest.Name
	s.Publisher, s.Provider = o.caller.publisher(), hexOf(g.cfg.Provider.Address)
	s.Salt = channel.ID(o.req.AppSalt).String() // the same form: 0x and 64 digits
	s.Manifest, s.ManifestHash = encoded, o.hash.String()
	s.Statement, s.Sequence = slices.Clone(o.encoded), int64(o.statement.Sequence)
	if o.succeeds {
		s.Former = append(s.Former, v1alpha1.FormerChannel{Channel: s.Channel, Terms: s.Terms, Quote: s.Quote})
	}
	s.Channel, s.Terms, s.Quote = o.channel.String(), terms, signed
	s.Host = g.fullHost(label)
	return app, nil
}
