// SPDX-License-Identifier: Apache-2.0

package evm

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"

	"github.com/ethereum/go-ethereum"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/ethclient"
	"github.com/ethereum/go-ethereum/rlp"

	"github.com/apocryph/apocryph/internal/channel"
	"github.com/apocryph/apocryph/internal/tariff"
)

// ErrUnsigned says that a text is no unsigned transaction, or one whose parts contradict each other.
var ErrUnsigned = errors.New("not a whole unsigned transaction")

// Unsigned is a transaction (EIP-1559) that lacks only its signature, so that it can be made where the chain is seen and signed where the
// key is.
type Unsigned struct {
	ChainID    uint64
	From, To   common.Address
	Data       []byte
	Value      *big.Int
	Nonce, Gas uint64
	// MaxFee and MaxTip are in wei per gas.
	MaxFee, MaxTip *big.Int
}

// unsignedWire is the form of eth_sendTransaction and eth_signTransaction.
type unsignedWire struct {
	Type    hexutil.Uint64  `json:"type"`
	ChainID *hexutil.Uint64 `json:"chainId"`
	From    *common.Address `json:"from"`
	To      *common.Address `json:"to"`
	Data    hexutil.Bytes   `json:"data"`
	Value   *hexutil.Big    `json:"value"`
	Nonce   *hexutil.Uint64 `json:"nonce"`
	Gas     *hexutil.Uint64 `json:"gas"`
	MaxFee  *hexutil.Big    `json:"maxFeePerGas"`
	MaxTip  *hexutil.Big    `json:"maxPriorityFeePerGas"`
}

// MarshalJSON implements json.Marshaler with the form that eth_signTransaction takes.
func (u Unsigned) MarshalJSON() ([]byte, error) {
	number := func(n uint64) *hexutil.Uint64 { return (*hexutil.Uint64)(&n) }
	return json.Marshal(unsignedWire{
		Type: types.DynamicFeeTxType, ChainID: number(u.ChainID), From: &u.From, To: &u.To, Data: u.Data, Value: (*hexutil.Big)(u.Value),
		Nonce: number(u.Nonce), Gas: number(u.Gas), MaxFee: (*hexutil.Big)(u.MaxFee), MaxTip: (*hexutil.Big)(u.MaxTip),
	})
}

// UnmarshalJSON implements json.Unmarshaler. It returns ErrUnsigned unless every field is there: what is left out, a node would fill in by
// itself, and nobody would have seen what was signed.
func (u *Unsigned) UnmarshalJSON(b []byte) error {
	var w unsignedWire
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&w); err != nil {
		return fmt.Errorf("%w: %w", ErrUnsigned, err)
	}
	for name, missing := range map[string]bool{
		"chainId": w.ChainID == nil, "from": w.From == nil, "to": w.To == nil, "value": w.Value == nil, "nonce": w.Nonce == nil,
		"gas": w.Gas == nil, "maxFeePerGas": w.MaxFee == nil, "maxPriorityFeePerGas": w.MaxTip == nil,
	} {
		if missing {
			return fmt.Errorf("%w: it has no %s", ErrUnsigned, name)
		}
	}
	if w.Type != types.DynamicFeeTxType {
		return fmt.Errorf("%w: its type is %d, not %d", ErrUnsigned, w.Type, types.DynamicFeeTxType)
	}
	if *w.ChainID == 0 {
		return fmt.Errorf("%w: it is for chain 0, which is none", ErrUnsigned)
	}
	*u = Unsigned{
		ChainID: uint64(*w.ChainID), From: *w.From, To: *w.To, Data: w.Data, Value: w.Value.ToInt(), Nonce: uint64(*w.Nonce), Gas: uint64(*w.Gas),
		MaxFee: w.MaxFee.ToInt(), MaxTip: w.MaxTip.ToInt(),
	}
	return nil
}

// Transaction is the transaction as it will be signed.
func (u Unsigned) Transaction() *types.Transaction {
	to := u.To
	return types.NewTx(&types.DynamicFeeTx{
		ChainID: new(big.Int).SetUint64(u.ChainID), Nonce: u.Nonce, GasTipCap: u.MaxTip, GasFeeCap: u.MaxFee, Gas: u.Gas, To: &to, Value: u.Value, Data: u.Data,
	})
}

// Payload is the bytes whose keccak hash a wallet signs (EIP-1559).
func (u Unsigned) Payload() ([]byte, error) {
	body, err := rlp.EncodeToBytes([]any{u.ChainID, u.Nonce, u.MaxTip, u.MaxFee, u.Gas, u.To, u.Value, u.Data, types.AccessList{}})
	if err != nil {
		return nil, fmt.Errorf("encoding a transaction: %w", err)
	}
	return append([]byte{types.DynamicFeeTxType}, body...), nil
}

