// SPDX-License-Identifier: Apache-2.0

package invoicer

import (
	"context"
	"crypto/ecdsa"
	"errors"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/apocryph/apocryph/api/v1alpha1"
	"github.com/apocryph/apocryph/internal/channel"
	"github.com/apocryph/apocryph/internal/eip712"
	manifestv1 "github.com/apocryph/apocryph/internal/gen/manifestv1"
	orderv1 "github.com/apocryph/apocryph/internal/gen/orderv1"
	"github.com/apocryph/apocryph/internal/kube"
	"github.com/apocryph/apocryph/internal/manifest"
	"github.com/apocryph/apocryph/internal/quote"
	"github.com/apocryph/apocryph/internal/tariff"
)

var errDown = errors.New("the chain does not answer")

// contract is a chain with one channel, by the reference of package channel.
type contract struct {
	domain eip712.Domain
	terms  channel.Terms
	state  channel.State
	now    func() time.Time
	down   bool
	calls  []string
}

func (c *contract) State(_ context.Context, id channel.ID, final bool) (Seen, error) {
	switch {
	case c.down:
		return Seen{}, errDown
	case id != c.terms.ID(c.domain):
		return Seen{Time: c.now()}, nil
	}
	seen := deep(Seen{State: c.state, Block: 5, Time: c.now()})
	if final && seen.Final == nil {
		seen.Final, seen.FinalTime = &seen.Confirmed, seen.Time
	}
	return seen, nil
}

func (c *contract) Claim(_ context.Context, claims []Claim) (Spent, error) {
	spent := Spent{Transactions: 1, Gas: 1000, Wei: big.NewInt(7000), Paid: map[channel.ID]tariff.Amount{}}
	for _, claim := range claims {
		id := claim.Terms.ID(c.domain)
		if err := channel.Verify(channel.Voucher{Channel: id, Total: claim.Total}, c.domain, claim.Signature, claim.Terms.Signer); err != nil || c.down {
			return Spent{}, errors.Join(err, errDown)
		}
		c.state, spent.Paid[id] = channel.Spend(c.state, claim.Terms, claim.Total, c.now())
		c.calls = append(c.calls, "claim "+claim.Total.String())
	}
	return spent, nil
}

func (c *contract) Release(_ context.Context, r Claim) (Spent, error) {
	id := r.Terms.ID(c.domain)
	if err := channel.Verify(channel.Release{Channel: id, Total: r.Total}, c.domain, r.Signature, r.Terms.Signer); err != nil || c.down {
		return Spent{}, errors.Join(err, errDown)
	}
	spent := Spent{Transactions: 1, Gas: 500, Paid: map[channel.ID]tariff.Amount{}}
	c.state, spent.Paid[id] = channel.Spend(c.state, r.Terms, r.Total, c.now())
	c.state.NoticeEnd = closedForEver
	c.calls = append(c.calls, "release "+r.Total.String())
	return spent, nil
}

// world is an app, its account, the chain and the invoicer.
type world struct {
	*contract
	t      *testing.T
	now    time.Time
	signer *ecdsa.PrivateKey
	client client.Client
	r      *reconciler
	key    client.ObjectKey
}

func newWorld(t *testing.T) *world {
	t.Helper()
	signer, err := crypto.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, now: time.Unix(1_000_000, 0), signer: signer, key: client.ObjectKey{Namespace: "sys", Name: "app"}}
	c, _ := baseline()
	c.Namespace, c.Domain, c.ClaimMin = "sys", eip712.Domain{ChainID: 1, Contract: common.Address{1}}, tariff.Units(1)
	w.contract = &contract{domain: c.Domain, now: func() time.Time { return w.now }}
	w.state = channel.State{Deposited: tariff.Units(10_000), SpentUntil: uint64(w.now.Unix()) - 10_000}
	app := w.app(c.Domain)
	w.client = fake.NewClientBuilder().WithScheme(kube.Scheme()).WithObjects(app, &v1alpha1.Usage{ObjectMeta: app.ObjectMeta}).
		WithStatusSubresource(&v1alpha1.App{}, &v1alpha1.Usage{}).Build()
	i, err := New(c, w.contract, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	i.now = w.contract.now
	w.r = &reconciler{Invoicer: i, client: w.client}
	return w
}

