// SPDX-License-Identifier: Apache-2.0

package carrier

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"
)

// Fill gives a new volume what its first user's image has at a path, as Docker does: the content and the directory's own owner and mode. Where
// the image has no directory, or source is empty, a volume that nobody owns yet is given to a group. A volume that holds something stays as it
// is; one that a crash left half filled is begun again.
func Fill(volume, source string, group int) error {
	if err := os.Remove(filepath.Join(volume, lostAndFound)); err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, unix.ENOTEMPTY) {
		return fmt.Errorf("emptying the new volume: %w", err)
	}
	empty, err := begin(volume)
	if err != nil || !empty {
		return err
	}
	info, err := os.Stat(source)
	if source == "" || err != nil || !info.IsDir() {
		return give(volume, group)
	}
	mark := filepath.Join(volume, marker)
	if err := os.WriteFile(mark, nil, 0o600); err != nil {
		return full(err)
	}
	if err := sync(volume); err != nil {
		return err
	}
	r, w := io.Pipe()
	packed := make(chan error, 1)
	go func() {
		err := Pack(w, source)
		_ = w.CloseWithError(err)
		packed <- err
	}()
	err = Unpack(volume, r)
	_ = r.CloseWithError(err)
	if failed := <-packed; failed != nil && (err == nil || errors.Is(err, failed)) {
		err = failed
	}
	if err != nil {
		return fmt.Errorf("copying %s of the image: %w", source, err)
	}
	// All of it is on the disk before nothing says any more that it might not be.
	if err := sync(volume); err != nil {
		return err
	}
	if err := os.Remove(mark); err != nil {
		return err
	}
	return sync(volume)
}

// begin reports whether a volume is empty. What an interrupted filling left is removed first.
func begin(volume string) (bool, error) {
	d, err := os.Open(volume)
	if err != nil {
		return false, err
	}
	defer func() { _ = d.Close() }()
	if _, err := os.Lstat(filepath.Join(volume, marker)); err == nil {
		return true, empty(volume, marker)
	}
	_, err = d.ReadDir(1)
	if errors.Is(err, io.EOF) {
		return true, nil
	}
	return false, err
}

// empty removes all that is in a directory, and last of all the one name that is given.
func empty(dir, last string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()
	for more := true; more; {
		if more, err = removeSome(root, last); err != nil {
			return err
		}
	}
	if last == "" {
		return nil
	}
	return root.Remove(last)
}

// removeSome removes what a directory lists first, and reports whether there was any.
func removeSome(root *os.Root, but string) (bool, error) {
	d, err := root.Open(".")
	if err != nil {
		return false, err
	}
	defer func() { _ = d.Close() }()
	names, err := d.Readdirnames(batch)
	names = slices.DeleteFunc(names, func(name string) bool { return name == but })
	for _, name := range names {
		if err := root.RemoveAll(name); err != nil {
			return false, err
		}
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return len(names) > 0, err
}

// give has a group write to a volume that root owns still, and to what is made in it.
func give(volume string, group int) error {
	info, err := os.Stat(volume)
	if err != nil {
		return err
	}
	if s := stat(info); s.Uid != 0 || s.Gid != 0 {
		return nil
	}
	if err := os.Chown(volume, 0, group); err != nil {
		return err
	}
	return os.Chmod(volume, 0o775|fs.ModeSetgid)
}

func sync(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer func() { _ = d.Close() }()
	if err := unix.Syncfs(int(d.Fd())); err != nil {
		return full(fmt.Errorf("writing the volume to its disk: %w", err))
	}
	return nil
}
