// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// ports are free ones on loopback.
func ports(t *testing.T, n int) (numbers []int, addresses []string) {
	t.Helper()
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = l.Close() }()
		addresses = append(addresses, l.Addr().String())
		numbers = append(numbers, l.Addr().(*net.TCPAddr).Port)
	}
	return numbers, addresses
}

func TestNetwork(t *testing.T) {
	numbers, at := ports(t, 3)
	ctx, cancel := context.WithCancel(t.Context())
	listening := make(chan error, 1)
	go func() { listening <- Listen(ctx, "127.0.0.1", numbers[0], numbers[1]) }()
	t.Cleanup(func() {
		cancel()
		if err := <-listening; err != nil {
			t.Error(err)
		}
	})
	wait := func(ctx context.Context, _ time.Duration) error { return ctx.Err() } // again at once
	n := Network{Allowed: at[0], EgressDenied: at[2], IngressDenied: at[2], Name: "localhost", Patience: time.Minute, Timeout: time.Second}
	r := n.Try(t.Context(), wait)
	if !r.settled() || r.EgressDenied == OK {
		t.Errorf("closed where it should be, and not: %+v", r)
	}

	// What is not as it should be is tried again until patience ends, and then said.
	n.IngressDenied = at[1]
	rounds := 0
	r = n.Try(t.Context(), func(context.Context, time.Duration) error {
		if rounds++; rounds == 3 {
			return errors.New("out of patience")
		}
		return nil
	})
	if r.Rounds != 3 || r.IngressDenied != OK || r.Allowed != OK {
		t.Errorf("open where it should be closed: %+v", r)
	}
	n.Name = "no-such-name.invalid"
	if r := n.Try(t.Context(), func(context.Context, time.Duration) error { return errors.New("once") }); r.NameError == "" || len(r.Addresses) > 0 {
		t.Errorf("a name that there is none of: %+v", r)
	}
}

func TestWrite(t *testing.T) {
	file := filepath.Join(t.TempDir(), "report")
	if err := Write(file, SelfReport{UIDMap: "0 1 2"}); err != nil {
		t.Fatal(err)
	}
	var r SelfReport
	b, err := os.ReadFile(file)
	if err = errors.Join(err, json.Unmarshal(b, &r)); err != nil || r.UIDMap != "0 1 2" {
		t.Errorf("read %+v, %v", r, err)
	}
	if err := Write(file, SelfReport{UIDMap: strings.Repeat("0", maxReport)}); err == nil {
		t.Error("wrote more than kubelet keeps")
	}
}

func TestSelf(t *testing.T) {
	proc := t.TempDir()
	if r := Self(proc); r.Error == "" {
		t.Errorf("without a map: %+v", r)
	}
	if err := os.Mkdir(filepath.Join(proc, "self"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(proc, "self", "uid_map"), []byte("         0     262144      65536\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if r := Self(proc); r.UIDMap != "0 262144 65536" || r.Error != "" {
		t.Errorf("got %+v", r)
	}
}

func TestTasks(t *testing.T) {
	for name, test := range map[string]struct {
		fails int
		with  error
		want  TasksReport
	}{
		"no limit":             {0, nil, TasksReport{Max: "max", Bound: 10, Started: 10}},
		"a limit":              {4, syscall.EAGAIN, TasksReport{Max: "max", Bound: 10, Started: 3, Limited: true}},
		"a limit of nothing":   {1, syscall.EAGAIN, TasksReport{Max: "max", Bound: 10, Limited: true}},
		"forbidden altogether": {2, syscall.EPERM, TasksReport{Max: "max", Bound: 10, Started: 1, Error: syscall.EPERM.Error()}},
	} {
		t.Run(name, func(t *testing.T) {
			calls, alive := 0, map[int]bool{}
			got := tasks(TasksReport{Max: "max", Bound: 10}, func() (int, error) {
				if calls++; calls == test.fails {
					return 0, test.with
				}
				alive[calls] = true
				return calls, nil
			}, func(pid int) { delete(alive, pid) })
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if len(alive) > 0 {
				t.Errorf("not let go: %v", alive)
			}
		})
	}
}

// Real processes, which count while nobody has reaped them, and are gone afterwards.
func TestForkedProcesses(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("pods run on Linux")
	}
	var pids []int
	counted := 0
	r := tasks(TasksReport{Bound: 20}, func() (int, error) {
		pid, err := fork()
		pids = append(pids, pid)
		if len(pids) == 20 {
			for _, pid := range pids {
				if _, err := os.Stat(filepath.Join("/proc", strconv.Itoa(pid))); err == nil {
					counted++
				}
			}
		}
		return pid, err
	}, reap)
	if r.Started != 20 || r.Error != "" || counted != 20 {
		t.Errorf("%+v, %d of 20 in /proc", r, counted)
	}
	for _, pid := range pids {
		if _, err := os.Stat(filepath.Join("/proc", strconv.Itoa(pid))); err == nil {
			t.Errorf("process %d is left", pid)
		}
	}
}

func TestPidsMax(t *testing.T) {
	two, one := t.TempDir(), t.TempDir()
	if err := os.Mkdir(filepath.Join(one, "pids"), 0o700); err != nil {
		t.Fatal(err)
	}
	for file, content := range map[string]string{filepath.Join(two, "pids.max"): "max\n", filepath.Join(one, "pids", "pids.max"): "512\n"} {
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if a, b, c := pidsMax(two), pidsMax(one), pidsMax(t.TempDir()); a != "max" || b != "512" || c != "" {
		t.Errorf("version 2 %q, version 1 %q, neither %q", a, b, c)
	}
}

func TestFill(t *testing.T) {
	for name, test := range map[string]struct {
		space int64
		full  error
		want  VolumeReport
	}{
		"more room than is tried": {10 << 20, syscall.ENOSPC, VolumeReport{Tried: 5 << 19, Taken: 5 << 19}},
		"a full disk":             {1 << 20, syscall.ENOSPC, VolumeReport{Tried: 5 << 19, Taken: 1 << 20, Refused: true}},
		"a quota":                 {2 << 20, syscall.EDQUOT, VolumeReport{Tried: 5 << 19, Taken: 2 << 20, Refused: true}},
		"no room at all":          {0, syscall.ENOSPC, VolumeReport{Tried: 5 << 19, Refused: true}},
		"a disk that is broken":   {1 << 20, syscall.EIO, VolumeReport{Tried: 5 << 19, Taken: 1 << 20, Error: "storing: " + syscall.EIO.Error()}},
	} {
		t.Run(name, func(t *testing.T) {
			got := fill(5<<19, func(from, n int64) error {
				if from+n > test.space {
					return test.full
				}
				return nil
			})
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestVolume(t *testing.T) {
	dir := t.TempDir()
	if r := Volume(dir, 3<<20); r.Taken != 3<<20 || r.Refused || r.Error != "" {
		t.Errorf("got %+v", r)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left %v, %v", left, err)
	}
	if r := Volume(filepath.Join(dir, "none"), 1); r.Error == "" {
		t.Errorf("a directory that is not there: %+v", r)
	}
}
