// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/ecdsa"
	"fmt"
	"math/big"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/math"
	"github.com/ethereum/go-ethereum/crypto"

	"github.com/apocryph/apocryph/internal/channel"
	"github.com/apocryph/apocryph/internal/eip712"
	"github.com/apocryph/apocryph/internal/gen/channels"
	"github.com/apocryph/apocryph/internal/tariff"
)

// The rows of the table, in the order of a channel's life.
const (
	rowDeploy     = "deploy, once"
	rowOpen       = "open, approved"
	rowPermit     = "open, permit"
	rowGasless    = "open, gasless"
	rowDeposit    = "deposit"
	rowClaim      = "claim"
	rowClaimThree = "claim, two more payees"
	rowBatch10    = "claim in a batch of 10"
	rowBatch50    = "claim in a batch of 50"
	rowNotice     = "notice"
	rowWithdraw   = "withdraw"
	rowClose      = "close"
	rowRelease    = "release"
)

func rows() []string {
	return []string{
		rowDeploy, rowOpen, rowPermit, rowGasless, rowDeposit, rowClaim, rowClaimThree, rowBatch10, rowBatch50, rowNotice, rowWithdraw,
		rowClose, rowRelease,
	}
}

// measure runs a design through every row under a fork's rules.
func measure(ctx context.Context, f fork, d design) (map[string]uint64, error) {
	w, err := newWorld(ctx, f, d)
	if err != nil {
		return nil, fmt.Errorf("setting up: %w", err)
	}
	m := &meter{world: w, ctx: ctx, gas: map[string]uint64{rowDeploy: w.once}}
	for _, part := range []func(){m.opening, m.claims, m.batches, m.exits} {
		part()
	}
	if err := w.close(); m.err == nil {
		m.err = err
	}
	return m.gas, m.err
}

// meter collects what transactions cost. After its first error it does nothing.
type meter struct {
	*world
	ctx   context.Context
	gas   map[string]uint64
	salts int
	err   error
}

// do sends a transaction; if it has a row, its gas is the row's, divided by how many channels it was for.
func (m *meter) do(row string, k *ecdsa.PrivateKey, c call, perChannel int) {
	if m.err != nil {
		return
	}
	r, err := m.send(m.ctx, k, c)
	if err != nil {
		m.err = fmt.Errorf("%s: %w", row, err)
		return
	}
	if row != "" {
		m.gas[row] = r.GasUsed / uint64(perChannel)
	}
}

// later lets time pass until the cap allows a claim again.
func (m *meter) later(d time.Duration) {
	if m.err == nil {
		m.err = m.pass(d)
	}
}

// fresh are terms that no channel has yet.
func (m *meter) fresh(payees int) channel.Terms {
	m.salts++
	return m.terms(m.salts, payees)
}

// opened opens a channel that no row is about.
func (m *meter) opened(payees int) channel.Terms {
	t := m.fresh(payees)
	m.do("", m.publisher, m.design.open(t, deposit()), 1)
	return t
}

func (m *meter) signed(v voucher, err error) voucher {
	if m.err == nil {
		m.err = err
	}
	return v
}

func deposit() *big.Int { return big.NewInt(firstDeposit) }

// opening opens a first channel in each way that no row is about: what is only paid once in a contract's life is not the price of a channel.
func (m *meter) opening() {
	hub := m.design.domain().Contract
	m.opened(0)
	t := m.fresh(0)
	m.do(rowOpen, m.publisher, m.design.open(t, deposit()), 1)
	m.do("", m.publisher, m.design.deposit(t, deposit()), 1)
	m.do(rowDeposit, m.publisher, m.design.deposit(t, deposit()), 1)

	m.do("", m.publisher, call{&m.token, coin().PackApprove(hub, new(big.Int))}, 1)
	for nonce, row := range []string{"", rowPermit} {
		m.do(row, m.publisher, m.design.openWithPermit(m.fresh(0), deposit(), m.permit(nonce)), 1)
	}
	t = m.fresh(0)
	sig, err := m.sign(channel.Opening{Terms: t, Amount: tariff.Units(firstDeposit), Deadline: never()}, m.publisher)
	m.do(rowGasless, m.relayer, m.design.openFor(t, deposit(), m.signed(voucher{signature: sig}, err).signature, m.permit(2)), 1)
	m.do("", m.publisher, call{&m.token, coin().PackApprove(hub, math.MaxBig256)}, 1)
}

// claims measures the second claim on a channel: there are many to one first.
func (m *meter) claims() {
	for _, c := range []struct {
		row    string
		payees int
	}{{rowClaim, 0}, {rowClaimThree, 2}} {
		t := m.opened(c.payees)
		for i, row := range []string{"", c.row} {
			m.later(time.Hour)
			m.do(row, m.provider, m.design.claim(m.signed(m.voucher(t, uint64(i+1)*perClaim))), 1)
		}
	}
}

func (m *meter) batches() {
	var all []channel.Terms
	for range 50 {
		all = append(all, m.opened(0))
	}
	for i, row := range []string{"", rowBatch10, rowBatch50} {
		size := 50
		if row == rowBatch10 {
			size = 10
		}
		var vs []voucher
		for _, t := range all[:size] {
			vs = append(vs, m.signed(m.voucher(t, uint64(i+1)*perClaim)))
		}
		m.later(time.Hour)
		m.do(row, m.provider, m.design.claimBatch(vs), size)
	}
}

// exits measures them on channels with a claim behind them.
func (m *meter) exits() {
	left, closed, released := m.opened(0), m.opened(0), m.opened(0)
	m.later(time.Hour)
	for _, t := range []channel.Terms{left, closed, released} {
		m.do("", m.provider, m.design.claim(m.signed(m.voucher(t, perClaim))), 1)
	}
	m.do(rowNotice, m.publisher, m.design.notice(left), 1)
	m.later(notice * time.Second)
	m.do(rowWithdraw, m.publisher, m.design.withdraw(left), 1)
	m.do(rowClose, m.provider, m.design.close(closed), 1)
	m.do(rowRelease, m.relayer, m.design.release(m.signed(m.finalTotal(released, 2*perClaim))), 1)
}

// permit is the publisher's nth, for a first deposit.
func (m *meter) permit(nonce int) channels.Permit {
	name := crypto.Keccak256([]byte("Apocryph Test Token"))
	domain := crypto.Keccak256(
		crypto.Keccak256([]byte("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)")),
		name, crypto.Keccak256([]byte("1")), eip712.Uint64(chainID), eip712.Address(m.token))
	content := crypto.Keccak256(
		crypto.Keccak256([]byte("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)")),
		eip712.Address(address(m.publisher)), eip712.Address(m.design.domain().Contract), eip712.Uint(deposit()),
		eip712.Uint64(uint64(nonce)), eip712.Uint64(uint64(never().Unix())))
	sig, err := eip712.Sign(crypto.Keccak256Hash([]byte{0x19, 1}, domain, content), m.publisher)
	if err != nil {
		m.signed(voucher{}, err)
		return channels.Permit{}
	}
	return channels.Permit{Deadline: big.NewInt(never().Unix()), V: sig[64], R: common.Hash(sig[:32]), S: common.Hash(sig[32:64])}
}
