// SPDX-License-Identifier: Apache-2.0

package keeper

import (
	"bytes"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
)

// spoil changes bytes: some are turned, some cut out, some put in. The keys of a test's world are new in each process, so what is fuzzed
// is how a good order is spoiled and not the order.
func spoil(b []byte, at uint16, turn byte, cut uint8, put []byte) []byte {
	from := int(at) % (len(b) + 1)
	to := min(len(b), from+int(cut))
	out := append(append(bytes.Clone(b[:from]), put...), b[to:]...)
	if i := from + len(put); i < len(out) {
		out[i] ^= turn
	}
	return out
}

// What anybody wrote into an App is believed only if it says what the publisher ordered.
func FuzzVerifyApp(f *testing.F) {
	w := newWorld(f)
	w.stop = true
	app := w.app(f)
	want, err := verify(w.keeper.own(), app)
	if err != nil {
		f.Fatal(err)
	}
	for field := range uint8(5) {
		f.Add(field, uint16(0), byte(0), uint8(0), []byte{})
		f.Add(field, uint16(9), byte(1), uint8(0), []byte{})
		f.Add(field, uint16(1<<15), byte(0), uint8(255), []byte{})
		f.Add(field, uint16(len(app.Spec.Quote)), byte(0), uint8(0), []byte{0xfa, 0x01, 0x01, 'x'})
	}
	f.Fuzz(func(t *testing.T, field uint8, at uint16, turn byte, cut uint8, put []byte) {
		changed := app.DeepCopy()
		s := &changed.Spec
		fields := []*[]byte{&s.Manifest, &s.Statement, &s.Terms, &s.Quote, &s.Stop}
		b := fields[int(field)%len(fields)]
		*b = spoil(*b, at, turn, cut, put)
		got, err := verify(w.keeper.own(), changed)
		if err != nil {
			if strings.Contains(err.Error(), "\n") || len(err.Error()) > 2000 {
				t.Errorf("not one short line: %q", err)
			}
			return
		}
		stopped := len(s.Stop) > 0
		if !proto.Equal(got.manifest, want.manifest) || got.channel != want.channel || got.statement.Sequence != want.statement.Sequence ||
			!proto.Equal(got.quote, want.quote) || stopped && got.sequence != want.sequence {
			t.Errorf("believed: %+v", got)
		}
		if size := len(s.Statement) + len(s.Quote) + len(s.Terms); size > 32<<10 {
			t.Errorf("believed %d bytes", size)
		}
	})
}
