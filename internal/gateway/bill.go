// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"bytes"
	"context"
	"fmt"
	"math/big"
	"time"

	"google.golang.org/protobuf/proto"
	kerrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/apocryph/apocryph/api/v1alpha1"
	"github.com/apocryph/apocryph/internal/account"
	"github.com/apocryph/apocryph/internal/channel"
	keeperv1 "github.com/apocryph/apocryph/internal/gen/keeperv1"
	orderv1 "github.com/apocryph/apocryph/internal/gen/orderv1"
	providerv1 "github.com/apocryph/apocryph/internal/gen/providerv1"
	"github.com/apocryph/apocryph/internal/ledger"
	"github.com/apocryph/apocryph/internal/metered"
	"github.com/apocryph/apocryph/internal/tariff"
	"github.com/apocryph/apocryph/internal/usage"
)

// Bill tells what an app used and what that costs.
func (s server) Bill(ctx context.Context, r *providerv1.BillRequest) (*providerv1.BillResponse, error) {
	c, id, err := s.g.allowedOn(ctx, orderv1.Operation_OPERATION_READ, r.App)
	if err != nil {
		return nil, err
	}
	app, err := s.g.own(ctx, c, id)
	if err != nil {
		return nil, err
	}
	var u v1alpha1.Usage
	// Nothing has been used yet when the meter has not made it.
	if err := s.g.parts.Cluster.Get(ctx, s.g.key(id), &u); err != nil && !kerrors.IsNotFound(err) {
		return nil, fmt.Errorf("reading usage: %w", err)
	}
	row, err := metered.Row(app.Spec)
	if err != nil {
		return nil, err
	}
	book, err := metered.Book(row, u.Status)
	if err != nil {
		return nil, err
	}
	if len(r.Channel) > 0 && !bytes.Equal(r.Channel, row[book.Len()].Channel[:]) {
		return formerBill(row, book, u.Status, app.Status.Former, r.Channel)
	}
	b, err := bill(app, row[book.Len()], book, u.Status)
	if err != nil {
		return nil, err
	}
	// The bill is there without it too: what it adds is that nobody has to believe us.
	if signed, err := s.g.parts.Keeper.SignAccount(ctx, &keeperv1.SignAccountRequest{App: id[:]}); err != nil {
		s.g.parts.Log.WarnContext(ctx, "no account from the keeper", "app", id, "error", err)
	} else {
		b.Account = signed.Account
	}
	return b, nil
}

// formerBill is the final account of a channel that paid before, as the enclave signed it. A channel that is to pay and does not yet has none.
func formerBill(row []metered.Channel, book ledger.Ledger, u v1alpha1.UsageStatus, seen []v1alpha1.FormerFunds, id []byte) (*providerv1.BillResponse, error) {
	for i, line := range book.Lines() {
		a := line.Account
		if !bytes.Equal(id, a.Channel[:]) {
			continue
		}
		b := billOf(a, row[i].Prices)
		if err := takenOver(b, u, a.Channel); err != nil {
			return nil, err
		}
		b.Account = &orderv1.SignedAccount{Account: u.Former[i].Account, Signature: u.Former[i].Signature}
		if v := u.Former[i].Voucher; v != nil {
			b.Vouchered = v.Total
		}
		if r := u.Former[i].Release; r != nil {
			b.Release = &providerv1.Release{Channel: b.Channel, Total: r.Total, Signature: r.Signature}
		}
		for _, f := range seen {
			if f.Channel == a.Channel.String() {
				b.Claimed, b.Deposited = f.Claimed, f.Deposited
			}
		}
		return b, nil
	}
	return nil, refuse(providerv1.Reason_REASON_CHANNEL_NOT_FOUND, "channel 0x%.64x has paid for nothing of this app yet", id)
}

