// SPDX-License-Identifier: Apache-2.0

// Package evidence is the proof of what answers: a statement by the TEE's hardware about the enclave, bound to the enclave's keys and
// to the asker's nonce.
//
// The hardware signs one report per session. Its report data is the hash of the claims, and the claims name the provider, the chain
// and contract, the libp2p peer, the voucher signer, and a short-lived session key. The session key answers nonces. So an
// answer is worth what the report is worth, nobody can replay one, and the hardware is asked once a minute however many ask us.
//
// What is believed: the vendor's root (or one development root, by fingerprint, for one chain, and never by default), measurements
// on the policy's list until they expire, and nothing that the evidence says about itself besides. Every kind goes through the same checks. Evidence that
// holds a field this version does not know is refused. The wire form is docs/protocol/evidence.md.
package evidence

import (
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/ethereum/go-ethereum/common"
)

// Errors of Decode and Verify, one for each way to fail.
var (
	// ErrMalformed says that bytes are not evidence in its one canonical form.
	ErrMalformed = errors.New("malformed evidence")
	// ErrKind says that the kind is unknown.
	ErrKind = errors.New("unknown kind of evidence")
	// ErrSimulator says that the evidence is a simulator's, which protects nothing, and that the policy does not accept it.
	ErrSimulator = errors.New("evidence of a simulator, which protects nothing")
	// ErrReport says that the report is not signed by a chip that the trusted root vouches for, or that its form or guest policy is bad.
	ErrReport = errors.New("hardware report does not verify")
	// ErrClaims says that the report was made for other claims.
	ErrClaims = errors.New("hardware report is for other claims")
	// ErrDebug says that the guest's memory can be read by the host.
	ErrDebug = errors.New("guest allows debugging")
	// ErrTCB says that the platform's firmware is older than the floor.
	ErrTCB = errors.New("platform firmware is too old")
	// ErrMeasurement says that the measured software is not on the list, or no longer.
	ErrMeasurement = errors.New("measured software is not on the allow list")
	// ErrNonce says that the answer is to another nonce, or not by the session key.
	ErrNonce = errors.New("evidence does not answer this nonce")
	// ErrStale says that the session is older, or newer, than allowed.
	ErrStale = errors.New("evidence is stale")
	// ErrRole says that it is evidence of something else than a provider's enclave.
	ErrRole = errors.New("evidence of another role")
	// ErrPeer says that it is of another peer than the one on this connection.
	ErrPeer = errors.New("evidence of another peer")
	// ErrProvider says that it is of another provider than the wanted one.
	ErrProvider = errors.New("evidence of another provider")
	// ErrChain says that it is for another chain or another Channels contract.
	ErrChain = errors.New("evidence for another chain or contract")
)

// Kind says what made the report.
type Kind string

// The kinds.
const (
	// KindSEVSNP is AMD SEV-SNP.
	KindSEVSNP Kind = "sev-snp"
	// KindSimulator is a report in the format of SEV-SNP, signed under a development root by ordinary software.
	KindSimulator Kind = "simulator"
)

// Class says what a kind protects.
type Class string

// The classes.
const (
	// ClassMemoryEncrypted keeps memory from the machine's owner.
	ClassMemoryEncrypted Class = "memory-encrypted"
	// ClassNone protects nothing.
	ClassNone Class = "none"
)

// Class returns what the kind protects.
func (k Kind) Class() Class {
	if k == KindSEVSNP {
		return ClassMemoryEncrypted
	}
	return ClassNone
}

// RoleProvider is the role of a provider's enclave.
const RoleProvider = "provider"

// Sizes of the parts.
const (
	NonceSize       = 32
	ReportDataSize  = 64
	MeasurementSize = 48
)

// Claims is what the hardware report binds: who the enclave is, and its keys.
type Claims struct {
	Role     string
	Provider common.Address
	ChainID  uint64
	Contract common.Address
	// Peer is the libp2p peer id in binary form.
	Peer string
	// Signer is the address of the voucher key, which signs quotes too.
	Signer common.Address
	// Session is the public key that answers nonces.
	Session ed25519.PublicKey
	// IssuedAt is the enclave's clock when the report was made, in whole seconds.
	IssuedAt time.Time
}

// Attestation is what a TEE device returns: a report in its vendor's format and the certificates to check it with, the chip's first.
type Attestation struct {
	Kind   Kind
	Report []byte
	Certs  [][]byte
}

// Measurement is one entry of an allow list.
type Measurement struct {
	Value [MeasurementSize]byte
	// MinimumTCB is the oldest firmware with which it counts, in AMD's TCB_VERSION form; each component is a floor.
	MinimumTCB uint64
	// NotAfter is when it stops counting; the zero time is long past.
	NotAfter time.Time
}

// Simulator accepts one simulator: its root, on one chain, with one measurement.
type Simulator struct {
	// Root is the SHA-256 of the root certificate (ARK) in DER.
	Root        [32]byte
	ChainID     uint64
	Measurement [MeasurementSize]byte
}

// String is the form that ParseSimulator reads: root, chain id and measurement, separated by slashes.
func (s Simulator) String() string {
	return fmt.Sprintf("%x/%d/%x", s.Root, s.ChainID, s.Measurement)
}

// ParseSimulator reads the form that String writes.
func ParseSimulator(text string) (Simulator, error) {
	var s Simulator
	bad := fmt.Errorf("%.300q is not a simulator (want root/chain/measurement: 64 hex digits, a number, 96 hex digits)", text)
	parts := strings.Split(text, "/")
	if len(parts) != 3 || len(parts[0]) != 2*len(s.Root) || len(parts[2]) != 2*len(s.Measurement) {
		return Simulator{}, bad
	}
	var err error
	if _, err = hex.Decode(s.Root[:], []byte(parts[0])); err != nil {
		return Simulator{}, bad
	}
	if _, err = hex.Decode(s.Measurement[:], []byte(parts[2])); err != nil {
		return Simulator{}, bad
	}
	if s.ChainID, err = strconv.ParseUint(parts[1], 10, 64); err != nil {
		return Simulator{}, bad
	}
	return s, nil
}
