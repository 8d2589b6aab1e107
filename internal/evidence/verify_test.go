// SPDX-License-Identifier: Apache-2.0

package evidence_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha512"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-sev-guest/abi"

	"github.com/apocryph/apocryph/internal/evidence"
	"github.com/apocryph/apocryph/internal/tee/sim"
	"github.com/apocryph/apocryph/internal/tee/snp"
)

// device lets a test change what the chip signs, and signs again as the chip would.
type device struct {
	*sim.Device
	key    *ecdsa.PrivateKey
	change func(*evidence.Attestation)
	resign bool
}

func (d device) Attest(ctx context.Context, data [evidence.ReportDataSize]byte) (evidence.Attestation, error) {
	a, err := d.Device.Attest(ctx, data)
	if err != nil || d.change == nil {
		return a, err
	}
	a.Certs = append([][]byte(nil), a.Certs...)
	d.change(&a)
	if !d.resign {
		return a, nil
	}
	sum := sha512.Sum384(abi.SignedComponent(a.Report))
	r, s, err := ecdsa.Sign(rand.Reader, d.key, sum[:])
	if err != nil {
		return a, err
	}
	return a, abi.SetSignature(r, s, a.Report)
}

type world struct {
	device
	other     *sim.Device
	nonce     []byte
	claims    evidence.Claims
	policy    evidence.Policy
	madeAt    time.Time
	now       time.Time
	tampering func([]byte) []byte
}

// roots are two simulators, made once because their RSA keys take seconds.
type roots struct {
	one, other *sim.Device
	key        *ecdsa.PrivateKey
}

