// SPDX-License-Identifier: Apache-2.0

package channel

import (
	"crypto/ecdsa"
	"errors"
	"fmt"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"github.com/apocryph/apocryph/internal/eip712"
	"github.com/apocryph/apocryph/internal/tariff"
)

// ErrSigner says that a voucher or release is not signed by the channel's signer.
var ErrSigner = errors.New("not signed by the channel's signer")

// Voucher is the cumulative total due on a channel. Signed, anyone may claim it.
type Voucher struct {
	Channel ID            `json:"channel"`
	Total   tariff.Amount `json:"total"`
}

// Digest is what the channel's signer signs.
func (v Voucher) Digest(d eip712.Domain) common.Hash {
	return d.Digest(hashStruct("Voucher(bytes32 channel,uint256 total)", v.Channel[:], eip712.Uint(v.Total.Big())))
}

// Release is the final total of a channel, and consent to close it at once. Signed, anyone may submit it.
type Release struct {
	Channel ID            `json:"channel"`
	Total   tariff.Amount `json:"total"`
}

// Digest is what the channel's signer signs.
func (r Release) Digest(d eip712.Domain) common.Hash {
	return d.Digest(hashStruct("Release(bytes32 channel,uint256 total)", r.Channel[:], eip712.Uint(r.Total.Big())))
}

// Opening is a publisher's consent that anyone opens a channel for them.
type Opening struct {
	Terms    Terms
	Amount   tariff.Amount
	Deadline time.Time
}

// Digest is what the publisher signs.
func (o Opening) Digest(d eip712.Domain) common.Hash {
	const typ = "Open(Terms terms,uint256 amount,uint256 deadline)" + agreementType + payeeType + paymentType +
		"Terms(Payment payment,uint88 cap,uint40 window,Agreement agreement)"
	return d.Digest(hashStruct(typ, o.Terms.Hash().Bytes(), eip712.Uint(o.Amount.Big()), eip712.Uint64(uint64(max(o.Deadline.Unix(), 0)))))
}

// Digester is a Voucher, a Release or an Opening.
type Digester interface {
	Digest(d eip712.Domain) common.Hash
}

// Sign signs with a key; the signature is what the contract takes.
func Sign(what Digester, d eip712.Domain, key *ecdsa.PrivateKey) ([]byte, error) {
	return eip712.Sign(what.Digest(d), key)
}

// Verify returns ErrSigner unless signer's own key made the signature. Contracts as signers (ERC-1271) are known only on chain.
func Verify(what Digester, d eip712.Domain, signature []byte, signer common.Address) error {
	who, err := eip712.Recover(what.Digest(d), signature)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrSigner, err)
	}
	if who != signer {
		return fmt.Errorf("signed by %s, not %s: %w", who, signer, ErrSigner)
	}
	return nil
}
