// SPDX-License-Identifier: Apache-2.0

package evm

import (
	"context"
	"errors"
	"fmt"
	"math/big"

	"github.com/ethereum/go-ethereum"
	"github.com/ethereum/go-ethereum/ethclient"
	"github.com/ethereum/go-ethereum/rpc"

	"github.com/apocryph/apocryph/internal/fault"
)

// price is what is offered per unit of gas, in wei.
type price struct {
	tip, fee *big.Int
}

// of is the most that so much gas can cost.
func (p price) of(gas uint64) *big.Int { return new(big.Int).Mul(p.fee, number(gas)) }

// raised is an eighth more of both: nodes want a tenth to replace a transaction.
func (p price) raised() price {
	more := func(n *big.Int) *big.Int {
		eighth := new(big.Int).Rsh(n, 3)
		return eighth.Add(eighth, n).Add(eighth, big.NewInt(1))
	}
	return price{more(p.tip), more(p.fee)}
}

// outbid is half more, to replace a transaction of an unknown price in a few steps.
func (p price) outbid() price {
	more := func(n *big.Int) *big.Int { return new(big.Int).Add(n, new(big.Int).Rsh(n, 1)) }
	return price{more(p.tip), more(p.fee)}.atLeast(p.raised())
}

// atLeast is the larger of each.
func (p price) atLeast(o price) price {
	if o.tip.Cmp(p.tip) > 0 {
		p.tip = o.tip
	}
	if o.fee.Cmp(p.fee) > 0 {
		p.fee = o.fee
	}
	return p
}

// tooDear is ErrFeeTooHigh above the ceiling.
func (w *Wallet) tooDear(p price) error {
	if w.cfg.MaxFee == 0 || p.fee.Cmp(number(w.cfg.MaxFee)) <= 0 {
		return nil
	}
	err := fmt.Errorf("%s wei per gas, at most %d: %w", p.fee, w.cfg.MaxFee, ErrFeeTooHigh)
	return fault.Hint(err, "wait until the chain is less busy, or allow more")
}

// suggest returns a price that survives a few full blocks: the lowest that the endpoints name, because what is too little is raised later
// and what is too much is gone. The ceiling cuts it, but not below what a block takes now.
func (w *Wallet) suggest(ctx context.Context) (price, error) {
	type quote struct{ price, floor price }
	all := gather(ctx, w.pool, func(ctx context.Context, n *node) (quote, error) {
		return ask(ctx, n, func(ctx context.Context, eth *ethclient.Client) (quote, error) {
			head, err := blockAt(ctx, eth, rpc.LatestBlockNumber)
			if err != nil {
				return quote{}, err
			}
			tip, err := eth.SuggestGasTipCap(ctx)
			if err != nil {
				return quote{}, err
			}
			base := orZero((*big.Int)(head.BaseFee))
			if tip.Sign() < 0 || base.Sign() < 0 {
				return quote{}, fmt.Errorf("a price below zero: %w", ErrUnavailable)
			}
			floor := new(big.Int).Add(base, tip)
			return quote{price{tip, new(big.Int).Add(floor, base)}, price{tip, floor}}, nil
		})
	}, func(so []said[quote]) bool { return len(so)-len(failures(so)) >= w.pool.quorum() })
	var best *quote
	for _, s := range all {
		if s.err == nil && (best == nil || s.value.price.fee.Cmp(best.price.fee) < 0) {
			best = &s.value
		}
	}
	if best == nil {
		return price{}, w.pool.nobody(failures(all))
	}
	if err := w.tooDear(best.floor); err != nil {
		return price{}, err
	}
	if w.tooDear(best.price) != nil {
		best.price.fee = number(w.cfg.MaxFee)
	}
	return best.price, nil
}

// Fee returns about what a unit of gas costs now, in wei. It returns ErrFeeTooHigh above the ceiling.
func (w *Wallet) Fee(ctx context.Context) (*big.Int, error) {
	p, err := w.suggest(ctx)
	if err != nil {
		return nil, fmt.Errorf("asking for the price of gas: %w", err)
	}
	// The offer allows for the base fee to double.
	sum := new(big.Int).Add(p.fee, p.tip)
	return sum.Rsh(sum, 1), nil
}

// estimate returns the gas of a call with a margin, or what the contract refuses it with. A refusal counts if most endpoints say so: one
// that is behind does not know what the call builds on. A wrong estimate costs its gas at most.
func (w *Wallet) estimate(ctx context.Context, what Call) (uint64, error) {
	msg := ethereum.CallMsg{From: w.Address(), To: what.To, Data: what.Data, Value: what.Value}
	refusals := map[string]int{}
	var errs []error
	for _, n := range w.pool.order() {
		gas, err := ask(ctx, n, func(ctx context.Context, eth *ethclient.Client) (uint64, error) { return eth.EstimateGas(ctx, msg) })
		switch {
		case err == nil:
			return w.margin(ctx, gas)
		case ctx.Err() != nil:
			return 0, err
		case !answers(err):
			errs = append(errs, err)
			continue
		}
		if refusals[err.Error()]++; refusals[err.Error()] >= w.pool.quorum() {
			return 0, err
		}
	}
	if len(errs) == len(w.pool.nodes) {
		return 0, w.pool.nobody(errs)
	}
	return 0, w.pool.split(errs, "what the call would do", len(refusals))
}

// margin is for state that changes before the transaction is mined.
func (w *Wallet) margin(ctx context.Context, gas uint64) (uint64, error) {
	limit, err := fresh(ctx, w.pool, func(_ context.Context, _ *ethclient.Client, head header) (uint64, error) {
		return uint64(head.GasLimit), nil
	})
	return min(gas+gas/5, limit), err
}

// affords returns ErrInsufficientGas unless the wallet can pay for gas and value.
func (w *Wallet) affords(ctx context.Context, what Call, gasCost *big.Int) error {
	have, err := w.GasBalance(ctx, w.Address())
	if err != nil {
		return err
	}
	need := new(big.Int).Add(gasCost, orZero(what.Value))
	if have.Big().Cmp(need) < 0 {
		err := fmt.Errorf("%s has %s wei and may need %s: %w", w.Address(), have, need, ErrInsufficientGas)
		return fault.Hint(err, "send some of the chain's coin to "+w.Address().Hex())
	}
	return nil
}

// bump signs a version of an entry that offers more, unless that is not possible: then the one before goes on waiting.
func (w *Wallet) bump(ctx context.Context, e *Entry) error {
	if w.key == nil || len(e.Signed) > w.cfg.MaxBumps {
		return nil
	}
	versions, err := e.versions()
	if err != nil {
		return err
	}
	newest := versions[0]
	before := price{newest.GasTipCap(), newest.GasFeeCap()}
	next := before.raised()
	if now, err := w.suggest(ctx); err == nil {
		next = next.atLeast(now)
	} else if !errors.Is(err, ErrUnavailable) {
		return err
	}
	if w.tooDear(next) != nil {
		if next = before.raised(); w.tooDear(next) != nil {
			return w.tooDear(next)
		}
	}
	tx, err := w.sign(e.Nonce, newest.Gas(), next, e.call())
	if err != nil {
		return err
	}
	return w.note(e, tx)
}
