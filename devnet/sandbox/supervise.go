// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Supervise runs the sandbox that the state folder describes until ctx ends, then removes all of it but the state folder's logs.
// initArgs make this program run Init.
func Supervise(ctx context.Context, state string, initArgs []string, log *slog.Logger) error {
	lock, err := acquire(state)
	if err != nil {
		return err
	}
	defer func() { _ = lock.Close() }()
	spec, err := ReadSpec(state)
	if err != nil {
		return err
	}

	if err := clean(spec); err != nil { // of a devnet that crashed
		return err
	}
	if err := saveTunables(state, spec.Cgroup); err != nil {
		return err
	}
	if err := os.WriteFile(pidFile(state), []byte(strconv.Itoa(os.Getpid())), 0o600); err != nil {
		return err
	}
	err = run(ctx, spec, initArgs, log)
	if ctx.Err() != nil {
		err = nil // killed, as asked
	}
	return errors.Join(err, clean(spec), restoreTunables(state), wipe(state))
}

// run starts init and waits for its end.
func run(ctx context.Context, spec Spec, initArgs []string, log *slog.Logger) error {
	// The kernel sends the parent-death signal when the thread that forked ends, so that thread has to stay.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()

	config, feed, err := os.Pipe()
	if err != nil {
		return err
	}
	defer func() { _ = feed.Close() }()
	cmd := exec.CommandContext(ctx, "/proc/self/exe", initArgs...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.ExtraFiles = []*os.File{config}
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWPID | unix.CLONE_NEWNS | unix.CLONE_NEWNET | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS,
		Pdeathsig:  syscall.SIGKILL,
	}
	err = cmd.Start()
	_ = config.Close()
	if err != nil {
		return fmt.Errorf("starting init: %w", err)
	}

	err = connectInit(spec, cmd.Process.Pid, feed, log)
	if err != nil {
		_ = cmd.Process.Kill()
	}
	return errors.Join(err, cmd.Wait())
}

// connectInit gives init what only the machine's side can, and lets it go.
func connectInit(spec Spec, pid int, feed *os.File, log *slog.Logger) error {
	if err := makeCgroups(spec.Cgroup, pid); err != nil {
		return err
	}
	if err := connect(spec, pid); err != nil {
		return err
	}
	for _, f := range spec.Forwards {
		l, err := net.Listen("tcp", loopback(f.Host)) //nolint:noctx // a numeric address does not wait
		if err != nil {
			return fmt.Errorf("forwarding %s: %w", f.Name, err)
		}
		// Its listener ends with this process: a supervisor has one sandbox in its life.
		go forward(l, net.JoinHostPort(spec.NodeIP.String(), strconv.Itoa(f.Node)), log.With("port", f.Name))
	}
	if err := json.NewEncoder(feed).Encode(spec); err != nil {
		return fmt.Errorf("configuring init: %w", err)
	}
	return feed.Close()
}

// acquire takes the lock that a supervisor holds for its lifetime.
func acquire(state string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(state, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		err = ErrRunning
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

// Running says whether a supervisor holds the state folder.
func Running(state string) bool {
	if _, err := os.Stat(state); err != nil {
		return false
	}
	lock, err := acquire(state)
	if err != nil {
		return errors.Is(err, ErrRunning)
	}
	_ = lock.Close()
	return false
}

func pidFile(state string) string { return filepath.Join(state, "supervisor.pid") }

func supervisorPID(state string) (int, error) {
	data, err := os.ReadFile(pidFile(state))
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(string(data)))
}

// Stop ends the sandbox of a state folder, whether it runs or crashed, and returns when nothing of it is left but logs.
func Stop(ctx context.Context, state string) error {
	if _, err := os.Stat(state); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	for signalled := 0; Running(state); {
		// Once only: a second signal would keep the supervisor from cleaning.
		if pid, err := supervisorPID(state); err == nil && pid != signalled {
			_ = syscall.Kill(pid, syscall.SIGTERM)
			signalled = pid
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for the devnet's end: %w", ctx.Err())
		case <-time.After(50 * time.Millisecond):
		}
	}

	spec, err := ReadSpec(state)
	if errors.Is(err, os.ErrNotExist) {
		return wipe(state) // cleaned by its supervisor, or never started
	}
	if err != nil {
		return err
	}
	return errors.Join(clean(spec), restoreTunables(state), wipe(state))
}

// InitPID returns the machine's name for init, through which the inside's files can be reached as /proc/PID/root.
func InitPID(state string) (int, error) {
	pid, err := supervisorPID(state)
	if err != nil {
		return 0, err
	}
	for _, child := range childrenOf(pid) {
		return child, nil
	}
	return 0, errors.New("the devnet has no init process")
}

// Kill ends a part as kill -9 does.
func Kill(state, part string) error {
	status, err := ReadStatus(state)
	if err != nil {
		return err
	}
	at := slices.IndexFunc(status.Parts, func(p PartStatus) bool { return p.Name == part })
	if at < 0 || status.Parts[at].PID == 0 {
		return fmt.Errorf("%s does not run", part)
	}
	initPID, err := InitPID(state)
	if err != nil {
		return err
	}
	for _, pid := range childrenOf(initPID) {
		if insidePID(pid) == status.Parts[at].PID {
			return syscall.Kill(pid, syscall.SIGKILL)
		}
	}
	return fmt.Errorf("%s has ended", part)
}

func childrenOf(pid int) []int {
	lists, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	if err != nil {
		return nil
	}
	var out []int
	for _, file := range lists {
		list, err := os.ReadFile(file)
		if err != nil {
			continue // the thread ended
		}
		for _, field := range strings.Fields(string(list)) {
			if child, err := strconv.Atoi(field); err == nil {
				out = append(out, child)
			}
		}
	}
	return out
}

// insidePID is what a process is called in the innermost of its PID namespaces; 0 if it ended.
func insidePID(pid int) int {
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(content)) {
		if names, ok := strings.CutPrefix(line, "NSpid:"); ok {
			fields := strings.Fields(names)
			inside, _ := strconv.Atoi(fields[len(fields)-1])
			return inside
		}
	}
	return 0
}
