// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/google/nftables/userdata"
	"golang.org/x/sys/unix"

	"github.com/apocryph/apocryph/internal/outside"
)

const (
	// Table is the name of the table, of the family inet.
	Table = "apocryph_egress"

	setName   = "pods"
	chainName = "forward"
	// batch bounds the elements of one message, whose length has 16 bits.
	batch = 64
	// maxComment is what the kernel keeps of what is said of an element, in one value.
	maxComment = 254
)

// table is the agent's part of the kernel's packet filter:
//
//	table inet apocryph_egress {
//		set pods { type ifname; counter; elements = { "veth…" counter packets 7 bytes 4200 comment "app pod sandbox base" } }
//		set inside4 { type ipv4_addr; flags interval; elements = … }
//		set inside6 { type ipv6_addr; flags interval; elements = … }
//		chain forward {
//			type filter hook forward priority 2147483647
//			meta nfproto ipv4 ip daddr @inside4 accept
//			meta nfproto ipv6 ip6 daddr @inside6 accept
//			iifname @pods
//		}
//	}
//
// The last priority there is: what another chain drops never comes here, whatever came first of policies and agent. Accepting at the end lets
// nothing through that would not be. What a pod sends to its own machine is not forwarded, and so not counted; what a Service's address
// stands for has been put in its place before.
type table struct {
	blocks []outside.Block
	// mark is on the last rule, and says for which addresses the chain was made.
	mark string
	// namespace is a file descriptor of the network namespace, 0 for this process's own.
	namespace int
}

func newTable(own []netip.Prefix) *table {
	t := &table{blocks: outside.Blocks(own)}
	sum := sha256.Sum256(fmt.Append(nil, t.blocks))
	t.mark = "apocryph egress 1 " + hex.EncodeToString(sum[:8])
	return t
}

func (t *table) connect() (*nftables.Conn, error) {
	if t.namespace != 0 {
		return nftables.New(nftables.WithNetNSFd(t.namespace))
	}
	return nftables.New()
}

func object() *nftables.Table { return &nftables.Table{Name: Table, Family: nftables.TableFamilyINet} }

func pods(of *nftables.Table) *nftables.Set {
	return &nftables.Set{Table: of, Name: setName, KeyType: nftables.TypeIFName, Counter: true}
}

func chain(of *nftables.Table) *nftables.Chain {
	last := nftables.ChainPriority(math.MaxInt32)
	accept := nftables.ChainPolicyAccept
	return &nftables.Chain{
		Table: of, Name: chainName, Type: nftables.ChainTypeFilter, Hooknum: nftables.ChainHookForward, Priority: &last, Policy: &accept,
	}
}

// read implements kernel.
func (t *table) read() ([]tally, bool, error) {
	c, err := t.connect()
	if err != nil {
		return nil, false, err
	}
	tables, err := c.ListTablesOfFamily(nftables.TableFamilyINet)
	if err != nil {
		return nil, false, fmt.Errorf("listing tables: %w", err)
	}
	if !slices.ContainsFunc(tables, func(t *nftables.Table) bool { return t.Name == Table }) {
		return nil, false, nil
	}
	sets, err := c.GetSets(object())
	if err != nil {
		return nil, false, fmt.Errorf("listing sets: %w", err)
	}
	if !slices.ContainsFunc(sets, func(s *nftables.Set) bool { return s.Name == setName }) {
		return nil, false, nil
	}
	elements, err := c.GetSetElements(pods(object()))
	if err != nil {
		return nil, false, fmt.Errorf("listing elements: %w", err)
	}
	var all []tally
	for _, e := range elements {
		if counted, ok := readElement(e); ok {
			all = append(all, counted)
		}
	}
	whole, err := t.whole(c)
	return all, whole, err
}

// whole reports whether the chain has the rules that this agent would give it.
func (t *table) whole(c *nftables.Conn) (bool, error) {
	chains, err := c.ListChainsOfTableFamily(nftables.TableFamilyINet)
	if err != nil {
		return false, fmt.Errorf("listing chains: %w", err)
	}
	if !slices.ContainsFunc(chains, func(c *nftables.Chain) bool { return c.Table.Name == Table && c.Name == chainName }) {
		return false, nil
	}
	rules, err := c.GetRules(object(), chain(object()))
	if err != nil {
		return false, fmt.Errorf("listing rules: %w", err)
	}
	const each = 3
	if len(rules) != each {
		return false, nil
	}
	mark, _ := userdata.GetString(rules[each-1].UserData, userdata.TypeComment)
	return mark == t.mark, nil
}

