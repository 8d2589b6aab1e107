// SPDX-License-Identifier: Apache-2.0

package delegation

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/apocryph/apocryph/internal/eip712"
	orderv1 "github.com/apocryph/apocryph/internal/gen/orderv1"
)

// ErrStatement says that a statement is malformed or not signed by the delegated peer.
var ErrStatement = errors.New("invalid statement")

const (
	tagStatement = "apocryph/statement/v1\x00"
	maxStatement = 1024
	// MaxFormer is how many channels of an app may have paid before the one that an order names.
	MaxFormer = 16
	// maxVolume is the longest name that a volume has.
	maxVolume = 63
)

// Statement is a verified instruction about one app.
type Statement struct {
	App          AppID
	Action       orderv1.Action
	Sequence     uint64
	ManifestHash [32]byte
	Channel      [32]byte
	// Former are the channels that paid for the app before, oldest first.
	Former   [][32]byte
	IssuedAt time.Time
	// Volume is the one whose content is to go out or come in.
	Volume string

	// Delegation is the one under which it was signed.
	Delegation Delegation
}

// PeerKey is the signing half of a libp2p identity; crypto.PrivKey of go-libp2p satisfies it.
type PeerKey interface {
	Sign([]byte) ([]byte, error)
}

// CheckPeer checks a signature by the key behind a binary peer id. Package p2p has one: this package stays free of libp2p.
type CheckPeer func(peer string, message, signature []byte) (bool, error)

// SignStatement makes the wire form under a delegation of the key's own peer.
func SignStatement(s Statement, key PeerKey, under *orderv1.SignedDelegation) (*orderv1.SignedStatement, error) {
	p := &orderv1.Statement{
		App:      s.App[:],
		Action:   s.Action,
		Sequence: s.Sequence,
		Channel:  s.Channel[:],
		IssuedAt: uint64(s.IssuedAt.Unix()),
	}
	if s.Action == orderv1.Action_ACTION_APPLY {
		p.ManifestHash = s.ManifestHash[:]
	}
	for _, id := range s.Former {
		p.Former = append(p.Former, id[:])
	}
	if MovesVolume(s.Action) {
		p.Volume = s.Volume
	}
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(p)
	if err != nil {
		return nil, fmt.Errorf("encoding statement: %w", err)
	}
	sig, err := key.Sign(append([]byte(tagStatement), b...))
	if err != nil {
		return nil, fmt.Errorf("signing statement: %w", err)
	}
	return &orderv1.SignedStatement{Statement: b, Signature: sig, Delegation: under}, nil
}

// VerifyStatement checks the chain wallet → delegation → statement: the delegation's signature, that it is for this provider, covers
// the statement's action and app and was in force when the statement was issued, and the peer's signature. It returns ErrInvalid,
// ErrForeign, ErrExpired, ErrOperation or ErrStatement. It does not know the sequence numbers that came before: its caller does.
func VerifyStatement(s *orderv1.SignedStatement, domain eip712.Domain, at Provider, check CheckPeer) (Statement, error) {
	st, err := parseStatement(s.GetStatement())
	if err != nil {
		return Statement{}, err
	}
	if len(s.ProtoReflect().GetUnknown()) > 0 {
		return Statement{}, fmt.Errorf("it comes with a field that this version does not know: %w", ErrStatement)
	}
	signer, err := VerifySignature(s.GetDelegation(), domain)
	if err != nil {
		return Statement{}, err
	}
	ok, err := check(signer.Peer, append([]byte(tagStatement), s.Statement...), s.Signature)
	if err != nil || !ok {
		return Statement{}, fmt.Errorf("not signed by the delegated peer: %w", ErrStatement)
	}
	// The issue time is the peer's word; a peer that lies about it had a valid delegation once, and the gateway checks the present one.
	st.Delegation, err = Verify(s.Delegation, domain, signer.Peer, at, st.IssuedAt)
	if err != nil {
		return Statement{}, err
	}
	if err := st.Delegation.Allows(operation(st.Action), st.App); err != nil {
		return Statement{}, err
	}
	return st, nil
}

// MovesVolume reports whether an action is a transfer of a volume's content.
func MovesVolume(a orderv1.Action) bool {
	return a == orderv1.Action_ACTION_GET_VOLUME || a == orderv1.Action_ACTION_PUT_VOLUME
}

// operation of an action. Whoever may apply may run what reads and writes an app's volumes, so a right of its own for that would protect nothing.
func operation(a orderv1.Action) orderv1.Operation {
	if a == orderv1.Action_ACTION_STOP {
		return orderv1.Operation_OPERATION_STOP
	}
	return orderv1.Operation_OPERATION_APPLY
}

func parseStatement(b []byte) (Statement, error) {
	bad := func(what string) (Statement, error) { return Statement{}, fmt.Errorf("%s: %w", what, ErrStatement) }
	var p orderv1.Statement
	if len(b) == 0 || len(b) > maxStatement || proto.Unmarshal(b, &p) != nil || len(p.ProtoReflect().GetUnknown()) > 0 {
		return bad("unreadable")
	}
	if again, err := (proto.MarshalOptions{Deterministic: true}).Marshal(&p); err != nil || !bytes.Equal(again, b) {
		return bad("not in canonical form")
	}
	isApply := p.Action == orderv1.Action_ACTION_APPLY
	switch {
	case !isApply && p.Action != orderv1.Action_ACTION_STOP && !MovesVolume(p.Action):
		return bad("unknown action")
	case len(p.App) != 32 || len(p.Channel) != 32:
		return bad("app or channel is not 32 bytes")
	case isApply != (len(p.ManifestHash) == 32) || (!isApply && len(p.ManifestHash) != 0):
		return bad("the manifest hash does not fit the action")
	case len(p.Former) > MaxFormer || (!isApply && len(p.Former) > 0):
		return bad("more former channels than there may be")
	case MovesVolume(p.Action) != (p.Volume != "") || len(p.Volume) > maxVolume:
		return bad("the volume does not fit the action")
	case p.Sequence == 0 || p.Sequence > 1<<62 || p.IssuedAt > 1<<40:
		return bad("sequence or time out of range")
	}
	s := Statement{
		App:      AppID(p.App),
		Action:   p.Action,
		Sequence: p.Sequence,
		Channel:  [32]byte(p.Channel),
		IssuedAt: time.Unix(int64(p.IssuedAt), 0),
		Volume:   p.Volume,
	}
	if isApply {
		s.ManifestHash = [32]byte(p.ManifestHash)
	}
	for _, id := range p.Former {
		if len(id) != 32 {
			return bad("a former channel is not 32 bytes")
		}
		former := [32]byte(id)
		if former == s.Channel || slices.Contains(s.Former, former) {
			return bad("a channel is named twice")
		}
		s.Former = append(s.Former, former)
	}
	return s, nil
}
