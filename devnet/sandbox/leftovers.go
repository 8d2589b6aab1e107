// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
)

// Leftovers looks on the machine for anything of a sandbox that has ended: processes in its cgroups or with its programs, mounts,
// interfaces, cgroups and loop devices. It is the check of Stop, made by other means than Stop's own.
func Leftovers(spec Spec) ([]string, error) {
	var left []string
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	for line := range bytes.Lines(mounts) {
		if bytes.Contains(line, []byte(spec.State)) {
			left = append(left, "mount "+strings.TrimSpace(string(line)))
		}
	}
	if _, err := net.InterfaceByName(spec.Veth); err == nil {
		left = append(left, "interface "+spec.Veth)
	}
	cgroups, err := filepath.Glob("/sys/fs/cgroup/*" + spec.Cgroup)
	if err != nil {
		return nil, err
	}
	for _, c := range append(cgroups, "/sys/fs/cgroup"+spec.Cgroup) {
		if _, err := os.Stat(c); err == nil {
			left = append(left, "cgroup "+c)
		}
	}
	loops, err := loopsBelow(spec.Volumes)
	if err != nil {
		return nil, err
	}
	for _, l := range loops {
		left = append(left, "loop device "+l)
	}
	processes, err := processesOf(spec)
	return append(left, processes...), err
}

// processesOf finds processes that run one of the sandbox's programs, this one not counted, or live in its cgroups.
func processesOf(spec Spec) ([]string, error) {
	entries, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil, err
	}
	var found []string
	for _, dir := range entries {
		if filepath.Base(dir) == fmt.Sprint(os.Getpid()) {
			continue
		}
		cgroup, err := os.ReadFile(filepath.Join(dir, "cgroup"))
		if errors.Is(err, fs.ErrNotExist) || err != nil {
			continue // it ended in between
		}
		program, _ := os.Readlink(filepath.Join(dir, "exe"))
		ours := strings.HasPrefix(program, spec.State) || strings.HasPrefix(program, spec.Bin) && filepath.Base(program) != "devnet"
		if ours || bytes.Contains(cgroup, []byte(spec.Cgroup)) {
			found = append(found, "process "+filepath.Base(dir)+" "+program)
		}
	}
	return found, nil
}
