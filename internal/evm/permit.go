// SPDX-License-Identifier: Apache-2.0

package evm

import (
	"context"
	"fmt"
	"math/big"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/ethclient"

	"github.com/apocryph/apocryph/internal/channel"
	"github.com/apocryph/apocryph/internal/gen/channels"
	"github.com/apocryph/apocryph/internal/tariff"
)

// Permit is a signature by which the Channels contract may take an amount of a token once (ERC-2612). Its zero value is none.
type Permit struct {
	Deadline time.Time
	R, S     common.Hash
	V        uint8
}

// Permit signs one for the wallet's tokens. It costs no gas. Most endpoints have to agree on what is signed; a token without permits gives
// ErrReverted or ErrNoContract.
func (w *Wallet) Permit(ctx context.Context, tok common.Address, amount tariff.Amount, deadline time.Time) (Permit, error) {
	domain, err := agreedWord(ctx, w.Client, tok, w.erc20.PackDOMAINSEPARATOR())
	if err != nil {
		return Permit{}, fmt.Errorf("asking token %s for its domain: %w", tok, err)
	}
	nonce, err := agreedWord(ctx, w.Client, tok, w.erc20.PackNonces(w.Address()))
	if err != nil {
		return Permit{}, fmt.Errorf("asking token %s for a nonce: %w", tok, err)
	}
	typ := crypto.Keccak256([]byte("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)"))
	until := max(deadline.Unix(), 0)
	content := crypto.Keccak256(typ, common.LeftPadBytes(w.Address().Bytes(), 32), common.LeftPadBytes(w.cfg.Channels[:], 32),
		common.BigToHash(amount.Big()).Bytes(), nonce[:], common.BigToHash(big.NewInt(until)).Bytes())
	sig, err := crypto.Sign(crypto.Keccak256([]byte("\x19\x01"), domain[:], content), w.key)
	if err != nil {
		return Permit{}, fmt.Errorf("signing: %w", err)
	}
	return Permit{Deadline: deadline, R: common.Hash(sig[:32]), S: common.Hash(sig[32:64]), V: sig[64] + 27}, nil
}

// agreedWord is the 32 bytes that most endpoints say a contract answers in the newest block that they all have.
func agreedWord(ctx context.Context, c *Client, to common.Address, data []byte) (common.Hash, error) {
	type answer struct {
		word    common.Hash
		refusal string
	}
	a, err := agree(ctx, c.pool, "what "+to.Hex()+" answers", func(ctx context.Context, n *node) (answer, error) {
		head, err := n.newest(ctx)
		if err != nil {
			return answer{}, err
		}
		out, err := ask(ctx, n, func(ctx context.Context, eth *ethclient.Client) ([]byte, error) {
			return callAt(ctx, eth, head.Hash, to, data)
		})
		switch {
		case err != nil && answers(err):
			return answer{refusal: err.Error()}, nil
		case err != nil:
			return answer{}, err
		case len(out) != 32:
			return answer{refusal: "no word"}, nil
		}
		return answer{word: common.Hash(out)}, nil
	})
	if err == nil && a.refusal != "" {
		err = fmt.Errorf("%s: %w", a.refusal, ErrReverted)
	}
	return a.word, err
}

func (p Permit) packed() channels.Permit {
	out := channels.Permit{Deadline: new(big.Int), V: p.V, R: p.R, S: p.S}
	if !p.Deadline.IsZero() {
		out.Deadline = big.NewInt(max(p.Deadline.Unix(), 0))
	}
	return out
}

// OpenWithPermit is Open with a permit in place of an approval: one transaction in all. A channel opens once, so it can't be paid twice.
func (w *Wallet) OpenWithPermit(ctx context.Context, t channel.Terms, amount tariff.Amount, p Permit) (Receipt, error) {
	if err := t.Validate(); err != nil {
		return Receipt{}, err
	}
	return w.act(ctx, "opening", t, w.channels.PackOpenWithPermit(terms(t), amount.Big(), p.packed()))
}

// OpenFor opens a channel for its publisher, who signed the opening and pays by allowance or permit; the wallet pays the gas. A channel
// opens once, so it can't be paid twice.
func (w *Wallet) OpenFor(ctx context.Context, o channel.Opening, signature []byte, p Permit) (Receipt, error) {
	if err := o.Terms.Validate(); err != nil {
		return Receipt{}, err
	}
	deadline := big.NewInt(max(o.Deadline.Unix(), 0))
	return w.act(ctx, "opening", o.Terms, w.channels.PackOpenFor(terms(o.Terms), o.Amount.Big(), deadline, signature, p.packed()))
}
