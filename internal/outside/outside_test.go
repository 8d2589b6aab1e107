// SPDX-License-Identifier: Apache-2.0

package outside_test

import (
	"errors"
	"net/netip"
	"testing"

	"github.com/apocryph/apocryph/internal/outside"
)

func in(addr netip.Addr, deny ...string) (let, counted bool) {
	own, err := outside.Parse(deny)
	if err != nil {
		panic(err)
	}
	for _, b := range outside.Blocks(own) {
		if b.Whole.Addr().Is4() != addr.Is4() {
			continue
		}
		let = b.Whole.Contains(addr)
		for _, p := range b.Except {
			let = let && !p.Contains(addr)
		}
		counted = true
		for _, s := range b.Inside() {
			counted = counted && (addr.Less(s.First) || s.Last.Less(addr))
		}
	}
	return let, counted
}

func TestWhatIsLetThroughIsWhatCounts(t *testing.T) {
	for name, c := range map[string]struct {
		addr string
		deny []string
		want bool
	}{
		"a public address":                          {addr: "198.51.100.7", want: true},
		"the last before a private range":           {addr: "9.255.255.255", want: true},
		"the first of a private range":              {addr: "10.0.0.0"},
		"the last of a private range":               {addr: "10.255.255.255"},
		"the first after a private range":           {addr: "11.0.0.0", want: true},
		"the first address of all":                  {addr: "0.0.0.0"},
		"the last address of all":                   {addr: "255.255.255.255"},
		"a metadata service":                        {addr: "169.254.169.254"},
		"carrier-grade NAT":                         {addr: "100.64.0.1"},
		"multicast":                                 {addr: "239.1.2.3"},
		"a public address of the provider's own":    {addr: "203.0.113.9", deny: []string{"203.0.113.0/24"}},
		"one beside it":                             {addr: "203.0.114.0", deny: []string{"203.0.113.0/24"}, want: true},
		"a denied range within a private one":       {addr: "10.200.0.1", deny: []string{"10.96.0.0/16"}},
		"a denied range that holds a private one":   {addr: "8.8.8.8", deny: []string{"8.0.0.0/6"}},
		"a denied range that holds all":             {addr: "198.51.100.7", deny: []string{"0.0.0.0/0"}},
		"a public address of IPv6":                  {addr: "2001:db8::1", want: true},
		"the last of IPv6":                          {addr: "3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", want: true},
		"before global unicast":                     {addr: "1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
		"after global unicast":                      {addr: "4000::"},
		"the last address of IPv6":                  {addr: "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
		"unique-local":                              {addr: "fd00::1"},
		"link-local":                                {addr: "fe80::1"},
		"6to4":                                      {addr: "2002:a00:1::1"},
		"NAT64's prefix":                            {addr: "64:ff9b::a00:1"},
		"an address of the provider's own, of IPv6": {addr: "2001:db8:1::1", deny: []string{"2001:db8:1::/48"}},
		"a denied range that holds all of IPv6":     {addr: "2001:db8::1", deny: []string{"::/0"}},
	} {
		t.Run(name, func(t *testing.T) {
			let, counted := in(netip.MustParseAddr(c.addr), c.deny...)
			if let != c.want || counted != c.want {
				t.Errorf("%s: let through %v, counted %v, want %v", c.addr, let, counted, c.want)
			}
		})
	}
}

func TestInsideIsInOrderAndApart(t *testing.T) {
	own, err := outside.Parse([]string{"11.0.0.0/8", "10.96.0.0/16", "8.0.0.0/7", "2001:db8::/32"})
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range outside.Blocks(own) {
		all := b.Inside()
		for i, s := range all {
			if s.Last.Less(s.First) || i > 0 && !all[i-1].Last.Next().Less(s.First) {
				t.Errorf("%v follows %v", s, all[:i])
			}
		}
	}
}

func TestParseRefusesWhatIsNoRange(t *testing.T) {
	for _, cidr := range []string{"", "10.0.0.1", "203.0.113.7/24", "10.0.0.0/33", "fe80::1%eth0/64"} {
		if _, err := outside.Parse([]string{cidr}); !errors.Is(err, outside.ErrPrefix) {
			t.Errorf("%q: %v", cidr, err)
		}
	}
}
