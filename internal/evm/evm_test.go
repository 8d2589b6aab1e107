// SPDX-License-Identifier: Apache-2.0

package evm_test

import (
	"crypto/ecdsa"
	"errors"
	"math/big"
	"net"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/google/go-cmp/cmp"

	"github.com/apocryph/apocryph/internal/channel"
	"github.com/apocryph/apocryph/internal/evm"
	"github.com/apocryph/apocryph/internal/evm/evmtest"
	"github.com/apocryph/apocryph/internal/gen/channels"
	"github.com/apocryph/apocryph/internal/gen/token"
	"github.com/apocryph/apocryph/internal/tariff"
)

// world is a chain with the contracts, a publisher with 1,000,000 of the token, a provider and a voucher signer, and an endpoint.
type world struct {
	chain               *evmtest.Chain
	node                *evmtest.Proxy
	cfg                 evm.Config
	token               common.Address
	keys                []*ecdsa.PrivateKey
	publisher, provider *evm.Wallet
	signer              *ecdsa.PrivateKey
}

// newWorld connects both to one honest endpoint, or to as many as there are.
func newWorld(t testing.TB, o evmtest.Options, more ...func(*world)) *world {
	t.Helper()
	w := &world{keys: make([]*ecdsa.PrivateKey, 3)}
	for i := range w.keys {
		key, err := crypto.GenerateKey()
		if err != nil {
			t.Fatal(err)
		}
		w.keys[i] = key
		o.Funded = append(o.Funded, crypto.PubkeyToAddress(key.PublicKey))
	}
	w.chain, w.signer = evmtest.NewChain(t, o), w.keys[2]
	w.token = w.chain.Deploy(t, w.keys[1], token.TestTokenMetaData.Bin)
	w.cfg = evm.Config{
		ChainID: evmtest.ID, Poll: time.Millisecond, FinalAfter: 1, Channels: w.chain.Deploy(t, w.keys[1], channels.ChannelsMetaData.Bin),
	}
	mint := token.NewTestToken().PackMint(crypto.PubkeyToAddress(w.keys[0].PublicKey), big.NewInt(1_000_000))
	w.chain.Do(t, w.keys[1], &w.token, mint, nil)
	w.node = w.chain.Endpoint(t)
	for _, change := range more {
		change(w)
	}
	client := w.dial(t, w.node)
	w.publisher, w.provider = evm.NewWallet(client, w.keys[0]), evm.NewWallet(client, w.keys[1])
	return w
}

