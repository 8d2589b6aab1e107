// SPDX-License-Identifier: Apache-2.0

package apocryph_test

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/apocryph/apocryph"

// layers is the import table: a package may import packages of this module only from the groups listed for its own group.
var layers = map[string]struct {
	packages []string
	may      []string
}{
	"wire":     {[]string{"internal/gen/*", "api/v1alpha1"}, nil},
	"domain":   {[]string{"internal/appfile", "internal/manifest", "internal/tariff", "internal/usage", "internal/metered", "internal/channel", "internal/delegation", "internal/quote", "internal/account", "internal/ledger", "internal/evidence", "internal/eip712", "internal/outside"}, []string{"wire", "domain"}},
	"plumbing": {[]string{"internal/fault", "internal/daemon", "internal/reference", "internal/span"}, []string{"wire", "plumbing"}},
	"adapters": {[]string{"internal/evm", "internal/p2p", "internal/kube", "internal/oci", "internal/tee/*", "internal/traffic"}, []string{"wire", "domain", "plumbing"}},
	"services": {[]string{"internal/gateway", "internal/controller", "internal/keeper", "internal/imagestore", "internal/logstore", "internal/facade", "internal/egress", "internal/carrier", "internal/meter", "internal/invoicer", "internal/notify", "internal/doctor", "internal/publisher", "internal/uninstall"}, []string{"wire", "domain", "plumbing"}},
	"commands": {[]string{"cmd/*"}, []string{"wire", "domain", "plumbing", "adapters", "services"}},
}

// bridges are the exceptions, each with its reason.
var bridges = map[string]string{
	// The scheme, the token check and the status patch are the language of the place, as controller-runtime is.
	"services → internal/kube": "",
	// A refusal carries the reason codes of the wire.
	"domain → internal/fault": "",
}

func goFiles(t *testing.T, visit func(name string, f *ast.File, set *token.FileSet)) {
	t.Helper()
	for _, name := range tracked(t, "*.go") {
		if strings.HasPrefix(name, "devnet/") || strings.HasPrefix(name, "tools/") {
			continue // modules of their own
		}
		set := token.NewFileSet()
		f, err := parser.ParseFile(set, name, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		visit(name, f, set)
	}
}

// tracked lists the files that git knows or would add, so that build output does not count.
func tracked(t *testing.T, patterns ...string) []string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "git", append([]string{"ls-files", "-co", "--exclude-standard", "--"}, patterns...)...).Output()
	if err != nil {
		t.Fatalf("listing files: %v", err)
	}
	var files []string
	for _, name := range strings.Fields(string(out)) {
		if _, err := os.Stat(name); err == nil {
			files = append(files, name)
		}
	}
	return files
}

func layerOf(dir string) string {
	for name, l := range layers {
		for _, p := range l.packages {
			if ok, _ := path.Match(p, dir); ok || dir == p || (strings.HasSuffix(p, "/*") && strings.HasPrefix(dir, strings.TrimSuffix(p, "*"))) {
				return name
			}
		}
		for _, p := range l.packages {
			if dir == p+"test" || strings.HasPrefix(dir, p+"/") {
				return name
			}
		}
	}
	return ""
}

func TestImportsPointOneWay(t *testing.T) {
	goFiles(t, func(name string, f *ast.File, _ *token.FileSet) {
		dir := path.Dir(name)
		from := layerOf(dir)
		if strings.HasSuffix(name, "_test.go") || dir == "." || strings.HasPrefix(dir, "e2e") || strings.HasPrefix(dir, "bench") || strings.HasPrefix(dir, "contracts") {
			return
		}
		if from == "" {
			t.Errorf("%s: the import table does not know %s", name, dir)
			return
		}
		for _, imp := range f.Imports {
			to, own := strings.CutPrefix(strings.Trim(imp.Path.Value, `"`), module+"/")
			if !own || to == dir || strings.HasPrefix(to, dir+"/") || strings.HasPrefix(dir, to+"/") {
				continue
			}
			layer := layerOf(to)
			_, bridged := bridges[from+" → "+to]
			sibling := layer == from && from != "domain" && from != "wire" && from != "plumbing" && from != "commands"
			if !bridged && (sibling || !slices.Contains(append(layers[from].may, from), layer)) {
				t.Errorf("%s (%s) imports %s (%s)", name, from, to, layer)
			}
		}
	})
}

func TestDomainDoesNoIO(t *testing.T) {
	forbidden := []string{"net", "net/http", "os/exec", "database/sql", "k8s.io/client-go", "github.com/libp2p/go-libp2p", "github.com/ethereum/go-ethereum/ethclient"}
	goFiles(t, func(name string, f *ast.File, _ *token.FileSet) {
		if layerOf(path.Dir(name)) != "domain" || strings.HasSuffix(name, "_test.go") {
			return
		}
		for _, imp := range f.Imports {
			p := strings.Trim(imp.Path.Value, `"`)
			if slices.ContainsFunc(forbidden, func(x string) bool { return p == x || (strings.Contains(x, ".") && strings.HasPrefix(p, x)) }) {
				t.Errorf("%s imports %s", name, p)
			}
		}
	})
}

func TestEveryFileHasItsLicence(t *testing.T) {
	for _, name := range tracked(t, "*.go", "*.sol", "*.proto", "*.sh") {
		if strings.Contains(name, "/gen/") || strings.Contains(name, "zz_generated") {
			continue
		}
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		head, _, _ := bytes.Cut(b, []byte("\n\n"))
		if !bytes.Contains(head, []byte("SPDX-License-Identifier: Apache-2.0")) {
			t.Errorf("%s: no SPDX line at its top", name)
		}
	}
}

