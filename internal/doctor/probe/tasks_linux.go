// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"math"
	"syscall"
)

// fork starts a process that ends at once. Nothing of Go's runtime runs in it: between the two system calls is no function call that
// could need a second thread, which the child does not have.
func fork() (int, error) {
	pid, _, errno := syscall.RawSyscall6(syscall.SYS_CLONE, uintptr(syscall.SIGCHLD), 0, 0, 0, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	if pid == 0 {
		for {
			_, _, _ = syscall.RawSyscall(syscall.SYS_EXIT_GROUP, 0, 0, 0)
		}
	}
	return int(pid), nil
}

func reap(pid int) {
	var status syscall.WaitStatus
	for {
		if _, err := syscall.Wait4(pid, &status, 0, nil); err != syscall.EINTR {
			return
		}
	}
}

// rlimitNProc is RLIMIT_NPROC, which package syscall leaves out; the same on every architecture that Go runs on but MIPS and SPARC.
const rlimitNProc = 6

func userLimit() uint64 {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(rlimitNProc, &limit); err != nil || limit.Cur == math.MaxUint64 {
		return 0
	}
	return limit.Cur
}

// allocate makes a file n bytes longer, with the blocks to back them.
func allocate(fd uintptr, from, n int64) error {
	return syscall.Fallocate(int(fd), 0, from, n)
}
