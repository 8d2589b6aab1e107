// SPDX-License-Identifier: Apache-2.0

package carrier

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// framed is a stream as the gateway sends it, in parts of a size.
func framed(b []byte, size int, last bool) []byte {
	var out []byte
	for len(b) > 0 {
		n := min(size, len(b))
		out = append(binary.BigEndian.AppendUint32(out, uint32(n)), b[:n]...)
		b = b[n:]
	}
	if last {
		out = append(out, 0, 0, 0, 0)
	}
	return out
}

// What Get writes Put takes, whatever it is cut into, and both say the same of it.
func TestAVolumeGoesThroughAStream(t *testing.T) {
	from := tree(t)
	var out bytes.Buffer
	got, err := Get(&out, from)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(out.Bytes())
	want := Report{Bytes: uint64(out.Len()), SHA256: sum[:]}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("get (-want +got):\n%s", diff)
	}
	for _, size := range []int{1, 511, 1 << 20} {
		to := t.TempDir()
		put, err := Put(to, bytes.NewReader(framed(out.Bytes(), size, true)))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, put); diff != "" {
			t.Errorf("put in parts of %d (-want +got):\n%s", size, diff)
		}
		if diff := cmp.Diff(list(t, from), list(t, to)); diff != "" {
			t.Errorf("the volume, in parts of %d (-want +got):\n%s", size, diff)
		}
	}
}

// A stream that ends without saying so is broken, wherever that is: also where an archive could end.
func TestWhatBreaksOffIsNoEnd(t *testing.T) {
	var b bytes.Buffer
	if _, err := Get(&b, tree(t)); err != nil {
		t.Fatal(err)
	}
	whole := framed(b.Bytes(), 4096, true)
	for _, n := range []int{0, 2, 4, 600, len(whole) / 2, len(whole) - 5, len(whole) - 4, len(whole) - 1} {
		if _, err := Put(t.TempDir(), bytes.NewReader(whole[:n])); !errors.Is(err, ErrBroken) {
			t.Errorf("%d of %d bytes: %v", n, len(whole), err)
		}
	}
	for name, stream := range map[string][]byte{
		"a part that is too long": binary.BigEndian.AppendUint32(nil, maxFrame+1),
		"no frames":               []byte("this is nothing of that kind"),
	} {
		if _, err := Put(t.TempDir(), bytes.NewReader(stream)); !errors.Is(err, ErrBroken) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, content := range map[string][]byte{"nothing": nil, "no archive": bytes.Repeat([]byte("no archive "), 100)} {
		if _, err := Put(t.TempDir(), bytes.NewReader(framed(content, 100, true))); !errors.Is(err, ErrArchive) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What is put beside what is there takes nothing else away, and one name after the other.
func TestPutMerges(t *testing.T) {
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "stays"), []byte("old"), 0o600), os.WriteFile(filepath.Join(dir, "changes"), []byte("old and long"), 0o600))
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, name := range []string{"changes", "comes"} {
		must(t, w.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Size: 3, Mode: 0o600, Uid: os.Getuid(), Gid: os.Getgid()}))
		_, err := w.Write([]byte("new"))
		must(t, err)
	}
	must(t, w.Close())
	if _, err := Put(dir, bytes.NewReader(framed(b.Bytes(), 100, true))); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"stays": "old", "changes": "new", "comes": "new"} {
		if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(got) != want {
			t.Errorf("%s is %q, %v", name, got, err)
		}
	}
}

