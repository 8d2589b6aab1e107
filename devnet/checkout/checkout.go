// SPDX-License-Identifier: Apache-2.0

// Package checkout names everything on a machine that belongs to the devnet of one checkout of the source: folders, interfaces,
// addresses, ports, cgroups. All names come from one prefix, the checkout's id, so that the devnets of two checkouts never meet.
package checkout

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
)

// Checkout is one copy of the source on this machine.
type Checkout struct {
	// Root is the absolute path of the folder that holds the main go.mod, without symbolic links.
	Root string
	// ID is six hexadecimal digits that depend on Root alone.
	ID string
}

// At returns the checkout at root.
func At(root string) (Checkout, error) {
	abs, err := filepath.Abs(root)
	if err != nil {
		return Checkout{}, fmt.Errorf("finding the checkout: %w", err)
	}
	abs, err = filepath.EvalSymlinks(abs)
	if err != nil {
		return Checkout{}, fmt.Errorf("finding the checkout: %w", err)
	}
	return named(abs), nil
}

// Find returns the checkout that the current folder is in.
func Find() (Checkout, error) {
	dir, err := os.Getwd()
	if err != nil {
		return Checkout{}, fmt.Errorf("finding the checkout: %w", err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "devnet", "go.mod")); err == nil {
			return At(dir)
		}
		if dir == filepath.Dir(dir) {
			return Checkout{}, fmt.Errorf("finding the checkout: no devnet/go.mod in this folder or above")
		}
		dir = filepath.Dir(dir)
	}
}

func named(root string) Checkout {
	sum := sha256.Sum256([]byte(root))
	return Checkout{Root: root, ID: hex.EncodeToString(sum[:3])}
}

// hash spreads checkouts over small ranges.
func (c Checkout) hash() uint32 {
	sum := sha256.Sum256([]byte(c.Root))
	return binary.BigEndian.Uint32(sum[3:7])
}

// Bin is where built programs lie.
func (c Checkout) Bin() string { return filepath.Join(c.Root, "build", "bin") }

// Images is the OCI image layout with the images of apps.
func (c Checkout) Images() string { return filepath.Join(c.Root, "build", "images") }

// SystemImages is the OCI image layout with what runs in the devnet from the start.
func (c Checkout) SystemImages() string { return filepath.Join(c.Root, "build", "images-system") }

// State is where everything lies that ends with the devnet, but for its logs.
func (c Checkout) State() string { return filepath.Join(c.Root, "build", "devnet") }

// Logs is where the devnet's parts write. It is emptied when a devnet starts, not when it ends.
func (c Checkout) Logs() string { return filepath.Join(c.State(), "log") }

// Cgroup is the cgroup below which all processes of the devnet run, from the root of each hierarchy.
func (c Checkout) Cgroup() string { return "/apocryph-" + c.ID }

// Veth is the name of the interface on the machine's side.
func (c Checkout) Veth() string { return "apo" + c.ID }

// Subnets are the candidates for the link between the machine and the devnet, in the order to try them.
func (c Checkout) Subnets() []Subnet {
	first := c.hash() % 256
	out := make([]Subnet, 0, 256)
	for i := range uint32(256) {
		n := byte((first + i) % 256)
		out = append(out, Subnet{Host: netip.AddrFrom4([4]byte{10, 213, n, 1}), Node: netip.AddrFrom4([4]byte{10, 213, n, 2})})
	}
	return out
}

// Subnet is a link of two addresses.
type Subnet struct {
	Host netip.Addr // the machine's side
	Node netip.Addr // the devnet's side, the address of its Kubernetes node
}

// Prefix is the link's network.
func (s Subnet) Prefix() netip.Prefix { return netip.PrefixFrom(s.Host, 30).Masked() }

// PortBase is the first of the loopback ports that the devnet would like to have on the machine.
func (c Checkout) PortBase() int { return 20000 + int(c.hash()>>8%1000)*10 }
