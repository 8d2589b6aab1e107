// SPDX-License-Identifier: Apache-2.0

// Package appfile reads a Compose file as an app: it checks every key and makes the manifest.
//
// Nothing in a file is silently ignored. The table of Rules says of each key whether it is honoured, accepted without effect (a Note
// says why), or refused (a Problem says where, why and what to do), and docs/guide/compose.md is generated from it. The file is read
// with the Compose project's own loader after its size and its aliases were bounded, so a hostile file costs little. The package opens no file
// by itself: what a file names is read through Source.ReadFile.
package appfile

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/template"
	"github.com/compose-spec/compose-go/v2/types"
	"go.yaml.in/yaml/v4"

	"github.com/apocryph/apocryph/internal/manifest"
)

// Source is an app file and its surroundings.
type Source struct {
	// File is what the file is called in messages.
	File string
	// Dir is the directory that relative paths in it mean.
	Dir string
	// Content is the file's.
	Content []byte
	// Name of the app; empty means the file's own name key, or else the directory's.
	Name string
	// Env holds the variables for ${…} and for environment entries without a value.
	Env map[string]string
	// ReadFile reads a file that the app file names. It bounds what it reads to MaxSize. Nil refuses them all.
	ReadFile func(path string) ([]byte, error)
}

// File is a checked app file.
type File struct {
	// Name is the app's, a DNS label.
	Name string
	// Notes say which keys have no effect, in the order of the file.
	Notes []Note

	doc      *document
	project  *types.Project
	http     *httpRequest
	sizes    map[string]uint64
	rootSize map[string]uint64
	env      map[string][]variable
}

// Load reads and checks an app file. What is wrong with the file comes back as Problems.
func Load(ctx context.Context, src Source) (*File, error) {
	doc, err := parse(src.File, src.Content)
	if err != nil {
		return nil, err
	}
	problems := append(doc.unknownKeys(), doc.forbiddenBeforeLoad()...)
	problems = append(problems, doc.unsetVariables(src.Env)...)
	if len(problems) > 0 {
		return nil, sortProblems(problems)
	}
	f := &File{doc: doc}
	if f.Name, err = doc.name(src); err != nil {
		return nil, err
	}
	model, err := f.load(ctx, src)
	if err != nil {
		return nil, err
	}
	c := checker{doc: doc, book: newRuleBook()}
	c.walk(step{}, f.active(model))
	problems = slices.Concat(c.problems, f.readOwn(model))
	problems = append(problems, f.readEnv(src)...)
	problems = append(problems, f.checkServices()...)
	if len(problems) > 0 {
		return nil, sortProblems(problems)
	}
	f.Notes = sortNotes(c.notes)
	return f, nil
}

// forbiddenBeforeLoad finds keys that would make the loader open other files.
func (d *document) forbiddenBeforeLoad() Problems {
	var found Problems
	book := newRuleBook()
	for key := range d.at {
		path := strings.Split(key, pathSeparator)
		rule := book.rules["include"]
		if len(path) == 4 && path[0] == "services" && path[2] == "extends" && path[3] == "file" {
			rule = book.rules["services.*.extends.file"]
		} else if len(path) != 1 || path[0] != "include" {
			continue
		}
		found = append(found, d.problem(path, "not supported: "+rule.Why, rule.Remedy))
	}
	return found
}

// unsetVariables finds ${NAME} without a value and without a default.
func (d *document) unsetVariables(env map[string]string) Problems {
	const mark = "\x01"
	presence := regexp.MustCompile(`\$\{[A-Za-z_][A-Za-z0-9_]*:?\+`)
	lookup := func(name string) (string, bool) {
		if v, ok := env[name]; ok {
			return v, true
		}
		return mark + name + mark, false
	}
	var found Problems
	d.scalars(func(path []string, n *yaml.Node) {
		if !strings.Contains(n.Value, "$") || strings.Contains(n.Value, mark) || strings.HasPrefix(path0(path), "x-") {
			return
		}
		at := func(message, remedy string) {
			p := d.problem(path, message, remedy)
			p.Line, p.Column = n.Line, n.Column
			found = append(found, p)
		}
		text, err := template.SubstituteWithOptions(n.Value, lookup, template.WithoutLogging)
		var missing *template.MissingRequiredError
		switch {
		case errors.As(err, &missing):
			at(err.Error(), fmt.Sprintf("set it: export %s=…, or write it into .env beside the file", missing.Variable))
		case err != nil:
			at("a variable is written wrongly", "write ${NAME}, ${NAME:-default}, or $$ for a dollar sign")
		case strings.Contains(text, mark) && !presence.MatchString(n.Value):
			name := strings.Split(text, mark)[1]
			at(fmt.Sprintf("variable %s is not set", name), fmt.Sprintf("set it (export %s=…, or in .env beside the file), give it a default (${%s:-…}), or write $$ for a dollar sign", name, name))
		}
	})
	return found
}

