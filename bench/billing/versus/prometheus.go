// SPDX-License-Identifier: Apache-2.0

package versus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// intervals are how often Prometheus asks.
func intervals() []time.Duration { return []time.Duration{15 * time.Second, time.Minute} }

// readyLimit is for how long a collector may take to answer.
const readyLimit = 2 * time.Minute

// query is how Prometheus is asked what pods had: a selection of the series of requests.
type query struct {
	name string
	// requests are all samples in a window of what containers request, by job and resource.
	requests func(job, resource string, window int) string
}

func queries() []query {
	all := func(job, resource string) string {
		return fmt.Sprintf(`kube_pod_container_resource_requests{job="%s",resource="%s"}`, job, resource)
	}
	return []query{
		{"all samples", func(job, resource string, window int) string {
			return fmt.Sprintf("%s[%ds]", all(job, resource), window)
		}},
		{"samples of running pods", func(job, resource string, window int) string {
			// As often as it was asked.
			return fmt.Sprintf(`(%s * on(namespace, pod) group_left() max by(namespace, pod) (kube_pod_status_phase{job="%s",phase="Running"} == 1))[%ds:%s]`,
				all(job, resource), job, window, job)
		}},
	}
}

// stand is the two collectors as they run.
type stand struct {
	dir         string
	ports       [3]int // of kube-state-metrics, of its own metrics, of Prometheus
	kubeconfig  string
	program     string // Prometheus
	state, prom *exec.Cmd
}

// start builds and starts the collectors.
func start(ctx context.Context, dir string) (*stand, error) {
	s := &stand{dir: dir}
	var err error
	if s.kubeconfig, err = filepath.Abs("build/devnet/etc/kubeconfig"); err != nil {
		return nil, err
	}
	if err := build(ctx); err != nil {
		return nil, err
	}
	if s.program, err = debian(ctx); err != nil {
		return nil, err
	}
	for i := range s.ports {
		if s.ports[i], err = free(ctx); err != nil {
			return nil, err
		}
	}
	var config strings.Builder
	config.WriteString("scrape_configs:\n")
	for _, every := range intervals() {
		fmt.Fprintf(&config, "- job_name: %s\n  scrape_interval: %s\n  scrape_timeout: 10s\n  honor_labels: true\n  static_configs: [{targets: [\"127.0.0.1:%d\"]}]\n",
			job(every), job(every), s.ports[0])
	}
	if err := os.WriteFile(filepath.Join(dir, "prometheus.yml"), []byte(config.String()), 0o600); err != nil {
		return nil, err
	}
	if err := s.run(ctx); err != nil {
		s.stop()
		return nil, err
	}
	return s, nil
}

// job names the series of an interval.
func job(every time.Duration) string { return fmt.Sprintf("%ds", int(every.Seconds())) }

// build builds kube-state-metrics as its module pins it.
func build(ctx context.Context) error {
	out, err := filepath.Abs("build/bin/kube-state-metrics")
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-C", "bench/billing/kube-state-metrics", "-trimpath", "-buildvcs=false", "-o", out, "k8s.io/kube-state-metrics/v2")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-mod=readonly")
	if said, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building kube-state-metrics: %w\n%s", err, said)
	}
	return nil
}

