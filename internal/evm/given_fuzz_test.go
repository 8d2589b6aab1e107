// SPDX-License-Identifier: Apache-2.0

package evm

import (
	"encoding/json"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
)

// A transaction that is carried to where the key is may have been changed on the way: what is shown of it, what is signed and what is written
// again are one and the same.
func FuzzUnsigned(f *testing.F) {
	const whole = `{"type":"0x2","chainId":"0x539","from":"0x0000000000000000000000000000000000000001","to":"0x0000000000000000000000000000000000000002",
		"data":"0x095ea7b3","value":"0x0","nonce":"0x1","gas":"0x5208","maxFeePerGas":"0x3b9aca00","maxPriorityFeePerGas":"0x1"}`
	for _, s := range []string{
		whole, "", "{}", "null", "[]", strings.Replace(whole, `"0x0"`, `"0x1"`, 1), strings.Replace(whole, `"0x2"`, `"0x3"`, 1), strings.Replace(whole, `"0x1",`, `null,`, 1),
		strings.Replace(whole, `0x3b9aca00`, "0x"+strings.Repeat("f", 64), 1), strings.Replace(whole, `"gas"`, `"gas":"0x1","gas"`, 1),
		strings.Replace(whole, "095ea7b3", "095ea7b3"+strings.Repeat("00", 31)+"03"+strings.Repeat("ff", 32), 1),
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		var u, again Unsigned
		if err := json.Unmarshal(content, &u); err != nil || u.Value == nil { // null is no error
			if err != nil && len(err.Error()) > 1000+len(content) {
				t.Errorf("error of %d bytes", len(err.Error()))
			}
			return
		}
		payload, err := u.Payload()
		if err != nil {
			t.Fatal(err)
		}
		tx := u.Transaction()
		if got := types.LatestSignerForChainID(tx.ChainId()).Hash(tx); got != crypto.Keccak256Hash(payload) {
			t.Errorf("its bytes are of another transaction than %s", content)
		}
		cost := new(big.Int).Mul(u.MaxFee, new(big.Int).SetUint64(u.Gas))
		if shown := u.MaxCost().Big(); shown.Cmp(cost) != 0 && shown.BitLen() < 256 {
			t.Errorf("it is said to cost at most %s, not %s", shown, cost)
		}
		if d := Describe(u); d.Does == "" || strings.Contains(d.Does, "\n") || d.Known && u.Value.Sign() != 0 {
			t.Errorf("it is described as %+v", d)
		}
		written, err := json.Marshal(u)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(written, &again); err != nil || again.Transaction().Hash() != tx.Hash() || again.From != u.From {
			t.Errorf("%s is written again as %s: %v", content, written, err)
		}
	})
}

// A journal's file may have been cut or changed: then it is said, and nothing in it is sent.
func FuzzJournal(f *testing.F) {
	for _, s := range []string{
		`{"chain_id":1337,"from":"0x0000000000000000000000000000000000000001","nonce":0,"to":null,"data":"0x","value":null,"signed":["0x02c0"],"since":"2026-01-02T03:04:05Z","done":false}`,
		`{"nonce":7,"signed":["0xf85f078203e8825208940000000000000000000000000000000000000001808025a0` + strings.Repeat("11", 32) + "a0" + strings.Repeat("22", 32) + `"]}`,
		"", "{}", "null", `{"signed":[]}`, `{"signed":[null]}`, `{"signed":{}}`,
	} {
		f.Add([]byte(s))
	}
	file := filepath.Join(f.TempDir(), "journal")
	f.Fuzz(func(t *testing.T, content []byte) {
		if err := os.WriteFile(file, content, 0o600); err != nil {
			t.Fatal(err)
		}
		e, err := NewFileJournal(file).Load()
		if err == nil {
			var txs []*types.Transaction
			if txs, err = e.versions(); err == nil {
				for _, tx := range txs {
					if tx.Nonce() != e.Nonce {
						t.Errorf("a version has nonce %d, the entry %d", tx.Nonce(), e.Nonce)
					}
				}
				if len(txs) == 0 || !e.is(e.call()) {
					t.Errorf("%d versions of %+v", len(txs), e.call())
				}
				return
			}
		}
		if !errors.Is(err, ErrJournal) || strings.Contains(err.Error(), "\n") {
			t.Errorf("error %q", err)
		}
	})
}
