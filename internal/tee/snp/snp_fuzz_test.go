// SPDX-License-Identifier: Apache-2.0

package snp

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/google/go-sev-guest/abi"
	"github.com/google/go-sev-guest/verify/testdata"

	"github.com/apocryph/apocryph/internal/evidence"
)

// A report that counts as a chip's says what the chip signed: the recorded one is real hardware's.
func FuzzAuthentic(f *testing.F) {
	now := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	report, vcek := bytes.Clone(testdata.AttestationBytes[:abi.ReportSize]), bytes.Clone(testdata.VcekBytes)
	signed := bytes.Clone(abi.SignedComponent(report))
	f.Add(report, vcek)
	f.Add(report[:len(report)-1], vcek)
	f.Add(report, vcek[:len(vcek)-1])
	f.Add([]byte{}, []byte{})
	f.Fuzz(func(t *testing.T, report, cert []byte) {
		a := evidence.Attestation{Kind: evidence.KindSEVSNP, Report: report, Certs: [][]byte{cert}}
		got, err := authentic(a, nil, now)
		if err != nil {
			if !errors.Is(err, evidence.ErrReport) {
				t.Errorf("error %v", err)
			}
			return
		}
		if !bytes.Equal(abi.SignedComponent(report), signed) || !bytes.Equal(got.Report.ReportData, report[0x50:0x90]) {
			t.Errorf("a chip that did not sign it counts: %x", report)
		}
	})
}

// A development root is known by its fingerprint: no other certificates pass for it.
func FuzzTrusted(f *testing.F) {
	f.Add(testdata.VcekBytes, testdata.VcekBytes, testdata.VcekBytes)
	f.Add([]byte{}, []byte{}, []byte{})
	f.Fuzz(func(t *testing.T, chip, intermediate, root []byte) {
		want := [32]byte{1}
		if _, err := trusted(evidence.Attestation{Certs: [][]byte{chip, intermediate, root}}, &want); !errors.Is(err, evidence.ErrSimulator) {
			t.Errorf("error %v", err)
		}
	})
}
