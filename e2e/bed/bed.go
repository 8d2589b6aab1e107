// SPDX-License-Identifier: Apache-2.0

// Package bed is what the end-to-end tests stand on: a devnet that is up, publishers with wallets and the binaries that people run, images to
// order, and a publisher that says on the wire what it likes. Nothing here judges; what must be true is each test's to say.
//
// It reads build/devnet/env, as a person would source it, and tests are skipped unless APOCRYPH_E2E=1 (make e2e sets it).
package bed

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	corev1 "k8s.io/api/core/v1"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/apocryph/apocryph/api/v1alpha1"
	"github.com/apocryph/apocryph/internal/evm"
	"github.com/apocryph/apocryph/internal/kube"
	"github.com/apocryph/apocryph/internal/tariff"
)

const (
	// SystemNamespace is the provider's.
	SystemNamespace = "apocryph-system"

	readyLimit = 2 * time.Minute
)

// Devnet is what the tests know of the devnet: what a user is told.
type Devnet struct {
	// Root is the checkout's folder.
	Root string
	// Env is build/devnet/env.
	Env map[string]string
	// Kube is the cluster's API, as its administrator.
	Kube client.WithWatch
}

// Connect finds the devnet of this checkout.
func Connect(t *testing.T) *Devnet {
	t.Helper()
	if os.Getenv("APOCRYPH_E2E") == "" {
		t.Skip("needs a devnet: run make e2e")
	}
	return At(t, checkout(t))
}

// At finds the devnet of another checkout.
func At(t *testing.T, root string) *Devnet {
	t.Helper()
	d := &Devnet{Root: root, Env: map[string]string{}}
	data, err := os.ReadFile(filepath.Join(d.Root, "build", "devnet", "env"))
	if err != nil {
		t.Fatalf("no devnet is up (make devnet): %v", err)
	}
	for line := range strings.Lines(string(data)) {
		name, value, ok := strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), "export "), "=")
		if ok && !strings.HasPrefix(name, "#") {
			d.Env[name] = strings.Trim(value, `'"`)
		}
	}
	cfg, err := kube.Config(d.Env["KUBECONFIG"])
	if err != nil {
		t.Fatal(err)
	}
	if d.Kube, err = kube.Client(cfg); err != nil {
		t.Fatal(err)
	}
	return d
}

// checkout is the folder that holds the devnet's module, at or above the test's own.
func checkout(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "devnet", "go.mod")); err == nil {
			return dir
		} else if !errors.Is(err, fs.ErrNotExist) || dir == filepath.Dir(dir) {
			t.Fatalf("finding the checkout: %v", err)
		}
		dir = filepath.Dir(dir)
	}
}

// Apps lists what the provider runs, by app id.
func (d *Devnet) Apps(t *testing.T) map[string]v1alpha1.App {
	t.Helper()
	var list v1alpha1.AppList
	if err := d.Kube.List(t.Context(), &list, client.InNamespace(SystemNamespace)); err != nil {
		t.Fatal(err)
	}
	found := map[string]v1alpha1.App{}
	for _, a := range list.Items {
		found[a.Name] = a
	}
	return found
}

// Web reaches apps by their host names, through the facade.
func (d *Devnet) Web() *http.Client {
	dial := func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, d.Env["APOCRYPH_FACADE"])
	}
	return &http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true, DisableCompression: true}, Timeout: 10 * time.Second}
}

// Left is nil when the cluster has neither the namespace nor a volume of an app.
func (d *Devnet) Left(t *testing.T, app string) error {
	t.Helper()
	name := v1alpha1.Namespace(app)
	ns := &corev1.Namespace{}
	if err := d.Kube.Get(t.Context(), client.ObjectKey{Name: name}, ns); err == nil {
		return fmt.Errorf("the namespace is %s", ns.Status.Phase)
	} else if client.IgnoreNotFound(err) != nil {
		return err
	}
	var volumes corev1.PersistentVolumeList
	if err := d.Kube.List(t.Context(), &volumes); err != nil {
		return err
	}
	for _, v := range volumes.Items {
		if v.Spec.ClaimRef != nil && v.Spec.ClaimRef.Namespace == name {
			return fmt.Errorf("volume %s is %s", v.Name, v.Status.Phase)
		}
	}
	return nil
}

// Get asks an app for a path, through the facade, by its host name.
func (d *Devnet) Get(ctx context.Context, url string) (int, string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, "", err
	}
	res, err := d.Web().Do(req)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	return res.StatusCode, string(body), err
}

// Balance is what an account has of the test token, asked of the chain itself.
func (d *Devnet) Balance(t *testing.T, account common.Address) tariff.Amount {
	t.Helper()
	c, err := evm.Dial(t.Context(), []string{d.Env["APOCRYPH_RPC"]}, evm.Config{Channels: common.HexToAddress(d.Env["APOCRYPH_CHANNELS"])})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	b, err := c.Balance(t.Context(), common.HexToAddress(d.Env["APOCRYPH_TOKEN"]), account)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Eventually asks again until ok says yes, for a bounded time. It is how one waits for another process, not a measurement.
func Eventually(t *testing.T, what string, ok func() error) {
	t.Helper()
	deadline := time.After(readyLimit)
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ok()
		if err == nil {
			return
		}
		select {
		case <-deadline:
			t.Fatalf("%s: not within %s: %v", what, readyLimit, err)
		case <-tick.C:
		}
	}
}

// Inside is where this machine sees a path of the devnet's inside.
func (d *Devnet) Inside(path string) (string, error) {
	content, err := os.ReadFile(filepath.Join(d.Root, "build", "devnet", "supervisor.pid"))
	if err != nil {
		return "", err
	}
	lists, err := filepath.Glob("/proc/" + strings.TrimSpace(string(content)) + "/task/*/children")
	if err != nil {
		return "", err
	}
	for _, list := range lists {
		children, err := os.ReadFile(list)
		if err == nil && len(strings.Fields(string(children))) > 0 {
			return filepath.Join("/proc", strings.Fields(string(children))[0], "root", path), nil
		}
	}
	return "", errors.New("the devnet has no init process")
}
