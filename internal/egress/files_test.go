// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"encoding/binary"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
)

const appID = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

// result is what libcni keeps of a network.
func result(box, namespace, uid, addr string, ends ...string) string {
	var interfaces []string
	for _, end := range ends {
		interfaces = append(interfaces, fmt.Sprintf(`{"mac":"8e:e9:84:ee:2b:be","name":%q}`, end))
	}
	interfaces = append(interfaces, `{"mac":"be:36:6f:bd:ab:1f","name":"eth0","sandbox":"/var/run/netns/cni-1"}`)
	return fmt.Sprintf(`{"kind":"cniCacheV1","containerId":%q,"config":"e30=","ifName":"eth0","networkName":"pods","netns":"/var/run/netns/cni-1",
		"cniArgs":[["IgnoreUnknown","1"],["K8S_POD_NAMESPACE",%q],["K8S_POD_NAME","web-1"],["K8S_POD_INFRA_CONTAINER_ID",%q],["K8S_POD_UID",%q]],
		"capabilityArgs":{"dns":{"Servers":["10.96.0.10"]}},
		"result":{"cniVersion":"1.0.0","interfaces":[%s],"ips":[{"address":"%s/24","gateway":"10.244.0.1","interface":1}],"routes":[{"dst":"0.0.0.0/0"}]}}`,
		box, namespace, box, uid, strings.Join(interfaces, ","), addr)
}

