// SPDX-License-Identifier: Apache-2.0

package keeper

import (
	"context"
	"crypto/ecdsa"
	"crypto/rand"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	ethcrypto "github.com/ethereum/go-ethereum/crypto"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	"google.golang.org/protobuf/proto"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/apocryph/apocryph/api/v1alpha1"
	"github.com/apocryph/apocryph/internal/delegation"
	"github.com/apocryph/apocryph/internal/eip712"
	"github.com/apocryph/apocryph/internal/evidence"
	manifestv1 "github.com/apocryph/apocryph/internal/gen/manifestv1"
	orderv1 "github.com/apocryph/apocryph/internal/gen/orderv1"
	"github.com/apocryph/apocryph/internal/manifest"
	"github.com/apocryph/apocryph/internal/quote"
	"github.com/apocryph/apocryph/internal/tariff"
)

const namespace = "apocryph-system"

// world is a provider and a publisher with one order, any part of which a test may change before it is signed.
type world struct {
	keeper *Keeper
	device *countingDevice
	now    time.Time

	wallet *ecdsa.PrivateKey
	peer   crypto.PrivKey
	salt   [32]byte
	cap    uint64
	// What is signed, by whom, can be changed by these.
	manifest   *manifestv1.Manifest
	onQuote    func(*orderv1.Quote)
	onTerms    func(*orderv1.Terms)
	onOrder    func(*delegation.Statement)
	onStop     func(*delegation.Statement)
	onApp      func(*v1alpha1.App)
	quoteKey   *ecdsa.PrivateKey
	orderKey   crypto.PrivKey
	operations []orderv1.Operation
	sequence   uint64
	stop       bool
	// channelSalt tells apart channels of the app, and former are its orders on those before.
	channelSalt byte
	former      []*v1alpha1.App
}

type countingDevice struct{ reports int }

func (d *countingDevice) Attest(_ context.Context, data [evidence.ReportDataSize]byte) (evidence.Attestation, error) {
	d.reports++
	return evidence.Attestation{Kind: evidence.KindSimulator, Report: data[:], Certs: [][]byte{{1}}}, nil
}

