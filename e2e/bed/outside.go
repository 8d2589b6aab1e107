// SPDX-License-Identifier: Apache-2.0

package bed

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Init is the devnet's process 1, as this machine knows it: the only child of its supervisor.
func (d *Devnet) Init(t *testing.T) int {
	t.Helper()
	supervisor, err := os.ReadFile(filepath.Join(d.Root, "build", "devnet", "supervisor.pid"))
	if err != nil {
		t.Fatal(err)
	}
	pid := strings.TrimSpace(string(supervisor))
	children, err := filepath.Glob("/proc/" + pid + "/task/*/children")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range children {
		said, err := os.ReadFile(path)
		if fields := strings.Fields(string(said)); err == nil && len(fields) > 0 {
			n, err := strconv.Atoi(fields[0])
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	t.Fatalf("supervisor %s has no child", pid)
	return 0
}

// Within runs a program in the network namespace of a process, and returns what it writes.
func Within(t *testing.T, pid int, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "nsenter", append([]string{fmt.Sprintf("--net=/proc/%d/ns/net", pid)}, args...)...).CombinedOutput() //nolint:gosec // the test's own
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// FromMachine asks from the devnet's machine itself, which policies don't hold back.
func (d *Devnet) FromMachine(t *testing.T) *http.Client {
	t.Helper()
	file := fmt.Sprintf("/proc/%d/ns/net", d.Init(t))
	dial := func(ctx context.Context, network, address string) (conn net.Conn, err error) {
		done := make(chan struct{})
		go func() {
			defer close(done)
			runtime.LockOSThread() // and never unlocked, so that the thread ends with it
			var f *os.File
			if f, err = os.Open(file); err != nil {
				return
			}
			defer func() { _ = f.Close() }()
			if err = unix.Setns(int(f.Fd()), unix.CLONE_NEWNET); err != nil {
				return
			}
			conn, err = (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, network, address)
		}()
		<-done
		return conn, err
	}
	return &http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}, Timeout: 30 * time.Second}
}

// Outside routes addresses to the network namespace of a process, as though they were elsewhere: no packet leaves this machine. The link ends
// with that namespace.
func (d *Devnet) Outside(t *testing.T, pid int, addresses ...string) {
	t.Helper()
	devnet := d.Init(t)
	Within(t, devnet, "ip", "link", "add", "outside", "type", "veth", "peer", "name", "eth0", "netns", strconv.Itoa(pid))
	Within(t, devnet, "ip", "addr", "add", "192.0.2.1/30", "dev", "outside")
	Within(t, devnet, "ip", "link", "set", "outside", "up")
	Within(t, pid, "ip", "addr", "add", "192.0.2.2/30", "dev", "eth0")
	Within(t, pid, "ip", "link", "set", "lo", "up")
	Within(t, pid, "ip", "link", "set", "eth0", "up")
	Within(t, pid, "ip", "route", "add", "default", "via", "192.0.2.1")
	for _, a := range addresses {
		Within(t, pid, "ip", "addr", "add", a+"/32", "dev", "lo")
		Within(t, devnet, "ip", "route", "add", a+"/32", "via", "192.0.2.2")
	}
}
