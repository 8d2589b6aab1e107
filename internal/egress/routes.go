// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"strconv"
	"strings"
)

// readRoutes adds the routes to single addresses of a table that the kernel wrote.
func readRoutes(table string, read func(line string) (netip.Addr, string, bool), hosts map[netip.Addr]string) {
	for line := range strings.Lines(table) {
		if addr, link, ok := read(line); ok {
			hosts[addr] = link
		}
	}
}

// hostRoute reads a line of /proc/net/route: link, destination, gateway, flags, …, mask; numbers in the machine's order.
func hostRoute(line string) (netip.Addr, string, bool) {
	const link, destination, mask, fields = 0, 1, 7, 8
	f := strings.Fields(line)
	if len(f) < fields || f[mask] != "FFFFFFFF" {
		return netip.Addr{}, "", false
	}
	n, err := strconv.ParseUint(f[destination], 16, 32)
	if err != nil {
		return netip.Addr{}, "", false
	}
	var b [4]byte
	binary.NativeEndian.PutUint32(b[:], uint32(n))
	return netip.AddrFrom4(b), f[link], true
}

// hostRoute6 reads a line of /proc/net/ipv6_route: destination, its length, …, link.
func hostRoute6(line string) (netip.Addr, string, bool) {
	const destination, length, link, fields = 0, 1, 9, 10
	f := strings.Fields(line)
	if len(f) < fields || f[length] != "80" || f[link] == "lo" {
		return netip.Addr{}, "", false
	}
	b, err := hex.DecodeString(f[destination])
	if err != nil {
		return netip.Addr{}, "", false
	}
	addr, ok := netip.AddrFromSlice(b)
	return addr, f[link], ok
}
