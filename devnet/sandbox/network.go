// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"time"

	"github.com/vishvananda/netlink"
)

const linkBits = 30

// FreeSubnet returns the first candidate that no interface and no route of the machine overlaps. The default route overlaps nothing.
func FreeSubnet(candidates []netip.Prefix) (int, error) {
	routes, err := netlink.RouteList(nil, netlink.FAMILY_V4)
	if err != nil {
		return 0, fmt.Errorf("reading routes: %w", err)
	}
	var taken []netip.Prefix
	for _, r := range routes {
		if r.Dst == nil {
			continue
		}
		if p, err := netip.ParsePrefix(r.Dst.String()); err == nil && p.Bits() > 8 {
			taken = append(taken, p)
		}
	}
	for i, c := range candidates {
		free := true
		for _, p := range taken {
			free = free && !p.Overlaps(c)
		}
		if free {
			return i, nil
		}
	}
	return 0, errors.New("finding a network for the devnet: all candidates are taken")
}

// FreePorts returns n neighbouring TCP ports of 127.0.0.1 that nobody listens on, starting at base if possible.
func FreePorts(base, n int) (int, error) {
	for ; base+n < 32000; base += n { // above are ports that the kernel hands out
		free := true
		for p := base; p < base+n && free; p++ {
			l, err := net.Listen("tcp", loopback(p)) //nolint:noctx // a numeric address does not wait
			if free = err == nil; free {
				_ = l.Close()
			}
		}
		if free {
			return base, nil
		}
	}
	return 0, errors.New("finding ports for the devnet: all are taken")
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

func address(ip netip.Addr) *netlink.Addr {
	return &netlink.Addr{IPNet: &net.IPNet{IP: ip.AsSlice(), Mask: net.CIDRMask(linkBits, 32)}}
}

// connect makes the link between the machine and the network namespace of process pid.
func connect(s Spec, pid int) error {
	attrs := netlink.NewLinkAttrs()
	attrs.Name = s.Veth
	veth := &netlink.Veth{LinkAttrs: attrs, PeerName: Interface, PeerNamespace: netlink.NsPid(pid)}
	if err := netlink.LinkAdd(veth); err != nil {
		return fmt.Errorf("making interface %s: %w", s.Veth, err)
	}
	if err := netlink.AddrAdd(veth, address(s.HostIP)); err != nil {
		return fmt.Errorf("addressing interface %s: %w", s.Veth, err)
	}
	if err := netlink.LinkSetUp(veth); err != nil {
		return fmt.Errorf("raising interface %s: %w", s.Veth, err)
	}
	return nil
}

// disconnect removes the link, if it is still there.
func disconnect(veth string) error {
	link, err := netlink.LinkByName(veth)
	if errors.As(err, &netlink.LinkNotFoundError{}) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("finding interface %s: %w", veth, err)
	}
	if err := netlink.LinkDel(link); err != nil && !errors.As(err, &netlink.LinkNotFoundError{}) {
		// The kernel may have removed it between the two calls, together with its peer.
		if _, gone := netlink.LinkByName(veth); gone == nil {
			return fmt.Errorf("removing interface %s: %w", veth, err)
		}
	}
	return nil
}

// configureNetwork sets up the inside's end of the link.
func configureNetwork(s Spec) error {
	for _, name := range []string{"lo", Interface} {
		link, err := netlink.LinkByName(name)
		if err != nil {
			return fmt.Errorf("finding interface %s: %w", name, err)
		}
		if name == Interface {
			if err := netlink.AddrAdd(link, address(s.NodeIP)); err != nil {
				return fmt.Errorf("addressing interface %s: %w", name, err)
			}
		}
		if err := netlink.LinkSetUp(link); err != nil {
			return fmt.Errorf("raising interface %s: %w", name, err)
		}
	}
	// Policies are of IPv4 here, and no pod has another address: a link-local one would lead past them to the node's ports.
	for _, name := range []string{"default", Interface} {
		err := os.WriteFile("/proc/sys/net/ipv6/conf/"+name+"/disable_ipv6", []byte("1"), 0)
		if err != nil && !errors.Is(err, fs.ErrNotExist) { // a kernel without IPv6
			return fmt.Errorf("turning IPv6 off: %w", err)
		}
	}
	// Service addresses are translated after routing, so they need a route at first.
	if err := netlink.RouteAdd(&netlink.Route{Gw: s.HostIP.AsSlice()}); err != nil {
		return fmt.Errorf("adding the default route: %w", err)
	}
	for key, value := range map[string]string{
		"ip_forward": "1",
		// When all processes die at once, nobody answers their last packets: the kernel would keep the namespace for two minutes.
		"tcp_orphan_retries": "1",
	} {
		if err := os.WriteFile("/proc/sys/net/ipv4/"+key, []byte(value), 0); err != nil {
			return fmt.Errorf("setting %s: %w", key, err)
		}
	}
	return loadRules(s.Rules)
}

// loadRules gives nftables its first rules.
func loadRules(path string) error {
	if path == "" {
		return nil
	}
	if out, err := exec.Command("nft", "-f", path).CombinedOutput(); err != nil { //nolint:noctx // nothing to cancel it yet
		return fmt.Errorf("loading %s: %w: %s", path, err, out)
	}
	return nil
}

// forward serves a port of the machine's loopback until the listener closes.
func forward(l net.Listener, target string, log *slog.Logger) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			if err := pipe(conn, target); err != nil {
				log.Debug("forwarding ended", "target", target, "err", err)
			}
		}()
	}
}

func pipe(in net.Conn, target string) error {
	defer func() { _ = in.Close() }()
	out, err := net.DialTimeout("tcp", target, 5*time.Second) //nolint:noctx // bounded by its timeout
	if err != nil {
		return err
	}
	defer func() { _ = out.Close() }()

	done := make(chan error, 1)
	go func() {
		_, err := io.Copy(out, in)
		_ = out.(*net.TCPConn).CloseWrite()
		done <- err
	}()
	_, err = io.Copy(in, out)
	_ = in.(*net.TCPConn).CloseWrite()
	return errors.Join(err, <-done)
}
