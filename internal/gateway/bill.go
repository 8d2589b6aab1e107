// SPDX-License-Identifier: Apache-2.0

package gateway

import (
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
	b, err := bill(app, u.Status)
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

// bill adds up what is closed and what is open as far as it may be billed: the same sum that vouchers are signed for.
func bill(app *v1alpha1.App, u v1alpha1.UsageStatus) (*providerv1.BillResponse, error) {
	prices, err := tariffOf(app)
	if err != nil {
		return nil, err
	}
	total, err := metered.Accrued(u)
	if err != nil {
		return nil, err
	}
	var running usage.Rate
	for _, i := range u.Open {
		running = running.Add(metered.RateOf(i))
	}
	owed, hourly := prices.Cost(total), prices.Cost(running.For(secondsPerHour))
	b := &providerv1.BillResponse{
		Tariff:               prices.Proto(),
		CpuMilliSeconds:      total.CPU.String(),
		MemoryByteSeconds:    total.Memory.String(),
		EphemeralByteSeconds: total.Ephemeral.String(),
		StorageByteSeconds:   total.Storage.String(),
		EgressBytes:          total.Egress.String(),
		Extended:             account.Extended(total),
		Owed:                 owed.String(),
		Vouchered:            "0",
		Claimed:              "0",
		Deposited:            "0",
		Final:                u.Final,
		Hourly:               hourly.String(),
	}
	if id, err := channel.ParseID(app.Spec.Channel); err == nil {
		b.Channel = id[:]
	}
	if u.Voucher != nil && u.Voucher.Channel == app.Spec.Channel {
		b.Vouchered = u.Voucher.Total
	}
	// What the signature is worth is the reader's to check: it needs nobody's word.
	if r := u.Release; r != nil && r.Channel == app.Spec.Channel {
		b.Release = &providerv1.Release{Channel: b.Channel, Total: r.Total, Signature: r.Signature}
	}
	if u.AccruedTo != nil {
		b.AccruedTo = uint64(max(u.AccruedTo.Unix(), 0))
	}
	if f := app.Status.Funds; f != nil {
		b.Claimed, b.Deposited, b.Reserve = f.Claimed, f.Deposited, f.Reserve
		if b.RunwaySeconds, err = runway(f, owed, prices.Cost(running.For(runwayScale))); err != nil {
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

// tariffOf is the price list of the offer that the app's channel was opened on.
func tariffOf(app *v1alpha1.App) (tariff.Tariff, error) {
	var signed orderv1.SignedQuote
	var q orderv1.Quote
	if err := proto.Unmarshal(app.Spec.Quote, &signed); err != nil {
		return tariff.Tariff{}, fmt.Errorf("reading the app's quote: %w", err)
	}
	if err := proto.Unmarshal(signed.Quote, &q); err != nil {
		return tariff.Tariff{}, fmt.Errorf("reading the app's quote: %w", err)
	}
	return tariff.FromProto(q.Tariff)
}
