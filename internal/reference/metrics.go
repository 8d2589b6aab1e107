// SPDX-License-Identifier: Apache-2.0

package reference

import (
	"cmp"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// ErrMetric is a metric whose name or help is not written out where it is declared, so that no table can show it.
var ErrMetric = errors.New("not a plain literal of a metric")

// metric is one that a service exports.
type metric struct{ service, name, kind, labels, help string }

// Metrics returns a table of every metric that is declared below the directories, by service and name.
func Metrics(dirs ...string) (string, error) {
	var found []metric
	for _, dir := range dirs {
		err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			declared, err := metricsOf(path)
			found = append(found, declared...)
			return err
		})
		if err != nil {
			return "", err
		}
	}
	slices.SortFunc(found, func(a, b metric) int {
		return cmp.Or(strings.Compare(a.service, b.service), strings.Compare(a.name, b.name))
	})
	b := &strings.Builder{}
	b.WriteString("| service | metric | kind | labels | |\n|---|---|---|---|---|\n")
	for _, m := range found {
		fmt.Fprintf(b, "| %s | `%s` | %s | %s | %s |\n", m.service, m.name, m.kind, m.labels, cell(m.help))
	}
	return b.String(), nil
}

func metricsOf(path string) ([]metric, error) {
	set := token.NewFileSet()
	f, err := parser.ParseFile(set, path, nil, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	// A service is a package, or a file of the program's.
	service := f.Name.Name
	if service == "main" {
		service = strings.TrimSuffix(filepath.Base(path), ".go")
	}
	var found []metric
	var bad error
	ast.Inspect(f, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok || len(call.Args) == 0 {
			return true
		}
		options, ok := call.Args[0].(*ast.CompositeLit)
		if !ok {
			return true
		}
		kind, ok := kindOf(options.Type)
		if !ok {
			return true
		}
		m := read(options)
		m.service, m.kind = service, kind
		if m.name == "" || m.help == "" {
			bad = fmt.Errorf("%s: %w", set.Position(call.Pos()), ErrMetric)
		}
		if len(call.Args) > 1 {
			m.labels = labels(call.Args[1])
		}
		found = append(found, m)
		return true
	})
	return found, bad
}

// kindOf tells prometheus.CounterOpts and its like, which say the kind of a metric.
func kindOf(e ast.Expr) (string, bool) {
	s, ok := e.(*ast.SelectorExpr)
	if !ok || fmt.Sprint(s.X) != "prometheus" {
		return "", false
	}
	kind := strings.ToLower(strings.TrimSuffix(s.Sel.Name, "Opts"))
	return kind, slices.Contains([]string{"counter", "gauge", "histogram", "summary"}, kind)
}

func read(options *ast.CompositeLit) metric {
	fields := map[string]string{}
	for _, e := range options.Elts {
		if kv, ok := e.(*ast.KeyValueExpr); ok {
			fields[fmt.Sprint(kv.Key)] = text(kv.Value)
		}
	}
	parts := slices.DeleteFunc([]string{fields["Namespace"], fields["Subsystem"], fields["Name"]}, func(s string) bool { return s == "" })
	if fields["Name"] == "" {
		parts = nil
	}
	return metric{name: strings.Join(parts, "_"), help: fields["Help"]}
}

func labels(e ast.Expr) string {
	list, ok := e.(*ast.CompositeLit)
	if !ok {
		return ""
	}
	var names []string
	for _, e := range list.Elts {
		names = append(names, "`"+text(e)+"`")
	}
	return strings.Join(names, ", ")
}

// text is the value of a string literal, or of several that are joined; empty for anything else.
func text(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.BasicLit:
		if s, err := strconv.Unquote(e.Value); err == nil {
			return s
		}
	case *ast.BinaryExpr:
		return text(e.X) + text(e.Y)
	}
	return ""
}
