// SPDX-License-Identifier: Apache-2.0

// Package e2e tests the whole on a devnet that is up: real API server, real chain, real containers, the binaries that people run.
// It reads build/devnet/env, as a person would source it, and is skipped unless APOCRYPH_E2E=1 (make e2e sets it).
package e2e

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/apocryph/apocryph/api/v1alpha1"
	"github.com/apocryph/apocryph/internal/kube"
)

const (
	systemNamespace = "apocryph-system"
	readyLimit      = 2 * time.Minute
	probeImage      = "apocryph.test/probe:1"
)

// devnet is what the tests know of the devnet: what a user is told.
type devnet struct {
	root string
	env  map[string]string
	kube client.WithWatch
}

func connect(t *testing.T) *devnet {
	t.Helper()
	if os.Getenv("APOCRYPH_E2E") == "" {
		t.Skip("needs a devnet: run make e2e")
	}
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(root, "build", "devnet", "env"))
	if err != nil {
		t.Fatalf("no devnet is up (make devnet): %v", err)
	}
	d := &devnet{root: root, env: map[string]string{}}
	for line := range strings.Lines(string(data)) {
		name, value, ok := strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), "export "), "=")
		if ok && !strings.HasPrefix(name, "#") {
			d.env[name] = strings.Trim(value, `'"`)
		}
	}
	cfg, err := kube.Config(d.env["KUBECONFIG"])
	if err != nil {
		t.Fatal(err)
	}
	if d.kube, err = kube.Client(cfg); err != nil {
		t.Fatal(err)
	}
	return d
}

// person is a publisher with a wallet, a home and a shell of their own.
type person struct {
	*devnet
	t    *testing.T
	home string
	env  []string
}

// newPerson makes a publisher; with funds, the devnet's faucet fills their wallet.
func (d *devnet) newPerson(t *testing.T, funded bool) *person {
	t.Helper()
	home := t.TempDir()
	p := &person{devnet: d, t: t, home: home}
	own := map[string]string{}
	for k, v := range d.env {
		own[k] = v
	}
	own["APOCRYPH_WALLET"] = filepath.Join(home, "wallet.json")
	own["APOCRYPH_PASSPHRASE"] = "correct horse"
	own["APOCRYPH_STATE"] = filepath.Join(home, "state")
	own["APOCRYPH_IMAGES"] = d.env["APOCRYPH_IMAGES"] + "," + buildProbe(t)
	p.env = append(os.Environ(), "HOME="+home)
	for k, v := range own {
		p.env = append(p.env, k+"="+v)
	}
	var wallet struct {
		Address string `json:"address"`
	}
	p.mustJSON(&wallet, "wallet", "new", "--light")
	if funded {
		cmd := exec.CommandContext(t.Context(), filepath.Join(d.root, "build", "bin", "devnet"), "faucet", wallet.Address)
		cmd.Dir = d.root
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("faucet: %v\n%s", err, out)
		}
	}
	return p
}

// result is how a command ended.
type result struct {
	stdout, stderr string
	code           int
}

// run runs the client as this person would.
func (p *person) run(args ...string) result {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(p.t.Context()), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(p.root, "build", "bin", "apocryph"), args...)
	cmd.Env, cmd.Dir = p.env, p.home
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	p.t.Logf("apocryph %s (%v)\n%s%s", strings.Join(args, " "), err, stdout.String(), stderr.String())
	return result{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

// must is run for what has to work.
func (p *person) must(args ...string) string {
	p.t.Helper()
	r := p.run(args...)
	if r.code != 0 {
		p.t.Fatalf("apocryph %s: exit %d\n%s", strings.Join(args, " "), r.code, r.stderr)
	}
	return r.stdout
}

// mustJSON is must for a command with --json; its last line is the result.
func (p *person) mustJSON(into any, args ...string) {
	p.t.Helper()
	lines := strings.Split(strings.TrimSpace(p.must(append(args, "--json")...)), "\n")
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), into); err != nil {
		p.t.Fatalf("apocryph %s --json wrote %q: %v", strings.Join(args, " "), lines[len(lines)-1], err)
	}
}

// write puts a file into the person's home.
func (p *person) write(name, content string) string {
	p.t.Helper()
	path := filepath.Join(p.home, name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		p.t.Fatal(err)
	}
	return path
}

// apps lists what the provider runs, by app id.
func (d *devnet) apps(t *testing.T) map[string]v1alpha1.App {
	t.Helper()
	var list v1alpha1.AppList
	if err := d.kube.List(t.Context(), &list, client.InNamespace(systemNamespace)); err != nil {
		t.Fatal(err)
	}
	found := map[string]v1alpha1.App{}
	for _, a := range list.Items {
		found[a.Name] = a
	}
	return found
}

// get asks an app for a path, through the facade, by its host name.
func (d *devnet) get(ctx context.Context, url string) (int, string, error) {
	dial := func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, d.env["APOCRYPH_FACADE"])
	}
	hc := &http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}, Timeout: 10 * time.Second}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, "", err
	}
	res, err := hc.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	return res.StatusCode, string(body), err
}

// eventually asks again until ok says yes, for a bounded time. It is how one waits for another process, not a measurement.
func eventually(t *testing.T, what string, ok func() error) {
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

// buildProbe makes an image layout with the probe and returns its folder.
func buildProbe(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	bin := filepath.Join(dir, "probe")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-buildvcs=false", "-o", bin, "./probe")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building the probe: %v\n%s", err, out)
	}
	program, err := os.ReadFile(bin)
	if err != nil {
		t.Fatal(err)
	}
	var fs bytes.Buffer
	w := tar.NewWriter(&fs)
	for _, h := range []*tar.Header{
		{Name: "probe", Mode: 0o755, Size: int64(len(program)), Typeflag: tar.TypeReg},
		{Name: "etc/", Mode: 0o755, Typeflag: tar.TypeDir},
		{Name: "data/", Mode: 0o755, Typeflag: tar.TypeDir},
	} {
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if h.Size > 0 {
			if _, err := w.Write(program); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(fs.Bytes())), nil })
	if err != nil {
		t.Fatal(err)
	}
	img, err := mutate.AppendLayers(empty.Image, layer)
	if err != nil {
		t.Fatal(err)
	}
	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", "amd64"
	config.Config.Entrypoint = []string{"/probe"}
	if img, err = mutate.ConfigFile(img, config); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(dir, "images")
	path, err := layout.Write(out, empty.Index)
	if err != nil {
		t.Fatal(err)
	}
	if err := path.AppendImage(img, layout.WithAnnotations(map[string]string{"org.opencontainers.image.ref.name": probeImage})); err != nil {
		t.Fatal(err)
	}
	return out
}

// probeFile is an app file for the probe.
func probeFile(host string) string {
	x := ""
	if host != "" {
		x = fmt.Sprintf("x-apocryph:\n  http: {service: probe, port: 8080, host: %s}\n", host)
	}
	return "services:\n  probe:\n    image: " + probeImage + "\n    ports: [\"8080:8080\"]\n    cpus: 0.1\n    mem_limit: 64m\n    volumes: [\"data:/data\"]\nvolumes:\n  data:\n    x-apocryph: {size: 64MiB}\n" + x
}
