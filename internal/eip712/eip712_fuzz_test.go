// SPDX-License-Identifier: Apache-2.0

package eip712_test

import (
	"bytes"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"

	"github.com/apocryph/apocryph/internal/eip712"
)

// Of all the forms that a signature could have, one counts, with v in the wallets' way or the chain's.
func FuzzRecover(f *testing.F) {
	key, err := crypto.ToECDSA(bytes.Repeat([]byte{1}, 32))
	if err != nil {
		f.Fatal(err)
	}
	signer, digest := crypto.PubkeyToAddress(key.PublicKey), common.Hash{2}
	good, err := eip712.Sign(digest, key)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	short := bytes.Clone(good)
	short[64] -= 27
	f.Add(short)
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, sig []byte) {
		who, err := eip712.Recover(digest, sig)
		if err == nil && who == signer && !bytes.Equal(sig, good) && !bytes.Equal(sig, short) {
			t.Errorf("%x is a second signature of the same", sig)
		}
	})
}
