// SPDX-License-Identifier: Apache-2.0

package publisher_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"

	"github.com/apocryph/apocryph/internal/appfile"
	"github.com/apocryph/apocryph/internal/channel"
	"github.com/apocryph/apocryph/internal/delegation"
	"github.com/apocryph/apocryph/internal/eip712"
	"github.com/apocryph/apocryph/internal/evidence"
	manifestv1 "github.com/apocryph/apocryph/internal/gen/manifestv1"
	orderv1 "github.com/apocryph/apocryph/internal/gen/orderv1"
	providerv1 "github.com/apocryph/apocryph/internal/gen/providerv1"
	"github.com/apocryph/apocryph/internal/gen/providerv1/providerv1connect"
	"github.com/apocryph/apocryph/internal/manifest"
	"github.com/apocryph/apocryph/internal/publisher"
	"github.com/apocryph/apocryph/internal/quote"
	"github.com/apocryph/apocryph/internal/tariff"
	"github.com/apocryph/apocryph/internal/usage"
)

const peerID = "provider-peer"

var errCrash = errors.New("killed")

// world is everything around a Publisher, in memory, with places to crash.
type world struct {
	t   *testing.T
	now time.Time

	// The chain.
	domain  eip712.Domain
	states  map[channel.ID]channel.State
	balance tariff.Amount
	opened  []channel.ID
	unseen  bool
	// underWay is an opening that a killed process sent and that is mined when the wallet waits for it.
	underWay func()
	// hidden channels are not there for the endpoint that State asks.
	hidden   map[channel.ID]bool
	closings map[channel.ID]publisher.Closing
	openings []publisher.Opening

	// The provider.
	mu     sync.Mutex
	signer *ecdsa.PrivateKey
	prices tariff.Tariff
	edit   func(*orderv1.Quote)
	calls  []string
	apps   map[delegation.AppID]*providerv1.AppStatus
	terms  map[delegation.AppID]channel.Terms
	// rows are the channels of each app as they were ordered, oldest first.
	rows     map[delegation.AppID][]channel.ID
	kept     []*providerv1.VolumeStatus
	sequence uint64
	refuse   error
	// forged says that the enclave does not accept what is ordered.
	forged bool
	// ends says that an app which was ordered is stopped by somebody else at once.
	ends bool
	// takenBack says that what is ordered does not come up, and the version before serves.
	takenBack bool
	released  *publisher.Release
	// bills answers instead, if it is set.
	bills func(*providerv1.BillRequest) (*providerv1.BillResponse, error)

	// crash names the step that is cut short, once.
	crash string

	wallet *ecdsa.PrivateKey
	peer   ed25519.PrivateKey
	dir    string
	server *httptest.Server
}

// bank is the chain and the wallet, me this machine, far the provider.
type (
	bank struct{ *world }
	me   struct{ *world }
	far  struct {
		*world
		providerv1connect.UnimplementedProviderServiceHandler
	}
)

type hardware struct{}

func (hardware) Check(evidence.Attestation, evidence.Wanted, time.Time) ([evidence.MeasurementSize]byte, error) {
	return [evidence.MeasurementSize]byte{1}, nil
}

func (hardware) Attest(context.Context, [evidence.ReportDataSize]byte) (evidence.Attestation, error) {
	return evidence.Attestation{Kind: evidence.KindSEVSNP, Report: []byte("report"), Certs: [][]byte{[]byte("cert")}}, nil
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{
		t: t, now: time.Now().Truncate(time.Second), domain: eip712.Domain{ChainID: 7, Contract: common.Address{9}},
		states: map[channel.ID]channel.State{}, balance: tariff.Units(1_000_000), closings: map[channel.ID]publisher.Closing{},
		apps: map[delegation.AppID]*providerv1.AppStatus{}, terms: map[delegation.AppID]channel.Terms{}, rows: map[delegation.AppID][]channel.ID{},
		prices: tariff.Tariff{Token: common.Address{5}, CPUHour: tariff.Units(40_000), MemoryGiBHour: tariff.Units(5_000)},
		edit:   func(*orderv1.Quote) {},
	}
	var err error
	if w.signer, err = crypto.GenerateKey(); err != nil {
		t.Fatal(err)
	}
	if w.wallet, err = crypto.GenerateKey(); err != nil {
		t.Fatal(err)
	}
	if _, w.peer, err = ed25519.GenerateKey(nil); err != nil {
		t.Fatal(err)
	}
	path, handler := providerv1connect.NewProviderServiceHandler(far{world: w})
	mux := http.NewServeMux()
	mux.Handle(path, handler)
	w.server, w.dir = httptest.NewServer(mux), t.TempDir()
	t.Cleanup(w.server.Close)
	return w
}

