// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/apocryph/apocryph/devnet/builder"
	"github.com/apocryph/apocryph/devnet/checkout"
	"github.com/apocryph/apocryph/devnet/node"
	"github.com/apocryph/apocryph/devnet/progress"
	"github.com/apocryph/apocryph/devnet/sandbox"
)

// chainID is the devnet's chain id, the one that wallets know development chains by.
const chainID = 1337

// startLimit is how long the parts may take to answer.
const startLimit = 2 * time.Minute

// startCluster starts what does not run, and installs what belongs to a cluster as soon as the parts are up that take it.
func startCluster(ctx context.Context, co checkout.Checkout, b *builder.Builder) error {
	gone := make(chan struct{}) // closed when a supervisor that was started here ends
	if !sandbox.Running(co.State()) {
		supervisor, err := start(ctx, co)
		if err != nil {
			return err
		}
		go func() {
			_ = supervisor.Wait() // why is in its log
			close(gone)
		}()
	}
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	f := newFollower(co, b.Progress)
	go f.follow(ctx, gone)
	return progress.Together(
		func() error { return f.wait("") },
		func() error {
			if err := f.wait("containerd"); err != nil {
				return err
			}
			return importImages(ctx, co, b, builder.Pause, builder.CoreDNS)
		},
		func() error {
			if err := f.wait("kube-apiserver"); err != nil {
				return err
			}
			return b.Progress.Do("install", "DNS and storage class", func() error { return applyManifests(ctx, co) })
		},
	)
}

// start begins a new devnet. It returns the supervisor, which stays when this process ends.
func start(ctx context.Context, co checkout.Checkout) (*exec.Cmd, error) {
	if err := sandbox.Stop(ctx, co.State()); err != nil { // leftovers of a crash
		return nil, err
	}
	spec, err := newSpec(co)
	if err != nil {
		return nil, err
	}
	if err := os.RemoveAll(co.Logs()); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(co.Logs(), 0o755); err != nil {
		return nil, err
	}
	config := nodeConfig(co, spec)
	if err := node.Prepare(config); err != nil {
		return nil, err
	}
	spec.Rules = filepath.Join(sandbox.EtcDir, node.RulesFile)
	spec.Parts = node.Parts(config)
	if err := sandbox.WriteSpec(spec); err != nil {
		return nil, err
	}
	return supervise(ctx, co)
}

// The image store has a disk of its own: a full one must not be the machine's.
const (
	imageDir   = "/var/lib/apocryph"
	imageBytes = 8 << 30
)

// newSpec chooses what is free on this machine.
func newSpec(co checkout.Checkout) (sandbox.Spec, error) {
	subnets := co.Subnets()
	prefixes := make([]netip.Prefix, 0, len(subnets))
	for _, s := range subnets {
		prefixes = append(prefixes, s.Prefix())
	}
	i, err := sandbox.FreeSubnet(prefixes)
	if err != nil {
		return sandbox.Spec{}, err
	}
	forwards := []sandbox.Forward{
		{Name: "facade", Node: node.FacadePort},
		{Name: "chain", Node: node.ChainPort},
		{Name: "api", Node: node.APIPort},
		{Name: "gateway", Node: node.GatewayPort},
		{Name: "weather", Node: node.WeatherPort},
	}
	base, err := sandbox.FreePorts(co.PortBase(), len(forwards))
	if err != nil {
		return sandbox.Spec{}, err
	}
	for n := range forwards {
		forwards[n].Host = base + n
	}
	return sandbox.Spec{
		State: co.State(), Bin: co.Bin(), Hostname: node.Name, Cgroup: co.Cgroup(), Veth: co.Veth(),
		HostIP: subnets[i].Host, NodeIP: subnets[i].Node, Forwards: forwards,
		Volumes: "/var/lib/volumes" + co.Cgroup(),
		Disks:   []sandbox.Disk{{Dir: imageDir, Size: imageBytes}},
	}, nil
}

func nodeConfig(co checkout.Checkout, spec sandbox.Spec) node.Config {
	return node.Config{
		Etc: filepath.Join(co.State(), "etc"), EtcDir: sandbox.EtcDir, BinDir: sandbox.BinDir,
		IP: spec.NodeIP, APIPort: spec.Port("api"), Cgroup: spec.Cgroup, ChainID: chainID, Pause: builder.Pause, Volumes: spec.Volumes,
	}
}

// supervise runs the supervisor in a session of its own.
func supervise(ctx context.Context, co checkout.Checkout) (*exec.Cmd, error) {
	out, err := os.Create(filepath.Join(co.Logs(), "supervisor.log"))
	if err != nil {
		return nil, err
	}
	defer func() { _ = out.Close() }()
	// It outlives this program.
	cmd := exec.CommandContext(context.WithoutCancel(ctx), "/proc/self/exe", "supervise")
	cmd.Dir = co.Root
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting the supervisor: %w", err)
	}
	return cmd, nil
}
