// SPDX-License-Identifier: Apache-2.0

package appfile

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/compose-spec/compose-go/v2/schema"
	"go.yaml.in/yaml/v4"
)

const extension = "x-apocryph"

// keyTree holds every key that may occur: those of the Compose specification and our own.
type keyTree map[string]keyTree

func (t keyTree) add(path string) {
	for _, part := range strings.Split(path, ".") {
		if t[part] == nil {
			t[part] = keyTree{}
		}
		t = t[part]
	}
}

func knownKeys() keyTree {
	t := keyTree{}
	for _, p := range schema.AttributePaths() {
		t.add(string(p))
	}
	for _, r := range ownRules() {
		t.add(r.Key)
	}
	return t
}

// unknownKeys finds keys that neither Compose nor this package knows.
func (d *document) unknownKeys() Problems {
	var found Problems
	var walk func(path []string, n *yaml.Node, t keyTree)
	walk = func(path []string, n *yaml.Node, t keyTree) {
		n = resolve(n)
		if len(t) == 0 {
			return
		}
		switch n.Kind {
		case yaml.SequenceNode:
			for i, item := range n.Content {
				walk(append(slices.Clip(path), strconv.Itoa(i)), item, t["[]"])
			}
		case yaml.MappingNode:
			for i := 0; i+1 < len(n.Content); i += 2 {
				key, value := n.Content[i], n.Content[i+1]
				if isMerge(key) {
					walk(path, value, t)
					continue
				}
				next := append(slices.Clip(path), key.Value)
				below, known := t[key.Value]
				if !known {
					below, known = t["*"]
				}
				switch {
				case known:
					walk(next, value, below)
				case isMapOnly(t) && !strings.HasPrefix(key.Value, "x-"):
					remedy := suggest(key.Value, t)
					if len(path) == 0 && looksLikeService(value) {
						remedy = "put it below services:"
					}
					found = append(found, d.problem(next, "Compose has no such key", remedy))
				}
			}
		default: // a scalar has no keys
		}
	}
	walk(nil, d.root, knownKeys())
	return found
}

// isMapOnly is false where the specification lists only what items of a list hold.
func isMapOnly(t keyTree) bool {
	_, list := t["[]"]
	return !list || len(t) > 1
}

func suggest(key string, t keyTree) string {
	best, least := "", len(key)/3+1
	for _, k := range slices.Sorted(maps.Keys(t)) {
		d := distance(strings.ToLower(key), k)
		if d == 2 && sorted(strings.ToLower(key)) == sorted(k) {
			d = 1 // two letters changed places
		}
		if d < least && k != "*" && k != "[]" {
			best, least = k, d
		}
	}
	if best == "" {
		return "remove it, or begin its name with x- to have it ignored"
	}
	return fmt.Sprintf("did you mean %s?", best)
}

func sorted(s string) string {
	letters := []byte(s)
	slices.Sort(letters)
	return string(letters)
}

// looksLikeService reports whether something at the top is what the first version of Compose files had there.
func looksLikeService(n *yaml.Node) bool {
	n = resolve(n)
	for i := 0; n.Kind == yaml.MappingNode && i+1 < len(n.Content); i += 2 {
		if k := n.Content[i].Value; k == "image" || k == "build" {
			return true
		}
	}
	return false
}

// distance is the number of letters to insert, delete or replace.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		previous := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := previous
			if a[i] != b[j] {
				change++
			}
			previous = row[j+1]
			row[j+1] = min(change, row[j]+1, previous+1)
		}
	}
	return row[len(b)]
}

// ruleBook finds the rule of a path.
type ruleBook struct {
	rules map[string]Rule
	// inner holds the paths below which there are further rules.
	inner map[string]bool
}

func newRuleBook() ruleBook {
	b := ruleBook{map[string]Rule{}, map[string]bool{}}
	for _, r := range Rules() {
		b.rules[r.Key] = r
		parts := strings.Split(r.Key, ".")
		for i := range parts {
			b.inner[strings.Join(parts[:i], ".")] = true
		}
	}
	return b
}

// checker applies the rules to the merged model.
type checker struct {
	doc      *document
	book     ruleBook
	problems Problems
	notes    []Note
}

// step is a place in the model: its path, the path as rules write it, and what was noted above it.
type step struct {
	path    []string
	pattern string
	noted   string
}

// walk applies the rule of a place to its value, then goes on below it.
func (c *checker) walk(at step, value any) {
	if r, ok := c.book.rules[at.pattern]; ok {
		switch {
		case r.Verdict == Refused && !isSet(value):
			return
		case r.Verdict == Refused:
			c.problems = append(c.problems, c.doc.problem(at.path, "not supported: "+r.Why, r.Remedy))
			return
		case r.Refuses != nil && r.Refuses(value):
			c.problems = append(c.problems, c.doc.problem(at.path, r.refusal(value), r.Remedy))
			return
		case r.Verdict == Accepted && isSet(value) && at.noted != r.Why && !c.doc.isImplied(at.path):
			where := c.doc.where(at.path)
			c.notes = append(c.notes, Note{File: cmpOr(where.file, c.doc.file), Line: where.line, Key: strings.Join(at.path, "."), Message: noEffect + r.Why, Usual: r.Usual != nil && r.Usual(value)})
			at.noted = r.Why
		}
	}
	if !c.book.inner[at.pattern] {
		return
	}
	switch v := value.(type) {
	case map[string]any:
		for _, k := range slices.Sorted(maps.Keys(v)) {
			next := strings.TrimPrefix(at.pattern+"."+k, ".")
			if !c.book.has(next) {
				next = strings.TrimPrefix(at.pattern+".*", ".")
			}
			c.walk(step{append(slices.Clip(at.path), k), next, at.noted}, v[k])
		}
	case []any:
		for i, item := range v {
			c.walk(step{append(slices.Clip(at.path), strconv.Itoa(i)), at.pattern + ".[]", at.noted}, item)
		}
	}
}

// refusal says what of a value is refused.
func (r Rule) refusal(value any) string {
	var bad []string
	switch v := value.(type) {
	case []any:
		for _, item := range v {
			if r.Refuses([]any{item}) {
				bad = append(bad, short(item))
			}
		}
	case map[string]any:
		for _, k := range slices.Sorted(maps.Keys(v)) {
			bad = append(bad, k+" "+short(v[k]))
		}
	default:
		bad = []string{short(value)}
	}
	verb := "is"
	if len(bad) > 1 {
		verb = "are"
	}
	text := fmt.Sprintf("not supported: %s %s refused", strings.Join(bad, " and "), verb)
	if only, ok := strings.CutPrefix(r.When, "anything but "); ok {
		return text + ", as is anything but " + only
	}
	if most, ok := strings.CutPrefix(r.When, "more than "); ok {
		return text + ", at most " + most + " is given"
	}
	return text
}

func short(v any) string { return fmt.Sprintf("%.100s", fmt.Sprint(v)) }

// has reports whether a rule is about the pattern or something below it.
func (b ruleBook) has(pattern string) bool {
	_, ok := b.rules[pattern]
	return ok || b.inner[pattern]
}
