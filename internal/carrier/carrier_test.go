// SPDX-License-Identifier: Apache-2.0

package carrier

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

var long = time.Unix(1_600_000_000, 123_456_789)

// tree makes one with everything that a volume can have.
func tree(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	must(t,
		os.Mkdir(filepath.Join(dir, "sub"), 0o750),
		os.WriteFile(filepath.Join(dir, "sub", "file"), []byte("content"), 0o640),
		os.Chmod(filepath.Join(dir, "sub", "file"), 0o640|fs.ModeSetuid),
		os.Link(filepath.Join(dir, "sub", "file"), filepath.Join(dir, "again")),
		os.Symlink("/etc/passwd", filepath.Join(dir, "link")),
		unix.Mkfifo(filepath.Join(dir, "fifo"), 0o600),
		os.WriteFile(filepath.Join(dir, strings.Repeat("n", 200)), bytes.Repeat([]byte{7}, 100_000), 0o604),
		os.Chmod(dir, 0o711),
	)
	if os.Geteuid() == 0 {
		must(t, os.Lchown(filepath.Join(dir, "link"), 70, 71), os.Chown(filepath.Join(dir, "sub"), 1_000_000_000, 3), os.Chown(dir, 5, 6))
	}
	_ = unix.Setxattr(filepath.Join(dir, "sub", "file"), "user.note", []byte("a\nb"), 0) // not every file system has them
	stamp := []unix.Timespec{unix.NsecToTimespec(long.UnixNano()), unix.NsecToTimespec(long.UnixNano())}
	must(t, filepath.WalkDir(dir, func(name string, _ fs.DirEntry, err error) error {
		return errors.Join(err, unix.UtimesNanoAt(unix.AT_FDCWD, name, stamp, unix.AT_SYMLINK_NOFOLLOW))
	}))
	return dir
}

func must(t *testing.T, all ...error) {
	t.Helper()
	if err := errors.Join(all...); err != nil {
		t.Fatal(err)
	}
}

// list says everything of a tree that is to be kept.
func list(t *testing.T, dir string) []string {
	t.Helper()
	var all []string
	must(t, filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		s := stat(info)
		rel, _ := filepath.Rel(dir, name)
		line := fmt.Sprintf("%.20s %s %d:%d %s", rel, info.Mode(), s.Uid, s.Gid, info.ModTime().UTC())
		switch info.Mode().Type() {
		case fs.ModeSymlink:
			target, _ := os.Readlink(name)
			line += " → " + target
		case 0:
			content, _ := os.ReadFile(name)
			value := make([]byte, 100)
			n, _ := unix.Getxattr(name, "user.note", value)
			line += fmt.Sprintf(" %d names, %d bytes, %q", s.Nlink, len(content), value[:max(n, 0)])
		default: // has nothing more to it
		}
		all = append(all, line)
		return nil
	}))
	return all
}

func TestWhatGoesOutComesInTheSame(t *testing.T) {
	from, to := tree(t), t.TempDir()
	var archive bytes.Buffer
	must(t, Pack(&archive, from))
	must(t, Unpack(to, bytes.NewReader(archive.Bytes())))
	want := list(t, from)
	if len(want) != 7 {
		t.Errorf("control: %d entries, want 7", len(want))
	}
	if diff := cmp.Diff(want, list(t, to)); diff != "" {
		t.Errorf("(-from +to)\n%s", diff)
	}
	// Once more onto what is there, as a restore does.
	must(t, Unpack(to, &archive))
	if diff := cmp.Diff(want, list(t, to)); diff != "" {
		t.Errorf("the second time (-from +to)\n%s", diff)
	}
}

