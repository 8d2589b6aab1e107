// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"embed"
	"encoding/json"
	"math/big"

	"github.com/ethereum/go-ethereum/accounts/abi"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"

	"github.com/apocryph/apocryph/internal/channel"
	"github.com/apocryph/apocryph/internal/eip712"
	"github.com/apocryph/apocryph/internal/gen/channels"
)

//go:embed designs/*.json
var compiled embed.FS

// artifact is a contract as designs.sh leaves it.
type artifact struct {
	ABI abi.ABI `json:"abi"`
	Bin string  `json:"bin"`
}

func load(name string) (a artifact, err error) {
	raw, err := compiled.ReadFile("designs/" + name + ".json")
	if err != nil {
		return a, err
	}
	return a, json.Unmarshal(raw, &a)
}

// pack encodes a call. What it is given is written in this program, so it panics on what does not fit.
func (a artifact) pack(method string, args ...any) []byte {
	data, err := a.ABI.Pack(method, args...)
	if err != nil {
		panic(err)
	}
	return data
}

// entry is what all other designs have in common: the contract at which channels are opened.
type entry struct {
	artifact
	at common.Address
}

func (e *entry) deploy(ctx context.Context, w *world) (uint64, error) {
	r, err := w.send(ctx, w.relayer, call{data: common.FromHex(e.Bin)})
	if err != nil {
		return 0, err
	}
	e.at = r.ContractAddress
	return r.GasUsed, nil
}

func (e *entry) domain() eip712.Domain { return eip712.Domain{ChainID: chainID, Contract: e.at} }

func (e *entry) id(t channel.Terms) [32]byte { return t.ID(e.domain()) }

func (e *entry) open(t channel.Terms, amount *big.Int) call {
	return call{&e.at, e.pack("open", terms(t), amount)}
}

func (e *entry) openWithPermit(t channel.Terms, amount *big.Int, p channels.Permit) call {
	return call{&e.at, e.pack("openWithPermit", terms(t), amount, p)}
}

func (e *entry) openFor(t channel.Terms, amount *big.Int, signature []byte, p channels.Permit) call {
	return call{&e.at, e.pack("openFor", terms(t), amount, big.NewInt(never().Unix()), signature, p)}
}

// slots keeps the terms of all channels, in three slots each.
type slots struct{ entry }

type slotsItem struct {
	Id        [32]byte // as in the ABI
	Total     *big.Int
	Signature []byte
}

func (s *slots) item(v voucher) slotsItem {
	return slotsItem{s.id(v.terms), v.total.Big(), v.signature}
}

func (s *slots) deposit(t channel.Terms, amount *big.Int) call {
	return call{&s.at, s.pack("deposit", payment(t), s.id(t), amount)}
}

func (s *slots) claim(v voucher) call {
	return call{&s.at, s.pack("claim", payment(v.terms), s.item(v))}
}

func (s *slots) claimBatch(vs []voucher) call {
	var items []slotsItem
	for _, v := range vs {
		items = append(items, s.item(v))
	}
	return call{&s.at, s.pack("claimBatch", payment(vs[0].terms), items)}
}

func (s *slots) notice(t channel.Terms) call { return call{&s.at, s.pack("notice", s.id(t))} }

func (s *slots) withdraw(t channel.Terms) call {
	return call{&s.at, s.pack("withdraw", payment(t), s.id(t))}
}

func (s *slots) close(t channel.Terms) call {
	return call{&s.at, s.pack("close", payment(t), s.id(t))}
}

func (s *slots) release(v voucher) call {
	return call{&s.at, s.pack("release", payment(v.terms), s.id(v.terms), v.total.Big(), v.signature)}
}

// clones is a minimal proxy for each channel.
type clones struct {
	entry
	channel artifact
}

