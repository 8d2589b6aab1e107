// SPDX-License-Identifier: Apache-2.0

package keeper

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/apocryph/apocryph/internal/channel"
	orderv1 "github.com/apocryph/apocryph/internal/gen/orderv1"
	"github.com/apocryph/apocryph/internal/quote"
)

// ErrOffer says that a quote is not one that this provider may sign.
var ErrOffer = errors.New("not an offer of this provider")

// offer checks a quote that the gateway wants signed, against the keeper's own configuration, and returns it with the signer filled in.
func (k *Keeper) offer(asked *orderv1.Quote, now time.Time) (*orderv1.Quote, error) {
	refused := func(what string) (*orderv1.Quote, error) { return nil, fmt.Errorf("%s: %w", what, ErrOffer) }
	if asked == nil || asked.Terms == nil || asked.Tariff == nil {
		return refused("incomplete")
	}
	q := proto.CloneOf(asked)
	signer := k.cfg.Keys.Signer()
	expires := time.Unix(int64(min(q.ExpiresAt, 1<<40)), 0)
	t := q.Terms
	switch {
	case !bytes.Equal(q.Provider, k.cfg.Provider[:]):
		return refused("another provider")
	case q.ChainId != k.cfg.Domain.ChainID || !bytes.Equal(q.Contract, k.cfg.Domain.Contract[:]):
		return refused("another chain or contract")
	case !proto.Equal(q.Tariff, k.cfg.Tariff.Proto()):
		return refused("another tariff")
	case !bytes.Equal(t.Tariff, k.tariffID[:]) || !bytes.Equal(t.Token, k.cfg.Tariff.Token[:]):
		return refused("terms with another tariff or token")
	case !bytes.Equal(t.Payout, k.cfg.Payout[:]) || len(t.Payees) != 0:
		return refused("terms that pay somebody else")
	case len(t.Signer) != 0 || len(t.Quote) != 0 || len(t.Salt) != 0:
		return refused("terms that name a signer, quote or salt already")
	case len(q.ManifestHash) != 32:
		return refused("no manifest hash")
	case !expires.After(now) || expires.Sub(now) > quote.MaxLife:
		return refused("a period that is over or too long")
	}
	t.Signer = signer[:]
	// Everything else that the contract would refuse; quote hash and salt are the publisher's to fill in.
	if _, err := channel.FromProto(quote.Terms(&orderv1.SignedQuote{}, q, [32]byte{})); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrOffer, err)
	}
	return q, nil
}
