// SPDX-License-Identifier: Apache-2.0

// Command cluster is a single-node Kubernetes in one binary: etcd, kube-apiserver, kube-controller-manager, kube-scheduler,
// kubelet, kube-proxy and kubectl, all unmodified upstream code at one pinned version, chosen by the first argument (or by the
// name it is called by). Each part is a process of its own: upstream keeps signal handlers, feature gates and logging in package
// variables, so two parts in one process would share them by accident.
package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/logs/json/register"          // the JSON log format
	_ "k8s.io/component-base/metrics/prometheus/clientgo" // client metrics
	_ "k8s.io/component-base/metrics/prometheus/version"  // build metrics
	kubectl "k8s.io/kubectl/pkg/cmd"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllers "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	proxy "k8s.io/kubernetes/cmd/kube-proxy/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"
)

func main() {
	part, args := filepath.Base(os.Args[0]), os.Args[1:]
	if part == "cluster" && len(args) > 0 {
		part, args = args[0], args[1:]
	}

	cmd := command(part)
	if cmd == nil {
		fmt.Fprintf(os.Stderr, "cluster: error: no part %q\n", part)
		fmt.Fprintln(os.Stderr, "cluster: hint: etcd, kube-apiserver, kube-controller-manager, kube-scheduler, kubelet, kube-proxy or kubectl")
		os.Exit(2)
	}
	os.Args = append([]string{part}, args...) // kubectl looks here for plugins
	cmd.SetArgs(args)
	os.Exit(cli.Run(cmd))
}

// command returns the upstream command of a part, nil if there is none.
func command(part string) *cobra.Command {
	switch part {
	case "etcd":
		return etcdCommand()
	case "kube-apiserver":
		return apiserver.NewAPIServerCommand()
	case "kube-controller-manager":
		return controllers.NewControllerManagerCommand()
	case "kube-scheduler":
		return scheduler.NewSchedulerCommand()
	case "kubelet":
		return kubelet.NewKubeletCommand(context.Background())
	case "kube-proxy":
		return proxy.NewProxyCommand()
	case "kubectl":
		return kubectl.NewDefaultKubectlCommand()
	default:
		return nil
	}
}
