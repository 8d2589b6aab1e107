// SPDX-License-Identifier: Apache-2.0

package reference_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/apocryph/apocryph/internal/reference"
)

func TestMetrics(t *testing.T) {
	const head = "| service | metric | kind | labels | |\n|---|---|---|---|---|\n"
	tests := map[string]struct {
		source, want string
		err          error
	}{
		"a counter with labels": {
			source: `package keeper; var c = prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "a", Subsystem: "b", Name: "c_total", Help: "One" + " two."}, []string{"x", "y"})`,
			want:   head + "| keeper | `a_b_c_total` | counter | `x`, `y` | One two. |\n",
		},
		"a gauge of the program": {
			source: `package main; var g = prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "bytes", Help: "What | is taken."}, f)`,
			want:   head + "| source | `bytes` | gauge |  | What \\| is taken. |\n",
		},
		"a name from elsewhere": {
			source: `package keeper; func f(name string) { prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: "One."}) }`,
			err:    reference.ErrMetric,
		},
		"options of something else": {source: `package keeper; var h = promhttp.HandlerFor(r, promhttp.HandlerOpts{})`, want: head},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "source.go"), []byte(test.source), 0o600); err != nil {
				t.Fatal(err)
			}
			got, err := reference.Metrics(dir)
			if !errors.Is(err, test.err) {
				t.Fatalf("error %v, want %v", err, test.err)
			}
			if d := cmp.Diff(test.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}