func (w *world) app(domain eip712.Domain) *v1alpha1.App {
	w.t.Helper()
	prices := tariff.Tariff{Token: common.Address{4}, CPUHour: tariff.Units(3600)}
	m := &manifestv1.Manifest{Name: "web", Services: []*manifestv1.Service{{
		Name: "web", Digest: "sha256:" + strings.Repeat("0", 64),
		Resources: &manifestv1.Resources{MilliCpu: 1000, MemoryBytes: 1 << 30, EphemeralBytes: 1 << 30},
	}}}
	id, err := prices.ID()
	if err != nil {
		w.t.Fatal(err)
	}
	signer := crypto.PubkeyToAddress(w.signer.PublicKey)
	address := common.Address{9}
	q := &orderv1.Quote{
		Provider: address[:], Tariff: prices.Proto(), ManifestHash: make([]byte, 32), ChainId: 1, Contract: domain.Contract[:],
		Terms: &orderv1.Terms{
			Publisher: address[:], App: make([]byte, 32), Payout: address[:], Signer: signer[:], Token: prices.Token[:], Tariff: id[:],
			Cap: []byte{2}, Window: 7200, Notice: 3600,
		},
	}
	signed, err := quote.Sign(q, w.signer)
	if err != nil {
		w.t.Fatal(err)
	}
	terms := quote.Terms(signed, q, [32]byte{1})
	if w.terms, err = channel.FromProto(terms); err != nil {
		w.t.Fatal(err)
	}
	app := &v1alpha1.App{ObjectMeta: metav1.ObjectMeta{Namespace: w.key.Namespace, Name: w.key.Name, Generation: 1}}
	app.Spec.Channel = w.terms.ID(domain).String()
	for _, f := range []struct {
		to  *[]byte
		msg proto.Message
	}{{&app.Spec.Terms, terms}, {&app.Spec.Quote, signed}} {
		if *f.to, err = proto.Marshal(f.msg); err != nil {
			w.t.Fatal(err)
		}
	}
	if app.Spec.Manifest, err = manifest.Encode(m); err != nil {
		w.t.Fatal(err)
	}
	return app
}

func (w *world) reconcile() reconcile.Result {
	w.t.Helper()
	request := reconcile.Request{NamespacedName: w.key}
	result, err := w.r.Reconcile(w.t.Context(), request)
	if err != nil {
		w.t.Fatal(err)
	}
	if calls := len(w.calls); len(w.r.till.due) > 0 {
		w.r.flush(w.t.Context())
		if len(w.calls) > calls { // the next look
			if result, err = w.r.Reconcile(w.t.Context(), request); err != nil {
				w.t.Fatal(err)
			}
		}
	}
	return result
}

func (w *world) status() v1alpha1.AppStatus {
	w.t.Helper()
	var app v1alpha1.App
	if err := w.client.Get(w.t.Context(), w.key, &app); err != nil {
		w.t.Fatal(err)
	}
	return app.Status
}

func (w *world) wantCondition(name string, status metav1.ConditionStatus, reason string) {
	w.t.Helper()
	c := meta.FindStatusCondition(w.status().Conditions, name)
	if c == nil {
		w.t.Fatalf("no condition %s", name)
	}
	if c.Status != status || c.Reason != reason {
		w.t.Errorf("%s is %s %s (%s), want %s %s", name, c.Status, c.Reason, c.Message, status, reason)
	}
}

// signs is the keeper's part.
func (w *world) signs(change func(*v1alpha1.UsageStatus)) {
	w.t.Helper()
	var u v1alpha1.Usage
	if err := w.client.Get(w.t.Context(), w.key, &u); err != nil {
		w.t.Fatal(err)
	}
	change(&u.Status)
	if err := w.client.Status().Update(w.t.Context(), &u); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) signed(what channel.Digester, total uint64) *v1alpha1.Voucher {
	w.t.Helper()
	sig, err := channel.Sign(what, w.domain, w.signer)
	if err != nil {
		w.t.Fatal(err)
	}
	return &v1alpha1.Voucher{Channel: w.terms.ID(w.domain).String(), Total: tariff.Units(total).String(), Signature: sig}
}

