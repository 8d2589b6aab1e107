// SPDX-License-Identifier: Apache-2.0

package apocryph_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// What the pages say is shown by a test is: each test that they name exists where they say.
func TestEveryNamedTestExists(t *testing.T) {
	pages, err := filepath.Glob("docs/protocol/*defects.md")
	if err != nil || len(pages) == 0 {
		t.Fatalf("no pages: %v", err)
	}
	row := regexp.MustCompile(`(?m)^\| ([A-Z]+[0-9]+) \|.*\| ([^|]*) \|$`)
	named := regexp.MustCompile("`([^`]+)\\.((?:Test|Fuzz|test|invariant)[A-Za-z0-9]+)`")
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		rows := row.FindAllStringSubmatch(string(text), -1)
		if len(rows) == 0 {
			t.Errorf("%s: no rows", page)
		}
		for _, r := range rows {
			tests := named.FindAllStringSubmatch(r[2], -1)
			if len(tests) == 0 && !strings.HasPrefix(r[2], "n/a: ") {
				t.Errorf("%s: %s names no test and does not say why", page, r[1])
			}
			for _, m := range tests {
				if !hasTest(t, m[1], m[2]) {
					t.Errorf("%s: %s: there is no %s in %s", page, r[1], m[2], m[1])
				}
			}
		}
	}
}

// hasTest looks for a test function in the Go tests of a folder, or in the Solidity tests below it.
func hasTest(t *testing.T, dir, name string) bool {
	t.Helper()
	for _, file := range tracked(t, dir+"/*_test.go", dir+"/**/*.t.sol", dir+"/*.t.sol") {
		if strings.HasSuffix(file, ".go") && filepath.Dir(file) != dir {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), "\nfunc "+name+"(") || strings.Contains(string(text), "function "+name+"(") {
			return true
		}
	}
	return false
}
