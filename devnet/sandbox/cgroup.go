// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const cgroupMount = "/sys/fs/cgroup"

// hierarchies returns the folders under which cgroups are made: one where only version 2 is mounted, else one per controller.
func hierarchies() ([]string, error) {
	var fsType unix.Statfs_t
	if err := unix.Statfs(cgroupMount, &fsType); err != nil {
		return nil, fmt.Errorf("finding cgroups: %w", err)
	}
	if fsType.Type == unix.CGROUP2_SUPER_MAGIC {
		return []string{cgroupMount}, nil
	}

	entries, err := os.ReadDir(cgroupMount)
	if err != nil {
		return nil, fmt.Errorf("finding cgroups: %w", err)
	}
	var out []string
	for _, e := range entries {
		if e.IsDir() { // symbolic links are second names, such as cpu for cpu,cpuacct
			out = append(out, filepath.Join(cgroupMount, e.Name()))
		}
	}
	return out, nil
}

// makeCgroups makes the sandbox's cgroup in every hierarchy, and moves pid into its child "system".
func makeCgroups(cgroup string, pid int) error {
	roots, err := hierarchies()
	if err != nil {
		return err
	}
	for _, root := range roots {
		top := filepath.Join(root, cgroup)
		for _, dir := range []string{top, filepath.Join(top, "system")} {
			if err := makeCgroup(dir); err != nil {
				return err
			}
		}
		procs := filepath.Join(top, "system", "cgroup.procs")
		if err := os.WriteFile(procs, []byte(strconv.Itoa(pid)), 0); err != nil {
			return fmt.Errorf("entering cgroup: %w", err)
		}
	}
	return nil
}

func makeCgroup(dir string) error {
	parent := filepath.Dir(dir)
	// Version 2: a child has only the controllers that its parent hands on.
	if data, err := os.ReadFile(filepath.Join(parent, "cgroup.controllers")); err == nil {
		for _, c := range strings.Fields(string(data)) {
			err := os.WriteFile(filepath.Join(parent, "cgroup.subtree_control"), []byte("+"+c), 0)
			if err != nil && filepath.Clean(parent) != cgroupMount {
				return fmt.Errorf("handing on controller %s: %w", c, err)
			}
		}
	}
	if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("making cgroup: %w", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "tasks")); err != nil {
		return nil //nolint:nilerr // version 2 has no such file
	}
	// A cpuset without content takes no process.
	for _, f := range []string{"cpuset.cpus", "cpuset.mems"} {
		if data, err := os.ReadFile(filepath.Join(parent, f)); err == nil {
			if err := os.WriteFile(filepath.Join(dir, f), data, 0); err != nil {
				return fmt.Errorf("filling %s: %w", f, err)
			}
		}
	}
	_ = os.WriteFile(filepath.Join(dir, "memory.use_hierarchy"), []byte("1"), 0) // older kernels
	return nil
}

// removeCgroups removes the sandbox's cgroups. Processes that still leave are waited for.
func removeCgroups(cgroup string) error {
	roots, err := hierarchies()
	if err != nil {
		return err
	}
	var errs []error
	for _, root := range roots {
		errs = append(errs, removeCgroup(filepath.Join(root, cgroup)))
	}
	return errors.Join(errs...)
}

func removeCgroup(top string) error {
	var dirs []string
	err := filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			dirs = append(dirs, path)
		}
		return nil
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("removing cgroup: %w", err)
	}
	slices.Reverse(dirs) // children first
	for _, dir := range dirs {
		err := syscall.Rmdir(dir)
		for range 100 {
			if !errors.Is(err, syscall.EBUSY) {
				break
			}
			time.Sleep(20 * time.Millisecond)
			err = syscall.Rmdir(dir)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("removing cgroup %s: %w", dir, err)
		}
	}
	return nil
}
