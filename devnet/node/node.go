// SPDX-License-Identifier: Apache-2.0

// Package node configures the devnet's single Kubernetes node: keys, configuration files, and the list of programs to run.
package node

import (
	"bytes"
	"crypto/x509/pkix"
	"embed"
	"encoding/base64"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"text/template"
)

// Names and addresses inside the devnet, the same for all.
const (
	Name        = "devnet"
	APIPort     = 6443
	ChainPort   = 8545
	WeatherPort = 8546  // the chain once more, as the provider sees it
	FacadePort  = 30080 // node port of the facade
	GatewayPort = 30400 // node port of the gateway
	DNSAddress  = "10.96.0.10"

	// RulesFile, in Etc, is what the node's firewall has before anything runs.
	RulesFile = "rules.nft"

	serviceAddress = "10.96.0.1"
	serviceRange   = "10.96.0.0/16"
	podRange       = "10.244.0.0/16"
	nodePodRange   = "10.244.0.0/24"
)

// Config is what differs between nodes.
type Config struct {
	// Etc is the folder on this machine that the node sees as EtcDir.
	Etc string
	// EtcDir is the same folder as the node's programs see it, BinDir their own.
	EtcDir, BinDir string
	// IP is the node's address.
	IP netip.Addr
	// APIPort is the loopback port of this machine that leads to the API server.
	APIPort int
	// Cgroup is the cgroup below which pods live.
	Cgroup string
	// Pause is the image that holds pods' namespaces.
	Pause string
	// Volumes is the folder of persistent volumes, as the node's programs see it.
	Volumes string
	// ChainID is the chain's id.
	ChainID uint64
}

//go:embed etc
var files embed.FS

// users are the parts that talk to the API server, with the names it knows them by.
var users = map[string]pkix.Name{
	"admin":                   {CommonName: "devnet-admin", Organization: []string{"system:masters"}},
	"kube-controller-manager": {CommonName: "system:kube-controller-manager"},
	"kube-scheduler":          {CommonName: "system:kube-scheduler"},
	"kube-proxy":              {CommonName: "system:kube-proxy"},
	"kubelet":                 {CommonName: "system:node:" + Name, Organization: []string{"system:nodes"}},
}

// Prepare writes keys and configuration of a new cluster.
func Prepare(c Config) error {
	if err := os.RemoveAll(c.Etc); err != nil {
		return err
	}
	for _, dir := range []string{"pki", "cni"} {
		if err := os.MkdirAll(filepath.Join(c.Etc, dir), 0o700); err != nil {
			return err
		}
	}
	if err := writeKeys(c); err != nil {
		return err
	}
	for user := range users {
		if err := writeKubeconfig(c, user+".kubeconfig", user, fmt.Sprintf("https://127.0.0.1:%d", APIPort)); err != nil {
			return err
		}
	}
	if err := writeKubeconfig(c, "kubeconfig", "admin", fmt.Sprintf("https://127.0.0.1:%d", c.APIPort)); err != nil {
		return err
	}
	for from, to := range map[string]string{
		"containerd.toml": "containerd.toml", "kubelet.yaml": "kubelet.yaml", "kube-proxy.yaml": "kube-proxy.yaml",
		"pods.conflist": "cni/10-pods.conflist", "resolv.conf": "resolv.conf", RulesFile: RulesFile,
	} {
		if err := render(c, from, to); err != nil {
			return err
		}
	}
	return nil
}

func writeKeys(c Config) error {
	ca, err := newAuthority(filepath.Join(c.Etc, "pki"))
	if err != nil {
		return err
	}
	for user, name := range users {
		if err := ca.issue(user, name); err != nil {
			return err
		}
	}
	if err := ca.issue("apiserver-kubelet", pkix.Name{CommonName: "kube-apiserver-kubelet-client", Organization: []string{"system:masters"}}); err != nil {
		return err
	}
	if err := ca.issue("service-account", pkix.Name{CommonName: "service-accounts"}); err != nil { // tokens are signed with its key
		return err
	}
	if err := ca.issue("kubelet-serving", pkix.Name{CommonName: "system:node:" + Name}, Name, c.IP.String()); err != nil {
		return err
	}
	return ca.issue("apiserver", pkix.Name{CommonName: "kube-apiserver"},
		"localhost", "127.0.0.1", c.IP.String(), serviceAddress, Name,
		"kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local")
}

// writeKubeconfig stores how a user reaches the API server, with the keys inside, so that the file is enough anywhere.
func writeKubeconfig(c Config, file, user, server string) error {
	data := map[string]any{"Server": server}
	for key, name := range map[string]string{"CA": "ca.crt", "Cert": user + ".crt", "Key": user + ".key"} {
		content, err := os.ReadFile(filepath.Join(c.Etc, "pki", name))
		if err != nil {
			return err
		}
		data[key] = content
	}
	return renderWith("kubeconfig.yaml", filepath.Join(c.Etc, file), data)
}

func render(c Config, from, to string) error {
	return renderWith(from, filepath.Join(c.Etc, to), map[string]any{
		"Etc": c.EtcDir, "Bin": c.BinDir, "IP": c.IP, "Cgroup": c.Cgroup, "Name": Name,
		"DNS": DNSAddress, "Pause": c.Pause, "PodRange": podRange, "NodePodRange": nodePodRange,
	})
}

func renderWith(from, to string, data any) error {
	t, err := template.New(from).Funcs(template.FuncMap{"base64": base64.StdEncoding.EncodeToString}).ParseFS(files, "etc/"+from)
	if err != nil {
		return err
	}
	var out bytes.Buffer
	if err := t.Execute(&out, data); err != nil {
		return fmt.Errorf("writing %s: %w", to, err)
	}
	return os.WriteFile(to, out.Bytes(), 0o600)
}
