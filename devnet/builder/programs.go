// SPDX-License-Identifier: Apache-2.0

// Package builder builds the devnet's programs from source at pinned versions, and packs some of them into images.
package builder

import "strings"

// kubernetes is the version that the programs of the cluster module say they are. Clients refuse the placeholder they have else.
const kubernetes = "v1.36.4"

// Program is something to build.
type Program struct {
	// Name is its file's name.
	Name string
	// Dir is the folder of its module, from the checkout's root.
	Dir string
	// Package is what to build in that module.
	Package string
	// Tags are build tags.
	Tags string
	// LinkFlags are added to the linker's.
	LinkFlags string
	// C says that it needs the C compiler.
	C bool
	// Pinned says that all of its source lies in Dir or comes from the module proxy, so that it only changes when Dir does.
	Pinned bool
}

// Machine lists what the node runs, the one that takes longest first.
func Machine() []Program {
	const tools = "devnet/tools/"
	programs := []Program{
		{Name: "cluster", Dir: "devnet/cluster", Package: ".", LinkFlags: versionFlags(), Pinned: true},
		{Name: "containerd", Dir: tools + "containerd", Package: "github.com/containerd/containerd/v2/cmd/containerd", Pinned: true},
		{Name: "containerd-shim-runc-v2", Dir: tools + "containerd", Package: "github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2", Pinned: true},
		{Name: "ctr", Dir: tools + "containerd", Package: "github.com/containerd/containerd/v2/cmd/ctr", Pinned: true},
		{Name: "runc", Dir: tools + "runc", Package: "github.com/opencontainers/runc", Tags: "seccomp", C: true, Pinned: true},
		{Name: "kube-router", Dir: tools + "kube-router", Package: ".", Pinned: true},
		{Name: "coredns", Dir: tools + "coredns", Package: ".", Pinned: true},
	}
	for _, plugin := range []string{"ipam/host-local", "main/loopback", "main/ptp", "meta/portmap"} {
		_, name, _ := strings.Cut(plugin, "/")
		programs = append(programs, Program{Name: name, Dir: tools + "cni", Package: "github.com/containernetworking/plugins/plugins/" + plugin, Pinned: true})
	}
	for _, own := range []string{"chain", "provisioner", "pause"} {
		programs = append(programs, Program{Name: own, Dir: "devnet", Package: "./cmd/" + own})
	}
	return programs
}

// Plane lists what runs where no machine is needed, and what plays machines there.
func Plane() []Program {
	return []Program{
		Machine()[0],
		{Name: "kwok", Dir: "devnet/tools/kwok", Package: "sigs.k8s.io/kwok/cmd/kwok", Pinned: true},
	}
}

// Apocryph lists what is built from this repository's own source, and the app that the demo deploys.
func Apocryph(version string) []Program {
	named := "-X main.version=" + version
	return []Program{
		{Name: "installer", Dir: "devnet", Package: "./cmd/installer"},
		{Name: "demo", Dir: "devnet", Package: "./cmd/demo"},
		{Name: "apocryphd", Dir: ".", Package: "./cmd/apocryphd", LinkFlags: named},
		{Name: "carrier", Dir: ".", Package: "./cmd/carrier"},
		{Name: "apocryph", Dir: ".", Package: "./cmd/apocryph", LinkFlags: named},
		{Name: "pocketbase", Dir: "devnet/tools/pocketbase", Package: "github.com/pocketbase/pocketbase/examples/base", Pinned: true},
	}
}

func versionFlags() string {
	major, minor, _ := strings.Cut(strings.TrimPrefix(kubernetes, "v"), ".")
	minor, _, _ = strings.Cut(minor, ".")
	var flags []string
	for _, pkg := range []string{"k8s.io/component-base/version", "k8s.io/client-go/pkg/version"} {
		for _, v := range [][2]string{{"gitVersion", kubernetes}, {"gitMajor", major}, {"gitMinor", minor}, {"gitTreeState", "clean"}} {
			flags = append(flags, "-X "+pkg+"."+v[0]+"="+v[1])
		}
	}
	return strings.Join(flags, " ")
}
