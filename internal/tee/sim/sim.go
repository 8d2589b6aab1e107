// SPDX-License-Identifier: Apache-2.0

// Package sim is a TEE device without a TEE: it makes reports in the format of AMD SEV-SNP and signs them, as a chip would, under a
// development root that was made for the occasion.
//
// Nothing that it says is protected by anything but file permissions. It exists so that every path, and the verifier above all, is the
// one that hardware takes. Who accepts it does so by the root's fingerprint, for one chain, and is told what that is worth.
package sim

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/google/go-sev-guest/abi"
	"github.com/google/go-sev-guest/kds"
	spb "github.com/google/go-sev-guest/proto/sevsnp"

	"github.com/apocryph/apocryph/internal/evidence"
)

// ErrFiles says that a directory does not hold a usable root.
var ErrFiles = errors.New("not a simulator's files")

// The files of a root, all PEM but the last, which holds 96 hex digits.
const (
	fileARK         = "ark.pem"
	fileASK         = "ask.pem"
	fileVCEK        = "vcek.pem"
	fileKey         = "vcek.key"
	fileMeasurement = "measurement"
)

const (
	// tcb is the firmware that simulated chips claim, the same in certificate and report: a Milan of 2025.
	tcb uint64 = 0xdb18000000000004
	// milanB1 is CPUID leaf 1 EAX of a Milan of stepping 1.
	milanB1 uint32 = 0x00a00f11

	apiMajor, apiMinor, apiBuild = 1, 55, 21
)

// Device is a simulated chip. It is safe for concurrent use.
type Device struct {
	key         *ecdsa.PrivateKey
	certs       [][]byte
	hwid        []byte
	measurement [evidence.MeasurementSize]byte
}

// Open loads the files that NewRoot wrote.
func Open(dir string) (*Device, error) {
	d := &Device{}
	for _, name := range []string{fileVCEK, fileASK, fileARK} {
		der, err := readPEM(filepath.Join(dir, name), "CERTIFICATE")
		if err != nil {
			return nil, err
		}
		d.certs = append(d.certs, der)
	}
	der, err := readPEM(filepath.Join(dir, fileKey), "PRIVATE KEY")
	if err != nil {
		return nil, err
	}
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %w", fileKey, ErrFiles, err)
	}
	vcek, err := x509.ParseCertificate(d.certs[0])
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %w", fileVCEK, ErrFiles, err)
	}
	var ok bool
	if d.key, ok = key.(*ecdsa.PrivateKey); !ok || !d.key.PublicKey.Equal(vcek.PublicKey) {
		return nil, fmt.Errorf("%s is not the key of %s: %w", fileKey, fileVCEK, ErrFiles)
	}
	extensions, err := kds.VcekCertificateExtensions(vcek)
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %w", fileVCEK, ErrFiles, err)
	}
	d.hwid = extensions.HWID
	text, err := os.ReadFile(filepath.Join(dir, fileMeasurement))
	if err != nil {
		return nil, fmt.Errorf("opening simulator: %w", err)
	}
	if n, err := hex.Decode(d.measurement[:], bytes.TrimSpace(text[:min(len(text), 2*len(d.measurement)+2)])); err != nil || n != len(d.measurement) {
		return nil, fmt.Errorf("%s: want %d hex digits: %w", fileMeasurement, 2*len(d.measurement), ErrFiles)
	}
	return d, nil
}

// Attest returns a report over data, signed like a chip's.
func (d *Device) Attest(_ context.Context, data [evidence.ReportDataSize]byte) (evidence.Attestation, error) {
	raw, err := abi.ReportToAbiBytes(&spb.Report{
		Version:         abi.ReportVersion3,
		Policy:          abi.SnpPolicyToBytes(abi.SnpPolicy{SMT: true}),
		SignatureAlgo:   abi.SignEcdsaP384Sha384,
		SignerInfo:      abi.ComposeSignerInfo(abi.SignerInfo{SigningKey: abi.VcekReportSigner}),
		ReportData:      data[:],
		Measurement:     d.measurement[:],
		Cpuid1EaxFms:    milanB1,
		ChipId:          d.hwid,
		CurrentTcb:      tcb,
		ReportedTcb:     tcb,
		CommittedTcb:    tcb,
		LaunchTcb:       tcb,
		CurrentMajor:    apiMajor,
		CurrentMinor:    apiMinor,
		CurrentBuild:    apiBuild,
		CommittedMajor:  apiMajor,
		CommittedMinor:  apiMinor,
		CommittedBuild:  apiBuild,
		FamilyId:        make([]byte, abi.FamilyIDSize),
		ImageId:         make([]byte, abi.ImageIDSize),
		HostData:        make([]byte, abi.HostDataSize),
		IdKeyDigest:     make([]byte, abi.IDKeyDigestSize),
		AuthorKeyDigest: make([]byte, abi.AuthorKeyDigestSize),
		ReportId:        make([]byte, abi.ReportIDSize),
		ReportIdMa:      bytes.Repeat([]byte{0xff}, abi.ReportIDMASize),
		Signature:       make([]byte, abi.SignatureSize),
	})
	if err != nil {
		return evidence.Attestation{}, fmt.Errorf("making report: %w", err)
	}
	sum := sha512.Sum384(abi.SignedComponent(raw))
	x, y, err := ecdsa.Sign(rand.Reader, d.key, sum[:])
	if err != nil {
		return evidence.Attestation{}, fmt.Errorf("signing report: %w", err)
	}
	if err := abi.SetSignature(x, y, raw); err != nil {
		return evidence.Attestation{}, fmt.Errorf("signing report: %w", err)
	}
	return evidence.Attestation{Kind: evidence.KindSimulator, Report: raw, Certs: d.certs}, nil
}

// Accept returns what a policy needs in order to accept this device on one chain.
func (d *Device) Accept(chainID uint64) evidence.Simulator {
	return evidence.Simulator{Root: sha256.Sum256(d.certs[2]), ChainID: chainID, Measurement: d.measurement}
}

// Fingerprint returns the SHA-256 of a root certificate (ARK) in PEM, as policies name it.
func Fingerprint(ark []byte) ([32]byte, error) {
	b, _ := pem.Decode(ark)
	if b == nil || b.Type != "CERTIFICATE" {
		return [32]byte{}, fmt.Errorf("no certificate in PEM: %w", ErrFiles)
	}
	return sha256.Sum256(b.Bytes), nil
}

func readPEM(path, kind string) ([]byte, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("opening simulator: %w", err)
	}
	b, _ := pem.Decode(text)
	if b == nil || b.Type != kind {
		return nil, fmt.Errorf("%s: no PEM block %q: %w", filepath.Base(path), kind, ErrFiles)
	}
	return b.Bytes, nil
}
