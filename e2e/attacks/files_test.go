// SPDX-License-Identifier: Apache-2.0

package attacks

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// unpacked tries what the attacker's image holds: entries that would reach out of it.
func (w *world) unpacked() []attempt {
	denied := []string{"operation not permitted", "permission denied"}
	var all []attempt
	for name, number := range map[string]string{
		"a path that climbs out": "1", "an absolute path": "2", "an absolute symbolic link": "3", "a symbolic link that climbs out": "4",
	} {
		all = append(all, attempt{
			name: "its image writes onto the machine by " + name,
			try:  func(context.Context) error { return w.foundOutside(escaped + "-" + number) },
			says: []string{"nowhere on the machine"},
			// The entry was unpacked, into the image.
			control: w.does(w.probe, "read", "path", "/"+escaped+"-"+number),
		})
	}
	reads := func(path, want string) func(context.Context) error {
		return func(ctx context.Context) error {
			said, err := w.ask(ctx, w.probe(), "read", "path", path)
			if err == nil && said != want {
				err = fmt.Errorf("it says %q", said)
			}
			return err
		}
	}
	machine, err := os.ReadFile("/etc/debian_version")
	if err != nil {
		machine = []byte("no machine of Debian's")
	}
	for name, path := range map[string]string{"hard": "/hard", "symbolic": "/soft"} {
		all = append(all, attempt{
			name: "its image reads the machine by a " + name + " link", try: reads(path, string(machine)), says: []string{`it says "inside"`}, control: reads(path, "inside"),
		})
	}
	for name, path := range map[string]string{"the machine's disk": "/disk", "the machine's memory": "/mem"} {
		all = append(all, attempt{
			name: "its image opens " + name + " by a device node", try: w.does(w.probe, "open", "path", path), says: denied, control: w.does(w.probe, "open", "path", "/null"),
		})
	}
	all = append(all, attempt{
		name: "its image gives a user a capability", try: w.does(w.probe, "capable", "path", "/capable"), says: denied, control: w.does(w.open, "capable", "path", "/capable"),
	})
	return append(all, attempt{
		name: "its image makes a user root", try: w.does(w.probe, "setuid", "path", "/setuid"), says: []string{"user 1000"}, control: w.does(w.open, "setuid", "path", "/setuid"),
	})
}

// foundOutside looks for a file where a layer must not have put it. What containerd keeps of images is where it must be.
func (w *world) foundOutside(name string) error {
	inside := fmt.Sprintf("/proc/%d/root", w.outside.init)
	for _, dir := range []string{"/", inside, filepath.Join(inside, "var"), filepath.Join(inside, "run"), filepath.Join(inside, "tmp"), "/tmp", "/var"} {
		if _, err := os.Lstat(filepath.Join(dir, name)); err == nil {
			return fmt.Errorf("%w: in %s", errHappened, dir)
		}
	}
	n := 0
	for _, dir := range []string{"var/lib/containerd", "var/lib/kubelet"} {
		root := filepath.Join(inside, dir)
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.IsDir() && d.Name() != name {
				return nil //nolint:nilerr // it changes while one looks
			}
			if d.IsDir() && d.Name() == "fs" && strings.Contains(path, "/snapshots/") {
				if _, err := os.Lstat(filepath.Join(path, name)); err == nil {
					n++
				}
				return filepath.SkipDir
			}
			if !d.IsDir() {
				return fmt.Errorf("found at %s", path)
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("%w: %w", errHappened, err)
		}
	}
	if n == 0 {
		return fmt.Errorf("%w, or this looks in the wrong place", errHappened)
	}
	return errors.New("nowhere on the machine but in the image itself")
}

// confined tries what a process may, in volumes and with the kernel.
func (w *world) confined() []attempt {
	denied := []string{"operation not permitted", "permission denied", "read-only file system", "function not implemented", "no such file", "invalid argument"}
	var all []attempt
	for name, c := range map[string]struct {
		what    string
		control func() place
	}{
		"it makes a user namespace, and is root in it": {"user namespace", w.open},
		"it makes a network namespace":                 {"network namespace", w.mighty},
		"it mounts a file system":                      {"mount", w.mighty},
		"it changes its root":                          {"chroot", w.open},
		"it reads the kernel's log":                    {"kernel log", w.mighty},
		"it loads a program into the kernel":           {"BPF", w.mighty},
		"it makes a ring of system calls":              {"io_uring", w.mighty},
		"it raises its priority":                       {"priority", w.mighty},
		"it talks to the machine's hypervisor":         {"vsock", w.mighty},
		"it changes a network setting":                 {"sysctl", w.mighty},
		"it changes a kernel setting":                  {"kernel setting", w.mighty},
		"it changes its own limits":                    {"own cgroup", w.mighty},
	} {
		all = append(all, attempt{name: name, try: w.does(w.probe, "system", "what", c.what), says: denied, control: w.does(c.control, "system", "what", c.what)})
	}
	linked := func(to, path string) func(context.Context) error {
		return func(ctx context.Context) error {
			name := "/data/link-" + strings.Trim(strings.ReplaceAll(path, "/", "-"), "-")
			if _, err := w.ask(ctx, w.probe(), "link", "to", to, "path", name); err != nil && !strings.Contains(err.Error(), "exists") {
				return err
			}
			_, err := w.ask(ctx, w.probe(), "list", "path", name)
			return err
		}
	}
	processes := func(from func() place) func(context.Context) error {
		return func(ctx context.Context) error {
			said, err := w.ask(ctx, from(), "proc")
			if err == nil && !strings.Contains(said, "kubelet") && !strings.Contains(said, "containerd") {
				err = errors.New("it sees only " + said)
			}
			return err
		}
	}
	return append(all,
		attempt{name: "it makes a device in its volume", try: w.does(w.probe, "node", "path", "/data/node"), says: denied, control: w.does(w.mighty, "node", "path", "/node")},
		attempt{name: "it reaches the machine by a symbolic link in its volume", try: linked("/var/lib/kubelet", "machine"), says: denied, control: linked("/etc", "own")},
		attempt{
			name: "it reaches other volumes by climbing out of its own", try: linked("/data/../../../../var/lib/volumes", "volumes"), says: denied, control: linked("/data/../etc", "up"),
		},
		attempt{
			name: "it links a file of its image into its volume", try: w.does(w.probe, "link", "kind", "hard", "to", "/etc/debian_version", "path", "/data/hard"),
			says: []string{"cross-device"},
			control: func(ctx context.Context) error {
				if err := w.does(w.probe, "write", "path", "/data/own")(ctx); err != nil {
					return err
				}
				return w.does(w.probe, "link", "kind", "hard", "to", "/data/own", "path", "/data/hard-own")(ctx)
			},
		},
		attempt{name: "it sees processes of others", try: processes(w.probe), says: []string{"it sees only"}, control: processes(w.mighty)},
	)
}