func newRoots(t *testing.T, now time.Time) roots {
	t.Helper()
	dir := t.TempDir()
	var r roots
	var err error
	for name, d := range map[string]**sim.Device{"one": &r.one, "other": &r.other} {
		if *d, err = sim.NewRoot(filepath.Join(dir, name), [48]byte{1, 2, 3}, now); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(filepath.Join(dir, "one", "vcek.key"))
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	r.key = key.(*ecdsa.PrivateKey)
	return r
}

func newWorld(t *testing.T) world {
	t.Helper()
	w := plainWorld()
	r := newRoots(t, w.now)
	accept := r.one.Accept(1337)
	w.device, w.other, w.policy.Simulator = device{Device: r.one, key: r.key}, r.other, &accept
	return w
}

// plainWorld is a world before it has a device.
func plainWorld() world {
	now := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	w := world{
		nonce: bytes.Repeat([]byte{7}, evidence.NonceSize),
		claims: evidence.Claims{
			Role:     evidence.RoleProvider,
			Provider: common.Address{1},
			ChainID:  1337,
			Contract: common.Address{2},
			Peer:     "peer",
			Signer:   common.Address{3},
		},
		now:    now,
		madeAt: now,
	}
	w.policy = evidence.Policy{
		ChainID:  1337,
		Contract: w.claims.Contract,
		Peer:     w.claims.Peer,
		Provider: w.claims.Provider,
		Hardware: snp.Verifier{},
	}
	return w
}

func (w world) encode(t *testing.T) []byte {
	t.Helper()
	s, err := evidence.NewSession(t.Context(), w.device, w.claims, w.madeAt)
	if err != nil {
		t.Fatal(err)
	}
	b, err := s.Answer(w.nonce)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestVerify(t *testing.T) {
	base := newWorld(t)

	// reported changes a byte of the report and signs again, or not.
	reported := func(offset int, xor byte, resign bool) func(*world) {
		return func(w *world) {
			w.resign = resign
			w.change = func(a *evidence.Attestation) { a.Report[offset] ^= xor }
		}
	}
	asHardware := func(w *world) {
		w.change = func(a *evidence.Attestation) { a.Kind = evidence.KindSEVSNP }
		w.policy.Measurements = []evidence.Measurement{{Value: w.policy.Simulator.Measurement, NotAfter: w.now.Add(time.Hour)}}
	}
	tests := map[string]struct {
		with func(*world)
		want error
	}{
		"everything as it should be":               {func(*world) {}, nil},
		"any provider wanted":                      {func(w *world) { w.policy.Provider = common.Address{} }, nil},
		"simulator not accepted":                   {func(w *world) { w.policy.Simulator = nil }, evidence.ErrSimulator},
		"simulator of another root":                {func(w *world) { w.policy.Simulator.Root[0] ^= 1 }, evidence.ErrSimulator},
		"simulator accepted for another chain":     {func(w *world) { w.policy.Simulator.ChainID = 1 }, evidence.ErrSimulator},
		"simulator on another chain than accepted": {func(w *world) { w.claims.ChainID = 1 }, evidence.ErrSimulator},
		"simulator that claims to be hardware":     {asHardware, evidence.ErrReport},
		"hardware's list does not serve a simulator": {func(w *world) {
			w.policy.Simulator.Measurement[0] ^= 1
			w.policy.Measurements = []evidence.Measurement{{Value: [48]byte{1, 2, 3}, NotAfter: w.now.Add(time.Hour)}}
		}, evidence.ErrMeasurement},
		"unknown kind":                                   {func(w *world) { w.change = func(a *evidence.Attestation) { a.Kind = "tdx" } }, evidence.ErrKind},
		"other chip's certificate":                       {func(w *world) { w.change = func(a *evidence.Attestation) { a.Certs[0] = chipOf(w.other, 0) } }, evidence.ErrReport},
		"other root's intermediate":                      {func(w *world) { w.change = func(a *evidence.Attestation) { a.Certs[1] = chipOf(w.other, 1) } }, evidence.ErrReport},
		"other root":                                     {func(w *world) { w.change = func(a *evidence.Attestation) { a.Certs[2] = chipOf(w.other, 2) } }, evidence.ErrSimulator},
		"root missing":                                   {func(w *world) { w.change = func(a *evidence.Attestation) { a.Certs = a.Certs[:2] } }, evidence.ErrReport},
		"all of another simulator":                       {func(w *world) { w.Device = w.other }, evidence.ErrSimulator},
		"report data of other claims":                    {reported(0x50, 1, true), evidence.ErrClaims},
		"report byte flipped":                            {reported(0x91, 1, false), evidence.ErrReport},
		"report signature byte flipped":                  {reported(0x2A0, 1, false), evidence.ErrReport},
		"measurement changed":                            {reported(0x90, 1, true), evidence.ErrMeasurement},
		"debugging allowed":                              {reported(0x0A, 1<<3, true), evidence.ErrDebug},
		"migration agent allowed":                        {reported(0x0A, 1<<2, true), evidence.ErrReport},
		"lower privilege level":                          {reported(0x30, 1, true), evidence.ErrReport},
		"reported firmware differs from the certificate": {reported(0x180, 1, true), evidence.ErrReport},
		"firmware not committed":                         {reported(0x1E0, 1, true), evidence.ErrReport},
		"signed by no chip key":                          {reported(0x48, 7<<2, true), evidence.ErrReport},
		"chip id of another chip":                        {reported(0x1A0, 1, true), evidence.ErrReport},
		"reserved bytes used":                            {reported(0x220, 1, true), evidence.ErrReport},
		"report cut short":                               {func(w *world) { w.change = func(a *evidence.Attestation) { a.Report = a.Report[:0x49F] } }, evidence.ErrReport},
		"certificate expired":                            {func(w *world) { w.now = w.now.Add(8 * 365 * 24 * time.Hour) }, evidence.ErrReport},
		"other nonce":                                    {func(w *world) { w.tampering = nonceOf(8) }, evidence.ErrNonce},
		"nonce too short":                                {func(w *world) { w.tampering = func(n []byte) []byte { return n[:31] } }, evidence.ErrNonce},
		"other role":                                     {func(w *world) { w.claims.Role = "facade" }, evidence.ErrRole},
		"other provider":                                 {func(w *world) { w.claims.Provider[0] ^= 1 }, evidence.ErrProvider},
		"asker is on another chain":                      {func(w *world) { w.policy.ChainID = 1 }, evidence.ErrSimulator},
		"other contract":                                 {func(w *world) { w.claims.Contract[0] ^= 1 }, evidence.ErrChain},
		"other peer":                                     {func(w *world) { w.claims.Peer = "poor" }, evidence.ErrPeer},
		"session too old":                                {func(w *world) { w.madeAt = w.now.Add(-evidence.DefaultMaxAge - time.Second) }, evidence.ErrStale},
		"session as old as allowed":                      {func(w *world) { w.madeAt = w.now.Add(-evidence.DefaultMaxAge) }, nil},
		"session older than a shorter limit":             {func(w *world) { w.madeAt, w.policy.MaxAge = w.now.Add(-time.Minute), time.Second }, evidence.ErrStale},
		"session from the future":                        {func(w *world) { w.madeAt = w.now.Add(evidence.Skew + time.Second) }, evidence.ErrStale},
		"zero policy":                                    {func(w *world) { w.policy = evidence.Policy{} }, evidence.ErrSimulator},
		"no hardware verifier":                           {func(w *world) { w.policy.Hardware = nil }, evidence.ErrKind},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			w := base
			accept := *base.policy.Simulator
			w.policy.Simulator = &accept
			tt.with(&w)
			encoded := w.encode(t)
			nonce := w.nonce
			if w.tampering != nil {
				nonce = w.tampering(nonce)
			}
			got, err := evidence.Verify(encoded, nonce, w.policy, w.now)
			if !errors.Is(err, tt.want) {
				t.Fatalf("error %v, want %v", err, tt.want)
			}
			if tt.want != nil {
				if diff := cmp.Diff(evidence.Verified{}, got); diff != "" {
					t.Errorf("refused, and yet (-want +got):\n%s", diff)
				}
				return
			}
			want := evidence.Verified{Kind: evidence.KindSimulator, Class: evidence.ClassNone, Measurement: [48]byte{1, 2, 3}, Claims: w.claims}
			want.Session, want.IssuedAt = got.Session, w.madeAt
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("verified (-want +got):\n%s", diff)
			}
		})
	}
	t.Run("whatever byte changes, it is refused", func(t *testing.T) { testEveryByte(t, base) })
	t.Run("only whole nonces are answered", func(t *testing.T) { testWholeNonce(t, base) })
}

