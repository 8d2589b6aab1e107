// SPDX-License-Identifier: Apache-2.0

package checkout

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestNames(t *testing.T) {
	a, b := named("/src/one"), named("/src/two")
	if a.ID == b.ID || a.Veth() == b.Veth() || a.Cgroup() == b.Cgroup() || a.PortBase() == b.PortBase() {
		t.Errorf("two checkouts share a name: %+v %+v", a, b)
	}
	if diff := cmp.Diff(a, named("/src/one")); diff != "" {
		t.Errorf("the same checkout has two names: %s", diff)
	}
	if n := len(a.Veth()); n > 15 {
		t.Errorf("interface name of %d bytes, the kernel takes 15", n)
	}
}

func TestSubnets(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range named("/src/one").Subnets() {
		if !s.Prefix().Contains(s.Node) || !s.Prefix().Contains(s.Host) || s.Host == s.Node {
			t.Errorf("%v is not a link", s)
		}
		seen[s.Prefix().String()] = true
	}
	if len(seen) != 256 {
		t.Errorf("%d different subnets, want 256", len(seen))
	}
}

func TestPortBase(t *testing.T) {
	for _, root := range []string{"/", "/a", "/src/one", "/home/someone/apocryph"} {
		if p := named(root).PortBase(); p < 20000 || p > 30000 || p%10 != 0 {
			t.Errorf("%s: base port %d", root, p)
		}
	}
}
