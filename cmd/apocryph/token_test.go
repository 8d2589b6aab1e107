// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/binary"
	"math/big"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/vm"
	"github.com/ethereum/go-ethereum/crypto"

	"github.com/apocryph/apocryph/internal/channel"
	"github.com/apocryph/apocryph/internal/evm"
	"github.com/apocryph/apocryph/internal/tariff"
)

// oddToken is the code of a token that can be paid in, and refuses to be transferred until mend() was called. Everybody has plenty of it.
func oddToken() []byte {
	selector := func(signature string) []byte { return crypto.Keccak256([]byte(signature))[:4] }
	word := func(n byte) []byte {
		return []byte{byte(vm.PUSH1), n, byte(vm.PUSH1), 0, byte(vm.MSTORE), byte(vm.PUSH1), 32, byte(vm.PUSH1), 0, byte(vm.RETURN)}
	}
	symbol := []byte{
		byte(vm.PUSH1), 32, byte(vm.PUSH1), 0, byte(vm.MSTORE), byte(vm.PUSH1), 3, byte(vm.PUSH1), 32, byte(vm.MSTORE),
		byte(vm.PUSH3), 'O', 'D', 'D', byte(vm.PUSH1), 232, byte(vm.SHL), byte(vm.PUSH1), 64, byte(vm.MSTORE),
		byte(vm.PUSH1), 96, byte(vm.PUSH1), 0, byte(vm.RETURN),
	}
	code := []byte{byte(vm.PUSH1), 0, byte(vm.CALLDATALOAD), byte(vm.PUSH1), 0xe0, byte(vm.SHR)}
	for _, method := range []struct {
		signature string
		does      []byte
	}{
		{"transfer(address,uint256)", []byte{byte(vm.PUSH1), 0, byte(vm.SLOAD), byte(vm.PUSH1), 0, byte(vm.MSTORE), byte(vm.PUSH1), 32, byte(vm.PUSH1), 0, byte(vm.RETURN)}},
		{"mend()", []byte{byte(vm.PUSH1), 1, byte(vm.PUSH1), 0, byte(vm.SSTORE), byte(vm.STOP)}},
		{"decimals()", word(6)},
		{"symbol()", symbol},
		{"balanceOf(address)", append([]byte{byte(vm.PUSH1), 100, byte(vm.PUSH1), 3, byte(vm.EXP)}, word(0)[2:]...)},
	} {
		// If it is another one, go on behind this one.
		code = append(code, byte(vm.DUP1), byte(vm.PUSH4))
		code = append(code, selector(method.signature)...)
		code = append(code, byte(vm.SUB), byte(vm.PUSH2))
		code = binary.BigEndian.AppendUint16(code, uint16(len(code)+3+len(method.does)))
		code = append(code, byte(vm.JUMPI))
		code = append(code, method.does...)
		code = append(code, byte(vm.JUMPDEST))
	}
	return append(code, word(1)...) // approve, allowance, transferFrom: true, or a little
}

// owe leaves the account of a wallet file a credit in a token of its own.
func (w *world) owe(ctx context.Context, file, passphrase string) (common.Address, error) {
	code := oddToken()
	size := byte(len(code))
	deploy := append([]byte{
		byte(vm.PUSH2), byte(len(code) >> 8), size, byte(vm.PUSH1), 14, byte(vm.PUSH1), 0, byte(vm.CODECOPY),
		byte(vm.PUSH2), byte(len(code) >> 8), size, byte(vm.PUSH1), 0, byte(vm.RETURN),
	}, code...)
	made, err := w.faucet.Send(ctx, evm.Call{Data: deploy})
	if err != nil {
		return common.Address{}, err
	}
	key, err := evm.OpenKeystore(file, passphrase)
	if err != nil {
		return common.Address{}, err
	}
	own := evm.NewWallet(w.faucet.Client, key)
	terms := channel.Terms{
		Publisher: own.Address(), Payout: w.faucet.Address(), Signer: w.faucet.Address(), Token: made.Contract, Cap: tariff.Units(1), Window: 3600, Notice: 3600,
	}
	if _, err := own.Open(ctx, terms, tariff.Units(5_000_000)); err != nil {
		return common.Address{}, err
	}
	_, err = w.faucet.Close(ctx, terms)
	return made.Contract, err
}

// mend makes an odd token an ordinary one.
func (w *world) mend(ctx context.Context, tok common.Address) error {
	_, err := w.faucet.Send(ctx, evm.Call{To: &tok, Data: crypto.Keccak256([]byte("mend()"))[:4], Value: new(big.Int)})
	return err
}
