// SPDX-License-Identifier: Apache-2.0

package evidence_test

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/apocryph/apocryph/internal/evidence"
)

var record = flag.Bool("record", false, "record evidence of a new simulator for the fuzz targets")

// recorded holds a simulator's answer to the nonce of newWorld and, as text, what accepts it. Each run of newRoots has other keys, and
// what one fuzzing process found has to mean the same in the next.
const recorded = "testdata/simulator"

func TestRecorded(t *testing.T) {
	if *record {
		w := newWorld(t)
		if err := errors.Join(os.WriteFile(recorded+".cbor", w.encode(t), 0o600), os.WriteFile(recorded+".txt", []byte(w.policy.Simulator.String()+"\n"), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	b, nonce, policy, w := replay(t)
	got, err := evidence.Verify(b, nonce, policy, w.now)
	if err != nil {
		t.Fatal(err)
	}
	if got.Provider != policy.Provider || got.Class != evidence.ClassNone {
		t.Errorf("it verifies as %+v", got)
	}
}

// replay reads the record.
func replay(t testing.TB) (encoded, nonce []byte, p evidence.Policy, w world) {
	t.Helper()
	w = plainWorld()
	b, err := os.ReadFile(recorded + ".cbor")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(recorded + ".txt")
	if err != nil {
		t.Fatal(err)
	}
	accept, err := evidence.ParseSimulator(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	w.policy.Simulator = &accept
	return b, w.nonce, w.policy, w
}

// Whatever verifies claims what the enclave claimed, for the nonce that was asked.
func FuzzVerify(f *testing.F) {
	b, nonce, policy, w := replay(f)
	want, err := evidence.Verify(b, nonce, policy, w.now)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b, nonce)
	other := bytes.Repeat([]byte{8}, evidence.NonceSize)
	f.Add(b, other)
	f.Add(b[:len(b)-1], nonce)
	f.Add(append(bytes.Clone(b), 0), nonce)
	f.Fuzz(func(t *testing.T, encoded, asked []byte) {
		got, err := evidence.Verify(encoded, asked, policy, w.now)
		if err != nil {
			if len(err.Error()) > 2000 {
				t.Errorf("an error of %d bytes", len(err.Error()))
			}
			return
		}
		if !cmp.Equal(got, want) || !bytes.Equal(asked, nonce) {
			t.Errorf("it verifies for nonce %x as %+v", asked, got)
		}
	})
}

// What is decoded is in the one canonical form, and small.
func FuzzDecodeForm(f *testing.F) {
	b, _, _, _ := replay(f)
	f.Add(b)
	f.Fuzz(func(t *testing.T, raw []byte) {
		e, err := evidence.Decode(raw)
		if err != nil {
			if !errors.Is(err, evidence.ErrMalformed) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %q", err)
			}
			return
		}
		if len(raw) > evidence.MaxSize || len(e.Certs) > 3 || len(e.Says.Peer) > 64 {
			t.Errorf("decoded: %d bytes, %d certificates, a peer id of %d bytes", len(raw), len(e.Certs), len(e.Says.Peer))
		}
		again, err := evidence.EncodeClaims(e.Says)
		if err != nil || !bytes.Equal(again, e.Claims) {
			t.Errorf("claims %x are read as %+v, written %x, %v", e.Claims, e.Says, again, err)
		}
	})
}

func FuzzParseSimulator(f *testing.F) {
	text, err := os.ReadFile(recorded + ".txt")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(text))
	f.Add("//")
	f.Fuzz(func(t *testing.T, s string) {
		got, err := evidence.ParseSimulator(s)
		if err != nil {
			return
		}
		if again, err := evidence.ParseSimulator(got.String()); err != nil || again != got {
			t.Errorf("%q is read as %s, and that as %s, %v", s, got, again, err)
		}
	})
}
