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
type position struct {
	file         string
	line, column int
}

// document is the parsed file with the position of everything in it, and of what came to it from other files.
type document struct {
	file string
	root *yaml.Node
	at   map[string]position
	// nodes is its size with aliases expanded.
	nodes int
	// idle are services that by this file no profile selects, and later is what would be wrong with them if another did.
	idle  map[string]bool
	later map[string]Problems
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
	c := &counter{file: file, sizes: map[*yaml.Node]int{}, open: map[*yaml.Node]bool{}}
	if p := c.check(d.root); p != nil {
		return nil, Problems{*p}
	}
	d.nodes = c.sizes[resolve(d.root)]
	d.index(nil, d.root)
	return d, nil
}

func syntaxProblem(file string, err error) Problem {
	lines := strings.Split(err.Error(), "\n")
	if len(lines) > 1 && strings.HasSuffix(lines[0], ":") {
		lines = lines[1:] // the first is only a title
	}
	text := strings.TrimSpace(lines[0])
	if m := regexp.MustCompile(`^line (\d+): mapping key "(.*)" already defined at line (\d+)$`).FindStringSubmatch(text); m != nil {
		line, _ := strconv.Atoi(m[1])
		return Problem{File: file, Line: line, Column: 1, Message: fmt.Sprintf("the key %s is written twice, here and at line %s", m[2], m[3]), Remedy: "keep one of the two"}
	}
	p := Problem{File: file, Message: "not YAML: " + strings.TrimPrefix(text, "yaml: "),
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

// isMergeable reports whether << can have a value: a mapping, or a list of them.
func isMergeable(n *yaml.Node) bool {
	n = resolve(n)
	return n.Kind == yaml.MappingNode || n.Kind == yaml.SequenceNode && !slices.ContainsFunc(n.Content, func(e *yaml.Node) bool { return resolve(e).Kind != yaml.MappingNode })
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
	if n.Tag == "!reset" || n.Tag == "!override" {
		return 0, &Problem{File: c.file, Line: n.Line, Column: n.Column, Message: "not supported: the tag " + n.Tag, Remedy: "remove it, and what it replaces from the other file"}
	}
	if size, ok := c.sizes[n]; ok {
		return size, nil
	}
	for i := 0; n.Kind == yaml.MappingNode && i+1 < len(n.Content); i += 2 {
		if key := n.Content[i]; isMerge(key) && !isMergeable(n.Content[i+1]) {
			return 0, &Problem{File: c.file, Line: key.Line, Column: key.Column, Message: "what << stands for is no mapping", Remedy: "write the alias of a mapping, as in <<: *common"}
		}
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
