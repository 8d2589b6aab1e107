// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// TasksReport is how many processes a pod may have.
type TasksReport struct {
	// Max is pids.max of the container's own cgroup: a number, "max", or empty if there is no such file. Kubelet's limit is the pod's, one level
	// above, where a container can't look: that is why processes are started.
	Max string `json:"max"`
	// Started is how many processes were started, at most Bound; Limited says that the kernel refused one more.
	Started int  `json:"started"`
	Bound   int  `json:"bound"`
	Limited bool `json:"limited"`
	// UserLimit is RLIMIT_NPROC, which refuses in the same way; 0 means none.
	UserLimit uint64 `json:"userLimit,omitempty"`
	Error     string `json:"error,omitempty"`
}

// Tasks starts processes until the kernel refuses or bound is reached, and lets all of them go. They end at once and stay unreaped
// meanwhile: so each counts as a process and takes next to no memory.
func Tasks(bound int) TasksReport {
	r := TasksReport{Max: pidsMax("/sys/fs/cgroup"), Bound: bound, UserLimit: userLimit()}
	return tasks(r, fork, reap)
}

func tasks(r TasksReport, fork func() (int, error), reap func(int)) TasksReport {
	var started []int
	defer func() {
		for _, pid := range started {
			reap(pid)
		}
	}()
	for len(started) < r.Bound {
		pid, err := fork()
		if errors.Is(err, syscall.EAGAIN) {
			r.Limited = true
			break
		}
		if err != nil {
			r.Error = short(err)
			break
		}
		started = append(started, pid)
	}
	r.Started = len(started)
	return r
}

// pidsMax reads the container's own limit where cgroups of version 2 or 1 have it.
func pidsMax(root string) string {
	for _, file := range []string{"pids.max", "pids/pids.max"} {
		if b, err := os.ReadFile(filepath.Join(root, file)); err == nil {
			return strings.TrimSpace(string(b))
		}
	}
	return ""
}
