// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/apocryph/apocryph/internal/reference"
)

// dashboard is as much of Grafana's model as is written here.
type dashboard struct {
	Title  string `json:"title"`
	Panels []struct {
		Type    string `json:"type"`
		Title   string `json:"title"`
		Targets []struct {
			Expr string `json:"expr"`
		} `json:"targets"`
	} `json:"panels"`
}

var (
	// ours are the metrics that an expression names, and by the labels of ours that it uses: those of by clauses and of selectors.
	ours     = regexp.MustCompile(`apocryph_[a-z_]+`)
	selected = regexp.MustCompile(`\bby \(([a-z, ]+)\)|\{([a-z]+)=`)
	tableRow = regexp.MustCompile("(?m)^\\| [a-z]+ \\| `(apocryph_[a-z_]+)` \\| [a-z]+ \\| ([^|]*) \\|")
)

// TestDashboards: every metric that a dashboard asks for is one that a service exports, with that label; no panel asks for nothing.
func TestDashboards(t *testing.T) {
	table, err := reference.Metrics("../../internal", ".")
	if err != nil {
		t.Fatal(err)
	}
	labels := map[string]string{}
	for _, row := range tableRow.FindAllStringSubmatch(table, -1) {
		labels[row[1]] = row[2]
	}
	if len(labels) < 20 {
		t.Fatalf("the table has only %d metrics:\n%s", len(labels), table)
	}
	files, err := filepath.Glob("../../deploy/dashboards/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no dashboards: %v", err)
	}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var d dashboard
		if err := json.Unmarshal(raw, &d); err != nil || d.Title == "" {
			t.Fatalf("%s: %v", file, err)
		}
		for _, p := range d.Panels {
			if p.Type != "row" && len(p.Targets) == 0 {
				t.Errorf("%s, panel %q asks for nothing", file, p.Title)
			}
			for _, target := range p.Targets {
				for _, broken := range brokenParts(target.Expr, labels) {
					t.Errorf("%s, panel %q: %s in %s", file, p.Title, broken, target.Expr)
				}
			}
		}
	}
	if got := brokenParts(`sum by (kind) (apocryph_nothing_total) + sum by (color) (apocryph_invoicer_apps)`, labels); len(got) != 3 {
		t.Errorf("three mistakes, found: %v", got)
	}
}

// brokenParts are the metrics and labels of an expression that nobody exports.
func brokenParts(expr string, labels map[string]string) []string {
	var broken []string
	known := ""
	names := ours.FindAllString(expr, -1)
	if len(names) == 0 {
		broken = append(broken, "no metric")
	}
	for _, name := range names {
		has, ok := labels[name]
		if !ok {
			broken = append(broken, "no metric "+name)
		}
		known += has
	}
	for _, m := range selected.FindAllStringSubmatch(expr, -1) {
		for label := range strings.SplitSeq(m[1]+m[2], ", ") {
			if !strings.Contains(known, "`"+label+"`") {
				broken = append(broken, "no label "+label)
			}
		}
	}
	return broken
}