// billOf is an account as it goes over the wire.
func billOf(a account.Account, prices tariff.Tariff) *providerv1.BillResponse {
	b := &providerv1.BillResponse{
		Tariff:               prices.Proto(),
		CpuMilliSeconds:      a.Usage.CPU.String(),
		MemoryByteSeconds:    a.Usage.Memory.String(),
		EphemeralByteSeconds: a.Usage.Ephemeral.String(),
		StorageByteSeconds:   a.Usage.Storage.String(),
		EgressBytes:          a.Usage.Egress.String(),
		Extended:             account.Extended(a.Usage),
		Owed:                 a.Total.String(),
		Vouchered:            "0",
		Claimed:              "0",
		Deposited:            "0",
		Channel:              a.Channel[:],
		Final:                a.Final,
		Hourly:               "0",
	}
	if !a.AccruedTo.IsZero() {
		b.AccruedTo = uint64(max(a.AccruedTo.Unix(), 0))
	}
	if !a.Arrears.IsZero() {
		b.Arrears = a.Arrears.String()
	}
	return b
}

// takenOver adds the enclave's word on each part of the arrears.
func takenOver(b *providerv1.BillResponse, u v1alpha1.UsageStatus, on channel.ID) error {
	for _, f := range u.Former {
		if len(f.Arrears) == 0 {
			continue
		}
		s := &orderv1.SignedArrears{}
		if err := proto.Unmarshal(f.Arrears, s); err != nil {
			return fmt.Errorf("reading arrears: %w", err)
		}
		if a, err := account.ParseArrears(s); err == nil && a.On == on && !a.Amount.IsZero() {
			b.TakenOver = append(b.TakenOver, s)
		}
	}
	return nil
}

// bill adds up what is closed and what is open as far as it may be billed: the same sum that vouchers are signed for.
func bill(app *v1alpha1.App, on metered.Channel, book ledger.Ledger, u v1alpha1.UsageStatus) (*providerv1.BillResponse, error) {
	prices := on.Prices
	used, err := metered.Accrued(u)
	if err != nil {
		return nil, err
	}
	var to time.Time
	if u.AccruedTo != nil {
		to = u.AccruedTo.Time
	}
	a := book.Now(on.Payer, used, to)
	a.Final = u.Final
	var running usage.Rate
	for _, i := range u.Open {
		running = running.Add(metered.RateOf(i))
	}
	b := billOf(a, prices)
	b.Hourly = prices.Cost(running.For(secondsPerHour)).String()
	if err := takenOver(b, u, on.Channel); err != nil {
		return nil, err
	}
	if u.Voucher != nil && u.Voucher.Channel == on.Channel.String() {
		b.Vouchered = u.Voucher.Total
	}
	// What the signature is worth is the reader's to check: it needs nobody's word.
	if r := u.Release; r != nil && r.Channel == on.Channel.String() {
		b.Release = &providerv1.Release{Channel: b.Channel, Total: r.Total, Signature: r.Signature}
	}
	if f := app.Status.Funds; f != nil && (f.Channel == "" || f.Channel == on.Channel.String()) {
		b.Claimed, b.Deposited, b.Reserve = f.Claimed, f.Deposited, f.Reserve
		if b.RunwaySeconds, err = runway(f, a.Total, prices.Cost(running.For(runwayScale))); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// runwayScale is the seconds over which a rate is priced before it is divided: a year, so that a small rate's rounding does not show.
const runwayScale = int64(365 * 24 * time.Hour / time.Second)

// runway is how many seconds it takes until no more than the reserve is left of a deposit, at what a year costs now; nil when nothing is
// used up.
func runway(f *v1alpha1.Funds, owed, yearly tariff.Amount) (*uint64, error) {
	d, err := tariff.ParseAmount(f.Deposited)
	if err != nil {
		return nil, fmt.Errorf("deposited: %w", err)
	}
	if f.Reserve != "" {
		reserve, err := tariff.ParseAmount(f.Reserve)
		if err != nil {
			return nil, fmt.Errorf("reserve: %w", err)
		}
		owed = owed.Add(reserve)
	}
	if yearly.IsZero() {
		return nil, nil
	}
	rest, err := d.Sub(owed)
	if err != nil {
		return new(uint64), nil //nolint:nilerr // more is owed than was deposited: nothing is left
	}
	n := rest.Big()
	n.Mul(n, big.NewInt(runwayScale)).Quo(n, yearly.Big())
	if !n.IsUint64() {
		return nil, nil
	}
	seconds := n.Uint64()
	return &seconds, nil
}