// pack makes an archive of headers; a regular file's content is its name.
func pack(t testing.TB, headers ...tar.Header) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range headers {
		content := ""
		if h.Typeflag == tar.TypeReg {
			content = h.Name
		}
		h.Size, h.Mode, h.Uid, h.Gid = int64(len(content)), 0o644, os.Getuid(), os.Getgid()
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestNothingGetsOutOfAVolume(t *testing.T) {
	link := func(name, to string) tar.Header {
		return tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: to}
	}
	reg := func(name string) tar.Header { return tar.Header{Typeflag: tar.TypeReg, Name: name} }
	for name, archive := range map[string][]tar.Header{
		"by a name that climbs":                   {reg("../out")},
		"by a name that climbs from within":       {reg("a/../../out")},
		"through a link upwards":                  {link("up", ".."), reg("up/out")},
		"through an absolute link":                {link("abs", "OUTSIDE"), reg("abs/out")},
		"through a link to a link":                {link("a", ".."), link("b", "a"), reg("b/out")},
		"onto what a link names":                  {link("out", "OUTSIDE/out"), {Typeflag: tar.TypeDir, Name: "out"}, reg("out/out")},
		"by a hard link to a file outside":        {{Typeflag: tar.TypeLink, Name: "in", Linkname: "../secret"}, reg("../secret")},
		"by a hard link through a link":           {link("up", ".."), {Typeflag: tar.TypeLink, Name: "in", Linkname: "up/secret"}},
		"by a device":                             {{Typeflag: tar.TypeBlock, Name: "disk", Devmajor: 8}},
		"by a device of characters":               {{Typeflag: tar.TypeChar, Name: "mem", Devmajor: 1, Devminor: 1}},
		"by a type that nobody knows":             {{Typeflag: 'Z', Name: "odd"}},
		"by being something else than a folder":   {reg(".")},
		"by a name that is too long":              {reg(strings.Repeat("n/", 2100) + "x")},
		"by being too deep":                       {reg(strings.Repeat("d/", maxDepth+2) + "x")},
		"by a link that leads too far":            {link("far", strings.Repeat("x", maxName+1))},
		"by taking a folder's place that is full": {reg("dir/file"), link("dir", "..")},
	} {
		t.Run(name, func(t *testing.T) {
			above := t.TempDir()
			dir := filepath.Join(above, "volume")
			must(t, os.Mkdir(dir, 0o755), os.WriteFile(filepath.Join(above, "secret"), []byte("secret"), 0o600))
			for i := range archive {
				archive[i].Linkname = strings.Replace(archive[i].Linkname, "OUTSIDE", above, 1)
			}
			err := Unpack(dir, bytes.NewReader(pack(t, archive...)))
			if name != "onto what a link names" && err == nil {
				t.Error("it was taken")
			}
			for _, entry := range list(t, above) {
				if strings.HasPrefix(entry, "out ") || strings.HasPrefix(entry, "secret") && !strings.Contains(entry, "6 bytes") {
					t.Errorf("outside there is %s", entry)
				}
			}
		})
	}
}

func TestABrokenArchiveIsRefused(t *testing.T) {
	whole := pack(t, tar.Header{Typeflag: tar.TypeReg, Name: strings.Repeat("a", 90)})
	for name, archive := range map[string][]byte{
		"that is none":              bytes.Repeat([]byte("no archive "), 100),
		"that ends within a header": whole[:200],
		"that ends within a file":   whole[:512+10],
	} {
		if err := Unpack(t.TempDir(), bytes.NewReader(archive)); !errors.Is(err, ErrArchive) {
			t.Errorf("one %s: %v, want ErrArchive", name, err)
		}
	}
	if err := Unpack(t.TempDir(), bytes.NewReader(nil)); err != nil {
		t.Errorf("an empty one: %v", err)
	}
}

