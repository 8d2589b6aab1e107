// SPDX-License-Identifier: Apache-2.0

// Package appfile reads a Compose file as an app: it checks every key and makes the manifest.
//
// Nothing in a file is silently ignored. The table of Rules says of each key whether it is honoured, accepted without effect (a Note
// says why), or refused (a Problem says where, why and what to do), and docs/guide/compose.md is generated from it. The file is read
// with the Compose project's own loader after its size and its aliases were bounded, so a hostile file costs little. The package opens no file
// by itself: what a file names is read through Source, as many files and bytes as a person would write.
package appfile

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/template"
	"github.com/compose-spec/compose-go/v2/types"
	"go.yaml.in/yaml/v4"

	"github.com/apocryph/apocryph/internal/fault"
	"github.com/apocryph/apocryph/internal/manifest"
)

// Source is an app file and its surroundings.
type Source struct {
	// File is what the file is called in messages.
	File string
	// Dir is the directory that relative paths in it mean; absolute.
	Dir string
	// Content is the file's.
	Content []byte
	// Overrides are paths of further Compose files, each merged over those before it.
	Overrides []string
	// Name of the app; empty means the file's own name key, or else the directory's.
	Name string
	// Profiles are those whose services run too, besides COMPOSE_PROFILES of Env.
	Profiles []string
	// Env holds the variables for ${…} and for environment entries without a value.
	Env map[string]string
	// ReadFile reads a file that the app file names. It bounds what it reads to MaxSize. Nil refuses them all.
	ReadFile func(path string) ([]byte, error)
	// Stat tells of a path that is to be mounted, links followed; it refuses those that lead out of Dir. Nil: every path is a file.
	Stat func(path string) (fs.FileInfo, error)
	// List returns the paths of all files below a directory, relative to it and sorted, at most max and one more. Nil: there are none.
	List func(dir string, max int) ([]string, error)
}

// File is a checked app file.
type File struct {
	// Name is the app's, a DNS label.
	Name string
	// Notes say which keys have no effect or another one than in Compose, in the order of the files.
	Notes []Note

	doc      *document
	project  *types.Project
	http     *httpRequest
	sizes    map[string]uint64
	rootSize map[string]uint64
	// pieces are the extended resources that x-apocryph names, by service; egress its bytes per second, 0 if it says nothing.
	pieces map[string]map[string]uint64
	egress uint64
	// webhook is what x-apocryph.notify says; empty if it says nothing.
	webhook string
	env     map[string][]variable
	storage map[string]*storage
	files   []*file
	volumes map[string]uint64
	labels  map[string]string
}

// Load reads and checks an app file. What is wrong with the file comes back as Problems, that an override can't be read as another error.
func Load(ctx context.Context, src Source) (*File, error) {
	r := &reader{src: src, bases: map[string]*base{}, later: map[string]Problems{}}
	f := &File{}
	model, err := f.load(ctx, r)
	if err != nil {
		return nil, err
	}
	f.isolate()
	c := checker{doc: f.doc, book: newRuleBook()}
	c.walk(step{}, f.active(model))
	problems := slices.Concat(c.problems, f.readOwn(model))
	problems = append(problems, f.readEnv(r)...)
	if n := f.countCopies(); n > manifest.MaxServices {
		problems = append(problems, f.doc.problem([]string{"services"}, fmt.Sprintf("%d services and replicas, at most %d", n, manifest.MaxServices), "deploy the app as several"))
		return nil, sortProblems(problems)
	}
	problems = append(problems, f.readStorage(r)...)
	problems = append(problems, f.nameServices()...)
	problems = append(problems, f.checkServices()...)
	if len(problems) > 0 {
		return nil, sortProblems(problems)
	}
	f.Notes = sortNotes(append(c.notes, f.Notes...))
	return f, nil
}

// note says how a key's effect differs from Compose's.
func (f *File) note(path []string, message string) {
	at := f.doc.where(path)
	f.Notes = append(f.Notes, Note{File: cmpOr(at.file, f.doc.file), Line: at.line, Key: strings.Join(path, "."), Message: message})
}

// unsetVariables finds ${NAME} without a value and without a default, below a path.
func (d *document) unsetVariables(env map[string]string, below []string) Problems {
	const mark = "\x01"
	presence := regexp.MustCompile(`\$\{[A-Za-z_][A-Za-z0-9_]*:?\+`)
	b := budget{}
	lookup := b.lookup(func(name string) (string, bool) {
		if v, ok := env[name]; ok {
			return v, true
		}
		return mark + name + mark, false
	})
	var found Problems
	d.scalars(func(path []string, n *yaml.Node) {
		if !strings.Contains(n.Value, "$") || strings.Contains(n.Value, mark) || strings.HasPrefix(path0(path), "x-") ||
			len(path) < len(below) || !slices.Equal(path[:len(below)], below) {
			return
		}
		at := func(message, remedy string) {
			p := d.problem(path, message, remedy)
			p.Line, p.Column = n.Line, n.Column
			if len(below) == 0 && len(path) > 1 && path[0] == "services" && d.idle[path[1]] {
				d.later[path[1]] = append(d.later[path[1]], p)
				return
			}
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

// load reads all files into one model and keeps the project.
func (f *File) load(ctx context.Context, r *reader) (map[string]any, error) {
	src := r.src
	ins := []input{{path: r.mainPath(), content: src.Content, dir: src.Dir, env: src.Env}}
	for _, p := range src.Overrides {
		p = abs(src.Dir, p)
		content, err := r.read(p)
		if err != nil {
			return nil, fault.Hint(fmt.Errorf("reading %s: %w", r.shown(p), err), "name a Compose file that is to be merged over "+src.File)
		}
		ins = append(ins, input{path: p, content: content, dir: src.Dir, env: src.Env})
	}
	doc, model, err := r.model(ctx, ins...)
	if err != nil {
		return nil, err
	}
	f.doc, f.Name = doc, r.name
	details := types.ConfigDetails{WorkingDir: src.Dir, Environment: types.Mapping(maps.Clone(src.Env))}
	profiles := func(o *loader.Options) { o.Profiles = src.profiles() }
	// A copy, because the loader moves extensions elsewhere in the maps that it is given.
	given := deepClone(model).(map[string]any)
	declareDefault(given)
	f.project, err = loader.ModelToProject(given, loader.ToOptions(&details, []func(*loader.Options){r.options, profiles}), details)
	if err != nil {
		return nil, doc.loaderProblems(err)
	}
	var late Problems
	for _, name := range f.serviceNames() {
		late = append(late, r.later[name]...)
	}
	if len(late) > 0 {
		return nil, sortProblems(late)
	}
	// The loader does not want to see it, the table has a word about it.
	if _, there := doc.at["version"]; there {
		model["version"] = "given"
	}
	return model, nil
}

// declareDefault adds the network that is there without being declared.
func declareDefault(model map[string]any) {
	networks, ok := model["networks"].(map[string]any)
	if !ok {
		networks = map[string]any{}
		model["networks"] = networks
	}
	if networks[defaultNetwork] == nil {
		networks[defaultNetwork] = map[string]any{}
	}
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
