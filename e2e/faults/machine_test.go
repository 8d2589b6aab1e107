// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/rpc"
	"golang.org/x/sys/unix"
	appsv1 "k8s.io/api/apps/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/apocryph/apocryph/e2e/bed"
)

// ground is the devnet as one breaks it: from the machine's side.
type ground struct {
	*bed.Devnet

	state  string // the devnet's folder
	cgroup string // of its processes
	volume string // the folder of volumes, on the inside
	// endpoints of the chain that are as good as the weather, for publishers.
	endpoints []string
}

// imageDisk is where the image store's disk is mounted, on the inside.
const imageDisk = "/var/lib/apocryph"

func newGround(t *testing.T) *ground {
	t.Helper()
	g := &ground{Devnet: bed.Connect(t)}
	g.state = filepath.Join(g.Root, "build", "devnet")
	var spec struct {
		Cgroup   string `json:"cgroup"`
		Volumes  string `json:"volumes"`
		Forwards []struct {
			Name string `json:"name"`
			Host int    `json:"host"`
		} `json:"forwards"`
	}
	content, err := os.ReadFile(filepath.Join(g.state, "spec.json"))
	if err == nil {
		err = json.Unmarshal(content, &spec)
	}
	if err != nil {
		t.Fatal(err)
	}
	g.cgroup, g.volume = spec.Cgroup, spec.Volumes
	for _, f := range spec.Forwards {
		if f.Name == "weather" {
			for _, name := range allEndpoints() {
				g.endpoints = append(g.endpoints, "http://"+net.JoinHostPort("127.0.0.1", strconv.Itoa(f.Host))+"/"+name)
			}
		}
	}
	if len(g.endpoints) == 0 {
		t.Fatal("this devnet has no weather: bring it up anew")
	}
	return g
}

// healing ends a fault, or waits for its end.
type healing func(context.Context) error

// strike lets a fault begin, and returns what ends it.
func (g *ground) strike(f fault) (heal healing, err error) {
	nothing := func(context.Context) error { return nil }
	switch f.kind {
	case service:
		return g.killService(f.what)
	case machine:
		return g.killPart(f.what)
	case chain:
		return func(context.Context) error { return g.clear() }, g.report(f)
	case disk:
		return g.fill()
	case leap:
		return nothing, g.leap(f.n)
	case none:
	}
	return nothing, nil
}

// leap makes a block that is so many seconds later than the one before. Nothing takes that back: the clock has to catch up.
func (g *ground) leap(seconds int64) error {
	c, err := rpc.Dial(g.Env["APOCRYPH_RPC"])
	if err != nil {
		return err
	}
	defer c.Close()
	return c.Call(nil, "evm_increaseTime", seconds)
}

// report writes the weather.
func (g *ground) report(f fault) error {
	report := map[string]any{}
	for _, name := range f.at {
		report[name] = map[string]any{"mode": f.what, "n": f.n}
	}
	content, err := json.Marshal(report)
	if err != nil {
		return err
	}
	path := filepath.Join(g.state, "weather.json")
	if err := os.WriteFile(path+".new", content, 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// clear makes fair weather.
func (g *ground) clear() error {
	err := os.Remove(filepath.Join(g.state, "weather.json"))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

// processes lists those of the devnet that run a program with a first argument, by the machine's names.
func (g *ground) processes(program, first string) []int {
	all, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil
	}
	var found []int
	for _, dir := range all {
		args, err := os.ReadFile(filepath.Join(dir, "cmdline"))
		if err != nil {
			continue // it ended
		}
		arg := strings.Split(string(args), "\x00")
		if len(arg) < 2 || filepath.Base(arg[0]) != program || arg[1] != first {
			continue
		}
		cgroup, err := os.ReadFile(filepath.Join(dir, "cgroup"))
		if err != nil || !strings.Contains(string(cgroup), g.cgroup+"/") && !strings.Contains(string(cgroup), g.cgroup+"\n") {
			continue // of another devnet
		}
		if pid, err := strconv.Atoi(filepath.Base(dir)); err == nil {
			found = append(found, pid)
		}
	}
	return found
}

// killService kills one of the provider's services as the machine's OOM killer would. It is kubelet's to start it again.
func (g *ground) killService(name string) (healing, error) {
	old := g.processes("apocryphd", name)
	for _, pid := range old {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			return nil, fmt.Errorf("killing %s: %w", name, err)
		}
	}
	return func(ctx context.Context) error {
		return eventually(ctx, time.Minute, func(context.Context) error {
			now := g.processes("apocryphd", name)
			if len(now) == 0 || slices.Equal(now, old) {
				return fmt.Errorf("%s was not started again", name)
			}
			return nil
		})
	}, nil
}

// killPart kills one of the machine's processes. It is init's to start it again.
func (g *ground) killPart(name string) (healing, error) {
	before, err := g.part(name)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(filepath.Join(g.Root, "build", "bin", "devnet"), "kill", name)
	cmd.Dir = g.Root
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("killing %s: %w: %s", name, err, out)
	}
	return func(ctx context.Context) error {
		return eventually(ctx, time.Minute, func(context.Context) error {
			now, err := g.part(name)
			if err == nil && now.Restarts <= before.Restarts {
				err = fmt.Errorf("%s was not started again", name)
			}
			return err
		})
	}, nil
}

