// SPDX-License-Identifier: Apache-2.0

package evm_test

import (
	"math/big"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"

	"github.com/apocryph/apocryph/internal/evm"
	"github.com/apocryph/apocryph/internal/evm/evmtest"
	"github.com/apocryph/apocryph/internal/gen/channels"
)

// An endpoint is taken at its word, so that a doctor can see which one differs.
func TestInspect(t *testing.T) {
	key, err := crypto.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	rich := crypto.PubkeyToAddress(key.PublicKey)
	c := evmtest.NewChain(t, evmtest.Options{Funded: []common.Address{rich}})
	contract := c.Deploy(t, key, channels.ChannelsMetaData.Bin)
	p := c.Endpoint(t)

	i, err := evm.Inspect(t.Context(), p.URL, contract)
	if err != nil || !i.Contract || i.Head.Number != c.Head().Number.Uint64() || i.Fee.Sign() <= 0 {
		t.Fatalf("Inspect = %+v, %v", i, err)
	}
	if hash, err := evm.InspectHash(t.Context(), p.URL, i.Head.Number); err != nil || hash != i.Head.Hash {
		t.Errorf("InspectHash = %s, %v; the head is %s", hash, err, i.Head.Hash)
	}
	if b, err := evm.InspectBalance(t.Context(), p.URL, rich); err != nil || b.Cmp(big.NewInt(0)) <= 0 {
		t.Errorf("InspectBalance = %s, %v", b, err)
	}
	if i, err := evm.Inspect(t.Context(), p.URL, common.Address{1}); err != nil || i.Contract {
		t.Errorf("without the contract: %+v, %v", i, err)
	}
	p.Inject(evmtest.Fault{Method: "eth_chainId", Do: evmtest.Say("0x1")})
	if i, err := evm.Inspect(t.Context(), p.URL, contract); err != nil || i.ChainID != 1 {
		t.Errorf("of another chain: %+v, %v", i, err)
	}
	p.Heal()
	p.Inject(evmtest.Fault{Do: evmtest.HTTP(500)})
	if _, err := evm.Inspect(t.Context(), p.URL+"/key-of-a-customer", contract); err == nil || strings.Contains(err.Error(), "key-of-a-customer") {
		t.Errorf("one that fails: %v", err)
	}
	if _, err := evm.Inspect(t.Context(), "http://127.0.0.1:1/key-of-a-customer", contract); err == nil || strings.Contains(err.Error(), "key-of-a-customer") {
		t.Errorf("one that is away: %v", err)
	}
}
