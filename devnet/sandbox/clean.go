// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// clean removes what a sandbox can leave outside of its namespaces. It does no harm when there is nothing.
func clean(spec Spec) error {
	return errors.Join(
		disconnect(spec.Veth),
		removeCgroups(spec.Cgroup),
		detachLoops(spec.Volumes),
		os.RemoveAll(filepath.Join(spec.State, "var")),
	)
}

// wipe empties the state folder but for its logs, and the lock that the caller may hold.
func wipe(state string) error {
	entries, err := os.ReadDir(state)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Name() == "log" || e.Name() == "lock" {
			continue
		}
		if err := os.RemoveAll(filepath.Join(state, e.Name())); err != nil {
			return fmt.Errorf("removing state: %w", err)
		}
	}
	return nil
}

// detachLoops waits until no loop device has its file below dir. The kernel detaches them by itself when the last mount goes,
// which is when the mount namespace does; one that stays is detached by force.
func detachLoops(dir string) error {
	deadline := time.Now().Add(5 * time.Second)
	for {
		left, err := loopsBelow(dir)
		if err != nil || len(left) == 0 {
			return err
		}
		if time.Now().After(deadline) {
			return detach(left)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// loopsBelow returns the loop devices whose files lie below dir. The kernel names a file as the mount namespace does that it was opened in.
func loopsBelow(dir string) ([]string, error) {
	backing, err := filepath.Glob("/sys/block/loop*/loop/backing_file")
	if err != nil {
		return nil, err
	}
	var out []string
	for _, b := range backing {
		file, err := os.ReadFile(b)
		if err != nil {
			continue // detached in between
		}
		if strings.HasPrefix(string(file), dir+"/") {
			out = append(out, filepath.Join("/dev", filepath.Base(filepath.Dir(filepath.Dir(b)))))
		}
	}
	return out, nil
}

func detach(devices []string) error {
	var errs []error
	for _, dev := range devices {
		fd, err := unix.Open(dev, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			errs = append(errs, fmt.Errorf("opening %s: %w", dev, err))
			continue
		}
		if err := unix.IoctlSetInt(fd, unix.LOOP_CLR_FD, 0); err != nil && !errors.Is(err, unix.ENXIO) {
			errs = append(errs, fmt.Errorf("detaching %s: %w", dev, err))
		}
		_ = unix.Close(fd)
	}
	return errors.Join(errs...)
}

// tunables are the machine-wide settings that kubelet changes. They have no namespace, so they are put back.
var tunables = []string{
	"vm/overcommit_memory", "vm/panic_on_oom",
	"kernel/panic", "kernel/panic_on_oops", "kernel/keys/root_maxkeys", "kernel/keys/root_maxbytes",
}

func tunablesFile(state string) string { return filepath.Join(state, "sysctl.json") }

// saveTunables keeps what restoreTunables puts back. Beside another sandbox it keeps nothing: that one has the machine's own values.
func saveTunables(state, cgroup string) error {
	if _, err := os.Stat(tunablesFile(state)); err == nil {
		return nil // of a devnet that crashed: those are the values to put back
	}
	roots, err := hierarchies()
	if err != nil {
		return err
	}
	others, err := filepath.Glob(filepath.Join(roots[0], "apocryph-*"))
	if err != nil {
		return err
	}
	for _, other := range others {
		if filepath.Base(other) != filepath.Base(cgroup) {
			return nil
		}
	}
	values := map[string]string{}
	for _, key := range tunables {
		data, err := os.ReadFile(filepath.Join("/proc/sys", key))
		if err != nil {
			return fmt.Errorf("reading sysctl: %w", err)
		}
		values[key] = strings.TrimSpace(string(data))
	}
	return writeJSON(tunablesFile(state), values)
}

func restoreTunables(state string) error {
	values, err := readJSON[map[string]string](tunablesFile(state))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for key, value := range values {
		if err := os.WriteFile(filepath.Join("/proc/sys", key), []byte(value), 0); err != nil {
			return fmt.Errorf("restoring sysctl: %w", err)
		}
	}
	return nil
}
