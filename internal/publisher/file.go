// SPDX-License-Identifier: Apache-2.0

package publisher

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/apocryph/apocryph/internal/appfile"
	"github.com/apocryph/apocryph/internal/fault"
)

// ReadAppFile reads an app file, or the one in a directory, with this process's environment and variables of files, which are those named or
// else the .env beside the app file; the environment wins, then the last file.
func ReadAppFile(path, name string, envFiles ...string) (appfile.Source, error) {
	path, err := findAppFile(path)
	if err != nil {
		return appfile.Source{}, err
	}
	content, err := readBounded(path)
	if err != nil {
		return appfile.Source{}, fault.Hint(fmt.Errorf("reading the app file: %w", err), "name a Compose file, or the directory that has one")
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return appfile.Source{}, fmt.Errorf("reading the app file: %w", err)
	}
	tree := beside(filepath.Dir(abs))
	src := appfile.Source{File: path, Dir: string(tree), Content: content, Name: name, Env: map[string]string{}, ReadFile: readBounded, Stat: tree.stat, List: tree.list}
	for _, kv := range os.Environ() {
		if k, v, ok := strings.Cut(kv, "="); ok {
			src.Env[k] = v
		}
	}
	if len(envFiles) == 0 {
		err := readVariables(filepath.Join(filepath.Dir(path), ".env"), src.Env)
		if errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
		return src, err
	}
	for _, f := range slices.Backward(envFiles) {
		if err := readVariables(f, src.Env); err != nil {
			return src, err
		}
	}
	return src, nil
}

func findAppFile(path string) (string, error) {
	if info, err := os.Stat(path); err != nil || !info.IsDir() {
		return path, nil //nolint:nilerr // reading says what is wrong
	}
	names := []string{"compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml"}
	for _, n := range names {
		if _, err := os.Stat(filepath.Join(path, n)); err == nil {
			return filepath.Join(path, n), nil
		}
	}
	return "", fault.Hint(fmt.Errorf("%s has no app file: %w", path, fs.ErrNotExist), "name the file, or call it "+names[0])
}

func readVariables(path string, env map[string]string) error {
	content, err := readBounded(path)
	if err != nil {
		return fmt.Errorf("reading %s: %w", path, err)
	}
	if err := appfile.ReadVariables(path, content, env); err != nil {
		var problems appfile.Problems
		if errors.As(err, &problems) {
			return err
		}
		return fault.Hint(fmt.Errorf("reading %s: %w", path, err), "write lines of the form NAME=value")
	}
	return nil
}

// beside is the directory of an app file. What is mounted from there is sent to a provider, so links must not lead out of it.
type beside string

var errLeadsOut = errors.New("a link leads out of the app file's directory")

// maxWalked bounds how many entries a directory is searched through for files.
const maxWalked = 10_000

func (d beside) stat(path string) (fs.FileInfo, error) {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return nil, err
	}
	root, err := filepath.EvalSymlinks(string(d))
	if err != nil {
		return nil, err
	}
	if isBelow(string(d), path) && !isBelow(root, real) {
		return nil, errLeadsOut
	}
	return os.Stat(real)
}

func (d beside) list(dir string, most int) ([]string, error) {
	var names []string
	walked := 0
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() && path == dir {
			return err
		}
		if walked++; walked > maxWalked {
			return fmt.Errorf("it has more than %d entries", maxWalked)
		}
		if e.IsDir() {
			return nil
		}
		if info, err := d.stat(path); err != nil || !info.Mode().IsRegular() {
			return cmp.Or(err, fmt.Errorf("%s is no regular file", e.Name()))
		}
		rel, err := filepath.Rel(dir, path)
		if names = append(names, rel); len(names) > most {
			return fs.SkipAll
		}
		return err
	})
	return names, err
}

func isBelow(dir, path string) bool {
	rel, err := filepath.Rel(dir, path)
	return err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator))
}

// readBounded reads a regular file of at most appfile.MaxSize bytes.
func readBounded(path string) ([]byte, error) {
	// Not blocking, so that a pipe without a writer is refused and not waited for.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no regular file", path)
	}
	content, err := io.ReadAll(io.LimitReader(f, appfile.MaxSize+1))
	if err == nil && len(content) > appfile.MaxSize {
		err = fmt.Errorf("%s has more than %d bytes", path, appfile.MaxSize)
	}
	return content, err
}
