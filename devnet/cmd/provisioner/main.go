// SPDX-License-Identifier: Apache-2.0

// Command provisioner makes the devnet's persistent volumes.
package main

import (
	"context"
	"fmt"
	"log/slog"
	"os/signal"
	"sync"
	"syscall"

	"github.com/alecthomas/kong"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/sig-storage-lib-external-provisioner/v13/controller"

	"github.com/apocryph/apocryph/devnet/volume"
)

type cli struct {
	Kubeconfig string `help:"How to reach the API server." required:"" type:"existingfile"`
	Dir        string `help:"Where volumes lie." required:"" type:"existingdir"`
	Node       string `help:"Name of the Kubernetes node." required:""`
}

func main() {
	var c cli
	k := kong.Parse(&c, kong.Name("provisioner"), kong.Description("Persistent volumes of enforced sizes on one machine."))
	k.FatalIfErrorf(c.run())
}

func (c *cli) run() error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	config, err := clientcmd.BuildConfigFromFlags("", c.Kubeconfig)
	if err != nil {
		return fmt.Errorf("reading the kubeconfig: %w", err)
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	p := &volume.Provisioner{Dir: c.Dir, Node: c.Node}
	grower := &volume.Grower{Provisioner: p, Client: client, Log: slog.Default()}
	var grown sync.WaitGroup
	defer grown.Wait()
	grown.Go(func() { grower.Run(ctx) })
	controller.NewProvisionController(ctx, client, volume.Name, p, controller.LeaderElection(false)).Run(ctx)
	return nil
}
