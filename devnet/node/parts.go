// SPDX-License-Identifier: Apache-2.0

package node

import (
	"fmt"
	"slices"

	"github.com/apocryph/apocryph/devnet/sandbox"
)

// Parts lists the node's programs in the order in which they start.
func Parts(c Config) []sandbox.Part {
	api := fmt.Sprintf("https://127.0.0.1:%d/readyz", APIPort)
	kubeconfig := func(user string) string { return "--kubeconfig=" + c.EtcDir + "/" + user + ".kubeconfig" }
	auth := func(user string) []string {
		file := c.EtcDir + "/" + user + ".kubeconfig"
		return []string{"--kubeconfig=" + file, "--authentication-kubeconfig=" + file, "--authorization-kubeconfig=" + file, "--bind-address=127.0.0.1", "--leader-elect=false"}
	}
	return []sandbox.Part{
		{Name: "etcd", Args: []string{"cluster", "etcd", "--data-dir=/run/etcd"}, Ready: "tcp:127.0.0.1:2379"},
		{Name: "chain", Args: []string{"chain", fmt.Sprintf("--listen=0.0.0.0:%d", ChainPort), fmt.Sprintf("--chain-id=%d", c.ChainID),
			fmt.Sprintf("--weather-listen=0.0.0.0:%d", WeatherPort), "--weather=" + sandbox.StateDir + "/weather.json"},
			Ready: fmt.Sprintf("tcp:127.0.0.1:%d", WeatherPort), Once: true},
		{Name: "containerd", Args: []string{"containerd", "--config=" + c.EtcDir + "/containerd.toml"}, Ready: "unix:/run/containerd/containerd.sock"},
		{Name: "kube-apiserver", Args: apiServer(c), After: []string{"etcd"}, Ready: api},
		{Name: "kube-controller-manager", Args: slices.Concat([]string{"cluster", "kube-controller-manager"}, auth("kube-controller-manager"), controllers(c)), After: []string{"kube-apiserver"}, Ready: "tcp:127.0.0.1:10257"},
		{Name: "kube-scheduler", Args: slices.Concat([]string{"cluster", "kube-scheduler"}, auth("kube-scheduler")), After: []string{"kube-apiserver"}, Ready: "tcp:127.0.0.1:10259"},
		{Name: "kubelet", Args: []string{"cluster", "kubelet", kubeconfig("kubelet"), "--config=" + c.EtcDir + "/kubelet.yaml", "--hostname-override=" + Name, "--node-ip=" + c.IP.String()}, After: []string{"kube-apiserver", "containerd"},
			Ready: fmt.Sprintf("https://127.0.0.1:%d/api/v1/nodes/%s", APIPort, Name), ReadyAs: c.EtcDir + "/pki/kubelet"}, // kube-router ends if there is no Node
		{Name: "kube-proxy", Args: []string{"cluster", "kube-proxy", "--config=" + c.EtcDir + "/kube-proxy.yaml"}, After: []string{"kube-apiserver"}, Ready: "tcp:127.0.0.1:10249"},
		{Name: "kube-router", Args: []string{"kube-router", kubeconfig("admin"), "--hostname-override=" + Name, "--run-firewall=true", "--run-router=false", "--run-service-proxy=false", "--run-loadbalancer=false", "--service-cluster-ip-range=" + serviceRange, "--health-port=20244", "--closed-namespaces=apocryph.network/app"}, After: []string{"kubelet"}, Ready: "tcp:127.0.0.1:20244"},
		{Name: "provisioner", Args: []string{"provisioner", kubeconfig("admin"), "--dir=" + c.Volumes, "--node=" + Name}, After: []string{"kube-apiserver"}},
	}
}

func apiServer(c Config) []string {
	pki := c.EtcDir + "/pki/"
	return []string{
		"cluster", "kube-apiserver",
		"--etcd-servers=http://127.0.0.1:2379",
		fmt.Sprintf("--secure-port=%d", APIPort),
		"--advertise-address=" + c.IP.String(),
		"--service-cluster-ip-range=" + serviceRange,
		"--authorization-mode=Node,RBAC",
		"--enable-admission-plugins=NodeRestriction",
		"--allow-privileged=true",
		"--client-ca-file=" + pki + "ca.crt",
		"--tls-cert-file=" + pki + "apiserver.crt",
		"--tls-private-key-file=" + pki + "apiserver.key",
		"--kubelet-client-certificate=" + pki + "apiserver-kubelet.crt",
		"--kubelet-client-key=" + pki + "apiserver-kubelet.key",
		"--kubelet-certificate-authority=" + pki + "ca.crt",
		"--kubelet-preferred-address-types=InternalIP",
		"--service-account-issuer=https://kubernetes.default.svc.cluster.local",
		"--service-account-key-file=" + pki + "service-account.crt",
		"--service-account-signing-key-file=" + pki + "service-account.key",
	}
}

func controllers(c Config) []string {
	pki := c.EtcDir + "/pki/"
	return []string{
		"--use-service-account-credentials=true",
		"--service-account-private-key-file=" + pki + "service-account.key",
		"--root-ca-file=" + pki + "ca.crt",
		"--cluster-signing-cert-file=" + pki + "ca.crt",
		"--cluster-signing-key-file=" + pki + "ca.key",
		"--allocate-node-cidrs=true",
		"--cluster-cidr=" + podRange,
		"--node-cidr-mask-size=24",
		"--service-cluster-ip-range=" + serviceRange,
	}
}