func newWorld(t testing.TB) *world {
	t.Helper()
	keys, err := LoadKeys(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	w := &world{
		device: &countingDevice{}, now: time.Unix(1_800_000_000, 0), salt: [32]byte{9}, cap: 100, sequence: 7, channelSalt: 5,
		manifest: &manifestv1.Manifest{Name: "web", Services: []*manifestv1.Service{{
			Name:      "web",
			Digest:    "sha256:0000000000000000000000000000000000000000000000000000000000000001",
			Resources: &manifestv1.Resources{MilliCpu: 1000, MemoryBytes: 1 << 30, EphemeralBytes: 1 << 30},
		}}},
		quoteKey:   keys.voucher,
		operations: []orderv1.Operation{orderv1.Operation_OPERATION_APPLY, orderv1.Operation_OPERATION_STOP},
		onQuote:    func(*orderv1.Quote) {}, onTerms: func(*orderv1.Terms) {},
		onOrder: func(*delegation.Statement) {}, onStop: func(*delegation.Statement) {}, onApp: func(*v1alpha1.App) {},
	}
	w.wallet = newWallet(t)
	w.peer = newPeer(t)
	w.orderKey = w.peer
	w.keeper, err = New(Config{
		Namespace: namespace,
		Provider:  common.Address{1},
		Payout:    common.Address{2},
		Domain:    eip712.Domain{ChainID: 1337, Contract: common.Address{3}},
		Tariff:    tariff.Tariff{Token: common.Address{4}, CPUHour: tariff.Units(3600)},
		Keys:      keys,
		Device:    w.device,
		CheckPeer: checkPeer,
		// Every other second a voucher.
		VoucherEvery: 2 * time.Second,
	}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	w.keeper.now = func() time.Time { return w.now }
	return w
}

func newWallet(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ethcrypto.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func newPeer(t testing.TB) crypto.PrivKey {
	t.Helper()
	k, _, err := crypto.GenerateEd25519Key(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func peerOf(t testing.TB, k crypto.PrivKey) string {
	t.Helper()
	id, err := peer.IDFromPrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return string(id)
}

func checkPeer(id string, message, signature []byte) (bool, error) {
	pub, err := peer.ID(id).ExtractPublicKey()
	if err != nil {
		return false, err
	}
	return pub.Verify(message, signature)
}

func encode(t testing.TB, m proto.Message) []byte {
	t.Helper()
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// app makes the App that the gateway would write.
func (w *world) app(t testing.TB) *v1alpha1.App {
	t.Helper()
	k := w.keeper
	publisher := ethcrypto.PubkeyToAddress(w.wallet.PublicKey)
	id := delegation.NewAppID(publisher, k.cfg.Provider, w.salt)
	encoded, err := manifest.Encode(w.manifest)
	if err != nil {
		t.Fatal(err)
	}
	hash, err := manifest.HashOf(w.manifest)
	if err != nil {
		t.Fatal(err)
	}
	signed, q := w.quote(t, publisher, id, hash)
	terms := quote.Terms(signed, q, [32]byte{w.channelSalt})
	w.onTerms(terms)
	channelID := channelOf(t, k, terms)
	statement := delegation.Statement{
		App: id, Action: orderv1.Action_ACTION_APPLY, Sequence: w.sequence, ManifestHash: hash, Channel: channelID, IssuedAt: w.now,
	}
	var former []v1alpha1.FormerChannel
	for _, was := range w.former {
		former = append(former, v1alpha1.FormerChannel{Channel: was.Spec.Channel, Terms: was.Spec.Terms, Quote: was.Spec.Quote})
		statement.Former = append(statement.Former, common.HexToHash(was.Spec.Channel))
	}
	w.onOrder(&statement)
	app := &v1alpha1.App{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: id.String(), UID: "1", Generation: 1},
		Spec: v1alpha1.AppSpec{
			Name:         w.manifest.Name,
			Publisher:    lower(publisher),
			Provider:     lower(k.cfg.Provider),
			Salt:         common.Hash(w.salt).Hex(),
			Manifest:     encoded,
			ManifestHash: hash.String(),
			Statement:    w.statement(t, statement),
			Sequence:     int64(w.sequence),
			Channel:      common.Hash(channelID).Hex(),
			Terms:        encode(t, terms),
			Quote:        encode(t, signed),
			Former:       former,
		},
	}
	if w.stop {
		stop := delegation.Statement{App: id, Action: orderv1.Action_ACTION_STOP, Sequence: w.sequence + 1, Channel: channelID, IssuedAt: w.now}
		w.onStop(&stop)
		app.Spec.Stop, app.Spec.Sequence = w.statement(t, stop), int64(stop.Sequence)
	}
	w.onApp(app)
	return app
}

// successor makes the App with another channel, which follows on that of was.
func (w *world) successor(t testing.TB, was *v1alpha1.App) *v1alpha1.App {
	t.Helper()
	w.former = append(w.former, was)
	w.channelSalt++
	w.sequence++
	app := w.app(t)
	app.Generation = was.Generation + 1
	return app
}

func (w *world) quote(t testing.TB, publisher common.Address, id delegation.AppID, hash manifest.Hash) (*orderv1.SignedQuote, *orderv1.Quote) {
	t.Helper()
	k := w.keeper
	signer := ethcrypto.PubkeyToAddress(w.quoteKey.PublicKey)
	q := k.asked(publisher, id, hash)
	q.Terms.Cap = tariff.Units(w.cap).Bytes()
	q.Terms.Signer = signer[:]
	q.ExpiresAt = uint64(w.now.Add(time.Minute).Unix())
	w.onQuote(q)
	signed, err := quote.Sign(q, w.quoteKey)
	if err != nil {
		t.Fatal(err)
	}
	return signed, q
}

// asked is a quote as the gateway sends it.
func (k *Keeper) asked(publisher common.Address, id delegation.AppID, hash manifest.Hash) *orderv1.Quote {
	return &orderv1.Quote{
		Provider: k.cfg.Provider[:], Tariff: k.cfg.Tariff.Proto(), ManifestHash: hash[:],
		ChainId: k.cfg.Domain.ChainID, Contract: k.cfg.Domain.Contract[:],
		Terms: &orderv1.Terms{
			Publisher: publisher[:], App: id[:], Payout: k.cfg.Payout[:], Token: k.cfg.Tariff.Token[:], Tariff: k.tariffID[:],
			Cap: tariff.Units(100).Bytes(), Window: 3600, Notice: 7200,
		},
	}
}

func (w *world) statement(t testing.TB, s delegation.Statement) []byte {
	t.Helper()
	k := w.keeper
	under, err := delegation.Sign(delegation.Delegation{
		Publisher:  ethcrypto.PubkeyToAddress(w.wallet.PublicKey),
		Peer:       peerOf(t, w.peer),
		Provider:   k.own().provider,
		Operations: w.operations,
		AllApps:    true,
		IssuedAt:   w.now.Add(-time.Hour),
		ExpiresAt:  w.now.Add(time.Hour),
	}, k.cfg.Domain, w.wallet)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := delegation.SignStatement(s, w.orderKey, under)
	if err != nil {
		t.Fatal(err)
	}
	return encode(t, signed)
}

func TestNewRefusesHalfAConfiguration(t *testing.T) {
	good := newWorld(t).keeper.cfg
	for name, change := range map[string]func(*Config){
		"namespace": func(c *Config) { c.Namespace = "" },
		"provider":  func(c *Config) { c.Provider = common.Address{} },
		"payout":    func(c *Config) { c.Payout = common.Address{} },
		"chain":     func(c *Config) { c.Domain.ChainID = 0 },
		"contract":  func(c *Config) { c.Domain.Contract = common.Address{} },
		"token":     func(c *Config) { c.Tariff.Token = common.Address{} },
		"keys":      func(c *Config) { c.Keys = Keys{} },
		"device":    func(c *Config) { c.Device = nil },
		"peers":     func(c *Config) { c.CheckPeer = nil },
		"vouchers":  func(c *Config) { c.VoucherEvery = -1 },
	} {
		c := good
		change(&c)
		if _, err := New(c, slog.Default()); !errors.Is(err, ErrConfig) {
			t.Errorf("without %s: %v", name, err)
		}
	}
}

func TestKeysAreMadeOnce(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "keys")
	first, err := LoadKeys(dir)
	if err != nil {
		t.Fatal(err)
	}
	again, err := LoadKeys(dir)
	if err != nil {
		t.Fatal(err)
	}
	if first.Signer() != again.Signer() || first.Peer() != again.Peer() {
		t.Error("the second start made other keys")
	}
	path := filepath.Join(dir, keysFile)
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode %o", info.Mode().Perm())
	}
	if left, err := filepath.Glob(filepath.Join(dir, ".*")); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	if first.String() != "[redacted]" || first.GoString() != "[redacted]" {
		t.Error("keys print")
	}
	for _, bad := range []string{"", "{}", `{"voucher":"00"}`, `{"voucher":"0000000000000000000000000000000000000000000000000000000000000001","peer":"AA=="}`} {
		if err := os.WriteFile(path, []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := LoadKeys(dir); !errors.Is(err, ErrKeys) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
