// SPDX-License-Identifier: Apache-2.0

package appfile

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/compose-spec/compose-go/v2/dotenv"
	"github.com/compose-spec/compose-go/v2/types"
)

// variable is one environment variable of a service.
type variable struct{ name, value string }

// readEnv resolves environment and env_file of every service: files in order, then environment over them.
func (f *File) readEnv(src Source) Problems {
	f.env = map[string][]variable{}
	var found Problems
	for name, s := range f.project.Services {
		path := []string{"services", name}
		vars := types.Mapping{}
		for i, file := range s.EnvFiles {
			if p := f.readEnvFile(src, file, s, vars); p != nil {
				at := f.doc.problem(append(path, "env_file", fmt.Sprint(i)), p.Message, p.Remedy)
				found = append(found, at)
			}
		}
		for key, value := range s.Environment {
			if value != nil {
				vars[key] = *value
			} else if v, ok := src.Env[key]; ok {
				vars[key] = v
			}
		}
		for key, value := range vars {
			if !utf8.ValidString(key) || !utf8.ValidString(value) {
				at := f.doc.problem(append(path, "environment"), fmt.Sprintf("variable %q is not UTF-8 text", key), "encode it, in base64 for example")
				found = append(found, at)
				continue
			}
			f.env[name] = append(f.env[name], variable{key, value})
		}
		slices.SortFunc(f.env[name], func(a, b variable) int { return strings.Compare(a.name, b.name) })
	}
	return found
}

func (f *File) readEnvFile(src Source, file types.EnvFile, s types.ServiceConfig, vars types.Mapping) *Problem {
	if src.ReadFile == nil {
		return &Problem{Message: "env files are not read here", Remedy: "use environment"}
	}
	content, err := src.ReadFile(file.Path)
	if err != nil {
		if !bool(file.Required) && errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return &Problem{Message: fmt.Sprintf("env file %s can't be read: %s", file.Path, rootCause(err)), Remedy: "create the file, or remove it from env_file"}
	}
	lookup := func(k string) (string, bool) {
		if v, ok := s.Environment[k]; ok && v != nil {
			return *v, true
		}
		v, ok := src.Env[k]
		return v, ok
	}
	if err := dotenv.ParseWithFormat(strings.NewReader(string(content)), file.Path, vars, lookup, file.Format); err != nil {
		return &Problem{Message: fmt.Sprintf("env file %s: %s", file.Path, err), Remedy: "write lines of the form NAME=value"}
	}
	return nil
}

// rootCause drops the path that an *fs.PathError repeats.
func rootCause(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}
