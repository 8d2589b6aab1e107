// SPDX-License-Identifier: Apache-2.0

package notify

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"syscall"

	"github.com/apocryph/apocryph/internal/outside"
)

// errForbidden says that an address or a port is not one that webhooks are called at.
var errForbidden = errors.New("not an address that webhooks are called at")

// guard decides what is dialled. It sees addresses, never names: what a name was resolved to when it counts.
type guard struct {
	allow, deny []netip.Prefix
	ports       []uint16
}

// control is called with every address before a socket connects to it.
func (g guard) control(_ context.Context, network, address string, _ syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil || network != "tcp4" && network != "tcp6" || !g.may(at) {
		return fmt.Errorf("dialling: %w", errForbidden)
	}
	return nil
}

// may reports whether an address and port are called.
func (g guard) may(at netip.AddrPort) bool {
	// An IPv4 address in IPv6's form is dialled as what it is.
	a := at.Addr().Unmap()
	in := func(p netip.Prefix) bool { return p.Contains(a) }
	switch {
	case a.Zone() != "" || !slices.Contains(g.ports, at.Port()):
		return false
	case slices.ContainsFunc(g.allow, in):
		return true
	case slices.ContainsFunc(special(), in) || slices.ContainsFunc(g.deny, in):
		return false
	}
	return outside.Public(a)
}

// special are addresses that lie outside of every cluster, and yet are nobody's: what answers there is not who one means. Teredo and the
// relays of 6to4 lead to IPv4 addresses that nobody has looked at.
func special() []netip.Prefix {
	return []netip.Prefix{
		netip.MustParsePrefix("192.0.2.0/24"),    // documentation
		netip.MustParsePrefix("198.51.100.0/24"), // documentation
		netip.MustParsePrefix("203.0.113.0/24"),  // documentation
		netip.MustParsePrefix("192.31.196.0/24"), // AS112
		netip.MustParsePrefix("192.52.193.0/24"), // AMT relays
		netip.MustParsePrefix("192.88.99.0/24"),  // relays of 6to4
		netip.MustParsePrefix("192.175.48.0/24"), // AS112
		netip.MustParsePrefix("2001::/23"),       // protocols' own: Teredo, benchmarks, ORCHID
		netip.MustParsePrefix("2001:db8::/32"),   // documentation
		netip.MustParsePrefix("3fff::/20"),       // documentation
	}
}

// dialer returns one that connects nowhere else.
func (g guard) dialer() *net.Dialer {
	return &net.Dialer{Timeout: callTime, ControlContext: g.control}
}
