// SPDX-License-Identifier: Apache-2.0

package appfile

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
)

const pathSeparator = "\x00"

// index records where each path is written. A key that comes by a merge (<<) is where its anchor wrote it, unless it is also written here.
func (d *document) index(path []string, n *yaml.Node) {
	n = resolve(n)
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			key, value := n.Content[i], n.Content[i+1]
			if isMerge(key) {
				d.indexMerge(path, value)
				continue
			}
			d.enter(path, key.Value, key, value)
		}
	case yaml.SequenceNode:
		for i, item := range n.Content {
			d.enter(path, strconv.Itoa(i), item, item)
		}
	default: // a scalar holds nothing
	}
}

func (d *document) enter(path []string, name string, where, value *yaml.Node) {
	next := append(slices.Clip(path), name)
	d.at[strings.Join(next, pathSeparator)] = position{d.file, where.Line, where.Column}
	d.index(next, value)
}

func (d *document) indexMerge(path []string, value *yaml.Node) {
	value = resolve(value)
	from := []*yaml.Node{value}
	if value.Kind == yaml.SequenceNode {
		from = value.Content
	}
	merged := &document{file: d.file, at: map[string]position{}}
	for _, n := range slices.Backward(from) {
		merged.index(path, n)
	}
	for k, p := range merged.at {
		if _, own := d.at[k]; !own {
			d.at[k] = p
		}
	}
}

func isMerge(key *yaml.Node) bool {
	return key.Value == "<<" && key.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) == 0
}

// where returns the position of a path, or of the nearest parent that is written in the file.
func (d *document) where(path []string) position {
	for n := len(path); n > 0; n-- {
		if p, ok := d.at[strings.Join(path[:n], pathSeparator)]; ok {
			return p
		}
	}
	return position{}
}

// isImplied reports whether a key is not written, but comes of the long form that the loader gives to what is.
func (d *document) isImplied(path []string) bool {
	_, written := d.at[strings.Join(path, pathSeparator)]
	_, parent := d.at[strings.Join(path[:max(0, len(path)-1)], pathSeparator)]
	return !written && parent
}

// problem is one at a path.
func (d *document) problem(path []string, message, remedy string) Problem {
	at := d.where(path)
	return Problem{File: cmpOr(at.file, d.file), Line: at.line, Column: at.column, Key: strings.Join(path, "."), Message: message, Remedy: remedy}
}

// scalars calls f for every scalar value in the tree with its path, aliases expanded.
func (d *document) scalars(f func(path []string, n *yaml.Node)) { visitScalars(nil, d.root, f) }

func visitScalars(path []string, n *yaml.Node, f func([]string, *yaml.Node)) {
	n = resolve(n)
	switch n.Kind {
	case yaml.ScalarNode:
		f(path, n)
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			next := path
			if !isMerge(n.Content[i]) {
				next = append(slices.Clip(path), n.Content[i].Value)
			}
			visitScalars(next, n.Content[i+1], f)
		}
	case yaml.SequenceNode:
		for i, item := range n.Content {
			visitScalars(append(slices.Clip(path), strconv.Itoa(i)), item, f)
		}
	default: // documents and streams are above the root, aliases are resolved
	}
}

// override takes the positions of a file that is merged over this one.
func (d *document) override(by *document) {
	shared := d.dropSharedLists(by.at)
	for k, p := range by.at {
		if !anyParent(k, shared) {
			d.at[k] = p
		}
	}
}

// adopt takes the positions of everything below a path of another file, for what is not written here already.
func (d *document) adopt(to []string, other *document, from []string) {
	moved := map[string]position{}
	prefix := strings.Join(from, pathSeparator)
	for k, p := range other.at {
		if prefix == "" {
			moved[k] = p
		} else if rest, ok := strings.CutPrefix(k, prefix+pathSeparator); ok {
			moved[strings.Join(append(slices.Clip(to), rest), pathSeparator)] = p
		}
	}
	shared := d.dropSharedLists(moved)
	for k, p := range moved {
		if _, own := d.at[k]; !own && !anyParent(k, shared) {
			d.at[k] = p
		}
	}
}

// dropSharedLists forgets the places of items of lists that both files write, and returns these lists: merged, items are counted otherwise.
func (d *document) dropSharedLists(by map[string]position) map[string]bool {
	shared := map[string]bool{}
	for k := range by {
		if list, first := strings.CutSuffix(k, pathSeparator+"0"); first {
			if _, both := d.at[k]; both {
				shared[list] = true
			}
		}
	}
	if len(shared) == 0 {
		return nil
	}
	maps.DeleteFunc(d.at, func(k string, _ position) bool { return anyParent(k, shared) })
	return shared
}

// anyParent reports whether something that a path is in is among those.
func anyParent(key string, those map[string]bool) bool {
	for i := range len(key) {
		if len(those) > 0 && key[i] == pathSeparator[0] && those[key[:i]] {
			return true
		}
	}
	return false
}
