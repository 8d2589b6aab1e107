// SPDX-License-Identifier: Apache-2.0

// Command kube-router is kube-router's network policy controller and nothing else of it, with two promises that it does not make by itself:
//
//   - A sync sees one moment of the cluster. kube-router reads policies first and pods again later; a pod whose address became known in
//     between had a chain without a policy in it, which lets everything through. See moment.
//   - A pod begins no connection before its policies hold. Who has them is published in a set of nftables, and the node's rules.nft drops
//     what others begin. kube-router's own mark can't tell: a packet also gets it from the policies of whom it is for. See gate.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"github.com/cloudnativelabs/kube-router/v2/pkg/controllers/netpol"
	"github.com/cloudnativelabs/kube-router/v2/pkg/healthcheck"
	"github.com/cloudnativelabs/kube-router/v2/pkg/options"
	"github.com/spf13/pflag"
	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "kube-router:", err)
		os.Exit(1)
	}
}

func run() error {
	klog.InitFlags(nil)
	config := options.NewKubeRouterConfig()
	config.AddFlags(pflag.CommandLine)
	closed := pflag.String("closed-namespaces", "", "Selector of the namespaces whose pods are taken for absent until policies are for both their directions.")
	pflag.Parse()
	if err := errors.Join(flag.CommandLine.Parse(nil), flag.Set("logtostderr", "true"), flag.Set("v", config.VLevel)); err != nil {
		return err
	}
	selector, err := labels.Parse(*closed)
	if err != nil {
		return err
	}
	if *closed == "" {
		selector = labels.Nothing()
	}
	rest, err := clientcmd.BuildConfigFromFlags(config.Master, config.Kubeconfig)
	if err != nil {
		return err
	}
	clients, err := kubernetes.NewForConfig(rest)
	if err != nil {
		return err
	}
	return control(config, clients, selector)
}

// control runs the controller until a signal comes.
func control(config *options.KubeRouterConfig, clients kubernetes.Interface, closed labels.Selector) error {
	var running sync.WaitGroup
	defer running.Wait()
	stop := make(chan struct{})
	defer close(stop)

	health, err := healthcheck.NewHealthController(config)
	if err != nil {
		return err
	}
	running.Add(1)
	go health.RunServer(stop, &running)

	factory := informers.NewSharedInformerFactory(clients, 0)
	pods, spaces, policies := factory.Core().V1().Pods().Informer(), factory.Core().V1().Namespaces().Informer(), factory.Networking().V1().NetworkPolicies().Informer()
	factory.Start(stop)
	factory.WaitForCacheSync(stop)

	tables, sets, err := netpol.NewIPTablesHandlers(config)
	if err != nil {
		return err
	}
	m := newMoment(pods.GetStore(), spaces.GetStore(), policies.GetIndexer(), closed)
	sets[v1.IPv4Protocol] = &gate{IPSetHandler: sets[v1.IPv4Protocol], moment: m, nft: nft}
	c, err := netpol.NewNetworkPolicyController(clients, config, &seen{pods, m.seen}, &seen{policies, m}, spaces, new(sync.Mutex), tables, sets)
	if err != nil {
		return err
	}
	for informer, handler := range map[cache.SharedIndexInformer]cache.ResourceEventHandler{
		pods: c.PodEventHandler, spaces: c.NamespaceEventHandler, policies: c.NetworkPolicyEventHandler,
	} {
		if _, err := informer.AddEventHandler(handler); err != nil {
			return err
		}
	}

	beats := make(chan *healthcheck.ControllerHeartbeat, 10)
	health.SetAlive()
	running.Add(2)
	go health.RunCheck(beats, stop, &running)
	go c.Run(beats, stop, &running)

	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	<-signals
	return nil
}