func TestANewVolumeGetsWhatTheImageHas(t *testing.T) {
	image, volume := tree(t), t.TempDir()
	must(t, os.Mkdir(filepath.Join(volume, lostAndFound), 0o700))
	must(t, Fill(volume, image, os.Getgid()))
	want, have := list(t, image), list(t, volume)
	// When the volume itself was changed last is when the copy's directory went.
	if diff := cmp.Diff(want[1:], have[1:]); diff != "" {
		t.Errorf("(-image +volume)\n%s", diff)
	}
	if mode := "drwx--x--x"; !strings.Contains(have[0], mode) {
		t.Errorf("the volume is %s, want %s", have[0], mode)
	}

	t.Run("once", func(t *testing.T) {
		must(t, os.Remove(filepath.Join(volume, "again")), Fill(volume, image, os.Getgid()))
		if _, err := os.Lstat(filepath.Join(volume, "again")); err == nil {
			t.Error("what the app removed came back")
		}
	})
	t.Run("again, when it was interrupted", func(t *testing.T) {
		half := t.TempDir()
		must(t, os.Mkdir(filepath.Join(half, copying), 0o700), os.WriteFile(filepath.Join(half, copying, "half"), nil, 0o600))
		must(t, Fill(half, image, os.Getgid()))
		if diff := cmp.Diff(want[1:], list(t, half)[1:]); diff != "" {
			t.Errorf("(-image +volume)\n%s", diff)
		}
	})
	t.Run("the rest of it, when it was interrupted while it was moved up", func(t *testing.T) {
		moved := t.TempDir()
		must(t, os.Mkdir(filepath.Join(moved, copied), 0o700), Unpack(filepath.Join(moved, copied), packed(t, image)))
		must(t, os.Rename(filepath.Join(moved, copied, "sub"), filepath.Join(moved, "sub")))
		must(t, Fill(moved, "/no/such/image", os.Getgid()))
		have := list(t, moved)
		if diff := cmp.Diff(want[1:], have[1:]); diff != "" || !strings.Contains(have[0], "drwx--x--x") {
			t.Errorf("the volume is %s (-image +volume)\n%s", have[0], diff)
		}
	})
	t.Run("and takes nothing away that came into it meanwhile", func(t *testing.T) {
		for _, left := range []string{copying, copied} {
			used := t.TempDir()
			must(t, os.Mkdir(filepath.Join(used, left), 0o700), os.WriteFile(filepath.Join(used, left, "again"), nil, 0o600))
			must(t, os.WriteFile(filepath.Join(used, "again"), []byte("the app's"), 0o600), Fill(used, image, os.Getgid()))
			if got := list(t, used); len(got) != 2 || !strings.Contains(got[1], "9 bytes") {
				t.Errorf("beside %s there is %v", left, got)
			}
		}
	})
	t.Run("not where the app has something of that name", func(t *testing.T) {
		used := t.TempDir()
		must(t, os.WriteFile(filepath.Join(used, copying), []byte("the app's"), 0o600), Fill(used, image, os.Getgid()))
		if got := list(t, used); len(got) != 2 || !strings.Contains(got[1], "9 bytes") {
			t.Errorf("there is %v", got)
		}
	})
	t.Run("with nothing left behind of a copy that failed, when it is not to be copied any more", func(t *testing.T) {
		half := t.TempDir()
		must(t, os.Mkdir(filepath.Join(half, copying), 0o700), Fill(half, "", os.Getgid()))
		if got := list(t, half); len(got) != 1 {
			t.Errorf("there is %v", got)
		}
	})
	t.Run("through a link that the image has there", func(t *testing.T) {
		linked, other := filepath.Join(t.TempDir(), "link"), t.TempDir()
		must(t, os.Symlink(image, linked), Fill(other, linked, os.Getgid()))
		if diff := cmp.Diff(want[1:], list(t, other)[1:]); diff != "" {
			t.Errorf("(-image +volume)\n%s", diff)
		}
	})
}

func packed(t *testing.T, dir string) io.Reader {
	t.Helper()
	var b bytes.Buffer
	must(t, Pack(&b, dir))
	return &b
}

func TestAVolumeForWhichNoImageHasAnythingIsItsGroups(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root owns a new volume")
	}
	file := filepath.Join(t.TempDir(), "file")
	must(t, os.WriteFile(file, nil, 0o600))
	for name, source := range map[string]string{"there is nothing": "/does/not/exist", "there is a file": file, "nothing is to be copied": ""} {
		volume := t.TempDir()
		must(t, Fill(volume, source, 4321))
		if got := list(t, volume); len(got) != 1 || !strings.Contains(got[0], "dgrwxrwxr-x 0:4321") {
			t.Errorf("where %s: %v", name, got)
		}
		// Whose it is already it stays.
		must(t, os.Chown(volume, 7, 8), os.Chmod(volume, 0o700), Fill(volume, source, 4321))
		if got := list(t, volume); !strings.Contains(got[0], "drwx------ 7:8") {
			t.Errorf("where %s and it is somebody's: %v", name, got)
		}
	}
}

func TestATreeThatIsTooDeepIsRefused(t *testing.T) {
	dir := t.TempDir()
	root, err := os.OpenRoot(dir)
	must(t, err)
	defer func() { _ = root.Close() }()
	must(t, root.MkdirAll(strings.TrimSuffix(strings.Repeat("d/", maxDepth+2), "/"), 0o700))
	if err := Pack(io.Discard, dir); !errors.Is(err, ErrTree) {
		t.Errorf("%v, want ErrTree", err)
	}
}

// Whatever an archive says, nothing is written beside the volume, and what is taken comes out again.
func FuzzUnpack(f *testing.F) {
	f.Add(pack(f, tar.Header{Typeflag: tar.TypeReg, Name: "file"}, tar.Header{Typeflag: tar.TypeSymlink, Name: "l", Linkname: ".."}))
	f.Add(pack(f, tar.Header{Typeflag: tar.TypeDir, Name: "dir/"}, tar.Header{Typeflag: tar.TypeLink, Name: "dir/l", Linkname: "../x"}))
	f.Fuzz(func(t *testing.T, archive []byte) {
		above := t.TempDir()
		dir := filepath.Join(above, "volume")
		must(t, os.Mkdir(dir, 0o755))
		taken := Unpack(dir, bytes.NewReader(archive)) == nil
		if entries, err := os.ReadDir(above); err != nil || len(entries) != 1 {
			t.Errorf("beside the volume: %v %v", entries, err)
		}
		if taken {
			must(t, Pack(io.Discard, dir))
		}
	})
}
