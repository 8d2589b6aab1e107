// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"math/big"

	"github.com/ethereum/go-ethereum/common"

	"github.com/apocryph/apocryph/internal/channel"
	"github.com/apocryph/apocryph/internal/eip712"
	"github.com/apocryph/apocryph/internal/gen/channels"
)

// ours is the contract that this project uses.
type ours struct {
	at  common.Address
	bin string
}

// hub encodes calls of the contract.
func hub() *channels.Channels { return channels.NewChannels() }

func (o *ours) deploy(ctx context.Context, w *world) (uint64, error) {
	r, err := w.send(ctx, w.relayer, call{data: common.FromHex(o.bin)})
	if err != nil {
		return 0, err
	}
	o.at = r.ContractAddress
	return r.GasUsed, nil
}

func (o *ours) domain() eip712.Domain { return eip712.Domain{ChainID: chainID, Contract: o.at} }

func (o *ours) open(t channel.Terms, amount *big.Int) call {
	return call{&o.at, hub().PackOpen(terms(t), amount)}
}

func (o *ours) openWithPermit(t channel.Terms, amount *big.Int, p channels.Permit) call {
	return call{&o.at, hub().PackOpenWithPermit(terms(t), amount, p)}
}

func (o *ours) openFor(t channel.Terms, amount *big.Int, signature []byte, p channels.Permit) call {
	return call{&o.at, hub().PackOpenFor(terms(t), amount, big.NewInt(never().Unix()), signature, p)}
}

func (o *ours) deposit(t channel.Terms, amount *big.Int) call {
	return call{&o.at, hub().PackDeposit(terms(t), amount)}
}

func (o *ours) claim(v voucher) call {
	return call{&o.at, hub().PackClaim(payment(v.terms), item(v))}
}

func (o *ours) claimBatch(vs []voucher) call {
	var items []channels.Claim
	for _, v := range vs {
		items = append(items, item(v))
	}
	return call{&o.at, hub().PackClaimBatch(payment(vs[0].terms), items)}
}

func (o *ours) notice(t channel.Terms) call   { return call{&o.at, hub().PackNotice(terms(t))} }
func (o *ours) withdraw(t channel.Terms) call { return call{&o.at, hub().PackWithdraw(terms(t))} }
func (o *ours) close(t channel.Terms) call    { return call{&o.at, hub().PackClose(terms(t))} }

func (o *ours) release(v voucher) call {
	return call{&o.at, hub().PackRelease(terms(v.terms), v.total.Big(), v.signature)}
}

func number(n uint64) *big.Int { return new(big.Int).SetUint64(n) }

func terms(t channel.Terms) channels.Terms {
	return channels.Terms{
		Payment: payment(t), Cap: t.Cap.Big(), Window: number(t.Window),
		Agreement: channels.Agreement{
			Publisher: t.Publisher, App: t.App, Tariff: t.Tariff, Quote: t.Quote, Notice: number(t.Notice), Salt: t.Salt,
		},
	}
}

func payment(t channel.Terms) channels.Payment {
	p := channels.Payment{Token: t.Token, Payout: t.Payout, Signer: t.Signer, Payees: []channels.Payee{}}
	for _, payee := range t.Payees {
		p.Payees = append(p.Payees, channels.Payee{Account: payee.Account, Share: payee.Share})
	}
	return p
}

func item(v voucher) channels.Claim {
	t := v.terms
	return channels.Claim{Agreement: t.AgreementHash(), Cap: t.Cap.Big(), Window: number(t.Window), Total: v.total.Big(), Signature: v.signature}
}
