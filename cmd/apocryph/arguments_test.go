// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// A command that lacks an argument, or has one too many, says so before it does anything.
func TestEveryCommandChecksItsArguments(t *testing.T) {
	parser, err := kong.New(&cli{}, kong.Name("apocryph"), kong.Bind(stdio{}))
	if err != nil {
		t.Fatal(err)
	}
	// Whatever one of them does all the same, it does in there.
	dir := t.TempDir()
	t.Chdir(dir)
	t.Setenv("HOME", dir)
	none, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = none.Close() }()
	lacking := 0
	for _, leaf := range parser.Model.Leaves(false) {
		command, required, most := []string{}, "", 0
		for n := leaf; n.Type == kong.CommandNode; n = n.Parent {
			command = append([]string{n.Name}, command...)
		}
		for _, p := range leaf.Positional {
			if p.Required && required == "" {
				required = p.Name
			}
			if most++; p.IsCumulative() {
				most = 100
			}
		}
		said := func(args []string, want string) {
			t.Helper()
			var out, errs bytes.Buffer
			if code := run(args, stdio{none, &out, &errs}); code == 0 || !strings.Contains(errs.String(), want) || strings.Contains(errs.String(), "panic") {
				t.Errorf("apocryph %s: exit %d, %s", strings.Join(args, " "), code, errs.String())
			}
		}
		if required != "" {
			lacking++
			said(command, required)
		}
		if most < 100 {
			said(append(command, strings.Split(strings.Repeat("x ", most)+"beyond", " ")...), "unexpected argument")
		}
	}
	if lacking < 5 {
		t.Errorf("only %d commands need an argument", lacking)
	}
}
