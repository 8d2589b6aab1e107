// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"crypto/ecdsa"
	"crypto/rand"
	"errors"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	connectrpc "connectrpc.com/connect"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"
	"google.golang.org/protobuf/proto"

	"github.com/apocryph/apocryph/internal/channel"
	"github.com/apocryph/apocryph/internal/delegation"
	"github.com/apocryph/apocryph/internal/eip712"
	"github.com/apocryph/apocryph/internal/evidence"
	"github.com/apocryph/apocryph/internal/evm"
	"github.com/apocryph/apocryph/internal/fault"
	manifestv1 "github.com/apocryph/apocryph/internal/gen/manifestv1"
	orderv1 "github.com/apocryph/apocryph/internal/gen/orderv1"
	providerv1 "github.com/apocryph/apocryph/internal/gen/providerv1"
	"github.com/apocryph/apocryph/internal/gen/providerv1/providerv1connect"
	"github.com/apocryph/apocryph/internal/manifest"
	"github.com/apocryph/apocryph/internal/oci"
	"github.com/apocryph/apocryph/internal/p2p"
	"github.com/apocryph/apocryph/internal/quote"
	"github.com/apocryph/apocryph/internal/tariff"
)

// wireClient is a publisher that says what it likes: its signatures and connection are real, the rest is up to the test.
type wireClient struct {
	*devnet
	key    *ecdsa.PrivateKey
	peer   p2p.Key
	wallet *evm.Wallet
	conn   *p2p.Client
	rpc    providerv1connect.ProviderServiceClient
	// at is the provider, signer its enclave's voucher key.
	at     delegation.Provider
	signer common.Address
}

func (d *devnet) newWireClient(t *testing.T) *wireClient {
	t.Helper()
	c := &wireClient{devnet: d}
	var err error
	if c.key, err = crypto.GenerateKey(); err != nil {
		t.Fatal(err)
	}
	faucet := exec.CommandContext(t.Context(), filepath.Join(d.root, "build", "bin", "devnet"), "faucet", crypto.PubkeyToAddress(c.key.PublicKey).Hex())
	faucet.Dir = d.root
	if out, err := faucet.CombinedOutput(); err != nil {
		t.Fatalf("faucet: %v\n%s", err, out)
	}
	id, err := strconv.ParseUint(d.env["APOCRYPH_CHAIN_ID"], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	chain, err := evm.Dial(t.Context(), d.env["APOCRYPH_RPC"], evm.Config{ChainID: id, Channels: common.HexToAddress(d.env["APOCRYPH_CHANNELS"])})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(chain.Close)
	c.wallet = evm.NewWallet(chain, c.key)
	if c.peer, err = p2p.NewKey(); err != nil {
		t.Fatal(err)
	}
	host, err := p2p.NewHost(p2p.Config{Key: c.peer})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = host.Close() })
	if c.conn, err = host.Dial(t.Context(), d.env["APOCRYPH_PROVIDER"]); err != nil {
		t.Fatal(err)
	}
	c.rpc = providerv1connect.NewProviderServiceClient(c.conn, c.conn.URL())
	nonce := make([]byte, evidence.NonceSize)
	answer, err := c.rpc.Evidence(t.Context(), &providerv1.EvidenceRequest{Nonce: nonce})
	if err != nil {
		t.Fatal(err)
	}
	e, err := evidence.Decode(answer.Evidence) // verifying it is another test's business
	if err != nil {
		t.Fatal(err)
	}
	c.at, c.signer = delegation.Provider{Address: e.Says.Provider, Peer: c.conn.Peer()}, e.Says.Signer
	return c
}

func (c *wireClient) domain() eip712.Domain { return c.wallet.Domain() }

func (c *wireClient) app(salt [32]byte) delegation.AppID {
	return delegation.NewAppID(c.wallet.Address(), c.at.Address, salt)
}

