// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/apocryph/apocryph/devnet/disk"
)

// configFD is where the supervisor hands over the spec.
const configFD = 3

// Init is process 1 of the sandbox: it mounts, configures the network, starts the parts and reaps until it is killed.
func Init(log *slog.Logger) error {
	var spec Spec
	config := os.NewFile(configFD, "config")
	if err := json.NewDecoder(config).Decode(&spec); err != nil {
		return fmt.Errorf("reading the configuration: %w", err)
	}
	_ = config.Close()

	if err := mountAll(spec); err != nil {
		return err
	}
	if err := unix.Sethostname([]byte(spec.Hostname)); err != nil {
		return fmt.Errorf("setting the host name: %w", err)
	}
	if err := configureNetwork(spec); err != nil {
		return err
	}
	if err := os.Setenv("PATH", BinDir+":/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"); err != nil {
		return err
	}
	if err := os.Setenv("TMPDIR", "/var/tmp"); err != nil { // the machine's /tmp is visible, so keep it clean
		return err
	}
	return newRunner(spec.Parts, log).run()
}

// mountAll gives the inside a /proc, /sys, /run and /var of its own. The machine's files stay visible but for these.
func mountAll(spec Spec) error {
	if err := mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE); err != nil {
		return err
	}
	if err := mount("proc", "/proc", "proc", 0); err != nil {
		return err
	}

	// Opened now, because what follows may hide them: a checkout can lie anywhere.
	held := map[string]*os.File{}
	for _, dir := range []string{spec.State, spec.Bin, cgroupMount} {
		f, err := os.Open(dir)
		if err != nil {
			return err
		}
		defer func() { _ = f.Close() }()
		held[dir] = f
	}
	bind := func(dir, target string) error {
		if err := os.MkdirAll(target, 0o755); err != nil {
			return err
		}
		return mount(fmt.Sprintf("/proc/self/fd/%d", held[dir].Fd()), target, "", unix.MS_BIND|unix.MS_REC)
	}

	if err := mount("sysfs", "/sys", "sysfs", 0); err != nil { // shows this network namespace's interfaces
		return err
	}
	if err := bind(cgroupMount, cgroupMount); err != nil {
		return err
	}
	if err := mount("tmpfs", "/run", "tmpfs", unix.MS_NOSUID|unix.MS_NODEV); err != nil {
		return err
	}
	if err := bind(spec.State, StateDir); err != nil {
		return err
	}
	if err := bind(spec.Bin, BinDir); err != nil {
		return err
	}
	if err := mountVar(spec.Volumes); err != nil {
		return err
	}
	for i, d := range spec.Disks {
		if err := os.MkdirAll(d.Dir, 0o755); err != nil {
			return err
		}
		// Beside the volumes, where leftovers are looked for.
		if err := disk.Mount(context.Background(), filepath.Join(spec.Volumes, fmt.Sprintf("disk%d.ext4", i)), d.Dir, d.Size); err != nil {
			return err
		}
	}
	// So that mounts which one part makes are seen in the namespaces that other parts make.
	return mount("", "/", "", unix.MS_REC|unix.MS_SHARED)
}

func mountVar(volumes string) error {
	own := filepath.Join(StateDir, "var")
	for _, dir := range []string{"lib", "log", "cache", "tmp"} {
		if err := os.MkdirAll(filepath.Join(own, dir), 0o755); err != nil {
			return err
		}
	}
	if err := os.Symlink("/run", filepath.Join(own, "run")); err != nil && !os.IsExist(err) {
		return err
	}
	if err := mount(own, "/var", "", unix.MS_BIND|unix.MS_REC); err != nil {
		return err
	}
	return os.MkdirAll(volumes, 0o700)
}

func mount(source, target, fsType string, flags uintptr) error {
	if err := unix.Mount(source, target, fsType, flags, ""); err != nil {
		return fmt.Errorf("mounting %s: %w", target, err)
	}
	return nil
}

// reap collects ended children, whoever's they were, and reports each.
func reap(ended func(pid int, status syscall.WaitStatus)) {
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, 0, nil)
		switch {
		case err == syscall.EINTR:
		case err != nil: // no child at all
			time.Sleep(100 * time.Millisecond)
		default:
			ended(pid, status)
		}
	}
}
