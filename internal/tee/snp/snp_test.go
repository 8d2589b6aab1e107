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

// The sample that go-sev-guest ships is a report of a real Milan chip, with the certificate that AMD issued for it. Its guest allows
// debugging, so it is authentic and never acceptable.
func TestGenuineReport(t *testing.T) {
	now := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	good := func() evidence.Attestation {
		return evidence.Attestation{
			Kind:   evidence.KindSEVSNP,
			Report: bytes.Clone(testdata.AttestationBytes[:abi.ReportSize]),
			Certs:  [][]byte{bytes.Clone(testdata.VcekBytes)},
		}
	}
	tests := map[string]struct {
		with func(*evidence.Attestation)
		root *[32]byte
		want error
	}{
		"as AMD's hardware made it":  {with: func(*evidence.Attestation) {}},
		"a development root wanted":  {func(*evidence.Attestation) {}, &[32]byte{1}, evidence.ErrReport},
		"report byte flipped":        {with: func(a *evidence.Attestation) { a.Report[0x90] ^= 1 }, want: evidence.ErrReport},
		"debugging hidden":           {with: func(a *evidence.Attestation) { a.Report[0x0A] ^= 1 << 3 }, want: evidence.ErrReport},
		"signature byte flipped":     {with: func(a *evidence.Attestation) { a.Report[0x2A0] ^= 1 }, want: evidence.ErrReport},
		"certificate byte flipped":   {with: func(a *evidence.Attestation) { a.Certs[0][700] ^= 1 }, want: evidence.ErrReport},
		"no certificate":             {with: func(a *evidence.Attestation) { a.Certs = nil }, want: evidence.ErrReport},
		"before the certificate was": {with: func(*evidence.Attestation) { now = now.Add(-20 * 365 * 24 * time.Hour) }, want: evidence.ErrReport},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			a, before := good(), now
			defer func() { now = before }()
			tt.with(&a)
			if _, err := authentic(a, tt.root, now); !errors.Is(err, tt.want) {
				t.Errorf("error %v, want %v", err, tt.want)
			}
		})
	}

	report, err := abi.ReportToProto(testdata.AttestationBytes)
	if err != nil {
		t.Fatal(err)
	}
	w := evidence.Wanted{
		ReportData:   [64]byte(report.ReportData),
		Measurements: []evidence.Measurement{{Value: [48]byte(report.Measurement), NotAfter: now.Add(time.Hour)}},
	}
	if _, err := (Verifier{}).Check(good(), w, now); !errors.Is(err, evidence.ErrDebug) {
		t.Errorf("the guest allows debugging: error %v, want %v", err, evidence.ErrDebug)
	}
	w.ReportData[0] ^= 1
	if _, err := (Verifier{}).Check(good(), w, now); !errors.Is(err, evidence.ErrClaims) {
		t.Errorf("other claims: error %v, want %v", err, evidence.ErrClaims)
	}
}

func TestListed(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	const tcb = uint64(0xdb18000000000004)
	value := [48]byte{1}
	good := evidence.Measurement{Value: value, MinimumTCB: tcb, NotAfter: now.Add(time.Second)}
	but := func(change func(*evidence.Measurement)) evidence.Measurement {
		m := good
		change(&m)
		return m
	}
	tests := map[string]struct {
		list []evidence.Measurement
		want error
	}{
		"listed, firmware exactly at the floor": {[]evidence.Measurement{good}, nil},
		"nothing listed":                        {nil, evidence.ErrMeasurement},
		"another one listed":                    {[]evidence.Measurement{but(func(m *evidence.Measurement) { m.Value[0] = 2 })}, evidence.ErrMeasurement},
		"entry ends now":                        {[]evidence.Measurement{but(func(m *evidence.Measurement) { m.NotAfter = now })}, evidence.ErrMeasurement},
		"entry without an end":                  {[]evidence.Measurement{but(func(m *evidence.Measurement) { m.NotAfter = time.Time{} })}, evidence.ErrMeasurement},
		"bootloader below the floor":            {[]evidence.Measurement{but(func(m *evidence.Measurement) { m.MinimumTCB++ })}, evidence.ErrTCB},
		"microcode below, all else above":       {[]evidence.Measurement{but(func(m *evidence.Measurement) { m.MinimumTCB = 0xdc << 56 })}, evidence.ErrTCB},
		"a second entry that fits": {[]evidence.Measurement{
			but(func(m *evidence.Measurement) { m.NotAfter = now }), but(func(m *evidence.Measurement) { m.MinimumTCB++ }), good,
		}, nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if err := listed(tt.list, value, tcb, now); !errors.Is(err, tt.want) {
				t.Errorf("error %v, want %v", err, tt.want)
			}
		})
	}
}
