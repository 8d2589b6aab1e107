// SPDX-License-Identifier: Apache-2.0

package appfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
)

const (
	// MaxSize bounds an app file and each file that it names, in bytes.
	MaxSize = 1 << 20
	// maxNodes bounds a file after its aliases are expanded: a few anchors can stand for billions of nodes.
	maxNodes = 50_000
	maxDepth = 64
)

// position is where a key, or a list's item, is written.
type position struct{ line, column int }

// document is the parsed file with the position of everything in it.
type document struct {
	file string
	root *yaml.Node
	at   map[string]position
}

// parse reads one YAML document and indexes positions. Nothing of its size grows with what aliases stand for beyond maxNodes.
func parse(file string, content []byte) (*document, error) {
	if len(content) > MaxSize {
		return nil, Problems{{File: file, Message: fmt.Sprintf("the file has %d bytes, at most %d are read", len(content), MaxSize),
			Remedy: "make the file smaller"}}
	}
	d := &document{file: file, at: map[string]position{}}
	dec := yaml.NewDecoder(bytes.NewReader(content))
	var root, second yaml.Node
	if err := dec.Decode(&root); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, Problems{{File: file, Message: "the file is empty", Remedy: "write at least one service with an image"}}
		}
		return nil, Problems{syntaxProblem(file, err)}
	}
	if err := dec.Decode(&second); !errors.Is(err, io.EOF) {
		if err != nil {
			return nil, Problems{syntaxProblem(file, err)}
		}
		return nil, Problems{{File: file, Line: second.Line, Column: second.Column, Message: "the file holds more than one YAML document",
			Remedy: "keep one document and remove the line ---"}}
	}
	if root.Kind != yaml.DocumentNode || len(root.Content) != 1 || resolve(root.Content[0]).Kind != yaml.MappingNode {
		return nil, Problems{{File: file, Line: 1, Column: 1, Message: "the file is not a mapping", Remedy: "begin it with services:"}}
	}
	d.root = root.Content[0]
	if p := (&counter{file: file, sizes: map[*yaml.Node]int{}, open: map[*yaml.Node]bool{}}).check(d.root); p != nil {
		return nil, Problems{*p}
	}
	d.index(nil, d.root)
	return d, nil
}

func syntaxProblem(file string, err error) Problem {
	p := Problem{File: file, Message: "not YAML: " + strings.TrimPrefix(strings.Split(err.Error(), "\n")[0], "yaml: "),
		Remedy: "correct the syntax at this place: two spaces per level, no tabs, quotes around text with : or #"}
	// The parser gives the line only in its text.
	if m := regexp.MustCompile(`line (\d+)(?:, column (\d+))?`).FindStringSubmatch(err.Error()); m != nil {
		p.Line, _ = strconv.Atoi(m[1])
		p.Column, _ = strconv.Atoi(m[2])
		p.Column = max(p.Column, 1)
	}
	return p
}

func resolve(n *yaml.Node) *yaml.Node {
	for n.Kind == yaml.AliasNode && n.Alias != nil {
		n = n.Alias
	}
	return n
}

// counter computes the size of a tree with its aliases expanded, each node once.
type counter struct {
	file  string
	sizes map[*yaml.Node]int
	open  map[*yaml.Node]bool
	depth int
}

func (c *counter) check(n *yaml.Node) *Problem {
	size, p := c.size(n)
	if p == nil && size > maxNodes {
		p = &Problem{File: c.file, Line: n.Line, Column: n.Column, Message: fmt.Sprintf("with its aliases expanded the file has more than %d entries", maxNodes),
			Remedy: "use fewer aliases"}
	}
	return p
}

func (c *counter) size(n *yaml.Node) (int, *Problem) {
	n = resolve(n)
	if size, ok := c.sizes[n]; ok {
		return size, nil
	}
	if c.open[n] {
		return 0, &Problem{File: c.file, Line: n.Line, Column: n.Column, Message: "an alias stands for something that contains it", Remedy: "remove the alias"}
	}
	if c.depth++; c.depth > maxDepth {
		return 0, &Problem{File: c.file, Line: n.Line, Column: n.Column, Message: fmt.Sprintf("nested more than %d levels deep", maxDepth), Remedy: "nest less"}
	}
	defer func() { c.depth-- }()
	c.open[n] = true
	defer delete(c.open, n)
	total := 1
	for _, child := range n.Content {
		size, p := c.size(child)
		if p != nil {
			return 0, p
		}
		// Saturates: more than maxNodes is all that matters.
		total = min(total+size, maxNodes+1)
	}
	c.sizes[n] = total
	return total, nil
}

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
	d.at[strings.Join(next, pathSeparator)] = position{where.Line, where.Column}
	d.index(next, value)
}

func (d *document) indexMerge(path []string, value *yaml.Node) {
	value = resolve(value)
	from := []*yaml.Node{value}
	if value.Kind == yaml.SequenceNode {
		from = value.Content
	}
	merged := &document{at: map[string]position{}}
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

// problem is one at a path.
func (d *document) problem(path []string, message, remedy string) Problem {
	at := d.where(path)
	return Problem{File: d.file, Line: at.line, Column: at.column, Key: strings.Join(path, "."), Message: message, Remedy: remedy}
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
