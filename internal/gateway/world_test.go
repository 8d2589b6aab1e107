// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"context"
	"crypto/ecdsa"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/apocryph/apocryph/api/v1alpha1"
	"github.com/apocryph/apocryph/internal/channel"
	"github.com/apocryph/apocryph/internal/delegation"
	"github.com/apocryph/apocryph/internal/eip712"
	keeperv1 "github.com/apocryph/apocryph/internal/gen/keeperv1"
	manifestv1 "github.com/apocryph/apocryph/internal/gen/manifestv1"
	orderv1 "github.com/apocryph/apocryph/internal/gen/orderv1"
	providerv1 "github.com/apocryph/apocryph/internal/gen/providerv1"
	"github.com/apocryph/apocryph/internal/kube"
	"github.com/apocryph/apocryph/internal/manifest"
	"github.com/apocryph/apocryph/internal/metered"
	"github.com/apocryph/apocryph/internal/p2p"
	"github.com/apocryph/apocryph/internal/quote"
	"github.com/apocryph/apocryph/internal/tariff"
)

const namespace = "apocryph-system"

// world is a gateway with everything around it: objects in a fake cluster, a chain of plain states, a keeper's key, an image store that
// has every image but those named missing.
type world struct {
	t       testing.TB
	g       *Gateway
	cluster client.WithWatch
	sent    tally
	voucher *ecdsa.PrivateKey
	now     time.Time

	publisher person
	stranger  person

	mu     sync.Mutex
	chain  map[channel.ID]channel.State
	unseen error
	// keeperDown says that the keeper signs no accounts.
	keeperDown bool
	missing    map[string]bool
	images     http.Handler
}

// person is a wallet and the peer that acts for it.
type person struct {
	wallet *ecdsa.PrivateKey
	peer   p2p.Key
}

func (p person) address() common.Address { return crypto.PubkeyToAddress(p.wallet.PublicKey) }

func newPerson(t testing.TB) person {
	t.Helper()
	peer, err := p2p.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	return person{newWallet(t), peer}
}

func newWallet(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	k, err := crypto.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func node(cpu, memory string) *corev1.Node {
	return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "machine-" + cpu}, Status: corev1.NodeStatus{Allocatable: corev1.ResourceList{
		corev1.ResourceCPU: resource.MustParse(cpu), corev1.ResourceMemory: resource.MustParse(memory),
	}}}
}

