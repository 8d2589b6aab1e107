// SPDX-License-Identifier: Apache-2.0

package appfile

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Problem is one thing in an app file that keeps it from being deployed.
type Problem struct {
	// File, Line and Column say where; Line is 0 when the file as a whole is meant.
	File   string `json:"file"`
	Line   int    `json:"line,omitempty"`
	Column int    `json:"column,omitempty"`
	// Key is the dotted path, as in services.web.privileged; empty for the file as a whole.
	Key string `json:"key,omitempty"`
	// Message is one sentence, Remedy what to do about it.
	Message string `json:"message"`
	Remedy  string `json:"remedy"`
}

// String is "file:line:column: key: message".
func (p Problem) String() string {
	at := p.File
	if p.Line > 0 {
		at = fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column)
	}
	if p.Key != "" {
		at += ": " + p.Key
	}
	return at + ": " + p.Message
}

// Problems is the error that Load and Manifest return for a file that can't be deployed, in the order of the file.
type Problems []Problem //nolint:errname // a list that is also an error

// Error lists every problem, each with its remedy on a line of its own.
func (ps Problems) Error() string {
	lines := make([]string, 0, 2*len(ps))
	for _, p := range ps {
		lines = append(lines, p.String())
		if p.Remedy != "" && len(ps) > 1 {
			lines = append(lines, "  "+p.Remedy)
		}
	}
	return strings.Join(lines, "\n")
}

// Note says that a key is accepted but has no effect, and why.
type Note struct {
	File string `json:"file"`
	Line int    `json:"line,omitempty"`
	// Key is the dotted path.
	Key     string `json:"key"`
	Message string `json:"message"`
	// Usual says that the key asks for what is done anyway: people need not be told.
	Usual bool `json:"usual,omitempty"`
}

// String is "file:line: key: message".
func (n Note) String() string {
	if n.Line == 0 {
		return fmt.Sprintf("%s: %s: %s", n.File, n.Key, n.Message)
	}
	return fmt.Sprintf("%s:%d: %s: %s", n.File, n.Line, n.Key, n.Message)
}

func sortProblems(ps Problems) Problems {
	slices.SortStableFunc(ps, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column), cmp.Compare(a.Key, b.Key))
	})
	return slices.CompactFunc(ps, func(a, b Problem) bool { return a == b })
}

func sortNotes(ns []Note) []Note {
	slices.SortStableFunc(ns, func(a, b Note) int { return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Key, b.Key)) })
	return slices.Compact(ns)
}

// NotesForPeople are notes as lines to show: without those that people need not be told, and what has no effect for the same reason at
// several places is one line.
func NotesForPeople(ns []Note) []string {
	var lines []string
	keys := map[string][]string{}
	for _, n := range ns {
		if strings.HasPrefix(n.Message, noEffect) && !n.Usual {
			keys[n.Message] = append(keys[n.Message], n.Key)
		}
	}
	told := map[string]bool{}
	for _, n := range ns {
		switch same := keys[n.Message]; {
		case n.Usual || told[n.Message]:
		case len(same) > 1:
			told[n.Message] = true
			lines = append(lines, fmt.Sprintf("%s, %d keys: %s: %s", strings.TrimSuffix(noEffect, ": "), len(same), strings.Join(same, ", "), strings.TrimPrefix(n.Message, noEffect)))
		default:
			lines = append(lines, n.String())
		}
	}
	return lines
}

const noEffect = "no effect: "
