// SPDX-License-Identifier: Apache-2.0

// Package snp checks AMD SEV-SNP attestation reports, genuine ones and those of a development root, by the same steps.
//
// Nothing is fetched: the chip's certificate comes with the report, and AMD's roots are compiled in. With a development root, that root
// is the only one that counts; without, AMD's are. A report counts only if its chip signed it, debugging and migration are off,
// the privilege level is the highest, its firmware is committed, and its measurement is listed with a firmware floor that it reaches.
package snp

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"time"

	"github.com/google/go-sev-guest/abi"
	"github.com/google/go-sev-guest/kds"
	spb "github.com/google/go-sev-guest/proto/sevsnp"
	"github.com/google/go-sev-guest/validate"
	"github.com/google/go-sev-guest/verify"
	"github.com/google/go-sev-guest/verify/trust"

	"github.com/apocryph/apocryph/internal/evidence"
)

// Verifier is an evidence.Hardware. It has no state.
type Verifier struct{}

// Check implements evidence.Hardware.
func (Verifier) Check(a evidence.Attestation, w evidence.Wanted, now time.Time) ([evidence.MeasurementSize]byte, error) {
	var measurement [evidence.MeasurementSize]byte
	attestation, err := authentic(a, w.Root, now)
	if err != nil {
		return measurement, err
	}
	if err := acceptable(attestation, w.ReportData); err != nil {
		return measurement, err
	}
	copy(measurement[:], attestation.Report.Measurement)
	return measurement, listed(w.Measurements, measurement, attestation.Report.ReportedTcb, now)
}

// authentic checks that a chip signed the report and that the trusted root vouches for the chip.
func authentic(a evidence.Attestation, root *[32]byte, now time.Time) (*spb.Attestation, error) {
	report, err := parse(a)
	if err != nil {
		return nil, err
	}
	roots, err := trusted(a, root)
	if err != nil {
		return nil, err
	}
	attestation := &spb.Attestation{Report: report, CertificateChain: &spb.CertificateChain{VcekCert: a.Certs[0]}}
	if err := verify.SnpAttestation(attestation, &verify.Options{DisableCertFetching: true, Now: now, TrustedRoots: roots}); err != nil {
		return nil, fmt.Errorf("%w: %.500s", evidence.ErrReport, err.Error())
	}
	return attestation, nil
}

// acceptable checks what an authentic report says about the guest and the platform.
func acceptable(attestation *spb.Attestation, data [evidence.ReportDataSize]byte) error {
	if !bytes.Equal(attestation.Report.ReportData, data[:]) {
		return evidence.ErrClaims
	}
	policy, err := abi.ParseSnpPolicy(attestation.Report.Policy)
	if err != nil {
		return fmt.Errorf("%w: %.500s", evidence.ErrReport, err.Error())
	}
	if policy.Debug {
		return evidence.ErrDebug
	}
	highest := 0
	err = validate.SnpAttestation(attestation, &validate.Options{
		// Simultaneous multithreading is what nearly every host has on; all else that weakens a guest is refused.
		GuestPolicy: abi.SnpPolicy{SMT: true},
		ReportData:  data[:],
		VMPL:        &highest,
	})
	if err != nil {
		return fmt.Errorf("%w: %.500s", evidence.ErrReport, err.Error())
	}
	return nil
}

func parse(a evidence.Attestation) (*spb.Report, error) {
	if len(a.Report) != abi.ReportSize {
		return nil, fmt.Errorf("report of %d bytes, want %d: %w", len(a.Report), abi.ReportSize, evidence.ErrReport)
	}
	if len(a.Certs) == 0 {
		return nil, fmt.Errorf("no certificate: %w", evidence.ErrReport)
	}
	report, err := abi.ReportToProto(a.Report)
	if err != nil {
		return nil, fmt.Errorf("%w: %.500s", evidence.ErrReport, err.Error())
	}
	info, err := abi.ParseSignerInfo(report.SignerInfo)
	if err != nil {
		return nil, fmt.Errorf("%w: %.500s", evidence.ErrReport, err.Error())
	}
	if info.SigningKey != abi.VcekReportSigner {
		return nil, fmt.Errorf("signed by a %s, want a VCEK: %w", info.SigningKey, evidence.ErrReport)
	}
	return report, nil
}

// trusted returns nil, which the library takes for exactly AMD's own roots, or the one development root. That one must come with
// the evidence, certificates being chip, intermediate, root; the fingerprint decides.
func trusted(a evidence.Attestation, want *[32]byte) (map[string][]*trust.AMDRootCerts, error) {
	if want == nil {
		return nil, nil
	}
	if len(a.Certs) != 3 {
		return nil, fmt.Errorf("%d certificates, want chip, intermediate and root: %w", len(a.Certs), evidence.ErrReport)
	}
	if got := sha256.Sum256(a.Certs[2]); got != *want {
		return nil, fmt.Errorf("root %x is not the accepted one, %x: %w", got, *want, evidence.ErrSimulator)
	}
	ask, err := x509.ParseCertificate(a.Certs[1])
	if err != nil {
		return nil, fmt.Errorf("%w: intermediate: %.500s", evidence.ErrReport, err.Error())
	}
	ark, err := x509.ParseCertificate(a.Certs[2])
	if err != nil {
		return nil, fmt.Errorf("%w: root: %.500s", evidence.ErrReport, err.Error())
	}
	root := trust.AMDRootCertsProduct(ProductLine)
	root.ProductCerts = &trust.ProductCerts{Ark: ark, Ask: ask}
	return map[string][]*trust.AMDRootCerts{ProductLine: {root}}, nil
}

// ProductLine is the chip generation that development roots are made for.
const ProductLine = "Milan"

func listed(list []evidence.Measurement, measurement [evidence.MeasurementSize]byte, tcb uint64, now time.Time) error {
	err := fmt.Errorf("%x: %w", measurement, evidence.ErrMeasurement)
	for _, m := range list {
		if m.Value != measurement {
			continue
		}
		if !now.Before(m.NotAfter) {
			err = fmt.Errorf("%x: its entry ended at %s: %w", measurement, m.NotAfter.UTC().Format(time.RFC3339), evidence.ErrMeasurement)
			continue
		}
		if !kds.TCBPartsLE(kds.DecomposeTCBVersion(kds.TCBVersion(m.MinimumTCB)), kds.DecomposeTCBVersion(kds.TCBVersion(tcb))) {
			err = fmt.Errorf("TCB %016x, at least %016x: %w", tcb, m.MinimumTCB, evidence.ErrTCB)
			continue
		}
		return nil
	}
	return err
}