func (w *world) dial(t testing.TB, nodes ...*evmtest.Proxy) *evm.Client {
	t.Helper()
	var urls []string
	for _, n := range nodes {
		urls = append(urls, n.URL)
	}
	c, err := evm.Dial(t.Context(), urls, w.cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func (w *world) terms(salt byte) channel.Terms {
	return channel.Terms{
		Publisher: w.publisher.Address(), App: [32]byte{1}, Payout: w.provider.Address(), Signer: crypto.PubkeyToAddress(w.signer.PublicKey),
		Token: w.token, Tariff: [32]byte{2}, Quote: [32]byte{3}, Cap: tariff.Units(100), Window: 86400, Notice: 3600, Salt: [32]byte{salt},
	}
}

func (w *world) voucher(t testing.TB, terms channel.Terms, total uint64) evm.Claim {
	t.Helper()
	v := channel.Voucher{Channel: terms.ID(w.publisher.Domain()), Total: tariff.Units(total)}
	sig, err := channel.Sign(v, w.publisher.Domain(), w.signer)
	if err != nil {
		t.Fatal(err)
	}
	return evm.Claim{Terms: terms, Total: v.Total, Signature: sig}
}

func (w *world) release(t testing.TB, terms channel.Terms, total uint64) evm.Claim {
	t.Helper()
	r := channel.Release{Channel: terms.ID(w.publisher.Domain()), Total: tariff.Units(total)}
	sig, err := channel.Sign(r, w.publisher.Domain(), w.signer)
	if err != nil {
		t.Fatal(err)
	}
	return evm.Claim{Terms: terms, Total: r.Total, Signature: sig}
}

func (w *world) pass(t testing.TB, d time.Duration) {
	t.Helper()
	w.chain.Pass(t, d)
}

func (w *world) open(t testing.TB, terms channel.Terms) channel.ID {
	t.Helper()
	if _, err := w.publisher.Open(t.Context(), terms, tariff.Units(100_000)); err != nil {
		t.Fatal(err)
	}
	return terms.ID(w.publisher.Domain())
}

func (w *world) balance(t testing.TB, account common.Address) string {
	t.Helper()
	b, err := w.publisher.Balance(t.Context(), w.token, account)
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// The contract computes the same id, and every sum is where it should be at the end.
func TestLifeOfAChannel(t *testing.T) {
	w, ctx := newWorld(t, evmtest.Options{}), t.Context()
	terms := w.terms(1)
	id := w.open(t, terms)

	s, err := w.publisher.State(ctx, id)
	if err != nil || s.Status() != channel.Open || s.Deposited.String() != "100000" {
		t.Fatalf("after open: %+v %s, %v", s, s.Status(), err)
	}
	if _, err := w.publisher.Deposit(ctx, terms, tariff.Units(50_000)); err != nil {
		t.Fatal(err)
	}
	w.pass(t, 2000*time.Second)
	r, err := w.provider.Claim(ctx, w.voucher(t, terms, 30_000))
	if err != nil || r.Claimed(id).String() != "30000" {
		t.Fatalf("Claim paid %s, %v", r.Claimed(id), err)
	}
	if _, err := w.provider.Release(ctx, w.release(t, terms, 40_001)); err != nil {
		t.Fatal(err)
	}

	s, err = w.publisher.State(ctx, id)
	if err != nil || s.Status() != channel.Closed || s.Claimed.String() != "40001" || s.Remaining().String() != "109999" {
		t.Errorf("after release: %+v %s, %v", s, s.Status(), err)
	}
	if got := w.balance(t, w.provider.Address()); got != "40001" {
		t.Errorf("the provider has %s", got)
	}
	if got := w.balance(t, w.publisher.Address()); got != "959999" {
		t.Errorf("the publisher has %s", got)
	}
	events, err := w.publisher.Events(ctx, id, 0)
	if err != nil {
		t.Fatal(err)
	}
	type line struct {
		Kind            evm.EventKind
		Amount, Claimed string
	}
	var got []line
	for _, e := range events {
		got = append(got, line{e.Kind, e.Amount.String(), e.Claimed.String()})
	}
	want := []line{
		{evm.Opened, "100000", "0"}, {evm.Deposited, "50000", "0"}, {evm.Claimed, "30000", "30000"},
		{evm.Claimed, "10001", "40001"}, {evm.Closed, "109999", "40001"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

func TestPublisherLeaves(t *testing.T) {
	w, ctx := newWorld(t, evmtest.Options{}), t.Context()
	terms := w.terms(1)
	id := w.open(t, terms)
	if _, err := w.publisher.Withdraw(ctx, terms); !errors.Is(err, evm.ErrNoticeNotEnded) {
		t.Errorf("Withdraw without notice = %v", err)
	}
	if _, err := w.publisher.Notice(ctx, terms); err != nil {
		t.Fatal(err)
	}
	if _, err := w.publisher.Notice(ctx, terms); !errors.Is(err, evm.ErrAlreadyNoticed) {
		t.Errorf("second Notice = %v", err)
	}
	if s, err := w.publisher.State(ctx, id); err != nil || s.Status() != channel.Notice {
		t.Errorf("status %s, %v", s.Status(), err)
	}
	w.pass(t, time.Hour)
	if s, err := w.publisher.State(ctx, id); err != nil || s.Status() != channel.Ended {
		t.Errorf("status %s, %v", s.Status(), err)
	}
	if _, err := w.publisher.Deposit(ctx, terms, tariff.Units(1)); !errors.Is(err, evm.ErrNoticeEnded) {
		t.Errorf("Deposit after notice = %v", err)
	}
	if _, err := w.provider.Claim(ctx, w.voucher(t, terms, 1)); !errors.Is(err, evm.ErrNothingToClaim) {
		t.Errorf("Claim after notice = %v", err)
	}
	if _, err := w.publisher.Withdraw(ctx, terms); err != nil {
		t.Fatal(err)
	}
	if got := w.balance(t, w.publisher.Address()); got != "1000000" {
		t.Errorf("the publisher has %s", got)
	}
}

// Every refusal costs nothing and says which one it is.
func TestRefusals(t *testing.T) {
	w, ctx := newWorld(t, evmtest.Options{}), t.Context()
	terms, unopened := w.terms(1), w.terms(2)
	w.open(t, terms)
	w.pass(t, time.Hour)
	foreign := w.voucher(t, terms, 10)
	foreign.Signature = w.voucher(t, terms, 11).Signature
	badTerms := w.terms(3)
	badTerms.Notice = 1
	closed := w.terms(4)
	w.open(t, closed)
	if _, err := w.provider.Close(ctx, closed); err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		do   func() error
		want error
	}{
		"opening twice":            {func() error { _, err := w.publisher.Open(ctx, terms, tariff.Units(1)); return err }, evm.ErrAlreadyOpened},
		"opening a closed channel": {func() error { _, err := w.publisher.Open(ctx, closed, tariff.Units(1)); return err }, evm.ErrAlreadyOpened},
		"opening with more than there is": {
			func() error { _, err := w.publisher.Open(ctx, unopened, tariff.Units(1<<40)); return err }, evm.ErrInsufficientFunds,
		},
		"opening on bad terms":                    {func() error { _, err := w.publisher.Open(ctx, badTerms, tariff.Units(1)); return err }, channel.ErrTerms},
		"opening with nothing":                    {func() error { _, err := w.publisher.Open(ctx, unopened, tariff.Units(0)); return err }, evm.ErrAmount},
		"opening for another":                     {func() error { _, err := w.provider.Open(ctx, unopened, tariff.Units(0)); return err }, evm.ErrNotPublisher},
		"depositing in none":                      {func() error { _, err := w.publisher.Deposit(ctx, unopened, tariff.Units(1)); return err }, evm.ErrNotOpened},
		"depositing in a closed":                  {func() error { _, err := w.publisher.Deposit(ctx, closed, tariff.Units(1)); return err }, evm.ErrClosed},
		"notice by another":                       {func() error { _, err := w.provider.Notice(ctx, terms); return err }, evm.ErrNotPublisher},
		"closing by another":                      {func() error { _, err := w.publisher.Close(ctx, terms); return err }, evm.ErrNotPayout},
		"claiming with another total's signature": {func() error { _, err := w.provider.Claim(ctx, foreign); return err }, evm.ErrBadSignature},
		"releasing by voucher":                    {func() error { _, err := w.provider.Release(ctx, w.voucher(t, terms, 10)); return err }, evm.ErrBadSignature},
		"claiming on none":                        {func() error { _, err := w.provider.Claim(ctx, w.voucher(t, unopened, 1)); return err }, evm.ErrNotOpened},
		"claiming on a closed":                    {func() error { _, err := w.provider.Claim(ctx, w.voucher(t, closed, 1)); return err }, evm.ErrClosed},
		"a credit of nobody":                      {func() error { _, err := w.provider.WithdrawCredit(ctx, w.token, w.token); return err }, evm.ErrNoCredit},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if err := test.do(); !errors.Is(err, test.want) {
				t.Errorf("got %v, want %v", err, test.want)
			}
		})
	}
}

func TestClaimBatch(t *testing.T) {
	w, ctx := newWorld(t, evmtest.Options{}), t.Context()
	a, b, c, none := w.terms(1), w.terms(2), w.terms(3), w.terms(4)
	c.Payees = []channel.Payee{{Account: common.Address{7}, Share: 250_000}}
	for _, terms := range []channel.Terms{a, b, c} {
		w.open(t, terms)
	}
	w.pass(t, time.Hour)
	forged := w.voucher(t, b, 20)
	forged.Total = tariff.Units(21)
	receipts, err := w.provider.ClaimBatch(ctx, []evm.Claim{w.voucher(t, a, 10), forged, w.voucher(t, c, 101), w.voucher(t, none, 1)})
	if err != nil || len(receipts) != 2 {
		t.Fatalf("%d receipts, %v; want one per group of payees", len(receipts), err)
	}
	skipped := map[channel.ID]error{}
	for _, e := range receipts[0].Events {
		if e.Kind == evm.ClaimSkipped {
			skipped[e.Channel] = e.Err
		}
	}
	d := w.publisher.Domain()
	if got := receipts[0].Claimed(a.ID(d)); got.String() != "10" {
		t.Errorf("claimed %s on the first", got)
	}
	if !errors.Is(skipped[b.ID(d)], evm.ErrBadSignature) || !errors.Is(skipped[none.ID(d)], evm.ErrNotOpened) {
		t.Errorf("skipped: %v", skipped)
	}
	if got := receipts[1].Claimed(c.ID(d)); got.String() != "101" {
		t.Errorf("claimed %s on the third", got)
	}
	if got := w.balance(t, common.Address{7}); got != "25" {
		t.Errorf("the payee has %s", got)
	}
	if got := w.balance(t, w.provider.Address()); got != "86" {
		t.Errorf("the provider has %s", got)
	}
}

// Channels with other payees are paid by another transaction, and do not wait for one that fails.
func TestClaimBatchGoesOnBehindAFailure(t *testing.T) {
	w, ctx := newWorld(t, evmtest.Options{}), t.Context()
	a, b, c := w.terms(1), w.terms(2), w.terms(3)
	b.Payees = []channel.Payee{{Account: common.Address{7}, Share: 250_000}}
	c.Payees = []channel.Payee{{Account: common.Address{8}, Share: 250_000}}
	for _, terms := range []channel.Terms{a, b, c} {
		w.open(t, terms)
	}
	w.pass(t, time.Hour)
	estimates := 0
	w.node.Inject(evmtest.Fault{Method: "eth_estimateGas", Do: evmtest.Revert("0x"), If: func(evmtest.Request) bool {
		estimates++
		return estimates == 2
	}})
	receipts, err := w.provider.ClaimBatch(ctx, []evm.Claim{w.voucher(t, a, 10), w.voucher(t, b, 20), w.voucher(t, c, 30)})
	if !errors.Is(err, evm.ErrReverted) || len(receipts) != 2 {
		t.Fatalf("%d receipts, %v; want the first and the third", len(receipts), err)
	}
	d := w.publisher.Domain()
	if got := receipts[0].Claimed(a.ID(d)); got.String() != "10" {
		t.Errorf("claimed %s on the first", got)
	}
	if got := receipts[1].Claimed(c.ID(d)); got.String() != "30" {
		t.Errorf("claimed %s on the third", got)
	}
}

func TestDialChecksWhereItIs(t *testing.T) {
	w := newWorld(t, evmtest.Options{})
	wrong, empty, another := w.cfg, w.cfg, w.cfg
	wrong.ChainID = 1
	empty.Channels = common.Address{1}
	another.Channels = w.token
	for name, test := range map[string]struct {
		cfg  evm.Config
		want error
	}{"the right one": {w.cfg, nil}, "another chain": {wrong, evm.ErrWrongChain}, "no code": {empty, evm.ErrNoContract}, "another contract": {another, evm.ErrNoContract}} {
		if _, err := evm.Dial(t.Context(), []string{w.node.URL}, test.cfg); !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
	}
}

// An endpoint that accepts and never answers is unavailable within the deadline, not for ever.
func TestDeadline(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	_, err = evm.Dial(t.Context(), []string{"http://" + l.Addr().String()}, evm.Config{Timeout: 50 * time.Millisecond})
	if !errors.Is(err, evm.ErrUnavailable) {
		t.Errorf("Dial = %v, want ErrUnavailable", err)
	}
}

func TestGasMoney(t *testing.T) {
	w := newWorld(t, evmtest.Options{})
	key, err := crypto.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	poor := evm.NewWallet(w.publisher.Client, key)
	if _, err := poor.Send(t.Context(), evm.Call{To: &w.token, Data: token.NewTestToken().PackMint(poor.Address(), big.NewInt(1))}); !errors.Is(err, evm.ErrInsufficientGas) {
		t.Errorf("Send = %v, want ErrInsufficientGas", err)
	}
}

func TestTokenInfo(t *testing.T) {
	w := newWorld(t, evmtest.Options{})
	for range 2 {
		info, err := w.publisher.TokenInfo(t.Context(), w.token)
		if err != nil || info != (evm.Token{Symbol: "TEST", Decimals: 6}) {
			t.Errorf("TokenInfo = %+v, %v", info, err)
		}
	}
	if _, err := w.publisher.TokenInfo(t.Context(), common.Address{1}); !errors.Is(err, evm.ErrNoContract) {
		t.Errorf("TokenInfo of no token = %v", err)
	}
}

// The contract agrees with the reference formula at every step of a life with clamps of each kind.
func TestClaimsFollowTheReference(t *testing.T) {
	w, ctx := newWorld(t, evmtest.Options{}), t.Context()
	terms := w.terms(1)
	terms.Window = 600
	id := w.open(t, terms)
	for i, step := range []struct {
		wait  time.Duration
		total uint64
	}{{100 * time.Second, 1}, {time.Second, 11_000}, {1000 * time.Second, 90_000}, {7 * time.Second, 90_000}, {500 * time.Second, 1 << 40}, {500 * time.Second, 1 << 40}} {
		w.pass(t, step.wait)
		before, err := w.publisher.State(ctx, id)
		if err != nil {
			t.Fatal(err)
		}
		r, err := w.provider.Claim(ctx, w.voucher(t, terms, step.total))
		if err != nil && !errors.Is(err, evm.ErrNothingToClaim) {
			t.Fatal(err)
		}
		after, err := w.publisher.State(ctx, id)
		if err != nil {
			t.Fatal(err)
		}
		want, paid := channel.Spend(before.State, terms, tariff.Units(step.total), after.Block.Time)
		if !paid.Equal(r.Claimed(id)) {
			t.Errorf("step %d: paid %s, want %s", i, r.Claimed(id), paid)
		}
		if diff := cmp.Diff(want, after.State); diff != "" {
			t.Errorf("step %d: state (-want +got):\n%s", i, diff)
		}
	}
}
