// SPDX-License-Identifier: Apache-2.0

package delegation

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"

	"google.golang.org/protobuf/proto"

	orderv1 "github.com/apocryph/apocryph/internal/gen/orderv1"
)

const (
	// Header carries a SignedDelegation with each call: standard base64 of its encoding.
	Header = "Apocryph-Delegation"
	// HeaderSalt carries, with each request of an image push, the salt of the app id in hex: the app may not exist yet.
	HeaderSalt = "Apocryph-App-Salt"
	// HeaderPublisher is set by the gateway, never by a client: on whose account the image store books a push.
	HeaderPublisher = "Apocryph-Publisher"

	maxHeader = 64 << 10
)

// EncodeHeader returns the value of Header.
func EncodeHeader(d *orderv1.SignedDelegation) (string, error) {
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(d)
	if err != nil {
		return "", fmt.Errorf("encoding delegation: %w", err)
	}
	return base64.StdEncoding.EncodeToString(b), nil
}

// DecodeHeader reads what EncodeHeader wrote. It returns ErrInvalid.
func DecodeHeader(s string) (*orderv1.SignedDelegation, error) {
	var d orderv1.SignedDelegation
	if len(s) > maxHeader {
		return nil, fmt.Errorf("%d characters: %w", len(s), ErrInvalid)
	}
	b, err := base64.StdEncoding.Strict().DecodeString(s)
	if err != nil || proto.Unmarshal(b, &d) != nil {
		return nil, fmt.Errorf("unreadable: %w", ErrInvalid)
	}
	return &d, nil
}

// EncodeSalt returns the value of HeaderSalt.
func EncodeSalt(salt [32]byte) string { return hex.EncodeToString(salt[:]) }

// DecodeSalt reads what EncodeSalt wrote. It returns ErrInvalid.
func DecodeSalt(s string) ([32]byte, error) {
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != 32 {
		return [32]byte{}, fmt.Errorf("the app's salt is not 64 hex digits: %w", ErrInvalid)
	}
	return [32]byte(b), nil
}
