// SPDX-License-Identifier: Apache-2.0

package delegation

import (
	"errors"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	orderv1 "github.com/apocryph/apocryph/internal/gen/orderv1"
)

func TestHeader(t *testing.T) {
	want := &orderv1.SignedDelegation{Delegation: &orderv1.Delegation{Peer: []byte("peer")}, Signature: []byte("sig")}
	s, err := EncodeHeader(want)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := DecodeHeader(s); err != nil || !proto.Equal(want, got) {
		t.Errorf("got %v, %v; want %v", got, err, want)
	}
	for name, bad := range map[string]string{
		"no base64": "%%%", "no delegation": "AAAA", "too long": strings.Repeat("A", maxHeader+4),
	} {
		if _, err := DecodeHeader(bad); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: got %v, want ErrInvalid", name, err)
		}
	}
}

func TestSaltHeader(t *testing.T) {
	want := [32]byte{1, 2, 31: 255}
	if got, err := DecodeSalt(EncodeSalt(want)); err != nil || got != want {
		t.Errorf("got %x, %v; want %x", got, err, want)
	}
	for _, bad := range []string{"", "0x00", strings.Repeat("0", 63), strings.Repeat("z", 64)} {
		if _, err := DecodeSalt(bad); !errors.Is(err, ErrInvalid) {
			t.Errorf("%q: got %v, want ErrInvalid", bad, err)
		}
	}
}

func FuzzDecodeHeader(f *testing.F) {
	f.Add("")
	f.Add("CgA=")
	f.Fuzz(func(t *testing.T, s string) {
		d, err := DecodeHeader(s)
		if err != nil {
			if !errors.Is(err, ErrInvalid) {
				t.Errorf("got %v", err)
			}
			return
		}
		if _, err := EncodeHeader(d); err != nil {
			t.Errorf("what was read can't be written: %v", err)
		}
	})
}
