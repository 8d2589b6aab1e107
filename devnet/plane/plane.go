// SPDX-License-Identifier: Apache-2.0

// Package plane is a Kubernetes API server without machines: etcd and kube-apiserver as the devnet runs them, with the chart's kinds, accounts,
// rights and policies, on this machine's loopback and in one folder. etcd takes the port of its peers, so there is one at a time. kwok may play machines and pods there. It is for what needs many of
// either and runs none: no container, no network, nothing that has to be taken back but the folder.
package plane

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/apocryph/apocryph/devnet/install"
	"github.com/apocryph/apocryph/devnet/node"
	"github.com/apocryph/apocryph/devnet/sandbox"
)

// startLimit is how long the parts may take to answer.
const startLimit = 2 * time.Minute

// tokenLife is how long accounts' tokens are good.
const tokenLife = 24 * 3600

// audit is a policy that records what one account asked for, and nothing of what it got.
const audit = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
omitManagedFields: true
rules:
  - {level: Metadata, users: ["system:serviceaccount:%s:%s"]}
  - {level: None}
`

// Plane is what runs.
type Plane struct {
	// Kubeconfig is an administrator's.
	Kubeconfig string `json:"kubeconfig"`
	// Account is the kubeconfig of one of the provider's services.
	Account string `json:"account"`
	// Audit is the API server's record of what the account did, one JSON object a line.
	Audit string `json:"audit"`
	// PIDs are the parts' processes by name.
	PIDs map[string]int `json:"pids"`

	dir, bin string
	url      string
	all      sync.WaitGroup
	ended    chan error
}

// Config says what to start.
type Config struct {
	// Dir is an empty folder that holds everything, Bin has the programs, Chart is the provider's.
	Dir, Bin, Chart string
	// Stages is a file that tells kwok what its machines and pods do. Empty starts no kwok.
	Stages string
	// Account is the service whose kubeconfig is written.
	Account string
}

// Start starts everything and returns when it answers. The processes end with ctx; Wait returns when they have.
func Start(ctx context.Context, c Config) (*Plane, error) {
	etcd, api, err := ports(ctx)
	if err != nil {
		return nil, err
	}
	etc := filepath.Join(c.Dir, "etc")
	loopback := netip.AddrFrom4([4]byte{127, 0, 0, 1})
	config := node.Config{Etc: etc, EtcDir: etc, BinDir: c.Bin, IP: loopback, APIPort: api}
	if err := node.Prepare(config); err != nil {
		return nil, fmt.Errorf("making keys: %w", err)
	}
	p := &Plane{
		Kubeconfig: filepath.Join(etc, "kubeconfig"), Account: filepath.Join(c.Dir, c.Account+".kubeconfig"), PIDs: map[string]int{},
		Audit: filepath.Join(c.Dir, "audit.log"), dir: c.Dir, bin: c.Bin, url: fmt.Sprintf("https://127.0.0.1:%d", api), ended: make(chan error, 3),
	}
	policy := filepath.Join(c.Dir, "audit.yaml")
	if err := os.WriteFile(policy, fmt.Appendf(nil, audit, install.Namespace, c.Account), 0o600); err != nil {
		return nil, err
	}
	where := fmt.Sprintf("http://127.0.0.1:%d", etcd)
	server := slices.Concat(arguments(config, "kube-apiserver"), []string{
		"--etcd-servers=" + where, fmt.Sprintf("--secure-port=%d", api), "--bind-address=127.0.0.1",
		"--endpoint-reconciler-type=none", // nobody reaches it by its Service
		"--cert-dir=" + c.Dir,
		"--audit-policy-file=" + policy, "--audit-log-path=" + p.Audit, "--audit-log-maxsize=10000", // one file
	})
	store := []string{"cluster", "etcd", "--data-dir=" + filepath.Join(c.Dir, "etcd"), "--listen=" + where}
	err = p.start(ctx, "etcd", store)
	if err == nil {
		err = p.start(ctx, "kube-apiserver", server)
	}
	if err == nil {
		err = p.ready(ctx)
	}
	if err == nil {
		err = p.fill(ctx, c)
	}
	if err == nil && c.Stages != "" {
		err = p.start(ctx, "kwok", []string{"kwok", "--kubeconfig=" + p.Kubeconfig, "--config=" + c.Stages,
			"--manage-all-nodes", "--node-lease-duration-seconds=40", "--v=WARN"})
	}
	return p, err
}

// ports finds two that nobody uses.
func ports(ctx context.Context) (a, b int, err error) {
	var found [2]int
	for i := range found {
		l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			return 0, 0, fmt.Errorf("finding a port: %w", err)
		}
		defer func() { _ = l.Close() }()
		found[i] = l.Addr().(*net.TCPAddr).Port //nolint:forcetypeassert // it listens on TCP
	}
	return found[0], found[1], nil
}

// arguments are what the devnet starts a part by.
func arguments(c node.Config, part string) []string {
	parts := node.Parts(c)
	return parts[slices.IndexFunc(parts, func(p sandbox.Part) bool { return p.Name == part })].Args
}

// start starts a program, whose output goes to a file.
func (p *Plane) start(ctx context.Context, name string, args []string) error {
	log, err := os.Create(filepath.Join(p.dir, name+".log"))
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, filepath.Join(p.bin, args[0]), args[1:]...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = p.dir, log, log
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return errors.Join(fmt.Errorf("starting %s: %w", name, err), log.Close())
	}
	p.PIDs[name] = cmd.Process.Pid
	p.all.Go(func() {
		err := cmd.Wait()
		p.ended <- fmt.Errorf("%s ended: %w, see %s", name, errors.Join(err, log.Close()), log.Name())
	})
	return nil
}

// Wait returns when everything has ended, and the first reason if it was not for ctx.
func (p *Plane) Wait(ctx context.Context, stop func()) error {
	var err error
	select {
	case <-ctx.Done():
	case err = <-p.ended:
		if ctx.Err() != nil {
			err = nil
		}
	}
	stop()
	p.all.Wait()
	return err
}

// ready waits until the API server serves.
func (p *Plane) ready(ctx context.Context) error {
	pool := x509.NewCertPool()
	ca, err := os.ReadFile(filepath.Join(p.dir, "etc", "pki", "ca.crt"))
	if err != nil {
		return err
	}
	pool.AppendCertsFromPEM(ca)
	client := &http.Client{Timeout: time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS13}}}
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url+"/readyz", http.NoBody)
		if err != nil {
			return err
		}
		res, err := client.Do(req)
		if err == nil {
			_ = res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for the API server, see %s: %w", filepath.Join(p.dir, "kube-apiserver.log"), ctx.Err())
		case err := <-p.ended:
			return err
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// fill makes what the chart would, and the account's kubeconfig.
func (p *Plane) fill(ctx context.Context, c Config) error {
	rights, err := install.Rights(c.Chart)
	if err != nil {
		return err
	}
	var first strings.Builder
	for _, ns := range []string{install.Namespace, "kube-node-lease"} {
		_, _ = fmt.Fprintf(&first, "---\napiVersion: v1\nkind: Namespace\nmetadata: {name: %s}\n", ns)
	}
	for _, objects := range [][]byte{[]byte(first.String()), rights} {
		cmd := exec.CommandContext(ctx, filepath.Join(p.bin, "cluster"), "kubectl", "--kubeconfig", p.Kubeconfig, "apply", "--server-side", "-f", "-")
		cmd.Stdin = bytes.NewReader(objects)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("kubectl apply: %w\n%s", err, out)
		}
	}
	return p.account(ctx, c.Account)
}

// account writes a kubeconfig with a token of a service's account.
func (p *Plane) account(ctx context.Context, name string) error {
	config, err := clientcmd.BuildConfigFromFlags("", p.Kubeconfig)
	if err != nil {
		return err
	}
	cluster, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	life := int64(tokenLife)
	token, err := cluster.CoreV1().ServiceAccounts(install.Namespace).CreateToken(ctx, name,
		&authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: &life}}, metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("asking for a token of %s: %w", name, err)
	}
	out := clientcmdapi.NewConfig()
	out.Clusters["plane"] = &clientcmdapi.Cluster{Server: p.url, CertificateAuthorityData: config.CAData}
	out.AuthInfos[name] = &clientcmdapi.AuthInfo{Token: token.Status.Token}
	out.Contexts["plane"] = &clientcmdapi.Context{Cluster: "plane", AuthInfo: name}
	out.CurrentContext = "plane"
	return clientcmd.WriteToFile(*out, p.Account)
}