// partStatus is what the devnet's init knows of one of its processes.
type partStatus struct {
	Name, Phase, Exit string
	Restarts          int
}

func (g *ground) parts() ([]partStatus, error) {
	var status struct{ Parts []partStatus }
	err := readJSON(filepath.Join(g.state, "status.json"), &status)
	return status.Parts, err
}

func (g *ground) part(name string) (partStatus, error) {
	all, err := g.parts()
	i := slices.IndexFunc(all, func(p partStatus) bool { return p.Name == name })
	if i < 0 {
		return partStatus{}, errors.Join(fmt.Errorf("the devnet has no %s", name), err)
	}
	return all[i], nil
}

// fill leaves no room on the image store's disk.
func (g *ground) fill() (heal healing, err error) {
	dir, err := g.Inside(imageDisk)
	if err != nil {
		return nil, err
	}
	free, err := fillUp(dir)
	return func(context.Context) error { return free() }, err
}

// fillUp leaves no room on the disk of a folder.
func fillUp(dir string) (free func() error, err error) {
	filler := filepath.Join(dir, "filler")
	f, err := os.Create(filler)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	// In ever smaller pieces, because a piece that does not fit is not taken in part.
	for size, at := int64(1<<30), int64(0); size >= 4096; {
		switch err := unix.Fallocate(int(f.Fd()), 0, at, size); {
		case err == nil:
			at += size
		case errors.Is(err, unix.ENOSPC):
			size /= 2
		case !errors.Is(err, unix.EINTR):
			return nil, errors.Join(fmt.Errorf("filling %s: %w", dir, err), os.Remove(filler))
		}
	}
	return func() error { return os.Remove(filler) }, nil
}

// healed returns once every process runs again.
func (g *ground) healed(ctx context.Context) error {
	return eventually(ctx, 2*time.Minute, func(ctx context.Context) error {
		all, err := g.parts()
		if err != nil {
			return err
		}
		for _, p := range all {
			if p.Phase != "ready" {
				return fmt.Errorf("%s is %s (%s)", p.Name, p.Phase, p.Exit)
			}
		}
		for _, name := range services() {
			if len(g.processes("apocryphd", name)) == 0 {
				return fmt.Errorf("%s does not run", name)
			}
		}
		return g.servicesReady(ctx)
	})
}

func (g *ground) servicesReady(ctx context.Context) error {
	var some appsv1.DeploymentList
	var each appsv1.DaemonSetList
	in := client.InNamespace(bed.SystemNamespace)
	if err := errors.Join(g.Kube.List(ctx, &some, in), g.Kube.List(ctx, &each, in)); err != nil {
		return err
	}
	for _, d := range some.Items {
		if d.Status.ReadyReplicas < d.Status.Replicas || d.Status.Replicas == 0 {
			return fmt.Errorf("%s is not ready", d.Name)
		}
	}
	for _, d := range each.Items {
		if d.Status.NumberReady < d.Status.DesiredNumberScheduled {
			return fmt.Errorf("%s is not ready", d.Name)
		}
	}
	return nil
}

// eventually asks again until ok says yes, for a bounded time. Unlike the bed's, it may be called from any goroutine.
func eventually(ctx context.Context, limit time.Duration, ok func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	tick := time.NewTicker(300 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ok(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("not within %s: %w", limit, err)
		case <-tick.C:
		}
	}
}

// pause waits for d, or less if ctx ends.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
