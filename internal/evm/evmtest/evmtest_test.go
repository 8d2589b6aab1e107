// SPDX-License-Identifier: Apache-2.0

package evmtest_test

import (
	"errors"
	"math/big"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/ethclient"
	"github.com/ethereum/go-ethereum/rpc"

	"github.com/apocryph/apocryph/internal/evm/evmtest"
)

// An endpoint that is behind tells one story: of the newest blocks it has neither headers, state, nonces nor receipts.
func TestLag(t *testing.T) {
	key, err := crypto.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	from, to := crypto.PubkeyToAddress(key.PublicKey), common.Address{9}
	chain := evmtest.NewChain(t, evmtest.Options{Funded: []common.Address{from}, Manual: true})
	p := chain.Endpoint(t)
	c, err := ethclient.Dial(p.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	chain.Mine(3)
	r := chain.Do(t, key, &to, nil, big.NewInt(7))
	chain.Mine(1)
	for lag, there := range map[uint64]bool{0: true, 1: true, 2: false, 3: false} {
		p.Lag(lag)
		head, err := c.HeaderByNumber(t.Context(), nil)
		if err != nil || head.Number.Uint64() != 5-lag {
			t.Errorf("lag %d: head %v, %v", lag, head, err)
		}
		nonce, err := c.NonceAt(t.Context(), from, nil)
		if err != nil || (nonce == 1) != there {
			t.Errorf("lag %d: nonce %d, %v", lag, nonce, err)
		}
		balance, err := c.BalanceAt(t.Context(), to, nil)
		if err != nil || (balance.Sign() > 0) != there {
			t.Errorf("lag %d: balance %s, %v", lag, balance, err)
		}
		if _, err := c.TransactionReceipt(t.Context(), r.TxHash); (err == nil) != there || (err != nil && !errors.Is(err, ethereum.NotFound)) {
			t.Errorf("lag %d: receipt: %v", lag, err)
		}
		if _, err := c.BalanceAtHash(t.Context(), to, r.BlockHash); (err == nil) != there {
			t.Errorf("lag %d: state of the block: %v", lag, err)
		}
		if _, err := c.HeaderByNumber(t.Context(), r.BlockNumber); (err == nil) != there {
			t.Errorf("lag %d: its header: %v", lag, err)
		}
	}
}

func TestFinal(t *testing.T) {
	chain := evmtest.NewChain(t, evmtest.Options{Manual: true})
	p := chain.Endpoint(t)
	c, err := ethclient.Dial(p.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	chain.Mine(5)
	p.Final(2)
	if h, err := c.HeaderByNumber(t.Context(), big.NewInt(int64(rpc.FinalizedBlockNumber))); err != nil || h.Number.Uint64() != 3 {
		t.Errorf("final %v, %v", h, err)
	}
}

// What was taken back waits again, or is gone.
func TestReorg(t *testing.T) {
	key, err := crypto.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	to := common.Address{9}
	for drop, want := range map[bool]error{false: nil, true: ethereum.NotFound} {
		chain := evmtest.NewChain(t, evmtest.Options{Funded: []common.Address{crypto.PubkeyToAddress(key.PublicKey)}, Manual: true})
		chain.Mine(2)
		before := chain.Do(t, key, &to, nil, big.NewInt(7))
		chain.Reorg(t, 1, 2, drop)
		after, err := chain.Client().TransactionReceipt(t.Context(), before.TxHash)
		if !errors.Is(err, want) || (err == nil && after.BlockHash == before.BlockHash) {
			t.Errorf("dropped %t: %v, %v", drop, after, err)
		}
		chain.Pass(t, time.Hour)
		if got := chain.Head().Number.Uint64(); got != 5 {
			t.Errorf("dropped %t: block %d", drop, got)
		}
	}
}

// A fault is had by the requests that it is for, as often as it says.
func TestInject(t *testing.T) {
	chain := evmtest.NewChain(t, evmtest.Options{})
	p := chain.Endpoint(t)
	c, err := ethclient.Dial(p.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	p.Inject(evmtest.Fault{Method: "eth_chainId", Times: 2, Do: evmtest.Say("0x7")})
	for i, want := range []uint64{7, 7, evmtest.ID} {
		if id, err := c.ChainID(t.Context()); err != nil || id.Uint64() != want {
			t.Errorf("request %d: %v, %v", i, id, err)
		}
		if _, err := c.BlockNumber(t.Context()); err != nil {
			t.Errorf("another method: %v", err)
		}
	}
	p.Inject(evmtest.Fault{Do: evmtest.Break()})
	if _, err := c.ChainID(t.Context()); err == nil {
		t.Error("it answers")
	}
	p.Heal()
	if _, err := c.ChainID(t.Context()); err != nil {
		t.Errorf("healed: %v", err)
	}
	if n := len(p.Requests("eth_chainId")); n != 5 {
		t.Errorf("%d requests were counted", n)
	}
}
