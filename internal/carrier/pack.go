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
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const xattrRecord = "SCHILY.xattr."

// Pack writes the tree in dir as a tar stream, the directory itself first, as ".". It stays on dir's file system, and leaves out devices and
// sockets: neither works in a volume. What changes meanwhile is an error.
func Pack(w io.Writer, dir string) error {
	p := &packer{tar: tar.NewWriter(w), linked: map[file]string{}}
	return p.tree(dir)
}

// PackLive is Pack of a tree that is in use: what goes away before it is read is left out, and a file that gets shorter while it is read is
// filled up with zeros. It tells of both, and of files that were written to meanwhile.
func PackLive(w io.Writer, dir string) (Changed, error) {
	p := &packer{tar: tar.NewWriter(w), linked: map[file]string{}, live: true}
	err := p.tree(dir)
	return p.changed, err
}

// Changed are the files that changed while they were read.
type Changed struct {
	Files uint64
	// Example is one of them.
	Example string
}

func (p *packer) tree(dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()
	info, err := root.Lstat(".")
	if err != nil {
		return err
	}
	p.device = stat(info).Dev
	if err := p.dir(root, ".", info, 0); err != nil {
		return err
	}
	return p.tar.Close()
}

// file is one whatever it is called.
type file struct{ dev, ino uint64 }

type packer struct {
	tar    *tar.Writer
	device uint64
	linked map[file]string
	// live says that what changes meanwhile is counted, and no error.
	live    bool
	changed Changed
}

// gone passes over what went away, or became something else, after its directory was read.
func (p *packer) gone(name string, err error) error {
	if !p.live || !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, unix.ENOTDIR) && !errors.Is(err, unix.ELOOP) &&
		!errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENXIO) {
		return err
	}
	p.note(name)
	return nil
}

// forget has the next name of a file that is not in the archive after all stand for it.
func (p *packer) forget(info fs.FileInfo) {
	s := stat(info)
	delete(p.linked, file{s.Dev, s.Ino})
}

func (p *packer) note(name string) {
	p.changed.Files++
	p.changed.Example = name
}

func stat(info fs.FileInfo) *syscall.Stat_t {
	s, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return &syscall.Stat_t{} // an operating system that this does not run on
	}
	return s
}

// dir writes a directory that is open, and all below it.
func (p *packer) dir(root *os.Root, name string, info fs.FileInfo, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("%s is more than %d directories deep: %w", name, maxDepth, ErrTree)
	}
	d, err := root.Open(".")
	if err != nil {
		return err
	}
	defer func() { _ = d.Close() }()
	if err := p.header(info, name, "", d); err != nil {
		return err
	}
	for {
		entries, err := d.ReadDir(batch)
		for _, e := range entries {
			if err := p.entry(root, name, e.Name(), depth); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return p.gone(name, err)
		}
	}
}

func (p *packer) entry(root *os.Root, parent, base string, depth int) error {
	name := path.Join(parent, base)
	info, err := root.Lstat(base)
	if err != nil {
		return p.gone(name, err)
	}
	switch mode := info.Mode(); {
	case mode.IsDir():
		if stat(info).Dev != p.device {
			return nil // something else that is mounted here
		}
		below, err := root.OpenRoot(base)
		if err != nil {
			return p.gone(name, err)
		}
		defer func() { _ = below.Close() }()
		return p.dir(below, name, info, depth+1)
	case mode&(fs.ModeDevice|fs.ModeSocket|fs.ModeIrregular) != 0:
		return nil
	}
	if known, err := p.link(info, name); known || err != nil {
		return err
	}
	switch info.Mode().Type() {
	case fs.ModeSymlink:
		target, err := root.Readlink(base)
		if err != nil {
			return p.gone(name, err)
		}
		return p.header(info, name, target, nil)
	case 0:
		return p.regular(root, name, base, info)
	default:
		return p.header(info, name, "", nil)
	}
}