func TestEveryPackageSaysWhatItIs(t *testing.T) {
	docs, seen := map[string]bool{}, map[string]bool{}
	goFiles(t, func(name string, f *ast.File, _ *token.FileSet) {
		dir := path.Dir(name)
		if strings.HasSuffix(name, "_test.go") || strings.Contains(dir, "internal/gen") {
			return
		}
		seen[dir] = true
		docs[dir] = docs[dir] || f.Doc != nil && len(f.Doc.Text()) > 0
	})
	for _, dir := range slices.Sorted(maps.Keys(seen)) {
		if !docs[dir] {
			t.Errorf("%s has no package comment", dir)
		}
	}
}

func TestNoPackageIsCalledAfterNothing(t *testing.T) {
	bad := []string{"util", "utils", "common", "types", "helpers", "pkg", "misc", "base", "shared"}
	goFiles(t, func(name string, f *ast.File, _ *token.FileSet) {
		if slices.Contains(bad, f.Name.Name) {
			t.Errorf("%s: package %s says nothing", name, f.Name.Name)
		}
	})
}

func TestNoInitAndNoMutablePackageVariables(t *testing.T) {
	goFiles(t, func(name string, f *ast.File, set *token.FileSet) {
		if strings.Contains(name, "internal/gen") || strings.HasSuffix(name, "_test.go") {
			return
		}
		for _, d := range f.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Recv == nil && d.Name.Name == "init" {
					t.Errorf("%s: init", set.Position(d.Pos()))
				}
			case *ast.GenDecl:
				if d.Tok != token.VAR {
					continue
				}
				for _, s := range d.Specs {
					v := s.(*ast.ValueSpec)
					if n := v.Names[0].Name; !strings.HasPrefix(n, "Err") && !strings.HasPrefix(n, "err") && n != "_" && !embedded(d) && !fixed(v) {
						t.Errorf("%s: package variable %s", set.Position(v.Pos()), n)
					}
				}
			}
		}
	})
}

func embedded(d *ast.GenDecl) bool {
	return d.Doc != nil && slices.ContainsFunc(d.Doc.List, func(c *ast.Comment) bool { return strings.HasPrefix(c.Text, "//go:embed") })
}

// fixed reports whether a variable only is one because Go has no constants of its kind: a compiled pattern, or one set by the linker.
func fixed(v *ast.ValueSpec) bool {
	if len(v.Values) == 0 {
		return false
	}
	switch e := v.Values[0].(type) {
	case *ast.CallExpr:
		if s, ok := e.Fun.(*ast.SelectorExpr); ok {
			return s.Sel.Name == "MustCompile" || s.Sel.Name == "New" && fmt.Sprint(s.X) == "errors"
		}
	case *ast.BasicLit:
		return v.Comment != nil && strings.Contains(v.Comment.Text(), "set by the linker")
	}
	return false
}

func TestLinksLeadSomewhere(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)\s]+)\)`)
	fence := regexp.MustCompile("(?s)```.*?```")
	for _, name := range tracked(t, "*.md") {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range link.FindAllStringSubmatch(fence.ReplaceAllString(string(b), ""), -1) {
			target, anchor, _ := strings.Cut(m[1], "#")
			if strings.Contains(target, "://") || strings.HasPrefix(target, "mailto:") {
				continue
			}
			file := name
			if target != "" {
				file = filepath.Join(filepath.Dir(name), target)
			}
			if _, err := os.Stat(file); err != nil {
				t.Errorf("%s: link to %s, which is not there", name, m[1])
				continue
			}
			if anchor != "" && !slices.Contains(anchors(t, file), anchor) {
				t.Errorf("%s: link to %s, which has no such heading", name, m[1])
			}
		}
	}
}

func anchors(t *testing.T, file string) []string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for line := range strings.Lines(string(b)) {
		if title, ok := strings.CutPrefix(strings.TrimLeft(line, "#"), " "); ok && strings.HasPrefix(line, "#") {
			slug := strings.ToLower(strings.TrimSpace(title))
			slug = regexp.MustCompile("[^a-z0-9 _-]").ReplaceAllString(slug, "")
			found = append(found, strings.ReplaceAll(slug, " ", "-"))
		}
	}
	return found
}

// The trusted computing base grows only in review: run `make generate` after a change that is meant.
func TestWhatTheBinariesLink(t *testing.T) {
	for _, dir := range []string{"cmd/apocryph", "cmd/apocryphd", "cmd/carrier"} {
		out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f", "{{with .Module}}{{.Path}}{{end}}", "./"+dir).Output()
		if err != nil {
			t.Fatalf("%s: %v", dir, err)
		}
		modules := slices.Compact(slices.Sorted(strings.FieldsSeq(string(out))))
		want, err := os.ReadFile(filepath.Join(dir, "deps.txt"))
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(modules, "\n") + "\n"; got != string(want) {
			t.Errorf("%s links other modules than %s/deps.txt says; see with: make generate && git diff %s", dir, dir, dir)
		}
		if dir == "cmd/apocryph" && slices.ContainsFunc(modules, func(m string) bool {
			return strings.HasPrefix(m, "k8s.io/") || strings.HasPrefix(m, "sigs.k8s.io/controller")
		}) {
			t.Errorf("%s links Kubernetes code", dir)
		}
		if slices.Contains(modules, "k8s.io/kubernetes") {
			t.Errorf("%s links Kubernetes server code", dir)
		}
	}
}
