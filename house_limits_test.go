// SPDX-License-Identifier: Apache-2.0

package apocryph_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The page on limits has the numbers of the code, and names tests that exist.
func TestLimitsAreThoseOfTheCode(t *testing.T) {
	const page = "docs/protocol/limits.md"
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	row := regexp.MustCompile("(?m)^\\| ([^|]+) \\| [^|]+ \\| `([^`]+)`: `([^`]+)` \\| ([^|]*) \\|$")
	named := regexp.MustCompile("`([^`]+)\\.((?:Test|Fuzz)[A-Za-z0-9]+)`")
	rows := row.FindAllStringSubmatch(string(text), -1)
	if all := strings.Count(string(text), "\n| ") - strings.Count(string(text), "\n| what |"); len(rows) != all || all < 30 {
		t.Errorf("%d of %d rows are of the page's form", len(rows), all)
	}
	for _, r := range rows {
		what, dir, code, shown := r[1], r[2], r[3], r[4]
		if !stands(t, dir, code) {
			t.Errorf("%s: %s is not in %s", what, code, dir)
		}
		tests := named.FindAllStringSubmatch(shown, -1)
		if len(tests) == 0 {
			t.Errorf("%s: no test goes beyond it", what)
		}
		for _, m := range tests {
			if !hasTest(t, m[1], m[2]) {
				t.Errorf("%s: there is no %s in %s", what, m[2], m[1])
			}
		}
	}
}

// stands reports whether a line of code is in a package, however it is aligned.
func stands(t *testing.T, dir, code string) bool {
	t.Helper()
	spaces := regexp.MustCompile(`\s+`)
	files, err := filepath.Glob(dir + "/*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if regexp.MustCompile(regexp.QuoteMeta(code) + `(\W|$)`).MatchString(spaces.ReplaceAllString(string(b), " ")) {
			return true
		}
	}
	return false
}