// MaxCost is the most wei that the transaction can take for gas; it does not count Value. More than an amount can hold is the largest amount.
func (u Unsigned) MaxCost() tariff.Amount {
	a, err := tariff.NewAmount(new(big.Int).Mul(u.MaxFee, new(big.Int).SetUint64(u.Gas)))
	if err != nil && u.MaxFee.Sign() > 0 {
		a, _ = tariff.NewAmount(new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 256), big.NewInt(1)))
	}
	return a // of a negative fee, which no form of it can hold, zero
}

// feeHeadroom is how many times the fee of a transaction that is sent at once an unsigned one may pay. It is carried to another machine
// first, and what is not needed is not paid.
const feeHeadroom = 2

// depositGas bounds the gas of a deposit whose approval is not mined yet, so that it can't be estimated. A deposit takes about 50,000 with an
// ordinary token; what is not used is not paid.
const depositGas = 200_000

// step is a call to be, with the gas to allow where it can't be estimated.
type step struct {
	to   common.Address
	data []byte
	gas  uint64
}

// UnsignedDeposit adds to a channel; an approval goes before it if the contract's allowance is short.
func (c *Client) UnsignedDeposit(ctx context.Context, from common.Address, t channel.Terms, amount tariff.Amount) ([]Unsigned, error) {
	deposit := step{to: c.cfg.Channels, data: c.channels.PackDeposit(terms(t), amount.Big())}
	allowance := callOpts{to: t.Token, data: c.erc20.PackAllowance(from, c.cfg.Channels)}
	allowed, err := call(ctx, c, allowance, c.erc20.UnpackAllowance)
	if err != nil {
		return nil, fmt.Errorf("reading the allowance of %s: %w", from, err)
	}
	if allowed.Cmp(amount.Big()) >= 0 {
		return c.unsigned(ctx, from, deposit)
	}
	deposit.gas = depositGas
	return c.unsigned(ctx, from, step{to: t.Token, data: c.erc20.PackApprove(c.cfg.Channels, amount.Big())}, deposit)
}

// UnsignedNotice starts the publisher's way out.
func (c *Client) UnsignedNotice(ctx context.Context, from common.Address, t channel.Terms) ([]Unsigned, error) {
	return c.unsigned(ctx, from, step{to: c.cfg.Channels, data: c.channels.PackNotice(terms(t))})
}

// UnsignedWithdraw closes the publisher's channel after its notice.
func (c *Client) UnsignedWithdraw(ctx context.Context, from common.Address, t channel.Terms) ([]Unsigned, error) {
	return c.unsigned(ctx, from, step{to: c.cfg.Channels, data: c.channels.PackWithdraw(terms(t))})
}

// UnsignedRelease closes a channel at its signer's final total.
func (c *Client) UnsignedRelease(ctx context.Context, from common.Address, r Claim) ([]Unsigned, error) {
	return c.unsigned(ctx, from, step{to: c.cfg.Channels, data: c.channels.PackRelease(terms(r.Terms), r.Total.Big(), r.Signature)})
}

// UnsignedWithdrawCredit sends what failed transfers left for the sender to an account.
func (c *Client) UnsignedWithdrawCredit(ctx context.Context, from, tok, to common.Address) ([]Unsigned, error) {
	return c.unsigned(ctx, from, step{to: c.cfg.Channels, data: c.channels.PackWithdrawCredit(tok, to)})
}

// unsigned makes the transactions of an account, in their order, with consecutive nonces. What the contract would refuse is returned as its
// error; nothing is sent.
func (c *Client) unsigned(ctx context.Context, from common.Address, steps ...step) ([]Unsigned, error) {
	now, err := NewWallet(c, nil).suggest(ctx)
	if err != nil {
		return nil, err
	}
	fee := new(big.Int).Mul(now.fee, big.NewInt(feeHeadroom))
	nonce, err := c.Nonce(ctx, from)
	if err != nil {
		return nil, err
	}
	var out []Unsigned
	for i, s := range steps {
		gas := s.gas
		if gas == 0 {
			msg := ethereum.CallMsg{From: from, To: &s.to, Data: s.data}
			gas, err = read(ctx, c.pool, func(ctx context.Context, eth *ethclient.Client) (uint64, error) { return eth.EstimateGas(ctx, msg) })
			if err != nil {
				return nil, err
			}
			gas += gas / 5 // state may change before it is mined
		}
		out = append(out, Unsigned{
			ChainID: c.cfg.ChainID, From: from, To: s.to, Data: s.data, Value: new(big.Int), Nonce: nonce + uint64(i), Gas: gas, MaxFee: fee, MaxTip: now.tip,
		})
	}
	return out, nil
}

// Nonce returns how many transactions of an account are mined or wait to be.
func (c *Client) Nonce(ctx context.Context, account common.Address) (uint64, error) {
	return read(ctx, c.pool, func(ctx context.Context, eth *ethclient.Client) (uint64, error) {
		return eth.PendingNonceAt(ctx, account)
	})
}
