// SPDX-License-Identifier: Apache-2.0

package appfile

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/interpolation"
	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/override"
	"github.com/compose-spec/compose-go/v2/template"
	"github.com/compose-spec/compose-go/v2/tree"
	"github.com/compose-spec/compose-go/v2/types"
	"go.yaml.in/yaml/v4"
)

const (
	// maxReads bounds how many files an app file leads to, each time that it does.
	maxReads = 200
	// maxBytes bounds what all of them hold.
	maxBytes = 8 << 20
	// maxFilling bounds what filling variables in costs: each is looked for in the whole of its text.
	maxFilling = 20_000_000
	// maxExpanded bounds the entries of all of them, with aliases expanded and services extended.
	maxExpanded = 4 * maxNodes
)

// reader reads an app file and the files that it is made of, into one model. Compose's own loader never opens a file: it gets each with its
// variables filled in, without include, and with every service that is extended from another file already merged.
type reader struct {
	src   Source
	name  string
	reads int
	bytes int
	nodes int
	// filling is what filling the variables in costs.
	filling int
	budget
	// bases are files that services are extended from, by path.
	bases map[string]*base
	// later is what is wrong with services only if a profile selects them.
	later map[string]Problems
}

// input is one file that is read as a Compose file.
type input struct {
	path    string
	content []byte
	dir     string
	env     map[string]string
	// chain holds the files that led to this one.
	chain []string
}

// read reads a file that the app file names, within bounds.
func (r *reader) read(path string) ([]byte, error) {
	if r.src.ReadFile == nil {
		return nil, errors.New("files are not read here")
	}
	if r.reads++; r.reads > maxReads {
		return nil, fmt.Errorf("the app file leads to more than %d files", maxReads)
	}
	content, err := r.src.ReadFile(path)
	if err != nil {
		return nil, rootCause(err)
	}
	if r.bytes += len(content); r.bytes > maxBytes || len(content) > MaxSize {
		return nil, fmt.Errorf("the app file leads to more than %d bytes", maxBytes)
	}
	return content, nil
}

// shown is what a path is called in messages: as the main file is, relative if that was.
func (r *reader) shown(path string) string {
	rel, err := filepath.Rel(r.src.Dir, path)
	if err != nil || strings.HasPrefix(rel, "../../") {
		return path
	}
	return filepath.Join(filepath.Dir(r.src.File), rel)
}

// abs is a path of the file that lies in dir.
func abs(dir, path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(dir, path)
}

// open reads and parses one file, checks its keys and variables, and fills the variables in.
func (r *reader) open(in input, unset bool) (*document, map[string]any, error) {
	file := r.shown(in.path)
	if len(in.chain) == 0 && in.path == r.mainPath() {
		file = r.src.File
	}
	doc, err := parse(file, in.content)
	if err != nil {
		return nil, nil, err
	}
	if r.nodes += doc.nodes; r.nodes > maxExpanded {
		return nil, nil, Problems{{File: doc.file, Message: fmt.Sprintf("the app file leads to more than %d entries", maxExpanded), Remedy: "include less"}}
	}
	if p := r.costly(doc); p != nil {
		return nil, nil, Problems{*p}
	}
	problems := append(doc.unknownKeys(), doc.mountOptions()...)
	if unset {
		doc.findIdle(r.src.profiles())
		problems = append(problems, doc.unsetVariables(in.env, nil)...)
		for name, ps := range doc.later {
			r.later[name] = append(r.later[name], ps...)
		}
	}
	if len(problems) > 0 {
		return nil, nil, sortProblems(problems)
	}
	var config map[string]any
	if err := doc.root.Decode(&config); err != nil {
		return nil, nil, Problems{syntaxProblem(doc.file, err)}
	}
	// The loader would warn about it on the standard logger; our own note says it.
	delete(config, "version")
	config, err = interpolation.Interpolate(config, interpolation.Options{
		LookupValue: r.lookup(func(k string) (string, bool) { v, ok := in.env[k]; return v, ok }),
		Substitute: func(text string, vars template.Mapping) (string, error) {
			text, err := template.SubstituteWithOptions(text, vars, template.WithoutLogging)
			var missing *template.MissingRequiredError
			if errors.As(err, &missing) {
				return "", nil // said before, unless nothing comes of the service
			}
			return text, err
		},
	})
	if !unset {
		err = nil // said of the one service that counts
	}
	if err = r.check(err); err != nil {
		return nil, nil, doc.loaderProblems(err)
	}
	return doc, config, nil
}

// costly finds the text with which filling variables in would take too long.
func (r *reader) costly(doc *document) (found *Problem) {
	doc.scalars(func(path []string, n *yaml.Node) {
		if r.filling += fillingCost(n.Value); r.filling > maxFilling && found == nil {
			p := doc.problem(path, fmt.Sprintf("with the %d variables in this text of %d bytes there are more than can be filled in", variablesIn(n.Value), len(n.Value)), "write fewer or shorter texts with variables")
			found = &p
		}
	})
	return found
}

// variablesIn is how many variables a text has at most.
func variablesIn(text string) int { return strings.Count(strings.ReplaceAll(text, "$$", ""), "$") }

func fillingCost(text string) int { return variablesIn(text) * len(text) }

func (r *reader) mainPath() string { return filepath.Join(r.src.Dir, filepath.Base(r.src.File)) }