// start makes the Publisher of a new process on the same state.
func (w *world) start() *publisher.Publisher {
	store, err := publisher.OpenStore(w.dir)
	if err != nil {
		w.t.Fatal(err)
	}
	return &publisher.Publisher{
		Store: store, Chain: bank{w}, Wallet: bank{w}, Peer: me{w}, Token: w.prices.Token, Now: func() time.Time { return w.now }, Trust: evidence.Policy{Hardware: hardware{}},
		Dial: func(context.Context, string) (*publisher.Conn, error) {
			return &publisher.Conn{
				Peer: peerID, RPC: providerv1connect.NewProviderServiceClient(w.server.Client(), w.server.URL), Transport: http.DefaultTransport, Close: func() {},
			}, nil
		},
		Resolve: func(context.Context, string) (publisher.Image, error) {
			return publisher.Image{
				Image: appfile.Image{Digest: "sha256:" + "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"},
				Push: func(context.Context, publisher.PushTarget, func(done, total int64)) error {
					return w.at("push")
				},
			}, nil
		},
	}
}

// at crashes if this is the step to crash at.
func (w *world) at(step string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls = append(w.calls, step)
	if w.crash != step {
		return nil
	}
	w.crash = ""
	return errCrash
}

// Chain.

func (w bank) Domain() eip712.Domain { return w.domain }

func (w bank) State(_ context.Context, id channel.ID) (channel.State, time.Time, error) {
	if w.unseen {
		return channel.State{}, time.Time{}, errors.New("the chain does not answer")
	}
	if w.hidden[id] {
		return channel.State{}, w.now, nil
	}
	return w.states[id], w.now, nil
}

func (w bank) Exists(_ context.Context, id channel.ID) (bool, error) {
	return w.states[id].Status(w.now) != channel.None, nil
}

func (w bank) Closing(_ context.Context, id channel.ID, _ uint64) (publisher.Closing, error) {
	return w.closings[id], nil
}

func (w bank) Balance(context.Context, common.Address, common.Address) (tariff.Amount, error) {
	return w.balance, nil
}

func (w bank) Token(context.Context, common.Address) (publisher.Token, error) {
	return publisher.Token{Address: w.prices.Token, Symbol: "TEST", Decimals: 6}, nil
}

func (w bank) Credit(context.Context, common.Address, common.Address) (tariff.Amount, error) {
	return tariff.Amount{}, nil
}

func (w bank) Final(_ context.Context, id channel.ID) (channel.State, error) {
	return w.states[id], nil
}

func (w bank) Openings(context.Context, common.Address, uint64) ([]publisher.Opening, error) {
	return w.openings, nil
}

func (w bank) Head(context.Context) (uint64, error) { return 1, w.at("plan") }

// Wallet.

func (w bank) Settle(context.Context) error {
	if mine := w.underWay; mine != nil {
		w.underWay = nil
		mine()
	}
	return w.at("settle")
}

func (w bank) Address() common.Address { return crypto.PubkeyToAddress(w.wallet.PublicKey) }

func (w bank) SignDelegation(d delegation.Delegation, domain eip712.Domain) (*orderv1.SignedDelegation, error) {
	return delegation.Sign(d, domain, w.wallet)
}

func (w bank) Open(_ context.Context, t channel.Terms, amount tariff.Amount) (string, error) {
	if err := w.at("open"); err != nil {
		return "", err
	}
	id := t.ID(w.domain)
	if w.crash == "sent" {
		w.underWay = func() { _ = w.open(id, amount) }
		return "", w.at("sent")
	}
	return "0x1", errors.Join(w.open(id, amount), w.at("opened"))
}

func (w bank) open(id channel.ID, amount tariff.Amount) error {
	w.opened = append(w.opened, id)
	w.states[id] = channel.State{Deposited: amount, SpentUntil: uint64(w.now.Unix())}
	var err error
	w.balance, err = w.balance.Sub(amount)
	return err
}

