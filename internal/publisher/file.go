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
// else the .env beside the app file; the environment wins, then the last file. Without overrides those of a directory are what Compose would
// merge over its app file there.
func ReadAppFile(path, name string, overrides []string, envFiles ...string) (appfile.Source, error) {
	dir := path
	info, err := os.Stat(path)
	if err != nil || !info.IsDir() {
		dir = filepath.Dir(path)
	}
	env, err := readEnv(dir, envFiles)
	if err != nil {
		return appfile.Source{}, err
	}
	if dir == path {
		var merged []string
		if path, merged, err = findAppFile(dir, env); err != nil {
			return appfile.Source{}, err
		}
		if len(overrides) == 0 {
			overrides = merged
		}
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
	return appfile.Source{
		File: path, Dir: string(tree), Content: content, Overrides: overrides, Name: name, Env: env, ReadFile: readBounded, Stat: tree.stat, List: tree.list,
	}, nil
}

// readEnv returns the variables of this process and of files.
func readEnv(dir string, files []string) (map[string]string, error) {
	env := map[string]string{}
	for _, kv := range os.Environ() {
		if k, v, ok := strings.Cut(kv, "="); ok {
			env[k] = v
		}
	}
	if len(files) == 0 {
		err := readVariables(filepath.Join(dir, ".env"), env)
		if errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
		return env, err
	}
	for _, f := range slices.Backward(files) {
		if err := readVariables(f, env); err != nil {
			return nil, err
		}
	}
	return env, nil
}

// findAppFile returns the app file of a directory, and those that Compose merges over it: all that COMPOSE_FILE names, or else by name.
func findAppFile(dir string, env map[string]string) (file string, overrides []string, err error) {
	if list := env["COMPOSE_FILE"]; list != "" {
		files := strings.Split(list, cmp.Or(env["COMPOSE_PATH_SEPARATOR"], string(os.PathListSeparator)))
		for i, f := range files {
			if !filepath.IsAbs(f) {
				f = filepath.Join(dir, f)
			}
			abs, err := filepath.Abs(f)
			if err != nil {
				return "", nil, fmt.Errorf("reading COMPOSE_FILE: %w", err)
			}
			// Further files would be looked for beside the first otherwise.
			if files[i] = abs; i == 0 {
				files[i] = f
			}
		}
		return files[0], files[1:], nil
	}
	first := func(names ...string) string {
		for _, n := range names {
			if _, err := os.Stat(filepath.Join(dir, n)); err == nil {
				return n
			}
		}
		return ""
	}
	if file = first("compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml"); file == "" {
		return "", nil, fault.Hint(fmt.Errorf("%s has no app file: %w", dir, fs.ErrNotExist), "name the file, or call it compose.yaml")
	}
	if over := first("compose.override.yml", "compose.override.yaml", "docker-compose.override.yml", "docker-compose.override.yaml"); over != "" {
		overrides = []string{over}
	}
	return filepath.Join(dir, file), overrides, nil
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
		return nil, &fs.PathError{Op: "read", Path: path, Err: errors.New("no regular file")}
	}
	content, err := io.ReadAll(io.LimitReader(f, appfile.MaxSize+1))
	if err == nil && len(content) > appfile.MaxSize {
		err = fmt.Errorf("%s has more than %d bytes", path, appfile.MaxSize)
	}
	return content, err
}
