// SPDX-License-Identifier: Apache-2.0

package disk

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// A file system that is in use waits, unless the kernel allows more; one that is not grows, with all that is in it.
func TestGrow(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("mounting needs root")
	}
	base := t.TempDir()
	file, dir, other := filepath.Join(base, "v.ext4"), filepath.Join(base, "v"), filepath.Join(base, "user")
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(errors.Join(os.Mkdir(dir, 0o700), os.Mkdir(other, 0o700)))
	must(Mount(t.Context(), file, dir, 16<<20))
	t.Cleanup(func() {
		for _, d := range []string{other, dir, dir + ".growing"} {
			_ = unix.Unmount(d, unix.MNT_DETACH)
		}
	})
	must(os.Remove(filepath.Join(dir, "lost+found")))
	must(os.WriteFile(filepath.Join(dir, "note"), []byte("kept"), 0o640))
	must(unix.Mount(dir, other, "", unix.MS_BIND, ""))
	const size = 48 << 20
	room := func() uint64 {
		t.Helper()
		var s unix.Statfs_t
		must(unix.Statfs(dir, &s))
		return s.Blocks * uint64(s.Bsize)
	}
	if err := Grow(t.Context(), file, dir, size); mayGrowOnline() != (err == nil) || err != nil && !errors.Is(err, ErrInUse) {
		t.Errorf("in use: %v", err)
	}
	must(unix.Unmount(other, 0))
	for range 2 {
		must(Grow(t.Context(), file, dir, size))
		if got := room(); got < size*8/10 {
			t.Errorf("there is room for %d bytes", got)
		}
		entries, err := os.ReadDir(dir)
		note, rerr := os.ReadFile(filepath.Join(dir, "note"))
		must(errors.Join(err, rerr))
		if len(entries) != 1 || string(note) != "kept" {
			t.Errorf("in it is %v, %q", entries, note)
		}
	}
	// As after a crash in the middle.
	must(unix.Unmount(dir, 0))
	must(os.Remove(dir))
	must(Grow(t.Context(), file, dir, size))
	if note, err := os.ReadFile(filepath.Join(dir, "note")); err != nil || string(note) != "kept" {
		t.Errorf("after a crash: %q, %v", note, err)
	}
}