func testEveryByte(t *testing.T, w world) {
	encoded := w.encode(t)
	for i := range encoded {
		b := bytes.Clone(encoded)
		b[i] ^= 1
		if _, err := evidence.Verify(b, w.nonce, w.policy, w.now); err == nil {
			t.Errorf("byte %d of %d may change", i, len(encoded))
		}
	}
}

func testWholeNonce(t *testing.T, w world) {
	s, err := evidence.NewSession(t.Context(), w.device, w.claims, w.now)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{0, 31, 33} {
		if _, err := s.Answer(make([]byte, n)); !errors.Is(err, evidence.ErrNonce) {
			t.Errorf("nonce of %d bytes: %v", n, err)
		}
	}
}

func TestSimulatorText(t *testing.T) {
	want := evidence.Simulator{Root: [32]byte{1, 0xff}, ChainID: 1337, Measurement: [48]byte{2, 0xfe}}
	got, err := evidence.ParseSimulator(want.String())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for _, bad := range []string{"", "/", "//", want.String() + "0", "0" + want.String(), want.String()[:len(want.String())-1] + "g"} {
		if _, err := evidence.ParseSimulator(bad); err == nil {
			t.Errorf("%q is read", bad)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{0xa0})
	f.Add([]byte("\xa5\x01\x69simulator\x02\x41\x01\x03\x81\x41\x01\x04\x40\x05\x40"))
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := evidence.Decode(b)
		if err != nil {
			if !errors.Is(err, evidence.ErrMalformed) {
				t.Errorf("error %v is none of the package's", err)
			}
			return
		}
		again, err := evidence.EncodeClaims(e.Says)
		if err != nil || !bytes.Equal(again, e.Claims) {
			t.Errorf("claims are read as %+v, which encodes as %x, %v", e.Says, again, err)
		}
	})
}

func nonceOf(b byte) func([]byte) []byte {
	return func([]byte) []byte { return bytes.Repeat([]byte{b}, evidence.NonceSize) }
}

func chipOf(d *sim.Device, cert int) []byte {
	a, err := d.Attest(context.Background(), [evidence.ReportDataSize]byte{})
	if err != nil {
		panic(err)
	}
	return a.Certs[cert]
}
