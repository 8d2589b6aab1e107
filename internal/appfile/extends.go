// SPDX-License-Identifier: Apache-2.0

package appfile

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/override"
	"github.com/compose-spec/compose-go/v2/types"
)

// base is a file that services are extended from.
type base struct {
	doc      *document
	env      map[string]string
	services map[string]any
}

// parent says what a service is extended from: a service, and the file that has it unless that is the same.
func parent(service map[string]any) (file, name string) {
	switch e := service["extends"].(type) {
	case string:
		return "", e
	case map[string]any:
		file, _ = e["file"].(string)
		name, _ = e["service"].(string)
	}
	return file, name
}

// extend merges services that are extended from other files. Those that are extended within the file are left to the Compose loader, after a
// look at how much that makes of them.
func (r *reader) extend(ctx context.Context, in input, doc *document, config map[string]any) error {
	services, _ := config["services"].(map[string]any)
	for _, name := range slices.Sorted(maps.Keys(services)) {
		service, _ := services[name].(map[string]any)
		file, ref := parent(service)
		at := []string{"services", name, "extends"}
		if service["extends"] != nil && ref == "" {
			return Problems{doc.problem(at, "it names no service", "write extends: {service: NAME}, and file: FILE if another file has it")}
		}
		if file == "" {
			continue
		}
		from, err := r.extended(ctx, abs(in.dir, file), ref, in.env, nil)
		if err != nil {
			return atPlace(err, doc, at)
		}
		own := maps.Clone(service)
		delete(own, "extends")
		merged, err := override.ExtendService(deepClone(from.service).(map[string]any), own)
		if err != nil {
			return Problems{doc.problem(at, "what it extends does not fit: "+firstLine(err), "write the service in full")}
		}
		services[name] = merged
		for _, s := range from.sources {
			doc.adopt([]string{"services", name}, s.doc, []string{"services", s.name})
		}
	}
	return r.inherit(doc, services)
}

// inherit gives services the places of what they extend in the same file, and bounds what comes of it.
func (r *reader) inherit(doc *document, services map[string]any) error {
	sizes := map[string]int{}
	for name, s := range services {
		sizes[name] = entries(s)
	}
	total := 0
	for _, name := range slices.Sorted(maps.Keys(services)) {
		seen := []string{name}
		for at := name; ; {
			total += sizes[at]
			service, _ := services[at].(map[string]any)
			_, ref := parent(service)
			if ref == "" || total > maxExpanded {
				break
			}
			if slices.Contains(seen, ref) {
				return Problems{doc.problem([]string{"services", name, "extends"}, "services extend each other in a circle: "+chainText(append(seen, ref)), "let one of them stand by itself")}
			}
			seen = append(seen, ref)
			at = ref
		}
		if total > maxExpanded {
			return Problems{doc.problem([]string{"services", name, "extends"}, fmt.Sprintf("with what services extend the file has more than %d entries", maxExpanded), "extend less")}
		}
		for _, ref := range seen[1:] {
			doc.adopt([]string{"services", name}, doc, []string{"services", ref})
		}
	}
	return nil
}

func chainText(names []string) string {
	text := names[0]
	for _, n := range names[1:] {
		text += " → " + n
	}
	return text
}

func entries(v any) int {
	n := 1
	switch v := v.(type) {
	case map[string]any:
		for _, e := range v {
			n += entries(e)
		}
	case []any:
		for _, e := range v {
			n += entries(e)
		}
	}
	return n
}

// ancestor is a service of another file with everything that it extends itself.
type ancestor struct {
	service map[string]any
	sources []source
}

// source is where a part of an ancestor is written.
type source struct {
	doc  *document
	name string
}

// unplaced is a problem without a place yet: that of the key that led there.
type unplaced struct{ message, remedy string }

func (u unplaced) Error() string { return u.message }

func atPlace(err error, doc *document, path []string) error {
	if u, ok := err.(unplaced); ok { //nolint:errorlint // it is never wrapped
		return Problems{doc.problem(path, u.message, u.remedy)}
	}
	return err
}

func (r *reader) extended(ctx context.Context, file, name string, env map[string]string, chain []string) (*ancestor, error) {
	here := r.shown(file) + ":" + name
	if slices.Contains(chain, here) {
		return nil, unplaced{"services extend each other in a circle: " + chainText(append(chain, here)), "let one of them stand by itself"}
	}
	if len(chain) > maxDepth {
		return nil, unplaced{fmt.Sprintf("services extend each other more than %d times", maxDepth), "extend less"}
	}
	b, err := r.base(ctx, file, env)
	if err != nil {
		return nil, err
	}
	service, ok := b.services[name].(map[string]any)
	if !ok {
		return nil, unplaced{fmt.Sprintf("%s has no service %q", r.shown(file), name), "name a service of that file"}
	}
	if ps := b.doc.unsetVariables(env, []string{"services", name}); len(ps) > 0 {
		return nil, sortProblems(ps)
	}
	if r.nodes += entries(service); r.nodes > maxExpanded {
		return nil, unplaced{fmt.Sprintf("the app file leads to more than %d entries", maxExpanded), "extend less"}
	}
	out := &ancestor{maps.Clone(service), []source{{b.doc, name}}}
	next, ref := parent(service)
	if ref == "" {
		return out, nil
	}
	delete(out.service, "extends")
	above, err := r.extended(ctx, cmpOr(next, file), ref, env, append(slices.Clip(chain), here))
	if err != nil {
		return nil, atPlace(err, b.doc, []string{"services", name, "extends"})
	}
	merged, err := override.ExtendService(deepClone(above.service).(map[string]any), out.service)
	if err != nil {
		return nil, unplaced{"what it extends does not fit: " + firstLine(err), "write the service in full"}
	}
	return &ancestor{merged, append(out.sources, above.sources...)}, nil
}

// base reads a file for its services. Nothing else of it counts, so variables elsewhere need no values.
func (r *reader) base(ctx context.Context, file string, env map[string]string) (*base, error) {
	if b, ok := r.bases[file]; ok {
		return b, nil
	}
	content, err := r.read(file)
	if err != nil {
		return nil, unplaced{fmt.Sprintf("%s can't be read: %s", r.shown(file), err), "create the file, or write the service in full"}
	}
	doc, config, err := r.open(input{path: file, content: content, env: env, chain: []string{file}}, false)
	if err != nil {
		return nil, err
	}
	delete(config, "include")
	details := types.ConfigDetails{WorkingDir: filepath.Dir(file), Environment: maps.Clone(env), ConfigFiles: []types.ConfigFile{{Filename: file, Config: config}}}
	model, err := r.load(ctx, details, func(o *loader.Options) { o.SkipExtends, o.SkipValidation = true, true })
	if err != nil {
		return nil, doc.loaderProblems(err)
	}
	services, _ := model["services"].(map[string]any)
	b := &base{doc, env, services}
	r.bases[file] = b
	return b, nil
}
