// SPDX-License-Identifier: Apache-2.0

package scale

import (
	"bufio"
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/apocryph/apocryph/internal/kube"
)

//go:embed stages.yaml
var stages []byte

// plane is the API server that the run has for itself, with kwok's machines.
type plane struct {
	Kubeconfig string         `json:"kubeconfig"`
	Account    string         `json:"account"`
	Audit      string         `json:"audit"`
	PIDs       map[string]int `json:"pids"`

	dir     string
	process *exec.Cmd
	stdin   io.Closer
	cluster kubernetes.Interface
	objects client.Client
}

// build builds a program of one of the repository's modules.
func build(ctx context.Context, module, pkg, out string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-o", out, pkg)
	cmd.Dir, cmd.Env = module, append(os.Environ(), "CGO_ENABLED=0")
	if said, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building %s: %w\n%s", pkg, err, said)
	}
	return nil
}

// newPlane builds and starts everything in a folder.
func newPlane(ctx context.Context, dir string, log io.Writer) (*plane, error) {
	program, script, state := filepath.Join(dir, "plane"), filepath.Join(dir, "stages.yaml"), filepath.Join(dir, "state")
	if err := build(ctx, "devnet", "./cmd/plane", program); err != nil {
		return nil, err
	}
	if err := os.WriteFile(script, stages, 0o600); err != nil {
		return nil, err
	}
	if err := os.Mkdir(state, 0o700); err != nil {
		return nil, err
	}
	p := &plane{dir: dir, process: exec.CommandContext(ctx, program, "--dir="+state, "--stages="+script)}
	p.process.Dir, p.process.Stderr = "devnet", log
	p.process.Cancel = func() error { return p.process.Process.Signal(syscall.SIGTERM) }
	in, err := p.process.StdinPipe()
	if err != nil {
		return nil, err
	}
	p.stdin = in
	out, err := p.process.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.process.Start(); err != nil {
		return nil, fmt.Errorf("starting the API server: %w", err)
	}
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err != nil {
		return p, fmt.Errorf("starting the API server: %w", p.process.Wait())
	}
	if err := json.Unmarshal(line, p); err != nil {
		return p, fmt.Errorf("reading where the API server is: %w", err)
	}
	config, err := clientcmd.BuildConfigFromFlags("", p.Kubeconfig)
	if err != nil {
		return p, err
	}
	config.QPS, config.Burst = -1, -1
	if p.objects, err = client.New(config, client.Options{Scheme: kube.Scheme()}); err != nil {
		return p, err
	}
	config.ContentType = runtime.ContentTypeProtobuf
	p.cluster, err = kubernetes.NewForConfig(config)
	return p, err
}

// stop ends everything.
func (p *plane) stop() error {
	if err := p.stdin.Close(); err != nil {
		return err
	}
	return p.process.Wait()
}

// meter is the process that is measured.
type meter struct {
	cmd    *exec.Cmd
	stderr bytes.Buffer
}

// startMeter starts the provider's own program with the service's own account.
func startMeter(ctx context.Context, program, kubeconfig string, tick time.Duration) (*meter, error) {
	m := &meter{cmd: exec.CommandContext(ctx, program, "meter", "--kubeconfig="+kubeconfig, "--metrics=127.0.0.1:0", "--tick="+tick.String())}
	m.cmd.Stderr, m.cmd.Stdout = &m.stderr, &m.stderr
	m.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	m.cmd.WaitDelay = 5 * time.Second
	if err := m.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting the meter: %w", err)
	}
	return m, nil
}

// stop ends the meter and returns what it had to say.
func (m *meter) stop() (string, error) {
	if err := m.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return m.stderr.String(), err
	}
	err := m.cmd.Wait()
	return m.stderr.String(), err
}