// grant delegates everything to the client's own peer, unless edit makes it something else.
func (c *wireClient) grant(t *testing.T, edit func(*delegation.Delegation)) *orderv1.SignedDelegation {
	t.Helper()
	d := delegation.Delegation{
		Publisher: c.wallet.Address(), Peer: c.peer.Peer(), Provider: c.at, AllApps: true,
		Operations: []orderv1.Operation{
			orderv1.Operation_OPERATION_READ, orderv1.Operation_OPERATION_LOGS, orderv1.Operation_OPERATION_APPLY, orderv1.Operation_OPERATION_STOP,
		},
		IssuedAt: time.Now().Add(-time.Hour), ExpiresAt: time.Now().Add(time.Hour),
	}
	if edit != nil {
		edit(&d)
	}
	signed, err := delegation.Sign(d, c.domain(), c.key)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

// as is a context whose calls carry a delegation, and an app's salt unless it is nil.
func (c *wireClient) as(t *testing.T, under *orderv1.SignedDelegation, salt *[32]byte) context.Context {
	t.Helper()
	ctx, info := connectrpc.NewClientContext(t.Context())
	for name, values := range header(t, under, salt) {
		info.RequestHeader()[name] = values
	}
	return ctx
}

func header(t *testing.T, under *orderv1.SignedDelegation, salt *[32]byte) http.Header {
	t.Helper()
	h := http.Header{}
	if under != nil {
		value, err := delegation.EncodeHeader(under)
		if err != nil {
			t.Fatal(err)
		}
		h.Set(delegation.Header, value)
	}
	if salt != nil {
		h.Set(delegation.HeaderSalt, delegation.EncodeSalt(*salt))
	}
	return h
}

// raw opens a stream to the gateway for bytes that are no HTTP.
func (c *wireClient) raw(t *testing.T) net.Conn {
	t.Helper()
	s, err := c.conn.Transport.(*http.Transport).DialContext(t.Context(), "", "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

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
	good, id := c.grant(t, nil), c.app(o.salt)
	offer, err := c.rpc.Quote(c.as(t, good, &o.salt), &providerv1.QuoteRequest{App: id[:], AppSalt: o.salt[:], Manifest: o.manifest})
	if err != nil {
		t.Fatalf("asking for a quote: %v", err)
	}
	q, err := quote.Verify(offer.Quote, c.signer)
	if err != nil {
		t.Fatal(err)
	}
	terms, err := channel.FromProto(quote.Terms(offer.Quote, q, random(t)))
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
		if _, err := c.wallet.Open(t.Context(), terms, o.deposit); err != nil {
			t.Fatal(err)
		}
	}
	if o.opened != nil {
		o.opened(terms)
	}
	if !o.unpushed {
		to := oci.Target{Transport: c.conn.Transport, App: id.String(), Service: o.manifest.Services[0].Name, Header: header(t, good, &o.salt)}
		if err := oci.Push(t.Context(), to, o.image.Image, nil); err != nil {
			t.Fatal(err)
		}
	}
	r := &providerv1.ApplyRequest{
		Manifest: proto.CloneOf(o.manifest), AppSalt: o.salt[:], Terms: terms.Proto(), Quote: offer.Quote,
		Statement: c.order(t, o, delegation.Statement{App: id, Channel: terms.ID(c.domain())}),
	}
	if o.sent != nil {
		o.sent(r)
	}
	grant := c.grant(t, o.header)
	if o.bare {
		grant = nil
	}
	return prepared{c.as(t, grant, &o.salt), id, terms, r}
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
	signed, err := delegation.SignStatement(s, c.peer, c.grant(t, o.under))
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
	}, c.peer, c.grant(t, nil))
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

func random(t *testing.T) (b [32]byte) {
	t.Helper()
	if _, err := rand.Read(b[:]); err != nil {
		t.Fatal(err)
	}
	return b
}

// reason is why a call was refused, REASON_UNSPECIFIED if it was not.
func reason(err error) fault.Reason {
	ce := new(connectrpc.Error)
	if !errors.As(err, &ce) {
		return fault.ReasonOf(err)
	}
	for _, d := range ce.Details() {
		if v, err := d.Value(); err == nil {
			if info, ok := v.(*providerv1.ErrorInfo); ok {
				return info.Reason
			}
		}
	}
	return providerv1.Reason_REASON_UNSPECIFIED
}

// traces is all that an order could change: money, the channel, and what the cluster has of the app.
type traces struct {
	Balance string
	Channel channel.State
	// App is the spec, "" without an object.
	App              string
	Usage, Namespace bool
}
