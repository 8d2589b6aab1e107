// SPDX-License-Identifier: Apache-2.0

package keeper

import (
	"time"

	"github.com/ethereum/go-ethereum/common"

	"github.com/apocryph/apocryph/api/v1alpha1"
	"github.com/apocryph/apocryph/internal/channel"
	"github.com/apocryph/apocryph/internal/eip712"
	"github.com/apocryph/apocryph/internal/tariff"
)

// standing is what decides about the next signature on one channel.
type standing struct {
	channel channel.ID
	owed    tariff.Amount
	// most is what the cap could have let be claimed since before the channel was opened.
	most  tariff.Amount
	final bool
	// voucher and release are those already signed, nil if there is none with a good signature.
	voucher, release *tariff.Amount
	// papers are those two as they lie in the object.
	papers papers
	// signed is the highest total that the keeper remembers to have signed, at signedAt.
	signed   tariff.Amount
	signedAt time.Time
}

// due is what to sign now, and how long to wait before more may be.
type due struct {
	voucher, release *tariff.Amount
	wait             time.Duration
}

// decide never goes down: the total is the highest of what is owed within the cap, what the last voucher says and what is remembered.
// Vouchers wait for their time; the last one and the release do not, and nothing is signed after a release.
func decide(a standing, every time.Duration, now time.Time) due {
	if a.release != nil {
		return due{}
	}
	last := a.signed
	if a.voucher != nil && a.voucher.Cmp(last) > 0 {
		last = *a.voucher
	}
	total := a.owed.Min(a.most)
	if total.Cmp(last) < 0 {
		total = last
	}
	missing := a.voucher == nil || a.voucher.Cmp(total) < 0
	if a.final {
		d := due{release: &total}
		if missing && !total.IsZero() {
			d.voucher = &total
		}
		return d
	}
	if !missing || total.IsZero() {
		return due{}
	}
	if next := a.signedAt.Add(every); now.Before(next) {
		return due{wait: next.Sub(now)}
	}
	return due{voucher: &total}
}

// most bounds what may be owed on a channel by now: the cap, for every second since its quote can have been signed, which was before it was
// opened. The contract pays no more, so an honest enclave loses nothing by it; and whoever writes usage for the meter gets no signature that
// would be worth more later, when the app sleeps.
func (p pays) most(now time.Time) tariff.Amount {
	return p.terms.Cap.Mul(uint64(max(now.Unix()-p.quoted, 0)))
}

// signedTotal returns the total of a voucher or release that an object holds, or nil if its channel or signature is not ours.
func signedTotal(v *v1alpha1.Voucher, id channel.ID, what func(tariff.Amount) channel.Digester, d eip712.Domain, signer common.Address) *tariff.Amount {
	if v == nil || v.Channel != id.String() {
		return nil
	}
	total, err := tariff.ParseAmount(v.Total)
	if err != nil || channel.Verify(what(total), d, v.Signature, signer) != nil {
		return nil
	}
	return &total
}

func voucherOf(id channel.ID) func(tariff.Amount) channel.Digester {
	return func(total tariff.Amount) channel.Digester { return channel.Voucher{Channel: id, Total: total} }
}

func releaseOf(id channel.ID) func(tariff.Amount) channel.Digester {
	return func(total tariff.Amount) channel.Digester { return channel.Release{Channel: id, Total: total} }
}
