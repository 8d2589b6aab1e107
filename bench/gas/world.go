// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/ecdsa"
	"math/big"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/math"
	"github.com/ethereum/go-ethereum/crypto"

	"github.com/apocryph/apocryph/internal/channel"
	"github.com/apocryph/apocryph/internal/eip712"
	"github.com/apocryph/apocryph/internal/gen/channels"
	"github.com/apocryph/apocryph/internal/gen/token"
	"github.com/apocryph/apocryph/internal/tariff"
)

// The amounts are those of a channel in 6-decimal dollars: how many bytes of calldata are not zero is part of the price.
const (
	firstDeposit = 100_000_000 // 100.00
	perClaim     = 1_234_567   // 1.23
	capPerSecond = 1_000
	window       = 24 * 60 * 60
	notice       = 24 * 60 * 60
)

// never is a deadline that does not pass.
func never() time.Time { return time.Unix(1<<33, 0) }

// coin encodes calls of the token.
func coin() *token.TestToken { return token.NewTestToken() }

// world is a chain with a token and one design deployed, and everybody who uses it. Whoever can be paid already has some of the token: a
// first balance is a new slot of the token's, which has nothing to do with channels.
type world struct {
	*chain
	design design
	// once is what deploying the design costs.
	once                                 uint64
	token                                common.Address
	publisher, provider, signer, relayer *ecdsa.PrivateKey
	payees                               []common.Address
}

// voucher is a total that a signer has signed, as a voucher or as a release.
type voucher struct {
	terms     channel.Terms
	total     tariff.Amount
	signature []byte
}

// design is one way to hold channels. Its methods say which transaction does what.
type design interface {
	deploy(ctx context.Context, w *world) (gas uint64, err error)
	// domain is under which vouchers and openings are signed.
	domain() eip712.Domain
	open(t channel.Terms, amount *big.Int) call
	openWithPermit(t channel.Terms, amount *big.Int, p channels.Permit) call
	openFor(t channel.Terms, amount *big.Int, signature []byte, p channels.Permit) call
	deposit(t channel.Terms, amount *big.Int) call
	claim(v voucher) call
	claimBatch(vs []voucher) call
	notice(t channel.Terms) call
	withdraw(t channel.Terms) call
	close(t channel.Terms) call
	release(v voucher) call
}

// key derives a key from a name, so that every run signs the same bytes.
func key(name string) *ecdsa.PrivateKey {
	k, err := crypto.ToECDSA(crypto.Keccak256([]byte("bench/gas " + name)))
	if err != nil {
		panic(err) // a hash is a key
	}
	return k
}

func address(k *ecdsa.PrivateKey) common.Address { return crypto.PubkeyToAddress(k.PublicKey) }

func newWorld(ctx context.Context, f fork, d design) (*world, error) {
	w := &world{design: d, publisher: key("publisher"), provider: key("provider"), signer: key("signer"), relayer: key("relayer")}
	w.payees = []common.Address{address(key("a payee")), address(key("another payee"))}
	var err error
	if w.chain, err = newChain(ctx, f, w.publisher, w.provider, w.relayer); err != nil {
		return nil, err
	}
	if err := w.furnish(ctx); err != nil {
		_ = w.close()
		return nil, err
	}
	return w, nil
}

// furnish deploys token and design, and gives some of the token to everybody.
func (w *world) furnish(ctx context.Context) error {
	r, err := w.send(ctx, w.relayer, call{data: common.FromHex(token.TestTokenMetaData.Bin)})
	if err != nil {
		return err
	}
	w.token = r.ContractAddress
	if w.once, err = w.design.deploy(ctx, w); err != nil {
		return err
	}
	some := big.NewInt(1_000_000_000_000)
	for _, a := range append([]common.Address{address(w.publisher), address(w.provider), w.design.domain().Contract}, w.payees...) {
		if _, err := w.send(ctx, w.relayer, call{&w.token, coin().PackMint(a, some)}); err != nil {
			return err
		}
	}
	_, err = w.send(ctx, w.publisher, call{&w.token, coin().PackApprove(w.design.domain().Contract, math.MaxBig256)})
	return err
}

// terms are those of the nth channel, with this many further payees.
func (w *world) terms(n, payees int) channel.Terms {
	word := func(s string) [32]byte { return crypto.Keccak256Hash([]byte(s)) }
	t := channel.Terms{
		Publisher: address(w.publisher), App: word("app"), Payout: address(w.provider), Signer: address(w.signer), Token: w.token,
		Tariff: word("tariff"), Quote: word("quote"), Cap: tariff.Units(capPerSecond), Window: window, Notice: notice,
		Salt: crypto.Keccak256Hash([]byte("salt"), []byte{byte(n >> 8), byte(n)}),
	}
	for i, a := range w.payees[:payees] {
		t.Payees = append(t.Payees, channel.Payee{Account: a, Share: uint32(30_000 * (i + 1))})
	}
	return t
}

func (w *world) sign(what channel.Digester, k *ecdsa.PrivateKey) ([]byte, error) {
	return channel.Sign(what, w.design.domain(), k)
}

func (w *world) voucher(t channel.Terms, total uint64) (voucher, error) {
	sig, err := w.sign(channel.Voucher{Channel: t.ID(w.design.domain()), Total: tariff.Units(total)}, w.signer)
	return voucher{t, tariff.Units(total), sig}, err
}

func (w *world) finalTotal(t channel.Terms, total uint64) (voucher, error) {
	sig, err := w.sign(channel.Release{Channel: t.ID(w.design.domain()), Total: tariff.Units(total)}, w.signer)
	return voucher{t, tariff.Units(total), sig}, err
}
