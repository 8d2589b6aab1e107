// SPDX-License-Identifier: Apache-2.0

package carrier

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Fill gives a new volume what its first user's image has at a path, as Docker does: the content and the directory's own owner and mode. Where
// the image has no directory, or source is empty, a volume that nobody owns yet is given to a group. A volume that holds something stays as it
// is. The copy is made in a directory of its own and moved up when all of it is on the disk, so one that a crash left half made is begun again,
// and nothing but that directory is ever removed.
func Fill(volume, source string, group int) error {
	if err := os.Remove(filepath.Join(volume, lostAndFound)); err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, unix.ENOTEMPTY) {
		return fmt.Errorf("emptying the new volume: %w", err)
	}
	root, err := os.OpenRoot(volume)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()
	if isDir(root, copied) {
		return moveUp(root)
	}
	if isDir(root, copying) {
		if err := root.RemoveAll(copying); err != nil {
			return err
		}
	}
	if empty, err := isEmpty(root); err != nil || !empty {
		return err
	}
	info, err := os.Stat(source)
	if source == "" || err != nil || !info.IsDir() {
		return give(root, group)
	}
	if err := root.Mkdir(copying, 0o700); err != nil {
		return full(err)
	}
	if err := duplicate(filepath.Join(volume, copying), source); err != nil {
		return fmt.Errorf("copying %s of the image: %w", source, err)
	}
	// All of it is on the disk before its name says so.
	if err := sync(root); err != nil {
		return err
	}
	if err := root.Rename(copying, copied); err != nil {
		return full(err)
	}
	return moveUp(root)
}

// duplicate copies a tree into a directory that is there.
func duplicate(to, from string) error {
	r, w := io.Pipe()
	packed := make(chan error, 1)
	go func() {
		err := Pack(w, from)
		_ = w.CloseWithError(err)
		packed <- err
	}()
	err := Unpack(to, r)
	_ = r.CloseWithError(err)
	if failed := <-packed; failed != nil && (err == nil || errors.Is(err, failed)) {
		err = failed
	}
	return err
}

// moveUp makes what is in a whole copy the volume's own, or goes on with it: what has its place in the volume already is not replaced.
func moveUp(root *os.Root) error {
	from, err := root.OpenRoot(copied)
	if err != nil {
		return err
	}
	defer func() { _ = from.Close() }()
	for more := true; more; {
		if more, err = moveSome(root, from); err != nil {
			return full(err)
		}
	}
	if err := sync(root); err != nil {
		return err
	}
	if err := ownAs(root, from); err != nil {
		return err
	}
	if err := root.Remove(copied); err != nil {
		return err
	}
	return sync(root)
}

// moveSome moves what a copy lists first, and reports whether there was any.
func moveSome(root, from *os.Root) (bool, error) {
	names, err := some(from, batch)
	for _, name := range names {
		_, taken := root.Lstat(name)
		switch {
		case taken == nil:
			err = from.RemoveAll(name)
		case errors.Is(taken, fs.ErrNotExist):
			err = root.Rename(path.Join(copied, name), name)
		default:
			err = taken
		}
		if err != nil {
			return false, err
		}
	}
	return len(names) > 0, err
}

// ownAs gives a directory another's owner, mode and attributes.
func ownAs(root, other *os.Root) error {
	from, err := other.Open(".")
	if err != nil {
		return err
	}
	defer func() { _ = from.Close() }()
	info, err := from.Stat()
	if err != nil {
		return err
	}
	h, err := tar.FileInfoHeader(info, "")
	if err != nil {
		return err
	}
	if h.PAXRecords, err = attributes(from); err != nil {
		return err
	}
	to, err := root.Open(".")
	if err != nil {
		return err
	}
	defer func() { _ = to.Close() }()
	return own(to, h)
}

// some names of what is in a directory; none when it is empty.
func some(dir *os.Root, most int) ([]string, error) {
	d, err := dir.Open(".")
	if err != nil {
		return nil, err
	}
	defer func() { _ = d.Close() }()
	names, err := d.Readdirnames(most)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return names, err
}

func isEmpty(dir *os.Root) (bool, error) {
	names, err := some(dir, 1)
	return len(names) == 0, err
}

func isDir(root *os.Root, name string) bool {
	info, err := root.Lstat(name)
	return err == nil && info.IsDir()
}

// give has a group write to a volume that root owns still, and to what is made in it. A file system that lets nobody give anything away says
// itself who may write.
func give(root *os.Root, group int) error {
	info, err := root.Stat(".")
	if err != nil {
		return err
	}
	if s := stat(info); s.Uid != 0 || s.Gid != 0 {
		return nil
	}
	err = root.Chown(".", 0, group)
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.ENOTSUP) {
		return nil
	}
	if err != nil {
		return err
	}
	return root.Chmod(".", 0o775|fs.ModeSetgid)
}

func sync(dir *os.Root) error {
	d, err := dir.Open(".")
	if err != nil {
		return err
	}
	defer func() { _ = d.Close() }()
	if err := unix.Syncfs(int(d.Fd())); err != nil {
		return full(fmt.Errorf("writing the volume to its disk: %w", err))
	}
	return nil
}