func newWorld(t testing.TB, objects ...client.Object) *world {
	t.Helper()
	w := &world{
		t: t, voucher: newWallet(t), now: time.Unix(1_800_000_000, 0), publisher: newPerson(t), stranger: newPerson(t),
		chain: map[channel.ID]channel.State{}, missing: map[string]bool{},
	}
	w.cluster = fake.NewClientBuilder().WithScheme(kube.Scheme()).WithStatusSubresource(&v1alpha1.App{}, &v1alpha1.Usage{}).
		WithObjects(append(objects, node("2", "4Gi"))...).Build()
	w.images = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		for digest := range w.missing {
			if strings.HasSuffix(r.URL.Path, digest) {
				rw.WriteHeader(http.StatusNotFound)
			}
		}
	})
	store, _ := url.Parse("http://imagestore")
	g, err := New(Config{
		Namespace:  namespace,
		Provider:   delegation.Provider{Address: common.Address{1}, Peer: "provider-peer"},
		Signer:     crypto.PubkeyToAddress(w.voucher.PublicKey),
		Domain:     eip712.Domain{ChainID: 1337, Contract: common.Address{2}},
		Payout:     common.Address{3},
		Tariff:     tariff.Tariff{Token: [20]byte{4}, CPUHour: tariff.Units(3_600_000), MemoryGiBHour: tariff.Units(360_000), StorageGiBHour: tariff.Units(3600)},
		HostDomain: "apps.localhost",
	}, Parts{
		Cluster: w.cluster, Pods: noLogs{}, LogStores: noStores{}, Carriers: &volumes{}, Keeper: signer{w}, Chain: w, Images: w, ImagesURL: store, Sent: &w.sent,
		Peer: p2p.Peer, CheckPeer: p2p.CheckPeer, Now: func() time.Time { return w.now }, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	w.g = g
	return w
}

// Channel implements channelReader.
func (w *world) Channel(_ context.Context, id channel.ID) (channel.State, time.Time, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.chain[id], w.now, w.unseen
}

// RoundTrip is the way to the image store.
func (w *world) RoundTrip(r *http.Request) (*http.Response, error) {
	rec := httptest.NewRecorder()
	if r.Body == nil {
		// A handler always has a body to read, a request to send need not.
		r = r.Clone(r.Context())
		r.Body = http.NoBody
	}
	w.images.ServeHTTP(rec, r)
	return rec.Result(), nil
}

// tally is what was sent, by app.
type tally struct {
	mu    sync.Mutex
	bytes map[string]int64
}

// Add implements sent.
func (s *tally) Add(app string, n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.bytes == nil {
		s.bytes = map[string]int64{}
	}
	s.bytes[app] += n
}

type noLogs struct{}

func (noLogs) Stream(context.Context, string, string, *corev1.PodLogOptions) (io.ReadCloser, error) {
	return nil, errors.New("no logs")
}

// signer is the keeper.
type signer struct{ w *world }

func (s signer) Evidence(_ context.Context, r *keeperv1.EvidenceRequest) (*keeperv1.EvidenceResponse, error) {
	return &keeperv1.EvidenceResponse{Evidence: append([]byte("evidence of "), r.Nonce...)}, nil
}

func (s signer) SignQuote(_ context.Context, r *keeperv1.SignQuoteRequest) (*keeperv1.SignQuoteResponse, error) {
	address := crypto.PubkeyToAddress(s.w.voucher.PublicKey)
	r.Quote.Terms.Signer = address[:]
	signed, err := quote.Sign(r.Quote, s.w.voucher)
	return &keeperv1.SignQuoteResponse{Quote: signed}, err
}

// SignAccount says which app it was asked for: the gateway has only to hand it on.
func (s signer) SignAccount(_ context.Context, r *keeperv1.SignAccountRequest) (*keeperv1.SignAccountResponse, error) {
	if s.w.keeperDown {
		return nil, errors.New("no keeper")
	}
	return &keeperv1.SignAccountResponse{Account: &orderv1.SignedAccount{Account: r.App}}, nil
}

func (w *world) salt() [32]byte { return [32]byte{7} }

func (w *world) app(p person) delegation.AppID {
	return delegation.NewAppID(p.address(), w.g.cfg.Provider.Address, w.salt())
}

// grant is a delegation by p's wallet for p's peer, after edit.
func (w *world) grant(p person, edit func(*delegation.Delegation)) *orderv1.SignedDelegation {
	w.t.Helper()
	d := delegation.Delegation{
		Publisher: p.address(), Peer: p.peer.Peer(), Provider: w.g.cfg.Provider, AllApps: true,
		Operations: []orderv1.Operation{
			orderv1.Operation_OPERATION_READ, orderv1.Operation_OPERATION_LOGS, orderv1.Operation_OPERATION_APPLY, orderv1.Operation_OPERATION_STOP,
		},
		IssuedAt: w.now.Add(-time.Minute), ExpiresAt: w.now.Add(time.Hour),
	}
	if edit != nil {
		edit(&d)
	}
	signed, err := delegation.Sign(d, w.g.cfg.Domain, p.wallet)
	if err != nil {
		w.t.Fatal(err)
	}
	return signed
}

// as is a context in which p calls, as the guard makes it.
func (w *world) as(p person) context.Context {
	w.t.Helper()
	c := &caller{peer: p.peer.Peer(), signed: w.grant(p, nil)}
	var err error
	if c.delegation, err = w.g.inForce(c); err != nil {
		w.t.Fatal(err)
	}
	return context.WithValue(w.t.Context(), callerKey{}, c)
}

func sample() *manifestv1.Manifest {
	return &manifestv1.Manifest{
		Name: "notes",
		Services: []*manifestv1.Service{{
			Name: "web", Image: "notes:1", Digest: "sha256:" + strings.Repeat("ab", 32),
			Ports:     []*manifestv1.Port{{Number: 8090, Protocol: "tcp"}},
			Resources: &manifestv1.Resources{MilliCpu: 500, MemoryBytes: 1 << 30, EphemeralBytes: 1 << 20},
		}},
		Volumes: []*manifestv1.Volume{{Name: "data", SizeBytes: 1 << 30}},
		Http:    &manifestv1.Http{Service: "web", Port: 8090},
	}
}

// draft is an order before it is signed.
type draft struct {
	by       person
	manifest *manifestv1.Manifest
	salt     [32]byte
	sequence uint64
	// quote is edited before the keeper signs it, terms after they were made of it, statement before the peer signs it.
	quote     func(*orderv1.Quote)
	terms     func(*orderv1.Terms)
	statement func(*delegation.Statement)
	grant     func(*delegation.Delegation)
	quoteKey  *ecdsa.PrivateKey
	state     *channel.State
	// channelSalt tells apart channels of one app.
	channelSalt byte
}

// succeed makes of a draft an order on another channel, which follows on that of the app as it is.
func (w *world) succeed(d *draft, is *v1alpha1.App) {
	d.sequence = uint64(is.Spec.Sequence) + 1
	d.channelSalt = 10 + byte(len(is.Spec.Former))
	row, err := metered.Row(is.Spec)
	if err != nil {
		w.t.Fatal(err)
	}
	d.statement = func(s *delegation.Statement) {
		for _, c := range row {
			s.Former = append(s.Former, c.Channel)
		}
	}
}

func (w *world) order(edit func(*draft)) *providerv1.ApplyRequest {
	w.t.Helper()
	d := &draft{by: w.publisher, manifest: sample(), salt: w.salt(), sequence: 1000, quoteKey: w.voucher, channelSalt: 9}
	if edit != nil {
		edit(d)
	}
	id := delegation.NewAppID(d.by.address(), w.g.cfg.Provider.Address, d.salt)
	hash, _ := manifest.HashOf(d.manifest) // zero for one that is meant to be refused
	c := &caller{delegation: delegation.Delegation{Publisher: d.by.address()}}
	q := w.g.offer(c, id, d.manifest, offered{hash, ""})
	q.Terms.Signer = crypto.PubkeyToAddress(d.quoteKey.PublicKey).Bytes()
	if d.quote != nil {
		d.quote(q)
	}
	signed, err := quote.Sign(q, d.quoteKey)
	if err != nil {
		w.t.Fatal(err)
	}
	terms := quote.Terms(signed, q, [32]byte{d.channelSalt})
	if d.terms != nil {
		d.terms(terms)
	}
	on, err := channel.FromProto(terms)
	if err != nil {
		w.t.Fatal(err)
	}
	state := channel.State{Deposited: tariff.Units(10_000_000), SpentUntil: uint64(w.now.Unix())}
	if d.state != nil {
		state = *d.state
	}
	w.mu.Lock()
	w.chain[on.ID(w.g.cfg.Domain)] = state
	w.mu.Unlock()
	st := delegation.Statement{
		App: id, Action: orderv1.Action_ACTION_APPLY, Sequence: d.sequence, ManifestHash: hash, Channel: on.ID(w.g.cfg.Domain), IssuedAt: w.now,
	}
	if d.statement != nil {
		d.statement(&st)
	}
	ordered, err := delegation.SignStatement(st, d.by.peer, w.grant(d.by, d.grant))
	if err != nil {
		w.t.Fatal(err)
	}
	return &providerv1.ApplyRequest{Manifest: d.manifest, AppSalt: d.salt[:], Statement: ordered, Terms: terms, Quote: signed}
}

// accept applies an order and fails the test if it is refused.
func (w *world) accept(edit func(*draft)) *v1alpha1.App {
	w.t.Helper()
	r := w.order(edit)
	by := w.publisher
	if string(r.Terms.Publisher) == string(w.stranger.address().Bytes()) {
		by = w.stranger
	}
	if _, err := (server{w.g}).Apply(w.as(by), r); err != nil {
		w.t.Fatal(err)
	}
	return w.get(delegation.NewAppID(by.address(), w.g.cfg.Provider.Address, [32]byte(r.AppSalt)))
}

func (w *world) get(id delegation.AppID) *v1alpha1.App {
	w.t.Helper()
	var app v1alpha1.App
	if err := w.cluster.Get(w.t.Context(), w.g.key(id), &app); err != nil {
		w.t.Fatal(err)
	}
	return &app
}

func (w *world) apps() []v1alpha1.App {
	w.t.Helper()
	var list v1alpha1.AppList
	if err := w.cluster.List(w.t.Context(), &list); err != nil {
		w.t.Fatal(err)
	}
	return list.Items
}

// detail is the reason that left with an error, and its code.
func detail(err error) (providerv1.Reason, connect.Code) {
	ce := new(connect.Error)
	if !errors.As(err, &ce) {
		return providerv1.Reason_REASON_UNSPECIFIED, 0
	}
	for _, d := range ce.Details() {
		if v, err := d.Value(); err == nil {
			if info, ok := v.(*providerv1.ErrorInfo); ok {
				return info.Reason, ce.Code()
			}
		}
	}
	return providerv1.Reason_REASON_UNSPECIFIED, ce.Code()
}
