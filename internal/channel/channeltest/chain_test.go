// SPDX-License-Identifier: Apache-2.0

package channeltest_test

import (
	"crypto/ecdsa"
	"encoding/binary"
	"errors"
	"math/big"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/state"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/core/vm"
	"github.com/ethereum/go-ethereum/core/vm/runtime"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/eth/ethconfig"
	"github.com/ethereum/go-ethereum/ethclient"
	"github.com/ethereum/go-ethereum/ethclient/simulated"
	"github.com/ethereum/go-ethereum/node"
	"github.com/ethereum/go-ethereum/params"
)

// txGas is what every transaction may use.
const txGas = 10_000_000

// rules are mainnet's of today. The development chain's own have the gas schedule of a fork that is not out yet.
func rules(development *params.ChainConfig) *params.ChainConfig {
	c := *development
	c.BogotaTime = nil
	return &c
}

// bare is go-ethereum's machine and state without blocks around them: the same code runs much faster, several calls can share a second, and
// a run starts from a copy of a chain with everything deployed.
type bare struct {
	state   *state.StateDB
	machine *vm.EVM
	count   uint64
}

func newBare(t *testing.T) *bare {
	t.Helper()
	s, err := state.New(types.EmptyRootHash, state.NewDatabaseForTesting())
	if err != nil {
		t.Fatal(err)
	}
	return on(s)
}

func on(s *state.StateDB) *bare {
	return &bare{state: s, machine: runtime.NewEnv(&runtime.Config{
		ChainConfig: rules(params.AllDevChainProtocolChanges), Time: start, BlockNumber: new(big.Int), Difficulty: new(big.Int), GasPrice: new(big.Int),
		BaseFee: new(big.Int), BlobBaseFee: new(big.Int), Random: new(common.Hash), GasLimit: txGas, State: s,
	})}
}

func (b *bare) copy() *bare { return on(b.state.Copy()) }

// begin makes the state ready for a transaction, as blocks do.
func (b *bare) begin(from common.Address, to *common.Address) (hash common.Hash) {
	b.count++
	binary.BigEndian.PutUint64(hash[:], b.count)
	b.state.SetTxContext(hash, 0, 0)
	b.machine.SetTxContext(vm.TxContext{Origin: from, GasPrice: common.U2560})
	b.state.Prepare(b.machine.GetRules(), from, common.Address{}, to, vm.ActivePrecompiles(b.machine.GetRules()), nil)
	return hash
}

func (b *bare) deploy(t *testing.T, code []byte) common.Address {
	t.Helper()
	from := accountOf("stranger")
	b.begin(from, nil)
	_, address, _, err := b.machine.Create(from, code, vm.NewGasBudget(txGas, 0), common.U2560)
	if err != nil {
		t.Fatalf("deploying: %v", err)
	}
	b.state.Finalise(b.machine.GetRules())
	return address
}

func (b *bare) send(t *testing.T, at uint64, from *ecdsa.PrivateKey, to common.Address, data []byte) sent {
	t.Helper()
	account := crypto.PubkeyToAddress(from.PublicKey)
	b.machine.Context.Time = at
	hash := b.begin(account, &to)
	out, _, err := b.machine.Call(account, to, data, vm.NewGasBudget(txGas, 0), common.U2560)
	if err != nil && !errors.Is(err, vm.ErrExecutionReverted) {
		t.Fatalf("a transaction ended with %v", err) // out of gas, or a bad instruction
	}
	b.state.Finalise(b.machine.GetRules())
	return sent{reverted: err != nil, returned: out, logs: b.state.GetLogs(hash, 0, hash, at)}
}

func (b *bare) read(t *testing.T, to common.Address, data []byte) []byte {
	out, _, err := b.machine.StaticCall(common.Address{}, to, data, vm.NewGasBudget(txGas, 0))
	if err != nil {
		t.Fatalf("reading: %v", err)
	}
	return out
}

