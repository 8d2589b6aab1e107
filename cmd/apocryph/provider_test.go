// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/ecdsa"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/google/go-containerregistry/pkg/registry"

	"github.com/apocryph/apocryph/internal/account"
	"github.com/apocryph/apocryph/internal/channel"
	"github.com/apocryph/apocryph/internal/delegation"
	"github.com/apocryph/apocryph/internal/evidence"
	"github.com/apocryph/apocryph/internal/evm"
	manifestv1 "github.com/apocryph/apocryph/internal/gen/manifestv1"
	orderv1 "github.com/apocryph/apocryph/internal/gen/orderv1"
	providerv1 "github.com/apocryph/apocryph/internal/gen/providerv1"
	"github.com/apocryph/apocryph/internal/gen/providerv1/providerv1connect"
	"github.com/apocryph/apocryph/internal/manifest"
	"github.com/apocryph/apocryph/internal/p2p"
	"github.com/apocryph/apocryph/internal/quote"
	"github.com/apocryph/apocryph/internal/tariff"
	"github.com/apocryph/apocryph/internal/tee/sim"
	"github.com/apocryph/apocryph/internal/usage"
)

// fakeProvider answers as a provider does, checks what it is sent as one would, and runs nothing. What it does wrong depends on the app's name:
// "refused" is never taken, "stuck" never becomes ready, "cheat" is billed wrongly, "forger" with another's signature, "dear" has a cap out of proportion, "mute"
// signs the release and never submits it, "cut" sends half of what is in its volumes, "bent" something else.
type fakeProvider struct {
	providerv1connect.UnimplementedProviderServiceHandler

	world     *world
	addr      string
	simulator string
	host      *p2p.Host
	session   *evidence.Session
	signer    *ecdsa.PrivateKey
	wallet    *evm.Wallet
	prices    tariff.Tariff

	mu   sync.Mutex
	apps map[delegation.AppID]*fakeApp
}

type fakeApp struct {
	manifest *manifestv1.Manifest
	channel  channel.Terms
	// kept are volumes that left the manifest.
	kept  []*providerv1.VolumeStatus
	ended bool
	// former are the app's versions on channels before, each settled.
	former []*fakeApp
	// archives are what was put into volumes.
	archives map[string][]byte
	// release is signed when the app was stopped and nobody submits it.
	release *providerv1.Release
}

