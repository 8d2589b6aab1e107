// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/apocryph/apocryph/devnet/builder"
	"github.com/apocryph/apocryph/devnet/checkout"
	"github.com/apocryph/apocryph/devnet/image"
	"github.com/apocryph/apocryph/devnet/node"
	"github.com/apocryph/apocryph/devnet/sandbox"
)

func importImages(ctx context.Context, co checkout.Checkout, b *builder.Builder, refs ...string) error {
	pid, err := sandbox.InitPID(co.State())
	if err != nil {
		return err
	}
	runtime := image.Runtime{
		Client: filepath.Join(co.Bin(), "ctr"),
		Socket: fmt.Sprintf("/proc/%d/root/run/containerd/containerd.sock", pid),
	}
	return runtime.Import(ctx, co.SystemImages(), refs, b.Progress)
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
	provider, err := b.ProviderImage()
	if err != nil {
		return err
	}
	if err := importImages(ctx, co, b, provider.Ref); err != nil {
		return err
	}
	spec, err := sandbox.ReadSpec(co.State())
	if err != nil {
		return err
	}
	config, err := json.Marshal(map[string]any{
		"State": co.State(), "Chart": filepath.Join(co.Root, "deploy", "chart"), "Images": co.Images(), "Bin": co.Bin(),
		"Kubeconfig": kubeconfig(co), "RPC": rpc(spec), "ClusterRPC": clusterRPC(spec),
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

// clusterRPC is the chain as the provider's services see it: endpoints that can be made bad, one by one.
func clusterRPC(spec sandbox.Spec) []string {
	var urls []string
	for _, name := range []string{"a", "b", "c"} {
		urls = append(urls, fmt.Sprintf("http://%s:%d/%s", spec.NodeIP, node.WeatherPort, name))
	}
	return urls
}
