// SPDX-License-Identifier: Apache-2.0

package evidence

import (
	"crypto/ed25519"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/ethereum/go-ethereum/common"
)

const (
	// DefaultMaxAge is how old a session may be: the enclave makes one a minute, and its machine may be busy.
	DefaultMaxAge = 10 * time.Minute
	// Skew is how far the enclave's clock may run ahead of ours.
	Skew = 5 * time.Minute
)

// Policy is what the asker wants. Its zero value accepts nothing.
type Policy struct {
	// ChainID and Contract are the asker's own configuration.
	ChainID  uint64
	Contract common.Address
	// Peer is the peer id, in binary form, that the connection proved.
	Peer string
	// Provider is the wanted provider; the zero address accepts any.
	Provider common.Address

	// Hardware checks reports; package tee/snp has one.
	Hardware Hardware
	// Measurements are those accepted from hardware that encrypts memory. They never count for a simulator.
	Measurements []Measurement
	// Simulator, if set, accepts one simulator as well.
	Simulator *Simulator

	// MaxAge is how old a session may be; zero means DefaultMaxAge.
	MaxAge time.Duration
}

// Hardware checks a vendor's report against what is wanted and returns the measurement in it. It does no I/O. It returns
// ErrReport, ErrClaims, ErrDebug, ErrTCB or ErrMeasurement.
type Hardware interface {
	Check(a Attestation, w Wanted, now time.Time) ([MeasurementSize]byte, error)
}

// Wanted is what a report has to show.
type Wanted struct {
	ReportData [ReportDataSize]byte
	// Root is the SHA-256 of the only accepted root certificate; nil means exactly the vendor's own.
	Root *[32]byte
	// Measurements of which one must match.
	Measurements []Measurement
}

// Verified is what evidence proved. With ClassNone it proved only that whoever holds the simulator's key says so.
type Verified struct {
	Kind        Kind
	Class       Class
	Measurement [MeasurementSize]byte
	Claims
}

// Verify checks encoded evidence as the answer to a nonce, in full, and returns what it proved. Its errors are the package's.
func Verify(encoded, nonce []byte, p Policy, now time.Time) (Verified, error) {
	e, err := Decode(encoded)
	if err != nil {
		return Verified{}, err
	}
	wanted, err := p.wanted(e, now)
	if err != nil {
		return Verified{}, err
	}
	measurement, err := p.Hardware.Check(e.Attestation, wanted, now)
	if err != nil {
		return Verified{}, err
	}
	// From here on the claims are the measured software's.
	if len(nonce) != NonceSize || !ed25519.Verify(e.Says.Session, answer(nonce, e.Claims), e.Signature) {
		return Verified{}, ErrNonce
	}
	if err := p.claims(e.Says, now); err != nil {
		return Verified{}, err
	}
	return Verified{Kind: e.Kind, Class: e.Kind.Class(), Measurement: measurement, Claims: e.Says}, nil
}

// wanted chooses root and allow list by kind, so that neither a simulator's counts for hardware nor the other way round.
func (p Policy) wanted(e Encoded, now time.Time) (Wanted, error) {
	w := Wanted{ReportData: ReportData(e.Claims)}
	switch e.Kind {
	case KindSEVSNP:
		w.Measurements = p.Measurements
	case KindSimulator:
		if p.Simulator == nil {
			return Wanted{}, ErrSimulator
		}
		if p.Simulator.ChainID != p.ChainID || p.Simulator.ChainID != e.Says.ChainID {
			return Wanted{}, fmt.Errorf("accepted for chain %d only: %w", p.Simulator.ChainID, ErrSimulator)
		}
		root := p.Simulator.Root
		w.Root = &root
		w.Measurements = []Measurement{{Value: p.Simulator.Measurement, NotAfter: now.Add(time.Minute)}}
	default:
		return Wanted{}, fmt.Errorf("%.40q: %w", e.Kind, ErrKind)
	}
	if p.Hardware == nil {
		return Wanted{}, fmt.Errorf("no verifier for %s: %w", e.Kind, ErrKind)
	}
	return w, nil
}

func (p Policy) claims(c Claims, now time.Time) error {
	age := p.MaxAge
	if age == 0 {
		age = DefaultMaxAge
	}
	switch {
	case c.Role != RoleProvider:
		return fmt.Errorf("%.40q: %w", c.Role, ErrRole)
	case c.ChainID != p.ChainID:
		return fmt.Errorf("chain %d, want %d: %w", c.ChainID, p.ChainID, ErrChain)
	case c.Contract != p.Contract:
		return fmt.Errorf("contract %s, want %s: %w", c.Contract, p.Contract, ErrChain)
	case c.Peer != p.Peer:
		return fmt.Errorf("peer %s, connected to %s: %w", hex.EncodeToString([]byte(c.Peer)), hex.EncodeToString([]byte(p.Peer)), ErrPeer)
	case p.Provider != (common.Address{}) && c.Provider != p.Provider:
		return fmt.Errorf("provider %s, want %s: %w", c.Provider, p.Provider, ErrProvider)
	case now.Sub(c.IssuedAt) > age || c.IssuedAt.Sub(now) > Skew:
		return fmt.Errorf("issued at %s, it is %s: %w", c.IssuedAt.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339), ErrStale)
	}
	return nil
}
