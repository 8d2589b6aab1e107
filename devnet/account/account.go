// SPDX-License-Identifier: Apache-2.0

// Package account holds the devnet's Ethereum accounts. Their keys are derived from their names, so everybody knows them: they are
// worth nothing but on a devnet.
package account

import (
	"crypto/ecdsa"
	"fmt"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"
)

// Names of the accounts that have a purpose. Every one of them has coins from the start.
const (
	Deployer = "deployer" // deploys the contracts and owns the test tokens
	Invoicer = "invoicer" // pays the gas of claims
	Provider = "provider" // receives the claims
	Faucet   = "faucet"   // gives coins and test tokens to new wallets
)

// Names lists all accounts.
func Names() []string { return []string{Deployer, Invoicer, Provider, Faucet} }

// Key returns the private key of an account.
func Key(name string) (*ecdsa.PrivateKey, error) {
	key, err := crypto.ToECDSA(crypto.Keccak256([]byte("apocryph devnet account " + name)))
	if err != nil {
		return nil, fmt.Errorf("deriving the key of account %s: %w", name, err)
	}
	return key, nil
}

// Address returns the address of an account.
func Address(name string) (common.Address, error) {
	key, err := Key(name)
	if err != nil {
		return common.Address{}, err
	}
	return crypto.PubkeyToAddress(key.PublicKey), nil
}