func path0(path []string) string {
	if len(path) == 0 {
		return ""
	}
	return path[0]
}

// name decides what the app is called.
func (d *document) name(src Source) (string, error) {
	name, path := src.Name, []string(nil)
	if name == "" {
		d.scalars(func(p []string, n *yaml.Node) {
			if len(p) == 1 && p[0] == "name" {
				path = p
				name, _ = template.SubstituteWithOptions(n.Value, func(k string) (string, bool) { v, ok := src.Env[k]; return v, ok }, template.WithoutLogging)
			}
		})
	}
	if name == "" {
		name = Label(filepath.Base(src.Dir))
	}
	if name == "" {
		name = "app"
	}
	if !manifest.LooksLikeLabel(name) {
		return "", Problems{d.problem(path, fmt.Sprintf("the name %q is no DNS label (lower-case letters, digits and inner hyphens, at most 63)", name),
			fmt.Sprintf("call it %q", cmpOr(Label(name), "app")))}
	}
	return name, nil
}

func cmpOr(a, b string) string {
	if a == "" {
		return b
	}
	return a
}

// Label makes a DNS label of a text, or "" when nothing of it can be in one.
func Label(s string) string {
	s = regexp.MustCompile(`[^a-z0-9]+`).ReplaceAllString(strings.ToLower(s), "-")
	if len(s) > 63 {
		s = s[:63]
	}
	return strings.Trim(s, "-")
}

// load runs the Compose loader on the decoded file and keeps the project.
func (f *File) load(ctx context.Context, src Source) (map[string]any, error) {
	var config map[string]any
	if err := f.doc.root.Decode(&config); err != nil {
		return nil, Problems{syntaxProblem(src.File, err)}
	}
	// The loader would warn about it on the standard logger; our own note says it.
	version, hasVersion := config["version"]
	delete(config, "version")
	details := types.ConfigDetails{
		WorkingDir:  src.Dir,
		ConfigFiles: []types.ConfigFile{{Filename: src.File, Config: config}},
		Environment: types.Mapping(maps.Clone(src.Env)),
	}
	set := func(o *loader.Options) {
		o.SetProjectName(f.Name, true)
		o.SkipNormalization = true
		o.SkipInclude = true
		o.SkipResolveEnvironment = true
		o.SkipResolveLabels = true
		o.SkipDefaultValues = true
	}
	model, err := loader.LoadModelWithContext(ctx, details, set)
	if err != nil {
		return nil, Problems{f.loaderProblem(err)}
	}
	// A copy, because the loader moves extensions elsewhere in the maps that it is given.
	f.project, err = loader.ModelToProject(deepClone(model).(map[string]any), loader.ToOptions(&details, []func(*loader.Options){set}), details)
	if err != nil {
		return nil, Problems{f.loaderProblem(err)}
	}
	if hasVersion {
		model["version"] = version
	}
	return model, nil
}

func deepClone(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, e := range v {
			out[k] = deepClone(e)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = deepClone(e)
		}
		return out
	}
	return v
}

// loaderProblem gives the Compose loader's error a place: it names keys and services only in its text.
func (f *File) loaderProblem(err error) Problem {
	text := strings.TrimPrefix(strings.Split(err.Error(), "\n")[0], "validating "+f.doc.file+": ")
	remedy := "see the Compose specification: https://github.com/compose-spec/compose-spec/blob/main/spec.md"
	for _, word := range strings.Fields(text) {
		path := strings.Split(strings.Trim(word, ":\"'"), ".")
		if len(path) > 1 && f.doc.where(path[:1]) != (position{}) {
			_, rest, _ := strings.Cut(text, word)
			return f.doc.problem(path, strings.TrimSpace(rest), remedy)
		}
	}
	if m := regexp.MustCompile(`service "?([A-Za-z0-9._-]+)"?`).FindStringSubmatch(text); m != nil {
		return f.doc.problem([]string{"services", m[1]}, text, remedy)
	}
	return Problem{File: f.doc.file, Message: text, Remedy: remedy}
}

// active returns the model without the services that no profile selects.
func (f *File) active(model map[string]any) map[string]any {
	out := maps.Clone(model)
	services, _ := model["services"].(map[string]any)
	kept := map[string]any{}
	for name, s := range services {
		if _, ok := f.project.Services[name]; ok {
			kept[name] = s
		}
	}
	out["services"] = kept
	return out
}
