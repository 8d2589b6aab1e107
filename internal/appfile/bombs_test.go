// SPDX-License-Identifier: Apache-2.0

package appfile_test

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/apocryph/apocryph/internal/appfile"
)

// allocates fails if f allocates more bytes than that, of which most are never there at once.
func allocates(t *testing.T, most uint64, f func()) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > most {
		t.Errorf("%d MiB were allocated, at most %d are to be", n>>20, most>>20)
	}
}

// A file that is small, or at most as large as files may be, costs little, whatever it stands for.
func TestSmallFilesCostLittle(t *testing.T) {
	lines := func(n int, line string) string {
		b := &strings.Builder{}
		for i := range n {
			b.WriteString(strings.ReplaceAll(strings.ReplaceAll(line, "I+1", fmt.Sprint(i+1)), "I", fmt.Sprint(i)))
		}
		return b.String()
	}
	const app = "services: {web: {image: a}}\n"
	cases := map[string]struct {
		content string
		files   map[string]string
		want    string
	}{
		"aliases of aliases":               {app + "x-a0: &a0 [x]\n" + lines(60, "x-aI+1: &aI+1 [*aI, *aI]\n"), nil, "with its aliases expanded the file has more than"},
		"merges of merges":                 {app + "x-a0: &a0 {k: v}\n" + lines(60, "x-aI+1: &aI+1 {<<: [*aI, *aI]}\n"), nil, "with its aliases expanded the file has more than"},
		"merges into each other's values":  {app + "x-a0: &a0 {k: v}\n" + lines(60, "x-aI+1: &aI+1 {l: {<<: *aI}, r: {<<: *aI}}\n"), nil, "with its aliases expanded the file has more than"},
		"an alias of itself":               {app + "x-a: &a {k: *a}\n", nil, "an alias stands for something that contains it"},
		"lists in lists":                   {app + "x-a: " + strings.Repeat("[", 1<<19), nil, "not YAML"},
		"mappings in mappings":             {app + "x-a: " + strings.Repeat("{a: ", 5000) + strings.Repeat("}", 5000), nil, "nested more than 64 levels deep"},
		"lists by indentation":             {app + "x-a:\n" + strings.Repeat("- ", 1<<18) + "x\n", nil, ""},
		"one text as large as a file":      {"services: {web: {image: '" + strings.Repeat("a", 1<<20-64) + "'}}\n", nil, "an image's name of 1048512 bytes, at most 512"},
		"as many keys as there is room":    {app + "x-a: {" + lines(60_000, "kI: ,") + "}\n", nil, "more than"},
		"variables in variables":           {"services: {web: {image: a, command: \"" + strings.Repeat("${A:-", 5000) + strings.Repeat("}", 5000) + "\"}}\n", nil, "with the 5000 variables in this text of 30000 bytes there are more than can be filled in"},
		"a text of variables":              {"services: {web: {image: a, command: \"" + strings.Repeat("${A:-x}", 100_000) + "\"}}\n", nil, "there are more than can be filled in"},
		"texts of variables":               {"services: {web: {image: a, command: [" + strings.Repeat("\""+strings.Repeat("${A:-x}", 500)+"\", ", 200) + "]}}\n", nil, "there are more than can be filled in"},
		"an env file of variables":         {"services: {web: {image: a, env_file: a.env}}\n", map[string]string{"a.env": "A=1\nB=" + strings.Repeat("$A", 100_000)}, "env file a.env: it has 100000 variables in 200006 bytes"},
		"a name in a file again and again": {"services: {a_b: {image: a, ports: ['80']}, web: {image: a, volumes: ['./f:/f:ro']}}\n", map[string]string{"f": strings.Repeat("//a_b ", 20_000)}, ""},
		"a doubtful name again and again":  {"services: {a_b: {image: a}, web: {image: a, volumes: ['./f:/f:ro']}}\n", map[string]string{"f": strings.Repeat("a_b ", 30_000)}, "whether it is meant in file f is not certain"},
		"a file of anchors that extend":    {"services:\n  s0: &s {image: a, labels: [" + lines(5000, "lI,") + "]}\n" + lines(300, "  tI: *s\n"), nil, "more than"},
		"a list of includes of one file":   {"include: [" + lines(5000, "a.yaml,") + "]\n", map[string]string{"a.yaml": app}, "the app file leads to more than 200 files"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			allocates(t, 700<<20, func() {
				_, err := appfile.Load(t.Context(), tree(c.content, c.files))
				var ps appfile.Problems
				switch {
				case err == nil && c.want == "":
				case !errors.As(err, &ps):
					t.Fatalf("got %v, want problems", err)
				case !strings.Contains(ps.Error(), c.want) || len(ps.Error()) > 10_000:
					t.Errorf("got %.1000s", ps.Error())
				}
			})
		})
	}
}