// build implements kernel.
func (t *table) build() error {
	c, err := t.connect()
	if err != nil {
		return err
	}
	of := object()
	c.AddTable(of)
	if err := c.AddSet(pods(of), nil); err != nil {
		return err
	}
	c.FlushChain(c.AddChain(chain(of)))
	if err := c.Flush(); err != nil {
		return err
	}
	if err := t.clear(c, of); err != nil {
		return err
	}
	for _, family := range []struct {
		of             byte
		name           string
		key            nftables.SetDatatype
		offset, length uint32
	}{
		{unix.NFPROTO_IPV4, "inside4", nftables.TypeIPAddr, 16, 4},
		{unix.NFPROTO_IPV6, "inside6", nftables.TypeIP6Addr, 24, 16},
	} {
		set := &nftables.Set{Table: of, Name: family.name, KeyType: family.key, Interval: true}
		if err := c.AddSet(set, nil); err != nil {
			return err
		}
		for some := range slices.Chunk(t.inside(family.of), batch) {
			if err := c.SetAddElements(set, some); err != nil {
				return err
			}
		}
		c.AddRule(&nftables.Rule{Table: of, Chain: chain(of), Exprs: []expr.Any{
			&expr.Meta{Key: expr.MetaKeyNFPROTO, Register: 1},
			&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{family.of}},
			&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: family.offset, Len: family.length},
			&expr.Lookup{SourceRegister: 1, SetName: set.Name, SetID: set.ID},
			&expr.Verdict{Kind: expr.VerdictAccept},
		}})
	}
	c.AddRule(&nftables.Rule{
		Table: of, Chain: chain(of), UserData: userdata.AppendString(nil, userdata.TypeComment, t.mark), Exprs: []expr.Any{
			&expr.Meta{Key: expr.MetaKeyIIFNAME, Register: 1},
			&expr.Lookup{SourceRegister: 1, SetName: setName},
		},
	})
	return c.Flush()
}

// clear removes sets of addresses that an earlier chain used.
func (t *table) clear(c *nftables.Conn, of *nftables.Table) error {
	sets, err := c.GetSets(of)
	if err != nil {
		return err
	}
	for _, s := range sets {
		if s.Name != setName {
			c.DelSet(s)
		}
	}
	return c.Flush()
}

// inside are the elements of a family's set: begin and end of each range, the end not in it.
func (t *table) inside(family byte) []nftables.SetElement {
	first := map[byte]netip.Addr{unix.NFPROTO_IPV4: netip.IPv4Unspecified(), unix.NFPROTO_IPV6: netip.IPv6Unspecified()}[family]
	spans := []outside.Span{{First: first}} // all of it, where nothing is outside
	for _, b := range t.blocks {
		if b.Whole.Addr().Is4() == first.Is4() {
			spans = b.Inside()
		}
	}
	var all []nftables.SetElement
	for _, s := range spans {
		all = append(all, nftables.SetElement{Key: s.First.AsSlice()})
		if end := s.Last.Next(); end.IsValid() {
			all = append(all, nftables.SetElement{Key: end.AsSlice(), IntervalEnd: true})
		}
	}
	return all
}

// change implements kernel.
func (t *table) change(drop, put []tally) error {
	c, err := t.connect()
	if err != nil {
		return err
	}
	set := pods(object())
	for some := range slices.Chunk(drop, batch) {
		var all []nftables.SetElement
		for _, d := range some {
			all = append(all, nftables.SetElement{Key: key(d.link)})
		}
		if err := c.SetDeleteElements(set, all); err != nil {
			return err
		}
	}
	for some := range slices.Chunk(put, batch) {
		var all []nftables.SetElement
		for _, p := range some {
			all = append(all, nftables.SetElement{Key: key(p.link), Comment: p.comment()})
		}
		if err := c.SetAddElements(set, all); err != nil {
			return err
		}
	}
	return c.Flush()
}

// remove implements kernel.
func (t *table) remove() error {
	c, err := t.connect()
	if err != nil {
		return err
	}
	tables, err := c.ListTablesOfFamily(nftables.TableFamilyINet)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(tables, func(t *nftables.Table) bool { return t.Name == Table }) {
		return nil
	}
	c.DelTable(object())
	return c.Flush()
}

// key is a link's name as the kernel compares it.
func key(link string) []byte {
	b := make([]byte, unix.IFNAMSIZ)
	copy(b[:unix.IFNAMSIZ-1], link)
	return b
}

// comment is what a counter says of itself: app, pod, sandbox, base, and whether that is a guess.
func (t tally) comment() string {
	words := []string{t.app, t.uid, t.box, strconv.FormatInt(t.base, 10)}
	if t.guess {
		words = append(words, "guess")
	}
	return strings.Join(words, " ")
}

// readElement reads a counter; ok is false for one that no agent made.
func readElement(e nftables.SetElement) (t tally, ok bool) {
	const least, most = 4, 5
	words := strings.Fields(e.Comment)
	if len(words) < least || len(words) > most || e.Counter == nil {
		return tally{}, false
	}
	base, err := strconv.ParseInt(words[3], 10, 64)
	if err != nil || base < 0 || e.Counter.Bytes > math.MaxInt64/2 {
		return tally{}, false
	}
	link, _, _ := strings.Cut(string(e.Key), "\x00")
	return tally{
		link: link, app: words[0], uid: words[1], box: words[2], base: base, guess: len(words) == most, bytes: int64(e.Counter.Bytes),
	}, true
}
