// SPDX-License-Identifier: Apache-2.0

package p2p

import (
	"testing"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/multiformats/go-multiaddr"
)

// Behind a cluster's NAT all publishers come from one address, and each command of the client is a connection of its own.
func TestManyCallersMayComeFromOneAddress(t *testing.T) {
	const many = 200
	m, err := limits(Config{MaxMemory: 128 << 20, MaxConnections: 512})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = m.Close() }()
	from := multiaddr.StringCast("/ip4/10.1.2.3/tcp/4001")
	for i := range many {
		conn, err := m.OpenConnection(network.DirInbound, true, from)
		if err != nil {
			t.Fatalf("connection %d of %d: %v", i+1, many, err)
		}
		conn.Done()
	}
}
