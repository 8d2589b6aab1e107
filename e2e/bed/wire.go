// SPDX-License-Identifier: Apache-2.0

package bed

import (
	"context"
	"crypto/ecdsa"
	"crypto/rand"
	"errors"
	"net"
	"net/http"
	"strconv"
	"testing"
	"time"

	connectrpc "connectrpc.com/connect"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"

	"github.com/apocryph/apocryph/internal/delegation"
	"github.com/apocryph/apocryph/internal/eip712"
	"github.com/apocryph/apocryph/internal/evidence"
	"github.com/apocryph/apocryph/internal/evm"
	"github.com/apocryph/apocryph/internal/fault"
	orderv1 "github.com/apocryph/apocryph/internal/gen/orderv1"
	providerv1 "github.com/apocryph/apocryph/internal/gen/providerv1"
	"github.com/apocryph/apocryph/internal/gen/providerv1/providerv1connect"
	"github.com/apocryph/apocryph/internal/p2p"
)

// Wire is a publisher that says what it likes: its signatures and connection are real, the rest is up to the test.
type Wire struct {
	*Devnet

	// Key is the publisher's, Wallet acts with it; Peer is the key that the connection is made with.
	Key    *ecdsa.PrivateKey
	Wallet *evm.Wallet
	Peer   p2p.Key
	// Conn is the connection to the gateway, RPC the calls over it.
	Conn *p2p.Client
	RPC  providerv1connect.ProviderServiceClient
	// Provider is who answers there, Signer its enclave's voucher key.
	Provider delegation.Provider
	Signer   common.Address
}

// NewWire makes a publisher with funds, and connects it.
func (d *Devnet) NewWire(t *testing.T) *Wire {
	t.Helper()
	c := &Wire{Devnet: d}
	var err error
	if c.Key, err = crypto.GenerateKey(); err != nil {
		t.Fatal(err)
	}
	d.faucet(t, crypto.PubkeyToAddress(c.Key.PublicKey).Hex())
	id, err := strconv.ParseUint(d.Env["APOCRYPH_CHAIN_ID"], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	chain, err := evm.Dial(t.Context(), []string{d.Env["APOCRYPH_RPC"]}, evm.Config{ChainID: id, Channels: common.HexToAddress(d.Env["APOCRYPH_CHANNELS"])})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(chain.Close)
	c.Wallet = evm.NewWallet(chain, c.Key)
	if c.Peer, err = p2p.NewKey(); err != nil {
		t.Fatal(err)
	}
	host, err := p2p.NewHost(p2p.Config{Key: c.Peer})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = host.Close() })
	if c.Conn, err = host.Dial(t.Context(), d.Env["APOCRYPH_PROVIDER"]); err != nil {
		t.Fatal(err)
	}
	c.RPC = providerv1connect.NewProviderServiceClient(c.Conn, c.Conn.URL())
	nonce := make([]byte, evidence.NonceSize)
	answer, err := c.RPC.Evidence(t.Context(), &providerv1.EvidenceRequest{Nonce: nonce})
	if err != nil {
		t.Fatal(err)
	}
	e, err := evidence.Decode(answer.Evidence) // verifying it is another test's business
	if err != nil {
		t.Fatal(err)
	}
	c.Provider, c.Signer = delegation.Provider{Address: e.Says.Provider, Peer: c.Conn.Peer()}, e.Says.Signer
	return c
}

// Domain is what signatures are for.
func (c *Wire) Domain() eip712.Domain { return c.Wallet.Domain() }

// App is the id of the app with a salt.
func (c *Wire) App(salt [32]byte) delegation.AppID {
	return delegation.NewAppID(c.Wallet.Address(), c.Provider.Address, salt)
}

// Grant delegates everything to the client's own peer, unless edit makes it something else.
func (c *Wire) Grant(t *testing.T, edit func(*delegation.Delegation)) *orderv1.SignedDelegation {
	t.Helper()
	d := delegation.Delegation{
		Publisher: c.Wallet.Address(), Peer: c.Peer.Peer(), Provider: c.Provider, AllApps: true,
		Operations: []orderv1.Operation{
			orderv1.Operation_OPERATION_READ, orderv1.Operation_OPERATION_LOGS, orderv1.Operation_OPERATION_APPLY, orderv1.Operation_OPERATION_STOP,
		},
		IssuedAt: time.Now().Add(-time.Hour), ExpiresAt: time.Now().Add(time.Hour),
	}
	if edit != nil {
		edit(&d)
	}
	signed, err := delegation.Sign(d, c.Domain(), c.Key)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

// As is a context whose calls carry a delegation, and an app's salt unless it is nil.
func (c *Wire) As(t *testing.T, under *orderv1.SignedDelegation, salt *[32]byte) context.Context {
	t.Helper()
	ctx, info := connectrpc.NewClientContext(t.Context())
	for name, values := range Header(t, under, salt) {
		info.RequestHeader()[name] = values
	}
	return ctx
}

// Header carries a delegation, and an app's salt unless it is nil.
func Header(t *testing.T, under *orderv1.SignedDelegation, salt *[32]byte) http.Header {
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

// HeaderFor is Header under a grant of everything.
func (c *Wire) HeaderFor(t *testing.T, salt *[32]byte) http.Header {
	t.Helper()
	return Header(t, c.Grant(t, nil), salt)
}

// Raw opens a stream to the gateway for bytes that are no HTTP.
func (c *Wire) Raw(t *testing.T) net.Conn {
	t.Helper()
	s, err := c.Conn.Transport.(*http.Transport).DialContext(t.Context(), "", "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// Random is a salt that nobody else has.
func Random(t *testing.T) (b [32]byte) {
	t.Helper()
	if _, err := rand.Read(b[:]); err != nil {
		t.Fatal(err)
	}
	return b
}

// Reason is why a call was refused, REASON_UNSPECIFIED if it was not.
func Reason(err error) fault.Reason {
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
