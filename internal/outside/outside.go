// SPDX-License-Identifier: Apache-2.0

// Package outside says which addresses lie outside of a cluster: those that apps may reach, and to which what they send is counted.
//
// The two are one list, so that nothing is let through that is not counted, and nothing counted that is not let through. It is what is
// public of either family, less what a provider takes out because it is the cluster's own.
package outside

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
)

// ErrPrefix says that a range of addresses is none.
var ErrPrefix = errors.New("not a range of addresses")

// Block is a range of addresses without some smaller ones.
type Block struct {
	Whole  netip.Prefix
	Except []netip.Prefix
}

// Contains reports whether an address is in the block. An IPv4 address in IPv6's form is in none.
func (b Block) Contains(a netip.Addr) bool {
	return b.Whole.Contains(a) && !slices.ContainsFunc(b.Except, func(p netip.Prefix) bool { return p.Contains(a) })
}

// Span is a range of addresses of one family, both ends in it.
type Span struct{ First, Last netip.Addr }

// Parse reads CIDRs without host bits, or returns ErrPrefix.
func Parse(cidrs []string) ([]netip.Prefix, error) {
	var all []netip.Prefix
	for _, cidr := range cidrs {
		p, err := netip.ParsePrefix(cidr)
		if err != nil || p != p.Masked() {
			return nil, fmt.Errorf("%q: %w", cidr, ErrPrefix)
		}
		all = append(all, p)
	}
	return all, nil
}

// Blocks are the public addresses of IPv4 and of IPv6, in this order, without those of deny: not the provider's network, its machines'
// metadata services, or carrier-grade NAT's inside. Of what deny holds as a whole there is no block.
func Blocks(deny []netip.Prefix) []Block {
	blocks := []Block{
		{Whole: netip.MustParsePrefix("0.0.0.0/0"), Except: prefixes(
			"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
			"192.168.0.0/16", "198.18.0.0/15", "224.0.0.0/4", "240.0.0.0/4",
		)},
		// Global unicast only, which leaves out unique-local, link-local, multicast and IPv4-mapped addresses and NAT64's prefix;
		// 6to4 carries any IPv4 address, private ones too.
		{Whole: netip.MustParsePrefix("2000::/3"), Except: prefixes("2002::/16")},
	}
	for _, p := range deny {
		blocks = slices.DeleteFunc(blocks, func(b Block) bool { return p.Contains(b.Whole.Addr()) && p.Bits() <= b.Whole.Bits() })
		for i, b := range blocks {
			if b.Whole.Contains(p.Addr()) && p.Bits() > b.Whole.Bits() {
				blocks[i].Except = append(blocks[i].Except, p)
			}
		}
	}
	return blocks
}

// Public reports whether an address is in one of Blocks, with nothing denied.
func Public(a netip.Addr) bool {
	return slices.ContainsFunc(Blocks(nil), func(b Block) bool { return b.Contains(a) })
}

func prefixes(all ...string) []netip.Prefix {
	var out []netip.Prefix
	for _, p := range all {
		out = append(out, netip.MustParsePrefix(p))
	}
	return out
}

// Inside are the addresses of the block's family that are not in it, in order, without overlaps and with a gap between each two.
func (b Block) Inside() []Span {
	all := slices.Clone(b.Except)
	spans := make([]Span, 0, len(all)+2) //nolint:mnd // what is before the block and after it
	for _, p := range all {
		spans = append(spans, span(p))
	}
	whole, family := span(b.Whole), span(netip.PrefixFrom(b.Whole.Addr(), 0).Masked())
	if whole.First != family.First {
		spans = append(spans, Span{family.First, whole.First.Prev()})
	}
	if whole.Last != family.Last {
		spans = append(spans, Span{whole.Last.Next(), family.Last})
	}
	slices.SortFunc(spans, func(a, b Span) int { return a.First.Compare(b.First) })
	var merged []Span
	for _, s := range spans {
		// After the last address of a family comes none, which is before all others.
		if n := len(merged); n > 0 && (!merged[n-1].Last.Next().IsValid() || s.First.Compare(merged[n-1].Last.Next()) <= 0) {
			if s.Last.Compare(merged[n-1].Last) > 0 {
				merged[n-1].Last = s.Last
			}
			continue
		}
		merged = append(merged, s)
	}
	return merged
}

func span(p netip.Prefix) Span {
	last := p.Addr().AsSlice()
	for bit := p.Bits(); bit < len(last)*8; bit++ {
		last[bit/8] |= 0x80 >> (bit % 8)
	}
	end, _ := netip.AddrFromSlice(last)
	return Span{p.Addr(), end}
}