// debian downloads Debian's Prometheus, once, and returns its path. Apt checks its signature; nothing is installed.
func debian(ctx context.Context) (string, error) {
	dir, err := filepath.Abs("build/prometheus")
	if err != nil {
		return "", err
	}
	program := filepath.Join(dir, "usr", "bin", "prometheus")
	if _, err := os.Stat(program); err == nil {
		return program, nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	for _, args := range [][]string{
		{"apt-get", "-q", "update"},
		{"apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", "prometheus"},
		{"sh", "-c", "dpkg-deb -x prometheus_*.deb . && rm prometheus_*.deb"},
	} {
		cmd := exec.CommandContext(ctx, args[0], args[1:]...)
		cmd.Dir = dir
		if said, err := cmd.CombinedOutput(); err != nil {
			return "", fmt.Errorf("%s: %w\n%s", strings.Join(args, " "), err, said)
		}
	}
	return program, nil
}

// free returns a port of loopback that nobody has now.
func free(ctx context.Context) (int, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	return l.Addr().(*net.TCPAddr).Port, l.Close()
}

// run starts both, and waits until they answer.
func (s *stand) run(ctx context.Context) error {
	s.state = exec.CommandContext(ctx, "build/bin/kube-state-metrics", "--kubeconfig="+s.kubeconfig, "--resources=pods,persistentvolumeclaims",
		"--host=127.0.0.1", "--port="+strconv.Itoa(s.ports[0]), "--telemetry-host=127.0.0.1", "--telemetry-port="+strconv.Itoa(s.ports[1]))
	s.prom = exec.CommandContext(ctx, s.program, "--config.file="+filepath.Join(s.dir, "prometheus.yml"),
		"--storage.tsdb.path="+filepath.Join(s.dir, "tsdb"), "--web.listen-address=127.0.0.1:"+strconv.Itoa(s.ports[2]), "--log.level=warn")
	for _, p := range []struct {
		cmd   *exec.Cmd
		ready string
	}{{s.state, fmt.Sprintf("http://127.0.0.1:%d/healthz", s.ports[0])}, {s.prom, fmt.Sprintf("http://127.0.0.1:%d/-/ready", s.ports[2])}} {
		if err := p.cmd.Start(); err != nil {
			return err
		}
		if err := answers(ctx, p.ready); err != nil {
			return fmt.Errorf("%s: %w", p.cmd.Path, err)
		}
	}
	return nil
}

func answers(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, readyLimit)
	defer cancel()
	for {
		_, err := get(ctx, address)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func get(ctx context.Context, address string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(res.Body)
	if err := errors.Join(err, res.Body.Close()); err != nil {
		return nil, err
	}
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", res.Status, body)
	}
	return body, nil
}

// restart kills both, as the machine's OOM killer would, and starts them again.
func (s *stand) restart(ctx context.Context) error {
	s.stop()
	return s.run(ctx)
}

// stop ends what runs.
func (s *stand) stop() {
	for _, cmd := range []*exec.Cmd{s.state, s.prom} {
		if cmd != nil && cmd.Process != nil {
			_ = cmd.Process.Kill()
			_ = cmd.Wait() // it was killed
		}
	}
}

// bill asks Prometheus what each app had, and what that costs.
func (s *stand) bill(ctx context.Context, bills []bill, q query, every time.Duration, begin time.Time) (row, error) {
	r := row{name: fmt.Sprintf("every %s, %s", job(every), q.name), money: make([]float64, len(bills))}
	window := int(time.Since(begin).Seconds())
	for resource, samples := range map[string]string{
		"cpu":       q.requests(job(every), "cpu", window),
		"memory":    q.requests(job(every), "memory", window),
		"ephemeral": q.requests(job(every), "ephemeral_storage", window),
		"storage":   fmt.Sprintf(`kube_persistentvolumeclaim_resource_requests_storage_bytes{job="%s"}[%ds]`, job(every), window),
	} {
		sums, err := s.ask(ctx, "sum by (namespace) (sum_over_time("+samples+"))", "namespace")
		if err != nil {
			return r, err
		}
		for i, b := range bills {
			unit := float64(1 << 30)
			if resource == "cpu" {
				unit = 1 // Prometheus has it in vCPUs
			}
			price, _ := b.Prices[resource].Float64()
			r.money[i] += sums[b.Namespace] * every.Seconds() / unit / 3600 * price
		}
	}
	seen, err := s.ask(ctx, "count by (uid) (count_over_time("+q.requests(job(every), "cpu", window)+"))", "uid")
	if err != nil {
		return r, err
	}
	for _, b := range bills {
		for _, l := range b.Verdict.Lives {
			if l.Kind == "Pod" && l.Seconds > 0 && seen[l.UID] == 0 {
				r.missed++
			}
		}
	}
	return r, nil
}

// ask evaluates a query now, and returns its values by one label.
func (s *stand) ask(ctx context.Context, promQL, by string) (map[string]float64, error) {
	body, err := get(ctx, fmt.Sprintf("http://127.0.0.1:%d/api/v1/query?query=%s", s.ports[2], url.QueryEscape(promQL)))
	if err != nil {
		return nil, err
	}
	var answer struct {
		Data struct {
			Result []struct {
				Metric map[string]string
				Value  [2]any
			}
		}
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, err
	}
	values := map[string]float64{}
	for _, v := range answer.Data.Result {
		text, _ := v.Value[1].(string)
		if values[v.Metric[by]], err = strconv.ParseFloat(text, 64); err != nil {
			return nil, fmt.Errorf("%s: %w", promQL, err)
		}
	}
	if len(values) == 0 {
		return nil, fmt.Errorf("%s: no answer", promQL)
	}
	return values, nil
}
