// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
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
type upCmd struct {
	KeepFailed bool `help:"Leave what came up if the rest fails."`
}

func (c *upCmd) Run(ctx context.Context, co checkout.Checkout) error {
	p := progress.New(os.Stdout)
	fresh := !sandbox.Running(co.State())
	if err := bringUp(ctx, co, p); err != nil {
		if fresh && !c.KeepFailed {
			err = errors.Join(err, sandbox.Stop(context.WithoutCancel(ctx), co.State()))
		}
		return err
	}
	p.Table(os.Stdout)
	fmt.Printf("\nThe devnet is up. Use it by: source %s\nEnd it by:    make devnet-down\n", filepath.Join("build", "devnet", "env"))
	return nil
}

// bringUp returns when everything answers.
func bringUp(ctx context.Context, co checkout.Checkout, p *progress.Progress) error {
	b := &builder.Builder{Checkout: co, Progress: p}
	if err := builder.InstallMissing(ctx, p); err != nil {
		return err
	}
	if err := buildMachine(ctx, b); err != nil {
		return err
	}
	err := together(
		func() error { return startCluster(ctx, co, b) },
		func() error { return buildApocryph(ctx, b) },
	)
	if err != nil {
		return err
	}
	return fill(ctx, co, b)
}

// together runs functions side by side and returns their errors.
func together(work ...func() error) error {
	errs := make([]error, len(work))
	var all sync.WaitGroup
	for n, w := range work {
		all.Go(func() { errs[n] = w() })
	}
	all.Wait()
	return errors.Join(errs...)
}

func buildMachine(ctx context.Context, b *builder.Builder) error {
	if err := b.Build(ctx, builder.Machine()); err != nil {
		return err
	}
	return b.Pack(ctx, b.Checkout.SystemImages(), b.SystemImages()...)
}

// buildApocryph builds and packs what runs in the cluster.
func buildApocryph(ctx context.Context, b *builder.Builder) error {
	if err := b.Build(ctx, builder.Apocryph(version(ctx, b.Checkout))); err != nil {
		return err
	}
	provider, err := b.ProviderImage()
	if err != nil {
		return err
	}
	if err := b.Pack(ctx, b.Checkout.SystemImages(), provider); err != nil {
		return err
	}
	return b.Pack(ctx, b.Checkout.Images(), b.AppImages()...)
}

// version is how git names what is built.
func version(ctx context.Context, co checkout.Checkout) string {
	cmd := exec.CommandContext(ctx, "git", "describe", "--tags", "--always", "--dirty")
	cmd.Dir = co.Root
	out, err := cmd.Output()
	if err != nil {
		return "unknown" // not a clone
	}
	return strings.TrimSpace(string(out))
}

// startCluster starts what does not run, and installs what belongs to a cluster.
func startCluster(ctx context.Context, co checkout.Checkout, b *builder.Builder) error {
	if !sandbox.Running(co.State()) {
		if err := start(ctx, co, b.Progress); err != nil {
			return err
		}
	}
	if err := importImages(ctx, co, b); err != nil {
		return err
	}
	return b.Progress.Do("install", "DNS and storage class", func() error { return applyManifests(ctx, co) })
}

func importImages(ctx context.Context, co checkout.Checkout, b *builder.Builder) error {
	pid, err := sandbox.InitPID(co.State())
	if err != nil {
		return err
	}
	runtime := image.Runtime{
		Client: filepath.Join(co.Bin(), "ctr"),
		Socket: fmt.Sprintf("/proc/%d/root/run/containerd/containerd.sock", pid),
	}
	return runtime.Import(ctx, co.SystemImages(), b.Progress)
}

func applyManifests(ctx context.Context, co checkout.Checkout) error {
	objects, err := node.Manifests()
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, filepath.Join(co.Bin(), "cluster"), "kubectl", "--kubeconfig", kubeconfig(co), "apply", "-f", "-")
	cmd.Stdin = bytes.NewReader(objects)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("kubectl apply: %w\n%s", err, out)
	}
	return nil
}

func kubeconfig(co checkout.Checkout) string { return filepath.Join(co.State(), "etc", "kubeconfig") }

// fill imports the provider's image and runs the installer.
func fill(ctx context.Context, co checkout.Checkout, b *builder.Builder) error {
	if err := importImages(ctx, co, b); err != nil {
		return err
	}
	spec, err := sandbox.ReadSpec(co.State())
	if err != nil {
		return err
	}
	provider, err := b.ProviderImage()
	if err != nil {
		return err
	}
	config, err := json.Marshal(map[string]any{
		"State": co.State(), "Chart": filepath.Join(co.Root, "deploy", "chart"), "Images": co.Images(), "Bin": co.Bin(),
		"Kubeconfig": kubeconfig(co), "RPC": rpc(spec), "ClusterRPC": fmt.Sprintf("http://%s:%d", spec.NodeIP, node.ChainPort),
		"ChainID": chainID, "Image": provider.Ref, "NodeIP": spec.NodeIP, "APINodePort": node.APIPort,
		"FacadePort": spec.Port("facade"), "GatewayPort": spec.Port("gateway"),
		"FacadeNodePort": node.FacadePort, "GatewayNodePort": node.GatewayPort,
	})
	if err != nil {
		return err
	}
	timings := filepath.Join(co.State(), "install.json")
	cmd := exec.CommandContext(ctx, filepath.Join(co.Bin(), "installer"), "run", "--timings", timings)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(config), os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("installing the provider: %w", err)
	}
	return b.Progress.Read(timings)
}

func rpc(spec sandbox.Spec) string { return fmt.Sprintf("http://127.0.0.1:%d", spec.Port("chain")) }

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