func (w bank) Deposit(context.Context, channel.Terms, tariff.Amount) (string, error) {
	return "0x2", nil
}
func (w bank) Notice(context.Context, channel.Terms) (string, error)   { return "0x3", nil }
func (w bank) Withdraw(context.Context, channel.Terms) (string, error) { return "0x4", nil }
func (w bank) Release(_ context.Context, t channel.Terms, r publisher.Release) (string, error) {
	id := t.ID(w.domain)
	s := w.states[id]
	s.Claimed = s.Claimed.Add(channel.Claimable(s, t, r.Total, w.now))
	s.NoticeEnd = 1<<40 - 1
	w.states[id] = s
	return "0x6", w.at("release")
}

func (w bank) WithdrawCredit(context.Context, common.Address, common.Address) (string, error) {
	return "0x7", nil
}

// Peer.

func (w me) Peer() string                        { return "publisher-peer" }
func (w me) Sign(message []byte) ([]byte, error) { return ed25519.Sign(w.peer, message), nil }

// Provider.

func (w far) Evidence(ctx context.Context, r *providerv1.EvidenceRequest) (*providerv1.EvidenceResponse, error) {
	if err := w.at("evidence"); err != nil {
		return nil, err
	}
	session, err := evidence.NewSession(ctx, hardware{}, evidence.Claims{
		Role: evidence.RoleProvider, Provider: common.Address{3}, ChainID: w.domain.ChainID, Contract: w.domain.Contract, Peer: peerID,
		Signer: crypto.PubkeyToAddress(w.signer.PublicKey),
	}, w.now)
	if err != nil {
		return nil, err
	}
	b, err := session.Answer(r.Nonce)
	return &providerv1.EvidenceResponse{Evidence: b}, err
}

func (w far) Quote(_ context.Context, r *providerv1.QuoteRequest) (*providerv1.QuoteResponse, error) {
	if err := w.at("quote"); err != nil {
		return nil, err
	}
	hash, err := manifest.HashOf(r.Manifest)
	if err != nil {
		return nil, err
	}
	id, err := w.prices.ID()
	if err != nil {
		return nil, err
	}
	publisherAddress, provider, payout := bank{w.world}.Address(), common.Address{3}, common.Address{4}
	q := &orderv1.Quote{
		Provider: provider[:], Tariff: w.prices.Proto(), ManifestHash: hash[:], ExpiresAt: uint64(w.now.Add(10 * time.Minute).Unix()),
		MinimumDeposit: tariff.Units(100).Bytes(), ChainId: w.domain.ChainID, Contract: w.domain.Contract[:],
		Terms: &orderv1.Terms{
			Publisher: publisherAddress[:], App: r.App, Payout: payout[:], Signer: crypto.PubkeyToAddress(w.signer.PublicKey).Bytes(), Token: w.prices.Token[:],
			Tariff: id[:], Cap: quote.Cap(w.prices, r.Manifest).Bytes(), Window: 3600, Notice: 3600,
		},
	}
	w.edit(q)
	signed, err := quote.Sign(q, w.signer)
	return &providerv1.QuoteResponse{Quote: signed}, err
}

func (w *world) verify(_ string, message, signature []byte) (bool, error) {
	return ed25519.Verify(w.peer.Public().(ed25519.PublicKey), message, signature), nil
}

func (w *world) statement(s *orderv1.SignedStatement) (delegation.Statement, error) {
	st, err := delegation.VerifyStatement(s, w.domain, delegation.Provider{Address: common.Address{3}, Peer: peerID}, w.verify)
	if err != nil {
		return st, err
	}
	if st.Sequence < w.sequence {
		return st, errors.New("stale")
	}
	w.sequence = st.Sequence
	return st, nil
}

func (w far) Apply(_ context.Context, r *providerv1.ApplyRequest) (*providerv1.ApplyResponse, error) {
	if err := w.at("apply"); err != nil {
		return nil, err
	}
	st, err := w.statement(r.Statement)
	if err != nil {
		return nil, err
	}
	if w.refuse != nil {
		return nil, w.refuse
	}
	terms, err := channel.FromProto(r.Terms)
	if err != nil {
		return nil, err
	}
	if w.states[terms.ID(w.domain)].Status(w.now) != channel.Open || channel.ID(st.Channel) != terms.ID(w.domain) {
		return nil, refusal(providerv1.Reason_REASON_CHANNEL_NOT_FOUND)
	}
	if err := w.follow(st, terms, r.Manifest); err != nil {
		return nil, err
	}
	w.apps[st.App] = &providerv1.AppStatus{App: st.App[:], Channel: st.Channel[:], Volumes: w.kept, Phase: providerv1.Phase_PHASE_READY, Url: "http://x", ManifestHash: st.ManifestHash[:],
		Conditions: []*providerv1.Condition{{Type: "Verified", Status: "True"}, {Type: "Ready", Status: "True"}}}
	if w.forged {
		w.apps[st.App].Conditions[0].Status = "False"
	}
	if w.ends {
		w.apps[st.App].Phase = providerv1.Phase_PHASE_ENDING
	}
	if w.takenBack {
		w.apps[st.App].Conditions[1] = &providerv1.Condition{Type: "Ready", Status: "False", Reason: "TakenBack", Message: "web: no such table"}
	}
	w.terms[st.App] = terms
	return &providerv1.ApplyResponse{}, w.at("applied")
}

