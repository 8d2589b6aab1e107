// SPDX-License-Identifier: Apache-2.0

package publisher

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/compose-spec/compose-go/v2/dotenv"

	"github.com/apocryph/apocryph/internal/appfile"
	"github.com/apocryph/apocryph/internal/fault"
)

// ReadAppFile reads an app file, or the one in a directory, with this process's environment and the .env beside the file; the environment wins.
func ReadAppFile(path, name string) (appfile.Source, error) {
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
	src := appfile.Source{File: path, Dir: filepath.Dir(abs), Content: content, Name: name, Env: map[string]string{}, ReadFile: readBounded}
	for _, kv := range os.Environ() {
		if k, v, ok := strings.Cut(kv, "="); ok {
			src.Env[k] = v
		}
	}
	return src, readDotEnv(filepath.Join(src.Dir, ".env"), src.Env)
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

func readDotEnv(path string, env map[string]string) error {
	content, err := readBounded(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading %s: %w", path, err)
	}
	vars, err := dotenv.ParseWithLookup(bytes.NewReader(content), func(k string) (string, bool) { v, ok := env[k]; return v, ok })
	if err != nil {
		return fault.Hint(fmt.Errorf("reading %s: %w", path, err), "write lines of the form NAME=value")
	}
	for k, v := range vars {
		if _, set := env[k]; !set {
			env[k] = v
		}
	}
	return nil
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
