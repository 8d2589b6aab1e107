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
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Unpack writes a tar stream into dir: what it names is there afterwards as the archive has it, what it does not name stays. An entry may
// replace a file but no directory that holds something. It returns ErrArchive for what no volume takes and ErrFull when there is no more room;
// what came before stays either way.
func Unpack(dir string, r io.Reader) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()
	u := &unpacker{root: root, tar: tar.NewReader(r)}
	for {
		h, err := u.tar.Next()
		if errors.Is(err, io.EOF) {
			return u.leave(0)
		}
		if errors.Is(err, tar.ErrHeader) || errors.Is(err, tar.ErrFieldTooLong) || errors.Is(err, io.ErrUnexpectedEOF) {
			return fmt.Errorf("%w: %w", ErrArchive, err)
		}
		if err != nil {
			return err
		}
		if err := u.entry(h); err != nil {
			return fmt.Errorf("%.200q: %w", h.Name, full(err))
		}
	}
}

type unpacker struct {
	root *os.Root
	tar  *tar.Reader
	// within are the directories that the last entry is in, outermost first, whose times are set when all below them is there.
	within []dirTime
}

type dirTime struct {
	name string
	time time.Time
}

// clean makes a path within the volume of an entry's name.
func clean(name string) (string, error) {
	if len(name) > maxName || strings.ContainsRune(name, 0) {
		return "", fmt.Errorf("the name is too long, or not one: %w", ErrArchive)
	}
	if slices.Contains(strings.Split(name, "/"), "..") {
		return "", fmt.Errorf("it leads out of the volume: %w", ErrArchive)
	}
	c := strings.TrimPrefix(path.Clean("/"+name), "/")
	if strings.Count(c, "/") > maxDepth {
		return "", fmt.Errorf("it is more than %d directories deep: %w", maxDepth, ErrArchive)
	}
	if c == "" {
		return ".", nil
	}
	return c, nil
}

func (u *unpacker) entry(h *tar.Header) error {
	name, err := clean(h.Name)
	if err != nil {
		return err
	}
	if err := u.enter(name); err != nil {
		return err
	}
	switch h.Typeflag {
	case tar.TypeXGlobalHeader:
		return nil
	case tar.TypeDir:
		return u.dir(h, name)
	}
	if name == "." {
		return fmt.Errorf("the volume itself is a directory: %w", ErrArchive)
	}
	if err := u.clear(name); err != nil {
		return err
	}
	switch h.Typeflag {
	case tar.TypeReg:
		if h.PAXRecords["GNU.sparse.major"] != "" || h.PAXRecords["GNU.sparse.map"] != "" {
			break // a few bytes of an archive would fill the volume
		}
		return u.regular(h, name)
	case tar.TypeGNUSparse:
	case tar.TypeLink:
		target, err := clean(h.Linkname)
		if err != nil {
			return err
		}
		return u.root.Link(target, name)
	case tar.TypeSymlink:
		if len(h.Linkname) > maxName || h.Linkname == "" || strings.ContainsRune(h.Linkname, 0) {
			return fmt.Errorf("the link leads nowhere: %w", ErrArchive)
		}
		if err := u.root.Symlink(h.Linkname, name); err != nil {
			return err
		}
		if err := u.root.Lchown(name, h.Uid, h.Gid); err != nil {
			return err
		}
		return u.touch(name, h.ModTime)
	case tar.TypeFifo:
		return u.fifo(h, name)
	case tar.TypeChar, tar.TypeBlock:
		return fmt.Errorf("a volume has no devices: %w", ErrArchive)
	}
	return fmt.Errorf("it is of a kind that is not taken, such as a sparse file: %w", ErrArchive)
}

// enter leaves the directories that a name is not in, and makes those that the archive did not name.
func (u *unpacker) enter(name string) error {
	keep := 0
	for keep < len(u.within) && (u.within[keep].name == "." || strings.HasPrefix(name, u.within[keep].name+"/")) {
		keep++
	}
	if err := u.leave(keep); err != nil {
		return err
	}
	if parent := path.Dir(name); parent != "." {
		return u.root.MkdirAll(parent, 0o755)
	}
	return nil
}

// leave sets the times of directories that nothing more comes into.
func (u *unpacker) leave(keep int) error {
	for len(u.within) > keep {
		last := u.within[len(u.within)-1]
		u.within = u.within[:len(u.within)-1]
		if err := u.touch(last.name, last.time); err != nil {
			return full(err)
		}
	}
	return nil
}

// clear removes what has the name of an entry that is no directory.
func (u *unpacker) clear(name string) error {
	err := u.root.Remove(name)
	if errors.Is(err, unix.ENOTEMPTY) || errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("there is a directory of that name, which holds something: %w", ErrArchive)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func (u *unpacker) dir(h *tar.Header, name string) error {
	if name != "." {
		if there, err := u.root.Lstat(name); err == nil && !there.IsDir() {
			if err := u.root.Remove(name); err != nil {
				return err
			}
		}
		if err := u.root.Mkdir(name, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	d, err := u.root.OpenFile(name, os.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	defer func() { _ = d.Close() }()
	u.within = append(u.within, dirTime{name, h.ModTime})
	return own(d, h)
}

func (u *unpacker) regular(h *tar.Header, name string) error {
	f, err := u.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, u.tar)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = fmt.Errorf("the stream ends within it: %w", ErrArchive)
	}
	if err = errors.Join(err, own(f, h), f.Close()); err != nil {
		return err
	}
	return u.touch(name, h.ModTime)
}

func (u *unpacker) fifo(h *tar.Header, name string) error {
	d, err := u.root.Open(path.Dir(name))
	if err != nil {
		return err
	}
	defer func() { _ = d.Close() }()
	fd, base := int(d.Fd()), path.Base(name)
	if err := unix.Mkfifoat(fd, base, 0o600); err != nil {
		return err
	}
	// It can't be opened without waiting for the other end.
	if err := u.root.Lchown(name, h.Uid, h.Gid); err != nil {
		return err
	}
	if err := u.root.Chmod(name, h.FileInfo().Mode()); err != nil {
		return err
	}
	return u.touch(name, h.ModTime)
}

// own gives a file that is open its owner, then its mode, which a change of owner may take bits from, then its attributes.
func own(f *os.File, h *tar.Header) error {
	if err := f.Chown(h.Uid, h.Gid); err != nil {
		return err
	}
	if err := f.Chmod(h.FileInfo().Mode()); err != nil {
		return err
	}
	for record, value := range h.PAXRecords {
		name, ok := strings.CutPrefix(record, xattrRecord)
		if !ok || !strings.HasPrefix(name, userAttribute) {
			continue // what the system keeps there, a program's rights say, means nothing in a volume
		}
		if err := unix.Fsetxattr(int(f.Fd()), name, []byte(value), 0); err != nil {
			return fmt.Errorf("attribute %s: %w", name, err)
		}
	}
	return nil
}

// touch sets when something was changed last, of a link its own.
func (u *unpacker) touch(name string, at time.Time) error {
	d, err := u.root.Open(path.Dir(name))
	if err != nil {
		return err
	}
	defer func() { _ = d.Close() }()
	t, err := unix.TimeToTimespec(at)
	if err != nil {
		return fmt.Errorf("its time is none: %w", ErrArchive)
	}
	return unix.UtimesNanoAt(int(d.Fd()), path.Base(name), []unix.Timespec{t, t}, unix.AT_SYMLINK_NOFOLLOW)
}
