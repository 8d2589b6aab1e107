// SPDX-License-Identifier: Apache-2.0

package notify

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/apocryph/apocryph/internal/outside"
)

func prefixes(t *testing.T, all ...string) []netip.Prefix {
	t.Helper()
	out, err := outside.Parse(all)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestWhatIsDialled(t *testing.T) {
	plain := guard{ports: []uint16{443}}
	own := guard{ports: []uint16{443, 8443}, allow: prefixes(t, "10.20.0.0/16", "fd00:20::/32"), deny: prefixes(t, "93.184.0.0/16", "2606:2800::/32")}
	for name, c := range map[string]struct {
		guard   guard
		address string
		want    bool
	}{
		"a public address":                             {plain, "93.184.215.14:443", true},
		"a public address of IPv6":                     {plain, "[2606:2800:21f:cb07::1]:443", true},
		"a public address in IPv6's form":              {plain, "[::ffff:93.184.215.14]:443", true},
		"another port":                                 {plain, "93.184.215.14:80", false},
		"port 6443, an API server's":                   {plain, "93.184.215.14:6443", false},
		"loopback":                                     {plain, "127.0.0.1:443", false},
		"all of loopback":                              {plain, "127.8.9.1:443", false},
		"loopback in IPv6":                             {plain, "[::1]:443", false},
		"loopback in IPv6's form":                      {plain, "[::ffff:127.0.0.1]:443", false},
		"this machine, whatever its address":           {plain, "0.0.0.0:443", false},
		"this network":                                 {plain, "0.1.2.3:443", false},
		"the same in IPv6":                             {plain, "[::]:443", false},
		"private, 10/8":                                {plain, "10.0.0.1:443", false},
		"private, 172.16/12":                           {plain, "172.31.255.254:443", false},
		"private, 192.168/16":                          {plain, "192.168.1.1:443", false},
		"private in IPv6's form":                       {plain, "[::ffff:10.0.0.1]:443", false},
		"private in IPv6's old form":                   {plain, "[::10.0.0.1]:443", false},
		"unique local":                                 {plain, "[fd12:3456::1]:443", false},
		"site local, of old":                           {plain, "[fec0::1]:443", false},
		"carrier-grade NAT":                            {plain, "100.64.0.1:443", false},
		"the end of carrier-grade NAT":                 {plain, "100.127.255.255:443", false},
		"after carrier-grade NAT":                      {plain, "100.128.0.1:443", true},
		"link-local":                                   {plain, "169.254.1.1:443", false},
		"a cloud's metadata service":                   {plain, "169.254.169.254:443", false},
		"another cloud's, by carrier-grade NAT":        {plain, "100.100.100.200:443", false},
		"a cloud's metadata service in IPv6":           {plain, "[fd00:ec2::254]:443", false},
		"link-local in IPv6":                           {plain, "[fe80::1]:443", false},
		"link-local in IPv6, with a device":            {plain, "[fe80::1%eth0]:443", false},
		"multicast":                                    {plain, "224.0.0.1:443", false},
		"multicast in IPv6":                            {plain, "[ff02::1]:443", false},
		"broadcast":                                    {plain, "255.255.255.255:443", false},
		"reserved":                                     {plain, "240.0.0.1:443", false},
		"protocols' own":                               {plain, "192.0.0.8:443", false},
		"benchmarks":                                   {plain, "198.18.0.1:443", false},
		"documentation 1":                              {plain, "192.0.2.1:443", false},
		"documentation 2":                              {plain, "198.51.100.1:443", false},
		"documentation 3":                              {plain, "203.0.113.1:443", false},
		"documentation in IPv6":                        {plain, "[2001:db8::1]:443", false},
		"more documentation in IPv6":                   {plain, "[3fff::1]:443", false},
		"a relay of 6to4":                              {plain, "192.88.99.1:443", false},
		"6to4 of a private address":                    {plain, "[2002:a00:1::1]:443", false},
		"6to4 of a public address":                     {plain, "[2002:5db8:d70e::1]:443", false},
		"NAT64 of a private address":                   {plain, "[64:ff9b::a00:1]:443", false},
		"NAT64 of a public address":                    {plain, "[64:ff9b::5db8:d70e]:443", false},
		"local NAT64":                                  {plain, "[64:ff9b:1::1]:443", false},
		"Teredo":                                       {plain, "[2001:0:5db8:d70e::1]:443", false},
		"ORCHID":                                       {plain, "[2001:20::1]:443", false},
		"discard only":                                 {plain, "[100::1]:443", false},
		"segment routing":                              {plain, "[5f00::1]:443", false},
		"a name instead of an address":                 {plain, "example.com:443", false},
		"nothing":                                      {plain, "", false},
		"what the provider allows":                     {own, "10.20.3.4:443", true},
		"the same in IPv6's form":                      {own, "[::ffff:10.20.3.4]:443", true},
		"the same at another port that it allows":      {own, "10.20.3.4:8443", true},
		"the same at a port that it does not":          {own, "10.20.3.4:80", false},
		"beside what the provider allows":              {own, "10.21.0.1:443", false},
		"what the provider allows of IPv6":             {own, "[fd00:20::1]:443", true},
		"the cluster's own, public as it is":           {own, "93.184.215.14:443", false},
		"the cluster's own, public as it is, of IPv6":  {own, "[2606:2800::1]:443", false},
		"the cluster's own, public, in IPv6's form":    {own, "[::ffff:93.184.215.14]:443", false},
		"nothing is allowed that a machine is part of": {plain, "[::ffff:0.0.0.0]:443", false},
	} {
		t.Run(name, func(t *testing.T) {
			network := "tcp4"
			if a, err := netip.ParseAddrPort(c.address); err == nil && a.Addr().Is6() {
				network = "tcp6"
			}
			err := c.guard.control(t.Context(), network, c.address, nil)
			if got := err == nil; got != c.want || err != nil && !errors.Is(err, errForbidden) {
				t.Errorf("%s: %v, want %t", c.address, err, c.want)
			}
		})
	}
	if err := plain.control(t.Context(), "unix", "/run/some.sock", nil); err == nil {
		t.Error("it dials files")
	}
}

// A name is looked at after it was resolved: one that means this machine leads nowhere.
func TestNamesAreLookedAtWhenTheyAreDialled(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	port := l.Addr().(*net.TCPAddr).AddrPort().Port()
	dial := func(g guard) error {
		conn, err := g.dialer().DialContext(t.Context(), "tcp", l.Addr().String())
		if err == nil {
			_ = conn.Close()
		}
		return err
	}
	if err := dial(guard{ports: []uint16{port}}); !errors.Is(err, errForbidden) {
		t.Errorf("it was dialled: %v", err)
	}
	if err := dial(guard{ports: []uint16{port}, allow: prefixes(t, "127.0.0.0/8")}); err != nil {
		t.Errorf("control: %v", err)
	}
	g := guard{ports: []uint16{port}}
	_, err = g.dialer().DialContext(t.Context(), "tcp", net.JoinHostPort("localhost", strconv.Itoa(int(port))))
	if !errors.Is(err, errForbidden) {
		t.Errorf("a name that means this machine was dialled: %v", err)
	}
}

// The chart's policy lets through what is public, as internal/outside has it.
func TestThePolicyIsTheSameList(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "deploy", "chart", "templates", "network.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range regexp.MustCompile(`(?m)^ +(?:- |cidr: )([0-9a-f.:]+/\d+)$`).FindAllStringSubmatch(string(text), -1) {
		got = append(got, m[1])
	}
	var want []string
	for _, b := range outside.Blocks(nil) {
		want = append(want, b.Whole.String())
		for _, p := range b.Except {
			want = append(want, p.String())
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the chart's policy (-want +got):\n%s", diff)
	}
}
