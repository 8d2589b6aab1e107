// SPDX-License-Identifier: Apache-2.0

package p2p

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"strings"
	"testing"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
)

// fixedKey is the same in every process: what one fuzzing process found has to mean the same in the next.
func fixedKey(f *testing.F) Key {
	f.Helper()
	priv, err := crypto.UnmarshalEd25519PrivateKey(ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, ed25519.SeedSize)))
	if err != nil {
		f.Fatal(err)
	}
	k, err := keyOf(priv)
	if err != nil {
		f.Fatal(err)
	}
	return k
}

// An address that is taken names one peer and a way to it.
func FuzzAddr(f *testing.F) {
	id := fixedKey(f).ID()
	for _, s := range []string{
		"/ip4/127.0.0.1/tcp/4001/p2p/" + id, "/ip6/::1/udp/4001/quic-v1/p2p/" + id, "/dns4/provider.example/tcp/4001/p2p/" + id,
		"/p2p/" + id, "/ip4/127.0.0.1/tcp/4001", "/ip4/127.0.0.1/tcp/4001/p2p/" + id + "/p2p-circuit/p2p/" + id, "", "/", strings.Repeat("/ip4/1.1.1.1", 1000),
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		info, err := parseAddr(s)
		if err != nil {
			if !errors.Is(err, ErrAddr) || strings.Contains(err.Error(), "\n") || len(err.Error()) > 1500 {
				t.Errorf("error of %d bytes: %.300q", len(err.Error()), err)
			}
			return
		}
		if CheckAddr(s) != nil || len(info.Addrs) != 1 || info.ID.Validate() != nil {
			t.Fatalf("%q is read as %v", s, info)
		}
		again, err := parseAddr(info.Addrs[0].String() + "/p2p/" + info.ID.String())
		if err != nil || again.ID != info.ID || !again.Addrs[0].Equal(info.Addrs[0]) {
			t.Errorf("%q is read as %v, and that as %v, %v", s, info, again, err)
		}
	})
}

// A key's file has one form and holds one kind of key.
func FuzzParseKey(f *testing.F) {
	b, err := fixedKey(f).Bytes()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add(b[:len(b)-1])
	f.Add([]byte{8, 0, 18, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		k, err := ParseKey(b)
		if err != nil {
			if !errors.Is(err, ErrKey) {
				t.Errorf("error %v", err)
			}
			return
		}
		written, err := k.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		if again, err := ParseKey(written); err != nil || again.Peer() != k.Peer() {
			t.Errorf("%v is read again as %v, %v", k.ID(), again.ID(), err)
		}
		signature, err := k.Sign([]byte("m"))
		if err != nil {
			t.Fatal(err)
		}
		if ok, err := CheckPeer(k.Peer(), []byte("m"), signature); err != nil || !ok {
			t.Errorf("a key whose signatures don't verify: %t, %v", ok, err)
		}
	})
}

// A peer id's signature is of one message.
func FuzzCheckPeer(f *testing.F) {
	k := fixedKey(f)
	message := []byte("message")
	signature, err := k.Sign(message)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(k.Peer(), message, signature)
	f.Add("", []byte{}, []byte{})
	f.Add("\x00\x24\x08\x00\x12\x20"+strings.Repeat("\x00", 32), []byte{}, make([]byte, 64))
	f.Fuzz(func(t *testing.T, id string, m, s []byte) {
		ok, err := CheckPeer(id, m, s)
		if ok && (err != nil || id == k.Peer() && (!bytes.Equal(m, message) || !bytes.Equal(s, signature))) {
			t.Errorf("%x passes for a signature of %x", s, m)
		}
		if got, err := peer.Decode(Text(id)); ok && (err != nil || string(got) != id) {
			t.Errorf("%x is written %s, which is read as %x, %v", id, Text(id), string(got), err)
		}
	})
}
