// SPDX-License-Identifier: Apache-2.0

package metered

import (
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/apocryph/apocryph/api/v1alpha1"
	"github.com/apocryph/apocryph/internal/account"
	"github.com/apocryph/apocryph/internal/channel"
	orderv1 "github.com/apocryph/apocryph/internal/gen/orderv1"
	"github.com/apocryph/apocryph/internal/ledger"
	"github.com/apocryph/apocryph/internal/quote"
	"github.com/apocryph/apocryph/internal/tariff"
)

// ErrChannels says that a spec or an account does not tell what channels an app has had.
var ErrChannels = errors.New("no channels of this app")

// Channel is one of an app's, with what its bill is made of.
type Channel struct {
	ledger.Payer
	Terms channel.Terms
	// Offered is the earliest time at which its quote can have been signed; it was opened after that.
	Offered time.Time
}

// Row returns an app's channels as its spec names them, oldest first; the last one is to pay. Each has the prices that its voucher signer offered.
// That the terms are those of the channels, and that the publisher ordered them, is the keeper's to know. It returns ErrChannels.
func Row(spec v1alpha1.AppSpec) ([]Channel, error) {
	var row []Channel
	for _, f := range append(spec.Former[:len(spec.Former):len(spec.Former)], v1alpha1.FormerChannel{Channel: spec.Channel, Terms: spec.Terms, Quote: spec.Quote}) {
		c, err := read(f)
		if err != nil {
			return nil, fmt.Errorf("channel %.80s: %w: %w", f.Channel, ErrChannels, err)
		}
		row = append(row, c)
	}
	return row, nil
}

func read(f v1alpha1.FormerChannel) (Channel, error) {
	var p orderv1.Terms
	if err := proto.Unmarshal(f.Terms, &p); err != nil {
		return Channel{}, err
	}
	terms, err := channel.FromProto(&p)
	if err != nil {
		return Channel{}, err
	}
	id, err := channel.ParseID(f.Channel)
	if err != nil {
		return Channel{}, err
	}
	var signed orderv1.SignedQuote
	if err := proto.Unmarshal(f.Quote, &signed); err != nil {
		return Channel{}, err
	}
	q, err := quote.Verify(&signed, terms.Signer)
	if err != nil {
		return Channel{}, err
	}
	prices, err := tariff.FromProto(q.Tariff)
	if err != nil {
		return Channel{}, err
	}
	return Channel{ledger.Payer{App: terms.App, Channel: id, Tariff: terms.Tariff, Prices: prices}, terms, time.Unix(int64(min(q.ExpiresAt, 1<<40)), 0).Add(-quote.MaxLife)}, nil
}

// Book reads what was fixed of the channels before the one that pays. Whose signature it has is looked at where money depends on it. It
// returns ErrChannels.
func Book(row []Channel, u v1alpha1.UsageStatus) (ledger.Ledger, error) {
	payers := make([]ledger.Payer, 0, len(row))
	for _, c := range row {
		payers = append(payers, c.Payer)
	}
	var lines []ledger.Line
	for _, f := range u.Former {
		a, err := account.Parse(&orderv1.SignedAccount{Account: f.Account, Signature: f.Signature})
		if err != nil {
			return ledger.Ledger{}, fmt.Errorf("channel %.80s: %w: %w", f.Channel, ErrChannels, err)
		}
		line := ledger.Line{Account: a}
		if len(f.Arrears) > 0 {
			var s orderv1.SignedArrears
			if err := proto.Unmarshal(f.Arrears, &s); err != nil {
				return ledger.Ledger{}, fmt.Errorf("channel %.80s: %w: %w", f.Channel, ErrChannels, err)
			}
			arrears, err := account.ParseArrears(&s)
			if err != nil {
				return ledger.Ledger{}, fmt.Errorf("channel %.80s: %w: %w", f.Channel, ErrChannels, err)
			}
			line.Arrears = &arrears
		}
		lines = append(lines, line)
	}
	book, err := ledger.New(lines, payers)
	if err != nil {
		return ledger.Ledger{}, fmt.Errorf("%w: %w", ErrChannels, err)
	}
	return book, nil
}
