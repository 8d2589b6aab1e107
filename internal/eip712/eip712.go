// SPDX-License-Identifier: Apache-2.0

// Package eip712 is the typed-data signature that every Ethereum key of this project makes (EIP-712), under one domain: name
// "Apocryph", version "1", the chain's id and the Channels contract's address. What is signed for one chain or contract is worth
// nothing on another.
package eip712

import (
	"crypto/ecdsa"
	"errors"
	"fmt"
	"math/big"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"
)

// ErrSignature says that a signature is malformed: not 65 bytes, a high s (malleable), or an unknown v.
var ErrSignature = errors.New("malformed signature")

// Domain says where signatures hold.
type Domain struct {
	ChainID  uint64
	Contract common.Address
}

// Separator returns the domain separator.
func (d Domain) Separator() common.Hash {
	return crypto.Keccak256Hash(
		crypto.Keccak256([]byte("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)")),
		crypto.Keccak256([]byte("Apocryph")),
		crypto.Keccak256([]byte("1")),
		Uint(new(big.Int).SetUint64(d.ChainID)),
		Address(d.Contract),
	)
}

// Digest returns what is signed for a struct hash.
func (d Domain) Digest(structHash common.Hash) common.Hash {
	sep := d.Separator()
	return crypto.Keccak256Hash([]byte{0x19, 0x01}, sep[:], structHash[:])
}

// Uint is n as one word; n must be neither negative nor wider than 256 bits.
func Uint(n *big.Int) []byte { return common.LeftPadBytes(n.Bytes(), 32) }

// Uint64 is n as one word.
func Uint64(n uint64) []byte { return Uint(new(big.Int).SetUint64(n)) }

// Address is a as one word.
func Address(a common.Address) []byte { return common.LeftPadBytes(a[:], 32) }

// Sign signs a digest; the result is r ‖ s ‖ v with v 27 or 28, as contracts and wallets want it.
func Sign(digest common.Hash, key *ecdsa.PrivateKey) ([]byte, error) {
	sig, err := crypto.Sign(digest[:], key)
	if err != nil {
		return nil, fmt.Errorf("signing: %w", err)
	}
	sig[64] += 27
	return sig, nil
}

// Recover returns who signed a digest, or ErrSignature. It accepts v as 27/28 or 0/1, and only a low s.
func Recover(digest common.Hash, sig []byte) (common.Address, error) {
	if len(sig) != 65 {
		return common.Address{}, fmt.Errorf("%d bytes: %w", len(sig), ErrSignature)
	}
	raw := append([]byte(nil), sig...)
	if raw[64] >= 27 {
		raw[64] -= 27
	}
	r, s := new(big.Int).SetBytes(raw[:32]), new(big.Int).SetBytes(raw[32:64])
	if !crypto.ValidateSignatureValues(raw[64], r, s, true) {
		return common.Address{}, ErrSignature
	}
	pub, err := crypto.SigToPub(digest[:], raw)
	if err != nil {
		return common.Address{}, fmt.Errorf("%w: %w", ErrSignature, err)
	}
	return crypto.PubkeyToAddress(*pub), nil
}
