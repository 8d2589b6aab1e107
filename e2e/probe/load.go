// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

const (
	mostProcesses = 5000
	mostBytes     = 512 << 20
	mostFiles     = 300_000
	page          = 4096
)

// fork makes processes that do nothing until it may not, and ends them again. It says how many there were.
func fork(r *http.Request) (string, error) {
	n, err := number(r, "count", mostProcesses)
	if err != nil {
		return "", err
	}
	var made []int
	defer func() {
		for _, pid := range made {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		for range made {
			_, _ = syscall.Wait4(-1, nil, 0, nil)
		}
	}()
	for range n {
		pid, _, errno := syscall.RawSyscall(syscall.SYS_CLONE, uintptr(syscall.SIGCHLD), 0, 0)
		if pid == 0 && errno == 0 {
			for { // of the Go runtime nothing works here
				_, _, _ = syscall.RawSyscall(syscall.SYS_PAUSE, 0, 0, 0)
			}
		}
		if errno != 0 {
			return "", fmt.Errorf("after %d: %w", len(made), errno)
		}
		made = append(made, int(pid))
	}
	return worked, nil
}

// memory has a child use so many bytes.
func memory(r *http.Request) (string, error) {
	n, err := number(r, "bytes", mostBytes)
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(r.Context(), 20*time.Second)
	defer cancel()
	return worked, call(exec.CommandContext(ctx, "/proc/self/exe", "memory", strconv.FormatInt(n, 10)))
}

func touch(bytes string) error {
	n, err := strconv.Atoi(bytes)
	if err != nil {
		return err
	}
	for used := make([]byte, n); n > 0; n -= page {
		used[n-1] = 1
	}
	return nil
}

// fill writes so many bytes into a file. With gone=yes the file loses its name first, and its bytes when fill ends.
func fill(r *http.Request) (string, error) {
	n, err := number(r, "bytes", mostBytes)
	if err != nil {
		return "", err
	}
	f, err := os.OpenFile(r.FormValue("path"), os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }()
	if r.FormValue("gone") == "yes" {
		if err := os.Remove(f.Name()); err != nil {
			return "", err
		}
	}
	chunk := make([]byte, 1<<20)
	for written := int64(0); written < n; {
		w, err := f.Write(chunk[:min(n-written, int64(len(chunk)))])
		written += int64(w)
		if err != nil {
			return "", fmt.Errorf("after %d bytes: %w", written, err)
		}
	}
	return worked, nil
}

// litter makes so many empty files.
func litter(r *http.Request) (string, error) {
	n, err := number(r, "count", mostFiles)
	if err != nil {
		return "", err
	}
	dir := r.FormValue("path")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	for i := range n {
		f, err := os.OpenFile(filepath.Join(dir, strconv.FormatInt(i, 10)), os.O_WRONLY|os.O_CREATE, 0o600)
		if err != nil {
			return "", fmt.Errorf("after %d: %w", i, err)
		}
		_ = f.Close()
	}
	return worked, nil
}

// chatter says so many bytes on standard output.
func chatter(r *http.Request) (string, error) {
	n, err := number(r, "bytes", mostBytes)
	if err != nil {
		return "", err
	}
	line := append(bytes.Repeat([]byte("x"), 1023), '\n')
	for ; n > 0; n -= int64(len(line)) {
		if _, err := os.Stdout.Write(line); err != nil {
			return "", err
		}
	}
	return worked, nil
}
