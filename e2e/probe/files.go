// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// read says what a file holds.
func read(r *http.Request) (string, error) {
	f, err := os.Open(r.FormValue("path"))
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }()
	b, err := io.ReadAll(io.LimitReader(f, 1<<16))
	return string(b), err
}

func write(r *http.Request) (string, error) {
	return worked, os.WriteFile(r.FormValue("path"), []byte(r.FormValue("content")), 0o600)
}

// open reads from a device, or tries to.
func open(r *http.Request) (string, error) {
	f, err := os.Open(r.FormValue("path"))
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }()
	if _, err := f.Read(make([]byte, 1)); err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	return worked, nil
}

func list(r *http.Request) (string, error) {
	entries, err := os.ReadDir(r.FormValue("path"))
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return strings.Join(names, " "), err
}

// whose says who owns a file, and its mode.
func whose(r *http.Request) (string, error) {
	var s unix.Stat_t
	if err := unix.Lstat(r.FormValue("path"), &s); err != nil {
		return "", err
	}
	return fmt.Sprintf("%d:%d %o", s.Uid, s.Gid, s.Mode&0o7777), nil
}

// link makes a symbolic or hard link.
func link(r *http.Request) (string, error) {
	if r.FormValue("kind") == "hard" {
		return worked, os.Link(r.FormValue("to"), r.FormValue("path"))
	}
	return worked, os.Symlink(r.FormValue("to"), r.FormValue("path"))
}

// node makes a device node of the null device, which everybody may open.
func node(r *http.Request) (string, error) {
	path := r.FormValue("path")
	if err := unix.Mknod(path, unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3))); err != nil {
		return "", err
	}
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	return worked, f.Close()
}

// proc lists the processes that can be seen, by what they run.
func proc(*http.Request) (string, error) {
	found, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		return "", err
	}
	var said []string
	for _, path := range found {
		line, err := os.ReadFile(path)
		if err == nil && len(line) > 0 {
			said = append(said, fmt.Sprintf("%q", strings.Split(string(line), "\x00")[0]))
		}
	}
	return strings.Join(said, " "), nil
}