// What is gone, or has become something else, when its turn comes is left out and told of, if the volume is in use; else it is an error.
func TestWhatIsGoneWhenItsTurnComes(t *testing.T) {
	for name, change := range map[string]func(dir string) error{
		"a file": func(dir string) error { return os.Remove(filepath.Join(dir, "file")) },
		"a file that is a link now": func(dir string) error {
			return errors.Join(os.Remove(filepath.Join(dir, "file")), os.Symlink("/", filepath.Join(dir, "file")))
		},
		"a file that is a directory now": func(dir string) error {
			return errors.Join(os.Remove(filepath.Join(dir, "file")), os.Mkdir(filepath.Join(dir, "file"), 0o700))
		},
		"a file that is a pipe now": func(dir string) error {
			return errors.Join(os.Remove(filepath.Join(dir, "file")), unix.Mkfifo(filepath.Join(dir, "file"), 0o700))
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			must(t, os.WriteFile(filepath.Join(dir, "file"), []byte("content"), 0o600))
			root, err := os.OpenRoot(dir)
			must(t, err)
			defer func() { _ = root.Close() }()
			info, err := root.Lstat("file")
			must(t, err, change(dir))
			var out bytes.Buffer
			p := &packer{tar: tar.NewWriter(&out), linked: map[file]string{}, live: true}
			must(t, p.regular(root, "file", "file", info), p.entry(root, ".", "none", 0), p.tar.Close())
			if got := names(t, &out); len(got) != 0 || p.changed != (Changed{2, "none"}) {
				t.Errorf("it has %v and tells of %v", got, p.changed)
			}
			p = &packer{tar: tar.NewWriter(io.Discard), linked: map[file]string{}}
			if err := p.entry(root, ".", "none", 0); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("in what is not in use it is %v", err)
			}
		})
	}
}

// When the first of two names goes before it is read, the other one stands for the file.
func TestTheNextNameOfAFileStandsForIt(t *testing.T) {
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "a"), []byte("content"), 0o600), os.Link(filepath.Join(dir, "a"), filepath.Join(dir, "b")), os.Link(filepath.Join(dir, "a"), filepath.Join(dir, "c")))
	root, err := os.OpenRoot(dir)
	must(t, err)
	defer func() { _ = root.Close() }()
	info, err := root.Lstat("a")
	must(t, err)
	var out bytes.Buffer
	p := &packer{tar: tar.NewWriter(&out), linked: map[file]string{}, live: true}
	if known, err := p.link(info, "a"); known || err != nil {
		t.Fatal(known, err)
	}
	must(t, os.Remove(filepath.Join(dir, "a")), p.regular(root, "a", "a", info), p.entry(root, ".", "b", 0), p.entry(root, ".", "c", 0), p.tar.Close())
	if got := strings.Join(names(t, &out), " "); got != "./b(7) ./c→./b" {
		t.Errorf("it has %s", got)
	}
}

// A file that gets shorter while it is read is filled up: an archive says sizes first.
func TestAFileThatIsCutWhileItIsRead(t *testing.T) {
	dir := t.TempDir()
	big := filepath.Join(dir, "big")
	must(t, os.WriteFile(big, bytes.Repeat([]byte{1}, 3<<20), 0o600))
	n := 0
	out := writerFunc(func(b []byte) (int, error) {
		if n++; n == 8 {
			must(t, os.Truncate(big, 1000))
		}
		return len(b), nil
	})
	changed, err := PackLive(out, dir)
	if err != nil || changed.Files != 1 || changed.Example != "big" {
		t.Errorf("it is %v, %v", changed, err)
	}
	must(t, os.WriteFile(big, bytes.Repeat([]byte{1}, 3<<20), 0o600))
	n = 0
	if err := Pack(out, dir); !errors.Is(err, ErrTree) {
		t.Errorf("in what is not in use it is %v", err)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

// names are what an archive has, each with its size or where it leads.
func names(t *testing.T, r io.Reader) []string {
	t.Helper()
	var all []string
	for a := tar.NewReader(r); ; {
		h, err := a.Next()
		if errors.Is(err, io.EOF) {
			return all
		}
		must(t, err)
		switch {
		case h.Linkname != "":
			h.Name += "→" + h.Linkname
		case h.Typeflag == tar.TypeReg:
			h.Name += fmt.Sprintf("(%d)", h.Size)
		}
		all = append(all, h.Name)
	}
}
