// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// system tries one thing that the kernel lets only some do, by name. None of them changes the machine where it is let.
func system(r *http.Request) (string, error) {
	try, ok := map[string]func(*http.Request) error{
		"raw socket":        func(*http.Request) error { return socket(unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_RAW) },
		"packet socket":     func(*http.Request) error { return socket(unix.AF_PACKET, unix.SOCK_RAW, 0) },
		"vsock":             func(*http.Request) error { return socket(unix.AF_VSOCK, unix.SOCK_STREAM, 0) },
		"forged source":     forge,
		"forged ARP":        arp,
		"user namespace":    func(r *http.Request) error { return clone(r, unix.CLONE_NEWUSER) },
		"network namespace": func(r *http.Request) error { return clone(r, unix.CLONE_NEWNET) },
		"mount":             mount,
		"chroot":            func(r *http.Request) error { return call(exec.CommandContext(r.Context(), "/proc/self/exe", "chroot")) },
		"kernel log":        kernelLog,
		"BPF":               bpf,
		"io_uring":          uring,
		"priority":          func(r *http.Request) error { return call(exec.CommandContext(r.Context(), "/proc/self/exe", "nice")) },
		"sysctl":            func(*http.Request) error { return rewrite("/proc/sys/net/ipv4/ip_default_ttl") },
		"kernel setting":    func(*http.Request) error { return rewrite("/proc/sys/kernel/core_pattern") },
		"own cgroup":        func(*http.Request) error { return rewrite("/sys/fs/cgroup/memory/memory.limit_in_bytes") },
	}[r.FormValue("what")]
	if !ok {
		return "", fmt.Errorf("the probe does not know %q", r.FormValue("what"))
	}
	return worked, try(r)
}

// child is what the probe does as a process of its own.
func child(args []string) {
	var err error
	switch args[0] {
	case "euid":
		fmt.Println(os.Geteuid())
	case "raw":
		err = socket(unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_RAW)
	case "chroot":
		err = unix.Chroot("/etc")
	case "nice":
		err = unix.Setpriority(unix.PRIO_PROCESS, 0, -10)
	case "memory":
		err = touch(args[1])
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

// call runs a child; what it prints is its error.
func call(cmd *exec.Cmd) error {
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, bytes.TrimSpace(out))
	}
	return nil
}

// clone starts a process in a namespace of its own.
func clone(r *http.Request, flags uintptr) error {
	cmd := exec.CommandContext(r.Context(), "/proc/self/exe", "nothing")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: flags}
	return call(cmd)
}

func socket(family, kind, protocol int) error {
	fd, err := unix.Socket(family, kind, protocol)
	if err != nil {
		return err
	}
	return unix.Close(fd)
}

// forge sends an IP packet whose source is somebody else.
func forge(r *http.Request) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_RAW)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }()
	from, to := net.ParseIP(r.FormValue("from")).To4(), net.ParseIP(r.FormValue("to")).To4()
	if from == nil || to == nil {
		return errors.New("from and to are addresses")
	}
	packet := make([]byte, 28) // IPv4 without options, UDP without content; the kernel fills in length and checksum
	packet[0], packet[8], packet[9] = 0x45, 64, unix.IPPROTO_UDP
	copy(packet[12:], from)
	copy(packet[16:], to)
	packet[21], packet[23], packet[25] = 9, 9, 8
	return unix.Sendto(fd, packet, 0, &unix.SockaddrInet4{Addr: [4]byte(to)})
}

// arp tells everybody on the link that an address is the pod's.
func arp(r *http.Request) error {
	link, err := net.InterfaceByName("eth0")
	if err != nil {
		return err
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM, 0x0608) // ARP, in network order
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }()
	ip := net.ParseIP(r.FormValue("from")).To4()
	if ip == nil {
		return errors.New("from is an address")
	}
	packet := append([]byte{0, 1, 8, 0, 6, 4, 0, 2}, link.HardwareAddr...)
	packet = append(packet, ip...)
	packet = append(packet, 255, 255, 255, 255, 255, 255)
	packet = append(packet, ip...)
	to := &unix.SockaddrLinklayer{Protocol: 0x0608, Ifindex: link.Index, Halen: 6, Addr: [8]byte{255, 255, 255, 255, 255, 255}}
	return unix.Sendto(fd, packet, 0, to)
}

func mount(*http.Request) error {
	dir, err := os.MkdirTemp("/", "mount")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(dir) }()
	if err := unix.Mount("none", dir, "tmpfs", 0, "size=4k"); err != nil {
		return err
	}
	return unix.Unmount(dir, 0)
}

func kernelLog(*http.Request) error {
	_, err := unix.Klogctl(unix.SYSLOG_ACTION_READ_ALL, make([]byte, 64))
	return err
}

func bpf(*http.Request) error {
	// Make a map: an array of one element.
	attr := struct{ kind, key, value, entries uint32 }{2, 4, 4, 1}
	fd, _, errno := unix.Syscall(unix.SYS_BPF, 0, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr))
	if errno != 0 {
		return errno
	}
	return unix.Close(int(fd))
}

func uring(*http.Request) error {
	var params [120]byte
	fd, _, errno := unix.Syscall(unix.SYS_IO_URING_SETUP, 1, uintptr(unsafe.Pointer(&params)), 0)
	if errno != 0 {
		return errno
	}
	return unix.Close(int(fd))
}

// rewrite writes into a setting what it says already.
func rewrite(path string) error {
	said, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return os.WriteFile(path, said, 0)
}

// setuid runs a program of the image as nobody, and says who it then is.
func setuid(r *http.Request) (string, error) {
	cmd := exec.CommandContext(r.Context(), r.FormValue("path"), "euid")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 1000, Gid: 1000}}
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	if who := string(bytes.TrimSpace(out)); who != "0" {
		return "", fmt.Errorf("user %s", who)
	}
	return worked, nil
}

// capable runs a program of the image as nobody, and has it make a raw socket.
func capable(r *http.Request) (string, error) {
	cmd := exec.CommandContext(r.Context(), r.FormValue("path"), "raw")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 1000, Gid: 1000}}
	return worked, call(cmd)
}
