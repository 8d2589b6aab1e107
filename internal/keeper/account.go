// SPDX-License-Identifier: Apache-2.0

package keeper

import (
	"context"
	"errors"
	"fmt"

	"github.com/apocryph/apocryph/internal/account"
	"github.com/apocryph/apocryph/internal/delegation"
	keeperv1 "github.com/apocryph/apocryph/internal/gen/keeperv1"
)

// ErrNoAccount says that nothing was verified yet of an app whose account was asked for, or nothing metered.
var ErrNoAccount = errors.New("no account of this app")

// state remembers what an app used by now on the channel that pays, for SignAccount: the very numbers that its vouchers are signed for, of what
// has a price.
func (k *Keeper) state(app string, a account.Account) {
	k.remember(app, func(m *memory) {
		if m.stated != nil {
			a.Sequence = m.stated.Sequence
		}
		m.stated = &a
	})
}

// SignAccount states what an app used on the channel that pays; of those before it there are final accounts already. It is the gateway's business who may read that; it is nothing that the gateway could not read itself,
// and nobody is paid by it.
func (s service) SignAccount(ctx context.Context, r *keeperv1.SignAccountRequest) (*keeperv1.SignAccountResponse, error) {
	if len(r.App) != len(delegation.AppID{}) {
		return nil, s.fail(ctx, "account", ErrNoAccount)
	}
	var a *account.Account
	app := delegation.AppID(r.App).String()
	now := uint64(max(s.k.now().UnixMicro(), 0))
	if s.k.recall(app).stated != nil {
		s.k.remember(app, func(m *memory) {
			if m.stated == nil { // forgotten meanwhile
				return
			}
			next := *m.stated
			next.Sequence = max(now, next.Sequence+1)
			m.stated, a = &next, &next
		})
	}
	if a == nil {
		return nil, s.fail(ctx, "account", fmt.Errorf("%s: %w", app, ErrNoAccount))
	}
	signed, err := account.Sign(*a, s.k.cfg.Keys.voucher)
	if err != nil {
		return nil, s.fail(ctx, "account", err)
	}
	s.k.count.accounts.Inc()
	return &keeperv1.SignAccountResponse{Account: signed}, nil
}
