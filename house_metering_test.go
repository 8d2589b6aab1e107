// SPDX-License-Identifier: Apache-2.0

package apocryph_test

import (
	"go/ast"
	"go/token"
	"os"
	"path"
	"regexp"
	"strings"
	"testing"
)

// The page on metering has the numbers of the code, and every case on it is shown by tests that exist.
func TestEveryCaseOfMeteringIsShown(t *testing.T) {
	const page = "docs/protocol/metering.md"
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	numbers := regexp.MustCompile("(?m)^\\| [^|]+ \\| [^|]+ \\| `([^`]+)`: `([^`]+)` \\|$").FindAllStringSubmatch(string(text), -1)
	if len(numbers) != 7 {
		t.Errorf("%d numbers", len(numbers))
	}
	for _, r := range numbers {
		if !stands(t, r[1], r[2]) {
			t.Errorf("%s is not in %s", r[2], r[1])
		}
	}
	_, rest, _ := strings.Cut(string(text), "\n## Case by case\n")
	table, _, _ := strings.Cut(rest, "\n## ")
	rows := regexp.MustCompile(`(?m)^\| ([^|]+) \| ([^|]+) \| ([^|]*) \|$`).FindAllStringSubmatch(table, -1)
	if all := strings.Count(table, "\n| "); len(rows) != all || all < 20 {
		t.Errorf("%d of %d rows are of the page's form", len(rows), all)
	}
	named := regexp.MustCompile("`([^`]+)\\.(Test[A-Za-z0-9]+)`")
	for _, r := range rows[1:] {
		tests := named.FindAllStringSubmatch(r[3], -1)
		if len(tests) == 0 {
			t.Errorf("%s: no test shows it", r[1])
		}
		for _, m := range tests {
			if !hasTest(t, m[1], m[2]) {
				t.Errorf("%s: there is no %s in %s", r[1], m[2], m[1])
			}
		}
	}
}

// The bill's oracle proves something only as long as it shares no code with what it judges: it is a module that requires nothing of this one.
func TestTheOracleSharesNothingWithTheMeter(t *testing.T) {
	mod, err := os.ReadFile("e2e/oracle/go.mod")
	if err != nil {
		t.Fatal(err)
	}
	if _, requires, _ := strings.Cut(string(mod), "\n"); strings.Contains(requires, module) || strings.Contains(requires, "replace") {
		t.Errorf("e2e/oracle/go.mod:\n%s", mod)
	}
	files := 0
	goFiles(t, func(name string, f *ast.File, _ *token.FileSet) {
		if path.Dir(name) != "e2e/oracle" {
			return
		}
		files++
		for _, imp := range f.Imports {
			if strings.HasPrefix(strings.Trim(imp.Path.Value, `"`), module) {
				t.Errorf("%s imports %s", name, imp.Path.Value)
			}
		}
	})
	if files == 0 {
		t.Error("there is none")
	}
}
