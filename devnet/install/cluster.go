// SPDX-License-Identifier: Apache-2.0

package install

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/ethereum/go-ethereum/crypto"
	"helm.sh/helm/v4/pkg/action"
	"helm.sh/helm/v4/pkg/chart/loader"
	"helm.sh/helm/v4/pkg/cli"
	"helm.sh/helm/v4/pkg/kube"
	releasev1 "helm.sh/helm/v4/pkg/release/v1"
	"helm.sh/helm/v4/pkg/storage/driver"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/apocryph/apocryph/devnet/account"
)

// Names of what the chart takes from its operator.
const (
	release         = "apocryph"
	simulatorSecret = "simulator"
	gasKeySecret    = "invoicer-gas"
)

// domain is below which apps get their hosts. Every browser takes names below localhost for this machine.
const domain = "apps.localhost"

// readyLimit is how long the provider's services may take, testLimit the chart's tests.
const (
	readyLimit = 2 * time.Minute
	testLimit  = 10 * time.Minute
)

func (i *Installer) connect() (kubernetes.Interface, error) {
	config, err := clientcmd.BuildConfigFromFlags("", i.Kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("reading the kubeconfig: %w", err)
	}
	return kubernetes.NewForConfig(config)
}

// secrets makes the namespace, and in it what an operator keeps out of the chart's values.
func (i *Installer) secrets(ctx context.Context, cluster kubernetes.Interface) error {
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: Namespace}}
	if _, err := cluster.CoreV1().Namespaces().Create(ctx, ns, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("making namespace %s: %w", Namespace, err)
	}
	simulator, err := readDir(i.simulatorDir())
	if err != nil {
		return err
	}
	key, err := account.Key(account.Invoicer)
	if err != nil {
		return err
	}
	gas := map[string][]byte{"key": []byte(hex.EncodeToString(crypto.FromECDSA(key)))}
	return errors.Join(
		createSecret(ctx, cluster, simulatorSecret, simulator),
		createSecret(ctx, cluster, gasKeySecret, gas))
}

func readDir(dir string) (map[string][]byte, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	out := map[string][]byte{}
	for _, e := range entries {
		if out[e.Name()], err = os.ReadFile(filepath.Join(dir, e.Name())); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func createSecret(ctx context.Context, cluster kubernetes.Interface, name string, data map[string][]byte) error {
	s := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: name}, Data: data}
	if _, err := cluster.CoreV1().Secrets(Namespace).Create(ctx, s, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("making secret %s: %w", name, err)
	}
	return nil
}

// chart installs or upgrades the provider's chart and waits until all of it is ready.
func (i *Installer) chart(ctx context.Context, c Contracts) error {
	ch, err := loader.Load(i.Chart)
	if err != nil {
		return fmt.Errorf("loading the chart: %w", err)
	}
	values, err := i.values(c)
	if err != nil {
		return err
	}
	config, err := i.helm()
	if err != nil {
		return err
	}

	_, err = action.NewHistory(config).Run(release)
	if errors.Is(err, driver.ErrReleaseNotFound) {
		install := action.NewInstall(config)
		install.ReleaseName, install.Namespace = release, Namespace
		install.ServerSideApply = true
		install.WaitStrategy, install.Timeout = kube.StatusWatcherStrategy, readyLimit
		_, err = install.RunWithContext(ctx, ch, values)
		return explain("installing the chart", err)
	}
	if err != nil {
		return fmt.Errorf("reading the release: %w", err)
	}
	upgrade := action.NewUpgrade(config)
	upgrade.Namespace = Namespace
	upgrade.TakeOwnership = true // of kinds that an older chart brought without saying whose they are
	upgrade.WaitStrategy, upgrade.Timeout = kube.StatusWatcherStrategy, readyLimit
	_, err = upgrade.RunWithContext(ctx, release, ch, values)
	return explain("upgrading the chart", err)
}

// helm is what Helm's actions act on.
func (i *Installer) helm() (*action.Configuration, error) {
	settings := cli.New()
	settings.KubeConfig = i.Kubeconfig
	settings.SetNamespace(Namespace)
	config := action.NewConfiguration(action.ConfigurationSetLogger(i.Log.Handler()))
	if err := config.Init(settings.RESTClientGetter(), Namespace, "secret"); err != nil {
		return nil, fmt.Errorf("reaching the cluster: %w", err)
	}
	return config, nil
}