func (w *world) voucher(total uint64) *v1alpha1.Voucher {
	return w.signed(channel.Voucher{Channel: w.terms.ID(w.domain), Total: tariff.Units(total)}, total)
}

func (w *world) release(total uint64) *v1alpha1.Voucher {
	return w.signed(channel.Release{Channel: w.terms.ID(w.domain), Total: tariff.Units(total)}, total)
}

func TestALife(t *testing.T) {
	w := newWorld(t)
	w.reconcile()
	w.wantCondition(v1alpha1.ConditionFunded, metav1.ConditionTrue, v1alpha1.ReasonFunded)
	want := &v1alpha1.Funds{Channel: w.terms.ID(w.domain).String(), Deposited: "10000", Claimed: "0", Reserve: "60", Block: 5, SeenAt: metav1.NewTime(w.now)}
	if diff := cmp.Diff(want, w.status().Funds); diff != "" {
		t.Errorf("funds (-want +got):\n%s", diff)
	}

	// A voucher is claimed, and the next one waits for an hour.
	w.signs(func(s *v1alpha1.UsageStatus) { s.Voucher = w.voucher(100) })
	w.reconcile()
	w.now = w.now.Add(time.Minute)
	w.signs(func(s *v1alpha1.UsageStatus) { s.Voucher = w.voucher(160) })
	w.reconcile()
	w.now = w.now.Add(time.Hour)
	w.reconcile()
	if got := w.status().Funds.Claimed; got != "160" {
		t.Errorf("claimed %s", got)
	}

	// The chain goes away: nothing for a moment, then unknown, then back.
	w.down = true
	w.now = w.now.Add(59 * time.Second)
	w.reconcile()
	w.wantCondition(v1alpha1.ConditionFunded, metav1.ConditionTrue, v1alpha1.ReasonFunded)
	w.now = w.now.Add(time.Second)
	w.reconcile()
	w.wantCondition(v1alpha1.ConditionFunded, metav1.ConditionUnknown, v1alpha1.ReasonChainUnseen)
	since := meta.FindStatusCondition(w.status().Conditions, v1alpha1.ConditionFunded).LastTransitionTime
	w.now = w.now.Add(10 * time.Hour)
	w.reconcile()
	if c := meta.FindStatusCondition(w.status().Conditions, v1alpha1.ConditionFunded); !c.LastTransitionTime.Equal(&since) {
		t.Error("it does not say since when the chain is unseen")
	}
	if w.status().Funds.Claimed != "160" {
		t.Error("what was seen is gone")
	}
	w.down = false
	w.reconcile()
	w.wantCondition(v1alpha1.ConditionFunded, metav1.ConditionTrue, v1alpha1.ReasonFunded)

	// The end.
	w.signs(func(s *v1alpha1.UsageStatus) { s.Final, s.Voucher, s.Release = true, w.voucher(200), w.release(200) })
	if after := w.reconcile().RequeueAfter; after != 0 {
		t.Errorf("looks again after %s at a closed channel", after)
	}
	w.wantCondition(v1alpha1.ConditionFunded, metav1.ConditionFalse, v1alpha1.ReasonClosed)
	w.wantCondition(v1alpha1.ConditionSettled, metav1.ConditionTrue, ReasonSettled)
	want = &v1alpha1.Funds{Channel: w.terms.ID(w.domain).String(), Deposited: "10000", Claimed: "200", Refunded: "9800", Closed: true, Block: 5, SeenAt: metav1.NewTime(w.now)}
	if diff := cmp.Diff(want, w.status().Funds); diff != "" {
		t.Errorf("funds (-want +got):\n%s", diff)
	}
	w.reconcile()
	if diff := cmp.Diff([]string{"claim 100", "claim 160", "release 200"}, w.calls); diff != "" {
		t.Errorf("transactions (-want +got):\n%s", diff)
	}
}

func TestForgedSignaturesAreNotSent(t *testing.T) {
	w := newWorld(t)
	forged := w.voucher(100)
	forged.Total = "9999"
	w.signs(func(s *v1alpha1.UsageStatus) { s.Voucher, s.Release = forged, w.voucher(100) })
	w.reconcile()
	if len(w.calls) != 0 {
		t.Errorf("sent %v", w.calls)
	}
}