// follow takes a row of channels as the gateway does.
func (w *world) follow(st delegation.Statement, t channel.Terms, m *manifestv1.Manifest) error {
	var row []channel.ID
	for _, id := range append(slices.Clone(st.Former), st.Channel) {
		row = append(row, id)
	}
	had := w.rows[st.App]
	if !slices.Equal(had, row) && (len(row) != len(had)+1 || !slices.Equal(had, row[:len(had)])) {
		return refusal(providerv1.Reason_REASON_CHANNEL_TERMS)
	}
	if t.Cap.Cmp(quote.LeastCap(w.prices, m)) < 0 {
		return refusal(providerv1.Reason_REASON_CAP_EXCEEDED)
	}
	w.rows[st.App] = row
	return nil
}

func (w far) Status(_ context.Context, r *providerv1.StatusRequest) (*providerv1.StatusResponse, error) {
	return &providerv1.StatusResponse{Status: w.apps[delegation.AppID(r.App)]}, nil
}

func (w far) Watch(_ context.Context, r *providerv1.WatchRequest, out *connect.ServerStream[providerv1.WatchResponse]) error {
	if err := w.at("watch"); err != nil {
		return err
	}
	return out.Send(&providerv1.WatchResponse{Status: w.apps[delegation.AppID(r.App)]})
}

func (w far) Stop(_ context.Context, r *providerv1.StopRequest) (*providerv1.StopResponse, error) {
	if err := w.at("stop"); err != nil {
		return nil, err
	}
	st, err := w.statement(r.Statement)
	if err != nil {
		return nil, err
	}
	app := w.apps[st.App]
	if app == nil {
		return nil, refusal(providerv1.Reason_REASON_APP_NOT_FOUND)
	}
	app.Phase = providerv1.Phase_PHASE_ENDED
	id := w.terms[st.App].ID(w.domain)
	s := w.states[id]
	s.Claimed, s.NoticeEnd = tariff.Units(40), 1<<40-1
	w.states[id] = s
	w.closings[id] = publisher.Closing{Claimed: s.Claimed, Refunded: s.Remaining(), Tx: "0x5"}
	return &providerv1.StopResponse{}, w.at("stopped")
}

func (w far) Bill(_ context.Context, r *providerv1.BillRequest) (*providerv1.BillResponse, error) {
	if w.bills != nil {
		return w.bills(r)
	}
	u := usage.Rate{MilliCPU: 1000}.For(4) // ⌊40000 × 4 / 3600⌋ = 44
	b := &providerv1.BillResponse{CpuMilliSeconds: u.CPU.String(), Owed: w.prices.Cost(u).String(), Final: true}
	if r := w.released; r != nil {
		b.Release = &providerv1.Release{Channel: r.Channel[:], Total: r.Total.String(), Signature: r.Signature}
	}
	return b, nil
}

func refusal(reason providerv1.Reason) error {
	err := connect.NewError(connect.CodeFailedPrecondition, errors.New("no"))
	if d, derr := connect.NewErrorDetail(&providerv1.ErrorInfo{Reason: reason, Hint: "do this"}); derr == nil {
		err.AddDetail(d)
	}
	return err
}

func file(t *testing.T, content string) *appfile.File {
	t.Helper()
	f, err := appfile.Load(t.Context(), appfile.Source{File: "compose.yaml", Dir: "/home/me/notes", Content: []byte(content)})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func (w *world) order(content string) publisher.Order {
	return publisher.Order{
		File: file(w.t, content), Endpoint: "somewhere", Budget: publisher.Budget{For: time.Hour}, Wait: time.Minute,
		Confirm: func(context.Context, *publisher.Offer) error { return w.at("confirm") },
	}
}