// blocks is go-ethereum's simulated chain: a pool, blocks with headers, and a clock that only they move.
type blocks struct {
	sim   *simulated.Backend
	nonce map[common.Address]uint64
}

func newBlocks(t *testing.T) *blocks {
	t.Helper()
	alloc := types.GenesisAlloc{}
	for _, name := range holders() {
		alloc[accountOf(name)] = types.Account{Balance: new(big.Int).Lsh(big.NewInt(1), 100)}
	}
	sim := simulated.NewBackend(alloc, func(_ *node.Config, c *ethconfig.Config) {
		genesis := *c.Genesis
		genesis.Config = rules(c.Genesis.Config)
		c.Genesis = &genesis
	})
	t.Cleanup(func() {
		if err := sim.Close(); err != nil {
			t.Error(err)
		}
	})
	b := &blocks{sim: sim, nonce: map[common.Address]uint64{}}
	b.until(t, start-10)
	return b
}

// until makes a block of the second before this time, so that the next one is of this time.
func (b *blocks) until(t *testing.T, at uint64) {
	t.Helper()
	h, err := b.sim.Client().HeaderByNumber(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if at <= h.Time {
		t.Fatalf("time %d is not after the last block's %d", at, h.Time)
	}
	if at == h.Time+1 {
		return
	}
	b.sim.Rollback() // the pool may still hold what was just mined, and time only moves past an empty one
	if err := b.sim.AdjustTime(time.Duration(at-1-h.Time) * time.Second); err != nil {
		t.Fatal(err)
	}
}

func (b *blocks) mine(t *testing.T, from *ecdsa.PrivateKey, tx *types.DynamicFeeTx) *types.Receipt {
	t.Helper()
	account := crypto.PubkeyToAddress(from.PublicKey)
	tx.ChainID, tx.Nonce, tx.Gas = big.NewInt(chainID), b.nonce[account], txGas
	tx.GasTipCap, tx.GasFeeCap = big.NewInt(params.GWei), big.NewInt(10*params.GWei)
	signed, err := types.SignNewTx(from, types.LatestSignerForChainID(tx.ChainID), tx)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.sim.Client().SendTransaction(t.Context(), signed); err != nil {
		t.Fatal(err)
	}
	b.nonce[account]++
	b.sim.Commit()
	r, err := b.sim.Client().TransactionReceipt(t.Context(), signed.Hash())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func (b *blocks) deploy(t *testing.T, code []byte) common.Address {
	t.Helper()
	r := b.mine(t, keyOf("stranger"), &types.DynamicFeeTx{Data: code})
	if r.Status != types.ReceiptStatusSuccessful {
		t.Fatal("a contract is not deployed")
	}
	return r.ContractAddress
}

func (b *blocks) send(t *testing.T, at uint64, from *ecdsa.PrivateKey, to common.Address, data []byte) sent {
	t.Helper()
	b.until(t, at)
	r := b.mine(t, from, &types.DynamicFeeTx{To: &to, Data: data})
	if r.Status == types.ReceiptStatusSuccessful {
		return sent{logs: r.Logs}
	}
	// A refused transaction changes nothing, so the same call in its own block is refused for the same reason.
	_, err := b.sim.Client().CallContract(t.Context(), ethereum.CallMsg{From: crypto.PubkeyToAddress(from.PublicKey), To: &to, Data: data, Gas: txGas}, r.BlockNumber)
	reason, found := ethclient.RevertErrorData(err)
	if err == nil {
		t.Fatal("a call that was refused is not refused when it is asked for")
	}
	if !found {
		reason = nil
	}
	return sent{reverted: true, returned: reason}
}

func (b *blocks) read(t *testing.T, to common.Address, data []byte) []byte {
	t.Helper()
	out, err := b.sim.Client().CallContract(t.Context(), ethereum.CallMsg{To: &to, Data: data}, nil)
	if err != nil {
		t.Fatalf("reading: %v", err)
	}
	return out
}