func TestAFailedClaimIsTriedAgain(t *testing.T) {
	w := newWorld(t)
	w.reconcile()
	w.signs(func(s *v1alpha1.UsageStatus) { s.Voucher = w.voucher(100) })
	w.r.chain = failing{w.contract}
	w.reconcile()
	w.wantCondition(v1alpha1.ConditionFunded, metav1.ConditionTrue, v1alpha1.ReasonFunded)
	w.r.chain = w.contract
	w.reconcile()
	if diff := cmp.Diff([]string{"claim 100"}, w.calls); diff != "" {
		t.Errorf("transactions (-want +got):\n%s", diff)
	}
}

type failing struct{ *contract }

func (failing) Claim(context.Context, []Claim) (Spent, error) { return Spent{}, errDown }

func TestAnOrderWithoutItsChannelIsLeftAlone(t *testing.T) {
	w := newWorld(t)
	var app v1alpha1.App
	if err := w.client.Get(t.Context(), w.key, &app); err != nil {
		t.Fatal(err)
	}
	app.Spec.Channel = common.Hash{1}.Hex()
	if err := w.client.Update(t.Context(), &app); err != nil {
		t.Fatal(err)
	}
	if _, err := w.r.Reconcile(t.Context(), reconcile.Request{NamespacedName: w.key}); !errors.Is(err, errOrder) {
		t.Errorf("error %v, want %v", err, errOrder)
	}
}

func TestUnchangedFundsAreNotWrittenAgain(t *testing.T) {
	w := newWorld(t)
	w.reconcile()
	first := w.status().Funds.SeenAt
	w.now = w.now.Add(fresh - time.Second)
	w.reconcile()
	if got := w.status().Funds.SeenAt; !got.Equal(&first) {
		t.Error("written after a moment")
	}
	w.now = w.now.Add(time.Second)
	w.reconcile()
	if got := w.status().Funds.SeenAt; got.Equal(&first) {
		t.Error("not written any more")
	}
}

func TestReleased(t *testing.T) {
	with := func(sig byte) *v1alpha1.Usage {
		u := &v1alpha1.Usage{}
		if sig != 0 {
			u.Status.Release = &v1alpha1.Voucher{Signature: []byte{sig}}
		}
		return u
	}
	for name, tt := range map[string]struct {
		before, after byte
		want          bool
	}{
		"no release": {0, 0, false}, "a first one": {0, 1, true}, "the same": {1, 1, false}, "another": {1, 2, true}, "taken away": {1, 0, false},
	} {
		if got := released(event.UpdateEvent{ObjectOld: with(tt.before), ObjectNew: with(tt.after)}); got != tt.want {
			t.Errorf("%s: %t, want %t", name, got, tt.want)
		}
	}
}

func TestMetricsAreServed(t *testing.T) {
	w := newWorld(t)
	w.reconcile()
	r := httptest.NewRecorder()
	w.r.Metrics().ServeHTTP(r, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if !strings.Contains(r.Body.String(), "apocryph_invoicer_chain_seen_timestamp_seconds 1e+06") {
		t.Errorf("metrics:\n%s", r.Body)
	}
}

func TestNewRefusesHalfAConfiguration(t *testing.T) {
	c, _ := baseline()
	c.Namespace, c.Domain = "sys", eip712.Domain{ChainID: 1, Contract: common.Address{1}}
	for name, change := range map[string]func(*Config){
		"namespace": func(c *Config) { c.Namespace = "" },
		"chain":     func(c *Config) { c.Domain.ChainID = 0 },
		"contract":  func(c *Config) { c.Domain.Contract = common.Address{} },
		"poll":      func(c *Config) { c.Poll = 0 },
		"batches":   func(c *Config) { c.BatchEvery = 0 },
		"room":      func(c *Config) { c.BatchMost = 0 },
	} {
		c := c
		change(&c)
		if _, err := New(c, &contract{}, slog.Default()); !errors.Is(err, ErrConfig) {
			t.Errorf("without %s: %v", name, err)
		}
	}
}