// link writes a further name of a file that is in the archive already, and reports whether it did.
func (p *packer) link(info fs.FileInfo, name string) (bool, error) {
	s := stat(info)
	if s.Nlink < 2 {
		return false, nil
	}
	id := file{s.Dev, s.Ino}
	first, ok := p.linked[id]
	if !ok {
		if len(p.linked) == maxLinked {
			return false, fmt.Errorf("more than %d files have several names: %w", maxLinked, ErrTree)
		}
		p.linked[id] = name
		return false, nil
	}
	return true, p.tar.WriteHeader(&tar.Header{
		Typeflag: tar.TypeLink, Name: entryName(name, false), Linkname: entryName(first, false), Format: tar.FormatPAX, ModTime: info.ModTime(),
	})
}

func (p *packer) regular(root *os.Root, name, base string, seen fs.FileInfo) error {
	f, err := root.OpenFile(base, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		p.forget(seen)
		if now, lost := root.Lstat(base); lost == nil && p.live && !now.Mode().IsRegular() { // a link that leads out, say
			err = fs.ErrNotExist
		}
		return p.gone(name, err)
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if p.live && !info.Mode().IsRegular() {
		p.forget(seen)
		p.note(name)
		return nil
	}
	if err := p.header(info, name, "", f); err != nil {
		return err
	}
	n, err := io.CopyN(p.tar, f, info.Size())
	if errors.Is(err, io.EOF) && p.live {
		_, err = io.CopyN(p.tar, zeros{}, info.Size()-n)
	}
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("%s had %d bytes, and now %d: %w", name, info.Size(), n, ErrTree)
	}
	if err != nil || !p.live {
		return err
	}
	after, err := f.Stat()
	if err != nil {
		return err
	}
	if after.Size() != info.Size() || !after.ModTime().Equal(info.ModTime()) {
		p.note(name)
	}
	return nil
}

// zeros are as many as are wanted.
type zeros struct{}

func (zeros) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}

// header writes what an archive says of one entry; of one that is open its attributes, too.
func (p *packer) header(info fs.FileInfo, name, target string, open *os.File) error {
	h, err := tar.FileInfoHeader(info, target)
	if err != nil {
		return err
	}
	h.Name, h.Uname, h.Gname, h.Format = entryName(name, info.IsDir()), "", "", tar.FormatPAX
	s := stat(info)
	h.Uid, h.Gid = int(s.Uid), int(s.Gid)
	h.AccessTime, h.ChangeTime = time.Time{}, time.Time{} // reading changes the one, and nobody can set the other
	if open != nil {
		if h.PAXRecords, err = attributes(open); err != nil {
			return fmt.Errorf("reading the attributes of %s: %w", name, err)
		}
	}
	return p.tar.WriteHeader(h)
}

// entryName is as tar writes it for "tar -C dir -c .".
func entryName(name string, dir bool) string {
	if name == "." {
		return "./"
	}
	if dir {
		name += "/"
	}
	return "./" + name
}

// attributes are those that users set, as an archive says them.
func attributes(f *os.File) (map[string]string, error) {
	fd := int(f.Fd())
	n, err := unix.Flistxattr(fd, nil)
	if n == 0 || errors.Is(err, unix.ENOTSUP) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	names := make([]byte, n)
	if n, err = unix.Flistxattr(fd, names); err != nil {
		return nil, err
	}
	var all map[string]string
	for _, name := range slices.Sorted(strings.SplitSeq(string(names[:n]), "\x00")) {
		if !strings.HasPrefix(name, userAttribute) || strings.Contains(name, "=") {
			continue
		}
		value := make([]byte, maxAttribute)
		size, err := unix.Fgetxattr(fd, name, value)
		if err != nil {
			return nil, err
		}
		if all == nil {
			all = map[string]string{}
		}
		all[xattrRecord+name] = string(value[:size])
	}
	return all, nil
}

const (
	userAttribute = "user."
	// maxAttribute is the kernel's own bound.
	maxAttribute = 64 << 10
)
