// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	// probeInterval is how often a starting part is asked whether it is ready.
	probeInterval = 50 * time.Millisecond
	// restartDelay is how long a part that ended stays down, so that one that ends at once does not keep the machine busy.
	restartDelay = time.Second
)

// runner starts parts in order and keeps their status.
type runner struct {
	log   *slog.Logger
	parts []Part

	mu     sync.Mutex
	status Status
	pids   map[int]int // of running parts, to their index
	ready  []chan struct{}
}

func newRunner(parts []Part, log *slog.Logger) *runner {
	r := &runner{log: log, parts: parts, pids: map[int]int{}}
	for _, p := range parts {
		r.status.Parts = append(r.status.Parts, PartStatus{Name: p.Name, Phase: Waiting})
		r.ready = append(r.ready, make(chan struct{}))
	}
	return r
}

// run starts the parts, and reaps until the process is killed.
func (r *runner) run() error {
	if err := checkOrder(r.parts); err != nil {
		return err
	}
	r.update(func() {})
	for i := range r.parts {
		go r.bringUp(i)
	}
	reap(r.ended)
	return nil
}

// checkOrder makes sure that every part waits only for parts before it in the list.
func checkOrder(parts []Part) error {
	seen := map[string]bool{}
	for _, p := range parts {
		for _, a := range p.After {
			if !seen[a] {
				return fmt.Errorf("part %s comes after %s, which is not before it in the list", p.Name, a)
			}
		}
		seen[p.Name] = true
	}
	return nil
}

// bringUp waits for the parts before part i and launches it.
func (r *runner) bringUp(i int) {
	for _, name := range r.parts[i].After {
		<-r.ready[slices.IndexFunc(r.parts, func(q Part) bool { return q.Name == name })]
	}
	r.launch(i)
}

// launch starts part i and waits until it answers.
func (r *runner) launch(i int) {
	p := r.parts[i]
	if err := r.start(i); err != nil {
		r.log.Error("part did not start", "part", p.Name, "err", err)
		r.update(func() {
			s := &r.status.Parts[i]
			s.Phase, s.Ended, s.Exit = Ended, time.Now(), err.Error()
		})
		return
	}
	started := r.part(i).Started
	for !answers(p) {
		if now := r.part(i); now.Phase != Starting || now.Started != started {
			return // it ended, and may have been launched again
		}
		time.Sleep(probeInterval)
	}
	r.update(func() {
		s := &r.status.Parts[i]
		if s.Phase != Starting || s.Started != started {
			return
		}
		if s.Ready.IsZero() {
			close(r.ready[i])
		}
		s.Phase, s.Ready = Ready, time.Now()
	})
}

func (r *runner) part(i int) PartStatus {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.status.Parts[i]
}

func (r *runner) start(i int) error {
	p := r.parts[i]
	out, err := os.OpenFile(filepath.Join(StateDir, "log", p.Name+".log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	defer func() { _ = out.Close() }()
	null, err := os.Open(os.DevNull)
	if err != nil {
		return err
	}
	defer func() { _ = null.Close() }()

	r.mu.Lock()
	defer r.mu.Unlock() // held over the fork, so that the reaper knows the pid
	proc, err := os.StartProcess(filepath.Join(BinDir, p.Args[0]), p.Args, &os.ProcAttr{
		Dir:   StateDir,
		Env:   append(os.Environ(), "HOME=/root"),
		Files: []*os.File{null, out, out},
	})
	if err != nil {
		return err
	}
	r.pids[proc.Pid] = i
	s := &r.status.Parts[i]
	s.Phase, s.Started, s.PID = Starting, time.Now(), proc.Pid
	return r.save()
}

// ended takes note of an ended child.
func (r *runner) ended(pid int, status syscall.WaitStatus) {
	r.update(func() {
		i, ok := r.pids[pid]
		if !ok {
			return // an orphan, such as a container's shim
		}
		delete(r.pids, pid)
		s := &r.status.Parts[i]
		s.Phase, s.Ended, s.PID = Ended, time.Now(), 0
		if status.Signaled() {
			s.Exit = status.Signal().String()
		} else {
			s.Exit = fmt.Sprintf("exit status %d", status.ExitStatus())
		}
		r.log.Error("part ended", "part", s.Name, "exit", s.Exit)
		if again(r.parts[i], *s) {
			s.Phase, s.Restarts = Waiting, s.Restarts+1
			time.AfterFunc(restartDelay, func() { r.launch(i) })
		}
	})
}

// again says whether a part that ended is started again.
func again(p Part, s PartStatus) bool { return !p.Once && !s.Ready.IsZero() }

// update changes the status and stores it.
func (r *runner) update(change func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change()
	if err := r.save(); err != nil {
		r.log.Error("status not stored", "err", err)
	}
}

func (r *runner) save() error { return writeJSON(filepath.Join(StateDir, "status.json"), r.status) }

// answers says whether what a part's Ready names can be reached.
func answers(p Part) bool {
	ready := p.Ready
	switch {
	case ready == "":
		return true
	case strings.HasPrefix(ready, "http"):
		return httpOK(ready, p.ReadyAs)
	default:
		network, target, _ := strings.Cut(ready, ":")
		conn, err := net.DialTimeout(network, target, time.Second) //nolint:noctx // bounded by its timeout
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	}
}

func httpOK(url, as string) bool {
	// Only asks whether the part is up, on a loopback that is the sandbox's own: no server certificate to check.
	config := &tls.Config{InsecureSkipVerify: true}
	if as != "" {
		cert, err := tls.LoadX509KeyPair(as+".crt", as+".key")
		if err != nil {
			return false
		}
		config.Certificates = []tls.Certificate{cert}
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	resp, err := client.Do(req)
	if err != nil {
		return false
	}
	_ = resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}
