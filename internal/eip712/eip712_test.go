// SPDX-License-Identifier: Apache-2.0

package eip712_test

import (
	"errors"
	"math/big"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/math"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/signer/core/apitypes"

	"github.com/apocryph/apocryph/internal/eip712"
)

// The independent implementation here is go-ethereum's generic one.
func TestDigestIsWhatWalletsSign(t *testing.T) {
	d := eip712.Domain{ChainID: 1337, Contract: common.HexToAddress("0x5FbDB2315678afecb367f032d93F642f64180aa3")}
	typed := apitypes.TypedData{
		Types: apitypes.Types{
			"EIP712Domain": {{Name: "name", Type: "string"}, {Name: "version", Type: "string"}, {Name: "chainId", Type: "uint256"}, {Name: "verifyingContract", Type: "address"}},
			"Voucher":      {{Name: "channel", Type: "bytes32"}, {Name: "total", Type: "uint256"}},
		},
		PrimaryType: "Voucher",
		Domain:      apitypes.TypedDataDomain{Name: "Apocryph", Version: "1", ChainId: math.NewHexOrDecimal256(1337), VerifyingContract: d.Contract.Hex()},
		Message:     apitypes.TypedDataMessage{"channel": common.Hash{1}.Hex(), "total": "42"},
	}
	want, _, err := apitypes.TypedDataAndHash(typed)
	if err != nil {
		t.Fatal(err)
	}
	channel := common.Hash{1}
	got := d.Digest(crypto.Keccak256Hash(crypto.Keccak256([]byte("Voucher(bytes32 channel,uint256 total)")), channel[:], eip712.Uint64(42)))
	if got != common.BytesToHash(want) {
		t.Errorf("Digest = %s, want %x", got, want)
	}
}

func TestRecover(t *testing.T) {
	key, err := crypto.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	digest := crypto.Keccak256Hash([]byte("x"))
	sig, err := eip712.Sign(digest, key)
	if err != nil {
		t.Fatal(err)
	}
	who, err := eip712.Recover(digest, sig)
	if err != nil || who != crypto.PubkeyToAddress(key.PublicKey) {
		t.Fatalf("Recover = %s, %v", who, err)
	}

	high := append([]byte(nil), sig...)
	s := new(big.Int).Sub(crypto.S256().Params().N, new(big.Int).SetBytes(sig[32:64]))
	s.FillBytes(high[32:64])
	high[64] ^= 27 ^ 28
	for name, bad := range map[string][]byte{
		"empty": nil, "short": sig[:64], "long": append(sig, 0), "the other of two malleable forms": high,
		"an unknown v": append(append([]byte(nil), sig[:64]...), 29),
	} {
		if _, err := eip712.Recover(digest, bad); !errors.Is(err, eip712.ErrSignature) {
			t.Errorf("%s: Recover = %v, want ErrSignature", name, err)
		}
	}
}
