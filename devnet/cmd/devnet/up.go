// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/apocryph/apocryph/devnet/builder"
	"github.com/apocryph/apocryph/devnet/checkout"
	"github.com/apocryph/apocryph/devnet/image"
	"github.com/apocryph/apocryph/devnet/node"
	"github.com/apocryph/apocryph/devnet/progress"
	"github.com/apocryph/apocryph/devnet/sandbox"
)

// chainID is the devnet's chain id, the one that wallets know development chains by.
const chainID = 1337

// startLimit is how long the parts may take to answer.
const startLimit = 2 * time.Minute

// upCmd brings the devnet up. A devnet that is up already gets what changed.
type upCmd struct{}

func (*upCmd) Run(ctx context.Context, co checkout.Checkout) error {
	p := progress.New(os.Stdout)
	if err := bringUp(ctx, co, p); err != nil {
		return err
	}
	p.Table(os.Stdout)
	return nil
}

// bringUp returns when everything answers. What it started itself, it takes down again if it fails.
func bringUp(ctx context.Context, co checkout.Checkout, p *progress.Progress) error {
	b := &builder.Builder{Checkout: co, Progress: p}
	if err := builder.InstallMissing(ctx, p); err != nil {
		return err
	}
	if err := buildMachine(ctx, b); err != nil {
		return err
	}
	fresh := !sandbox.Running(co.State())
	if fresh {
		if err := start(ctx, co, p); err != nil {
			return errors.Join(err, sandbox.Stop(context.WithoutCancel(ctx), co.State()))
		}
	}
	err := fill(ctx, co, b)
	if err != nil && fresh {
		err = errors.Join(err, sandbox.Stop(context.WithoutCancel(ctx), co.State()))
	}
	return err
}

// fill builds what runs in the cluster, while its parts start, and installs it.
func fill(ctx context.Context, co checkout.Checkout, b *builder.Builder) error {
	pid, err := sandbox.InitPID(co.State())
	if err != nil {
		return err
	}
	runtime := image.Runtime{
		Client: filepath.Join(co.Bin(), "ctr"),
		Socket: fmt.Sprintf("/proc/%d/root/run/containerd/containerd.sock", pid),
	}
	return b.Progress.Do("import", "system images", func() error {
		_, err := runtime.Import(ctx, co.SystemImages())
		return err
	})
}

func buildMachine(ctx context.Context, b *builder.Builder) error {
	if err := b.Build(ctx, builder.Machine()); err != nil {
		return err
	}
	return b.Pack(ctx, b.Checkout.SystemImages(), b.SystemImages())
}

func buildApocryph(ctx context.Context, b *builder.Builder) error {
	if err := b.Build(ctx, builder.Apocryph()); err != nil {
		return err
	}
	if err := b.Pack(ctx, b.Checkout.SystemImages(), b.ProviderImages()); err != nil {
		return err
	}
	return b.Pack(ctx, b.Checkout.Images(), b.AppImages())
}

// start makes the sandbox and returns when all its parts answer.
func start(ctx context.Context, co checkout.Checkout, p *progress.Progress) error {
	if err := sandbox.Stop(ctx, co.State()); err != nil { // leftovers of a crash
		return err
	}
	spec, err := newSpec(co)
	if err != nil {
		return err
	}
	if err := os.RemoveAll(co.Logs()); err != nil {
		return err
	}
	if err := os.MkdirAll(co.Logs(), 0o755); err != nil {
		return err
	}
	config := nodeConfig(co, spec)
	if err := node.Prepare(config); err != nil {
		return err
	}
	spec.Parts = node.Parts(config)
	if err := sandbox.WriteSpec(spec); err != nil {
		return err
	}
	supervisor, err := supervise(co)
	if err != nil {
		return err
	}
	return await(ctx, co, supervisor, p)
}

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
	}, nil
}

func nodeConfig(co checkout.Checkout, spec sandbox.Spec) node.Config {
	return node.Config{
		Etc: filepath.Join(co.State(), "etc"), EtcDir: sandbox.EtcDir, BinDir: sandbox.BinDir,
		IP: spec.NodeIP, APIPort: spec.Port("api"), Cgroup: spec.Cgroup, ChainID: chainID, Pause: builder.Pause, Volumes: spec.Volumes,
	}
}

// supervise starts the supervisor, which stays when this process ends.
func supervise(co checkout.Checkout) (*exec.Cmd, error) {
	out, err := os.Create(filepath.Join(co.Logs(), "supervisor.log"))
	if err != nil {
		return nil, err
	}
	defer out.Close()
	if err := os.Remove(filepath.Join(co.State(), "status.json")); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	cmd := exec.Command("/proc/self/exe", "supervise")
	cmd.Dir = co.Root
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting the supervisor: %w", err)
	}
	return cmd, nil
}

// await follows the parts until all answer or one ends.
func await(ctx context.Context, co checkout.Checkout, supervisor *exec.Cmd, p *progress.Progress) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	gone := make(chan error, 1)
	go func() { gone <- supervisor.Wait() }()
	shown := map[string]bool{}
	for {
		status, err := sandbox.ReadStatus(co.State())
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		for _, part := range status.Parts {
			if part.Phase == sandbox.Ready && !shown[part.Name] {
				shown[part.Name] = true
				p.Done("start", part.Name, part.Ready.Sub(part.Started))
			}
		}
		if part := status.Failed(); part != nil {
			return fmt.Errorf("%s ended (%s), see %s", part.Name, part.Exit, filepath.Join(co.Logs(), part.Name+".log"))
		}
		if status.AllReady() {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for the devnet's parts: %w", ctx.Err())
		case <-gone:
			return fmt.Errorf("the supervisor ended, see %s", filepath.Join(co.Logs(), "supervisor.log"))
		case <-time.After(50 * time.Millisecond):
		}
	}
}
