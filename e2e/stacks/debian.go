// SPDX-License-Identifier: Apache-2.0

// Package stacks runs app files of testdata/corpus with servers that people know: nginx, PostgreSQL, Redis and gunicorn out of Debian's
// packages, and small programs in front of and behind them.
//
// The files are deployed as they lie there. Their images are made here, under the names that the files say, and keep to what images of those
// names promise: variables, users, volumes, how they stop. Nothing of Debian is installed, and no package's scripts run: what those would have
// done, the images' own last layer does.
package stacks

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// made changes with what merge does, so that layers of before are made again.
const made = "2"

// documents are what slim images leave out.
var documents = regexp.MustCompile(`^usr/share/(doc|doc-base|info|lintian|locale|man)/.`)

// packages is the folder that packages.sh fills.
type packages string

// layer makes a layer of the packages of a list, or finds it made, and returns its file.
func (p packages) layer(ctx context.Context, name string) (string, error) {
	list, err := os.ReadFile(filepath.Join(string(p), name+".list"))
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(append([]byte(made), list...))
	file := filepath.Join(string(p), fmt.Sprintf("%s-%x.tar.gz", name, sum[:8]))
	if _, err := os.Stat(file); err == nil {
		return file, nil
	}
	f, err := os.CreateTemp(string(p), name)
	if err != nil {
		return "", err
	}
	err = p.merge(ctx, f, strings.Fields(string(list)))
	if err = errors.Join(err, f.Close()); err != nil {
		return "", errors.Join(fmt.Errorf("making layer %s: %w", name, err), os.Remove(f.Name()))
	}
	return file, os.Rename(f.Name(), file)
}

// merge writes the files of packages as one layer, as they would lie on a machine: below /usr, with links to there.
func (p packages) merge(ctx context.Context, to io.Writer, names []string) error {
	zip, err := gzip.NewWriterLevel(to, gzip.BestSpeed)
	if err != nil {
		return err
	}
	w := tar.NewWriter(zip)
	seen := map[string]bool{}
	links := map[string]string{"bin": "usr/bin", "lib": "usr/lib", "lib64": "usr/lib64", "sbin": "usr/sbin", "var/run": "/run"}
	for _, link := range slices.Sorted(maps.Keys(links)) {
		seen[link] = true
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeSymlink, Name: link, Linkname: links[link], Mode: 0o777}); err != nil {
			return err
		}
	}
	for _, name := range names {
		if err := p.unpack(ctx, w, name, seen); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return errors.Join(w.Close(), zip.Close())
}

func (p packages) unpack(ctx context.Context, w *tar.Writer, name string, seen map[string]bool) error {
	cmd := exec.CommandContext(ctx, "dpkg-deb", "--fsys-tarfile", filepath.Join(string(p), "archives", name))
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	err = copyFiles(w, tar.NewReader(out), seen)
	_, drained := io.Copy(io.Discard, out)
	return errors.Join(err, drained, cmd.Wait())
}

func copyFiles(w *tar.Writer, r *tar.Reader, seen map[string]bool) error {
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		h.Name = place(h.Name)
		if h.Typeflag == tar.TypeLink {
			h.Linkname = place(h.Linkname)
		}
		if seen[h.Name] || h.Name == "." || documents.MatchString(h.Name) {
			continue
		}
		seen[h.Name] = true
		if err := w.WriteHeader(h); err != nil {
			return err
		}
		if _, err := io.Copy(w, r); err != nil {
			return err
		}
	}
}

// place is where a package's file lies on a machine whose /bin, /lib and /sbin are links into /usr.
func place(name string) string {
	name = path.Clean(strings.TrimPrefix(name, "./"))
	first, _, below := strings.Cut(name, "/")
	if below && (first == "bin" || first == "sbin" || strings.HasPrefix(first, "lib")) {
		return "usr/" + name
	}
	return name
}
