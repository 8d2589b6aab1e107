// SPDX-License-Identifier: Apache-2.0

package account

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"fmt"

	"github.com/ethereum/go-ethereum/common"
	"google.golang.org/protobuf/proto"

	"github.com/apocryph/apocryph/internal/channel"
	"github.com/apocryph/apocryph/internal/eip712"
	orderv1 "github.com/apocryph/apocryph/internal/gen/orderv1"
	"github.com/apocryph/apocryph/internal/tariff"
)

const tagArrears = "apocryph/arrears/v1\x00"

// Arrears are what a channel left unpaid of its final account when it was closed, and the channel that pays it instead.
type Arrears struct {
	App         [32]byte
	Channel, On channel.ID
	Amount      tariff.Amount
}

// SignArrears signs arrears with the voucher key.
func SignArrears(a Arrears, key *ecdsa.PrivateKey) (*orderv1.SignedArrears, error) {
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(&orderv1.Arrears{App: a.App[:], Channel: a.Channel[:], On: a.On[:], Amount: a.Amount.Bytes()})
	if err != nil {
		return nil, fmt.Errorf("encoding arrears: %w", err)
	}
	sig, err := eip712.Sign(arrearsHash(b), key)
	if err != nil {
		return nil, err
	}
	return &orderv1.SignedArrears{Arrears: b, Signature: sig}, nil
}

// VerifyArrears returns what signer signed, or ErrInvalid.
func VerifyArrears(s *orderv1.SignedArrears, signer common.Address) (Arrears, error) {
	a, err := ParseArrears(s)
	if err != nil {
		return Arrears{}, err
	}
	if err := signedBy(signer, arrearsHash(s.Arrears), s.Signature); err != nil {
		return Arrears{}, err
	}
	return a, nil
}

// ParseArrears reads arrears, whoever signed them.
func ParseArrears(s *orderv1.SignedArrears) (Arrears, error) {
	var p orderv1.Arrears
	if s == nil || len(s.ProtoReflect().GetUnknown()) > 0 || len(s.Arrears) > maxAccount ||
		proto.Unmarshal(s.Arrears, &p) != nil || len(p.ProtoReflect().GetUnknown()) > 0 {
		return Arrears{}, fmt.Errorf("unreadable: %w", ErrInvalid)
	}
	var a Arrears
	for _, f := range []struct{ to, from []byte }{{a.App[:], p.App}, {a.Channel[:], p.Channel}, {a.On[:], p.On}} {
		if len(f.from) != len(f.to) {
			return Arrears{}, fmt.Errorf("a field of %d bytes where %d belong: %w", len(f.from), len(f.to), ErrInvalid)
		}
		copy(f.to, f.from)
	}
	var err error
	if a.Amount, err = tariff.AmountFromBytes(p.Amount); err != nil {
		return Arrears{}, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return a, nil
}

func arrearsHash(encoded []byte) common.Hash {
	return sha256.Sum256(append([]byte(tagArrears), encoded...))
}
