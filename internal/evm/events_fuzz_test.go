// SPDX-License-Identifier: Apache-2.0

package evm

import (
	"encoding/hex"
	"errors"
	"math/big"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"

	"github.com/apocryph/apocryph/internal/gen/channels"
)

// A node may answer any log: what is read of it is what its words say, within the widths of the contract.
func FuzzEvent(f *testing.F) {
	c := &Client{cfg: Config{Channels: common.Address{1}}, channels: channels.NewChannels()}
	abi := c.channels.GetABI()
	word := func(n int64) []byte { return common.LeftPadBytes(big.NewInt(n).Bytes(), 32) }
	for _, kind := range []EventKind{Opened, Deposited, Claimed, ClaimSkipped, NoticeGiven, Closed} {
		id := abi.Events[string(kind)].ID
		for _, words := range []int{0, 1, 2, 3, 12} {
			var data []byte
			for i := range words {
				data = append(data, word(int64(7+i))...)
			}
			f.Add(id[:], common.Hash{2}.Bytes(), common.Hash{3}.Bytes(), data, uint8(3))
			f.Add(id[:], common.Hash{2}.Bytes(), []byte{}, data, uint8(2))
		}
		f.Add(id[:], common.Hash{2}.Bytes(), []byte{}, []byte(strings.Repeat("\xff", 96)), uint8(2))
		f.Add(id[:], []byte{}, []byte{}, []byte{}, uint8(0))
	}
	f.Fuzz(func(t *testing.T, kind, id, more, data []byte, topics uint8) {
		l := &types.Log{Address: c.cfg.Channels, Data: data, BlockNumber: 5}
		for _, b := range [][]byte{kind, id, more, more}[:topics%5] {
			l.Topics = append(l.Topics, common.BytesToHash(b))
		}
		e, ok := c.event(l)
		if !ok {
			return
		}
		if common.Hash(e.Channel) != l.Topics[1] || abi.Events[string(e.Kind)].ID != l.Topics[0] || e.Block != 5 {
			t.Errorf("%+v is read as %+v", l, e)
		}
		if e.NoticeEnd >= 1<<timeBits || e.Kind != NoticeGiven && e.NoticeEnd != 0 {
			t.Errorf("a notice that ends at %d", e.NoticeEnd)
		}
		for _, amount := range []*big.Int{e.Amount.Big(), e.Claimed.Big()} {
			if amount.BitLen() > 256 || amount.Sign() < 0 || amount.Sign() > 0 && !strings.Contains(string(data)+string(more), string(amount.Bytes())) {
				t.Errorf("%x is read as %s", data, amount)
			}
		}
		l.Address[19]++
		if _, ok := c.event(l); ok {
			t.Error("another contract's log is read")
		}
	})
}

// answered is an error of a node, with data.
type answered struct {
	text string
	data any
}

func (a answered) Error() string  { return a.text }
func (a answered) ErrorData() any { return a.data }

// Why a contract refuses is said by a node, or by somebody who passes for one.
func FuzzReverted(f *testing.F) {
	const reason = "08c379a0"
	f.Add("execution reverted", "0x"+reason+strings.Repeat("0", 62)+"20"+strings.Repeat("0", 62)+"03"+hex.EncodeToString([]byte("a\nb"))+strings.Repeat("0", 58))
	f.Add("execution reverted", "0x")
	f.Add("", "0x12345678")
	f.Add("x", "zz")
	f.Fuzz(func(t *testing.T, text, data string) {
		err := reverted(answered{text, data})
		if raw, hexErr := hex.DecodeString(strings.TrimPrefix(data, "0x")); (hexErr != nil || len(raw) == 0 && text == "") != errors.Is(err, ErrUnavailable) && text == "" {
			t.Errorf("%q with %q: %v", text, data, err)
		}
		if !strings.Contains(text, "\n") && len(text) < 500 && (strings.Contains(err.Error(), "\n") || len(err.Error()) > 2000) {
			t.Errorf("not one short line: %q", err)
		}
	})
}
