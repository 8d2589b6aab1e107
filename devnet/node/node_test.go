// SPDX-License-Identifier: Apache-2.0

package node

import (
	"crypto/x509"
	"encoding/pem"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/apocryph/apocryph/devnet/sandbox"
)

func TestPrepare(t *testing.T) {
	etc := t.TempDir()
	c := Config{Etc: etc, EtcDir: sandbox.EtcDir, BinDir: sandbox.BinDir, IP: netip.MustParseAddr("10.213.7.2"), APIPort: 20002, Cgroup: "/apocryph-test", Pause: "pause:1"}
	if err := Prepare(c); err != nil {
		t.Fatal(err)
	}

	read := func(file string) string {
		data, err := os.ReadFile(filepath.Join(etc, file))
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	for file, want := range map[string]string{
		"kubelet.yaml":          "cgroupRoot: \"/apocryph-test\"",
		"containerd.toml":       "sandbox = \"pause:1\"",
		"kubeconfig":            "https://127.0.0.1:20002",
		"kubelet.kubeconfig":    "https://127.0.0.1:6443",
		"cni/10-pods.conflist":  "10.244.0.0/24",
		"kube-proxy.kubeconfig": "certificate-authority-data",
	} {
		if got := read(file); !strings.Contains(got, want) {
			t.Errorf("%s has no %q:\n%s", file, want, got)
		}
	}

	block, _ := pem.Decode([]byte(read("pki/apiserver.crt")))
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(read("pki/ca.crt")))
	for _, host := range []string{"127.0.0.1", "10.213.7.2", "kubernetes.default.svc"} {
		if _, err := cert.Verify(x509.VerifyOptions{Roots: roots, DNSName: host}); err != nil {
			t.Errorf("the API server's certificate is not good for %s: %v", host, err)
		}
	}
}

func TestPartsAreInOrder(t *testing.T) {
	seen := map[string]bool{}
	for _, p := range Parts(Config{EtcDir: sandbox.EtcDir}) {
		for _, a := range p.After {
			if !seen[a] {
				t.Errorf("%s waits for %s, which is not before it", p.Name, a)
			}
		}
		seen[p.Name] = true
	}
}