func newFakeProvider(t *testing.T, w *world, key *ecdsa.PrivateKey) *fakeProvider {
	t.Helper()
	f := &fakeProvider{
		world: w, apps: map[delegation.AppID]*fakeApp{}, wallet: w.faucet, signer: mustKey(t),
		prices: tariff.Tariff{
			Token: w.token, CPUHour: tariff.Units(40_000), MemoryGiBHour: tariff.Units(5_000), EphemeralGiBHour: tariff.Units(100), StorageGiBHour: tariff.Units(200),
		},
	}
	peer, err := p2p.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	if f.host, err = p2p.NewHost(p2p.Config{Key: peer, Listen: []string{"/ip4/127.0.0.1/tcp/0"}}); err != nil {
		t.Fatal(err)
	}
	f.addr = f.host.Addrs()[0]
	domain := w.faucet.Domain()
	device, err := sim.NewRoot(t.TempDir(), [evidence.MeasurementSize]byte{7}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	f.simulator = device.Accept(domain.ChainID).String()
	f.session, err = evidence.NewSession(t.Context(), device, evidence.Claims{
		Role: evidence.RoleProvider, Provider: crypto.PubkeyToAddress(key.PublicKey), ChainID: domain.ChainID, Contract: domain.Contract,
		Peer: f.host.Peer(), Signer: crypto.PubkeyToAddress(f.signer.PublicKey),
	}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle(providerv1connect.NewProviderServiceHandler(f))
	mux.Handle("/v2/", f.images(registry.New(registry.Logger(log.New(io.Discard, "", 0)))))
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- f.host.Serve(ctx, mux) }()
	t.Cleanup(func() {
		cancel()
		_ = errors.Join(<-served, f.host.Close())
	})
	return f
}

func mustKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := crypto.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func (f *fakeProvider) at() delegation.Provider {
	return delegation.Provider{Address: f.wallet.Address(), Peer: f.host.Peer()}
}

// caller checks the delegation of a call.
func (f *fakeProvider) caller(ctx context.Context, h http.Header, op orderv1.Operation, app []byte) (delegation.Delegation, error) {
	signed, err := delegation.DecodeHeader(h.Get(delegation.Header))
	if err != nil {
		return delegation.Delegation{}, refused(providerv1.Reason_REASON_DELEGATION_MISSING, err.Error())
	}
	d, err := delegation.Verify(signed, f.wallet.Domain(), p2p.Peer(ctx), f.at(), time.Now())
	if err != nil {
		return d, refused(providerv1.Reason_REASON_DELEGATION_INVALID, err.Error())
	}
	if err := d.Allows(op, delegation.AppID(app)); err != nil {
		return d, refused(providerv1.Reason_REASON_OPERATION_NOT_DELEGATED, err.Error())
	}
	return d, nil
}

func (f *fakeProvider) called(ctx context.Context, op orderv1.Operation, app []byte) (delegation.Delegation, error) {
	info, ok := connect.CallInfoForHandlerContext(ctx)
	if !ok {
		return delegation.Delegation{}, errors.New("no call info")
	}
	return f.caller(ctx, info.RequestHeader(), op, app)
}

func refused(reason providerv1.Reason, message string) error {
	code := connect.CodeFailedPrecondition
	if reason == providerv1.Reason_REASON_APP_NOT_FOUND {
		code = connect.CodeNotFound
	}
	err := connect.NewError(code, errors.New(message))
	if detail, derr := connect.NewErrorDetail(&providerv1.ErrorInfo{Reason: reason, Hint: "a hint of the provider\x1b[31m"}); derr == nil {
		err.AddDetail(detail)
	}
	return err
}

// images takes pushes of callers whose delegation covers the app in the path.
func (f *fakeProvider) images(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		parts := strings.Split(r.URL.Path, "/")
		if len(parts) > 4 {
			app, err := delegation.ParseAppID(parts[2])
			salt, serr := delegation.DecodeSalt(r.Header.Get(delegation.HeaderSalt))
			d, cerr := f.caller(r.Context(), r.Header, orderv1.Operation_OPERATION_APPLY, app[:])
			if err != nil || serr != nil || cerr != nil || delegation.NewAppID(d.Publisher, f.wallet.Address(), salt) != app {
				http.Error(w, "not yours", http.StatusForbidden)
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

func (f *fakeProvider) Evidence(_ context.Context, r *providerv1.EvidenceRequest) (*providerv1.EvidenceResponse, error) {
	b, err := f.session.Answer(r.Nonce)
	return &providerv1.EvidenceResponse{Evidence: b}, err
}

func (f *fakeProvider) Quote(ctx context.Context, r *providerv1.QuoteRequest) (*providerv1.QuoteResponse, error) {
	d, err := f.called(ctx, orderv1.Operation_OPERATION_APPLY, r.App)
	if err != nil {
		return nil, err
	}
	hash, err := manifest.HashOf(r.Manifest)
	if err != nil {
		return nil, err
	}
	id, err := f.prices.ID()
	if err != nil {
		return nil, err
	}
	most := quote.Cap(f.prices, r.Manifest)
	if r.Manifest.Name == "dear" {
		most = most.Mul(1000)
	}
	domain, provider := f.wallet.Domain(), f.wallet.Address()
	signed, err := quote.Sign(&orderv1.Quote{
		Provider: provider[:], Tariff: f.prices.Proto(), ManifestHash: hash[:], ExpiresAt: uint64(time.Now().Add(10 * time.Minute).Unix()),
		MinimumDeposit: tariff.Units(100).Bytes(), Host: r.Manifest.Name + ".apps.example", ChainId: domain.ChainID, Contract: domain.Contract[:],
		Terms: &orderv1.Terms{
			Publisher: d.Publisher[:], App: r.App, Payout: common.Address{1}.Bytes(), Signer: crypto.PubkeyToAddress(f.signer.PublicKey).Bytes(), Token: f.world.token[:],
			Tariff: id[:], Cap: most.Bytes(), Window: 86_400, Notice: 3_600,
		},
	}, f.signer)
	return &providerv1.QuoteResponse{Quote: signed}, err
}

func (f *fakeProvider) Apply(ctx context.Context, r *providerv1.ApplyRequest) (*providerv1.ApplyResponse, error) {
	st, err := delegation.VerifyStatement(r.Statement, f.wallet.Domain(), f.at(), p2p.CheckPeer)
	if err != nil {
		return nil, refused(providerv1.Reason_REASON_STATEMENT_INVALID, err.Error())
	}
	if _, err := f.called(ctx, orderv1.Operation_OPERATION_APPLY, st.App[:]); err != nil {
		return nil, err
	}
	terms, err := channel.FromProto(r.Terms)
	if err != nil {
		return nil, err
	}
	s, err := f.wallet.State(ctx, terms.ID(f.wallet.Domain()))
	hash, herr := manifest.HashOf(r.Manifest)
	switch {
	case err != nil:
		return nil, err
	case s.Status() != channel.Open:
		return nil, refused(providerv1.Reason_REASON_CHANNEL_CLOSED, "the channel is "+s.Status().String())
	case herr != nil || hash != st.ManifestHash:
		return nil, refused(providerv1.Reason_REASON_MANIFEST_INVALID, "not the manifest that was ordered")
	case r.Manifest.Name == "refused":
		return nil, refused(providerv1.Reason_REASON_HOST_TAKEN, "the host is taken")
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	next := &fakeApp{manifest: r.Manifest, channel: terms}
	if old := f.apps[st.App]; old != nil {
		next.keep(old)
		if err := f.follow(ctx, st, next, old); err != nil {
			return nil, err
		}
	}
	f.apps[st.App] = next
	return &providerv1.ApplyResponse{}, nil
}

// follow has an app pay by another channel, and settles the one before.
func (f *fakeProvider) follow(ctx context.Context, st delegation.Statement, next, old *fakeApp) error {
	domain := f.wallet.Domain()
	next.former = old.former
	if next.channel.ID(domain) == old.channel.ID(domain) {
		return nil
	}
	next.former = append(next.former, old)
	if len(st.Former) != len(next.former) || st.Former[len(st.Former)-1] != old.channel.ID(domain) {
		return refused(providerv1.Reason_REASON_CHANNEL_TERMS, "it does not follow on the channel that pays")
	}
	return f.settle(ctx, old)
}

// settle closes an app's channel at what it used.
func (f *fakeProvider) settle(ctx context.Context, a *fakeApp) error {
	if err := f.world.pass(time.Hour); err != nil { // so that the cap allows the claim
		return err
	}
	release, err := f.release(a)
	if err != nil {
		return err
	}
	total, err := tariff.ParseAmount(release.Total)
	if err != nil {
		return err
	}
	if _, err := f.wallet.Release(ctx, evm.Claim{Terms: a.channel, Total: total, Signature: release.Signature}); err != nil {
		return err
	}
	a.ended = true
	return nil
}

func (f *fakeProvider) release(a *fakeApp) (*providerv1.Release, error) {
	id := a.channel.ID(f.wallet.Domain())
	r := channel.Release{Channel: id, Total: f.prices.Cost(a.usage())}
	sig, err := channel.Sign(r, f.wallet.Domain(), f.signer)
	return &providerv1.Release{Channel: id[:], Total: r.Total.String(), Signature: sig}, err
}

// volumes are those of the manifest, and those that are kept.
func (a *fakeApp) volumes() []*providerv1.VolumeStatus {
	all := slices.Clone(a.kept)
	for _, v := range a.manifest.Volumes {
		all = append(all, &providerv1.VolumeStatus{Name: v.Name, SizeBytes: v.SizeBytes, Services: []string{"web"}})
	}
	return all
}

// keep takes over what is neither of this version nor removed.
func (a *fakeApp) keep(old *fakeApp) {
	for _, v := range old.volumes() {
		named := slices.ContainsFunc(a.manifest.Volumes, func(o *manifestv1.Volume) bool { return o.Name == v.Name })
		if !named && !slices.Contains(a.manifest.RemovedVolumes, v.Name) {
			a.kept = append(a.kept, &providerv1.VolumeStatus{Name: v.Name, SizeBytes: v.SizeBytes})
		}
	}
}

func (f *fakeProvider) app(id []byte) (*fakeApp, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if a := f.apps[delegation.AppID(id)]; a != nil {
		return a, nil
	}
	return nil, refused(providerv1.Reason_REASON_APP_NOT_FOUND, "no such app")
}

func (f *fakeProvider) status(id []byte) (*providerv1.AppStatus, error) {
	a, err := f.app(id)
	if err != nil {
		return nil, err
	}
	hash, err := manifest.HashOf(a.manifest)
	if err != nil {
		return nil, err
	}
	on := a.channel.ID(f.wallet.Domain())
	st := &providerv1.AppStatus{
		App: id, Channel: on[:], Name: a.manifest.Name, Phase: providerv1.Phase_PHASE_READY, Url: "http://" + a.manifest.Name + ".apps.example", ManifestHash: hash[:],
		Services:   []*providerv1.ServiceStatus{{Name: "web", Ready: 1, Wanted: 1}},
		Volumes:    a.volumes(),
		Conditions: []*providerv1.Condition{{Type: "Ready", Status: "True", Reason: "Running"}, {Type: "Verified", Status: "True", Reason: "Verified"}},
	}
	for _, was := range a.former {
		id := was.channel.ID(f.wallet.Domain())
		st.Former = append(st.Former, &providerv1.FormerChannel{Channel: id[:], Closed: true, Claimed: f.prices.Cost(was.usage()).String(), Refunded: "7"})
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case a.ended:
		st.Phase, st.EndReason = providerv1.Phase_PHASE_ENDED, "StoppedByPublisher"
	case a.release != nil:
		st.Phase = providerv1.Phase_PHASE_ENDING
	case a.manifest.Name == "stuck":
		st.Phase = providerv1.Phase_PHASE_STARTING
		st.Services[0].Ready, st.Services[0].Blocked = 0, "the container ended with code 1"
		st.Conditions[0].Status = "False"
	}
	return st, nil
}

func (f *fakeProvider) Status(ctx context.Context, r *providerv1.StatusRequest) (*providerv1.StatusResponse, error) {
	if _, err := f.called(ctx, orderv1.Operation_OPERATION_READ, r.App); err != nil {
		return nil, err
	}
	st, err := f.status(r.App)
	return &providerv1.StatusResponse{Status: st}, err
}

func (f *fakeProvider) Watch(ctx context.Context, r *providerv1.WatchRequest, out *connect.ServerStream[providerv1.WatchResponse]) error {
	if _, err := f.called(ctx, orderv1.Operation_OPERATION_READ, r.App); err != nil {
		return err
	}
	st, err := f.status(r.App)
	if err != nil {
		return err
	}
	if err := out.Send(&providerv1.WatchResponse{Status: st}); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}

func (f *fakeProvider) Logs(ctx context.Context, r *providerv1.LogsRequest, out *connect.ServerStream[providerv1.LogsResponse]) error {
	if _, err := f.called(ctx, orderv1.Operation_OPERATION_LOGS, r.App); err != nil {
		return err
	}
	for _, m := range written(r) {
		if err := out.Send(m); err != nil {
			return err
		}
	}
	if r.Service != "" && r.Service != "web" && r.Service != "old" {
		return refused(providerv1.Reason_REASON_BAD_REQUEST, fmt.Sprintf("the app has no service %q", r.Service))
	}
	return nil
}

func (f *fakeProvider) Events(ctx context.Context, r *providerv1.EventsRequest, out *connect.ServerStream[providerv1.EventsResponse]) error {
	if _, err := f.called(ctx, orderv1.Operation_OPERATION_READ, r.App); err != nil {
		return err
	}
	for _, e := range []*providerv1.Event{
		{Time: 1, Kind: "ordered", Message: "ordered", Count: 1},
		nil, // a heartbeat
		{Time: 2, Service: "web", Kind: "crashed", Message: "exited with code 3\x1b[2J", Count: 2, Warning: true},
	} {
		if r.Service != "" && e.GetService() != r.Service {
			continue
		}
		if err := out.Send(&providerv1.EventsResponse{Event: e}); err != nil {
			return err
		}
	}
	return nil
}

// written is what the app's services said, after a heartbeat.
func written(r *providerv1.LogsRequest) []*providerv1.LogsResponse {
	line := func(second uint64, service, text string) *providerv1.LogsResponse {
		return &providerv1.LogsResponse{Service: service, Line: []byte(text), Time: second * uint64(time.Second), Stderr: text == "oops"}
	}
	switch {
	case r.Previous:
		return []*providerv1.LogsResponse{line(0, "web", "crashed")}
	case r.Service == "old":
		return []*providerv1.LogsResponse{line(0, "old", "it was nice here")}
	case r.Service != "" && r.Service != "web":
		return nil
	}
	all := []*providerv1.LogsResponse{
		{}, line(1, "web", "listening on :8080"), {Service: "web", Notice: "9 bytes of the log are left out here"}, line(1, "web", "oops"), line(2, "web", "ready"),
	}
	if r.Tail != nil {
		return all[len(all)-int(*r.Tail):]
	}
	return all
}

func (a *fakeApp) usage() usage.Totals {
	pods, volumes := manifest.Rate(a.manifest)
	return pods.Add(volumes).For(600)
}

func (f *fakeProvider) Bill(ctx context.Context, r *providerv1.BillRequest) (*providerv1.BillResponse, error) {
	if _, err := f.called(ctx, orderv1.Operation_OPERATION_READ, r.App); err != nil {
		return nil, err
	}
	a, err := f.app(r.App)
	if err != nil {
		return nil, err
	}
	for _, was := range a.former {
		if id := was.channel.ID(f.wallet.Domain()); string(r.Channel) == string(id[:]) {
			a = was
		}
	}
	u := a.usage()
	owed := f.prices.Cost(u)
	if a.manifest.Name == "cheat" {
		owed = owed.Add(tariff.Units(1))
	}
	signed, err := f.account(r.App, a, u)
	if err != nil {
		return nil, err
	}
	return &providerv1.BillResponse{
		Account: signed, Reserve: "1000",
		Tariff: f.prices.Proto(), CpuMilliSeconds: u.CPU.String(), MemoryByteSeconds: u.Memory.String(), EphemeralByteSeconds: u.Ephemeral.String(),
		StorageByteSeconds: u.Storage.String(), EgressBytes: u.Egress.String(), Extended: account.Extended(u), Owed: owed.String(), Vouchered: owed.String(), Hourly: "11000", AccruedTo: 1_800_000_000, Final: a.ended, Release: a.release,
	}, nil
}

// account is what an enclave signs; that of the app "forger" is signed by nobody it knows.
func (f *fakeProvider) account(id []byte, a *fakeApp, u usage.Totals) (*orderv1.SignedAccount, error) {
	prices, err := f.prices.ID()
	if err != nil {
		return nil, err
	}
	key := f.signer
	if a.manifest.Name == "forger" {
		if key, err = crypto.GenerateKey(); err != nil {
			return nil, err
		}
	}
	return account.Sign(account.Account{
		App: [32]byte(id), Channel: a.channel.ID(f.wallet.Domain()), Tariff: prices, Usage: u, Total: f.prices.Cost(u),
		AccruedTo: time.Unix(1_800_000_000, 0), Sequence: 7, Final: a.ended,
	}, key)
}

func (f *fakeProvider) Stop(ctx context.Context, r *providerv1.StopRequest) (*providerv1.StopResponse, error) {
	st, err := delegation.VerifyStatement(r.Statement, f.wallet.Domain(), f.at(), p2p.CheckPeer)
	if err != nil || st.Action != orderv1.Action_ACTION_STOP {
		return nil, refused(providerv1.Reason_REASON_STATEMENT_INVALID, fmt.Sprint(err))
	}
	if _, err := f.called(ctx, orderv1.Operation_OPERATION_STOP, st.App[:]); err != nil {
		return nil, err
	}
	a, err := f.app(st.App[:])
	if err != nil {
		return nil, err
	}
	if a.manifest.Name == "mute" {
		if err := f.world.pass(time.Hour); err != nil {
			return nil, err
		}
		release, err := f.release(a)
		f.mu.Lock()
		defer f.mu.Unlock()
		a.release = release
		return &providerv1.StopResponse{}, err
	}
	if channel.ID(st.Channel) != a.channel.ID(f.wallet.Domain()) {
		return nil, refused(providerv1.Reason_REASON_CHANNEL_TERMS, "another channel pays")
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return &providerv1.StopResponse{}, f.settle(ctx, a)
}