func TestParse(t *testing.T) {
	whole := result("box-1", "app-"+appID, "uid-1", "10.244.0.8", "veth7cea596d")
	for name, c := range map[string]struct {
		file string
		want *attachment
		err  bool
	}{
		"what an app's pod has": {
			file: whole,
			want: &attachment{box: "box-1", app: appID, uid: "uid-1", ends: []string{"veth7cea596d"}, addresses: []netip.Addr{netip.MustParseAddr("10.244.0.8")}},
		},
		"a plugin that names nothing outside of the pod": {
			file: result("box-1", "app-"+appID, "uid-1", "10.244.0.8"),
			want: &attachment{box: "box-1", app: appID, uid: "uid-1", addresses: []netip.Addr{netip.MustParseAddr("10.244.0.8")}},
		},
		"loopback": {
			file: result("box-1", "app-"+appID, "uid-1", "127.0.0.1"),
			want: &attachment{box: "box-1", app: appID, uid: "uid-1"},
		},
		"a pod of somebody else's":            {file: result("box-1", "kube-system", "uid-1", "10.244.0.8", "veth1")},
		"a namespace that is no app's":        {file: result("box-1", "app-shop", "uid-1", "10.244.0.8", "veth1")},
		"a file that is being written":        {file: whole[:len(whole)/2], err: true},
		"an empty file":                       {file: "", err: true},
		"a result of another kind":            {file: strings.Replace(whole, "cniCacheV1", "cniCacheV9", 1), err: true},
		"a sandbox without an id":             {file: strings.Replace(whole, `"containerId":"box-1"`, `"containerId":""`, 1), err: true},
		"a sandbox whose id is not one word":  {file: result("box 1", "app-"+appID, "uid-1", "10.244.0.8", "veth1"), err: true},
		"a sandbox whose id is too long":      {file: result(strings.Repeat("f", 129), "app-"+appID, "uid-1", "10.244.0.8", "veth1"), err: true},
		"a pod whose id is not one word":      {file: result("box-1", "app-"+appID, "uid 1", "10.244.0.8", "veth1"), err: true},
		"an address that is none is left out": {file: result("box-1", "app-"+appID, "uid-1", "nowhere"), want: &attachment{box: "box-1", app: appID, uid: "uid-1"}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := parse([]byte(c.file))
			if (err != nil) != c.err || !reflect.DeepEqual(got, c.want) {
				t.Errorf("got %+v, %v, want %+v", got, err, c.want)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(result("box-1", "app-"+appID, "uid-1", "10.244.0.8", "veth7cea596d")))
	f.Add([]byte(`{"kind":"cniCacheV1","containerId":"x","cniArgs":[["K8S_POD_NAMESPACE"]]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := parse(b)
		if a == nil || err != nil {
			return
		}
		// Whatever it is, the kernel gives back what it was told.
		counted := tally{app: a.app, uid: a.uid, box: a.box, base: 7, guess: true}
		again, ok := readElement(nftables.SetElement{Key: key("veth1"), Comment: counted.comment(), Counter: &expr.Counter{Bytes: 5}})
		counted.link, counted.bytes = "veth1", 5
		if !ok || again != counted {
			t.Errorf("%+v became %+v, %v", counted, again, ok)
		}
		if len(counted.comment()) > maxComment {
			t.Errorf("a comment of %d bytes", len(counted.comment()))
		}
	})
}

func TestAFileIsReadOnceItIsWhole(t *testing.T) {
	dir := t.TempDir()
	whole := result("box-1", "app-"+appID, "uid-1", "10.244.0.8", "veth1")
	path := filepath.Join(dir, "pods-box-1-eth0")
	write := func(content string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	f := newFiles(dir)
	read := func() int {
		t.Helper()
		all, err := f.read()
		if err != nil {
			t.Fatal(err)
		}
		return len(all)
	}
	write(whole[:100])
	if n := read(); n != 0 {
		t.Errorf("%d of half a file", n)
	}
	write(whole)
	if n := read(); n != 1 {
		t.Errorf("%d of a whole file", n)
	}
	write("lost its content in a crash")
	if n := read(); n != 1 {
		t.Errorf("%d of a file that was whole once", n)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if n := read(); n != 0 || len(f.seen) != 0 {
		t.Errorf("%d of a file that is gone, %v kept", n, f.seen)
	}
}

func TestLinks(t *testing.T) {
	addr := netip.MustParseAddr("10.244.0.8")
	for name, c := range map[string]struct {
		there machine
		all   []attachment
		want  map[string][]string
		bare  int
	}{
		"the link that the plugin named": {
			there: machine{routed: map[string]bool{"veth1": true}},
			all:   []attachment{{box: "a", ends: []string{"veth1"}}},
			want:  map[string][]string{"a": {"veth1"}},
		},
		"a link that does not exist": {
			there: machine{routed: map[string]bool{}},
			all:   []attachment{{box: "a", ends: []string{"veth1"}, addresses: []netip.Addr{addr}}},
			bare:  1,
		},
		"a port of a bridge": {
			there: machine{routed: map[string]bool{"cni0": false, "veth1": false}},
			all:   []attachment{{box: "a", ends: []string{"cni0", "veth1"}, addresses: []netip.Addr{addr}}},
			bare:  1,
		},
		"a link that two say is theirs": {
			there: machine{routed: map[string]bool{"shared": true, "veth1": true}},
			all:   []attachment{{box: "a", ends: []string{"shared", "veth1"}}, {box: "b", ends: []string{"shared"}, addresses: []netip.Addr{addr}}},
			want:  map[string][]string{"a": {"veth1"}},
			bare:  1,
		},
		"the link to which the address is routed, where none is named": {
			there: machine{routed: map[string]bool{"cali1": true}, hosts: map[netip.Addr]string{addr: "cali1"}},
			all:   []attachment{{box: "a", addresses: []netip.Addr{addr}}},
			want:  map[string][]string{"a": {"cali1"}},
		},
		"several networks of one sandbox": {
			there: machine{routed: map[string]bool{"veth1": true, "net1": true}},
			all:   []attachment{{box: "a", ends: []string{"veth1"}}, {box: "a"}, {box: "a", ends: []string{"net1"}}},
			want:  map[string][]string{"a": {"veth1", "net1"}},
		},
		"loopback alone is nothing to miss": {
			all: []attachment{{box: "a"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			boxes, bare := c.there.links(c.all)
			got := map[string][]string{}
			for _, b := range boxes {
				got[b.id] = b.links
			}
			if len(got) != len(c.want) || bare != c.bare {
				t.Errorf("got %v and %d without, want %v and %d", got, bare, c.want, c.bare)
			}
			for id, want := range c.want {
				if !slices.Equal(got[id], want) {
					t.Errorf("%s has %v, want %v", id, got[id], want)
				}
			}
		})
	}
}

func TestRoutesToSingleAddresses(t *testing.T) {
	hosts := map[netip.Addr]string{}
	order := binary.NativeEndian.Uint32([]byte{10, 244, 0, 8})
	readRoutes("Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"+
		"eth0\t00000000\t015FD50A\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"+
		fmt.Sprintf("veth1\t%08X\t00000000\t0005\t0\t0\t0\tFFFFFFFF\t0\t0\t0\n", order)+
		"veth2\tnothing\t00000000\t0005\t0\t0\t0\tFFFFFFFF\t0\t0\t0\n", hostRoute, hosts)
	readRoutes("20010db8000000000000000000000008 80 00000000000000000000000000000000 00 00000000000000000000000000000000 00000400 00000001 00000000 00000001    veth1\n"+
		"20010db8000000000000000000000000 40 00000000000000000000000000000000 00 00000000000000000000000000000000 00000400 00000001 00000000 00000001     eth0\n"+
		"00000000000000000000000000000001 80 00000000000000000000000000000000 00 00000000000000000000000000000000 00000000 00000002 00000000 80200001       lo\n", hostRoute6, hosts)
	want := map[netip.Addr]string{netip.MustParseAddr("10.244.0.8"): "veth1", netip.MustParseAddr("2001:db8::8"): "veth1"}
	if !maps.Equal(hosts, want) {
		t.Errorf("got %v, want %v", hosts, want)
	}
}

func TestAFileThatIsTooLongIsNotRead(t *testing.T) {
	dir := t.TempDir()
	for pad, want := range map[int]int{0: 1, maxFile: 0} {
		whole := result("box-1", "app-"+appID, "uid-1", "10.244.0.8", "veth1")
		if err := os.WriteFile(filepath.Join(dir, "pods"), []byte(strings.Replace(whole, "e30=", strings.Repeat("A", pad), 1)), 0o600); err != nil {
			t.Fatal(err)
		}
		if all, err := newFiles(dir).read(); err != nil || len(all) != want {
			t.Errorf("%d bytes more: %v, %v", pad, all, err)
		}
	}
}