func (c *clones) channelOf(t channel.Terms) *common.Address {
	implementation := crypto.CreateAddress(c.at, 1)
	code := bytes.Join([][]byte{
		common.FromHex("3d602d80600a3d3981f3363d3d373d3d3d363d73"), implementation[:], common.FromHex("5af43d82803e903d91602b57fd5bf3"),
	}, nil)
	a := crypto.CreateAddress2(c.at, c.id(t), crypto.Keccak256(code))
	return &a
}

func (c *clones) deposit(t channel.Terms, amount *big.Int) call {
	return call{&t.Token, coin().PackTransfer(*c.channelOf(t), amount)}
}

func (c *clones) claim(v voucher) call {
	return call{c.channelOf(v.terms), c.channel.pack("claim", payment(v.terms), item(v))}
}

func (c *clones) claimBatch(vs []voucher) call {
	var at []common.Address
	var items []channels.Claim
	for _, v := range vs {
		at, items = append(at, *c.channelOf(v.terms)), append(items, item(v))
	}
	return call{&c.at, c.pack("claimBatch", payment(vs[0].terms), at, items)}
}

func (c *clones) notice(t channel.Terms) call {
	return call{c.channelOf(t), c.channel.pack("notice", terms(t))}
}

func (c *clones) withdraw(t channel.Terms) call {
	return call{c.channelOf(t), c.channel.pack("withdraw", terms(t))}
}

func (c *clones) close(t channel.Terms) call {
	return call{c.channelOf(t), c.channel.pack("close", terms(t))}
}

func (c *clones) release(v voucher) call {
	return call{c.channelOf(v.terms), c.channel.pack("release", terms(v.terms), v.total.Big(), v.signature)}
}

// apart is a contract of its own for each channel.
type apart struct {
	entry
	channel artifact
}

type apartItem struct {
	Channel   common.Address
	Total     *big.Int
	Signature []byte
}

func (a *apart) channelOf(t channel.Terms) *common.Address {
	id, domain := a.id(t), a.domain().Separator()
	var payees []byte
	for _, p := range t.Payees {
		payees = append(payees, crypto.Keccak256(
			crypto.Keccak256([]byte("Payee(address account,uint32 share)")), eip712.Address(p.Account), eip712.Uint64(uint64(p.Share)))...)
	}
	code := bytes.Join([][]byte{
		common.FromHex(a.channel.Bin), id[:], domain[:], crypto.Keccak256(payees), eip712.Address(t.Token), eip712.Address(t.Payout),
		eip712.Address(t.Signer), eip712.Address(t.Publisher), eip712.Uint(t.Cap.Big()), eip712.Uint64(t.Window), eip712.Uint64(t.Notice),
	}, nil)
	at := crypto.CreateAddress2(a.at, id, crypto.Keccak256(code))
	return &at
}

func (a *apart) deposit(t channel.Terms, amount *big.Int) call {
	return call{&t.Token, coin().PackTransfer(*a.channelOf(t), amount)}
}

func (a *apart) claim(v voucher) call {
	return call{a.channelOf(v.terms), a.channel.pack("claim", payment(v.terms).Payees, v.total.Big(), v.signature)}
}

func (a *apart) claimBatch(vs []voucher) call {
	var items []apartItem
	for _, v := range vs {
		items = append(items, apartItem{*a.channelOf(v.terms), v.total.Big(), v.signature})
	}
	return call{&a.at, a.pack("claimBatch", payment(vs[0].terms).Payees, items)}
}

func (a *apart) notice(t channel.Terms) call {
	return call{a.channelOf(t), a.channel.pack("notice")}
}

func (a *apart) withdraw(t channel.Terms) call {
	return call{a.channelOf(t), a.channel.pack("withdraw")}
}
func (a *apart) close(t channel.Terms) call { return call{a.channelOf(t), a.channel.pack("close")} }

func (a *apart) release(v voucher) call {
	return call{a.channelOf(v.terms), a.channel.pack("release", payment(v.terms).Payees, v.total.Big(), v.signature)}
}