// Test runs the chart's tests, as helm test does, and writes their logs.
func (i *Installer) Test(logs io.Writer) error {
	config, err := i.helm()
	if err != nil {
		return err
	}
	test := action.NewReleaseTesting(config)
	test.Namespace, test.Timeout = Namespace, testLimit
	rel, finish, runErr := test.Run(release)
	if r, ok := rel.(*releasev1.Release); ok && r != nil {
		runErr = errors.Join(runErr, test.GetPodLogs(logs, r))
	}
	return explain("testing the chart", errors.Join(runErr, finish()))
}

func explain(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w (see what its pods say: kubectl -n %s get pods)", what, err, Namespace)
}

// values are what a provider would write into a file.
func (i *Installer) values(c Contracts) (map[string]any, error) {
	provider, err := account.Address(account.Provider)
	if err != nil {
		return nil, err
	}
	var rpc []any // as a file of values would have it
	for _, url := range i.ClusterRPC {
		rpc = append(rpc, url)
	}
	return map[string]any{
		"image": i.Image,
		"provider": map[string]any{
			"address": strings.ToLower(provider.Hex()), "gasKeySecret": gasKeySecret,
		},
		"chain": map[string]any{
			"rpc": rpc, "id": i.ChainID, "channels": c.Channels.Hex(), "token": c.Token.Hex(), "cidr": i.NodeIP + "/32",
			// One node behind them all, which takes nothing back: what most say is final, and nobody waits for it.
			"confirmations": 0, "finalAfter": 1,
		},
		"tee":       map[string]any{"simulatorSecret": simulatorSecret},
		"public":    map[string]any{"domain": domain, "port": i.FacadePort},
		"nodePorts": map[string]any{"facade": i.FacadeNodePort, "gateway": i.GatewayNodePort},
		"network":   map[string]any{"apiServer": map[string]any{"cidr": i.NodeIP + "/32", "port": i.APINodePort}},
		// A machine has a widget if somebody puts one into its Node's status.
		"prices": map[string]any{"perUnitHour": map[string]any{"example.org/widget": 900_000}},
		// Quicker than a provider would have it, so that people see their bill grow.
		"meter":    map[string]any{"tick": "5s"},
		"egress":   map[string]any{"enabled": true, "every": "2s"},
		"keeper":   map[string]any{"voucherEvery": "5s"},
		"invoicer": map[string]any{"claimEvery": "5s", "batchEvery": "1s"},
		// Addresses that are nobody's, for a webhook in a namespace of this machine's.
		"notifier": map[string]any{"allow": []any{"198.51.100.0/24"}, "rootsConfigMap": "webhook-roots"},
	}, nil
}

// peerPattern is how peer ids with Ed25519 keys look.
var peerPattern = regexp.MustCompile(`12D3KooW[1-9A-HJ-NP-Za-km-z]{44}`)

// gatewayPeer reads the gateway's peer id where it tells its operator: in its log.
func gatewayPeer(ctx context.Context, cluster kubernetes.Interface) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, readyLimit)
	defer cancel()
	for {
		log, err := cluster.CoreV1().RESTClient().Get().Namespace(Namespace).
			Resource("pods").Name(podOf(ctx, cluster, "gateway")).SubResource("log").DoRaw(ctx)
		if err == nil {
			if peer := peerPattern.Find(log); peer != nil {
				return string(peer), nil
			}
			err = errors.New("its log does not say")
		}
		select {
		case <-ctx.Done():
			return "", fmt.Errorf("asking the gateway for its peer id: %w", errors.Join(err, ctx.Err()))
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// podOf returns the name of a pod of a service of the provider's, or a name that no pod has.
func podOf(ctx context.Context, cluster kubernetes.Interface, service string) string {
	pods, err := cluster.CoreV1().Pods(Namespace).List(ctx, metav1.ListOptions{LabelSelector: "app.kubernetes.io/component=" + service})
	if err != nil {
		return "-"
	}
	for _, p := range pods.Items {
		if p.DeletionTimestamp == nil && p.Status.Phase == corev1.PodRunning {
			return p.Name
		}
	}
	return "-"
}
