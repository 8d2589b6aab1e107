// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"
	"google.golang.org/protobuf/proto"

	"github.com/apocryph/apocryph/internal/channel"
	"github.com/apocryph/apocryph/internal/evm"
	"github.com/apocryph/apocryph/internal/evm/evmtest"
	contracts "github.com/apocryph/apocryph/internal/gen/channels"
	"github.com/apocryph/apocryph/internal/gen/token"
	"github.com/apocryph/apocryph/internal/invoicer"
	"github.com/apocryph/apocryph/internal/tariff"
)

// money is a real chain with three open channels of 100,000 each, and an account that has nothing but gas.
type money struct {
	t         *testing.T
	chain     *evmtest.Chain
	node      *evmtest.Proxy
	cmd       claimCmd
	token     common.Address
	payout    common.Address
	publisher *evm.Wallet
	signer    *ecdsa.PrivateKey
	gas       *ecdsa.PrivateKey
	terms     []channel.Terms
}

func newMoney(t *testing.T, o evmtest.Options) *money {
	t.Helper()
	key := func(n byte) *ecdsa.PrivateKey {
		k, err := crypto.ToECDSA(bytes.Repeat([]byte{n}, 32))
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	publisher := key(1)
	m := &money{t: t, signer: key(2), gas: key(3), payout: common.Address{8}}
	o.Funded = []common.Address{crypto.PubkeyToAddress(publisher.PublicKey), crypto.PubkeyToAddress(m.gas.PublicKey)}
	m.chain = evmtest.NewChain(t, o)
	m.token = m.chain.Deploy(t, publisher, token.TestTokenMetaData.Bin)
	contract := m.chain.Deploy(t, publisher, contracts.ChannelsMetaData.Bin)
	m.chain.Do(t, publisher, &m.token, token.NewTestToken().PackMint(o.Funded[0], big.NewInt(1_000_000)), nil)
	m.node = m.chain.Endpoint(t)
	file := filepath.Join(t.TempDir(), "gas")
	if err := os.WriteFile(file, []byte(common.Bytes2Hex(crypto.FromECDSA(m.gas))), 0o600); err != nil {
		t.Fatal(err)
	}
	m.cmd = claimCmd{
		ChainFlags: ChainFlags{ChainID: evmtest.ID, Channels: contract}, EndpointFlags: EndpointFlags{RPC: []string{m.node.URL}, FinalAfter: 1},
		GasKeyFile: file, BatchMost: 50,
	}
	client, err := evm.Dial(t.Context(), m.cmd.RPC, m.cmd.config(m.cmd.ChainFlags))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	m.publisher = evm.NewWallet(client, publisher)
	for n := range byte(3) {
		terms := channel.Terms{
			Publisher: m.publisher.Address(), App: [32]byte{n}, Payout: m.payout, Signer: crypto.PubkeyToAddress(m.signer.PublicKey),
			Token: m.token, Tariff: [32]byte{2}, Quote: [32]byte{3}, Cap: tariff.Units(100), Window: 86400, Notice: 3600,
		}
		if _, err := m.publisher.Open(t.Context(), terms, tariff.Units(100_000)); err != nil {
			t.Fatal(err)
		}
		m.terms = append(m.terms, terms)
	}
	m.chain.Pass(t, time.Hour)
	return m
}

// paper is what the keeper signed on a channel: a voucher, and a release if it is to be one.
func (m *money) paper(n int, voucher, release uint64) invoicer.Paper {
	m.t.Helper()
	d := m.cmd.domain()
	id := m.terms[n].ID(d)
	raw, err := proto.Marshal(m.terms[n].Proto())
	if err != nil {
		m.t.Fatal(err)
	}
	p := invoicer.Paper{App: "app", ChainID: d.ChainID, Contract: d.Contract.Hex(), Channel: id.String(), Terms: raw}
	sign := func(what channel.Digester, total uint64) *invoicer.Signed {
		sig, err := channel.Sign(what, d, m.signer)
		if err != nil {
			m.t.Fatal(err)
		}
		return &invoicer.Signed{Total: tariff.Units(total), Signature: sig}
	}
	p.Voucher = sign(channel.Voucher{Channel: id, Total: tariff.Units(voucher)}, voucher)
	if release > 0 {
		p.Release = sign(channel.Release{Channel: id, Total: tariff.Units(release)}, release)
	}
	return p
}

func (m *money) claim(papers ...invoicer.Paper) (string, error) {
	m.t.Helper()
	chain, err := m.cmd.chain(m.t.Context())
	if err != nil {
		m.t.Fatal(err)
	}
	defer chain.close()
	var out strings.Builder
	err = m.cmd.claim(m.t.Context(), chain, papers, &out)
	return out.String(), err
}

func (m *money) paid() string {
	m.t.Helper()
	b, err := m.publisher.Balance(m.t.Context(), m.token, m.payout)
	if err != nil {
		m.t.Fatal(err)
	}
	return b.String()
}

// The cluster and the enclave are gone. What is left is a file, and somebody with a little gas.
func TestVouchersSurviveTheCluster(t *testing.T) {
	m := newMoney(t, evmtest.Options{})
	var file bytes.Buffer
	forged := m.paper(1, 20, 0)
	forged.Voucher.Total = tariff.Units(99)
	if err := invoicer.WritePapers(&file, []invoicer.Paper{m.paper(0, 10, 0), m.paper(1, 20, 0), m.paper(2, 30, 35), m.paper(0, 7, 0)}); err != nil {
		t.Fatal(err)
	}
	papers, err := invoicer.ReadPapers(&file)
	if err != nil || len(papers) != 3 {
		t.Fatalf("%d papers, %v", len(papers), err)
	}
	m.cmd.DryRun = true
	if out, err := m.claim(papers...); err != nil || m.paid() != "0" || !strings.Contains(out, "20 signed, 0 claimed before, 20 can be claimed now") {
		t.Errorf("a dry run paid %s and said %v\n%s", m.paid(), err, out)
	}
	m.cmd.DryRun = false
	before := len(m.node.Sent())
	if out, err := m.claim(append(papers, forged)...); err == nil || m.paid() != "60" || !strings.Contains(out, "paid 30") {
		t.Errorf("paid %s, and of the forged one said %v\n%s", m.paid(), err, out)
	}
	if n := len(m.node.Sent()) - before; n != 1 {
		t.Errorf("%d transactions for three channels", n)
	}
	if out, err := m.claim(papers...); err != nil || m.paid() != "60" || len(m.node.Sent()) != before+1 {
		t.Errorf("claimed again: paid %s, %v\n%s", m.paid(), err, out)
	}
	m.cmd.Release = true
	if out, err := m.claim(papers...); err != nil || m.paid() != "65" || !strings.Contains(out, "released, paid 5") {
		t.Errorf("released: paid %s, %v\n%s", m.paid(), err, out)
	}
	if out, err := m.claim(papers...); err != nil || m.paid() != "65" || !strings.Contains(out, "closed already") {
		t.Errorf("released again: paid %s, %v\n%s", m.paid(), err, out)
	}
}

// The invoicer dies between sending claims and learning what became of them. Whether they are in a block by then or not, the next one
// collects exactly what is owed.
func TestARestartBetweenSendingAndReceipt(t *testing.T) {
	for name, mined := range map[string]bool{"in a block": true, "in no block": false} {
		t.Run(name, func(t *testing.T) {
			m := newMoney(t, evmtest.Options{})
			var batch []invoicer.Claim
			for n := range m.terms {
				voucher, _, err := m.paper(n, uint64(10*(n+1)), 0).Check(m.cmd.domain())
				if err != nil {
					t.Fatal(err)
				}
				batch = append(batch, *voucher)
			}
			first, err := m.cmd.chain(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if mined {
				m.node.Inject(evmtest.Fault{Method: "eth_getTransactionReceipt", Do: evmtest.Fail(-32000, "not now")})
			} else {
				m.node.Inject(evmtest.Fault{Method: "eth_sendRawTransaction", Do: evmtest.Say(common.Hash{})})
			}
			ctx, die := context.WithTimeout(t.Context(), 2*time.Second)
			defer die()
			if _, err := first.Claim(ctx, batch); err == nil {
				t.Error("it learnt what became of it")
			}
			first.close()
			m.node.Heal()
			if got := m.paid(); (got == "60") != mined {
				t.Errorf("paid %s before the restart", got)
			}

			second, err := m.cmd.chain(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer second.close()
			if _, err := second.Claim(t.Context(), batch); err != nil {
				t.Error(err)
			}
			if got := m.paid(); got != "60" {
				t.Errorf("paid %s after the restart, want 60", got)
			}
		})
	}
}