// model reads a file, those that it includes, and those that are merged over it, and returns their canonical model.
func (r *reader) model(ctx context.Context, ins ...input) (*document, map[string]any, error) {
	details := types.ConfigDetails{WorkingDir: ins[0].dir, Environment: maps.Clone(ins[0].env)}
	var all *document
	for _, in := range ins {
		doc, config, err := r.open(in, true)
		if err != nil {
			return nil, nil, err
		}
		if len(in.chain) == 0 && all == nil && r.name == "" {
			if r.name, err = doc.name(r.src); err != nil {
				return nil, nil, err
			}
		}
		if err := r.include(ctx, in, doc, config); err != nil {
			return nil, nil, err
		}
		if err := r.extend(ctx, in, doc, config); err != nil {
			return nil, nil, err
		}
		details.ConfigFiles = append(details.ConfigFiles, types.ConfigFile{Filename: in.path, Config: config})
		if all == nil {
			all = doc
		} else {
			all.override(doc)
		}
	}
	model, err := r.load(ctx, details, func(*loader.Options) {})
	if err != nil {
		return nil, nil, all.loaderProblems(err)
	}
	return all, model, nil
}

// options are the Compose loader's for every file: it is not to look at anything but what it is given.
func (r *reader) options(o *loader.Options) {
	o.SetProjectName(r.name, true)
	o.SkipNormalization = true
	o.SkipInclude = true
	o.SkipResolveEnvironment = true
	o.SkipResolveLabels = true
	o.SkipDefaultValues = true
	// Variables were filled in already; what is left is to give text its type.
	o.Interpolate.Substitute = func(text string, _ template.Mapping) (string, error) { return text, nil }
}

// load runs the Compose loader. That it should panic on anything is a fault of the file's at most.
func (r *reader) load(ctx context.Context, details types.ConfigDetails, set func(*loader.Options)) (model map[string]any, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("the file can't be understood: %.200v", v)
		}
	}()
	return loader.LoadModelWithContext(ctx, details, r.options, set)
}

// include merges what other files have into a file, as Compose does: what is in both is merged, and the including file wins.
func (r *reader) include(ctx context.Context, in input, doc *document, config map[string]any) error {
	list, ok := config["include"].([]any)
	if !ok && config["include"] != nil {
		return Problems{doc.problem([]string{"include"}, "must be a list", "write a list of files, as in [other.yaml]")}
	}
	delete(config, "include")
	for i, entry := range list {
		at := []string{"include", fmt.Sprint(i)}
		files, err := r.included(in, doc, at, entry)
		if err != nil {
			return err
		}
		other, model, err := r.model(ctx, files...)
		if err != nil {
			return err
		}
		for _, key := range []string{"services", "jobs", "volumes", "networks", "secrets", "configs", "models"} {
			if err := merge(config, model, key); err != nil {
				return Problems{doc.problem(at, "what is included does not fit: "+firstLine(err), "give the two different names, or the same content")}
			}
		}
		delete(other.at, "name")
		doc.adopt(nil, other, nil)
	}
	return nil
}

func merge(into, from map[string]any, key string) error {
	what, _ := from[key].(map[string]any)
	if len(what) == 0 {
		return nil
	}
	have, ok := into[key].(map[string]any)
	if !ok && into[key] != nil {
		return fmt.Errorf("%s must be a mapping", key)
	}
	if have == nil {
		have = map[string]any{}
	}
	for name, v := range what {
		if own, both := have[name]; both && own != nil {
			merged, err := override.MergeYaml(v, own, tree.NewPath(key, name))
			if err != nil {
				return err
			}
			v = merged
		}
		have[name] = v
	}
	into[key] = have
	return nil
}

// included reads the files of one entry of include: the first, and those that are merged over it.
func (r *reader) included(in input, doc *document, at []string, entry any) ([]input, error) {
	if s, ok := entry.(string); ok {
		entry = map[string]any{"path": s}
	}
	m, _ := entry.(map[string]any)
	paths := texts(m["path"])
	if len(paths) == 0 {
		return nil, Problems{doc.problem(at, "the entry names no file", "write the path of a Compose file")}
	}
	var files []input
	for _, p := range paths {
		if strings.Contains(p, "://") {
			return nil, Problems{doc.problem(at, fmt.Sprintf("not supported: %.200s is not on this machine", p), "download it, and name the file")}
		}
		p = abs(in.dir, p)
		chain := append(slices.Clip(in.chain), in.path)
		if slices.Contains(chain, p) {
			return nil, Problems{doc.problem(at, "the files include each other: "+r.shown(p)+" is included from within itself", "remove one of the includes")}
		}
		content, err := r.read(p)
		if err != nil {
			return nil, Problems{doc.problem(at, fmt.Sprintf("%s can't be read: %s", r.shown(p), err), "create the file, or remove it from include")}
		}
		files = append(files, input{path: p, content: content, chain: chain})
	}
	dir := filepath.Dir(files[0].path)
	if d, ok := m["project_directory"].(string); ok && d != "" {
		dir = abs(in.dir, d)
	}
	env := maps.Clone(in.env)
	envFiles := texts(m["env_file"])
	for _, p := range envFiles {
		if err := r.readVariables(abs(in.dir, p), env); err != nil {
			return nil, envProblems(err, doc.problem(at, fmt.Sprintf("env file %s can't be read: %s", p, err), "create the file, or remove it from include"))
		}
	}
	if len(envFiles) == 0 && dir != r.src.Dir {
		if err := r.readVariables(filepath.Join(dir, ".env"), env); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, envProblems(err, doc.problem(at, fmt.Sprintf("%s can't be read: %s", r.shown(filepath.Join(dir, ".env")), err), "write lines of the form NAME=value"))
		}
	}
	for i := range files {
		files[i].dir, files[i].env = dir, env
	}
	return files, nil
}

// texts reads one text or a list of them.
func texts(v any) []string {
	switch v := v.(type) {
	case string:
		return []string{v}
	case []any:
		var out []string
		for _, e := range v {
			out = append(out, fmt.Sprint(e))
		}
		return out
	}
	return nil
}

func firstLine(err error) string { return strings.SplitN(err.Error(), "\n", 2)[0] }
