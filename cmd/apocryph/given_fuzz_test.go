// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/apocryph/apocryph/internal/evm"
)

// What `wallet sign` reads: a transaction that is signed is the one whose fields somebody looked at, whichever form it came in.
func FuzzReadUnsigned(f *testing.F) {
	const tx = `{"type":"0x2","chainId":"0x1","from":"0x0000000000000000000000000000000000000001","to":"0x0000000000000000000000000000000000000002",` +
		`"data":"0x","value":"0x0","nonce":"0x0","gas":"0x0","maxFeePerGas":"0x0","maxPriorityFeePerGas":"0x0"}`
	for _, s := range []string{
		tx, `{"event":"unsigned","transactions":[{"does":"nothing","tx":` + tx + `,"unsigned":"0x02df0180808080940000000000000000000000000000000000000002808` + `0c0"}]}`,
		`{"transactions":[]}`, `{"transactions":[{}]}`, `{"transactions":[{"tx":null}]}`, "", "null", "[]",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		all, err := readUnsigned(content)
		if err != nil {
			if !errors.Is(err, evm.ErrUnsigned) {
				t.Errorf("error %q", err)
			}
			return
		}
		for _, u := range all {
			if u.Value == nil || u.MaxFee == nil || u.MaxTip == nil {
				t.Fatalf("%s is read as %+v", content, u)
			}
			if _, err := u.Payload(); err != nil || inWords(u, evm.Describe(u)) == "" {
				t.Errorf("%+v can't be signed: %v", u, err)
			}
		}
	})
}

// What `wallet send` reads: who it is from comes from the signature.
func FuzzReadSigned(f *testing.F) {
	for _, s := range []string{
		"0x", "0x02c0", "0x" + strings.Repeat("00", 100), `{"transactions":[{"raw":"0x02c0"}]}`, `{"transactions":[{}]}`, "{}",
		"0xf85f800182520894000000000000000000000000000000000000000180801ba0" + strings.Repeat("11", 32) + "a0" + strings.Repeat("22", 32),
	} {
		f.Add(s)
	}
	file := filepath.Join(f.TempDir(), "signed")
	f.Fuzz(func(t *testing.T, text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		c := walletSendCmd{Raw: file}
		all, err := c.read(stdio{})
		if err != nil {
			if !errors.Is(err, errSigned) {
				t.Errorf("error %q", err)
			}
			return
		}
		for _, s := range all {
			if s.tx == nil || s.u.ChainID != all[0].u.ChainID || s.u.Nonce != s.tx.Nonce() {
				t.Errorf("%q is read as %+v", text, s)
			}
		}
	})
}
