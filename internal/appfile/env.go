// SPDX-License-Identifier: Apache-2.0

package appfile

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"unicode/utf8"

	"github.com/compose-spec/compose-go/v2/types"
)

// variable is one environment variable of a service.
type variable struct{ name, value string }

// readEnv resolves environment and env_file of every service: files in order, then environment over them.
func (f *File) readEnv(r *reader) Problems {
	f.env = map[string][]variable{}
	var found Problems
	for _, name := range slices.Sorted(maps.Keys(f.project.Services)) {
		s := f.project.Services[name]
		path := []string{"services", name}
		vars := types.Mapping{}
		for i, file := range s.EnvFiles {
			ps := f.readEnvFile(r, file, s, vars, append(slices.Clip(path), "env_file", fmt.Sprint(i)))
			found = append(found, ps...)
		}
		for key, value := range s.Environment {
			if value != nil {
				vars[key] = *value
			} else if v, ok := r.src.Env[key]; ok {
				vars[key] = v
			}
		}
		for _, key := range slices.Sorted(maps.Keys(vars)) {
			if !utf8.ValidString(key) || !utf8.ValidString(vars[key]) {
				at := f.doc.problem(append(path, "environment"), fmt.Sprintf("variable %q is not UTF-8 text", key), "encode it, in base64 for example")
				found = append(found, at)
				continue
			}
			f.env[name] = append(f.env[name], variable{key, vars[key]})
		}
	}
	return found
}

func (f *File) readEnvFile(r *reader, file types.EnvFile, s types.ServiceConfig, vars types.Mapping, at []string) Problems {
	content, err := r.read(file.Path)
	if err != nil {
		if !bool(file.Required) && errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return Problems{f.doc.problem(at, fmt.Sprintf("env file %s can't be read: %s", r.shown(file.Path), err), "create the file, or remove it from env_file")}
	}
	err = envFile{r.shown(file.Path), content, file.Format}.readInto(vars, func(k string) (string, bool) {
		if v, ok := s.Environment[k]; ok && v != nil {
			return *v, true
		}
		if v, ok := r.src.Env[k]; ok {
			return v, true
		}
		v, ok := vars[k]
		return v, ok
	})
	if err != nil {
		return envProblems(err, f.doc.problem(at, fmt.Sprintf("env file %s: %s", r.shown(file.Path), firstLine(err)), "write lines of the form NAME=value, with '…' around a value that has a dollar sign"))
	}
	return nil
}

// budget bounds what variables stand for: each may be made of others twice, and so on.
type budget struct{ bytes int }

func (b *budget) lookup(get func(string) (string, bool)) func(string) (string, bool) {
	return func(name string) (string, bool) {
		v, ok := get(name)
		if b.bytes += len(v); b.bytes > maxBytes {
			return "", ok
		}
		return v, ok
	}
}

// check returns err, or that the budget was too small.
func (b *budget) check(err error) error {
	if err == nil && b.bytes > maxBytes {
		return fmt.Errorf("its variables stand for more than %d bytes", maxBytes)
	}
	return err
}

// rootCause drops the path that an *fs.PathError repeats.
func rootCause(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}
